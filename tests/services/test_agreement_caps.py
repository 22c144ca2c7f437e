"""What an agreement bounds: caps of a resident, of all, of what is owed; rest, frequency, and who decides."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol.agreement.document import Cap, CapScope, ExpiryRule, Feature
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State as Transfer
from gateway.protocol.values import Purpose, Reason
from node.ledger.accounts import AccountState
from node.services.offer import Review
from node.services.transfer import Cancel
from tests.federation import Pair, TestRegion
from tests.services.agreeing import DAY_MS, agree, direction, today
from tests.services.conftest import Regions
from tests.services.delivery import A, B, alias_of, ends
from tests.services.ledger import address, column, forge, offer, order, points, resident, rows, set_state, state_of

HOUR_MS = 3_600_000


def capped(made: Pair, **caps: int) -> tuple[TestRegion, TestRegion, str]:
    """A and B under an agreement with these caps from A to B, and an address at B."""
    a, b = ends(made)
    agree(made, there={"caps": tuple(Cap(scope=CapScope[name.upper()], amount=most) for name, most in caps.items())})
    return a, b, address(b, "B")


def refusals(answers: list[Any]) -> list[Reason | None]:
    return [answer.reason if isinstance(answer, Refused) else None for answer in answers]


def test_one_transfer_is_bounded_and_so_is_the_least(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, there={"caps": (Cap(scope=CapScope.TRANSFER, amount=50),), "smallest": 5})
    to = address(b, "B")
    found = refusals(a.do(order(to, 51), order(to, 4), order(to, 50), order(to, 5)))
    assert found == [Reason.TRANSFER_CAP_EXCEEDED, Reason.BELOW_SMALLEST_AMOUNT, None, None]


@pytest.mark.parametrize(
    ("scope", "days"), [("resident_day", 1), ("resident_month", 30), ("resident_year", 365), ("resident_ever", 0)]
)
def test_a_resident_is_bounded_in_every_period(regions: Regions, scope: str, days: int) -> None:
    made = regions()
    a, _, to = capped(made, **{scope: 30})
    resident(a, "another", 100)
    found = refusals(a.do(order(to, 20), order(to, 11), order(to, 10), order(to, 1), order(to, 30, account="another")))
    assert found == [None, Reason.RESIDENT_CAP_REACHED, None, Reason.RESIDENT_CAP_REACHED, None]
    made.pump()
    made.restart(A)  # what was counted is not forgotten
    assert refusals(a.do(order(to, 1))) == [Reason.RESIDENT_CAP_REACHED]
    a.clock.now_ms += (days or 365) * DAY_MS
    assert refusals(a.do(order(to, 30))) == [None if days else Reason.RESIDENT_CAP_REACHED]


def test_a_cap_that_a_batch_fills_is_not_overrun_by_the_rest_of_it(regions: Regions) -> None:
    made = regions()
    a, _, to = capped(made, pair_day=60)
    for n in range(10):
        resident(a, f"R{n}", 100)
    found = refusals(a.do(*(order(to, 10, account=f"R{n}") for n in range(10))))
    assert found == [None] * 6 + [Reason.PAIR_CAP_REACHED] * 4
    assert refusals(a.do(order(to, 1))) == [Reason.PAIR_CAP_REACHED]
    a.clock.now_ms += DAY_MS
    assert refusals(a.do(order(to, 60))) == [None]


def test_what_was_refused_or_cancelled_no_longer_counts(regions: Regions) -> None:
    made = regions()
    a, b, to = capped(made, resident_day=30, pair_day=30, net_debit=30)
    set_state(b, "B", AccountState.FROZEN)
    placed = a.one(order(to, 30))
    assert refusals(a.do(order(to, 1))) == [Reason.RESIDENT_CAP_REACHED]
    made.pump()
    assert state_of(a, placed, A) == (Transfer.VOIDED, Reason.ACCOUNT_FROZEN)
    set_state(b, "B", AccountState.OPEN)
    assert refusals(a.do(order(to, 30))) == [None]
    made.pump()
    assert points(b, "B") == (30, 0, 0)


def test_what_is_owed_counts_holds_and_what_came_back(regions: Regions) -> None:
    made = regions()
    a, b, to = capped(made, net_debit=50)
    assert refusals(a.do(order(to, 30), order(to, 21), order(to, 20))) == [None, Reason.NET_DEBIT_CAP_REACHED, None]
    made.pump()
    b.one(order(address(a, "A"), 15, account="B"))
    made.pump()
    assert refusals(a.do(order(to, 16), order(to, 15))) == [Reason.NET_DEBIT_CAP_REACHED, None]
    made.pump()
    assert points(b, "B") == (50, 0, 0)


def test_the_destination_holds_a_source_to_what_it_may_owe(regions: Regions) -> None:
    made = regions()
    a, b, to = capped(made, net_debit=50)
    a.one(order(to, 40))
    made.pump()
    b.hear(A, forge(a, B, [offer(alias_of(to), 11)]))
    assert [row[5] for row in rows(b, "transfer")["transfer"]] == [0, Reason.NET_DEBIT_CAP_REACHED]


def test_points_that_came_from_elsewhere_rest_and_others_go_meanwhile(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, back={"cooling_off_hours": 24})
    resident(b, "B2", 5)
    a.one(order(address(b, "B"), 40, purpose=Purpose.DONATION))
    a.one(order(address(b, "B2"), 40, purpose=Purpose.DONATION))
    made.pump()
    to = address(a, "A")
    found = refusals(b.do(order(to, 10, account="B"), order(to, 6, account="B2"), order(to, 5, account="B2")))
    assert found == [Reason.COOLING_OFF, Reason.COOLING_OFF, None]
    a.clock.now_ms += 24 * HOUR_MS
    assert refusals(b.do(order(to, 40, account="B"), order(to, 40, account="B2"))) == [None, None]


def test_a_resident_relocates_once_in_the_agreed_months_and_may_send_otherwise(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, there={"relocation_months": 12})
    to = address(b, "B")
    found = refusals(a.do(order(to, 10), order(to, 10), order(to, 10, purpose=Purpose.DONATION)))
    assert found == [None, Reason.TOO_FREQUENT, None]
    a.clock.now_ms += 366 * DAY_MS
    assert refusals(a.do(order(address(b, "B"), 10))) == [None]


def test_a_relocation_that_was_refused_may_be_tried_again(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, there={"relocation_months": 12, "review_from": 10})
    to = address(b, "B")
    placed = a.one(order(to, 10))
    made.pump()
    b.one(Review(source=A, id=bytes.fromhex(placed.id), accept=False, by="clerk"))
    made.pump()
    assert state_of(a, placed, A) == (Transfer.VOIDED, Reason.REVIEW_REFUSED)
    again = a.one(order(to, 10))
    made.pump()
    a.one(Cancel(id=bytes.fromhex(again.id)))
    made.pump()
    assert state_of(a, again, A) == (Transfer.VOIDED, Reason.CANCELLED)
    assert refusals(a.do(order(to, 10))) == [None]


def test_more_than_the_threshold_waits_for_a_clerk(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, (2, 1), there={"review_from": 40}, back={"on": False, "rates": direction().rates})
    to = address(b, "B")
    below, above = a.one(order(to, 19)), a.one(order(to, 20))
    made.pump()
    assert state_of(a, below, A)[0] == Transfer.POSTED
    assert state_of(b, above, A)[0] == Transfer.IN_REVIEW
    b.one(Review(source=A, id=bytes.fromhex(above.id), accept=True, by="clerk"))
    made.pump()
    assert points(b, "B") == (78, 0, 0)


@pytest.mark.parametrize(
    ("change", "more", "reason"),
    [
        ({"there": {"on": False}}, {}, Reason.DIRECTION_NOT_ALLOWED),
        ({"features": frozenset({Feature.DONATION})}, {}, Reason.FEATURE_OFF),
        ({"there": {"purposes": frozenset({Purpose.DONATION})}}, {}, Reason.PURPOSE_NOT_ALLOWED),
        ({}, {"purpose": Purpose.PERSON_TO_PERSON}, Reason.PERSON_TO_PERSON_NOT_ALLOWED),
        ({}, {"category": "no such category"}, Reason.CATEGORY_NOT_MAPPED),
        ({"consent_required": True, "consent_basis": "单独同意"}, {}, Reason.CONSENT_MISSING),
    ],
)
def test_what_an_agreement_does_not_allow_is_refused_by_name_and_holds_nothing(
    regions: Regions, change: dict[str, Any], more: dict[str, Any], reason: Reason
) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, **change)
    assert refusals(a.do(order(address(b, "B"), 10, **more))) == [reason]
    assert points(a, "A") == (100, 0, 0)


@pytest.mark.parametrize(
    ("change", "sent", "reason"),
    [
        ({"there": {"on": False}}, {}, Reason.DIRECTION_NOT_ALLOWED),
        ({"features": frozenset({Feature.DONATION})}, {}, Reason.FEATURE_OFF),
        ({}, {"terms_version": 7}, Reason.TERMS_DIFFER),
        ({}, {"rate_p": 2, "arriving": 20}, Reason.TERMS_DIFFER),
        ({"there": {"smallest": 11}}, {}, Reason.BELOW_SMALLEST_AMOUNT),
        ({"consent_required": True, "consent_basis": "单独同意"}, {}, Reason.CONSENT_MISSING),
    ],
)
def test_the_destination_refuses_what_an_honest_source_would_not_have_sent(
    regions: Regions, change: dict[str, Any], sent: dict[str, Any], reason: Reason
) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, **change)
    b.hear(A, forge(a, B, [offer(alias_of(address(b, "B")), 10, **sent)]))
    assert [row[5] for row in rows(b, "transfer")["transfer"]] == [reason]
    assert points(b, "B") == (0, 0, 0)


def test_points_expire_there_by_the_agreed_rule(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    resident(a, "C", 10, expires=29991231)
    agree(made, there={"expiry": ExpiryRule.SHORTER, "life_days": 60, "grace_days": 30})
    a.one(order(address(b, "B"), 10, account="C"))
    made.pump()
    assert column(b, "lot", "expires") == [20270117]
    assert today(a) == 20261118
