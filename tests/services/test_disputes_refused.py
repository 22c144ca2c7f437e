"""Steps that are late, forged, replayed, out of order or by somebody without a say: refused by name, nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.channel import Condition
from gateway.protocol.dispute import PAYLOAD_TYPE, Act, Matter, State, Step
from gateway.protocol.errors import Refused
from gateway.protocol.values import Kind, Reason, Signed
from node.errors import BadInput
from node.services import topics
from node.services.claim import Cause, ClaimState, end, keep
from node.services.dispute.ends import SweepDisputes
from node.services.dispute.steps import Open
from node.services.office import Office
from node.services.reversal import AskReversal
from node.services.topics import RequestState
from node.services.verify.run import verify
from node.store import disputes, schema
from node.store.batch import Batch
from tests.federation import Pair, signing_key
from tests.services.delivery import A, B, C
from tests.services.disputing import (
    Do,
    agree,
    at,
    chain,
    coordinated,
    disputed,
    later,
    moved,
    opening,
    says,
    sound,
    word,
)
from tests.services.ledger import ledger, points


@pytest.fixture
def three() -> Pair:
    return coordinated()


def refused(made: Pair, region: int, command: object, reason: Reason) -> None:
    """Refused for this, and no table in which points move has changed."""
    before = {code: ledger(each) | {"outcome": []} for code, each in made.regions.items()}
    with pytest.raises(Refused) as refusal:
        made.regions[region].one(command)
    made.pump()
    assert refusal.value.reason is reason
    assert {code: ledger(each) | {"outcome": []} for code, each in made.regions.items()} == before


def newest(made: Pair, dispute: bytes) -> Step:
    """What follows the newest step, by A, as it should be."""
    with made.regions[A].store.read() as conn:
        row = disputes.find(conn, dispute)
        last = bodies.decode_statement(disputes.steps(conn, dispute)[-1])
    assert row is not None
    return replace(
        last, number=row.steps, previous=row.last, by=A, act=int(Act.EVIDENCE), evidence=b"e" * 32, opening=None
    )


def forged(made: Pair, step: Step, *, by: object = A, kind: Kind = Kind.DISPUTE_STEP) -> int:
    """A sends B a step that its own node would not have; what B answered: 0, or the reason."""
    signed = signing_key(by).sign(PAYLOAD_TYPE, bodies.encode_statement(step))
    return sent(made, signed, step.dispute if kind == Kind.DISPUTE else b"", kind=kind)


def sent(made: Pair, signed: Signed, id_: bytes = b"", *, kind: Kind = Kind.DISPUTE_STEP) -> int:
    """The same of a step as it is."""
    id_ = id_ or made.regions[A].chance.randbytes(16)
    encode = bodies.encode_step if kind == Kind.DISPUTE_STEP else bodies.encode_dispute

    def ask(office: Office, batch: Batch) -> None:
        topics.ask(B, kind, id_, lambda redo: encode(signed, redo), office, batch, subject=b"s" * 16)

    made.regions[A].one(Do(ask))
    made.pump()
    r = schema.request
    with made.regions[A].store.read() as conn:
        row = conn.execute(r.select().where(r.c.id == id_, r.c.peer == B)).one()
    assert row.state != RequestState.OPEN
    return int(row.reason)


FORGERIES: dict[str, tuple[Callable[[Step], Step], object, Reason]] = {
    "signed by nobody": (lambda s: s, "a stranger", Reason.DOCUMENT_INVALID),
    "signed by another region": (lambda s: s, C, Reason.DOCUMENT_INVALID),
    "in the name of the other party": (lambda s: replace(s, by=B), B, Reason.DOCUMENT_INVALID),
    "of another federation": (lambda s: replace(s, federation=b"f" * 32), A, Reason.DOCUMENT_INVALID),
    "of another environment": (lambda s: replace(s, environment="play"), A, Reason.DOCUMENT_INVALID),
    "ahead of the day": (lambda s: replace(s, date=20990101), A, Reason.DOCUMENT_INVALID),
    "back-dated": (lambda s: replace(s, date=20200101), A, Reason.DOCUMENT_INVALID),
    "on no day": (lambda s: replace(s, date=20261340), A, Reason.DOCUMENT_INVALID),
    "one step too far": (lambda s: replace(s, number=s.number + 1), A, Reason.PREDECESSOR_UNKNOWN),
    "after another step": (lambda s: replace(s, previous=b"p" * 32), A, Reason.PREDECESSOR_UNKNOWN),
    "the respondent's word": (lambda s: replace(s, act=int(Act.CONTEST), evidence=b""), A, Reason.DOCUMENT_INVALID),
    "a ruling by a party": (
        lambda s: replace(s, act=int(Act.UPHOLD), evidence=b""), A, Reason.WRONG_STATE,
    ),
    "an act of a later version": (lambda s: replace(s, act=99, evidence=b""), A, Reason.WRONG_STATE),
    "a proposal above the claim": (
        lambda s: replace(s, act=int(Act.PROPOSE), evidence=b"", amount=41), A, Reason.AMOUNT_OUT_OF_RANGE,
    ),
    "an acceptance of nothing": (
        lambda s: replace(s, act=int(Act.AGREE), evidence=b"", amount=10), A, Reason.WRONG_STATE,
    ),
    "of another dispute": (lambda s: replace(s, dispute=b"d" * 16), A, Reason.TRANSFER_UNKNOWN),
    "asking a mediator before the time": (
        lambda s: replace(s, act=int(Act.MEDIATE), evidence=b""), A, Reason.WRONG_STATE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_step_that_cannot_stand_is_refused_by_the_other_side(three: Pair, name: str) -> None:
    dispute = disputed(three, moved(three))
    before = chain(three, B, dispute), at(three, B, dispute)
    change, by, reason = FORGERIES[name]
    assert forged(three, change(newest(three, dispute)), by=by) == reason
    assert (chain(three, B, dispute), at(three, B, dispute)) == before
    assert points(three.regions[B], "B") == (0, 60, 0)
    assert agree(three, dispute) is State.OPENED
    sound(three)


def test_a_step_that_was_taken_is_not_taken_again(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    says(three, A, dispute, Act.PROPOSE, amount=10)
    with three.regions[A].store.read() as conn:
        taken = disputes.steps(conn, dispute)
    assert sent(three, taken[1]) == Reason.PREDECESSOR_UNKNOWN
    assert sent(three, taken[0]) == Reason.WRONG_STATE
    assert sent(three, taken[0], kind=Kind.DISPUTE) == Reason.CONFLICT_DIFFERENT_CONTENT
    assert agree(three, dispute) is State.OPENED


OPENINGS: dict[str, tuple[dict[str, Any], Reason]] = {
    "a transfer nobody knows": ({"id": b"n" * 16}, Reason.TRANSFER_UNKNOWN),
    "of a third region": ({"region": C}, Reason.TRANSFER_UNKNOWN),
    "more than it carried": ({"amount": 42}, Reason.AMOUNT_OUT_OF_RANGE),
    "part of a block": ({"amount": 3}, Reason.AMOUNT_OUT_OF_RANGE),
    "none of it": ({"amount": 0}, Reason.AMOUNT_OUT_OF_RANGE),
    "another category": ({"category": "culture"}, Reason.TERMS_DIFFER),
    "other deadlines": ({"answer_days": 2}, Reason.TERMS_DIFFER),
    "no mediator": ({"mediator": 0}, Reason.TERMS_DIFFER),
    "a mediator of its own": ({"mediator": A}, Reason.TERMS_DIFFER),
    "with somebody else": ({"respondent": C}, Reason.DOCUMENT_INVALID),
    "something of a later version": ({"matter": 99}, Reason.TRANSFER_UNKNOWN),
}


@pytest.mark.parametrize("name", OPENINGS)
def test_a_dispute_that_cannot_be_is_refused_by_the_other_side(three: Pair, name: str) -> None:
    transfer = moved(three)
    dispute = disputed(three, transfer)
    with three.regions[A].store.read() as conn:
        first = bodies.decode_statement(disputes.steps(conn, dispute)[0])
    says(three, A, dispute, Act.WITHDRAW)
    assert first.opening is not None
    change, reason = OPENINGS[name]
    other = replace(first, dispute=b"o" * 16, opening=first.opening._replace(**change))
    assert forged(three, other, kind=Kind.DISPUTE) == reason
    assert points(three.regions[B], "B") == (60, 0, 0)
    sound(three)


def test_what_is_refused_there_is_released_here(three: Pair) -> None:
    transfer = moved(three)
    b = three.regions[B]
    asked: Any = b.one(opening(A, transfer))
    assert points(b, "B") == (0, 60, 0)
    mine: Any = three.regions[A].one(opening(B, transfer))  # at the same time
    three.pump()
    assert {at(three, A, mine.id).state, at(three, B, asked.id).state} == {State.REFUSED}
    assert (at(three, A, mine.id).reason, at(three, B, asked.id).reason) == (Reason.DISPUTED, Reason.DISPUTED)
    assert points(b, "B") == (60, 0, 0)
    sound(three)


def test_what_was_reversed_is_disputed_no_more(three: Pair) -> None:
    transfer = moved(three)
    three.regions[A].one(AskReversal(client="c", key="r", transfer=transfer))
    three.pump()
    refused(three, A, opening(B, transfer), Reason.WRONG_STATE)
    refused(three, B, opening(A, transfer), Reason.WRONG_STATE)


def test_what_was_decided_is_disputed_no_more(three: Pair) -> None:
    transfer = moved(three)
    says(three, B, disputed(three, transfer), Act.CONCEDE)
    refused(three, A, opening(B, transfer), Reason.WRONG_STATE)


def test_a_dispute_comes_too_late(three: Pair) -> None:
    transfer = moved(three)
    later(three, 31)
    refused(three, A, opening(B, transfer), Reason.TOO_LATE)


def test_a_transfer_before_a_clerk_waits_for_the_end_of_the_dispute_and_is_refused_with_it() -> None:
    from node.services.offer import Review
    from tests.services.ledger import address, order

    made = coordinated(review_from=1)
    b = made.regions[B]
    placed = made.regions[A].one(order(address(b, "B"), 40))
    made.pump()
    transfer = bytes.fromhex(placed.id)
    dispute = disputed(made, transfer)
    refused(made, B, Review(source=A, id=transfer, accept=True, by="clerk"), Reason.DISPUTED)
    says(made, B, dispute, Act.CONCEDE)
    assert agree(made, dispute) is State.UPHELD
    assert points(made.regions[A], "A") == (100, 0, 0)
    assert points(b, "B") == (0, 0, 0)
    sound(made)


def test_nobody_rules_but_the_arbitrator_and_nobody_before_he_is_asked(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    refused(three, C, word(dispute, Act.UPHOLD), Reason.TRANSFER_UNKNOWN)
    says(three, B, dispute, Act.CONTEST)
    says(three, A, dispute, Act.MEDIATE)
    refused(three, C, word(dispute, Act.UPHOLD), Reason.WRONG_STATE)
    says(three, C, dispute, Act.OPINION, amount=20)
    says(three, A, dispute, Act.ARBITRATE)
    refused(three, B, word(dispute, Act.REJECT), Reason.DOCUMENT_INVALID)
    assert agree(three, dispute) is State.ARBITRATION


def test_what_was_refused_because_the_other_was_quicker_can_be_said_again(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    for _ in range(3):  # at once: the claimant's goes first
        three.regions[B].one(word(dispute, Act.EVIDENCE, evidence=b"b" * 32))
        three.regions[A].one(word(dispute, Act.EVIDENCE, evidence=b"a" * 32))
        three.pump()
    assert at(three, B, dispute).reason == Reason.WRONG_STATE
    assert agree(three, dispute) is State.OPENED
    later(three, 8)
    with three.regions[B].store.read() as conn:
        acts = [bodies.decode_statement(signed).by for signed in disputes.steps(conn, dispute)]
    assert acts == [A, A, A, A]
    says(three, B, dispute, Act.CONTEST)
    assert agree(three, dispute) is State.ANSWERED


def test_the_very_same_step_can_be_said_again_after_it_was_refused(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    a, b = three.regions[A], three.regions[B]
    other = signing_key(A).sign(PAYLOAD_TYPE, bodies.encode_statement(newest(three, dispute)))
    for _ in range(2):
        b.one(word(dispute, Act.CONTEST))
        with a.store.write() as conn:  # as if a step of A's were under way
            conn.execute(schema.dispute.update().values(pending=disputes.encode(other)))
        three.pump()
        assert at(three, B, dispute).reason == Reason.WRONG_STATE
        with a.store.write() as conn:
            conn.execute(schema.dispute.update().values(pending=None))
    says(three, B, dispute, Act.CONTEST)
    assert agree(three, dispute) is State.ANSWERED
    sound(three)


def test_a_disputed_claim_is_cut_down_on_both_sides_by_what_the_debtor_was_right_about(three: Pair) -> None:
    id_ = b"c" * 16
    for region, peer, mine in ((A, B, True), (B, A, False)):
        three.regions[region].one(
            Do(lambda _o, batch, p=peer, m=mine: keep(batch, p, Cause.CLAWBACK, id_, "moral", 50, "", mine=m))
        )
    about: dict[str, Any] = {"matter": Matter.CLAIM, "cause": int(Cause.CLAWBACK)}
    refused(three, A, opening(B, id_, **about), Reason.WRONG_STATE)  # whoever is owed does not dispute it
    asked: Any = three.regions[B].one(opening(A, id_, **about))
    three.pump()
    says(three, A, asked.id, Act.PROPOSE, amount=20)
    says(three, B, asked.id, Act.AGREE)
    assert agree(three, asked.id) is State.SETTLED
    for region, mine in ((A, True), (B, False)):
        with three.regions[region].store.read() as conn:
            rows = conn.execute(schema.claim.select().order_by(schema.claim.c.no)).all()
        assert [(r.cause, r.amount, r.state, bool(r.mine)) for r in rows] == [
            (Cause.CLAWBACK, 50, ClaimState.WITHDRAWN, mine), (Cause.DISPUTE, 30, ClaimState.OPEN, mine),
        ]  # fmt: skip
    sound(three)


@pytest.mark.parametrize("act", [Act.CONTEST, Act.CONCEDE])
def test_nothing_stays_frozen_for_a_region_that_is_gone(three: Pair, act: Act) -> None:
    dispute = disputed(three, moved(three))
    says(three, B, dispute, act)
    b = three.regions[B]

    def close(_office: Office, batch: Batch) -> None:
        batch.set_channel(replace(batch.channel(A), condition=Condition.CLOSED))

    b.one(Do(close))
    b.one(SweepDisputes())
    assert points(b, "B") == (60, 0, 0)
    row = at(three, B, dispute)
    assert (row.state, row.hold) == (State.UPHELD if act is Act.CONCEDE else State.REFUSED, None)
    assert [check.code for check in verify(b.store) if not check.ok and check.code != "channels"] == []


def test_a_settled_claim_is_not_disputed(three: Pair) -> None:
    id_ = b"c" * 16

    def settled(_office: Office, batch: Batch) -> None:
        keep(batch, A, Cause.CLAWBACK, id_, "moral", 50, "", mine=False)
        end(batch, 1, ClaimState.SETTLED)

    three.regions[B].one(Do(settled))
    about: dict[str, Any] = {"matter": Matter.CLAIM, "cause": int(Cause.CLAWBACK)}
    refused(three, B, opening(A, id_, **about), Reason.WRONG_STATE)


@pytest.mark.parametrize("reference", ["x" * 301, "身份证 110101199003070011"])
def test_a_reference_names_a_file_and_nobody(three: Pair, reference: str) -> None:
    transfer = moved(three)
    with pytest.raises(BadInput):
        three.regions[A].one(
            Open(client="c", key="k", peer=B, matter=Matter.TRANSFER, id=transfer, reference=reference)
        )
