"""Points expire by business date, a sweep books it, and what is under way does not expire."""

from __future__ import annotations

import pytest

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Reason
from node.ledger.accounts import AccountState
from node.services.expiry import Sweep, Swept
from node.services.spend import Spend
from tests.federation import Pair, TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, B
from tests.services.ledger import address, column, order, points, resident, rows, set_state, state_of

DAY_MS = 86_400_000
TODAY = 20261118  # of the tests' clock, in Shanghai


def regions_with_late_points(regions: Regions, **more: object) -> tuple[Pair, TestRegion, TestRegion]:
    """A holds 50 points that expire on the 20th, and B can receive."""
    made = regions(**more)
    a, b = made.regions[A], made.regions[B]
    resident(a, "A", 50, expires=20261120)
    resident(b, "B")
    return made, a, b


def spend(amount: int, key: str = "spend") -> Spend:
    return Spend(client="c", key=key, account="A", category="moral", amount=amount)


def test_a_sweep_books_what_has_expired_and_no_more(regions: Regions) -> None:
    _, a, _ = regions_with_late_points(regions)
    resident(a, "A", 7, expires=20261121)
    a.one(spend(20))
    before = rows(a)
    assert a.one(Sweep()) == Swept(lots=0, units=0, next=0)
    assert rows(a) == before
    a.clock.now_ms += 2 * DAY_MS
    assert points(a, "A") == (37, 0, 0)  # not booked yet, and not to be spent
    assert isinstance(a.do(spend(8, "late"))[0], Refused)
    assert a.one(Sweep()) == Swept(lots=1, units=30, next=0)
    assert points(a, "A") == (7, 0, 0)
    after = rows(a)
    assert a.one(Sweep()) == Swept(lots=0, units=0, next=0)
    assert rows(a) == after


def test_a_sweep_goes_on_where_it_stopped(regions: Regions) -> None:
    _, a, _ = regions_with_late_points(regions)
    for _ in range(5):
        resident(a, "A", 1, expires=20261120)
    a.clock.now_ms += 2 * DAY_MS
    swept, after, runs = 0, 0, 0
    while True:
        answer = a.one(Sweep(after=after, limit=2))
        swept, runs, after = swept + answer.units, runs + 1, answer.next
        if not after:
            break
    assert (swept, runs) == (55, 4)
    assert points(a, "A") == (0, 0, 0)


def test_a_sweep_and_a_spend_in_one_batch(regions: Regions) -> None:
    _, a, _ = regions_with_late_points(regions)
    resident(a, "A", 5)
    a.clock.now_ms += 2 * DAY_MS
    answers = a.do(spend(6, "too much"), Sweep(), spend(5, "what is left"), Sweep())
    assert isinstance(answers[0], Refused)
    assert answers[0].reason is Reason.POINTS_EXPIRED
    assert answers[1] == Swept(lots=1, units=50, next=0)
    assert answers[3] == Swept(lots=0, units=0, next=0)
    assert points(a, "A") == (0, 0, 0)


def test_a_hold_made_before_expiry_is_honoured_after_it(regions: Regions) -> None:
    made, a, b = regions_with_late_points(regions, grace_days=10)
    placed = a.one(order(address(b, "B"), 40))
    a.clock.now_ms += 3 * DAY_MS
    assert a.one(Sweep()) == Swept(lots=1, units=10, next=0)
    made.restart(A)
    assert state_of(a, placed, A) == (State.POSTED, 0)
    assert points(a, "A") == (0, 0, 0)
    assert points(b, "B") == (40, 0, 0)
    assert column(b, "lot", "expires") == [20261201]  # today and the days of grace


def test_points_that_come_back_after_expiry_live_for_the_days_of_grace_once(regions: Regions) -> None:
    made, a, b = regions_with_late_points(regions)
    to = address(b, "B")
    set_state(b, "B", AccountState.CLOSED)
    placed = a.one(order(to, 40))
    a.clock.now_ms += 3 * DAY_MS
    made.restart(A)
    assert state_of(a, placed, A) == (State.VOIDED, Reason.ADDRESS_UNKNOWN)
    assert points(a, "A") == (50, 0, 0)
    assert a.one(Sweep()) == Swept(lots=1, units=10, next=0)
    assert column(a, "lot", "expires") == [20261120, 20261221]
    second = a.one(order(to, 40))  # the same units again, and they come back again after that
    a.clock.now_ms += 31 * DAY_MS
    made.restart(A)
    assert state_of(a, second, A)[0] == State.VOIDED
    assert column(a, "lot", "expires") == [20261120, 20261221]
    assert points(a, "A") == (40, 0, 0)
    assert isinstance(a.do(spend(1, "too late"))[0], Refused)
    assert a.one(Sweep()) == Swept(lots=1, units=40, next=0)


def test_points_that_come_back_in_time_go_into_the_very_lots_they_left(regions: Regions) -> None:
    made, a, b = regions_with_late_points(regions)
    resident(a, "A", 30)
    to = address(b, "B")
    set_state(b, "B", AccountState.CLOSED)
    before = rows(a, "lot", "balance")
    a.one(order(to, 70))
    made.pump()
    after = rows(a, "lot", "balance")
    assert after["lot"] == before["lot"]
    assert points(a, "A") == (80, 0, 0)


def test_two_voids_of_one_lot_in_one_envelope(regions: Regions) -> None:
    made, a, b = regions_with_late_points(regions)
    to = address(b, "B")
    set_state(b, "B", AccountState.CLOSED)
    a.do(order(to, 20), order(to, 25))
    a.clock.now_ms += 3 * DAY_MS
    made.restart(A)
    assert points(a, "A") == (50, 0, 0)
    assert a.one(Sweep()) == Swept(lots=1, units=5, next=0)
    assert points(a, "A") == (45, 0, 0)
    a.one(spend(45))


def test_first_expiring_first(regions: Regions) -> None:
    _, a, _ = regions_with_late_points(regions)
    resident(a, "A", 10)
    resident(a, "A", 10, expires=20261119)
    a.one(spend(15))
    assert column(a, "lot", "remaining") == [45, 10, 0]


def test_what_arrives_keeps_its_expiry_and_its_origin(regions: Regions) -> None:
    made = regions(grace_days=30)
    a, b = made.regions[A], made.regions[B]
    resident(a, "A", 10, granted=20260301, expires=20270301, because="blood")
    resident(b, "B")
    a.one(order(address(b, "B"), 10))
    made.pump()
    lot = rows(b, "lot")["lot"][0]
    assert lot[4:9] == (20260301, 20270301, A, 2, "blood")
    b.one(order(address(a, "A"), 10, account="B"))
    made.pump()
    back = rows(a, "lot")["lot"][1]
    assert back[4:9] == (20260301, 20270301, A, 2, "blood")


@pytest.mark.parametrize("rate", [(1, 3), (2, 3), (3, 2), (7, 5)], ids=str)
def test_only_whole_blocks_leave_and_nothing_is_lost(regions: Regions, rate: tuple[int, int]) -> None:
    made = regions(rate=rate)
    a, b = made.regions[A], made.regions[B]
    for i, amount in enumerate((4, 9, 1, 1, 20)):
        resident(a, "A", amount, expires=20270101 + i, because=f"activity {i}")
    resident(b, "B")
    p, q = rate
    a.one(order(address(b, "B"), 33))
    made.pump()
    blocks = 33 // q
    assert points(a, "A") == (35 - blocks * q, 0, 0)
    assert points(b, "B") == (blocks * p, 0, 0)
