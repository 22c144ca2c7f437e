"""A process among several: the sealer's seat, and what the others tell of their commits.

A thread with two database connections of its own. The seat is a lock of one of them: it is free as soon as that
connection ends, be it that the process died or that the server ended a connection from which nothing came for a while.
That one listens to nobody: a server that still has to say something to a process that stopped waits with it for ever.
Whether a process may seal is not decided here but by what stands in the database (:mod:`node.services.several`): the
lock only says who should try.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
import structlog
from psycopg import sql

from node.lock import driver_url
from node.store.processes import CHANNEL

ASLEEP_S = 15
"""A process that says nothing to the database for so long loses its seat, and a transaction it was in."""
LOOK_S = 0.25
"""How often the seat is tried, and the connection used, at least."""

_SEAT = 0x6875746F6E69  # beside those of the region and of migrations
log = structlog.get_logger(__name__)


class Seat:
    """See the module."""

    def __init__(self, url: str, name: str, heard: Callable[[bool], None]) -> None:
        """`heard` is called from the seat's thread: another process has committed, and whether messages wait."""
        self._url, self._name, self._heard = driver_url(url), name, heard
        self.held = False  # by this process, as far as it knows
        self._given_up = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="seat", daemon=True)

    def start(self) -> None:
        """Listen, and take the seat when it is free."""
        self._thread.start()

    def leave(self) -> None:
        """Let another process have the seat: this one cannot use it. It tries again later."""
        self._given_up, self.held = True, False

    def stop(self) -> None:
        """Give the seat up for good."""
        self._ended.set()
        self._thread.join(10 * LOOK_S)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with self._connected("seat") as seat, self._connected("ear") as ear:
                    self._listen(seat, ear)
            except psycopg.Error as error:
                log.warning("seat_disconnected", process=self._name, error=type(error).__name__)
            self.held = self._given_up = False
            self._ended.wait(4 * LOOK_S)

    def _connected(self, what: str) -> psycopg.Connection[tuple[object, ...]]:
        name = f"hutong {what} {self._name}"
        return psycopg.connect(self._url, autocommit=True, application_name=name, keepalives_idle=30)

    def _listen(
        self, seat: psycopg.Connection[tuple[object, ...]], ear: psycopg.Connection[tuple[object, ...]]
    ) -> None:
        with suppress(psycopg.errors.UndefinedObject):  # before PostgreSQL 14
            seat.execute(f"SET idle_session_timeout = {1000 * ASLEEP_S:d}")
        ear.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        while not self._ended.is_set() and not self._given_up:
            for notice in ear.notifies(timeout=LOOK_S, stop_after=1):
                process, _, waits = notice.payload.partition(" ")
                if process != self._name:
                    self._heard(bool(waits))
            taken = seat.execute(
                "SELECT " + ("true" if self.held else "pg_try_advisory_lock(%s)"), () if self.held else (_SEAT,)
            ).fetchone()
            self.held = taken is not None and bool(taken[0])
