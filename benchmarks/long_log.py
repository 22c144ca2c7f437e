"""A log of millions of messages, written in seconds: segments, subtrees and roots as the writer would leave them.

All segments hold the same frames, which changes no cost of reading and none of the shapes on disk.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.protocol import codec, merkle
from gateway.protocol.merkle import Frontier
from gateway.protocol.values import Draft, Kind
from node.store import bulk, logs, schema
from node.store.engine import Store, driver_connection

SEGMENT_FRAMES = 1024
EPOCH = 1
_SEGMENTS_AT_ONCE = 64
"""Written in one transaction."""
_BODY = bytes(64)
"""Shorter than what a transfer has: neither a proof nor a start reads it."""


def nobody(_messages: int) -> None:
    """Is told how many are written; does not care."""


def hurry(store: Store) -> None:
    """Let commits of this writer be lost in a power failure: what is being built can be built again."""
    with store.write() as conn:
        connection = driver_connection(conn)
    connection.execute("PRAGMA synchronous = OFF")  # heeded between transactions only


def write(
    store: Store, log: int, messages: int, *, whole: bool = True, told: Callable[[int], None] = nobody
) -> Frontier:
    """Fill the log of this number, which is in the table of logs and empty; where it ends.

    `whole` false: all subtrees, but of the segments only the last.
    """
    drafts = [
        Draft(Kind.OFFER, False, i.to_bytes(16), _BODY, "moral", 1 + i, "moral", 1 + i) for i in range(SEGMENT_FRAMES)
    ]
    frames = [codec.encode_frame(draft, 0, EPOCH) for draft in drafts]
    leaves, packed = merkle.leaf_hashes(frames), codec.pack_frames(frames)
    bodies = codec.pack_bodies([draft.body for draft in drafts])
    frontier = Frontier()
    while frontier.size < messages:
        segments, texts, subtrees = [], [], []
        for _ in range(_SEGMENTS_AT_ONCE):
            first = frontier.size
            count = min(SEGMENT_FRAMES, messages - first)
            if not count:
                break
            if count < SEGMENT_FRAMES:
                packed, bodies = codec.pack_frames(frames[:count]), codec.pack_bodies([_BODY] * count)
            frontier, nodes = frontier.extend_with_nodes(leaves[:count])
            subtrees += [(log, *node) for node in nodes]
            if whole or frontier.size == messages:
                segments.append((log, first, frontier.size, EPOCH, frontier.root(), packed, None, 0))
                texts.append((log, first, bodies))
        with store.write() as conn:
            bulk.insert(conn, schema.segment, segments)
            bulk.insert(conn, schema.body, texts)
            bulk.insert(conn, schema.node, subtrees)
            logs.set_end(conn, log, frontier)
        told(frontier.size)
    return frontier
