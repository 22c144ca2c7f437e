"""Clawback 追回: what fraud created comes back from wherever it moved on to; what was spent is owed, hop by hop."""

from __future__ import annotations

import pytest

from gateway.protocol.clawback import State
from gateway.protocol.errors import Refused
from node.errors import BadInput
from node.services.award import Award
from node.services.clawback.orders import StartClawback
from tests.services.clawing import FRAUD, all_of, began, claims, claw, go_on, move, positions, spend
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C
from tests.services.ledger import ledger, points, resident


def test_what_never_left_is_taken_back_and_what_was_spent_at_home_is_the_issuers_own_loss(regions: Regions) -> None:
    made = regions()
    a = made.regions[A]
    resident(a, "honest", 50, because="blood donation")
    resident(a, "A", 100, because=FRAUD)
    spend(a, "A", 30)
    row = began(a, claw(a))
    assert (row.state, row.blocks, row.recovered, row.further, row.owed) == (State.DONE, 100, 70, 0, 0)
    assert (points(a, "A"), points(a, "honest")) == ((0, 0, 0), (50, 0, 0))
    assert claims(a) == []


def test_points_that_moved_on_twice_come_back_hop_by_hop_and_what_was_spent_is_owed_along_the_chain(
    regions: Regions,
) -> None:
    made = regions((A, B, C))
    a, b, c = (made.regions[code] for code in (A, B, C))
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    resident(c, "x")
    move(made, A, B, "x", 90)
    made.pump()
    spend(b, "x", 20)
    move(made, B, C, "x", 50)
    made.pump()
    spend(c, "x", 15)
    started = claw(a)
    made.pump()
    row = began(a, started)
    assert (row.state, row.blocks, row.recovered, row.further, row.owed) == (State.DONE, 100, 10, 55, 35)
    assert [points(region, "x") for region in (a, b, c)] == [(0, 0, 0)] * 3
    assert (claims(a), claims(b), claims(c)) == (
        [(B, False, "moral", 35)],
        [(C, False, "moral", 15), (A, True, "moral", 35)],
        [(B, True, "moral", 15)],
    )
    assert positions(a)[B, "moral"] == (90, 55)
    assert positions(b) == {(A, "moral"): (55, 90), (C, "moral"): (50, 35)}
    assert positions(c)[B, "moral"] == (35, 50)


def test_a_second_clawback_of_the_same_activity_finds_nothing_twice(regions: Regions) -> None:
    made = regions()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    move(made, A, B, "x", 60)
    made.pump()
    spend(b, "x", 10)
    claw(a)
    made.pump()
    before = ledger(a)["posting"], ledger(b)["posting"], claims(a), claims(b)
    again = began(a, claw(a))
    made.pump()
    assert (again.state, again.blocks, again.recovered, again.further, again.owed) == (State.DONE, 0, 0, 0, 0)
    assert (ledger(a)["posting"], ledger(b)["posting"], claims(a), claims(b)) == before


def test_the_same_key_is_answered_as_before(regions: Regions) -> None:
    made = regions()
    a = made.regions[A]
    resident(a, "x", 100, because=FRAUD)
    assert claw(a, key="once") == claw(a, key="once")
    assert len(all_of(a)) == 1
    with pytest.raises(Refused, match="CONFLICT_DIFFERENT_CONTENT"):
        claw(a, "another", key="once")


@pytest.mark.parametrize(("by", "checked_by"), [("one", "one"), ("one", ""), ("", "one")])
def test_one_person_alone_takes_nothing_back(regions: Regions, by: str, checked_by: str) -> None:
    a = regions().regions[A]
    resident(a, "x", 100, because=FRAUD)
    with pytest.raises(BadInput, match="two people"):
        a.one(
            StartClawback(client="c", key="k", activity=FRAUD, category="moral", by=by, checked_by=checked_by)
        )  # fmt: skip
    assert points(a, "x") == (100, 0, 0)


def test_an_activity_nobody_was_awarded_for_is_named(regions: Regions) -> None:
    a = regions().regions[A]
    with pytest.raises(BadInput, match="nothing was awarded"):
        claw(a)


def test_what_is_held_meanwhile_is_waited_for(regions: Regions) -> None:
    made = regions()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    move(made, A, B, "x", 60)
    started = claw(a)
    assert (began(a, started).state, points(a, "x")) == (State.GATHERING, (0, 60, 0))
    made.pump()
    go_on(made)
    row = began(a, started)
    assert (row.state, row.recovered, row.further, row.owed) == (State.DONE, 40, 60, 0)
    assert points(b, "x") == (0, 0, 0)


def test_points_that_come_round_to_where_they_were_awarded_come_back_once(regions: Regions) -> None:
    made = regions()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(a, "y")
    resident(b, "x")
    move(made, A, B, "x", 100)
    made.pump()
    move(made, B, A, "x", 70, to_account="y")
    made.pump()
    spend(a, "y", 30)
    started = claw(a)
    made.pump()
    row = began(a, started)
    assert (row.state, row.recovered, row.further, row.owed) == (State.DONE, 0, 70, 30)
    assert [points(a, "x"), points(a, "y"), points(b, "x")] == [(0, 0, 0)] * 3
    # The region that issued them owes what was spent, to itself by way of the other.
    assert claims(a) == [(B, True, "moral", 30), (B, False, "moral", 30)]


def test_a_block_made_of_two_lots_is_rounded_down(regions: Regions) -> None:
    made = regions(rate=(1, 3))
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 4, because=FRAUD)
    a.one(Award(client="c", key="honest", account="x", category="moral", amount=5, because="blood donation"))
    resident(b, "x")
    move(made, A, B, "x", 9)
    made.pump()
    started = claw(a)
    made.pump()
    row = began(a, started)
    assert (row.state, row.blocks, row.recovered, row.further, row.owed) == (State.DONE, 4, 0, 3, 0)
    assert points(b, "x") == (2, 0, 0)


def test_what_is_part_of_a_block_stays_with_the_resident(regions: Regions) -> None:
    made = regions(rate=(3, 1))
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 10, because=FRAUD)
    resident(b, "x")
    move(made, A, B, "x", 10)
    made.pump()
    spend(b, "x", 1)
    started = claw(a)
    made.pump()
    row = began(a, started)
    assert (row.further, row.owed, points(b, "x")) == (9, 1, (2, 0, 0))
    assert (claims(a), claims(b)) == ([(B, False, "moral", 1)], [(A, True, "moral", 3)])
