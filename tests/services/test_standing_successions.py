"""Codes that are split or merged under transfers at work, as on 9 April 2021 in Hangzhou: 江干区 (330104) became parts
of 上城区 (330102) and 钱塘区 (330114)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol import codec
from gateway.protocol.channel import Condition
from gateway.protocol.errors import Refused
from gateway.protocol.members import Succession
from gateway.protocol.transfer import State
from gateway.protocol.values import Reason
from node.services.offer import Review
from node.services.office import shanghai_date
from node.services.transfer import Cancel, EventKind
from node.store import logs
from tests.federation import NOW_MS, Pair, TestRegion
from tests.services.conftest import Regions
from tests.services.ledger import address, column, order, points, resident, rows, state_of
from tests.services.standing import assumed, carry_out, copies, enact, listed

NINGBO, JIANGGAN, SHANGCHENG, QIANTANG = 330200, 330104, 330102, 330114
DAY_MS = 86_400_000
TODAY = shanghai_date(NOW_MS)
TOMORROW = shanghai_date(NOW_MS + DAY_MS)


def hangzhou(regions: Regions, *successors: int, **terms: Any) -> tuple[Pair, TestRegion, TestRegion]:
    """Ningbo with 100 points for A, Jianggan with a resident B; from tomorrow on others answer for Jianggan."""
    made = regions((NINGBO, JIANGGAN, SHANGCHENG, QIANTANG), **terms)
    here, old = made.regions[NINGBO], made.regions[JIANGGAN]
    resident(here, "A", 100)
    resident(old, "B")
    for code in (SHANGCHENG, QIANTANG):
        resident(made.regions[code], "B")
    if successors:
        dated = tuple(Succession(successor=code, date=TOMORROW) for code in successors)
        enact(made, listed(made, JIANGGAN, successions=dated))
    return made, here, old


def day_passes(made: Pair) -> None:
    next(iter(made.regions.values())).clock.now_ms += DAY_MS  # all tell the time by one clock


def test_before_the_day_both_codes_are_in_use(regions: Regions) -> None:
    made, here, old = hangzhou(regions, SHANGCHENG, QIANTANG)
    new = made.regions[SHANGCHENG]
    to_old, to_new = here.one(order(address(old, "B"), 10)), here.one(order(address(new, "B"), 20))
    made.pump()
    assert state_of(here, to_old, NINGBO) == state_of(here, to_new, NINGBO) == (State.POSTED, 0)
    assert (points(old, "B"), points(new, "B")) == ((10, 0, 0), (20, 0, 0))


def test_from_the_day_on_an_order_to_the_old_code_is_told_the_new_ones_before_anything_is_held(
    regions: Regions,
) -> None:
    made, here, old = hangzhou(regions, SHANGCHENG, QIANTANG)
    to = address(old, "B")
    day_passes(made)
    with pytest.raises(Refused, match=f"{SHANGCHENG} and {QIANTANG}") as refusal:
        here.one(order(to, 10))
    assert refusal.value.reason is Reason.REGION_MOVED
    assert points(here, "A") == (100, 0, 0)
    assert rows(here, "transfer", "outbox") == {"transfer": [], "outbox": []}


def test_a_split_in_mid_flight(regions: Regions) -> None:
    """What the old code had begun it ends; what reaches it after the day is sent on, by name, under a new id."""
    made, here, old = hangzhou(regions, SHANGCHENG, QIANTANG, review_from=30)
    to = address(old, "B")
    in_review, cancelled = here.one(order(to, 30)), here.one(order(to, 31))
    made.pump()
    in_flight = here.one(order(to, 10))
    day_passes(made)
    made.pump()
    assert state_of(here, in_flight, NINGBO) == (State.VOIDED, Reason.REGION_MOVED)
    assert column(here, "event", "kind") == [EventKind.VOIDED]
    with here.store.read() as conn:
        number = rows(here, "transfer")["transfer"][-1][19]
        said = logs.body_at(conn, logs.number_of(conn, JIANGGAN, NINGBO, 1), number)
    assert codec.decode_successor(said) == SHANGCHENG
    old.one(Review(source=NINGBO, id=bytes.fromhex(in_review.id), accept=True, by="clerk"))
    here.one(Cancel(id=bytes.fromhex(cancelled.id)))
    again = here.one(order(address(made.regions[SHANGCHENG], "B"), 10))
    made.pump()
    assert state_of(here, in_review, NINGBO) == (State.POSTED, 0)
    assert state_of(here, cancelled, NINGBO) == (State.VOIDED, Reason.CANCELLED)
    assert state_of(here, again, NINGBO) == (State.POSTED, 0)
    assert (points(here, "A"), points(old, "B")) == ((60, 0, 0), (30, 0, 0))


def test_an_offer_the_old_code_made_before_the_day_arrives_after_it(regions: Regions) -> None:
    made, here, old = hangzhou(regions, SHANGCHENG)
    resident(old, "B2", 40)
    placed = old.one(order(address(here, "A"), 40, account="B2"))
    day_passes(made)
    made.pump()
    assert state_of(old, placed, JIANGGAN) == (State.POSTED, 0)
    assert points(here, "A") == (140, 0, 0)


def test_the_residents_of_the_old_code_take_their_points_to_its_successors_and_nowhere_else(regions: Regions) -> None:
    made, here, old = hangzhou(regions, SHANGCHENG, QIANTANG)
    new = made.regions[QIANTANG]
    resident(old, "B2", 40)
    day_passes(made)
    with pytest.raises(Refused, match="REGION_MOVED"):
        old.one(order(address(here, "A"), 10, account="B2"))
    old.one(order(address(new, "B"), 40, account="B2"))
    made.pump()
    assert (points(old, "B2"), points(new, "B")) == ((0, 0, 0), (40, 0, 0))


def test_a_merger_in_mid_flight(regions: Regions) -> None:
    """The old code's node goes off; from the day on its successor answers for its logs as far as they are known."""
    made, here, old = hangzhou(regions, review_from=30)
    heir = made.regions[SHANGCHENG]
    resident(old, "B2", 50)
    held = here.one(order(address(old, "B"), 30))
    in_review = old.one(order(address(here, "A"), 30, account="B2"))
    made.pump()
    unseen = old.one(order(address(here, "A"), 20, account="B2"))
    while points(here, "A")[2] == 0:
        if not made.wire:
            made.collect()
        made.deliver()
    made.wire.clear()
    del made.regions[JIANGGAN]
    succession = assumed(heir, JIANGGAN, TOMORROW, *copies(here, JIANGGAN))
    enact(made, listed(made, JIANGGAN, successions=(succession,)))
    assert carry_out(here) == []  # not before the day
    assert points(here, "A") == (70, 30, 20)
    day_passes(made)
    (done, _) = carry_out(here)
    assert (done.voided, done.refused, done.claimed) == (1, 1, 1)
    assert here.writer.channels[JIANGGAN].condition is Condition.CLOSED
    assert state_of(here, held, NINGBO) == (State.VOIDED, Reason.REGION_MOVED)
    assert state_of(here, in_review, JIANGGAN) == (State.REFUSED, Reason.REGION_MOVED)
    assert state_of(here, unseen, JIANGGAN) == (State.ACCEPTED, 0)
    assert points(here, "A") == (120, 0, 0)
    ((_, debtor, *_),) = rows(here, "claim")["claim"]
    assert debtor == SHANGCHENG  # the successor answers for it, not an estate
    here.one(order(address(heir, "B"), 20))
    made.pump()
    assert points(heir, "B") == (20, 0, 0)
    with pytest.raises(Refused, match="REGION_MOVED"):
        here.one(order(address(old, "B"), 10))
    made.regions[JIANGGAN] = old  # its books are examined with the others'


def test_points_that_went_to_an_address_of_the_old_code_before_the_day_are_where_they_were(regions: Regions) -> None:
    """And whoever gave up the code spends them there until they are taken along."""
    made, here, old = hangzhou(regions, SHANGCHENG)
    placed = here.one(order(address(old, "B"), 10))
    made.pump()
    day_passes(made)
    made.restart(JIANGGAN)
    assert state_of(here, placed, NINGBO) == (State.POSTED, 0)
    assert points(old, "B") == (10, 0, 0)
    assert TODAY < TOMORROW
