"""What a visitor does not get away from home, and what a counter may not do: each is refused by name, nothing moves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.protocol import roaming
from gateway.protocol.errors import Refused
from gateway.protocol.roaming import State
from gateway.protocol.values import Reason, Status
from node.errors import BadInput
from node.ledger.accounts import AccountState
from node.services.claim import Cause
from node.services.roaming.ends import SweepAuthorisations
from node.services.verify.run import verify
from tests.federation import Pair
from tests.services.delivery import A, B
from tests.services.ledger import points, resident, rows, set_state
from tests.services.roaming import (
    DAY_MS,
    MINUTE_MS,
    at,
    authorised,
    capture,
    code,
    ends,
    late,
    purchase,
    redeemed,
    release,
    sound,
    states,
    visitor,
)
from tests.services.standing import carry_out, copies, resolve, set_status


@pytest.fixture
def two() -> Pair:
    return visitor()


def refusal(made: Pair, command: Any) -> Reason:
    """Why the home region refuses what is asked at the counter."""
    found = made.regions[B].one(command)
    made.pump()
    stored = at(made.regions[B], found)
    assert stored.state is State.REFUSED
    return Reason(stored.reason)


# -- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_used_twice_guessed_or_expired_or_of_an_account_that_is_closed(two: Pair) -> None:
    """They are refused alike, so that nobody learns which of them it is."""
    a, b = ends(two)
    used = code(a)
    b.one(purchase(used, 2))
    two.pump()
    guessed = roaming.write_code(A, b"a guess!!!")
    expired, good = code(a), code(a, account="other", minutes=30)
    late(two, 10 * MINUTE_MS)
    resident(a, "gone")
    gone = code(a, account="gone")
    set_state(a, "gone", AccountState.CLOSED)
    before = points(a, "A"), points(a, "other")
    assert {refusal(two, purchase(text, 2)) for text in (used, guessed, expired, gone)} == {Reason.CODE_NOT_VALID}
    assert (points(a, "A"), points(a, "other")) == before
    assert b.one(purchase(good, 2)).state is State.REQUESTED
    two.pump()
    assert points(a, "other") == (57, 3, 0)
    sound(two)


def test_a_code_whose_purchase_was_refused_is_used_up(two: Pair) -> None:
    """Otherwise whoever holds a code finds out, purchase by purchase, how much there is."""
    a, _ = ends(two)
    text = code(a)
    assert refusal(two, purchase(text, 2_000)) is Reason.INSUFFICIENT_POINTS
    assert refusal(two, purchase(text, 2)) is Reason.CODE_NOT_VALID


def test_a_code_that_was_mistyped_is_refused_at_the_counter(two: Pair) -> None:
    a, b = ends(two)
    text = code(a)
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    with pytest.raises(Refused, match=r"CODE_NOT_VALID.*one of them is wrong"):
        b.one(purchase(wrong))
    assert b.one(purchase(text.lower().replace("-", " "))).state is State.REQUESTED


def test_a_code_at_home_and_of_a_region_nobody_knows(two: Pair) -> None:
    a, b = ends(two)
    with pytest.raises(Refused, match="REGION_UNKNOWN"):
        a.one(purchase(code(a)))
    with pytest.raises(Refused, match="REGION_UNKNOWN"):
        b.one(purchase(roaming.write_code(999999, bytes(10))))


# -- what the home region refuses ------------------------------------------------------------------------------------


def test_points_that_are_not_there_expired_or_weak(two: Pair) -> None:
    a, _ = ends(two)
    resident(a, "weak", 30, evidence=1)
    resident(a, "old", 30, expires=20261130)
    assert refusal(two, purchase(code(a, "weak"), 2)) is Reason.EVIDENCE_TOO_LOW
    assert refusal(two, purchase(code(a, "other"), 42)) is Reason.INSUFFICIENT_POINTS
    late(two, 30 * DAY_MS)
    assert refusal(two, purchase(code(a, "old"), 2)) is Reason.POINTS_EXPIRED


def test_an_account_that_is_frozen(two: Pair) -> None:
    a, _ = ends(two)
    text = code(a)
    set_state(a, "A", AccountState.FROZEN)
    with pytest.raises(Refused, match="ACCOUNT_FROZEN"):
        code(a)
    assert refusal(two, purchase(text)) is Reason.ACCOUNT_FROZEN
    assert points(a, "A") == (120, 0, 0)


def test_an_account_frozen_after_the_hold_pays_what_was_authorised(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    set_state(a, "A", AccountState.FROZEN)
    b.one(capture(found, 20))
    two.pump()
    assert states(two, found) == (State.PART_CAPTURED, State.PART_CAPTURED)
    assert points(a, "A") == (90, 0, 0)
    sound(two)


def test_an_authorisation_that_comes_when_its_time_is_over(two: Pair) -> None:
    a, b = ends(two)
    found = b.one(purchase(code(a, minutes=30), minutes=10))
    late(two, 11 * MINUTE_MS)
    two.pump()
    assert at(b, found).reason == Reason.TOO_LATE
    assert points(a, "A") == (120, 0, 0)


# -- what the counter refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "says"), [(0, "between 1 and"), (41, "a multiple of 2.*: 40 or 42"), (1, ": 2"), (1 << 63, "between 1")]
)
def test_amounts_that_are_no_whole_blocks(two: Pair, amount: int, says: str) -> None:
    a, b = ends(two)
    with pytest.raises(Refused, match=f"AMOUNT_OUT_OF_RANGE.*{says}"):
        b.one(purchase(code(a), amount))


@pytest.mark.parametrize("reference", ["33010619900101123x", "receipt 33010619900101123X", "of 330106900101123!"])
def test_a_reference_that_holds_an_identity_number(two: Pair, reference: str) -> None:
    a, b = ends(two)
    with pytest.raises(Refused, match=r"MALFORMED_BODY.*identity number"):
        b.one(purchase(code(a), reference=reference))
    assert b.one(purchase(code(a), reference="till 3, receipt 20261122-000174")).state is State.REQUESTED


def test_capture_above_the_authorisation(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    with pytest.raises(Refused, match="ABOVE_AUTHORISED"):
        b.one(capture(found, 42))
    b.one(capture(found, 40))
    two.pump()
    assert redeemed(b) == 40


def test_capture_after_release_and_release_after_capture(two: Pair) -> None:
    a, b = ends(two)
    first, second = authorised(two, a, b, 10), authorised(two, a, b, 10)
    b.one(release(first))
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(capture(first))  # its release is under way
    two.pump()
    b.one(capture(second))
    two.pump()
    for found, late_command in ((first, capture(first)), (second, release(second)), (second, capture(second, 2))):
        with pytest.raises(Refused, match="AUTHORISATION_ENDED"):
            b.one(late_command)
        assert at(b, found).state in (State.RELEASED, State.CAPTURED)
    assert (points(a, "A"), redeemed(b)) == ((105, 0, 0), 10)


def test_capture_before_it_is_authorised_and_after_its_time(two: Pair) -> None:
    a, b = ends(two)
    found = b.one(purchase(code(a), minutes=10))
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(capture(found))
    two.pump()
    late(two, 10 * MINUTE_MS)
    with pytest.raises(Refused, match="AUTHORISATION_ENDED"):
        b.one(capture(found))


def test_capture_of_what_nobody_knows_and_of_what_another_region_counts(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b)
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        b.one(capture(msgspec.structs.replace(found, id="00" * 16)))
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        a.one(capture(found))


# -- regions that may not --------------------------------------------------------------------------------------------


def test_a_suspended_region_gets_nothing_new_held_and_captures_nothing(two: Pair) -> None:
    a, b = ends(two)
    found, text = authorised(two, a, b, 40), code(a)
    set_status(two, B, Status.SUSPENDED, to=(A,))  # B does not know it yet
    assert refusal(two, purchase(text)) is Reason.REGION_NOT_ACTIVE
    b.one(capture(found, 20))
    two.pump()
    assert states(two, found) == (State.AUTHORISED, State.AUTHORISED)
    assert at(b, found).reason == Reason.REGION_NOT_ACTIVE
    assert (redeemed(b), points(a, "A")) == (0, (60, 60, 0))
    b.one(release(found))
    two.pump()
    assert states(two, found) == (State.RELEASED, State.RELEASED)
    sound(two)


def test_a_region_that_knows_it_is_suspended_asks_for_nothing(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    set_status(two, B, Status.SUSPENDED)
    for command in (purchase(code(a)), capture(found)):
        with pytest.raises(Refused, match="REGION_NOT_ACTIVE"):
            b.one(command)
    b.one(release(found))
    two.pump()
    assert states(two, found) == (State.RELEASED, State.RELEASED)


def test_what_is_held_for_a_region_that_will_not_answer_again_comes_back(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    resolve(two, B, *copies(a, B), to=(A,))
    carry_out(a)
    assert (at(a, found).state, at(a, found).reason) == (State.ENDED, Reason.REGION_NOT_ACTIVE)
    assert points(a, "A") == (120, 0, 0)
    assert [check for check in verify(a.store) if not check.ok] == []


def test_what_was_captured_of_a_region_that_will_not_answer_again_is_claimed_of_its_estate(two: Pair) -> None:
    a, b = ends(two)
    found, other, asked = authorised(two, a, b, 40), authorised(two, a, b, 2), b.one(purchase(code(a, "other"), 2))
    b.one(capture(found, 20))
    two.wire.clear()
    resolve(two, A, *copies(b, A), to=(B,))
    carry_out(b)
    assert [at(b, each).state for each in (found, other, asked)] == [State.ENDED, State.ENDED, State.REFUSED]
    ((_, peer, cause, id_, category, amount, *_),) = rows(b, "claim")["claim"]
    assert (peer, cause, id_.hex(), category, amount) == (A, Cause.ESTATE, found.id, "moral", 20)
    assert [check for check in verify(b.store) if not check.ok] == []


def test_codes_are_forgotten_a_day_after_they_have_expired(two: Pair) -> None:
    a, _ = ends(two)
    old = code(a)
    late(two, DAY_MS + 10 * MINUTE_MS + 1)
    young = code(a)
    a.one(SweepAuthorisations())
    assert len(rows(a, "code")["code"]) == 1
    assert refusal(two, purchase(old, 2)) is Reason.CODE_NOT_VALID
    assert two.regions[B].one(purchase(young, 2)).state is State.REQUESTED


def test_how_long_codes_and_authorisations_may_last(two: Pair) -> None:
    a, b = ends(two)
    for minutes in (0, roaming.CODE_MINUTES_MOST + 1):
        with pytest.raises(BadInput, match="minutes"):
            code(a, minutes=minutes)
    for minutes in (0, 7 * 24 * 60 + 1):
        with pytest.raises(Refused, match="TOO_LATE"):
            b.one(purchase(code(a), minutes=minutes))
