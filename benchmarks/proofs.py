"""How long a proof takes over a long log: inclusion and consistency from the stored subtrees, no scan.

python -m benchmarks.proofs --messages 1000000
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from rich.console import Console

from benchmarks.figures import Figure, figure, machine, print_table
from benchmarks.gates import GATES
from benchmarks.long_log import hurry, nobody, write
from gateway.protocol import merkle
from gateway.protocol.merkle import Frontier
from node.store import bulk, logs, schema
from node.store.create import create
from node.store.engine import Store, open_store
from node.store.logs import StoredNodes

MESSAGES = 10_000_000
_LOG = 1


def prove_inclusion(store: Store, frontier: Frontier, number: int) -> float:
    """Milliseconds to prove that frame `number` is in the log. The proof is then verified, outside the time taken."""
    begun = time.perf_counter()
    with store.read() as conn:
        proof = merkle.inclusion_proof(StoredNodes(conn, _LOG), number, frontier.size)
    taken = (time.perf_counter() - begun) * 1e3
    with store.read() as conn:
        leaf = merkle.leaf_hash(logs.frame_at(conn, _LOG, number))
    if not merkle.verify_inclusion(leaf, number, frontier.size, proof, frontier.root()):
        raise RuntimeError(f"the proof of frame {number} of {frontier.size} does not hold")
    return taken


def prove_consistency(store: Store, frontier: Frontier, older: int) -> float:
    """Milliseconds to prove that the log grew from its first `older` frames. Verified like the other."""
    begun = time.perf_counter()
    with store.read() as conn:
        proof = merkle.consistency_proof(StoredNodes(conn, _LOG), older, frontier.size)
    taken = (time.perf_counter() - begun) * 1e3
    with store.read() as conn:
        root = merkle.root_at(StoredNodes(conn, _LOG), older)
    if not merkle.verify_consistency(older, root, frontier.size, frontier.root(), proof):
        raise RuntimeError(f"the proof that {older} frames grew into {frontier.size} does not hold")
    return taken


def measure(
    directory: Path, messages: int = MESSAGES, runs: int = 25, told: Callable[[int], None] = nobody
) -> list[Figure]:
    """Milliseconds for one inclusion and one consistency proof, at random places of a log on disk."""
    chance = random.Random(messages)
    with tempfile.TemporaryDirectory(dir=directory) as folder, closing(open_store(f"sqlite:///{folder}/log")) as store:
        create(store)
        hurry(store)
        with store.write() as conn:
            bulk.insert(conn, schema.log, [(_LOG, 330100, 330200, 1, 0, b"")])
        frontier = write(store, _LOG, messages, told=told)
        inclusion, consistency = [], []
        for _ in range(runs):
            inclusion.append(prove_inclusion(store, frontier, chance.randrange(messages)))
            consistency.append(prove_consistency(store, frontier, chance.randrange(1, messages)))
    return [
        figure("merkle_inclusion_ms_10m", "ms", inclusion),
        figure("merkle_consistency_ms_10m", "ms", consistency),
    ]


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proofs", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="length of the log")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where the log is put")
    chosen = parser.parse_args()
    print_table(Console(), machine(chosen.directory), measure(chosen.directory, chosen.messages), GATES)


if __name__ == "__main__":
    main()
