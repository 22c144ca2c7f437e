"""Not only transfers: attestations are suspended, purchases become claims, and agreements set the days."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol.attestation import State as Stands
from gateway.protocol.dispute import Act, Matter, State
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.services.claim import Cause
from node.services.dispute.ends import SweepDisputes
from node.store import disputes, schema
from tests.federation import Pair, pair
from tests.services import attesting, roaming
from tests.services.delivery import A, B, C
from tests.services.disputing import agree, at, coordinated, furnish, later, moved, opening, says, sound, word


def claims(made: Pair, region: int) -> list[tuple[int, int, int, bool]]:
    """What is in suspense."""
    with made.regions[region].store.read() as conn:
        return [(r.peer, r.cause, r.amount, bool(r.mine)) for r in conn.execute(schema.claim.select())]


def suspended(made: Pair, id_: bytes) -> bool:
    with made.regions[B].store.read() as conn:
        return disputes.frozen(conn, B, Matter.ATTESTATION, id_, A)


@pytest.mark.parametrize(("act", "stands"), [
    (Act.CONCEDE, (Stands.TAKEN_BACK, Stands.REVOKED)), (None, (Stands.GIVEN, Stands.RECOGNISED)),
])  # fmt: skip
@pytest.mark.parametrize("by", [A, B])
def test_a_disputed_attestation_counts_for_nothing_until_that_is_decided(
    by: int, act: Act | None, stands: tuple[Stands, Stands]
) -> None:
    made = attesting.neighbours()
    id_ = attesting.asked(made)
    row: Any = made.regions[by].one(opening(B if by == A else A, id_, matter=Matter.ATTESTATION))
    made.pump()
    assert agree(made, row.id) is State.OPENED
    assert suspended(made, id_)
    respondent = A if by == B else B
    says(made, *((respondent, row.id, act) if act else (by, row.id, Act.WITHDRAW)))
    assert agree(made, row.id) is (State.UPHELD if act else State.WITHDRAWN)
    assert suspended(made, id_) == (act is not None)  # until its issuer has taken it back
    made.regions[A].one(SweepDisputes())
    made.pump()
    assert attesting.states(made, id_) == stands
    assert bool(attesting.recognised(made.regions[B])) == (act is None)


def test_nobody_bargains_about_an_attestation() -> None:
    made = attesting.neighbours()
    row: Any = made.regions[B].one(opening(A, attesting.asked(made), matter=Matter.ATTESTATION))
    made.pump()
    with pytest.raises(Refused) as refusal:
        made.regions[A].one(word(row.id, Act.PROPOSE, amount=1))
    assert refusal.value.reason is Reason.AMOUNT_OUT_OF_RANGE


def test_a_purchase_the_resident_never_made_is_owed_by_the_counters_region() -> None:
    made = roaming.visitor()
    a, b = roaming.ends(made)
    found = roaming.authorised(made, a, b, 60)
    b.one(roaming.capture(found, 24))
    made.pump()
    id_ = bytes.fromhex(found.id)
    row: Any = a.one(opening(B, id_, matter=Matter.AUTHORISATION))
    made.pump()
    assert at(made, B, row.id).amount == 36
    says(made, B, row.id, Act.CONTEST)
    with pytest.raises(Refused):
        a.one(word(row.id, Act.MEDIATE))  # nobody is there to do it
    says(made, B, row.id, Act.PROPOSE, amount=20)
    says(made, A, row.id, Act.AGREE)
    assert agree(made, row.id) is State.SETTLED
    assert claims(made, A) == [(B, Cause.DISPUTE, 20, True)]
    assert claims(made, B) == [(A, Cause.DISPUTE, 20, False)]
    sound(made)


def test_a_purchase_that_was_not_captured_is_released_and_not_disputed() -> None:
    made = roaming.visitor()
    a, b = roaming.ends(made)
    found = roaming.authorised(made, a, b, 60)
    with pytest.raises(Refused) as refusal:
        a.one(opening(B, bytes.fromhex(found.id), matter=Matter.AUTHORISATION))
    assert refusal.value.reason is Reason.WRONG_STATE


def test_the_agreement_names_the_days_and_who_is_asked() -> None:
    made = pair((A, B, C))
    furnish(made)
    transfer = moved(made)
    terms = attesting.terms(made.regions[A], dispute_days=3, dispute_answer_days=2, mediator=C, arbitrator=C)
    attesting.agree(made, terms)
    row: Any = made.regions[A].one(opening(B, transfer))
    made.pump()
    assert at(made, B, row.id).deadline == at(made, A, row.id).deadline > 0
    says(made, B, row.id, Act.CONTEST)
    says(made, B, row.id, Act.MEDIATE)
    assert at(made, C, row.id).state is State.MEDIATION
    says(made, A, row.id, Act.WITHDRAW)
    later(made, 4)
    with pytest.raises(Refused) as refusal:
        made.regions[A].one(opening(B, transfer))
    assert refusal.value.reason is Reason.TOO_LATE
    sound(made)


def test_days_that_only_one_side_knows_are_refused() -> None:
    made = coordinated()
    transfer = moved(made)
    attesting.agree(made, attesting.terms(made.regions[A], dispute_answer_days=9))
    made.regions[B].office.agreements.load({})
    row: Any = made.regions[A].one(opening(B, transfer))
    made.pump()
    assert (at(made, A, row.id).state, at(made, A, row.id).reason) == (State.REFUSED, Reason.TERMS_DIFFER)
    sound(made)
