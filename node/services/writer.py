"""The single writer: group commit.

Whatever waits while one batch commits is the next batch; nothing lingers. A batch loads what its commands will look
at, decides them in memory in their order, seals, writes in bulk, commits once, then answers everybody. A business
refusal fails one command. A failing database fails the batch, and every caller is told that nothing was done.
"""

from __future__ import annotations

import collections
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import structlog
from sqlalchemy import Connection

from gateway.protocol import limits
from gateway.protocol.channel import Channel
from gateway.protocol.errors import PeerFault, Refused
from node.errors import BadInput, DatabaseGone, Recovering, Unavailable
from node.services import receive, registered, seal
from node.services.command import HANDLERS
from node.services.keys import doubled
from node.services.office import Office
from node.services.recovery import history
from node.services.recovery.watch import Watch, check_count
from node.services.several import Several
from node.store import agreements
from node.store import books as bookkeeping
from node.store import history as counting
from node.store.batch import Batch, Wishes
from node.store.engine import Store
from node.store.history import History
from node.store.logs import Segment
from node.witness import Witness

PATIENCE_S = 0.02
"""How long what nobody waits for may wait for company."""
COMMANDS_PER_BATCH = 4096
"""Commands taken into one transaction. An envelope counts as one."""
FRAMES_PER_PEER = 2 * limits.FRAMES_PER_ENVELOPE
"""Frames of one peer taken into one transaction, unless one envelope has more."""

REGISTERED = registered.MODULES
"""The modules whose commands this writer takes."""

log = structlog.get_logger(__name__)


class Writer:
    """Commits batches, one at a time.

    `channels` and `history` are what the last commit left behind, safe to read from any thread.
    """

    def __init__(
        self, store: Store, office: Office, witness: Witness | None = None, several: Several | None = None
    ) -> None:
        """Compares the database with the witness, where there is one, and begins to recover where it is not whole.

        `several`: this process is one of several over the same PostgreSQL. Raises BadInput for a database that must
        not be used, Unavailable where one of the two cannot be.
        """
        self._store, self._office, self._watch = store, office, Watch(office, witness)
        self._witness, self._several = witness, several
        self._on_commit: list[Callable[[frozenset[int]], None]] = []
        self._on_sealed: list[Callable[[int, bytes, Segment], None]] = []
        self._on_refused: list[Callable[[int, int], None]] = []
        self._load({})

    def _load(self, volatile: Mapping[int, Channel]) -> None:
        """Read the books anew, as the database has them. What is not durable of a channel comes from `volatile`."""
        roster = self._office.roster
        with self._store.read() as conn:
            self._books = bookkeeping.load(conn, self._office.me, roster.federation, roster.environment)
            self._read_agreements(conn)
            for peer, remembered in volatile.items():
                # Not as it was: a transaction whose end is in doubt may stand.
                if peer in self._books.channels:
                    self._books.channels[peer] = self._books.channels[peer].with_volatile_of(remembered)
            known = self._books.history
            if self._several is not None:
                known = self._several.read(conn, self._books, self._witness, roster.federation)
        proposed = [channel.proposal.number for channel in self._books.channels.values()]
        self._books.epoch = max(self._watch.epoch, *proposed, 0)
        if cause := self._watch.cause(known):
            self._restored(cause)
            known = self._books.history
        self._watch.keep(known, self._books.epoch)
        self._dirty = False
        self._publish()

    def _read_agreements(self, conn: Connection) -> None:
        self._agreed = agreements.stamp(conn)
        self._office.agreements.load(agreements.load(conn))

    def _restored(self, cause: str) -> None:
        """The database is not the one that was there: whatever this process thought it had with a peer is void."""
        log.critical("recovering", region=self._office.me, cause=cause)
        with self._store.write() as conn:
            before = self._books.channels
            self._books = bookkeeping.load(conn, self._office.me, *self._books.domain)
            self._books.epoch = self._watch.epoch
            for peer, channel in self._books.channels.items():  # whatever was being sent begins again
                if peer in before:
                    self._books.channels[peer] = replace(channel, rewinds=before[peer].rewinds + 1)
            batch = self._batch(conn)
            history.begin_lineage(batch, self._office, cause)
            self._finish(batch)
        self._books.history = replace(self._books.history, commits=self._books.history.commits + 1)

    def _batch(self, conn: Connection) -> Batch:
        # First of all: whatever the books say about another database is wrong.
        if self._several is None:
            check_count(self._books.history, *counting.count(conn))
        else:
            counted, before = self._several.count(conn), self._books
            self._books = self._several.catch_up(conn, before, *counted)
            check_count(self._books.history, *counted)
            if self._books is not before and agreements.stamp(conn) != self._agreed:
                self._read_agreements(conn)
        now_ms = self._office.clock()
        return Batch(conn, self._books, now_ms, self._office.today(now_ms))

    def _finish(self, batch: Batch) -> None:
        batch.flush()
        if batch.branched is not None:
            self._watch.branch(batch.branched, self._books.history.lineage)
        if self._several is not None:
            self._several.tell(batch.conn, batch)

    def _publish(self) -> None:
        self.channels: Mapping[int, Channel] = MappingProxyType(dict(self._books.channels))
        self.history: History = self._books.history

    def on_commit(self, listen: Callable[[frozenset[int]], None]) -> None:
        """Call `listen` after each commit, from the writer's thread, with the peers whose channel changed."""
        self._on_commit.append(listen)

    def on_sealed(self, listen: Callable[[int, bytes, Segment], None]) -> None:
        """Call `listen` after each commit, from the writer's thread, with each segment sealed: peer, root, segment."""
        self._on_sealed.append(listen)

    def on_refused(self, listen: Callable[[int, int], None]) -> None:
        """Call `listen` after each commit, from the writer's thread, with how many frames of a peer were in vain."""
        self._on_refused.append(listen)

    def commit(self, commands: Sequence[Any]) -> list[Any]:
        """Decide commands in their order and commit them together.

        Returns, for each, its answer or the exception that refused or failed it. Raises Unavailable when the database
        could not commit: nothing was done, unless it says that it is in doubt.
        """
        try:
            return self._commit(commands)
        except Unavailable:
            raise
        except Exception as fault:
            # One command that trips over a fault of ours must not take the others with it.
            if len(commands) == 1:
                _report(commands[0], fault)
                raise
            half = len(commands) // 2
            return [*self._part(commands[:half]), *self._part(commands[half:])]

    def _part(self, commands: Sequence[Any]) -> list[Any]:
        try:
            return self.commit(commands)
        except Exception as fault:
            return [fault] * len(commands)

    def _commit(self, commands: Sequence[Any]) -> list[Any]:
        if self._dirty:
            self._reload(self.channels)
        office, before = self._office, self.channels
        self._dirty = True
        try:
            with self._store.write() as conn:
                batch = self._batch(conn)
                wishes = Wishes()
                for command in commands:
                    HANDLERS[type(command)].wishes(command, office, wishes)
                batch.load(wishes)
                answers = [self._decide(command, batch) for command in commands]
                history.settle(batch, office)
                seal.seal(batch)
                self._finish(batch)
        except BaseException:
            with suppress(Unavailable):  # a database that is gone is read when it is back
                self._reload(before)
            raise
        self._books.history = replace(self._books.history, commits=self._books.history.commits + 1)
        self._watch.keep(self._books.history, self._books.epoch)
        self._dirty = self._several is not None and self._several.done(commands)
        changed = frozenset(p for p, c in self._books.channels.items() if before.get(p) is not c)
        self._publish()
        for listen_sealed in self._on_sealed:
            for segment in batch.sealed:
                _tell(listen_sealed, *segment)
        for listen_refused in self._on_refused:
            for refused in batch.refused.items():
                _tell(listen_refused, *refused)
        for listen in self._on_commit:
            _tell(listen, changed)
        return answers

    def _reload(self, volatile: Mapping[int, Channel]) -> None:
        try:
            self._load(volatile)
        except BadInput as abandoned:  # what took over must not be used, and may be replaced while this process waits
            raise DatabaseGone(str(abandoned)) from abandoned

    def _decide(self, command: Any, batch: Batch) -> Any:
        if self._office.doubled:
            return doubled.refusal(self._office)
        if self._several is not None and (not_here := self._several.refusal(command)):
            return not_here
        try:
            return HANDLERS[type(command)].decide(command, self._office, batch)
        except (PeerFault, Refused, BadInput, Recovering) as refusal:
            # Raised before anything was changed. A fault of ours may come later, and takes the batch with it.
            return refusal

    @property
    def seals(self) -> bool:
        """Whether this process numbers messages and talks with peers: always, unless it is one of several."""
        return self._several is None or self._several.seals

    @property
    def sealer(self) -> str:
        """The name of the process that does, as far as this one knows; empty where there is only one."""
        return self._several.sealer if self._several is not None else ""

    @property
    def backlogs(self) -> Mapping[int, int]:
        """Per peer, how many messages wait to be numbered."""
        return self._books.outboxes


def _report(command: Any, fault: Exception) -> None:
    """Log where it failed; never the values around it, which may be a resident's."""
    place = "".join(traceback.format_tb(fault.__traceback__)[-3:])
    log.error("command_failed", command=type(command).__name__, error=type(fault).__name__, place=place)


_Job = tuple[Sequence[Any], "Future[list[Any]]"]
_PATIENT: _Job = ((), Future())  # something patient was handed in


def shared_out(jobs: Sequence[_Job]) -> tuple[list[_Job], list[_Job]]:
    """The jobs for this batch, and those for the next: a peer has at most FRAMES_PER_PEER frames in one, or a single
    envelope, so that nobody waits long for the envelopes of another. Each peer's stay in their order."""
    taken: dict[int, int] = {}
    now, later = list[_Job](), list[_Job]()
    for job in jobs:
        command = job[0][0] if len(job[0]) == 1 else None
        if not isinstance(command, receive.Receive):
            now.append(job)
            continue
        before = taken.get(command.peer, 0)
        taken[command.peer] = before + len(command.frames)
        if before and taken[command.peer] > FRAMES_PER_PEER:
            taken[command.peer] = FRAMES_PER_PEER  # whatever follows it waits with it
            later.append(job)
        else:
            now.append(job)
    return now, later


class WriterThread:
    """Runs a writer in a thread of its own; callers hand it lists of commands and get futures."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._on_batch: list[Callable[[int, float], None]] = []
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._patient: collections.deque[_Job] = collections.deque()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, commands: Sequence[Any]) -> Future[list[Any]]:
        """Commit these commands, together with whatever else is waiting. The future holds :meth:`Writer.commit`'s.

        What was handed in is done, whether or not somebody still waits for the answer: the future cannot be cancelled.
        """
        future: Future[list[Any]] = Future()
        future.set_running_or_notify_cancel()
        self._queue.put((commands, future))
        return future

    def submit_patiently(self, commands: Sequence[Any]) -> Future[list[Any]]:
        """As :meth:`submit`, for what nobody waits for: it rides with the next batch, or goes alone soon after.

        A receipt costs no commit of its own that way. What waits has a place in the order of its own kind only.
        """
        future: Future[list[Any]] = Future()
        future.set_running_or_notify_cancel()
        self._patient.append((commands, future))
        self._queue.put(_PATIENT)
        return future

    def on_batch(self, listen: Callable[[int, float], None]) -> None:
        """Call `listen` after each batch, from the writer's thread, with its commands and the seconds it took."""
        self._on_batch.append(listen)

    def stop(self) -> None:
        """Finish the batch in hand and everything handed in before, then end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        last, later = False, list[_Job]()
        while later or not last:
            jobs = list(later)
            last = last or self._gather(jobs)
            patient = [self._patient.popleft() for _ in range(len(self._patient))]
            now, later = shared_out([*patient, *jobs])
            if now:
                self._commit(now)

    def _gather(self, jobs: list[_Job]) -> bool:
        """Add what waits to `jobs`, or wait for the first of them. True: there will be no more."""
        try:
            job = self._queue.get(block=not jobs)
            if job is _PATIENT and not jobs:
                job = self._queue.get(timeout=PATIENCE_S)
            while job is not None:
                if job is not _PATIENT:
                    jobs.append(job)
                if sum(len(commands) for commands, _ in jobs) >= COMMANDS_PER_BATCH:
                    return False
                job = self._queue.get_nowait()
        except queue.Empty:
            return False
        return True

    def _commit(self, jobs: list[tuple[Sequence[Any], Future[list[Any]]]]) -> None:
        every = [command for commands, _ in jobs for command in commands]
        started = time.perf_counter()
        try:
            answers = self.writer.commit(every)
        except Exception as failure:
            for _, future in jobs:
                future.set_exception(failure)
            return
        took_s = time.perf_counter() - started
        at = 0
        for commands, future in jobs:
            future.set_result(answers[at : at + len(commands)])
            at += len(commands)
        for listen in self._on_batch:
            _tell(listen, len(every), took_s)


def _tell(listen: Callable[..., None], *what: Any) -> None:
    """A listener that fails must not make what is committed look undone."""
    try:
        listen(*what)
    except Exception:
        log.exception("listener_failed")
