"""The stored logs of the channels as a replay reads them: forward, a segment at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, func, select

from gateway.protocol import codec
from node.ledger.sources import Message
from node.services.forks import repair
from node.services.verify.logs import paged
from node.store import schema


class StoredLogs:
    """See :class:`node.ledger.sources.Logs`. `tick` is told how many frames more were read."""

    def __init__(self, conn: Connection, tick: Callable[[int], None]) -> None:
        self._conn, self._tick = conn, tick
        logs = {row.no: row for row in conn.execute(select(schema.log))}
        rows = list(conn.execute(select(schema.channel)))
        self.peers = [row.peer for row in rows]
        self._final: dict[int, int] = {row.peer: row.final for row in rows}
        self._sizes: dict[int, tuple[int, int]] = {
            row.peer: (logs[row.out_log].size, logs[row.in_log].size) for row in rows
        }
        self._disowned: dict[int, list[range]] = {}
        for (peer, _), agreement in repair.agreements(conn).items():
            if agreement.repair.log.destination == peer:
                self._disowned.setdefault(peer, []).extend(agreement.disowned)
        for found in self._disowned.values():
            found.sort(key=lambda others: others.start)
        self._said = {row.peer: _Reader(self._out(row.peer, row.out_log)) for row in rows}
        self._heard = {row.peer: _Reader(self._frames(row.in_log)) for row in rows}
        o = schema.outbox
        counts = conn.execute(select(o.c.peer, func.count()).group_by(o.c.peer))
        self._waiting: dict[int, int] = {row.peer: row[1] for row in counts}

    def said(self, peer: int, number: int) -> Message | None:
        """See the protocol."""
        reader = self._said.get(peer)
        return reader.at(number) if reader else None

    def heard(self, peer: int, number: int) -> Message | None:
        """See the protocol."""
        reader = self._heard.get(peer)
        return reader.at(number) if reader else None

    def owned(self, peer: int, number: int) -> int:
        """See the protocol."""
        for others in self._disowned.get(peer, ()):
            if number in others:
                number = min(others.stop, max(number, self.numbered(peer)))  # they may still have to be given back
        return number

    def numbered(self, peer: int) -> int:
        """See the protocol."""
        return self._sizes.get(peer, (0, 0))[0]

    def received(self, peer: int) -> int:
        """How many frames the log from a peer has."""
        return self._sizes.get(peer, (0, 0))[1]

    def final(self, peer: int) -> int:
        """See the protocol."""
        return self._final.get(peer, 0)

    def waiting(self, peer: int) -> int:
        """How many messages to a peer wait for a number."""
        return self._waiting.get(peer, 0)

    def _out(self, peer: int, log: int) -> Iterator[list[Message]]:
        yield from self._frames(log)
        o, last = schema.outbox, -(1 << 62)  # what a restore put back goes before the first row
        while rows := self._conn.execute(
            select(o).where(o.c.peer == peer, o.c.no > last).order_by(o.c.no).limit(4096)
        ).all():
            last = rows[-1].no
            yield [
                Message(
                    r.kind, bool(r.reply), r.id, r.category, r.amount, r.becomes, r.arriving,
                    codec.commitment(r.body), r.body,
                )
                for r in rows
            ]  # fmt: skip

    def _frames(self, log: int) -> Iterator[list[Message]]:
        for segment in paged(self._conn, log):
            frames = [codec.decode_frame(raw) for raw in codec.unpack_frames(segment.frames)]
            bodies = codec.unpack_bodies(segment.bodies or b"") or [b""] * len(frames)
            yield [
                Message(f.kind, f.reply, f.id, f.category, f.amount, f.becomes, f.arriving, f.commitment, body)
                for f, body in zip(frames, bodies, strict=True)
            ]
            self._tick(len(frames))


class _Reader:
    """Messages by number, asked for in rising order."""

    def __init__(self, runs: Iterator[list[Message]]) -> None:
        self._runs, self._run, self._next = runs, deque[Message](), 0

    def at(self, number: int) -> Message | None:
        """Message `number`; None where they end. What lies before it is passed over."""
        while True:
            while self._run and self._next <= number:
                message = self._run.popleft()
                self._next += 1
                if self._next - 1 == number:
                    return message
            run = next(self._runs, None)
            if run is None:
                return None
            self._run.extend(run)
