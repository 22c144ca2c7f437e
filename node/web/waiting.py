"""Callers who wait: for a transfer to be decided, or for the next event.

Nobody polls. A commit rings; one look at the database then serves everybody who waits, however many they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from node.web import limits
from node.web.problems import Wrong

Look = Callable[[Collection[bytes]], Awaitable[tuple[set[tuple[bytes, int]], int]]]
"""Of these ids, which transfers are decided (id, source); and the number of the newest event."""


class Bell:
    """Belongs to the event loop it was made in; only `ring` may be called from elsewhere."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._waiting: set[_Wait] = set()
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def callers(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def ring(self) -> None:
        """Something was committed. From any thread; costs next to nothing while nobody waits."""
        if self._waiting:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._rung.set)

    async def decided(self, transfer_id: bytes, source: int, seconds: float) -> None:
        """Return when the transfer is decided, or after so many seconds."""
        await self._wait(_Wait(self._loop.create_future(), transfer=(transfer_id, source)), seconds)

    async def event_after(self, no: int, seconds: float) -> None:
        """Return when there is an event numbered above `no`, or after so many seconds."""
        await self._wait(_Wait(self._loop.create_future(), after=no), seconds)

    async def close(self) -> None:
        """Send everybody away with what there is."""
        self._closed = True
        for wait in self._waiting:
            wait.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _wait(self, wait: _Wait, seconds: float) -> None:
        if self._closed:
            return
        if len(self._waiting) >= limits.WAITS_IN_FLIGHT:
            raise Wrong("too_busy", f"{limits.WAITS_IN_FLIGHT} callers wait already")
        # Waiting begins before the first look, so that nothing committed in between is missed.
        self._waiting.add(wait)
        self._rung.set()
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(seconds):
                await wait.future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(wait)

    async def _serve(self) -> None:
        next_look = self._loop.time()
        while True:
            await self._rung.wait()
            if (early := next_look - self._loop.time()) > 0:
                await asyncio.sleep(early)
            self._rung.clear()
            if not self._waiting:
                continue
            ids = {wait.transfer[0] for wait in self._waiting if wait.transfer is not None}
            try:
                decided, last = await self._look(ids)
            except Exception as error:
                for wait in self._waiting:
                    wait.end(error)
                continue
            for wait in self._waiting:
                if wait.transfer in decided if wait.transfer is not None else last > wait.after:
                    wait.end()
            next_look = self._loop.time() + limits.LOOK_S


class _Wait:
    """One caller."""

    __slots__ = ("after", "future", "transfer")

    def __init__(
        self, future: asyncio.Future[None], *, transfer: tuple[bytes, int] | None = None, after: int = 0
    ) -> None:
        self.future, self.transfer, self.after = future, transfer, after

    def end(self, error: Exception | None = None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)
