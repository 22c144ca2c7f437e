"""What must hold once all is quiet again: seen from outside, in files and by what the systems were told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from gateway.protocol.transfer import State
from gateway.protocol.values import Evidence
from node.cli.demo import about_logs, about_points, about_transfers, books
from node.cli.demo.api import LINES_PER_CALL
from node.cli.demo.books import Books
from node.cli.demo.case import Case, Check
from node.cli.demo.data import Data
from node.cli.demo.drive import chunks
from node.cli.demo.process import RegionProcess, run
from node.services.csv_file import AwardRow
from tests.e2e.regional import Done, System
from tests.e2e.troubled import Troubled

VERIFY_S = 600.0
ABOUT = (
    *about_points.CHECKS,
    about_transfers.both_sides,
    about_transfers.told,
    about_logs.heads,
    about_logs.messages,
    about_logs.outboxes,
    about_logs.receipts,
)


async def against(world: Troubled) -> list[str]:
    """All that contradicts a promise."""
    before = _read(world)
    wrong = await _again(world)
    found = _read(world)
    wrong += [f"{code}: repetition has changed the books" for code, b in found.items()
              if b.fingerprint != before[code].fingerprint]  # fmt: skip
    owed = {code: _owed(region.database) for code, region in world.regions.items()}
    if not world.overlapped:
        wrong += [f"{code} is owed {of}, and no two recovered at once" for code, of in owed.items() if of]
    told = {code: await system.api.told() for code, system in world.systems.items()}
    case = _case(world, found, owed, told)
    checks: list[Check] = [look(case) for look in ABOUT]
    for region in world.regions.values():
        wrong += await _derived(region)
    wrong += [f"{c.name} ({c.counted} looked at): {', '.join(c.against[:5])}" for c in checks if not c.ok]
    for code, system in world.systems.items():
        wrong += _acknowledged(system, found[code], world)
        recovery = await system.api.get("/v1/recovery")
        wrong += [f"{code} recovers still: {recovery}"] if recovery["recovering"] else []
    return wrong


def quiet(world: Troubled) -> bool:
    """Whether all that was said is signed for."""
    found = _read(world)
    case = _case(world, found, {}, {})
    return about_logs.outboxes(case).ok and about_logs.receipts(case).ok


def _read(world: Troubled) -> dict[int, Books]:
    return {code: books.read(code, region.database) for code, region in world.regions.items()}


def _case(
    world: Troubled,
    found: Mapping[int, Books],
    owed: Mapping[int, Mapping[tuple[str, str], int]],
    told: Mapping[int, Counter[str]],
) -> Case:
    """What the residents were given and have spent at home stands in the place of the awards."""
    given: list[AwardRow] = []
    for code, system in world.systems.items():
        for done in system.record:
            sign = {"/v1/awards": 1, "/v1/spends": -1}.get(done.path, 0)
            if sign:
                given.append(_row(code, done.line["account"], done.line["category"], sign * done.line["amount"]))
        given += [_row(code, account, category, units) for (account, category), units in owed.get(code, {}).items()]
    return Case(
        data=Data(residents=[], awards=given, transfers=[]),
        fates={}, books=found, roster=world.roster, answers={}, again={}, fingerprints_before={}, heads_at_kill={},
        told=told,
    )  # fmt: skip


def _row(code: int, account: str, category: str, amount: int) -> AwardRow:
    return AwardRow(
        region=code, key="", account=account, category=category, amount=amount, granted=0, expires=0,
        evidence=Evidence.SIGNED_IN, activity="",
    )  # fmt: skip


def _owed(path: Path) -> dict[tuple[str, str], int]:
    """(account, category) -> units that the region has advanced and not got back."""
    query = """
        SELECT a.name, c.code, o.amount FROM owed o JOIN balance b ON b.no = o.balance
        JOIN account a ON a.no = b.account JOIN category c ON c.no = b.category WHERE o.amount > 0"""
    with books.opened(path) as connection:
        return {(name, code): units for name, code, units in connection.execute(query)}


async def _derived(region: RegionProcess) -> list[str]:
    """What `hutong verify` says does not follow from journal and logs."""
    status, out = await run(["verify", "--dir", str(region.directory), "--json"], within_s=VERIFY_S)
    if status == 0:
        return []
    checks = json.loads(out).get("checks", [])
    return [f"verify of {region.code} ends with {status}"] + [
        f"{region.code} {each['code']}: {each['detail']}" for each in checks if not each["ok"]
    ]


async def _again(world: Troubled) -> list[str]:
    """Everything that was acknowledged, once more: each is answered as the first time."""

    async def repeat(system: System) -> list[str]:
        wrong = []
        for path in ("/v1/accounts", "/v1/awards", "/v1/spends", "/v1/transfers"):
            for some in chunks([done for done in system.record if done.path == path], LINES_PER_CALL):
                answers = await system.api.insist(path, [done.line for done in some])
                wrong += [f"{system.code}: {done}, now {answer}" for done, answer in zip(some, answers, strict=True)
                          if not answer["ok"] or answer.get("id", "") != done.id]  # fmt: skip
        return wrong

    return [each for found in await asyncio.gather(*map(repeat, world.systems.values())) for each in found]


def _acknowledged(system: System, found: Books, world: Troubled) -> list[str]:
    """One outcome for each key that was acknowledged, none for any that was refused, and what the clerks said."""
    held = Counter(t.key for t in found.transfers if t.source == found.region and t.key)
    by_key = {t.key: t for t in found.transfers if t.source == found.region}
    orders: list[Done] = [done for done in system.record if done.path == "/v1/transfers"]
    wrong = [f"{system.code} {done}: {held[done.line['key']]} transfers" for done in orders
             if held[done.line["key"]] != 1 or by_key[done.line["key"]].id.hex() != done.id]  # fmt: skip
    wrong += [f"{system.code}: two answers to {key}"
              for key, times in Counter(d.line["key"] for d in system.record if "key" in d.line).items()
              if times != 1 or key in system.refused]  # fmt: skip
    nobodys = held.keys() - {done.line["key"] for done in orders}
    wrong += [f"{system.code} {key}: a transfer, and the answer was {system.refused.get(key)}" for key in nobodys]
    states = {(t.source, t.id.hex()): t.state for t in found.transfers}
    withdrawn = {ident for other in world.systems.values() for ident in other.withdrawn}
    ends = {"accept": State.ACCEPTED, "refuse": State.REFUSED}
    for key, verdict in system.decided.items():
        if states.get(key) != ends[verdict] and key[1] not in withdrawn:
            wrong.append(f"{system.code}: the clerk's {verdict} of {key} has come to {states.get(key)}")
    return wrong
