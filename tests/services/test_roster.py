"""Rosters that peers hand on: what is dated in the future is taken by nobody, whoever signed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from gateway.protocol import limits
from gateway.protocol.errors import Unauthentic
from gateway.protocol.roster import sign
from gateway.protocol.values import Signed
from node.region import LocalRegion
from node.services.writer import WriterThread
from tests.federation import NOW_MS, TestRegion, signing_key
from tests.services.conftest import Regions
from tests.services.delivery import A
from tests.services.ledger import rows

Started = Callable[[TestRegion], LocalRegion]


@pytest.fixture
def started() -> Iterator[Started]:
    """`started(region)`: the region as the transport sees it, with its writer in a thread."""
    threads: list[WriterThread] = []

    def start(region: TestRegion) -> LocalRegion:
        threads.append(WriterThread(region.writer))
        return LocalRegion(region.office, region.store, threads[-1], region.exchange)

    yield start
    for thread in threads:
        thread.stop()


def second(region: TestRegion, issued_at_ms: int) -> Signed:
    following = replace(region.office.roster, version=2, issued_at_ms=issued_at_ms)
    return sign(following, [signing_key("root 0"), signing_key("root 1")])


def test_a_roster_of_today_is_in_force_at_once(regions: Regions, started: Started) -> None:
    a = regions().regions[A]
    asyncio.run(started(a).hear_rosters([second(a, NOW_MS + limits.CLOCK_SKEW_MS)]))
    assert a.office.roster.version == 2
    assert len(rows(a, "roster")["roster"]) == 2


def test_a_roster_dated_in_the_future_is_not_kept(regions: Regions, started: Started) -> None:
    a = regions().regions[A]
    before = rows(a)
    with pytest.raises(Unauthentic, match="in the future"):
        asyncio.run(started(a).hear_rosters([second(a, NOW_MS + limits.CLOCK_SKEW_MS + 1)]))
    assert a.office.roster.version == 1
    assert rows(a) == before
