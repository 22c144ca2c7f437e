"""What a driver's error means to the operator: busy, full, gone, or a fault of our own."""

from __future__ import annotations

import sqlite3
from typing import cast

import psycopg
from sqlalchemy import exc

from ..errors import DatabaseBusy, DatabaseFull, DatabaseGone, Unavailable

DRIVER_ERRORS = (exc.DBAPIError, exc.TimeoutError, sqlite3.Error, psycopg.Error)
"""Everything that reaches the store when a database fails, through SQLAlchemy or straight from the driver."""

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_GONE = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}

# SQLSTATE: PostgreSQL documentation, appendix A.
_PG_BUSY = {"40001", "40P01", "53300", "55P03", "57014"}  # serialization, deadlock, connections, lock wait, cancelled
_PG_FULL = {"53100"}
_PG_GONE = {"25006", "25P03", "28000", "28P01", "3D000", "57P01", "57P02", "57P03", "57P04", "57P05", "58030", "F0001"}
_PG_GONE_CLASS = "08"  # connection exceptions


def translate(
    error: BaseException, database: str, *, committing: bool = False, reading: bool = False
) -> Unavailable | None:
    """The failure of `database` (a URL without its password) that this error reports.

    None: the database is well, and the error (a refused constraint, wrong SQL, a change made while `reading`) is for
    the caller.
    """
    if isinstance(error, exc.TimeoutError):
        return DatabaseBusy(f"{database}: all connections are in use. Try again.")
    cause: BaseException | None = error
    if isinstance(error, exc.DBAPIError):
        cause = error.orig
    if reading and _is_read_only(cause):
        return None
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(cause, database, committing=committing)
    if isinstance(cause, psycopg.Error):
        return _from_postgresql(cause, database, committing=committing)
    return None


def _is_read_only(cause: BaseException | None) -> bool:
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY
    return isinstance(cause, psycopg.errors.ReadOnlySqlTransaction)


def as_sqlalchemy(error: BaseException) -> BaseException:
    """The same error as SQLAlchemy would have raised it, so that callers need not know which way a statement went."""
    for driver in (sqlite3.Error, psycopg.Error):
        if isinstance(error, driver):
            return cast(BaseException, exc.DBAPIError.instance(None, None, error, driver))
    return error


def _from_sqlite(cause: sqlite3.Error, database: str, *, committing: bool) -> Unavailable | None:
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:  # raised by Python's module itself
        if "closed database" in str(cause):
            return DatabaseGone(f"{database}: the database was closed while in use. Start the region again.")
        return None
    primary = code & 0xFF
    if primary in _SQLITE_BUSY:
        return DatabaseBusy(
            f"{database}: another process has locked the database file ({cause}). "
            "End the program that has it open (a backup tool or a database browser); the work is tried again."
        )
    if primary == sqlite3.SQLITE_FULL:
        return DatabaseFull(
            f"{database}: no room left for the database ({cause}). Free space on its disk; no data is damaged."
        )
    if primary in _SQLITE_GONE:
        return DatabaseGone(
            f"{database}: the database file cannot be read or written ({cause}). "
            "Check that its disk is mounted, healthy and not full and that the file belongs to this user.",
            in_doubt=committing,
        )
    return None


def _from_postgresql(cause: psycopg.Error, database: str, *, committing: bool) -> Unavailable | None:
    state = cause.sqlstate
    said = " ".join(str(cause).split()) or type(cause).__name__
    if state in _PG_BUSY:
        return DatabaseBusy(f"{database}: PostgreSQL is busy ({said}). The work is tried again.")
    if state in _PG_FULL:
        return DatabaseFull(f"{database}: no room left on PostgreSQL's disk ({said}). Free space; no data is damaged.")
    # Without a state the library itself lost, or never had, the connection.
    lost = state is None and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    if lost or (state is not None and (state in _PG_GONE or state.startswith(_PG_GONE_CLASS))):
        return DatabaseGone(
            f"{database}: PostgreSQL does not answer ({said}). Check that it runs, that its address and password are "
            "right and that it is no read-only standby; the region goes on by itself when it is back.",
            in_doubt=committing,
        )
    return None
