"""Minutes of trouble between real processes, and not a point lost.

`HUTONG_TROUBLE_S` is how long it lasts, `HUTONG_TROUBLE_SEED` what the troubles follow from. The kinds of trouble and
their order follow from the seed; what they meet on their way does not.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from node.cli.demo.api import Api, NoAnswer
from node.cli.demo.founding import somewhere
from tests.e2e import verdict
from tests.e2e.troubled import Troubled, troubled

TROUBLE_S = float(os.environ.get("HUTONG_TROUBLE_S", "150"))
SEED = int(os.environ.get("HUTONG_TROUBLE_SEED", "1"))
QUIET_S = 150.0
"""After the last trouble everything is in order within so much, and far sooner."""
AT_ONCE = 3
DECK = (
    *("kill",) * 4, *("halt",) * 3, *("cut",) * 3, *("stall",) * 2, *("backup",) * 5, *("restore",) * 3,
    "restore_two", "void", "second",
)  # fmt: skip
KINDS = set(DECK) - {"restore_two", "void"}
"""Each of these happens, however slow the machine is."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TROUBLE_S * 2 + 600)]


def test_points_are_conserved_through_kills_stalls_partitions_and_restores() -> None:
    with somewhere(keep=False) as root:
        asyncio.run(_live(root))


async def _live(root: Path) -> None:
    async with troubled(root, SEED) as world:
        try:
            await _begin(world)
            # One after the other: nobody may be owed anything in the end.
            await _days(world, TROUBLE_S / 2, together=False)
            _promised(await verdict.against(world))
            assert not world.overlapped
            await _days(world, TROUBLE_S / 2, together=True)
            _promised(await verdict.against(world))
            assert all(relay.carried for relay in world.relays)
        except BaseException as error:
            error.add_note(f"seed {SEED}, {TROUBLE_S:.0f} s\n{world.report()}")
            raise


def _promised(wrong: list[str]) -> None:
    assert not wrong, "\n".join(each[:1_000] for each in wrong)


async def _begin(world: Troubled) -> None:
    """Residents, points, addresses, and a first backup of each region."""
    await asyncio.gather(*map(world.start, world.regions))
    addresses = dict(zip(world.systems, await asyncio.gather(*(s.open() for s in world.systems.values())), strict=True))
    for code, system in world.systems.items():
        system.meet([each for other, theirs in addresses.items() if other != code for each in theirs])
    await asyncio.gather(*map(world.back_up, world.regions))


async def _days(world: Troubled, seconds: float, *, together: bool) -> None:
    """Load and troubles side by side, then none of either, until nothing is under way."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        clerks = [group.create_task(system.review(stopping)) for system in world.systems.values()]
        load = [group.create_task(s.work(stopping)) for s in world.systems.values() for _ in range(2)]
        await _troubles(world, seconds, together=together)
        world.tell("calm", "nothing fails any more")
        stopping.set()
        end = time.monotonic() + QUIET_S
        await _until(lambda: _over([*load, *world.recoveries]), end, "every call is answered, every region whole")
        for system in world.systems.values():
            assert system.whole, system.code
        await world.dial()
        for system in world.systems.values():
            await _until(partial(_settled, system.api), end, f"{system.code} is linked and settled")
        await _until(lambda: _quiet(world), end, "everything is signed for")
        for clerk in clerks:
            clerk.cancel()
    world.tell("quiet", ", ".join(f"{code}: {len(s.record)} done, {len(s.refused)} refused, {s.lost} unanswered"
                                  for code, s in world.systems.items()))  # fmt: skip


async def _troubles(world: Troubled, seconds: float, *, together: bool) -> None:
    end, deck, last = time.monotonic() + seconds, list[str](), dict[str, asyncio.Task[None]]()
    async with asyncio.TaskGroup() as group:
        while time.monotonic() < end or (together and not world.count.keys() >= KINDS):
            for code, region in world.regions.items():
                if not world.busy[code].locked():  # nobody means it to stop
                    region.check()
            if not deck:
                deck = list(DECK)
                world.chance.shuffle(deck)
            kind = deck.pop()
            trouble = _trouble(world, kind, world.chance, together=together)
            last[kind] = group.create_task(trouble)
            await asyncio.sleep(world.chance.uniform(0.5, 4.0))
            under_way = {task for task in last.values() if not task.done()}
            if len(under_way) >= AT_ONCE:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)


async def _trouble(world: Troubled, kind: str, chance: random.Random, *, together: bool) -> None:
    code = chance.choice(list(world.regions))
    pair = chance.choice(list(combinations(world.regions, 2)))
    if kind == "restore_two":
        if together:
            await asyncio.gather(*map(world.restore, pair))
        return
    seconds = chance.choice((2.0, 4.0, 8.0, 35.0))
    trouble: dict[str, Callable[[], Awaitable[Any]]] = {
        "kill": lambda: world.kill(code, chance.uniform(0.0, 3.0)),
        "halt": lambda: world.halt(code, chance.uniform(1.0, 8.0)),
        "cut": lambda: world.cut(pair, seconds),
        "stall": lambda: world.stall(pair, seconds),
        "backup": lambda: world.back_up(code),
        "restore": lambda: world.restore(code) if together else world.restore_alone(code),
        "void": lambda: world.restore_void(code),
        "second": lambda: world.second(code),
    }
    await trouble[kind]()


async def _until(holds: Callable[[], Awaitable[bool]], end: float, what: str) -> None:
    while not await holds():
        assert time.monotonic() < end, f"not within {QUIET_S:.0f} s: {what}"
        await asyncio.sleep(0.3)


async def _over(tasks: list[asyncio.Task[None]]) -> bool:
    for task in tasks:
        if task.done():
            task.result()
    return all(task.done() for task in tasks)


async def _settled(api: Api) -> bool:
    try:
        return await api.linked() and await api.settled()
    except NoAnswer:
        return False


async def _quiet(world: Troubled) -> bool:
    return await asyncio.to_thread(verdict.quiet, world)
