"""Load on the source's HTTP API, and when each transfer's outcome could be read there.

Outcomes are read as a regional system reads them: with the cursor of the events, by long poll. A transfer counts when
the event that says it was accepted has arrived in this process.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from benchmarks.children import ChildError
from benchmarks.client import LINES, Call, Connection, bulk_call, get
from benchmarks.regions import Pair

CONNECTIONS = 6
"""Bulk calls under way at most."""
OUTSTANDING = 8 * LINES
"""At saturation: transfers submitted whose outcome has not been read."""
TICK_S = 0.01
"""At a fixed rate, a bulk call this often."""
DRAIN_S = 120.0
_PAGE = 1_000


class _Transfer(msgspec.Struct):
    key: str | None
    """None: ordered by another region."""


class _Happened(msgspec.Struct):
    kind: str
    transfer: _Transfer


class _Page(msgspec.Struct):
    events: list[_Happened]
    next: int


@dataclass(slots=True)
class Journey:
    """What one stretch of load saw. Times are of the monotonic clock, in seconds."""

    calls: list[Call] = field(default_factory=list)
    pages: list[tuple[float, Sequence[str]]] = field(default_factory=list)
    """When a page of events was there, and the keys of the transfers it said were posted."""

    @property
    def submitted(self) -> int:
        """Transfers in all calls."""
        return sum(len(call.keys) for call in self.calls)

    @property
    def points(self) -> int:
        """Points in all calls."""
        return sum(call.points for call in self.calls)

    def latencies_ms(self, start: float, end: float) -> list[float]:
        """For transfers sent between the two times: submission to outcome, in order of size."""
        sent = {key: call.sent_at for call in self.calls if start <= call.sent_at < end for key in call.keys}
        return sorted((at - sent[key]) * 1e3 for at, keys in self.pages for key in keys if key in sent)


class Load:
    """A regional system that submits and watches."""

    def __init__(self, pair: Pair, seed: int = 1) -> None:
        self._pair, self._drawn = pair, random.Random(seed)
        self._decode = msgspec.json.Decoder(_Page).decode
        self._cursor = 0
        self._stock: list[Call] = []
        self._submitted = 0
        self._room = asyncio.Condition()  # of the event loop at work
        self.seen = 0
        """Outcomes read so far."""

    def lay_in(self, calls: int) -> None:
        """Make calls beforehand, so that making them does not cost the measured window."""
        self._stock += [bulk_call(self._pair, self._drawn, LINES) for _ in range(calls)]
        self._stock.reverse()

    async def warm(self, seconds: float) -> None:
        """Return so long after the first outcome: the regions have found each other and their caches are filled."""
        seen = self.seen
        async with self._room, asyncio.timeout(DRAIN_S):
            await self._room.wait_for(lambda: self.seen > seen)
        await asyncio.sleep(seconds)

    async def saturate(self, watch: Callable[[], Coroutine[Any, Any, None]]) -> Journey:
        """Submit as fast as outcomes come back, until what `watch` returns is done; then wait for all outcomes."""
        journey = Journey()
        stopping = asyncio.Event()

        async def submit(connection: Connection) -> None:
            while not stopping.is_set():
                async with self._room:
                    await self._room.wait_for(lambda: self._submitted - self.seen + LINES <= OUTSTANDING)
                    if stopping.is_set():
                        return
                    self._submitted += LINES
                call = self._stock.pop() if self._stock else bulk_call(self._pair, self._drawn, LINES)
                await _send(connection, call, journey)

        async def until_watched() -> None:
            await watch()
            stopping.set()

        await self._drive(journey, until_watched, submit)
        return journey

    async def trickle(self, rate: float, seconds: float) -> Journey:
        """Submit `rate` transfers a second in calls due every `TICK_S`, answered or not the ones before."""
        journey = Journey()
        lines = max(1, round(rate * TICK_S))
        count = round(seconds / TICK_S)
        due = asyncio.Queue[Call | None]()
        calls = [bulk_call(self._pair, self._drawn, lines) for _ in range(count)]

        async def clock() -> None:
            start = time.monotonic()
            for number, call in enumerate(calls):
                call.sent_at = start + number * TICK_S
                await asyncio.sleep(call.sent_at - time.monotonic())
                self._submitted += lines
                due.put_nowait(call)
            for _ in range(CONNECTIONS):
                due.put_nowait(None)

        async def submit(connection: Connection) -> None:
            while (call := await due.get()) is not None:
                await _send(connection, call, journey, due_at=call.sent_at)

        await self._drive(journey, clock, submit)
        return journey

    async def queue(self, calls: int) -> Journey:
        """Submit so many calls while their outcomes cannot come: they are answered, and what they ordered waits."""
        journey = Journey()
        connection = await Connection.open(self._pair.source.http_port)
        for _ in range(calls):
            self._submitted += LINES
            await _send(connection, bulk_call(self._pair, self._drawn, LINES), journey)
        connection.close()
        return journey

    async def watch(self) -> Journey:
        """Submit nothing; read until every outcome is known."""
        journey = Journey()

        async def nothing() -> None:
            pass

        async def submit(_connection: Connection) -> None:
            pass

        await self._drive(journey, nothing, submit)
        return journey

    async def _drive(
        self,
        journey: Journey,
        conduct: Callable[[], Coroutine[Any, Any, None]],
        submit: Callable[[Connection], Coroutine[Any, Any, None]],
    ) -> None:
        self._room = asyncio.Condition()
        opened = [await Connection.open(self._pair.source.http_port) for _ in range(CONNECTIONS + 1)]
        try:
            async with asyncio.TaskGroup() as tasks:
                watcher = tasks.create_task(self._watch(opened[0], journey))
                submitting = [tasks.create_task(submit(connection)) for connection in opened[1:]]
                await conduct()
                await asyncio.gather(*submitting)
                async with self._room, asyncio.timeout(DRAIN_S):
                    await self._room.wait_for(lambda: self.seen >= self._submitted)
                watcher.cancel()
        except* TimeoutError:
            raise ChildError(f"{self._submitted - self.seen} outcomes did not come in {DRAIN_S:.0f} s") from None
        finally:
            for connection in opened:
                connection.close()

    async def _watch(self, connection: Connection, journey: Journey) -> None:
        while True:
            body = await connection.call(get(self._pair, f"/v1/events?after={self._cursor}&limit={_PAGE}&wait=5"))
            at = time.monotonic()
            page = self._decode(body)
            self._cursor = page.next
            ordered = [(event.kind, event.transfer.key) for event in page.events]
            posted = [key for kind, key in ordered if kind == "posted" and key is not None]
            if len(posted) != sum(key is not None for _, key in ordered):
                raise ChildError(f"not every transfer was accepted: {body[:500]!r}")
            journey.pages.append((at, posted))
            async with self._room:
                self.seen += len(posted)
                self._room.notify_all()


async def _send(connection: Connection, call: Call, journey: Journey, due_at: float | None = None) -> None:
    call.sent_at = time.monotonic() if due_at is None else due_at
    journey.calls.append(call)
    call.answer = await connection.call(call.request)
