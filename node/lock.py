"""One node at a time for a region: two that do not know of each other would contradict each other's signatures.

A lock on a file of the directory keeps out a second process on this machine. Where the database is a PostgreSQL, which
another machine can reach too, a lock in the database keeps that one out. Processes that do know of each other, because
each has a name in its configuration, share that lock and keep out the others, and a second one of the same name.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import psycopg
from sqlalchemy import make_url

from node.config import Config
from node.errors import DatabaseGone, Unavailable

FILE = "serve.lock"
_NAMES = 0x6875746F  # half of the number of a lock; the other half follows from the name of a process
_LOCK = 0x6875746F6E68  # beside the one for migrations; advisory locks count within one database


class Held(Unavailable):
    """Somebody else runs this region's node."""


class Hold:
    """What keeps others out, for as long as it is asked now and then whether it still does."""

    def __init__(self, url: str, file: TextIO, process: str = "") -> None:
        """`process`: the name of this one among several; empty for one that works alone."""
        self._url, self._file, self._process = url, file, process
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def keeps(self) -> bool:
        """Whether the database still keeps others out; a lock that a lost connection took along is taken again.

        False when the database cannot be asked now. Raises Held when somebody else has come in between.
        """
        if not self._url:
            return True
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.execute("SELECT 1")
                return True
            self.close()
        with suppress(psycopg.OperationalError):
            self.take()
            return True
        return False

    def take(self) -> None:
        """Take the lock in the database. Raises Held, or psycopg's OperationalError when it cannot be reached."""
        if not self._url:
            return
        connection = psycopg.connect(self._url, autocommit=True, application_name="hutong serve", keepalives_idle=30)
        way = "_shared" if self._process else ""
        taken = connection.execute(f"SELECT pg_try_advisory_lock{way}(%s)", (_LOCK,)).fetchone()
        if taken is None or not taken[0]:
            holder = connection.execute(
                "SELECT coalesce(a.client_addr::text, 'this machine') || ', backend ' || l.pid FROM pg_locks l "
                "LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
                "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                "AND (l.classid::bigint << 32 | l.objid::bigint) = %s",
                (_LOCK,),
            ).fetchone()
            connection.close()
            where = f" ({holder[0]})" if holder is not None else ""
            raise Held(
                f"another `hutong serve` works on this database{where}; stop that one first, or give every one of them "
                "a name: `process` in hutong.toml"
            )
        if self._process:
            name = zlib.crc32(self._process.encode()) - (1 << 31)
            taken = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_NAMES, name)).fetchone()
            if taken is None or not taken[0]:
                connection.close()
                raise Held(
                    f"another `hutong serve` is the process {self._process!r} of this region; give this one another "
                    "name: `process` in hutong.toml"
                )
        self._connection = connection

    def tell(self, address: str) -> None:
        """Let commands on this machine know at which host:port the HTTP API is."""
        self._file.write(f"{address}\n")
        self._file.flush()

    def close(self) -> None:
        """Let others in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


@contextmanager
def hold(config: Config, *, process: str = "") -> Iterator[Hold]:
    """Be the only node of the region, or the only process of that name. Raises Held, saying who is, or DatabaseGone."""
    with _file(config.directory / FILE) as file:
        held = Hold(driver_url(config.database), file, process)
        try:
            held.take()
        except psycopg.OperationalError as error:
            raise DatabaseGone(f"the database cannot be reached ({str(error).strip().splitlines()[0]})") from error
        try:
            yield held
        finally:
            held.close()


def serving_at(directory: Path) -> str:
    """The host:port that the node of the directory told last; empty when it told none."""
    with suppress(OSError, UnicodeDecodeError):
        return (directory / FILE).read_text(encoding="ascii").partition("\n")[2].strip()
    return ""


def driver_url(url: str) -> str:
    """The URL as the driver takes it; empty for another kind of database."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        return ""
    return parsed.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    """The file stays when the process ends, whichever way; the lock does not."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = file.readline().strip() or "?"
            raise Held(
                f"{path.parent}: another `hutong serve` runs here (process {pid}); stop that one first"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file
