"""The logs of a region by themselves: frames against roots, subtrees, commitments, signatures and receipts.

One log after another, a few thousand frames at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.protocol import codec, merkle, suite
from gateway.protocol.errors import ProtocolError
from gateway.protocol.members import Roster
from gateway.protocol.merkle import Frontier
from gateway.protocol.values import Frame, Head, Log, Receipt
from node.services.verify.findings import Findings
from node.store import logs, schema

FRAMES_AT_ONCE = 4096
"""Frames read in one query, about."""


def paged(conn: Connection, log: int) -> Iterator[logs.Segment]:
    """Every segment of a log in order, a few at a time on every kind of database."""
    at = 0
    while run := list(logs.segments(conn, log, at, FRAMES_AT_ONCE)):
        yield from run
        at = max(at + 1, run[-1].size)


class LogsCheck:
    """See the module. `tick` is told how many frames more were read."""

    def __init__(
        self, conn: Connection, me: int, roster: Roster, findings: Findings, tick: Callable[[int], None]
    ) -> None:
        self._conn, self._me, self._roster, self._findings, self._tick = conn, me, roster, findings, tick
        self.last: dict[int, Frame] = {}  # log -> its last frame
        self.erased = 0  # bodies that are gone

    def check(self, row: Any) -> None:
        """One row of the table of logs."""
        name = _name(row)
        frontier = Frontier()
        nodes = self._stored_nodes(row.no)
        receipts = _Receipts(self._conn, row.no)
        for segment in paged(self._conn, row.no):
            self._findings.count("segments")
            if segment.first != frontier.size:
                self._findings.fault("segments", f"{name}: a segment begins at {segment.first}, not {frontier.size}")
                break
            try:
                frames = codec.unpack_frames(segment.frames)
            except ProtocolError as error:
                self._findings.fault("roots", f"{name}: the segment at {segment.first} cannot be read ({error})")
                break
            if segment.first + len(frames) != segment.size:
                self._findings.fault("segments", f"{name}: {len(frames)} frames from {segment.first} to {segment.size}")
                break
            frontier = self._segment(row, name, segment, frames, frontier, nodes, receipts)
            self._tick(len(frames))
        self._findings.equal("roots", f"size of {name}", row.size, frontier.size)
        self._findings.equal("roots", f"end of {name}", row.frontier, frontier.to_bytes())
        for level, index in list(nodes)[:1]:
            self._findings.fault("nodes", f"{name}: subtree {index} at level {level} is beyond its frames")
        if receipts.size is not None:
            self._findings.fault("receipts", f"{name}: a receipt for {receipts.size} frames, of {frontier.size}")

    def _segment(
        self, row: Any, name: str, segment: logs.Segment, frames: list[bytes], before: Frontier,
        nodes: dict[tuple[int, int], bytes], receipts: _Receipts,
    ) -> Frontier:  # fmt: skip
        leaves = merkle.leaf_hashes(frames)
        after, made = before.extend_with_nodes(leaves)
        self._findings.equal("roots", f"root of {name} at {segment.size}", segment.root, after.root())
        for level, index, value in made:
            stored = nodes.pop((level, index), b"")
            self._findings.equal("nodes", f"{name}: subtree {index} at level {level}", stored, value)
        while receipts.size is not None and receipts.size <= segment.size:
            root = before.extend(leaves[: receipts.size - segment.first]).root()
            self._receipt(row, name, receipts.next(), root)
        if row.destination:  # the journal has neither bodies nor heads
            self._frames(row, name, segment, frames)
            if row.destination == self._me:
                self._head(row, name, segment, before, after)
        return after

    def _stored_nodes(self, log: int) -> dict[tuple[int, int], bytes]:
        n = schema.node
        rows = self._conn.execute(select(n.c.level, n.c.idx, n.c.hash).where(n.c.log == log))
        return {(level, index): value for level, index, value in rows}

    def _frames(self, row: Any, name: str, segment: logs.Segment, frames: list[bytes]) -> None:
        findings = self._findings
        try:
            bodies = codec.unpack_bodies(segment.bodies or b"")
            if len(bodies) != len(frames):
                findings.fault("bodies", f"{name}: {len(bodies)} bodies for {len(frames)} frames at {segment.first}")
                bodies = [b""] * len(frames)
        except ProtocolError as error:
            findings.fault("bodies", f"{name}: the bodies at {segment.first} cannot be read ({error})")
            bodies = [b""] * len(frames)
        last = self.last.get(row.no)
        for number, (raw, body) in enumerate(zip(frames, bodies, strict=True), segment.first):
            try:
                frame = codec.decode_frame(raw)
            except ProtocolError as error:
                findings.fault("roots", f"{name}: frame {number} cannot be read ({error})")
                continue
            findings.count("bodies")
            if not body:
                self.erased += 1
            elif codec.commitment(body) != frame.commitment:
                findings.fault("bodies", f"{name}: the body of frame {number} is another than the frame commits to")
            if last is not None and (frame.seen < last.seen or frame.epoch < last.epoch):
                findings.fault("segments", f"{name}: at frame {number} the epoch or what was seen falls")
            last = frame
        if last is not None:
            self.last[row.no] = last

    def _log(self, row: Any) -> Log:
        roster = self._roster
        return Log(roster.federation, roster.environment, row.source, row.destination, row.generation)

    def _head(self, row: Any, name: str, segment: logs.Segment, before: Frontier, after: Frontier) -> None:
        where = f"head of {name} at {segment.size}"
        self._findings.count("heads")
        try:
            signed = codec.decode_signed(segment.head or b"")
            keys = self._roster.all_keys(row.source)
            head = codec.decode_payload(codec.HEAD, suite.verify(signed, keys, codec.HEAD))
        except ProtocolError as error:
            self._findings.fault("heads", f"{where}: {error}")
            return
        assert isinstance(head, Head)
        if head.log != self._log(row):
            self._findings.fault("heads", f"{where}: it is signed for another log")
        elif (head.size, head.root) != (after.size, after.root()) or head.epoch.number != segment.epoch:
            self._findings.fault("heads", f"{where}: the frames do not lead to what it signs")
        elif head.first == before.size and head.first_root != before.root():
            self._findings.fault("heads", f"{where}: it begins elsewhere")

    def _receipt(self, row: Any, name: str, receipt: Any, root: bytes) -> None:
        where = f"receipt for {receipt.size} of {name}"
        self._findings.equal("receipts", where, receipt.root, root)
        if row.source != self._me:
            if receipt.signed is not None:
                self._findings.fault("receipts", f"{where}: an own receipt needs no kept signature")
            return
        try:
            signed = codec.decode_signed(receipt.signed or b"")
            keys = self._roster.all_keys(row.destination)
            said = codec.decode_payload(codec.RECEIPT, suite.verify(signed, keys, codec.RECEIPT))
        except ProtocolError as error:
            self._findings.fault("receipts", f"{where}: {error}")
            return
        assert isinstance(said, Receipt)
        stored = (receipt.size, receipt.epoch, int.from_bytes(receipt.nonce, "big"), receipt.root, receipt.received_ms)
        if said.log != self._log(row) or stored != (said.size, *said.epoch, said.root, said.received_at_ms):
            self._findings.fault("receipts", f"{where}: the signed receipt says otherwise")


class _Receipts:
    """The receipts over one log by size, read as they are needed."""

    def __init__(self, conn: Connection, log: int) -> None:
        self._conn, self._log = conn, log
        self._rows: list[Any] = []
        self._after = (-1, -1)
        self._fill()

    def _fill(self) -> None:
        r = schema.receipt
        size, epoch = self._after
        later = (r.c.size > size) | ((r.c.size == size) & (r.c.epoch > epoch))
        query = select(r).where(r.c.log == self._log, later).order_by(r.c.size, r.c.epoch).limit(512)
        self._rows = list(self._conn.execute(query))[::-1]

    @property
    def size(self) -> int | None:
        """The size of the next one; None when there are no more."""
        return self._rows[-1].size if self._rows else None

    def next(self) -> Any:
        """The next one."""
        row = self._rows.pop()
        self._after = (row.size, row.epoch)
        if not self._rows:
            self._fill()
        return row


def check_channels(conn: Connection, last: dict[int, Frame], findings: Findings) -> None:
    """What a channel remembers about its logs."""
    sizes = {r.no: r.size for r in conn.execute(select(schema.log.c.no, schema.log.c.size))}
    r = schema.receipt
    for channel in conn.execute(select(schema.channel)):
        name = f"channel with {channel.peer}"
        mine, theirs = last.get(channel.out_log), last.get(channel.in_log)
        receipted = conn.scalar(select(func.max(r.c.size)).where(r.c.log == channel.out_log)) or 0
        acknowledged = conn.scalar(select(func.max(r.c.size)).where(r.c.log == channel.in_log)) or 0
        findings.equal("channels", f"{name}, receipted", channel.receipted, receipted)
        findings.equal("channels", f"{name}, seen", channel.in_seen, theirs.seen if theirs else 0)
        findings.equal("channels", f"{name}, epoch held", channel.in_epoch, theirs.epoch if theirs else 0)
        findings.equal("receipts", f"{name}, own receipts", acknowledged, sizes.get(channel.in_log, 0))
        least = max(receipted, theirs.seen if theirs else 0)
        if not least <= channel.final <= sizes.get(channel.out_log, 0):
            findings.fault("channels", f"{name}: {channel.final} frames are final; at least {least} must be")
        if mine and mine.seen > sizes.get(channel.in_log, 0):
            findings.fault("channels", f"{name}: a frame has seen {mine.seen}, more than are held")


def _name(row: Any) -> str:
    return f"log {row.source} -> {row.destination}" if row.destination else "journal"
