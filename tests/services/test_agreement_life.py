"""Agreements between two regions: signed by both or by nobody, amended, suspended, ended; what is wrong is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.agreement.document import Notice, NoticeKind
from gateway.protocol.agreement.life import State, countersign, sign_notice
from gateway.protocol.agreement.life import sign as sign_document
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State as Transfer
from gateway.protocol.values import Draft, Kind, Reason
from node.errors import BadInput
from node.services.agreement.signing import Decline, Propose
from tests.federation import Pair, TestRegion, signing_key
from tests.services.agreeing import DAY_MS, agree, draft, notice, proposal, sign, states, terminate, today
from tests.services.conftest import Regions
from tests.services.delivery import A, B, alias_of, ends
from tests.services.ledger import SALT, address, forge, offer, order, points, rows, state_of

C = 330600


def outcome(made: Pair, a: TestRegion, command: Any) -> tuple[int, int]:
    """How a transfer ends: its state and reason at its source."""
    placed = a.one(command)
    made.pump()
    return state_of(a, placed, A)


def reasons(region: TestRegion, peer: int) -> list[int]:
    return [v.reason for v in region.office.agreements.dealings(peer).versions]


def test_what_both_signed_is_in_force_at_both_and_rates_are_its_own(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = a.one(proposal(draft((2, 5), valid_from=today(a))))
    assert shown.state is State.PROPOSED
    made.pump()
    assert states(a, B) == states(b, A) == [(1, State.PROPOSED)]
    assert outcome(made, a, order(address(b, "B"), 10)) == (Transfer.POSTED, 0)  # as before: nothing is agreed yet
    b.one(sign(A, shown))
    made.pump()
    assert states(a, B) == states(b, A) == [(1, State.IN_FORCE)]
    assert outcome(made, a, order(address(b, "B"), 12)) == (Transfer.POSTED, 0)
    assert (points(a, "A"), points(b, "B")) == ((80, 0, 0), (14, 0, 0))


def test_all_of_it_survives_a_new_start(regions: Regions) -> None:
    made = regions()
    agree(made, (2, 5))
    before = {code: region.office.agreements.dealings(A + B - code) for code, region in made.regions.items()}
    for region in made.regions.values():
        region.start()
    assert before == {code: r.office.agreements.dealings(A + B - code) for code, r in made.regions.items()}


def test_what_one_side_alone_signed_is_never_in_force(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    a.one(proposal(draft((5, 1), valid_from=today(a))))
    made.pump()
    assert a.office.agreements.by(B) is None
    assert b.office.agreements.by(A) is None


@pytest.mark.parametrize("by", ["nobody", "the proposer", "a stranger"])
def test_a_countersignature_of_somebody_else_makes_nothing_agreed(regions: Regions, by: str) -> None:
    made = regions()
    a, b = ends(made)
    shown = a.one(proposal(draft(valid_from=today(a))))
    made.pump()
    version = b.office.agreements.dealings(A).versions[0]
    key = {"nobody": signing_key(B), "the proposer": signing_key(A), "a stranger": signing_key("stranger")}[by]
    signature = countersign(version.signed, key)
    if by == "nobody":
        signature = replace_signature(signature)
    body = SALT + bodies.encode_countersign(signature, b"")
    a.hear(B, forge(b, A, [Draft(Kind.COUNTERSIGN, True, version.request, body)]))
    assert states(a, B) == [(1, State.REFUSED)]
    assert reasons(a, B) == [Reason.DOCUMENT_INVALID]
    assert a.office.agreements.by(B) is None
    assert shown.state is State.PROPOSED


def replace_signature(signature: Any) -> Any:
    return replace(signature, signature=bytes(64))


def test_one_person_does_not_act_alone(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    for checker in ("", "Li"):
        with pytest.raises(BadInput, match="two people"):
            a.one(Propose(client="c", key="k", agreement=draft(), by="Li", checked_by=checker))
    shown = agree(made)
    for command in (sign(A, shown), notice(shown, NoticeKind.SUSPEND)):
        with pytest.raises(BadInput, match="two people"):
            b.one(replace(command, checked_by=command.by))


def test_a_refusal_to_sign_ends_a_proposal_for_both(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = a.one(proposal(draft(valid_from=today(a))))
    made.pump()
    b.one(Decline(peer=A, digest=shown.version.digest, by="Zhao"))
    made.pump()
    assert states(a, B) == states(b, A) == [(1, State.REFUSED)]
    assert reasons(a, B) == reasons(b, A) == [Reason.DECLINED]
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(sign(A, shown))
    agree(made)  # a better one may follow
    assert states(a, B)[-1] == (1, State.IN_FORCE)


def amendment(made: Pair, shown: Any, **more: Any) -> Any:
    """The next version, from tomorrow on."""
    a = made.regions[A]
    a.clock.now_ms += DAY_MS
    return draft(**{"id": shown.version.agreement.id, "valid_from": today(a), **more})


def test_an_amendment_replaces_what_was_agreed(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    first = agree(made)
    second = agree(made, amendment(made, first, rate=(1, 2)), proposer=A)
    assert second.version.agreement.version == 2
    assert second.version.agreement.predecessor == first.version.digest
    assert states(a, B) == states(b, A) == [(1, State.REPLACED), (2, State.IN_FORCE)]
    assert outcome(made, a, order(address(b, "B"), 11)) == (Transfer.POSTED, 0)
    assert (points(a, "A"), points(b, "B")) == ((90, 0, 0), (5, 0, 0))


def forged_proposal(region: TestRegion, peer: int, agreement: Any, id_: bytes = b"forged proposal.") -> Any:
    """An envelope with a proposal that the region's own software would not make."""
    filled = replace(
        agreement,
        federation=region.office.roster.federation,
        environment=region.office.roster.environment,
        id=agreement.id or id_,
    )
    body = SALT + bodies.encode_propose(sign_document(filled, region.office.signing_key), b"")
    return forge(region, peer, [Draft(Kind.PROPOSE, False, id_, body)])


BAD: dict[str, tuple[dict[str, Any], Reason]] = {
    "back-dated": ({"valid_from": 20200101}, Reason.DOCUMENT_INVALID),
    "of no known predecessor": ({"version": 2, "predecessor": b"p" * 32}, Reason.PREDECESSOR_UNKNOWN),
    "of an id that is new": ({"id": b"another id here.", "version": 2, "predecessor": b"p" * 32},
                             Reason.PREDECESSOR_UNKNOWN),
    "overlapping": ({"id": b"another id here."}, Reason.AGREEMENT_OVERLAPS),
    "of other regions": ({"region_b": 330300, "id": b"another id here."}, Reason.DOCUMENT_INVALID),
    "at a rate of nothing": ({"rate": (0, 1), "id": b"another id here."}, Reason.DOCUMENT_INVALID),
    "at a negative rate": ({"rate": (-1, 1), "id": b"another id here."}, Reason.DOCUMENT_INVALID),
    "at a rate that overflows": ({"rate": (2**40, 1), "id": b"another id here."}, Reason.DOCUMENT_INVALID),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_document_that_breaks_a_rule_is_refused_by_name_and_changes_nothing(regions: Regions, what: str) -> None:
    changes, reason = BAD[what]
    made = regions()
    a, b = ends(made)
    first = agree(made)
    a.clock.now_ms += DAY_MS
    before = b.office.agreements.by(A).agreement  # type: ignore[union-attr]
    wrong = draft(**{"id": first.version.agreement.id, "valid_from": today(a), **changes})
    b.hear(A, forged_proposal(a, B, wrong))
    assert reasons(b, A)[1:] == [reason]
    assert b.office.agreements.by(A).agreement == before  # type: ignore[union-attr]


def test_a_proposal_in_another_regions_name_is_refused(regions: Regions) -> None:
    made = regions((A, B, C))
    a, b = made.regions[A], made.regions[B]
    stolen = sign_document(
        replace(draft(valid_from=today(a)), federation=a.office.roster.federation, environment="test", id=b"i" * 16),
        signing_key(C),
    )
    body = SALT + bodies.encode_propose(stolen, b"")
    b.hear(A, forge(a, B, [Draft(Kind.PROPOSE, False, b"p" * 16, body)]))
    assert reasons(b, A) == [Reason.DOCUMENT_INVALID]


def test_a_version_that_was_replaced_cannot_be_played_again(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    first = agree(made)
    agree(made, amendment(made, first, rate=(1, 2)))
    again = SALT + bodies.encode_propose(first.version.signed, b"")
    b.hear(A, forge(a, B, [Draft(Kind.PROPOSE, False, b"played again....", again)]))
    assert reasons(b, A) == [0, 0, Reason.DOCUMENT_INVALID]  # its dates are over; else its predecessor
    assert states(b, A)[:2] == [(1, State.REPLACED), (2, State.IN_FORCE)]


@pytest.mark.parametrize("first", [A, B])
def test_of_two_proposals_that_cross_that_of_the_lower_code_goes_on(regions: Regions, first: int) -> None:
    made = regions()
    a, b = ends(made)
    shown = {
        code: made.regions[code].one(proposal(draft((code % 7 + 1, 1), valid_from=today(a), back={"on": False})))
        for code in (first, A + B - first)
    }
    made.pump()
    assert {v.proposer: v.state for v in a.office.agreements.dealings(B).versions} == {
        A: State.PROPOSED, B: State.REFUSED,
    }  # fmt: skip
    b.one(sign(A, shown[A]))
    made.pump()
    assert a.office.agreements.by(B).agreement == b.office.agreements.by(A).agreement  # type: ignore[union-attr]
    assert reasons(b, A).count(Reason.AGREEMENT_OVERLAPS) == 1


def test_rates_that_would_multiply_points_are_refused_with_the_cycle(regions: Regions) -> None:
    made = regions((A, B, C))
    a, b, c = (made.regions[code] for code in (A, B, C))
    with pytest.raises(Refused, match=r"330100 culture ×3/2 → 330200 culture ×1/1 → 330100 culture: ×3/2") as refused:
        a.one(proposal(draft((3, 2), valid_from=today(a), back={"rates": draft().b_to_a.rates})))
    assert refused.value.reason is Reason.PROFITABLE_CYCLE
    agree(made, (2, 1), between=(A, B))
    agree(made, (1, 1), between=(B, C), proposer=B)
    # Alone each is sound: two there and half back. Around all three, points would grow.
    c.office.agreements.publish((b.office.agreements.by(A).agreement,))  # type: ignore[union-attr]
    with pytest.raises(Refused, match="PROFITABLE_CYCLE"):
        c.one(proposal(draft((1, 1), between=(A, C), valid_from=today(c))))
    shown = a.one(proposal(draft((1, 1), between=(A, C), valid_from=today(a))))
    made.pump()
    assert reasons(c, A) == [Reason.PROFITABLE_CYCLE]
    assert shown.state is State.PROPOSED


def test_nothing_new_moves_while_it_is_suspended(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = agree(made)
    b.one(notice(shown, NoticeKind.SUSPEND))
    made.pump()
    assert states(a, B) == states(b, A) == [(1, State.SUSPENDED)]
    with pytest.raises(Refused, match="AGREEMENT_SUSPENDED"):
        a.one(order(address(b, "B"), 10))
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(notice(shown, NoticeKind.RESUME))  # who has suspended it resumes it
    b.one(notice(shown, NoticeKind.RESUME))
    made.pump()
    assert outcome(made, a, order(address(b, "B"), 10)) == (Transfer.POSTED, 0)


def test_a_suspension_that_an_offer_crosses_refuses_it_and_nothing_is_lost(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = agree(made)
    placed = a.one(order(address(b, "B"), 10))
    b.one(notice(shown, NoticeKind.SUSPEND))
    made.pump()
    assert state_of(a, placed, A) == (Transfer.VOIDED, Reason.AGREEMENT_SUSPENDED)
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))


def test_an_offer_that_an_amendment_crosses_finishes_as_it_was_held(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    first = agree(made)
    after = b.one(proposal(amendment(made, first, rate=(1, 2), pinned_days=3)))
    made.pump()
    placed = a.one(order(address(b, "B"), 10))  # under version 1, before this region has signed
    a.one(replace(sign(B, after), peer=B))
    held = a.one(order(address(b, "B"), 10))
    made.pump()
    assert [state_of(a, each, A) for each in (placed, held)] == [(Transfer.POSTED, 0)] * 2
    assert points(b, "B") == (15, 0, 0)


@pytest.mark.parametrize(("days", "reason"), [(3, 0), (4, Reason.TERMS_DIFFER)])
def test_what_was_held_under_an_old_version_is_honoured_for_the_agreed_days(
    regions: Regions, days: int, reason: int
) -> None:
    made = regions()
    a, b = ends(made)
    first = agree(made)
    agree(made, amendment(made, first, rate=(1, 2), pinned_days=3))
    a.clock.now_ms += days * DAY_MS
    b.hear(A, forge(a, B, [offer(alias_of(address(b, "B")), 10, terms_version=1)]))
    assert [row[5] for row in rows(b, "transfer")["transfer"]] == [reason]


def test_an_end_with_a_wind_down_lets_what_is_held_finish_and_nothing_begin(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = agree(made)
    to = address(b, "B")
    placed = a.one(order(to, 10))
    b.one(terminate(shown, today(b), today(b) + 1))
    made.pump()  # the notice and the offer cross
    assert state_of(a, placed, A) == (Transfer.POSTED, 0)
    assert states(a, B) == states(b, A) == [(1, State.TERMINATING)]
    with pytest.raises(Refused, match="AGREEMENT_NOT_IN_FORCE"):
        a.one(order(to, 10))
    a.clock.now_ms += 2 * DAY_MS
    assert states(a, B) == states(b, A) == [(1, State.ENDED)]
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(notice(shown, NoticeKind.SUSPEND))
    b.hear(A, forge(a, B, [offer(alias_of(to), 10)]))
    assert [row[5] for row in rows(b, "transfer")["transfer"]] == [0, Reason.AGREEMENT_NOT_IN_FORCE]


def test_two_regions_whose_agreement_has_ended_may_begin_anew(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = agree(made)
    a.one(terminate(shown, today(a), today(a)))
    made.pump()
    agree(made, (1, 2))
    assert states(a, B) == states(b, A) == [(1, State.TERMINATING), (1, State.IN_FORCE)]
    assert outcome(made, a, order(address(b, "B"), 10)) == (Transfer.POSTED, 0)
    assert points(b, "B") == (5, 0, 0)


def test_a_notice_that_comes_late_counts_from_its_date(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = agree(made)
    b.one(notice(shown, NoticeKind.SUSPEND))
    a.clock.now_ms += 5 * DAY_MS  # the two did not speak meanwhile
    made.pump()
    assert states(a, B) == states(b, A) == [(1, State.SUSPENDED)]


def test_a_notice_about_nothing_is_refused_and_counts_at_neither(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    shown = agree(made)
    agreed = shown.version.agreement
    wrong = Notice(federation=agreed.federation, environment=agreed.environment, agreement=b"no such agreement"[:16],
                   version=1, region=A, what=NoticeKind.SUSPEND, effective=today(a))  # fmt: skip
    body = SALT + bodies.encode_notice_body(sign_notice(wrong, a.office.signing_key), b"")
    b.hear(A, forge(a, B, [Draft(Kind.NOTICE, False, b"n" * 16, body)]))
    assert [n.refused for n in b.office.agreements.dealings(A).notices] == [True]
    assert states(b, A) == [(1, State.IN_FORCE)]


def test_before_its_first_day_and_after_its_last_nothing_moves(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    agree(made, valid_from=today(a) + 1, valid_until=today(a) + 2, pinned_days=0)
    to = address(b, "B")
    for moves in (False, True, True, False):
        if moves:
            assert outcome(made, a, order(to, 10)) == (Transfer.POSTED, 0)
        else:
            with pytest.raises(Refused, match="AGREEMENT_NOT_IN_FORCE"):
                a.one(order(to, 10))
        a.clock.now_ms += DAY_MS
