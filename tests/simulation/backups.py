"""What is kept of a region outside its database: its witness, and backups of which some are void."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from node.errors import WitnessFailed
from node.witness import Kept, WitnessInMemory
from tests.simulation.disk import Crash, When


class SimWitness(WitnessInMemory):
    """A witness whose next write meets a fault: the process dies before or after it, or is told that it failed."""

    fails: When | None = None

    def write(self, kept: Kept) -> None:
        fails, self.fails = self.fails, None
        if fails is When.WITHIN:
            raise WitnessFailed("no room left for the witness")
        if fails is When.BEFORE_COMMIT:
            raise Crash
        super().write(kept)
        if fails is When.AFTER_COMMIT:
            raise Crash


@dataclass
class Backup:
    """A copy of a database. `void`: of a history that the region has left since."""

    copy: sqlite3.Connection
    at: tuple[bytes, int]  # lineage, and commits so far
    void: bool = False


@dataclass
class Shelf:
    """The backups of one region, oldest first."""

    backups: list[Backup] = field(default_factory=list)

    def put(self, driver: sqlite3.Connection) -> Backup:
        """Copy a database."""
        backup = Backup(copied(driver), driver.execute("SELECT lineage, commits FROM history").fetchone())
        self.backups.append(backup)
        return backup

    def went_back_to(self, backup: Backup) -> None:
        """Whatever was taken after it is of a history that was left."""
        for later in self.backups[self.backups.index(backup) + 1 :]:
            later.void |= later.at != backup.at


def copied(driver: sqlite3.Connection) -> sqlite3.Connection:
    """The database as it is now."""
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    driver.backup(copy)
    return copy
