"""The writer's side of the witness: what it is told after each commit, and before anybody is answered."""

from __future__ import annotations

from node import witness
from node.errors import DatabaseGone
from node.services.office import Office
from node.store.history import History
from node.witness import Witness


class Watch:
    """Without a witness nothing is compared: a simulation, or a test that restores nothing."""

    def __init__(self, office: Office, kept: Witness | None) -> None:
        self._office, self._witness = office, kept

    @property
    def epoch(self) -> int:
        """The highest epoch number this region ever proposed, as far as anybody remembers."""
        kept = self._witness.kept if self._witness is not None else None
        return kept.epoch if kept is not None else 0

    def cause(self, history: History) -> str:
        """Why the database is not whole; empty when it is. Raises BadInput for one that must not be used."""
        if self._witness is None:
            return ""
        return witness.judge(
            self._witness.kept,
            self._witness.fault,
            region=self._office.me,
            federation=self._office.roster.federation,
            lineage=history.lineage,
            commits=history.commits,
        )

    def branch(self, before: tuple[bytes, int], lineage: bytes) -> None:
        """A new lineage begins behind `before`, as soon as the transaction under way commits. Raises WitnessFailed."""
        if self._witness is not None:
            old, commits = before
            branched = witness.branch(
                self._witness.kept,
                region=self._office.me,
                federation=self._office.roster.federation,
                lineage=old,
                commits=commits,
                new=lineage,
            )
            self._witness.write(branched)

    def keep(self, history: History, epoch: int) -> None:
        """So far the database has come. Raises WitnessFailed: then nobody may be answered."""
        if self._witness is None or self._witness.kept is None:
            return
        federation = self._office.roster.federation
        kept = witness.keep_up(self._witness.kept, federation=federation, commits=history.commits, epoch=epoch)
        if kept != self._witness.kept:
            self._witness.write(kept)


def check_count(history: History, commits: int, lineage: bytes) -> None:
    """Whether the database under this transaction is the one that the books were read from. Raises DatabaseGone.

    It is not when another one took over in between: a standby that lagged, for instance. The books are read anew.
    """
    if (commits, lineage) != (history.commits + 1, history.lineage):
        raise DatabaseGone(
            f"the database is at commit {commits - 1}, and this process left it at {history.commits}: another database "
            "has taken over, or another process works on it. Try again."
        )
