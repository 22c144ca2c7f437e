"""After a restore: my own lost frames come back from the peer, in their true order (SPEC section 5, recovery).

Pure, like :mod:`gateway.protocol.channel`. The peer gives back my frames a page at a time, each page under a Head I
signed myself, and beside them the frames of its own log that mine had seen. Every page is taken in whole, in one
transaction: what is committed is always a prefix of the true history with everything it had seen, so a second crash
or a second restore goes on from there and nothing has to be thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.protocol import codec, merkle
from gateway.protocol.channel import Channel
from gateway.protocol.errors import Abandoned, Malformed
from gateway.protocol.merkle import Frontier, Node
from gateway.protocol.values import Frame, Head, Pull


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Consecutive frames of one log and the verified head they are to lead to."""

    head: Head
    raw: tuple[bytes, ...]
    frames: tuple[Frame, ...]
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Extended:
    """A log once a run is appended, with the tree nodes to keep."""

    frontier: Frontier
    nodes: list[Node]


def pull(channel: Channel) -> Pull:
    """What to ask for next of a peer that holds more of my log than I do."""
    assert channel.fenced is not None
    return Pull(
        log=channel.out,
        mine=True,
        first=channel.size,
        size=channel.fenced.holds_size,
        peer_epoch=channel.peer_epoch,
        holds=channel.held,
    )


def is_complete(channel: Channel) -> bool:
    """Whether all of my log that the peer said it holds is here again."""
    fenced = channel.fenced
    return fenced is not None and channel.size >= fenced.holds_size


def fits(channel: Channel, first: int, seen_first: int | None) -> bool:
    """Whether a page begins where my logs end; one that was asked for twice does not, and is passed over."""
    return channel.fenced is not None and first == channel.size and seen_first in (None, channel.held)


def leads_to(frontier: Frontier, head: Head) -> bool:
    """The frames that came back lead to the very root that was signed over them."""
    return frontier.size == head.size and frontier.root() == head.root


def extend(frontier: Frontier, run: Run) -> Extended:
    """The log with the run at its end. Raises Malformed for frames that break a rule of their own, Abandoned where
    they do not continue the log: what it says below is not what was signed."""
    longer, nodes = frontier.extend_with_nodes(merkle.leaf_hashes(run.raw))
    if not leads_to(longer, run.head):
        raise Abandoned(
            f"frames from {frontier.size} on do not lead from what is here to the root that was signed at "
            f"{run.head.size}: this database is a backup of a history that was left; restore an older one"
        )
    for frame, body in zip(run.frames, run.bodies, strict=True):
        if body and codec.commitment(body) != frame.commitment:
            raise Malformed("a body is not the one its frame commits to")
    return Extended(frontier=longer, nodes=nodes)


def true_order(size: int, mine: Sequence[Frame], held: int, seen: Sequence[Frame]) -> Iterator[tuple[bool, int]]:
    """The order in which two runs happened: (whether it is mine, place in its run).

    `size` and `held` are what of either log was there before. A frame comes after everything it has seen. Raises
    Malformed where a frame has seen what neither run brings.
    """
    i = j = 0
    while i < len(mine) or j < len(seen):
        if j < len(seen) and is_due(seen[j], size + i):
            yield False, j
            j += 1
        elif i < len(mine) and is_due(mine[i], held + j):
            yield True, i
            i += 1
        else:
            raise Malformed("frames came back without those they had seen")


def is_due(frame: Frame, known: int) -> bool:
    """Whether everything the frame has seen is there."""
    return frame.seen <= known
