"""What the demonstration does: load, submit, kill one region half way, restart it, wait until nothing is under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

from gateway.protocol.values import Evidence, Purpose
from node.cli.demo import books
from node.cli.demo.api import LINES_PER_CALL, Api
from node.cli.demo.books import LogKey
from node.cli.demo.case import Answer
from node.cli.demo.data import Data
from node.cli.demo.founding import Federation
from node.errors import Unavailable
from node.services.csv_file import AwardRow, TransferRow

KILLED = 330200
LINES_PER_ORDER = 250
"""Transfers submitted in one call: few enough that many calls are made, and one is under way when the region dies."""
LOOK_S = 0.02
START_S = 90.0
SETTLE_S = 90.0
COMMITTED_S = 30.0
"""How long the region that is to be killed may take to commit the orders whose answer is going to be lost."""

Line = Mapping[str, Any]
T = TypeVar("T")


class Watcher(Protocol):
    """Shows how far a stage has come."""

    def stage(self, zh: str, en: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A stage of so many steps; call what it gives with the number of steps done."""
        ...


@dataclass(kw_only=True, slots=True)
class Kill:
    """What was seen of the kill. Times are seconds from the kill."""

    heads: Mapping[int, Mapping[LogKey, tuple[int, bytes]]] = field(default_factory=dict)
    in_flight: int = 0  # transfers without a decision at that moment, in all four regions
    unanswered: set[str] = field(default_factory=set)  # keys that were sent to it and got no answer
    committed: int = 0  # orders it had taken of those
    at_ms: int = 0
    ready_s: float = 0.0  # serves again and talks with all others
    recovered_s: float = 0.0  # and everything that was under way is decided


@dataclass(kw_only=True, slots=True)
class Drive:
    """One run, whose chapters are modules beside this one. `answers`: by key, what each order was answered at last."""

    federation: Federation
    data: Data
    watcher: Watcher
    apis: Mapping[int, Api]
    answers: dict[str, Answer] = field(default_factory=dict)
    addresses: dict[tuple[int, str, int], str] = field(default_factory=dict)  # of (region, account) for one source
    kill: Kill = field(default_factory=Kill)
    _halfway: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(6))
    _killed: asyncio.Event = field(default_factory=asyncio.Event)
    _submitted: dict[int, int] = field(default_factory=dict)

    async def start(self) -> None:
        """Start every region and wait until each talks with every other."""
        for region in self.federation.regions:
            region.start()
        with self.watcher.stage("启动四个地区的进程", "Start four regions as processes", len(self.apis)) as done:
            async with asyncio.TaskGroup() as group:
                for api in self.apis.values():
                    group.create_task(self._linked(api, done))

    async def _linked(self, api: Api, done: Callable[[int], None]) -> None:
        await self.until(api.linked, START_S, f"region {api.region.code} did not come up", api)
        done(1)

    async def load(self) -> None:
        """Open accounts, grant lots, make receiving addresses."""
        data = self.data
        total = len(data.residents) + len(data.awards) + len(data.receivers())
        with self.watcher.stage("载入居民、发放记录和收款地址", "Load residents, awards and addresses", total) as done:
            async with asyncio.TaskGroup() as group:
                for code, api in self.apis.items():
                    group.create_task(self._load(code, api, done))

    async def _load(self, code: int, api: Api, done: Callable[[int], None]) -> None:
        residents: list[Line] = [{"name": r.account} for r in self.data.residents if r.region == code]
        awards = [_award_line(award) for award in self.data.awards if award.region == code]
        wanted = [receiver for receiver in self.data.receivers() if receiver[0] == code]
        for path, lines in (("/v1/accounts", residents), ("/v1/awards", awards)):
            for chunk in chunks(lines, LINES_PER_CALL):
                all_done(path, await api.insist(path, chunk))
                done(len(chunk))
        for receivers in chunks(wanted, LINES_PER_CALL):
            asked: list[Line] = [{"account": account, "sender": source} for _, account, source in receivers]
            made = all_done("/v1/addresses", await api.insist("/v1/addresses", asked))
            self.addresses |= {receiver: answer["address"] for receiver, answer in zip(receivers, made, strict=True)}
            done(len(receivers))

    def orders(self, transfers: Sequence[TransferRow]) -> dict[int, list[Line]]:
        """These transfers as lines of bulk calls, by the region that is to send them."""
        lines: dict[int, list[Line]] = {code: [] for code in self.apis}
        for t in transfers:
            address = self.addresses[t.destination, t.receiver, t.source]
            lines[t.source].append(
                {
                    "key": t.key, "account": t.account, "category": t.category, "amount": t.amount, "address": address,
                    "purpose": Purpose(t.purpose).name.lower(),
                }
            )  # fmt: skip
        return lines

    # -- submitting, and the kill --------------------------------------------------------------------------------------

    async def submit(self, orders: Mapping[int, Sequence[Line]], besides: Callable[[], Awaitable[None]]) -> None:
        """Submit everything; when every region has taken half of its orders, kill one while it takes more, and do
        `besides` what does not concern that one."""
        total = sum(map(len, orders.values()))
        with self.watcher.stage("提交转移，中途断电", "Submit transfers, kill one region half way", total) as done:
            async with asyncio.TaskGroup() as group:
                for code, lines in orders.items():
                    group.create_task(self._submit(code, lines, done))
                group.create_task(self._kill())
                group.create_task(self._besides(besides))

    async def _besides(self, besides: Callable[[], Awaitable[None]]) -> None:
        await self._halfway.wait()
        await besides()

    async def send(self, transfers: Sequence[TransferRow]) -> None:
        """Submit some transfers in passing; each is held, or was."""
        for code, lines in self.orders(transfers).items():
            for chunk in chunks(lines, LINES_PER_CALL):
                answers = all_done("/v1/transfers", await self.apis[code].insist("/v1/transfers", chunk))
                self.answers |= {line["key"]: _answer(a) for line, a in zip(chunk, answers, strict=True)}

    async def _submit(self, code: int, lines: Sequence[Line], done: Callable[[int], None]) -> None:
        api, half, waits = self.apis[code], len(lines) // 2, True
        for chunk in chunks(lines, LINES_PER_ORDER):
            if waits and self._submitted.get(code, 0) >= half:
                await self._halfway.wait()
                waits = False
                if code == KILLED:
                    await self._lose_the_answer(api, chunk)
            answers = await api.insist("/v1/transfers", chunk, self._unanswered)
            self.answers |= {line["key"]: _answer(a) for line, a in zip(chunk, answers, strict=True)}
            self._submitted[code] = self._submitted.get(code, 0) + len(chunk)
            done(len(chunk))

    async def _lose_the_answer(self, api: Api, lines: Sequence[Line]) -> None:
        """Send orders whose answer never comes: they are committed, and then the region dies."""
        async with api.unheard("/v1/transfers", lines):
            self._unanswered(lines)
            await self._killed.wait()

    def _unanswered(self, lines: Sequence[Line]) -> None:
        self.kill.unanswered.update(line["key"] for line in lines)

    async def _kill(self) -> None:
        """`kill -9` at the worst moment: orders are committed whose answers are not out, and messages are under way."""
        region = self.federation.region(KILLED)
        await self._halfway.wait()
        with books.watched(region.database) as orders_taken:
            before = self._submitted[KILLED]
            await self.until(lambda: _now(orders_taken() > before), COMMITTED_S, f"{KILLED} took no order")
            self.kill.committed = orders_taken() - before
        at = region.kill()
        self._killed.set()
        self.kill.at_ms = time.time_ns() // 1_000_000
        self.kill.in_flight = sum(books.undecided(r.database) for r in self.federation.regions)
        self.kill.heads = {r.code: books.heads(r.database) for r in self.federation.regions}
        region.start()
        await self.until(self.apis[KILLED].linked, START_S, f"region {KILLED} did not come back", self.apis[KILLED])
        self.kill.ready_s = time.monotonic() - at
        await self.until(self._caught_up, SETTLE_S, "what was under way at the kill is not decided")
        self.kill.recovered_s = time.monotonic() - at

    async def _caught_up(self) -> bool:
        """Whether every transfer is decided that any region held before the kill."""
        return all(not books.undecided(r.database, self.kill.at_ms) for r in self.federation.regions)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until nothing is under way anywhere."""
        with self.watcher.stage("等待全部到达", "Wait until everything has arrived", len(self.apis)) as done:
            await self.arrived(done)

    async def arrived(self, done: Callable[[int], None] = lambda _steps: None) -> None:
        """The same in the course of another stage."""
        for api in self.apis.values():
            await self.until(api.settled, SETTLE_S, f"region {api.region.code} still has messages under way", api)
            done(1)

    async def repeat(self, orders: Mapping[int, Sequence[Line]], zh: str, en: str) -> dict[str, Answer]:
        """Submit everything once more, in large calls; what each order is answered now."""
        answers: dict[str, Answer] = {}

        async def again(code: int, lines: Sequence[Line], done: Callable[[int], None]) -> None:
            for chunk in chunks(lines, LINES_PER_CALL):
                for line, answer in zip(chunk, await self.apis[code].insist("/v1/transfers", chunk), strict=True):
                    answers[line["key"]] = _answer(answer)
                done(len(chunk))

        with self.watcher.stage(zh, en, sum(map(len, orders.values()))) as done:
            async with asyncio.TaskGroup() as group:
                for code, lines in orders.items():
                    group.create_task(again(code, lines, done))
        return answers

    async def repeat_refused(self, code: int, lines: Sequence[Line]) -> None:
        """Submit once more what one region refused."""
        refused = [line for line in lines if not self.answers[line["key"]].id]
        for chunk in chunks(refused, LINES_PER_CALL):
            await self.apis[code].insist("/v1/transfers", chunk)

    async def until(self, holds: Callable[[], Any], within_s: float, otherwise: str, api: Api | None = None) -> None:
        """Look again and again. Raises Unavailable after `within_s`, and RegionDied when the process has ended."""
        end = time.monotonic() + within_s
        while not await holds():
            if api is not None:
                api.region.check()
            if time.monotonic() > end:
                raise Unavailable(f"{otherwise} within {within_s:.0f} s")
            await asyncio.sleep(LOOK_S)


async def _now(value: bool) -> bool:
    return value


def _award_line(award: AwardRow) -> Line:
    return {
        "key": award.key,
        "account": award.account,
        "category": award.category,
        "amount": award.amount,
        "granted": _iso(award.granted),
        "expires": _iso(award.expires),
        "evidence": Evidence(award.evidence).name.lower(),
        "because": award.activity,
    }


def _answer(line: Mapping[str, Any]) -> Answer:
    """A refused order has no id: nothing was held for it."""
    if line["ok"]:
        return Answer(id=line["id"], state=line["state"], reason=line["reason"] or "")
    return Answer(reason=line["reason"])


def all_done(path: str, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of a bulk call of which every line must have been done. Raises Unavailable."""
    wrong = next((answer for answer in answers if not answer["ok"]), None)
    if wrong is not None:
        raise Unavailable(f"{path}: {wrong}")
    return answers


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Runs of at most `size` items."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _iso(day: int) -> str:
    return f"{day // 10_000:04d}-{day // 100 % 100:02d}-{day % 100:02d}"
