"""A region's database on a disk, and in a process, that fails when the simulation says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from sqlalchemy import Connection

from node.errors import DatabaseFull, DatabaseGone
from node.store.create import create
from node.store.engine import Store, driver_connection, open_store


class Crash(BaseException):
    """The process is gone. No code of the region may catch it for good."""


class When(Enum):
    """Where in a transaction the fault strikes."""

    WITHIN = "within"  # while statements run: everything is rolled back
    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit"  # what was done stands, and nobody is told


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One failure of the next transaction; the process dies of it, or is told that its database failed."""

    when: When
    kills: bool
    after: int = 0  # WITHIN: so many steps of the database's machine


class Disk:
    """A store in memory, as :class:`~node.store.engine.Store`, whose next transaction meets `fault`.

    While `gone` it can neither be read nor written.
    """

    _idle: ClassVar[list[Store]] = []  # to be used again: an engine knows its statements, and need not learn them anew
    _empty: ClassVar[list[sqlite3.Connection]] = []

    def __init__(self) -> None:
        self.store = self._idle.pop() if self._idle else open_store("sqlite://")
        with self.store.read() as conn:
            self.driver: sqlite3.Connection = driver_connection(conn)  # in memory there is one
        if not self._empty:
            create(self.store)
            self._empty.append(sqlite3.connect(":memory:", check_same_thread=False))
            self.driver.backup(self._empty[0])
        else:
            self._empty[0].backup(self.driver)
        self.fault: Fault | None = None
        self.gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def give_up(self) -> None:
        """Nobody needs what is on it any more."""
        self._idle.append(self.store)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """See :meth:`node.store.engine.Store.read`."""
        if self.gone:
            raise DatabaseGone("the database is gone")
        with self.store.read() as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See :meth:`node.store.engine.Store.write`."""
        if self.gone:
            raise DatabaseGone("the database is gone")
        fault, self.fault = self.fault, None
        if fault is None:
            with self.store.write() as conn:
                yield conn
            return
        try:
            with self.store.write() as conn:
                yield from _interrupted(conn, fault)
        except DatabaseFull:
            if fault.kills:
                raise Crash from None
            raise
        if fault.kills:
            raise Crash
        raise DatabaseGone("the answer to COMMIT was lost", in_doubt=True)


def _interrupted(conn: Connection, fault: Fault) -> Iterator[Connection]:
    driver = driver_connection(conn)
    if fault.when is When.WITHIN:
        driver.set_progress_handler(lambda: 1, max(fault.after, 1))
    try:
        yield conn
    except Exception as error:
        if isinstance(getattr(error, "orig", error), sqlite3.OperationalError):
            raise DatabaseFull("no room left while writing") from error
        raise
    finally:
        driver.set_progress_handler(None, 0)
    if fault.when is not When.AFTER_COMMIT:
        # Also where the work was done before the fault could strike: a schedule does not depend on how long SQL runs.
        raise DatabaseFull("no room left to commit")
