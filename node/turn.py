"""Whose turn it is to talk with peers, where several processes serve a region: this one's while it has the seat.

Taking over begins like a start: a new epoch is proposed to every peer, which fences whatever the process before had
under way. Until then, and afterwards, this process takes commands over HTTP like the others.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from node.seat import LOOK_S, Seat
from node.services.several import Sit
from node.services.writer import WriterThread
from node.store import history, processes
from node.store.engine import Store
from node.store.history import History

POLL_S = 0.5
"""How often the sealer looks for messages of other processes, should it not have heard of them."""
REFRESH_S = 1.0
"""How often a process without the seat reads where the region stands, while others commit."""

log = structlog.get_logger(__name__)


class Turn:
    """Belongs to the event loop it is started in."""

    def __init__(
        self, url: str, name: str, store: Store, writer: WriterThread, *,
        begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]], heard: Callable[[], None],
    ) -> None:  # fmt: skip
        """`begin` and `end` talking with peers; `heard` is called, from any thread, when another has committed."""
        self._name, self._store, self._writer = name, store, writer
        self._begin, self._end, self._tell = begin, end, heard
        self._seat = Seat(url, name, self._heard)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._talks = self._waits = self._news = False
        self._poll_at = self._refresh_at = 0.0
        self.history: History = writer.writer.history

    async def start(self) -> None:
        """Take part from now on."""
        self._loop = asyncio.get_running_loop()
        await self._submit([])  # from now on a database that lacks what this process commits is noticed
        self._seat.start()
        self._task = asyncio.create_task(self._mind())

    async def stop(self) -> None:
        """Take no further part; whoever talks with peers has ended that already."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            await asyncio.to_thread(self._seat.stop)

    def _heard(self, waits: bool) -> None:
        self._news = True
        self._waits = self._waits or waits
        self._tell()
        if waits and self._talks and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._rung.set)

    async def _submit(self, commands: Sequence[Any]) -> None:
        for answer in await asyncio.wrap_future(self._writer.submit(commands)):
            if isinstance(answer, Exception):
                raise answer

    async def _mind(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._rung.wait()
            self._rung.clear()
            try:
                await self._look()
            except Exception as error:
                log.warning("turn_failed", process=self._name, error=type(error).__name__, what=str(error)[:256])

    async def _look(self) -> None:
        if self._talks and not self._writer.writer.seals:
            self._talks = False
            log.warning("talks_no_longer", process=self._name, sealer=self._writer.writer.sealer)
            await self._end()
        if self._seat.held and not self._talks:
            await self._take_over()
        elif self._talks and not self._seat.held:
            await self._submit([])  # a batch finds out whether somebody else has taken over
        if self._talks:
            await self._seal_for_others()
        elif self._news and asyncio.get_running_loop().time() >= self._refresh_at:
            self._news, self._refresh_at = False, asyncio.get_running_loop().time() + REFRESH_S
            self.history = await asyncio.to_thread(self._read_history)

    async def _take_over(self) -> None:
        await self._submit([Sit(process=self._name, token=secrets.token_hex(8))])
        await self._submit([])
        if not self._writer.writer.seals:
            return
        log.warning("takes_over", process=self._name)
        try:
            await self._begin()
        except BaseException:
            self._seat.leave()
            with suppress(Exception):
                await self._end()
            await self._submit([Sit(process=self._name, token="")])
            raise
        self._talks = True

    async def _seal_for_others(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._waits:
            self._waits = False
            await self._submit([])
        elif now < self._poll_at:
            return
        self._poll_at = now + POLL_S
        while await asyncio.to_thread(self._sealable):
            await self._submit([])

    def _sealable(self) -> bool:
        """Whether messages wait that can be numbered now, or for a peer that this process has not heard of."""
        with self._store.read() as conn:
            waiting = processes.sealable(conn)
        channels = self._writer.writer.channels
        return any(peer not in channels or channels[peer].sealing for peer in waiting)

    def _read_history(self) -> History:
        with self._store.read() as conn:
            return history.load(conn)
