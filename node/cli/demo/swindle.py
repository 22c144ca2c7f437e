"""Chapter: what 200 people were awarded for nothing moves on twice, is partly spent, and is taken back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from node.cli.demo.agreeing import PEOPLE
from node.cli.demo.api import LINES_PER_CALL
from node.cli.demo.cast import ACTIVITY, HANGZHOU, NINGBO, SHAOXING, SWINDLERS, Cast, Spent
from node.cli.demo.drive import SETTLE_S, Drive, all_done, chunks


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenBack:
    """The clawback as the region shows it that began it."""

    shown: dict[str, Any]
    hops: list[dict[str, Any]]
    seconds: float  # until every region had answered


def _cast(drive: Drive) -> Cast:
    assert drive.data.cast is not None
    return drive.data.cast


async def spread(drive: Drive) -> None:
    """From 330100 to 330200, where half of it goes on to 330600 before that region is put back to its backup."""
    cast = _cast(drive)
    with drive.watcher.stage("虚假活动的积分转出两次", "Points of a fraud move on, twice", 2 * SWINDLERS) as done:
        await drive.send(cast.swindle)
        await drive.arrived()
        done(SWINDLERS)
        await spend(drive, [s for s in cast.spent if s.region in (HANGZHOU, NINGBO)])
        await drive.send(cast.before)
        await drive.arrived()
        done(len(cast.before))


async def spread_further(drive: Drive) -> None:
    """The other half, under an agreement that the restored region has only from its peer; and some of it is spent."""
    cast = _cast(drive)
    with drive.watcher.stage("恢复后继续转移、消费", "Go on after the restore: move, spend", SWINDLERS) as done:
        await drive.send(cast.after)
        await drive.arrived()
        await spend(drive, [s for s in cast.spent if s.region == SHAOXING])
        done(SWINDLERS)


async def spend(drive: Drive, spent: Sequence[Spent]) -> None:
    """Redeem at home."""
    for region, api in drive.apis.items():
        lines = [
            {"key": s.key, "account": s.account, "category": s.category, "amount": s.amount}
            for s in spent
            if s.region == region
        ]
        for chunk in chunks(lines, LINES_PER_CALL):
            all_done("/v1/spends", await api.insist("/v1/spends", chunk))


async def take_back(drive: Drive) -> TakenBack:
    """Two people order it where it was awarded; each region does its part, and says so to the one that asked."""
    api = drive.apis[HANGZHOU]
    with drive.watcher.stage("沿转移追回虚假活动的积分", "Claw back what the fraud created", 1) as done:
        began = time.monotonic()
        body = {"activity": ACTIVITY, "category": "moral", "key": "clawback-1", **PEOPLE}
        begun = await api.post("/v1/clawbacks", body)
        path = f"/v1/clawbacks/{begun['id']}"

        async def over() -> bool:
            return bool((await api.get(path))["clawback"]["state"] == "done")

        await drive.until(over, SETTLE_S, "the clawback is not over")
        seconds = time.monotonic() - began
        done(1)
    found = await api.get(path)
    return TakenBack(shown=found["clawback"], hops=found["hops"], seconds=seconds)
