"""A counter's region, and a home region, of two processes over one database: either takes what merchants ask."""

from __future__ import annotations

import pytest

from gateway.protocol.roaming import State
from tests.services.ledger import points, resident
from tests.services.processes import take_over
from tests.services.roaming import at, capture, code, purchase, redeemed, release
from tests.services.test_several import Region, region

__all__ = ["region"]

pytestmark = pytest.mark.postgresql


def test_a_purchase_asked_for_in_one_process_and_captured_in_the_other(region: Region) -> None:
    take_over(region.made, region.east)
    resident(region.b, "B", 100)
    asking = purchase(code(region.b, "B"), 40)
    found = region.west.one(asking)
    assert region.east.one(asking).id == found.id
    region.made.pump()
    assert [at(process, found).state for process in region.processes] == [State.AUTHORISED] * 2
    taking = capture(found, 30)
    region.west.one(taking)
    region.east.do()  # it is told that something waits to be numbered
    region.made.pump()
    assert region.east.one(taking).state is State.PART_CAPTURED
    assert (points(region.b, "B"), redeemed(region.west)) == ((70, 0, 0), 30)


def test_a_code_of_one_process_works_where_the_other_hears_of_it_and_the_seat_changes_meanwhile(
    region: Region,
) -> None:
    take_over(region.made, region.east)
    resident(region.west, "A", 100)
    found = region.b.one(purchase(code(region.west), 40))
    region.made.pump()
    assert points(region.west, "A") == (60, 40, 0)
    take_over(region.made, region.west)
    region.b.one(release(found))
    region.made.pump()
    assert (at(region.b, found).state, points(region.east, "A")) == (State.RELEASED, (100, 0, 0))
