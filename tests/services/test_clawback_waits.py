"""A clawback waits for what is not decided yet, and for nobody who will not answer."""

from __future__ import annotations

import pytest

from gateway.protocol.clawback import State
from gateway.protocol.dispute import Act
from gateway.protocol.values import Reason, Status
from node.ledger.accounts import AccountState
from node.services.clawback.orders import GoOn
from node.services.dispute.steps import Open
from node.services.offer import Review
from node.services.transfer import Cancel
from tests.services.clawing import FRAUD, all_of, began, claims, claw, go_on, move
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C
from tests.services.disputing import coordinated, opening, says
from tests.services.ledger import points, resident, set_state
from tests.services.roaming import capture, code, purchase, release, visitor
from tests.services.standing import carry_out, copies, resolve, set_status

DAY_MS = 86_400_000


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "refused"])
def test_what_waits_for_a_clerk_is_taken_where_it_ends(regions: Regions, accepted: bool) -> None:
    made = regions(review_from=50)
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    placed = move(made, A, B, "x", 60)
    made.pump()
    started = claw(a)
    go_on(made)
    assert (began(a, started).state, began(a, started).recovered) == (State.GATHERING, 40)
    b.one(Review(source=A, id=bytes.fromhex(placed.id), accept=accepted, by="clerk"))
    go_on(made)
    row = began(a, started)
    assert (row.state, row.recovered, row.further) == (State.DONE, 40 if accepted else 100, 60 if accepted else 0)
    assert (points(a, "x"), points(b, "x")) == ((0, 0, 0), (0, 0, 0))


def test_what_comes_back_to_an_expired_lot_is_taken_too(regions: Regions) -> None:
    made = regions(review_from=50)
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD, expires=20261125)
    resident(b, "x")
    placed = move(made, A, B, "x", 60)
    made.pump()
    a.clock.now_ms += 10 * DAY_MS
    a.one(Cancel(id=bytes.fromhex(placed.id)))
    made.pump()
    assert points(a, "x") == (100, 0, 0)
    row = began(a, claw(a))
    assert (row.state, row.recovered, points(a, "x")) == (State.DONE, 100, (0, 0, 0))


def test_a_frozen_account_gives_back_what_it_got(regions: Regions) -> None:
    made = regions()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    move(made, A, B, "x", 60)
    made.pump()
    for region in (a, b):
        set_state(region, "x", AccountState.FROZEN)
    started = claw(a)
    made.pump()
    assert (began(a, started).recovered, began(a, started).further) == (40, 60)
    assert (points(a, "x"), points(b, "x")) == ((0, 0, 0), (0, 0, 0))


def test_what_a_dispute_freezes_is_taken_when_that_has_ended() -> None:
    made = coordinated()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 40, because=FRAUD)
    resident(b, "x")
    placed = move(made, A, B, "x", 40)
    made.pump()
    dispute: Open = opening(B, bytes.fromhex(placed.id))
    opened = a.one(dispute)
    made.pump()
    started = claw(a)
    go_on(made)
    assert (began(a, started).state, points(b, "x")) == (State.GATHERING, (0, 60, 0))
    says(made, A, opened.id, Act.WITHDRAW)
    go_on(made)
    assert (began(a, started).state, began(a, started).further, points(b, "x")) == (State.DONE, 40, (0, 0, 0))


def test_a_region_that_is_suspended_is_not_asked_and_can_be_asked_once_it_is_back(regions: Regions) -> None:
    made = regions()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    move(made, A, B, "x", 60)
    made.pump()
    set_status(made, B, Status.SUSPENDED)
    first = began(a, claw(a))
    assert (first.state, first.recovered, first.further, first.owed) == (State.DONE, 40, 0, 0)
    assert [(row.state, row.reason) for row in all_of(a) if row.mine] == [(State.REFUSED, Reason.REGION_NOT_ACTIVE)]
    set_status(made, B, Status.ACTIVE)
    second = claw(a)
    made.pump()
    row = began(a, second)
    assert (row.state, row.blocks, row.recovered, row.further) == (State.DONE, 60, 0, 60)
    assert points(b, "x") == (0, 0, 0)


def test_a_region_that_is_gone_is_not_waited_for(regions: Regions) -> None:
    made = regions((A, B, C))
    a, b, c = (made.regions[code] for code in (A, B, C))
    resident(a, "x", 100, because=FRAUD)
    for region in (b, c):
        resident(region, "x")
    move(made, A, B, "x", 90)
    made.pump()
    move(made, B, C, "x", 50)
    made.pump()
    started = claw(a)
    b.one(GoOn())
    made.collect()
    made.wire.clear()  # nobody hears of it
    resolve(made, C, *copies(b, C), to=(A, B))
    carry_out(b)
    made.regions = {A: a, B: b}
    for region in (a, b):
        region.start()
    made.open()
    go_on(made)
    row = began(a, started)
    assert (row.state, row.recovered, row.further, row.owed) == (State.DONE, 10, 40, 50)
    assert claims(b) == [(A, True, "moral", 50)]
    assert points(c, "x") == (50, 0, 0)
    made.regions = {A: a, B: b, C: c}


@pytest.mark.parametrize("captured", [0, 12, 40], ids=["released", "a part captured", "captured"])
def test_what_a_counter_holds_is_taken_when_it_lets_go(captured: int) -> None:
    made = visitor()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    found = b.one(purchase(code(a, "x"), 40))
    made.pump()
    assert points(a, "x") == (40, 60, 0)
    started = claw(a)
    go_on(made)
    assert (began(a, started).state, points(a, "x")) == (State.GATHERING, (0, 60, 0))
    b.one(capture(found, captured) if captured else release(found))
    go_on(made)
    row = began(a, started)
    assert (row.state, row.recovered, points(a, "x")) == (State.DONE, 100 - captured // 2 * 3, (0, 0, 0))
