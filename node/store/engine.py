"""The open database of a region: one writer, any number of readers, SQLite and PostgreSQL alike.

Everything that changes goes through `Store.write`, one transaction at a time over one connection that is kept open.
Everything that only looks goes through `Store.read`, from any thread, and sees one committed state throughout.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import StaticPool

from ..errors import BadInput, DatabaseGone
from .failure import DRIVER_ERRORS, as_sqlalchemy, translate

PATIENCE_MS = 5_000
"""How long a statement waits for somebody else's lock before the database counts as busy."""

_BEGIN = "store_begin"  # the execution option that says how SQLite opens a transaction
_CACHED_STATEMENTS = 512  # SQL texts SQLite keeps prepared per connection; the fixed texts of the hot path are fewer

# A commit has reached the disk when it returns (FULL). No mmap: a disk error would then kill the process by a signal
# and not be an error. A recursive trigger is what makes REPLACE meet the triggers that refuse deletion.
_SQLITE_CONNECTION = f"""
PRAGMA busy_timeout = {PATIENCE_MS};
PRAGMA synchronous = FULL;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
PRAGMA recursive_triggers = ON;
PRAGMA trusted_schema = OFF;
"""
# Checkpoints of 1,000 pages: 8,000 gave a p99 of 260 ms. A log that one large transaction blew up shrinks again.
_SQLITE_FILE = """
PRAGMA journal_mode = WAL;
PRAGMA wal_autocheckpoint = 1000;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -8192;
PRAGMA query_only = ON;
"""
_SQLITE_WRITER = """
PRAGMA query_only = OFF;
PRAGMA cache_size = -65536;
"""
# A server set up to lose commits (`off`) is not obeyed; a stricter one is.
_POSTGRESQL_CONNECTION = f"""
SELECT set_config('lock_timeout', '{PATIENCE_MS}', false),
       set_config('synchronous_commit',
                  CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""


def open_store(url: str, *, asleep_s: int = 0) -> Store:
    """Open the database at `url`; nothing is connected before the first use.

    `asleep_s`: a PostgreSQL ends a transaction in which nothing happens for so many seconds, because its process has
    stopped and others wait; 0 for never.

    `sqlite:////absolute/path`, `sqlite://` (in memory, gone when closed) or `postgresql+psycopg://user@host/name`.
    """
    try:
        parsed = make_url(url)
    except Exception as error:  # SQLAlchemy raises several kinds and repeats the URL, password included
        raise BadInput("The database URL cannot be read. Write it like sqlite:////path/to/region.sqlite.") from error
    if parsed.get_backend_name() == "sqlite":
        return Store(parsed, _sqlite(parsed))
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return Store(parsed, _postgresql(parsed.set(drivername="postgresql+psycopg"), asleep_s))
    raise BadInput(
        f"No database of the kind {parsed.drivername!r} can be used. Choose sqlite:////path or postgresql://host/name."
    )


class Store:
    """An open database. Safe to use from several threads; writes then wait for each other."""

    def __init__(self, url: URL, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.in_memory = isinstance(engine.pool, StaticPool)
        self.name = url.render_as_string(hide_password=True)
        self._readers = (
            engine
            if self.is_sqlite
            else engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )
        self._writer: Connection | None = None
        self._turn = threading.Lock()  # whose turn it is to write (in memory: to read as well)
        self._held_by: int | None = None  # the thread whose turn it is

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that alone may change things: committed, durably, at the end, rolled back on any exception.

        Raises DatabaseBusy, DatabaseFull or DatabaseGone when the database fails; a later call connects anew.
        What the database refuses (a constraint, a trigger) comes out as SQLAlchemy's IntegrityError.
        """
        with self._my_turn():
            try:
                connection = self._connected_writer()
                transaction = connection.begin()
            except DRIVER_ERRORS as error:
                self._raise(error)
            committing = False
            try:
                yield connection
                committing = True
                transaction.commit()
            except DRIVER_ERRORS as error:
                self._undo()
                self._raise(error, committing=committing)
            except BaseException:
                self._undo()
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one committed state from its first query to the end, whatever is written meanwhile.

        In memory there is one connection only: readers and the writer wait for each other.
        """
        if self._held_by == threading.get_ident():
            raise RuntimeError("inside a write, read through the connection of the write")
        if self.in_memory:
            with self._my_turn(), self._reading() as connection:
                yield connection
        else:
            with self._reading() as connection:
                yield connection

    def close(self) -> None:
        """Let go of every connection; the last one of an SQLite file folds its write-ahead log into it."""
        with self._my_turn():
            self._drop_writer()
            self.engine.dispose()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if self._held_by == threading.get_ident():
            raise RuntimeError("a transaction of this thread is already open")
        with self._turn:
            self._held_by = threading.get_ident()
            try:
                yield
            finally:
                self._held_by = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._readers.connect() as connection:
                connection.begin()
                yield connection
        except DRIVER_ERRORS as error:
            self._raise(error, reading=True)

    def _connected_writer(self) -> Connection:
        if self._writer is not None and not self.is_sqlite and _is_lost(self._writer):
            self._drop_writer()
        if self._writer is None:
            connection = self.engine.connect()
            if self.is_sqlite:
                connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
                if not self.in_memory:
                    driver_connection(connection).executescript(_SQLITE_WRITER)
            self._writer = connection
        return self._writer

    def _undo(self) -> None:
        """Roll back; a connection that cannot even do that is given up (in memory it holds the data and is kept)."""
        writer = self._writer
        if writer is None:
            return
        try:
            if (transaction := writer.get_transaction()) is not None:
                transaction.rollback()
            if self.is_sqlite and driver_connection(writer).in_transaction:
                driver_connection(writer).rollback()
        except DRIVER_ERRORS:
            self._drop_writer()

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with suppress(*DRIVER_ERRORS):
            if not self.in_memory:
                # Out of the pool for good: a writer's settings are not a reader's.
                writer.invalidate()
            writer.close()

    def _raise(self, error: BaseException, *, committing: bool = False, reading: bool = False) -> NoReturn:
        failure = translate(error, self.name, committing=committing, reading=reading)
        if failure is None:
            raise as_sqlalchemy(error) from error.__cause__
        if isinstance(failure, DatabaseGone) and not self.in_memory and self._held_by == threading.get_ident():
            self._drop_writer()
        raise failure from error


def driver_connection(connection: Connection) -> Any:
    """The `sqlite3` or `psycopg` connection below, inside the same transaction."""
    return connection.connection.dbapi_connection


def _is_lost(connection: Connection) -> bool:
    """Whether a connection that rests between two transactions has been closed by the server. Costs no round trip.

    A server says goodbye before it closes: something to read on a resting connection is either that or a notice.
    """
    if connection.invalidated:
        return True
    driver: psycopg.Connection[Any] = driver_connection(connection)
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        driver.execute("SELECT 1")
        driver.rollback()
    except psycopg.Error:
        return True
    return False


def _sqlite(url: URL) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    arguments = {"check_same_thread": False, "isolation_level": None, "cached_statements": _CACHED_STATEMENTS}
    if in_memory:
        engine = create_engine(url, poolclass=StaticPool, connect_args=arguments, hide_parameters=True)
    else:
        engine = create_engine(url, connect_args=arguments, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        sqlite: Any = connection
        sqlite.executescript(_SQLITE_CONNECTION if in_memory else _SQLITE_CONNECTION + _SQLITE_FILE)

    # `isolation_level=None` keeps Python's module from opening transactions of its own; this one opens them.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        driver_connection(connection).execute(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _postgresql(url: URL, asleep_s: int) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        postgresql: Any = connection
        postgresql.execute(_POSTGRESQL_CONNECTION)
        if asleep_s:
            postgresql.execute(f"SET idle_in_transaction_session_timeout = {1000 * asleep_s:d}")
        postgresql.commit()

    return engine
