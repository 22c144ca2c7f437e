"""Backups of a region's database: one file (or, of PostgreSQL, one directory) and beside it what it is.

What it is, the manifest, is written last: a backup without one was cut short. It names the history that the backup
belongs to, so that a restore can tell whether the region has since gone on in another one. Secrets, configuration and
witness are not part of a backup, and must not be kept with it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Connection, inspect, make_url, select

from node.errors import BadInput, DatabaseFull, Unavailable
from node.services import founding
from node.store import history, schema
from node.store.engine import Store, driver_connection

MANIFEST = ".json"
"""Appended to the name of the backup."""
DIRECTORY = "backups"
"""Below the region's directory, unless another place is named."""

_PAGES = 2048  # of SQLite, at a time
_SPARE = 16 << 20  # bytes that must be left on the disk of a backup

CHUNK = 1 << 20
"""Bytes read or written at a time."""

Tell = Callable[[int, int], None]
"""Told how much is done, of how much."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup is. Hashes and lineages are hexadecimal."""

    hutong_backup: int = 1  # version of this format
    kind: str  # "sqlite" or "postgresql"
    region: int
    federation: str  # hash of the genesis roster; empty where no roster was trusted yet
    lineage: str
    commits: int  # of the writer, at least
    commits_until: int  # and at most
    at_ms: int
    bytes: int  # of PostgreSQL: of its own manifest
    sha256: str


def nobody(done: int, total: int) -> None:
    """Told how far it is; does not care."""


# -- what a database is -----------------------------------------------------------------------------------------------


class Belongs(msgspec.Struct, frozen=True, kw_only=True):
    """Whose database it is, and how far its history has come."""

    region: int
    federation: bytes
    lineage: bytes
    commits: int


def belongs(conn: Connection) -> Belongs:
    """Whose database this is. Raises BadInput where it is no region's."""
    if not inspect(conn).has_table(schema.history.name):
        raise BadInput(
            "the database is no region's, or an earlier version's: a start of `hutong serve` brings that up to date"
        )
    owner = conn.scalar(select(schema.meta.c.value).where(schema.meta.c.name == "region"))
    if owner is None:
        raise BadInput("the database belongs to no region")
    found = history.load(conn)
    federation = b""
    if conn.scalar(select(schema.roster.c.version).limit(1)) is not None:
        federation = founding.trust(conn, ()).federation
    return Belongs(region=int(owner), federation=federation, lineage=found.lineage, commits=found.commits)


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for another kind of database."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


# -- taking -----------------------------------------------------------------------------------------------------------


def take(store: Store, target: Path, now_ms: int, tell: Tell = nobody) -> Manifest:
    """Copy an SQLite database as it is at this moment, while others write to it. Returns what was copied.

    The file appears under its name whole and on the disk, or not at all. Raises BadInput where the name is taken,
    Unavailable where the disk is full or fails: nothing is left behind.
    """
    check_free(target)
    with store.read() as conn:  # one snapshot: what is written meanwhile does not make the copy begin anew
        what = belongs(conn)
        source: sqlite3.Connection = driver_connection(conn)
        size = source.execute("PRAGMA page_count").fetchone()[0] * source.execute("PRAGMA page_size").fetchone()[0]
        check_room(target, size)
        with written_beside(target) as partial:
            _copy(source, partial, tell)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            length, digest = fingerprint(partial)
            name(partial, target)
    return manifest_of(what, "sqlite", what.commits, now_ms, length, digest, target)


def manifest_of(
    what: Belongs, kind: str, commits_until: int, now_ms: int, length: int, digest: str, target: Path
) -> Manifest:
    """Write the manifest of a backup that is on the disk."""
    manifest = Manifest(
        kind=kind,
        region=what.region,
        federation=what.federation.hex(),
        lineage=what.lineage.hex(),
        commits=what.commits,
        commits_until=commits_until,
        at_ms=now_ms,
        bytes=length,
        sha256=digest,
    )
    with written_beside(beside(target)) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        name(partial, beside(target))
    return manifest


def beside(target: Path) -> Path:
    """Where the manifest of a backup lies."""
    return target.with_name(target.name + MANIFEST)


def check_free(target: Path) -> None:
    """Raises BadInput for a name that is taken."""
    for path in (target, beside(target)):
        if path.exists():
            raise BadInput(f"{path} exists already; name another file")


def check_room(target: Path, size: int) -> None:
    """Raises DatabaseFull where so many bytes would not fit beside `target`."""
    place = os.statvfs(target.parent)
    if place.f_bavail * place.f_frsize < size + _SPARE:
        raise DatabaseFull(
            f"{target.parent}: {size >> 20} MiB are needed and {place.f_bavail * place.f_frsize >> 20} MiB are free. "
            "Make room, or name a file on another disk."
        )


def _copy(source: sqlite3.Connection, partial: Path, tell: Tell) -> None:
    try:
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # synchronised once, at the end
            source.backup(copy, pages=_PAGES, progress=lambda _, left, total: tell(total - left, total))
            copy.execute("PRAGMA journal_mode = DELETE")  # a file that needs none beside it
    except sqlite3.Error as error:
        why = f"the backup could not be made ({error}); nothing of it is kept"
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise DatabaseFull(f"{why}. Make room on the disk of {partial.parent}.") from error
        raise Unavailable(f"{why}. Check the disks of the database and of {partial.parent}.") from error


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """A private file beside `target` that is gone at the end, whatever happens."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        yield partial
    finally:
        for leftover in (partial, *partial.parent.glob(f"{partial.name}-*")):
            leftover.unlink(missing_ok=True)


def name(partial: Path, target: Path) -> None:
    """Give a whole file its name, durably; one that has it keeps it."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise BadInput(f"{target} exists already; name another file") from None
    except OSError:  # a file system without a second name for a file
        check_free(target)
        partial.rename(target)
    synchronise(target.parent)


def synchronise(directory: Path) -> None:
    """What was named, renamed or removed there survives a power failure."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def fingerprint(path: Path, tell: Tell = nobody) -> tuple[int, str]:
    """Length and SHA-256 of a file."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            tell(done, total)
    return done, digest.hexdigest()
