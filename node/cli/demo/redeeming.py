"""Chapter: residents redeem at counters of other regions. A code, an authorisation, a capture of all or of a part."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from node.cli.demo.cast import TRIPS, Trip
from node.cli.demo.drive import SETTLE_S, Drive
from node.errors import Unavailable

WAIT_S = 20
"""How long the counter's call may wait for the answer of the home region."""


@dataclass(kw_only=True, slots=True)
class Trips:
    """What was seen: the authorisations as the counters show them at last, in the order of the trips."""

    shown: list[dict[str, Any]] = field(default_factory=list)
    authorised_s: list[float] = field(default_factory=list)  # from asking until home had answered


async def redeem(drive: Drive) -> Trips:
    """All trips, one after the other."""
    seen = Trips()
    with drive.watcher.stage("居民在外地兑换", "Redeem away from home", len(TRIPS)) as done:
        for trip in TRIPS:
            await _redeem(drive, trip, seen)
            done(1)
    return seen


async def _redeem(drive: Drive, trip: Trip, seen: Trips) -> None:
    home, counter = drive.apis[trip.home], drive.apis[trip.counter]
    code = (await home.post("/v1/codes", {"account": trip.account}))["code"]
    began = time.monotonic()
    asked = {"code": code, "category": "moral", "amount": trip.price, "key": trip.key, "reference": trip.key}
    authorisation = await counter.post(f"/v1/authorisations?wait={WAIT_S}", asked)
    seen.authorised_s.append(time.monotonic() - began)
    if authorisation["state"] != "authorised":
        raise Unavailable(f"{trip.key} is {authorisation['state']}: {authorisation['reason']}")
    path = f"/v1/authorisations/{authorisation['id']}"
    if trip.captured:
        await counter.post(f"{path}/capture", {"amount": trip.captured, "key": f"{trip.key}-capture"})
    else:
        await counter.post(f"{path}/release", {"key": f"{trip.key}-release"})

    async def ended() -> bool:
        return (await counter.get(path))["ended"] is not None

    await drive.until(ended, SETTLE_S, f"{trip.key} has not ended")
    seen.shown.append(await counter.get(path))
