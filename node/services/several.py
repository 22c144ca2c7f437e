"""What a writer does more when it is one of several processes that work on one region's PostgreSQL.

Transactions of all of them come one after another: each begins by locking the row of the history. Whoever finds that
another one has committed since reads the books again before it decides. One process at a time has the sealer's seat:
it alone numbers messages, hears peers and answers them. What the others decide to say waits in the outbox for it.

Whose the seat is stands in the database and changes in a transaction only. So a process that slept while another took
over finds out, under the lock, before it can number anything; and one whose transaction comes right after its own last
one knows without asking that nobody has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Connection

from gateway.protocol.values import NO_EPOCH
from node import witness
from node.errors import NotSealer
from node.services.command import handles
from node.services.forks.repair import Agree, HearRepair, SayRepair
from node.services.handshake import Begin, Hear, HearReceipt
from node.services.keys.revocation import JudgeKeys
from node.services.office import Office
from node.services.receive import Receive
from node.services.recovery.merge import Returned
from node.services.resolution import Close, Resolve
from node.store import following, processes
from node.store.batch import Batch, Wishes
from node.store.books import Books
from node.store.history import History
from node.witness import OPEN, Kept, Link, Witness

SEALERS = frozenset(
    {Begin, Hear, HearReceipt, Receive, Returned, Agree, SayRepair, HearRepair, Close, Resolve, JudgeKeys}
)
"""Commands that change channels: the sealer's alone."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sit:
    """Take the sealer's seat for this process, or with an empty token leave it. Whoever had it has it no longer."""

    process: str
    token: str


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Looks at no account."""


@handles(Sit, _nothing)
def sit(command: Sit, office: Office, batch: Batch) -> None:
    """It takes effect with the transaction after this one."""
    processes.take_seat(batch.conn, command.process, command.token)


class Several:
    """This process among the others. For the writer's thread; `seals` and `sealer` may be read from any."""

    def __init__(self, name: str) -> None:
        """`name`: the process's own, the same at every start, and nobody else's."""
        self.name = name
        self.sealer = ""  # whose the seat is, as far as this process has seen
        self._token = ""  # of the seat this process took; empty while it has none
        self._lineage = b""

    @property
    def seals(self) -> bool:
        """Whether the seat is this process's, as far as it knows."""
        return bool(self._token)

    # -- each transaction -------------------------------------------------------------------------------------------

    def count(self, conn: Connection) -> tuple[int, bytes]:
        """As :func:`node.store.history.count`: one more transaction, after those of all other processes."""
        return processes.count(conn, self.name)

    def catch_up(self, conn: Connection, books: Books, commits: int, lineage: bytes) -> Books:
        """The books as the transactions of others have left them, where there were any.

        Where the lineage is another or the count has fallen, the books stay as they are: that is for the caller to
        notice, and nothing that others did.
        """
        known = books.history
        if lineage != known.lineage or commits <= known.commits + 1:
            return books
        self._look(conn)
        books = following.follow(conn, books, seals=self.seals)
        books.history = replace(books.history, commits=commits - 1)  # without the one under way
        if not self.seals:
            self._rest(books)
        return books

    def _look(self, conn: Connection) -> processes.Seen:
        seen = processes.look(conn, self.name)
        self.sealer = seen.sealer if seen.token else ""
        if self._token and seen.token != self._token:
            log.warning("seat_lost", process=self.name, sealer=seen.sealer)
            self._token = ""
        return seen

    def _rest(self, books: Books) -> None:
        """Nothing is under way on any channel of a process that has no seat."""
        for peer, channel in books.channels.items():
            if channel.ready or channel.proposal != NO_EPOCH:
                books.channels[peer] = following.at_rest(channel)

    def tell(self, conn: Connection, batch: Batch) -> None:
        """Let the others know, once this is committed, and whether there is something to number."""
        self._lineage = batch.books.history.lineage
        processes.notify(conn, self.name, waits=bool(batch.waiting) and not self.seals)

    def refusal(self, command: Any) -> NotSealer | None:
        """Why this process does not decide a command; None where it does."""
        if self.seals or type(command) not in SEALERS:
            return None
        where = f"process {self.sealer!r}" if self.sealer else "another process"
        return NotSealer(f"{where} talks with other regions, and this is {self.name!r}: ask that one, or again shortly")

    def done(self, commands: Sequence[Any]) -> bool:
        """After a commit: whether it gave this process the seat or took it away, so that the books are read anew."""
        sat = [command for command in commands if type(command) is Sit]
        for command in sat:
            self._token = command.token
        return bool(sat)

    # -- reading the books anew -------------------------------------------------------------------------------------

    def read(self, conn: Connection, books: Books, kept: Witness | None, federation: bytes) -> History:
        """The history to compare with this process's own witness: how far it had come itself, not all together.

        A database that lacks what this process committed is noticed also where others have gone on with it since.
        """
        seen = self._look(conn)
        history = books.history
        if history.lineage != self._lineage or not self.seals:  # a restore began it: every peer is asked again
            self._lineage = history.lineage
            self._rest(books)
        own = replace(history, commits=seen.own if seen.own is not None else history.commits)
        if kept is None:
            return own
        if kept.kept is None and kept.fault == "missing" and seen.own is None and seen.others:
            first = (Link(history.lineage, OPEN),)  # a process that joins: it has told nobody anything yet
            kept.write(Kept(region=books.me, federation=federation, chain=first, commits=own.commits))
        elif kept.kept is not None and history.lineage not in dict(kept.kept.chain):
            chain = descended(kept.kept.chain, history.lineage, processes.ancestors(conn, history.lineage))
            if chain:  # another process has noticed a restore, and the region recovers, or has recovered
                kept.write(replace(kept.kept, chain=chain, commits=own.commits))
        return own


def descended(chain: Sequence[Link], lineage: bytes, ancestors: Sequence[tuple[bytes, int]]) -> tuple[Link, ...]:
    """The chain of a witness, continued to a lineage that grew out of it; empty where it did not."""
    names = [link.lineage for link in chain]
    later: list[Link] = [Link(lineage, OPEN)]
    for before, commits in ancestors:
        later.insert(0, Link(before, commits))
        if before in names:
            at = names.index(before)
            return (*chain[:at], *later)[-witness.LINEAGES :] if commits <= chain[at].until else ()
    return ()
