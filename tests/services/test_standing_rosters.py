"""A roster that ends something is acted on by the node itself, when it is heard and at a later start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.protocol import roster
from gateway.protocol.channel import Condition
from gateway.protocol.members import Resolution
from gateway.protocol.values import Status
from node.region import LocalRegion
from node.services.writer import WriterThread
from tests.federation import TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, B, ends
from tests.services.ledger import address, order, points
from tests.services.standing import ROOTS, copies, resolve


@pytest.fixture
def threads() -> Iterator[list[WriterThread]]:
    made: list[WriterThread] = []
    yield made
    for thread in made:
        thread.stop()


def served(region: TestRegion, threads: list[WriterThread]) -> LocalRegion:
    threads.append(WriterThread(region.writer))
    return LocalRegion(region.office, region.store, threads[-1], region.exchange)


def test_holds_come_back_as_soon_as_the_roster_is_heard(regions: Regions, threads: list[WriterThread]) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    a.one(order(address(b, "B"), 40))
    made.pump()
    known = a.office.roster
    gone = tuple(replace(r, status=Status.WITHDRAWN) if r.code == B else r for r in known.regions)
    resolution = Resolution(region=B, logs=copies(a, B))
    signed = roster.sign(replace(known, version=2, regions=gone, resolutions=(resolution,)), ROOTS)
    asyncio.run(served(a, threads).hear_rosters([signed]))
    assert points(a, "A") == (100, 0, 0)
    assert a.writer.channels[B].condition is Condition.CLOSED


def test_a_node_that_was_down_ends_it_when_it_starts(regions: Regions, threads: list[WriterThread]) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    a.one(order(address(b, "B"), 40))
    made.pump()
    resolve(made, B, *copies(a, B), to=(A,))
    a.start()
    assert points(a, "A") == (60, 40, 0)
    asyncio.run(served(a, threads).end_gone())
    assert points(a, "A") == (100, 0, 0)
