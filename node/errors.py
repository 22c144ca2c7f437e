"""Errors of one region's own software, split by blame.

NodeError
├── BadInput          what the operator gave cannot be used; nothing was done, and the message says what to do
│   ├── SamePerson    what takes two people was asked for twice by one
│   └── BadFile       a file, at a line and column
└── Unavailable       infrastructure (disk, database, network) failed; the same call may work later
    ├── Stopped       this process serves no more: another instance runs as the region
    ├── NotSealer     another process of the region does this
    ├── Recovering    this debit waits until the region is whole again after a restore
    ├── WitnessFailed the file that tells a restore from a start cannot be used
    ├── DatabaseBusy  locked by somebody else
    ├── DatabaseFull  no room on its disk
    └── DatabaseGone  cannot be reached, read or written; perhaps in doubt

Faults of a peer and business refusals are errors of :mod:`gateway.protocol.errors`.
"""

from __future__ import annotations

from pathlib import Path


class NodeError(Exception):
    """Base of all errors of this package."""


class BadInput(NodeError, ValueError):
    """What the operator gave cannot be used."""


class SamePerson(BadInput):
    """What takes two people was asked for twice by one."""


class BadFile(BadInput):
    """A file that cannot be used. Nothing of it was.

    The message never quotes what stands in a cell: a shifted column may hold somebody's identity number.
    """

    def __init__(self, path: Path, line: int | None, column: str | int | None, what: str, do: str) -> None:
        self.path = path
        self.line = line  # counted from 1; None: the whole file
        self.column = column  # a column's name, or the character in the line counted from 1
        self.what = what  # is wrong; continues "file, line, column: "
        self.do = do  # a whole sentence that says how to put it right
        place = [str(path)]
        if line is not None:
            place.append(f"line {line}")
        if column is not None:
            place.append(f"column {column}")
        super().__init__(f"{', '.join(place)}: {what}. {do}")

    def __reduce__(self) -> tuple[type[BadFile], tuple[Path, int | None, str | int | None, str, str]]:
        """Keep the parts when it crosses a process boundary."""
        return BadFile, (self.path, self.line, self.column, self.what, self.do)


class Unavailable(NodeError):
    """Disk, database or network failed; nothing was done (but see DatabaseGone), and the same call may work later."""


class Stopped(Unavailable):
    """Another instance runs as this region; this process does nothing more until it is started anew."""


class NotSealer(Unavailable):
    """One process of several talks with other regions, and it is not this one. Nothing was done."""


class Recovering(Unavailable):
    """The region was restored and is not whole: no resident is debited. Nothing was decided under the key."""


class WitnessFailed(Unavailable):
    """The witness cannot be read or written. What was under way is in doubt: it may stand in the database."""


class DatabaseBusy(Unavailable):
    """Somebody else holds the database or its rows; the transaction was rolled back."""


class DatabaseFull(Unavailable):
    """No room left for the database; the transaction was rolled back."""


class DatabaseGone(Unavailable):
    """The database cannot be reached, read or written.

    `in_doubt`: it went away during the commit, so the transaction may or may not stand. Read before doing it again.
    """

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        self.in_doubt = in_doubt
        super().__init__(message)
