"""One region of the simulation: its production code, its disk, and the commands that wait for its writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.protocol import codec, merkle
from gateway.protocol.channel import Channel, is_open
from gateway.protocol.errors import ProtocolError
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Envelope, Fault, Head, Message, Signed
from node.errors import Recovering, Unavailable
from node.services import founding
from node.services.handshake import Begin
from node.witness import begin
from tests.federation import Clock, TestRegion
from tests.simulation.backups import Shelf, SimWitness
from tests.simulation.disk import Crash, Disk
from tests.simulation.violation import Violation


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A command that waits, and who wants to know what came of it."""

    command: Any
    peer: int = 0  # the region whose message it was; 0 = somebody at home
    told: Callable[[Any], None] | None = None  # called with the answer once it is committed, unless the process dies
    honest: bool = True  # whether the message came as an honest region sent it

    def __str__(self) -> str:
        return f"{type(self.command).__name__}" + (f" from {self.peer}" if self.peer else "")


class SimRegion(TestRegion):
    """See the module. Its own failures (anything but an answer, a refusal or Unavailable) are violations."""

    def __init__(
        self, code: int, signed_roster: Signed, terms: dict[tuple[int, int, str], Terms], *, clock: Clock, seed: object
    ) -> None:
        self.disk = Disk()
        self.inbox: list[Job] = []
        self.starts = 0
        self.shelf = Shelf()
        self.has_lost_witness = False
        self.odd = False  # it was made to say what no service says
        super().__init__(code, signed_roster, terms, store=self.disk, clock=clock, seed=seed)  # type: ignore[arg-type]

    def start(self) -> None:
        """A new process over the same database: what waited in the old one is gone."""
        self.inbox.clear()
        self.seen: dict[int, Channel] = {}  # channels as somebody in this process has read them
        self.starts += 1
        while True:
            try:
                super().start()
                return
            except (Crash, Unavailable):  # it dies as it starts, or what it needs is not there: it is started again
                self.disk.gone = False

    def watch(self) -> None:
        """From now on a witness outside the database tells of a restore."""
        history = self.writer.history
        self.witness = self.kept = SimWitness(begin(self.code, history.lineage))
        self.start()

    def lose_witness(self) -> None:
        """The file is gone: the next process finds none, and no void backup can be told from a good one."""
        self.has_lost_witness = True
        self.witness = self.kept = SimWitness()

    def put_back(self, copy: sqlite3.Connection) -> None:
        """A process starts on another database. Raises BadInput where that must not be used."""
        self.disk.gone, self.disk.fault, self.kept.fails = False, None, None
        copy.backup(self.disk.driver)
        with self.disk.store.read() as conn:
            self.office.roster = founding.trust(conn, [])
        self.start()

    def is_in_doubt(self) -> bool:
        """Whether the process does not know yet what its last commit has become."""
        return bool(self.rows("SELECT commits FROM history")[0][0] != self.writer.history.commits)

    def is_behind(self, peer: int) -> bool:
        """Whether the region was restored and what the peer holds has not come back yet."""
        history = self.writer.history
        return history.recovering and peer not in history.merged

    def adopt(self, rosters: Sequence[Signed]) -> None:
        """Take newer rosters in, as the transport hands them over."""
        with self.disk.store.write() as conn:
            self.office.roster = founding.trust(conn, rosters)

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """What a query finds in the committed database."""
        return self.disk.driver.execute(sql, parameters).fetchall()

    def changes(self) -> int:
        """Rows ever changed, those apart in which transactions are counted."""
        return int(self.rows("SELECT total_changes() - commits FROM history")[0][0])

    def channel(self, peer: int) -> Channel | None:
        """The channel as last committed."""
        return self.writer.channels.get(peer)

    def ask(self, peer: int) -> Job:
        """What the transport asks when a stream opens, and when an answer does not come."""
        return Job(command=Begin(peer=peer), peer=peer)

    def commit(self, count: int) -> list[tuple[Job, list[Message]]]:
        """Commit the first `count` jobs as one group. Returns, per message, what goes back to its sender.

        Raises Unavailable, where all of them are lost and nothing was done (or it is in doubt), and Crash.
        """
        jobs, self.inbox = self.inbox[:count], self.inbox[count:]
        try:
            answers = self.writer.commit([job.command for job in jobs])
        except Unavailable:
            raise
        except Exception as fault:
            raise Violation(f"{self.code} trips over {', '.join(map(str, jobs))}: {fault!r}") from fault
        if self.office.doubled and self.has_lost_witness:
            self.start()  # with its witness it forgot what it proposed when its clock was ahead: people start it anew
            return []
        if len(answers) != len(jobs):
            raise Violation(f"{self.code} gives {len(answers)} answers to {len(jobs)} commands")
        said = []
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Exception) and not isinstance(answer, ProtocolError | Recovering):
                raise Violation(f"{self.code} trips over {job}: {answer!r}") from answer
            if job.peer:
                said.append((job, self._answers(job, answer)))
            elif job.told is not None:
                job.told(answer)
        return said

    def _answers(self, job: Job, answer: Any) -> list[Message]:
        try:
            messages = self.exchange.answers(self.channel(job.peer), answer)
        except ProtocolError as fault:
            if job.honest:
                raise Violation(f"{self.code} rejects an honest {job}: {fault!r}") from fault
            return []
        if job.honest and any(isinstance(m, Fault) for m in messages):
            raise Violation(f"{self.code} calls an honest {job} malformed: {answer!r}")
        return messages

    def cut(self, peer: int, first: int, size: int) -> Envelope | None:
        """Frames first .. size-1 as another implementation might send them: cut anywhere, signed now."""
        channel = self.channel(peer)
        if channel is None or not is_open(channel) or not 0 <= first < size <= channel.size:
            return None
        frames, bodies = self.frames(self.code, peer)
        start = merkle.Frontier().extend(merkle.leaf_hashes(frames[:first]))
        end = start.extend(merkle.leaf_hashes(frames[first:size]))
        head = Head(
            log=channel.out,
            epoch=channel.epoch,
            first=first,
            first_root=start.root(),
            size=size,
            root=end.root(),
            suite=self.office.signing_key.suite,
            roster_version=self.office.roster.version,
            signed_at_ms=self.clock(),
        )
        signed = self.office.signing_key.sign(codec.HEAD, codec.encode_payload(head))
        return Envelope(head=signed, frames=tuple(frames[first:size]), bodies=tuple(bodies[first:size]))

    def frames(self, source: int, destination: int, start: int = 0) -> tuple[list[bytes], list[bytes]]:
        """Frames and bodies of a log from number `start` on, as stored."""
        frames: list[bytes] = []
        bodies: list[bytes] = []
        at = None
        for first, size, packed, apart in self.rows(
            "SELECT s.first, s.size, s.frames, b.bodies FROM log l JOIN segment s ON s.log = l.no "
            "LEFT JOIN body b ON b.log = s.log AND b.first = s.first "
            "WHERE l.source = ? AND l.destination = ? AND s.size > ? ORDER BY s.first",
            source, destination, start,
        ):  # fmt: skip
            run, its = codec.unpack_frames(packed), codec.unpack_bodies(apart or b"")
            if (at is not None and first != at) or size - first != len(run) or (at is None and first > start):
                raise Violation(f"{self.code}: the log {source}->{destination} has a hole before {first}")
            skip = max(0, start - first)
            frames += run[skip:]
            bodies += its[skip:]
            at = size
        return frames, bodies
