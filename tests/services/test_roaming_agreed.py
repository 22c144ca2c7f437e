"""Redeeming away from home under an agreement, and under a penalty: what it switches on, bounds and delays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.agreement.document import EVERYTHING, Feature, NoticeKind, Rate
from gateway.protocol.errors import Refused
from gateway.protocol.roaming import State
from gateway.protocol.values import Reason
from node.services.penalty import NotifyPenalty
from tests.federation import Pair
from tests.protocol.pair import both, caps, dealings, direction, document, noted
from tests.services.delivery import A, B
from tests.services.ledger import address, order, points, resident
from tests.services.roaming import at, authorised, capture, code, ends, purchase, redeemed, release, states, visitor


@pytest.fixture
def two() -> Pair:
    made = visitor()
    resident(made.regions[B], "B", 100)
    return made


def agree(made: Pair, *said: Any, only: int = 0, **changes: Any) -> None:
    """Ten of A's points are one of B's; `only`: the one region that knows of it. `a_to_b`: what may go that way."""
    other = Rate(category="moral", becomes="moral", p=10, q=1, derived=False)
    way = {
        "a_to_b": replace(direction(), **changes.pop("a_to_b", {})),
        "b_to_a": replace(direction(other), **changes.pop("b_to_a", {})),
    }
    known = dealings([*both(document(**way, **changes)), *said])
    for region, peer in ((A, B), (B, A)):
        if only in (0, region):
            made.regions[region].office.agreements.put(peer, known)


def refused_at_home(made: Pair, amount: int = 2) -> Reason:
    a, b = ends(made)
    found = b.one(purchase(code(a), amount))
    made.pump()
    assert at(b, found).state is State.REFUSED
    return Reason(at(b, found).reason)


def test_the_rate_is_that_of_the_agreement(two: Pair) -> None:
    a, b = ends(two)
    agree(two)
    found = authorised(two, a, b, 4)
    b.one(capture(found, 3))
    two.pump()
    assert (points(a, "A"), redeemed(b)) == ((90, 0, 0), 3)


def test_an_agreement_that_does_not_switch_it_on(two: Pair) -> None:
    a, b = ends(two)
    agree(two, features=EVERYTHING - {Feature.ROAMING})
    with pytest.raises(Refused, match="FEATURE_OFF"):
        b.one(purchase(code(a), 2))
    agree(two, only=B)
    assert refused_at_home(two) is Reason.FEATURE_OFF  # whatever the counter thinks


def test_terms_that_only_one_of_the_two_knows(two: Pair) -> None:
    agree(two, only=A)
    assert refused_at_home(two) is Reason.TERMS_DIFFER


def test_amounts_that_the_agreement_bounds(two: Pair) -> None:
    a, b = ends(two)
    agree(two, a_to_b={"smallest": 20, "caps": caps(transfer=60, net_debit=70)})
    for amount, reason in ((1, "BELOW_SMALLEST_AMOUNT"), (7, "TRANSFER_CAP_EXCEEDED")):
        with pytest.raises(Refused, match=reason):
            b.one(purchase(code(a), amount))
    found = authorised(two, a, b, 5)
    assert refused_at_home(two, 3) is Reason.NET_DEBIT_CAP_REACHED  # what is held counts
    b.one(release(found))
    two.pump()
    authorised(two, a, b, 3)


def test_what_a_resident_spends_away_counts_with_what_is_sent_there(two: Pair) -> None:
    a, b = ends(two)
    agree(two, a_to_b={"caps": caps(resident_day=50, net_debit=1_000)})
    found = authorised(two, a, b, 4)
    assert refused_at_home(two, 2) is Reason.RESIDENT_CAP_REACHED
    with pytest.raises(Refused, match="RESIDENT_CAP_REACHED"):
        a.one(order(address(b, "B"), 20))
    b.one(capture(found, 1))
    two.pump()
    a.one(order(address(b, "B"), 20))  # what came back counts no longer
    two.pump()
    assert refused_at_home(two, 3) is Reason.RESIDENT_CAP_REACHED
    authorised(two, a, b, 2)


def test_what_was_redeemed_there_makes_what_is_owed_here_less(two: Pair) -> None:
    a, b = ends(two)
    agree(two, a_to_b={"caps": caps(net_debit=40)}, b_to_a={"caps": caps(net_debit=4)})
    b.one(capture(authorised(two, a, b, 4)))
    two.pump()
    assert refused_at_home(two, 1) is Reason.NET_DEBIT_CAP_REACHED
    b.one(order(address(a, "A"), 4, account="B"))
    two.pump()
    authorised(two, a, b, 4)


def test_what_was_held_before_an_agreement_was_suspended_is_captured(two: Pair) -> None:
    a, b = ends(two)
    agree(two)
    found = authorised(two, a, b, 4)
    agree(two, noted(NoticeKind.SUSPEND, A, 20261101))
    with pytest.raises(Refused, match="AGREEMENT_SUSPENDED"):
        b.one(purchase(code(a), 2))
    b.one(capture(found, 3))
    two.pump()
    assert states(two, found) == (State.PART_CAPTURED, State.PART_CAPTURED)
    assert (points(a, "A"), redeemed(b)) == ((90, 0, 0), 3)


def test_a_pending_penalty_delays_and_the_counter_does_not_learn_why(two: Pair) -> None:
    a, _ = ends(two)
    penalty = NotifyPenalty(client="c", key="p", account="A", category="moral", amount=1, reason="虚报活动", by="zhang")
    a.one(penalty)
    assert refused_at_home(two) is Reason.DELAYED
    assert refused_at_home(two, 4_000) is Reason.INSUFFICIENT_POINTS  # the lowest reason goes first
    assert points(a, "A") == (120, 0, 0)
