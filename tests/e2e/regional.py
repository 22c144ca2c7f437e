"""A regional system that uses its node for everything, and keeps its own record of what it was told.

It repeats every call that was not answered, under the same keys; after a restore of its node it says all again that was
acknowledged, in the order of the answers. A refusal is final.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from node.cli.demo.api import Api, NoAnswer, Refusing

AGAIN_S = 0.2
LINES_PER_REPLAY = 500
CATEGORIES = ("moral", "culture")

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """One command that was acknowledged as done. `id` as it was answered; empty for what has none."""

    path: str
    line: Line
    id: str


class System:
    """The systems, clerks and operators of one region."""

    def __init__(self, api: Api, chance: random.Random, residents: Sequence[str]) -> None:
        self.api, self.code = api, api.region.code
        self.record: list[Done] = []  # in the order of the answers
        self.refused: dict[str, str] = {}  # key -> reason
        self.decided: dict[tuple[int, str], str] = {}  # (source, id) -> what the clerk said and was told is done
        self.withdrawn: set[str] = set()  # transfers that somebody tried to cancel
        self.lost = 0  # calls without an answer
        self.restores = 0
        self.whole = True
        self.operating = asyncio.Lock()  # nobody says that all is repeated while the database is exchanged
        self.known = asyncio.Event()  # the node knows the accounts of the record
        self.known.set()
        self._chance, self._residents, self._keys = chance, list(residents), 0
        self._verdicts: dict[tuple[int, str], str] = {}  # what the clerk made up his mind to say
        self._addresses: list[str] = []

    # -- the beginning -------------------------------------------------------------------------------------------------

    async def open(self) -> list[str]:
        """Open the residents' accounts, grant each something. Returns their receiving addresses."""
        await self._insist("/v1/accounts", [{"name": name} for name in self._residents])
        await self._insist("/v1/awards", [self._award(name) for name in self._residents for _ in CATEGORIES])
        made = await self.api.insist("/v1/addresses", [{"account": name} for name in self._residents])
        return [answer["address"] for answer in made]

    def meet(self, addresses: Sequence[str]) -> None:
        """Where points can be sent."""
        self._addresses = list(addresses)

    # -- every day -----------------------------------------------------------------------------------------------------

    async def work(self, stopping: asyncio.Event) -> None:
        """Awards, orders, spends, cancels; each call until all of it is answered."""
        while not stopping.is_set():
            match self._chance.choices(("award", "order", "spend", "cancel"), (2, 5, 2, 1))[0]:
                case "award":
                    await self._grant()
                case "order":
                    await self._insist("/v1/transfers", [self._order() for _ in range(self._chance.randint(1, 12))])
                case "spend":
                    await self._insist("/v1/spends", [self._spend() for _ in range(self._chance.randint(1, 6))])
                case _:
                    await self._cancel()
            await asyncio.sleep(self._chance.uniform(0.05, 0.4))

    async def review(self, stopping: asyncio.Event) -> None:
        """The clerk decides what waits, not everything at once; to the end, everything."""
        while True:
            try:
                waiting = (await self.api.get("/v1/reviews", limit=100))["transfers"]
                for transfer in waiting:
                    if stopping.is_set() or self._chance.random() < 0.5:
                        await self._decide(transfer)
            except NoAnswer:
                self.lost += 1
            await asyncio.sleep(0.3)

    async def _decide(self, transfer: Line) -> None:
        key = (transfer["source"], transfer["id"])
        verdict = self._verdicts.setdefault(key, self._chance.choice(("accept", "accept", "refuse")))
        body = {"source": key[0], "decision": verdict, "by": "陈"}
        try:
            await self.api.post(f"/v1/reviews/{key[1]}", body)
        except Refusing:
            return  # it was cancelled meanwhile, or this was said before and the answer lost
        self.decided[key] = verdict

    async def _grant(self) -> None:
        if self._chance.random() < 0.2:
            name = f"居民{self.code}-{len(self._residents)}"
            self._residents.append(name)
            await self._insist("/v1/accounts", [{"name": name}])
        await self._insist("/v1/awards", [self._award() for _ in range(self._chance.randint(1, 6))])

    async def _cancel(self) -> None:
        """Somebody changes his mind about one of his latest transfers."""
        latest = [done.id for done in self.record[-60:] if done.path == "/v1/transfers"]
        if not latest:
            return
        ident = self._chance.choice(latest)
        self.withdrawn.add(ident)
        path = f"/v1/transfers/{ident}/cancel"
        while True:
            await self.known.wait()
            try:
                await self.api.post(path, {})
            except NoAnswer:
                self.lost += 1
                await asyncio.sleep(AGAIN_S)
            except Refusing:
                return  # it is decided
            else:
                self.record.append(Done(path=path, line={}, id=ident))
                return

    # -- lines ---------------------------------------------------------------------------------------------------------

    def _key(self) -> str:
        self._keys += 1
        return f"{self.code}-{self._keys}"

    def _purse(self, most: int) -> dict[str, Any]:
        account, category = self._chance.choice(self._residents), self._chance.choice(CATEGORIES)
        return {"key": self._key(), "account": account, "category": category, "amount": self._chance.randint(1, most)}

    def _award(self, account: str | None = None) -> Line:
        return self._purse(150) | ({"account": account} if account is not None else {})

    def _spend(self) -> Line:
        return self._purse(40)

    def _order(self) -> Line:
        return self._purse(60) | {"address": self._chance.choice(self._addresses)}

    # -- until it is answered ------------------------------------------------------------------------------------------

    async def _insist(self, path: str, lines: Sequence[Line]) -> None:
        left = list(lines)
        if self._chance.random() < 0.1:
            await self._unheard(path, left)
        while left:
            await self.known.wait()
            try:
                answers = await self.api.bulk(path, left)
            except NoAnswer:
                self.lost += 1
                await asyncio.sleep(AGAIN_S)
                continue
            again = []
            for line, answer in zip(left, answers, strict=True):
                if answer.get("status") in (429, 503):
                    again.append(line)
                elif answer["ok"]:
                    self.record.append(Done(path=path, line=line, id=answer.get("id", "")))
                else:
                    self.refused[line["key"]] = answer["reason"]
            left = again
            if left:
                await asyncio.sleep(AGAIN_S)

    async def _unheard(self, path: str, lines: Sequence[Line]) -> None:
        """The answer is lost on its way, whenever the node gives it."""
        try:
            async with self.api.unheard(path, lines):
                self.lost += 1
                await asyncio.sleep(self._chance.uniform(0.0, 0.1))
        except OSError:
            pass  # nobody there: not even the call arrived

    # -- after a restore -----------------------------------------------------------------------------------------------

    def restored(self) -> None:
        """The database is about to be an older one."""
        self.restores += 1
        self.whole = False
        self.known.clear()

    async def recover(self) -> None:
        """Say all again, and that it was all, until the node is whole. Restored meanwhile, it begins anew."""
        while not self.whole:
            restores = self.restores
            if not await self._repeat(restores):
                continue
            async with self.operating:
                if restores != self.restores:
                    continue
                try:
                    await self.api.post("/v1/recovery/replayed", {})
                except NoAnswer:
                    continue  # said or not: to say all once more does no harm
            while restores == self.restores and not self.whole:
                try:
                    self.whole = await self.api.whole() and restores == self.restores
                except NoAnswer:
                    pass
                await asyncio.sleep(AGAIN_S)

    async def _repeat(self, restores: int) -> bool:
        """Whether all was said; not when the node was restored again meanwhile."""
        told = list(self.record)
        accounts = [done for done in told if done.path == "/v1/accounts"]
        if not await self._say(accounts, restores):
            return False
        self.known.set()
        return await self._say([done for done in told if done.path != "/v1/accounts"], restores)

    async def _say(self, told: Sequence[Done], restores: int) -> bool:
        for path, run in groupby(told, key=lambda done: done.path):
            left = list(run)
            while left:
                if restores != self.restores:
                    return False
                left = await self._say_some(path, left[:LINES_PER_REPLAY]) + left[LINES_PER_REPLAY:]
        return True

    async def _say_some(self, path: str, some: list[Done]) -> list[Done]:
        """Those of them that have to be said again."""
        try:
            if path.endswith("/cancel"):
                await self.api.post(path, {})
                return []
            answers = await self.api.bulk(path, [done.line for done in some], replayed=True)
        except NoAnswer:
            await asyncio.sleep(AGAIN_S)
            return some
        except Refusing:
            assert path.endswith("/cancel"), f"{self.code} {path}: {some[0]}"
            return []  # it is decided
        again = []
        for done, answer in zip(some, answers, strict=True):
            if answer.get("status") in (429, 503):
                again.append(done)
            elif not answer["ok"] or answer.get("id", "") != done.id:
                raise AssertionError(f"{self.code}: {done} was acknowledged, and is now answered {answer}")
        return again
