"""Examine a region: derive everything again from the journal and the logs, and compare it with what the tables say.

Only reads. On a running region it sees one committed state from beginning to end; on a copy of a database file it
needs nothing else, neither keys nor network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection, select

from gateway.protocol import codec, roster
from gateway.protocol.errors import ProtocolError
from gateway.protocol.members import Roster
from node.errors import BadInput
from node.ledger import journal
from node.ledger.derived import Rows
from node.ledger.papers import Paper
from node.ledger.replay import Replay
from node.services.forks import repair
from node.services.verify.agreements import check_agreements, check_usage
from node.services.verify.attestations import check_attestations
from node.services.verify.authorisations import AuthorisationsCheck
from node.services.verify.disputes import check_disputes
from node.services.verify.findings import Check, Findings, holds
from node.services.verify.logs import LogsCheck, check_channels, paged
from node.services.verify.reading import StoredLogs
from node.services.verify.tables import ROWS_AT_ONCE, TablesCheck, check_tables
from node.store import schema
from node.store.engine import Store, open_store

__all__ = ["Check", "holds", "open_copy", "verify"]

Progress = Callable[[int, int], None]


def verify(store: Store, progress: Progress | None = None) -> list[Check]:
    """Every check of :data:`node.services.verify.findings.NAMES`.

    `progress` is told how many frames of the logs are done, of how many. Raises BadInput for a database that is not a
    region's.
    """
    with store.read() as conn:
        return _Examination(conn, progress or _nobody).run()


def open_copy(path: Path) -> Store:
    """A database file, or a copy of one, to be looked at only: nothing is written to it nor beside it.

    A write-ahead log beside the file (`-wal`) belongs to it: copy both. Raises BadInput where there is no file.
    """
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file; name the region's database file or a copy of it")
    log = path.with_name(path.name + "-wal")
    # Without a log nobody has the file open: SQLite need not make a file for its locks beside it.
    mode = "mode=ro" if log.is_file() and log.stat().st_size else "mode=ro&immutable=1"
    # Quoted for SQLite's address, and that for the store's.
    return open_store(f"sqlite:///file:{quote(quote(str(path.resolve())))}?{mode}&uri=true")


def _nobody(done: int, total: int) -> None:
    """Told how far it is; does not care."""


class _Examination:
    def __init__(self, conn: Connection, progress: Progress) -> None:
        self._conn, self._progress = conn, progress
        self._findings = Findings()
        self._purchases = AuthorisationsCheck(conn, self._findings)
        region = conn.scalar(select(schema.meta.c.value).where(schema.meta.c.name == "region"))
        if region is None:
            raise BadInput("the database is not a region's: it does not say which")
        self._me = int(region)
        self._logs = list(conn.execute(select(schema.log).order_by(schema.log.c.no)))
        # Every frame is read twice: by itself, and in the order of the journal.
        self._total, self._done = 2 * sum(row.size for row in self._logs), 0

    def run(self) -> list[Check]:
        """All of it."""
        known = self._rosters()
        if known is not None:
            logs = LogsCheck(self._conn, self._me, known, self._findings, self._tick)
            for row in self._logs:
                logs.check(row)
            if logs.erased:
                self._findings.note("bodies", f"{logs.erased} erased")
            check_channels(self._conn, logs.last, self._findings)
            for fault in repair.faults(self._conn, known):
                self._findings.fault("receipts", fault)
            self._attestations(known)
            check_disputes(self._conn, self._me, known, self._findings)
        papers = self._replay()
        if known is not None:
            check_agreements(self._conn, papers, known, self._findings)
        check_usage(self._conn, self._findings)
        check_tables(self._conn, self._findings)
        self._progress(self._total, self._total)
        return self._findings.checks()

    def _attestations(self, known: Roster) -> None:
        try:
            check_attestations(self._conn, self._me, known, self._findings)
        except (ProtocolError, ValueError) as error:
            self._findings.fault("attestations", f"they cannot be read: {error}")

    def _tick(self, frames: int) -> None:
        self._done = min(self._done + frames, self._total)
        self._progress(self._done, self._total)

    def _rosters(self) -> Roster | None:
        stored = self._conn.scalars(select(schema.roster.c.signed).order_by(schema.roster.c.version)).all()
        self._findings.count("rosters", len(stored))
        try:
            return roster.accept_chain([codec.decode_signed(signed) for signed in stored])
        except ProtocolError as error:
            self._findings.fault("rosters", str(error))
        for code in ("heads", "receipts"):
            self._findings.fault(code, "no roster to check the signatures by")
        return None

    def _replay(self) -> Sequence[Paper]:
        codes = {row.no: row.code for row in self._conn.execute(select(schema.category))}
        logs = StoredLogs(self._conn, self._tick)
        replay, tables = Replay(self._me, codes, logs), TablesCheck(self._conn, self._findings)
        try:
            for entry in self._journal():
                replay.apply(entry)
                if len(replay.rows.postings) >= ROWS_AT_ONCE:
                    self._take(replay, tables)
            replay.finish()
        except (msgspec.MsgspecError, ProtocolError, ValueError, OverflowError) as error:
            self._findings.fault("journal", f"the replay stops after {self._findings.counted('journal')}: {error}")
        self._take(replay, tables)
        tables.finish(replay)
        self._purchases.finish(replay.roamed, frozenset(replay.gone))
        self._check_ends(replay, logs)
        return replay.papers.found

    def _journal(self) -> Iterator[journal.AnyEntry]:
        number = next((row.no for row in self._logs if (row.source, row.destination) == (self._me, 0)), None)
        for segment in paged(self._conn, number) if number is not None else ():
            for entry in codec.unpack_frames(segment.frames):
                self._findings.count("journal")
                yield journal.decode(entry)
            self._tick(segment.size - segment.first)

    def _take(self, replay: Replay, tables: TablesCheck) -> None:
        rows, replay.rows = replay.rows, Rows()
        tables.compare(rows)
        self._purchases.take(replay.roamed)
        for code, detail in replay.faults:
            self._findings.fault(code, detail)
        replay.faults.clear()

    def _check_ends(self, replay: Replay, logs: StoredLogs) -> None:
        """Nothing was said or heard that the journal does not know of."""
        for peer in logs.peers:
            said, waiting = logs.numbered(peer), logs.waiting(peer)
            told = logs.owned(peer, replay.said.get(peer, 0))
            self._findings.count("said", said)
            self._findings.count("outbox", waiting)
            if told < said:
                self._findings.fault("said", f"{said} frames were said to {peer}; the journal decided {told}")
            elif told != said + waiting:
                self._findings.fault("outbox", f"{waiting} messages wait for {peer}; the journal decided {told - said}")
            heard = replay.heard.get(peer, 0)
            self._findings.equal("heard", f"frames of {peer} decided", logs.received(peer), heard)
            self._findings.count("heard", heard)
