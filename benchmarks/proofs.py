"""How long a proof takes over a long log: inclusion and consistency from the stored subtrees, no scan.

python -m benchmarks.proofs --messages 1000000
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from rich.console import Console

from benchmarks.figures import Figure, figure, machine, print_table
from gateway.protocol import codec, merkle
from gateway.protocol.merkle import Frontier
from gateway.protocol.values import Draft, Kind
from node.store import bulk, logs, schema
from node.store.create import create
from node.store.engine import Store, driver_connection, open_store
from node.store.logs import StoredNodes

SEGMENT_FRAMES = 1024
SEGMENTS_AT_ONCE = 64  # written in one transaction
_BODY = bytes(64)  # shorter than what a transfer has: a proof does not read it


def _nobody(_messages: int) -> None:
    """Told how many are written; does not care."""


def build(store: Store, messages: int, told: Callable[[int], None] = _nobody) -> Frontier:
    """Write log 1 with so many messages: every segment, subtree and root as the writer would have written them.

    All segments hold the same frames, which changes no cost. `told` hears how many messages are written.
    """
    drafts = [
        Draft(Kind.OFFER, False, i.to_bytes(16), _BODY, "moral", 1 + i, "moral", 1 + i) for i in range(SEGMENT_FRAMES)
    ]
    frames = [codec.encode_frame(draft, 1 << 23, 1_795_000_000_000) for draft in drafts]
    leaves, packed = merkle.leaf_hashes(frames), codec.pack_frames(frames)
    bodies = codec.pack_bodies([draft.body for draft in drafts])
    frontier = Frontier()
    with store.write() as conn:
        bulk.insert(conn, schema.log, [(1, 330100, 330200, 1, 0, b"")])
    while frontier.size < messages:
        segments, texts, subtrees = [], [], []
        for _ in range(SEGMENTS_AT_ONCE):
            first = frontier.size
            count = min(SEGMENT_FRAMES, messages - first)
            if not count:
                break
            if count < SEGMENT_FRAMES:
                packed = codec.pack_frames(frames[:count])
                bodies = codec.pack_bodies([_BODY] * count)
            frontier, nodes = frontier.extend_with_nodes(leaves[:count])
            segments.append((1, first, frontier.size, 1, frontier.root(), packed, None, 0))
            texts.append((1, first, bodies))
            subtrees += [(1, *node) for node in nodes]
        with store.write() as conn:
            bulk.insert(conn, schema.segment, segments)
            bulk.insert(conn, schema.body, texts)
            bulk.insert(conn, schema.node, subtrees)
            logs.set_end(conn, 1, frontier)
        told(frontier.size)
    return frontier


def prove(store: Store, frontier: Frontier, number: int, older: int) -> float:
    """Milliseconds to prove that frame `number` is in the log and that the log grew from its first `older` frames.

    Both proofs are then verified, outside the time taken.
    """
    begun = time.perf_counter()
    with store.read() as conn:
        nodes = StoredNodes(conn, 1)
        inclusion = merkle.inclusion_proof(nodes, number, frontier.size)
        consistency = merkle.consistency_proof(nodes, older, frontier.size)
    taken = (time.perf_counter() - begun) * 1e3
    with store.read() as conn:
        leaf, old = merkle.leaf_hash(logs.frame_at(conn, 1, number)), merkle.root_at(StoredNodes(conn, 1), older)
    root = frontier.root()
    if not merkle.verify_inclusion(leaf, number, frontier.size, inclusion, root):
        raise RuntimeError(f"the proof of frame {number} of {frontier.size} does not hold")
    if not merkle.verify_consistency(older, old, frontier.size, root, consistency):
        raise RuntimeError(f"the proof that {older} frames grew into {frontier.size} does not hold")
    return taken


def measure(
    directory: Path, messages: int = 10_000_000, runs: int = 25, told: Callable[[int], None] = _nobody
) -> Figure:
    """Milliseconds for one inclusion and one consistency proof together, at random places of a log on disk."""
    chance = random.Random(messages)
    with tempfile.TemporaryDirectory(dir=directory) as folder, closing(open_store(f"sqlite:///{folder}/log")) as store:
        create(store)
        with store.write() as conn:
            # What is measured is reading; the log need not survive a power failure. Set between transactions.
            connection = driver_connection(conn)
        connection.execute("PRAGMA synchronous = OFF")
        frontier = build(store, messages, told)
        times = [prove(store, frontier, chance.randrange(messages), chance.randrange(1, messages)) for _ in range(runs)]
    return figure("merkle_proof_ms", "ms", times)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proofs", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000, help="length of the log")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where the log is put")
    chosen = parser.parse_args()
    print_table(Console(), machine(chosen.directory), [measure(chosen.directory, chosen.messages)])


if __name__ == "__main__":
    main()
