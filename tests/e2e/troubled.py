"""Three regions as processes, a network between them that can fail, and everything that can befall a region."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

from gateway.protocol.members import Roster
from node.cli import federation, roster_file, trust
from node.cli.demo.api import Api, NoAnswer
from node.cli.demo.data import Member
from node.cli.demo.process import RegionProcess, free_ports, run, stop_all
from node.cli.init import init
from tests.e2e.network import Link, Relay
from tests.e2e.regional import CATEGORIES, System

MEMBERS = (
    Member(code=330100, name_zh="杭州", name_en="Hangzhou"),
    Member(code=330200, name_zh="宁波", name_en="Ningbo"),
    Member(code=330600, name_zh="绍兴", name_en="Shaoxing"),
)
RESIDENTS = 6
REVIEW_FROM = 25
RATES = ("1/1", "2/1", "1/2")
UP_S = 60.0
LINES_OF_LOG = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """One file that `hutong backup` made."""

    file: Path
    commits: int


@dataclass(kw_only=True)
class Troubled:
    """See the module. `told` says what was done to whom, when, in seconds from the start."""

    root: Path
    roster: Roster
    regions: dict[int, RegionProcess]
    systems: dict[int, System]
    links: dict[frozenset[int], Link]
    relays: list[Relay]
    chance: random.Random
    told: list[str] = field(default_factory=list)
    count: dict[str, int] = field(default_factory=dict)
    overlapped: bool = False  # two recovered at once
    backups: dict[int, list[Backup]] = field(default_factory=dict)  # oldest first
    void: dict[int, list[Backup]] = field(default_factory=dict)  # of histories that were left
    began: float = field(default_factory=time.monotonic)
    busy: dict[int, asyncio.Lock] = field(default_factory=dict)
    recoveries: set[asyncio.Task[None]] = field(default_factory=set)
    files: int = 0
    due: list[int] = field(default_factory=list)  # regions to be restored, none beside another

    def tell(self, kind: str, what: str) -> None:
        """Remember it for whoever reads of a failure."""
        self.told.append(f"{time.monotonic() - self.began:7.2f} s  {kind}: {what}")
        self.count[kind] = self.count.get(kind, 0) + 1

    # -- processes -----------------------------------------------------------------------------------------------------

    async def start(self, code: int) -> None:
        """Start it and wait until it answers."""
        region, end = self.regions[code], time.monotonic() + UP_S
        region.start()
        while not await self.systems[code].api.ready():
            region.check()
            assert time.monotonic() < end, f"{code} is not ready within {UP_S:.0f} s"
            await asyncio.sleep(0.05)

    async def kill(self, code: int, pause_s: float) -> None:
        """`kill -9`, and start it again after a while."""
        async with self.busy[code]:
            self.tell("kill", f"{code}, for {pause_s:.1f} s")
            self.regions[code].kill()
            await asyncio.sleep(pause_s)
            await self.start(code)

    async def halt(self, code: int, seconds: float) -> None:
        """The process stands still (SIGSTOP), as on a machine that swaps or is moved."""
        async with self.busy[code]:
            self.tell("halt", f"{code}, for {seconds:.1f} s")
            pid = self.regions[code].pid
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)

    async def second(self, code: int) -> None:
        """Somebody starts the region's node once more: it is refused."""
        async with self.busy[code]:
            self.tell("second", f"another serve for {code}")
            status, out = await run(["serve", "--dir", str(self.regions[code].directory), "--json"], within_s=UP_S)
            assert status != 0, out
            assert b"another `hutong serve` runs here" in out, out

    # -- the network ---------------------------------------------------------------------------------------------------

    async def cut(self, pair: Sequence[int], seconds: float) -> None:
        """No connection between two regions."""
        await self._fail(pair, seconds, "cut")

    async def stall(self, pair: Sequence[int], seconds: float) -> None:
        """Connections between two regions that carry nothing."""
        await self._fail(pair, seconds, "stall")

    async def _fail(self, pair: Sequence[int], seconds: float, how: str) -> None:
        self.tell(how, f"{pair[0]} - {pair[1]}, for {seconds:.1f} s")
        link = self.links[frozenset(pair)]
        if how == "cut":
            link.cut()
        else:
            link.stall()
        try:
            await asyncio.sleep(seconds)
        finally:
            link.heal()

    # -- backups -------------------------------------------------------------------------------------------------------

    async def back_up(self, code: int) -> None:
        """`hutong backup` while the region runs."""
        async with self.busy[code]:
            self.files += 1
            file = self.root / "backups" / f"{code}-{self.files}.sqlite"
            status, out = await run(["backup", str(file), "--dir", str(self.regions[code].directory), "--json"])
            assert status == 0, f"backup of {code} ends with {status}: {out!r:.500}"
            made = json.loads(out)
            self.backups[code].append(Backup(file=file, commits=made["commits"]))
            self.tell("backup", f"{code}, {file.name} of {made['lineage'][:8]} {made['commits']}")

    async def restore(self, code: int) -> None:
        """Put an earlier backup back; the regional system then says again what it was told."""
        async with self.busy[code]:
            system, kept = self.systems[code], self.backups[code]
            at = self.chance.randrange(len(kept))
            async with system.operating:
                others = [other for other, s in self.systems.items() if other != code and not s.whole]
                self.overlapped |= bool(others)
                self.tell("restore", f"{code} to {kept[at].file.name}" + (f" while {others} recover" if others else ""))
                system.restored()
                await self._end(code)
                found = await self._put_back(code, kept[at], 0)
                later = [backup for backup in kept[at + 1 :] if found["recovers"]]
                self.void[code] += [backup for backup in later if backup.commits > kept[at].commits]
                self.backups[code] = kept[: at + 1] if later else kept
            await self.start(code)
            if not any(task.get_name() == str(code) for task in self.recoveries):
                task = asyncio.create_task(system.recover(), name=str(code))
                self.recoveries.add(task)
                task.add_done_callback(self._recovered)

    async def restore_alone(self, code: int) -> None:
        """As `restore`; but where another region recovers already, that one, in the midst of it."""
        recovers = [other for other, system in self.systems.items() if not system.whole]
        code = [*recovers, *self.due, code][0]
        self.due.append(code)
        try:
            await self.restore(code)
        finally:
            self.due.remove(code)

    async def restore_void(self, code: int) -> None:
        """Somebody puts back a backup of a history that was left: it is refused, and nothing has changed."""
        async with self.busy[code]:
            if not self.void[code]:
                return
            backup = self.chance.choice(self.void[code])
            self.tell("void", f"{code} to {backup.file.name}, which is void")
            await self._end(code)
            found = await self._put_back(code, backup, None)
            assert found["error"]["name"] == "abandoned", found
            await self.start(code)

    async def _end(self, code: int) -> None:
        if self.chance.random() < 0.5:
            self.regions[code].kill()
        else:
            self.regions[code].ask_to_stop()
            await asyncio.to_thread(self.regions[code].end)

    async def _put_back(self, code: int, backup: Backup, wanted: int | None) -> dict[str, Any]:
        status, out = await run(["restore", str(backup.file), "--dir", str(self.regions[code].directory), "--json"])
        assert status == wanted or (wanted is None and status != 0), f"restore of {code} ends with {status}: {out!r}"
        found: dict[str, Any] = json.loads(out)
        return found

    def _recovered(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            self.recoveries.discard(task)  # a failure stays, for whoever waits for all of them

    # -- the end -------------------------------------------------------------------------------------------------------

    async def dial(self) -> None:
        """Operators want every peer dialled now."""
        for one, other in permutations(self.regions, 2):
            try:
                await self.systems[one].api.post(f"/v1/peers/{other}/retry", {})
            except NoAnswer:
                continue

    def report(self) -> str:
        """What was done, and what the regions said last."""
        logs = []
        for code, region in self.regions.items():
            said = region.log_file.read_text(errors="replace").splitlines() if region.log_file.exists() else []
            logs += [f"-- {code} --", *said[-LINES_OF_LOG:]]
        return "\n".join([*self.told, *logs])


@asynccontextmanager
async def troubled(root: Path, seed: int) -> AsyncIterator[Troubled]:
    """Three regions that talk with one another; whatever runs of them at the end is ended."""
    chance = random.Random(seed)
    ports = free_ports(3 * len(MEMBERS))
    regions = {
        member.code: RegionProcess(
            member=member,
            directory=root / str(member.code),
            grpc=f"127.0.0.1:{ports.pop()}",
            http=f"127.0.0.1:{ports.pop()}",
            outlives=False,
        )
        for member in MEMBERS
    }
    links = {frozenset(pair): Link() for pair in combinations(regions, 2)}

    def pids() -> dict[int, int]:
        return {code: region.pid for code, region in regions.items() if region.pid}

    relays = [Relay(code=code, port=ports.pop(), to=r.grpc, links=links, pids=pids) for code, r in regions.items()]
    roster = _found(root, list(regions.values()), {relay.code: relay.port for relay in relays})
    async with AsyncExitStack() as stack:
        for relay in relays:
            await stack.enter_async_context(relay)
        stack.callback(stop_all, list(regions.values()))
        systems = {}
        for code, region in regions.items():
            api = await stack.enter_async_context(Api(region))
            names = [f"居民{code}-{n}" for n in range(RESIDENTS)]
            systems[code] = System(api, random.Random(chance.random()), names)
        yield Troubled(
            root=root, roster=roster, regions=regions, systems=systems, links=links, relays=relays, chance=chance,
            backups={code: [] for code in regions}, void={code: [] for code in regions},
            busy={code: asyncio.Lock() for code in regions},
        )  # fmt: skip


def _found(root: Path, regions: Sequence[RegionProcess], ports: dict[int, int]) -> Roster:
    """Keys, certificates, databases, and a roster in which each region is reached through its relay."""
    cards = []
    for region in regions:
        made = init(
            code=str(region.code), name=region.member.name_zh, name_en=region.member.name_en,
            directory=region.directory, listen=region.grpc, http=region.http,
            endpoint=f"127.0.0.1:{ports[region.code]}", categories=",".join(CATEGORIES), environment="demo",
        )  # fmt: skip
        cards.append(Path(made.value["card"]))
        (region.directory / "terms.toml").write_text(_terms([region.code for region in regions]), encoding="utf-8")
    keepers = root / "federation"
    new = federation.new(name="互通试验", name_en="Trial", out=keepers, environment="demo")
    file = keepers / "roster-1.json"
    federation.add(file, cards)
    for key in new.value["root_keys"][:2]:
        federation.sign(file, Path(key))
    for region in regions:
        trust.trust(file, region.directory)
    roster = roster_file.read(file).current
    assert roster is not None
    return roster


def _terms(codes: Sequence[int]) -> str:
    """Every direction and category; larger amounts of culture wait for a clerk."""
    tables = [
        f'[[terms]]\nfrom = "{source}"\nto = "{destination}"\ncategory = "{category}"\nbecomes = "{category}"\n'
        f'rate = "{RATES[number % len(RATES)]}"\nreview_from = {REVIEW_FROM if category == "culture" else 0}\n'
        for number, (source, destination) in enumerate(permutations(codes, 2))
        for category in CATEGORIES
    ]
    return "\n".join(["version = 1\n", *tables])
