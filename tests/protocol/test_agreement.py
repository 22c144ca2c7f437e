"""What two regions can sign, and what follows from what both have said, whatever came first."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from gateway.protocol.agreement.document import (
    EVERYTHING,
    Agreement,
    Cap,
    CapScope,
    Category,
    Honoured,
    NoticeKind,
    Rate,
)
from gateway.protocol.agreement.life import (
    TRANSITIONS,
    Event,
    Said,
    State,
    countersign,
    digest_of,
    hear,
    read,
    sign,
    state_on,
    step,
    suspended_by,
)
from gateway.protocol.agreement.rules import check, check_next, check_notice, faults
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.errors import Malformed, OwnFault, Refused, TooLarge, Unauthentic
from gateway.protocol.limits import BODY_BYTES
from gateway.protocol.values import Kind, Reason, Signed
from tests.protocol.federation import HANGZHOU, NINGBO, key
from tests.protocol.pair import (
    ENVIRONMENT,
    FEDERATION,
    FIRST_DAY,
    LAST_DAY,
    amended,
    both,
    dealings,
    direction,
    document,
    keys,
    noted,
    notice,
    proposed,
)

SALT = bytes(16)


def largest() -> Agreement:
    """Twelve categories with the longest names both ways, every cap, and every text as long as it may be."""
    ours, theirs = (
        tuple(Category(code=f"{name * 30}{n:02}", points=1_000_000, hours=1_000_000) for n in range(12))
        for name in "ab"
    )
    ways = [
        direction(
            *(
                Rate(category=a.code, becomes=b.code, p=999_999, q=1_000_000, derived=False)
                for a, b in zip(gives, takes, strict=True)
            ),
            caps=tuple(Cap(scope=scope, amount=10**12) for scope in CapScope),
            smallest=10**6,
            review_from=10**12,
            cooling_off_hours=8784,
            relocation_months=1200,
            haircut=9999,
            honoured=tuple(Honoured(kind=kind, values=tuple((n, n) for n in range(5))) for kind in range(1, 6)),
        )
        for gives, takes in ((ours, theirs), (theirs, ours))
    ]
    return document(
        environment="x" * 32, version=1_000_000, predecessor=bytes(32), legal_basis="法" * 96, consent_basis="法" * 96,
        categories_a=ours, categories_b=theirs, a_to_b=ways[0], b_to_a=ways[1], mediator=330400, arbitrator=330000,
        features=EVERYTHING, pinned_days=366, reversal_days=3660, dispute_days=3660, dispute_answer_days=366,
        dispute_ruling_days=366, consent_required=True, identity_required=True, pseudonym_key_a=bytes(32),
        pseudonym_key_b=b"1" * 32,
    )  # fmt: skip


def test_an_agreement_of_twelve_categories_fits_one_body_with_the_largest_redo_record() -> None:
    signed = sign(largest(), key(str(HANGZHOU)))
    body = SALT + bodies.encode_propose(signed, bytes(1024))
    assert len(body) <= BODY_BYTES
    assert bodies.decode_propose(body) == signed
    assert bodies.decode_agreement(signed.payload) == largest()


def test_one_that_would_not_fit_is_not_signed() -> None:
    many, nothing = tuple(Category(code="类" * 30 + f"{n:02}") for n in range(16)), direction(on=False)
    unmapped = replace(nothing, rates=())
    with pytest.raises(TooLarge):
        sign(document(categories_a=many, categories_b=many, a_to_b=unmapped, b_to_a=unmapped), key("x"))


def test_a_rate_of_a_category_nobody_lists_has_no_bytes() -> None:
    unlisted = document(a_to_b=direction(Rate(category="honour", becomes="moral", p=1, q=1)))
    with pytest.raises(Malformed):
        bodies.encode_agreement(unlisted)


def test_bodies_come_back_as_they_were() -> None:
    signed = sign(document(), key(str(HANGZHOU)))
    signature = countersign(signed, key(str(NINGBO)))
    assert bodies.decode_countersign(SALT + bodies.encode_countersign(signature, b"redo")) == signature
    said = noted(NoticeKind.TERMINATE, NINGBO, 20260601, 20260701)
    assert isinstance(said.paper, Signed)
    assert bodies.decode_notice_body(SALT + bodies.encode_notice_body(said.paper, b"")) == said.paper


@pytest.mark.parametrize(
    "decode", [bodies.decode_propose, bodies.decode_countersign, bodies.decode_notice_body], ids=lambda d: d.__name__
)
def test_bytes_that_are_no_body_are_malformed(decode) -> None:  # type: ignore[no-untyped-def]
    for bad in (b"", SALT, SALT + b"\xff\xff", SALT + bytes(BODY_BYTES)):
        with pytest.raises((Malformed, TooLarge)):
            decode(bad)


def test_nobody_signs_what_it_cannot_read() -> None:
    """Fields of a later version, at the top and within."""
    payload = bodies.encode_agreement(document())
    unknown = b"\xf8\x07\x01"  # field 127
    within = bodies.encode_agreement(document(categories_b=(), a_to_b=direction(on=False, rates=()),
                                              b_to_a=direction(on=False, rates=())))  # fmt: skip
    listed = b"\x62" + bytes([len(b"\x0a\x01x" + unknown)]) + b"\x0a\x01x" + unknown  # one more of categories_b
    for bad in (payload + unknown, within + listed):
        with pytest.raises(Malformed, match="does not know"):
            bodies.decode_agreement(bad)


def test_a_signed_paper_of_another_type_is_no_proposal() -> None:
    said = noted(NoticeKind.SUSPEND, NINGBO, 20260601)
    assert isinstance(said.paper, Signed)
    with pytest.raises(Malformed):
        bodies.decode_propose(SALT + bodies.encode_propose(said.paper, b""))


# -- documents --------------------------------------------------------------------------------------------------------


def test_a_good_document_breaks_no_rule() -> None:
    assert list(faults(document(), FEDERATION, ENVIRONMENT)) == []
    check(document(), FEDERATION, ENVIRONMENT)


def test_a_document_for_elsewhere_is_refused_by_name() -> None:
    for changes in ({"federation": bytes(32)}, {"environment": "production"}):
        with pytest.raises(Refused, match="OTHER_FEDERATION") as refused:
            check(document(**changes), FEDERATION, ENVIRONMENT)
        assert refused.value.reason is Reason.DOCUMENT_INVALID


# -- signatures -------------------------------------------------------------------------------------------------------


def test_who_did_not_sign_is_named() -> None:
    signed = sign(document(), key(str(HANGZHOU)))
    assert read(signed, [HANGZHOU], keys) == document()
    with pytest.raises(Unauthentic, match=str(NINGBO)):
        read(signed, document().regions, keys)


def test_a_changed_document_carries_nobodys_signature() -> None:
    signed = sign(document(), key(str(HANGZHOU)))
    other = replace(signed, payload=bodies.encode_agreement(document(valid_until=20991231)))
    with pytest.raises(Unauthentic):
        read(other, [HANGZHOU], keys)


def test_a_countersignature_for_another_version_makes_nothing_agreed() -> None:
    first, other = proposed(document()), sign(document(valid_until=20991231), key(str(HANGZHOU)))
    answer = Said(Kind.COUNTERSIGN, NINGBO, first.id, countersign(other, key(str(NINGBO))))
    (version,) = dealings([first, answer]).versions
    assert (version.state, version.reason) == (State.REFUSED, Reason.DOCUMENT_INVALID)


# -- what two logs make of it -----------------------------------------------------------------------------------------


def interleaved(logs: list[list[Said]], chance: random.Random) -> list[Said]:
    """The messages of the logs in some order that keeps that of each log, and an answer behind what it answers."""
    waiting, said = [list(log) for log in logs], list[Said]()
    while any(waiting):
        heads = [log for log in waiting if log]
        asked = {(one.id, one.by) for one in said}
        ready = [
            log for log in heads
            if log[0].kind in (Kind.PROPOSE, Kind.NOTICE) or any(i == log[0].id and b != log[0].by for i, b in asked)
        ]  # fmt: skip
        said.append(chance.choice(ready).pop(0))
    return said


def test_both_regions_come_to_the_same_in_whatever_order_they_hear_each_other() -> None:
    first, second = both(document()), both(amended(document(), valid_from=20260601), NINGBO)
    hangzhou = [
        first[0], second[1], noted(NoticeKind.SUSPEND, HANGZHOU, 20260301),
        noted(NoticeKind.RESUME, HANGZHOU, 20260701), noted(NoticeKind.TERMINATE, HANGZHOU, 20261001, 20261101),
    ]  # fmt: skip
    ningbo = [
        first[1], second[0], noted(NoticeKind.SUSPEND, NINGBO, 20260401), noted(NoticeKind.RESUME, NINGBO, 20260801),
        noted(NoticeKind.TERMINATE, NINGBO, 20261015, 20261215),
    ]  # fmt: skip
    days = [20251231, 20260101, 20260301, 20260601, 20260715, 20260801, 20261001, 20261101, 20261216]
    outcomes = set()
    for seed in range(60):
        known = dealings(interleaved([hangzhou, ningbo], random.Random(seed)))
        states = {v.digest: tuple(state_on(known, v, day) for day in days) for v in known.versions}
        outcomes.add(tuple(sorted(states.items())))
    assert len(outcomes) == 1
    assert [s for _, states in outcomes.pop() for s in states].count(State.IN_FORCE) > 0


def test_a_proposal_that_crosses_ones_own_is_refused_while_that_waits() -> None:
    mine, theirs = proposed(document()), proposed(document(id=b"1" * 16), NINGBO)
    for own, heard in ((mine, theirs), (theirs, mine)):
        known = dealings([own, heard])
        agreement = known.versions[1].agreement
        with pytest.raises(Refused) as refused:
            check_next(agreement, known.versions[1].digest, known, FIRST_DAY, request=heard.id)
        assert refused.value.reason is Reason.AGREEMENT_OVERLAPS


def test_saying_the_same_again_changes_nothing() -> None:
    said = [*both(document()), noted(NoticeKind.SUSPEND, NINGBO, 20260301)]
    known = dealings(said)
    for one in said:
        assert hear(known, one, keys) == known


def test_a_proposal_that_cannot_be_read_is_nothing() -> None:
    broken = Said(Kind.PROPOSE, HANGZHOU, bytes(16), replace(sign(document(), key("x")), payload=b"\xff"))
    assert dealings([broken]).versions == ()
    assert dealings([broken._replace(paper=None)]).versions == ()


def test_a_suspension_outlasts_an_amendment() -> None:
    said = [*both(document()), noted(NoticeKind.SUSPEND, NINGBO, 20260115), *both(amended(document()))]
    known = dealings(said)
    assert state_on(known, known.versions[1], 20260301) is State.SUSPENDED
    assert suspended_by(known, bytes(16), 20260301) == (NINGBO,)


# -- the table --------------------------------------------------------------------------------------------------------


def test_what_is_not_in_the_table_is_a_fault_of_ones_own() -> None:
    for state in State:
        for event in Event:
            if (state, event) in TRANSITIONS:
                assert step(state, event) is TRANSITIONS[state, event]
            else:
                with pytest.raises(OwnFault):
                    step(state, event)


def test_every_state_can_be_reached_and_what_is_over_stays_so() -> None:
    reached, frontier = {State.PROPOSED}, [State.PROPOSED]
    while frontier:
        state = frontier.pop()
        for (before, _), after in TRANSITIONS.items():
            if before is state and after not in reached:
                reached.add(after)
                frontier.append(after)
    assert reached == set(State)
    assert {before for before, _ in TRANSITIONS} & {State.REFUSED, State.REPLACED, State.ENDED} == set()


# -- what can follow --------------------------------------------------------------------------------------------------


def next_reason(
    agreement: Agreement, said: list[Said], today: int, known: list[Agreement] | None = None
) -> Reason | None:
    try:
        digest = digest_of(sign(agreement, key(str(HANGZHOU))))
        check_next(agreement, digest, dealings(said), today, known=known or ())
    except Refused as refusal:
        return refusal.reason
    return None


def test_an_amendment_follows_the_newest_version_and_nothing_else() -> None:
    second = amended(document())
    agreed = [*both(document()), *both(second)]
    assert next_reason(second, both(document()), 20260110) is None
    assert next_reason(amended(second), agreed, 20260110) is None
    assert next_reason(second, agreed, 20260110) is not None
    assert next_reason(amended(document(), predecessor=bytes(32)), both(document()), 20260110) is (
        Reason.PREDECESSOR_UNKNOWN
    )


def test_an_amendment_cannot_bring_other_regions_in() -> None:
    other = replace(amended(document()), region_b=330300)
    assert next_reason(other, both(document()), 20260110) is Reason.DOCUMENT_INVALID


def test_a_cycle_over_a_third_region_is_refused_with_the_cycle_shown() -> None:
    third = 330300
    to_third = document(id=b"1" * 16, region_a=NINGBO, region_b=third)  # 10 at Ningbo become 1 there
    back = document(
        id=b"2" * 16, region_b=third, a_to_b=direction(on=False),
        b_to_a=direction(Rate(category="moral", becomes="moral", p=101, q=1, derived=False)),
    )  # fmt: skip
    with pytest.raises(Refused, match="101/100") as refused:
        check_next(back, bytes(32), dealings([]), FIRST_DAY, known=[document(), to_third])
    assert refused.value.reason is Reason.PROFITABLE_CYCLE
    assert str(third) in refused.value.detail
    assert next_reason(back, [], FIRST_DAY) is None


# -- notices ----------------------------------------------------------------------------------------------------------

SUSPENDED = [*both(document()), noted(NoticeKind.SUSPEND, NINGBO, 20260301)]
TERMINATED = [*both(document()), noted(NoticeKind.TERMINATE, NINGBO, 20260301, 20260401)]


@pytest.mark.parametrize(
    ("said", "given", "reason"),
    [
        (both(document()), notice(NoticeKind.SUSPEND, NINGBO, 20260301), None),
        (both(document()), notice(NoticeKind.RESUME, NINGBO, 20260301), Reason.WRONG_STATE),
        (SUSPENDED, notice(NoticeKind.SUSPEND, NINGBO, 20260301), Reason.WRONG_STATE),
        (SUSPENDED, notice(NoticeKind.SUSPEND, HANGZHOU, 20260301), None),
        (SUSPENDED, notice(NoticeKind.RESUME, HANGZHOU, 20260301), Reason.WRONG_STATE),
        (SUSPENDED, notice(NoticeKind.RESUME, NINGBO, 20260301), None),
        (TERMINATED, notice(NoticeKind.SUSPEND, NINGBO, 20260301), Reason.WRONG_STATE),
        (TERMINATED, notice(NoticeKind.TERMINATE, NINGBO, 20260301, 20260401), Reason.WRONG_STATE),
        (TERMINATED, notice(NoticeKind.TERMINATE, HANGZHOU, 20260301, 20260401), None),
        ([], notice(NoticeKind.SUSPEND, NINGBO, 20260301), Reason.PREDECESSOR_UNKNOWN),
        (both(document()), notice(NoticeKind.SUSPEND, NINGBO, 20260301, version=2), Reason.PREDECESSOR_UNKNOWN),
        (both(document()), notice(NoticeKind.SUSPEND, 330300, 20260301), Reason.DOCUMENT_INVALID),
        (both(document()), notice(NoticeKind.SUSPEND, NINGBO, 20260228), Reason.DOCUMENT_INVALID),
        (both(document()), notice(NoticeKind.SUSPEND, NINGBO, 20260301, 20260401), Reason.DOCUMENT_INVALID),
        (both(document()), notice(NoticeKind.TERMINATE, NINGBO, 20260301), Reason.DOCUMENT_INVALID),
        (both(document()), notice(NoticeKind.TERMINATE, NINGBO, 20260301, 20260228), Reason.DOCUMENT_INVALID),
        (both(document()), notice(NoticeKind.SUSPEND, NINGBO, 20260301, environment="x"), Reason.DOCUMENT_INVALID),
    ],
)
def test_what_one_region_can_say_of_an_agreement(said, given, reason) -> None:  # type: ignore[no-untyped-def]
    try:
        check_notice(given, dealings(said), FEDERATION, ENVIRONMENT, 20260301)
        found = None
    except Refused as refusal:
        found = refusal.reason
    assert found is reason


def test_a_notice_that_was_said_in_time_counts_however_late_it_is_heard() -> None:
    late = notice(NoticeKind.SUSPEND, NINGBO, 20260301)
    check_notice(late, dealings(both(document())), FEDERATION, ENVIRONMENT)
    with pytest.raises(Refused, match="BACK_DATED"):
        check_notice(late, dealings(both(document())), FEDERATION, ENVIRONMENT, LAST_DAY)
