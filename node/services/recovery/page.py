"""Giving a restored peer back what it lost: its own frames as they came, and what they had seen of mine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.protocol import codec, limits
from gateway.protocol.channel import Channel, root_at
from gateway.protocol.values import Head, Page, Pull
from node.store import logs
from node.store.batch import Batch

PAGE_BYTES = limits.ENVELOPE_BYTES // 2
"""Of each of the two logs in one page; a single segment may be larger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenBack:
    """A page, and the head to sign over the frames of mine that it brings."""

    page: Page
    head: Head | None = None


def give_back(channel: Channel, pull: Pull, batch: Batch) -> GivenBack:
    """The peer's frames from `pull.first` on that fit one page, or, where they had seen too many of mine, mine first.

    What had been seen of mine when the peer's first such frame was received depends on none of them, so mine can always
    be taken in before. Nothing, where nothing more is held: a page without frames.
    """
    me, peer = batch.books.me, channel.peer
    runs: list[logs.Segment] = []
    need, total = pull.holds, 0
    if pull.mine and pull.first < channel.held:
        for segment in logs.segments(batch.conn, batch.books.logs[peer, me], pull.first, limits.FRAMES_PER_ENVELOPE):
            frames = codec.unpack_frames(segment.frames)
            total += len(segment.frames) + len(segment.bodies or b"")
            seen = codec.decode_frame(frames[-1]).seen
            too_many = segment.size - pull.first > limits.FRAMES_PER_ENVELOPE or total > PAGE_BYTES
            if runs and (too_many or seen - pull.holds > limits.FRAMES_PER_ENVELOPE):
                break
            runs.append(segment)
            need = max(need, seen)
    seen_part, head = _seen(channel, pull.holds, need, batch)
    if not runs or pull.holds + len(seen_part.frames if seen_part else ()) < need:
        return GivenBack(page=Page(first=pull.first, seen=seen_part), head=head)
    frames, bodies = _unpack(runs)
    skip = pull.first - runs[0].first
    signed = codec.decode_signed(runs[-1].head or b"")
    page = Page(head=signed, first=pull.first, frames=tuple(frames[skip:]), bodies=tuple(bodies[skip:]), seen=seen_part)
    return GivenBack(page=page, head=head)


def _seen(channel: Channel, first: int, size: int, batch: Batch) -> tuple[Page | None, Head | None]:
    """My frames from `first` up to `size`, as many as fit, and the head to sign over them."""
    me, peer = batch.books.me, channel.peer
    if first >= size:
        return None, None
    segments = list(logs.segments(batch.conn, batch.books.logs[me, peer], first, limits.FRAMES_PER_ENVELOPE))
    frames, bodies = _unpack(segments)
    skip = first - segments[0].first
    count = total = 0
    for frame, body in zip(frames[skip:], bodies[skip:], strict=True):
        total += len(frame) + len(body)
        if count == min(size - first, limits.FRAMES_PER_ENVELOPE) or (count and total > PAGE_BYTES):
            break
        count += 1
    frames, bodies = frames[skip : skip + count], bodies[skip : skip + count]
    nodes = batch.nodes(me, peer)
    end = first + len(frames)
    head = Head(
        log=channel.out,
        epoch=channel.epoch,
        first=first,
        first_root=root_at(channel.out_frontier, nodes, first),
        size=end,
        root=root_at(channel.out_frontier, nodes, end),
        suite="",  # these three are the signer's
        roster_version=0,
        signed_at_ms=batch.now_ms,
    )
    return Page(first=first, frames=tuple(frames), bodies=tuple(bodies)), head


def _unpack(runs: Iterable[logs.Segment]) -> tuple[list[bytes], list[bytes]]:
    frames: list[bytes] = []
    bodies: list[bytes] = []
    for segment in runs:
        frames += codec.unpack_frames(segment.frames)
        bodies += codec.unpack_bodies(segment.bodies or b"")
    return frames, bodies
