"""What goes to a peer next: committed segments, as many as fit one envelope, a few envelopes under way at a time.

What waits while those are under way travels together in the next one: batches form by themselves, over the wire as in
the writer. All of it is volatile; where to begin again after a break is said by the peer.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.protocol import limits
from gateway.protocol.channel import Channel
from node.store import logs
from node.store.engine import Store

RECENT_BYTES = 64 << 20
"""Freshly sealed segments kept for all peers together, so that sending them needs no query. More are forgotten."""


class Fresh(NamedTuple):
    """A segment of the last commits, and the root where it begins."""

    first_root: bytes
    segment: logs.Segment


class Run(NamedTuple):
    """Consecutive segments for one envelope."""

    first_root: bytes
    segments: list[logs.Segment]


@dataclass(slots=True)
class _Peer:
    next: int = 0  # number of the next frame to send
    key: bytes = b""  # under which the last head was signed
    rewinds: int = -1
    received: int = 0  # what the peer's receipts cover, known before it is committed here
    under_way: deque[int] = field(default_factory=deque)  # where the envelopes not receipted yet end
    final: int = 0  # what was final when the peer last said where it stands
    recent: deque[Fresh] = field(default_factory=deque)


class Sending:
    """Where sending to each peer has come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._peers: dict[int, _Peer] = {}
        self._numbers: dict[int, int] = {}
        self._recent_bytes = 0
        self._lock = threading.Lock()

    def _of(self, peer: int) -> _Peer:
        return self._peers.setdefault(peer, _Peer())

    def sealed(self, peer: int, first_root: bytes, segment: logs.Segment) -> None:
        """A segment was committed, and the root where it begins; called from the writer's thread."""
        state = self._of(peer)
        with self._lock:
            if self._recent_bytes + _bytes(segment) > RECENT_BYTES:
                for other in list(self._peers.values()):
                    self._forget(other)
            state.recent.append(Fresh(first_root, segment))
            self._recent_bytes += _bytes(segment)

    def _forget(self, state: _Peer) -> None:
        self._recent_bytes -= sum(_bytes(fresh.segment) for fresh in state.recent)
        state.recent.clear()

    def received(self, peer: int, size: int) -> bool:
        """A verified receipt covers so much: the next envelope need not wait until that is committed.

        False for a receipt that covers no more than an earlier one: it is not worth a place in the writer's queue.
        """
        state = self._of(peer)
        if size <= state.received:
            return False
        state.received = size
        return True

    def next(self, channel: Channel, key: bytes = b"") -> Run | None:
        """The next segments for the peer of an open channel, or None when there are none or enough are under way.

        `key` names the key that will sign: under a new one sending begins again from what is final, so that its first
        head stands on history both sides hold.
        """
        state = self._of(channel.peer)
        if state.key != key:
            if state.key and state.next > channel.final:
                state.next, state.received = channel.final, 0
                state.under_way.clear()
                with self._lock:
                    self._forget(state)
            state.key = key
        if state.rewinds != channel.rewinds:
            state.rewinds, state.next, state.received = channel.rewinds, channel.cursor, 0
            state.final = channel.final
            state.under_way.clear()
            with self._lock:  # after a fence the same numbers may have been sealed anew
                self._forget(state)
        # What the peer says it holds counts, even where it once held more: only what became final since skips ahead.
        became_final = channel.final if channel.final > state.final else 0
        held = max(became_final, min(state.received, channel.size))
        while state.under_way and state.under_way[0] <= held:
            state.under_way.popleft()
        first = state.next = max(state.next, held)
        limit = min(channel.size, channel.credit)
        if first >= limit or len(state.under_way) >= limits.ENVELOPES_IN_FLIGHT:
            return None
        run = self._recent(state, first, limit) or self._stored(channel, first, limit)
        if run is None or is_sealed_anew(run, channel):
            return None
        state.next = run.segments[-1].size
        state.under_way.append(state.next)
        return run

    def _recent(self, state: _Peer, first: int, limit: int) -> Run | None:
        with self._lock:
            while state.recent and state.recent[0].segment.first < first:
                self._recent_bytes -= _bytes(state.recent.popleft().segment)
            kept = list(itertools.islice(state.recent, limits.FRAMES_PER_ENVELOPE))
        if not kept or kept[0].segment.first != first:
            return None
        chosen = fitting((fresh.segment for fresh in kept), limit)
        return Run(kept[0].first_root, chosen) if chosen else None

    def _stored(self, channel: Channel, first: int, limit: int) -> Run | None:
        out = channel.out
        with self._store.read() as conn:
            number = self._numbers.get(channel.peer)
            if number is None:
                number = self._numbers[channel.peer] = logs.number_of(conn, out.source, out.destination, out.generation)
            chosen = fitting(logs.segments(conn, number, first, limits.FRAMES_PER_ENVELOPE), limit)
            return Run(logs.root_before(conn, number, chosen[0].first), chosen) if chosen else None


def is_sealed_anew(run: Run, channel: Channel) -> bool:
    """The frames got another epoch since `channel` was committed: no head over them may be signed under the old one."""
    return any(s.epoch > channel.epoch.number for s in run.segments)


def fitting(segments: Iterable[logs.Segment], limit: int) -> list[logs.Segment]:
    """The longest run of consecutive segments that fits one envelope and ends by `limit`."""
    run: list[logs.Segment] = []
    size = 0
    for s in segments:
        size += len(s.frames) + len(s.bodies or b"")
        frames = s.size - (run[0].first if run else s.first)
        if s.size > limit or (run and (size > limits.ENVELOPE_BYTES or frames > limits.FRAMES_PER_ENVELOPE)):
            break
        if run and s.first != run[-1].size:
            break
        run.append(s)
    return run


def _bytes(segment: logs.Segment) -> int:
    return len(segment.frames) + len(segment.bodies or b"")
