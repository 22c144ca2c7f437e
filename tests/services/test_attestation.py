"""Facts that are attested, recognised by the map of the agreement, and never become points; and every way to say no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import codec, limits
from gateway.protocol.address import Address, write
from gateway.protocol.agreement.document import Direction, Feature, Honoured, Notice, NoticeKind
from gateway.protocol.agreement.life import Noted, sign_notice
from gateway.protocol.attestation import FactKind
from gateway.protocol.attestation import State as Stands
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.errors import Refused
from gateway.protocol.values import Evidence, Kind, Reason, Status
from node.errors import BadInput
from node.ledger.accounts import AccountState
from node.services import topics
from node.services.account import SetAccountState
from node.services.address import NewAddress
from node.services.attestation.ends import attested
from node.services.attestation.share import NewShare
from node.services.withdrawal import WithdrawConsent
from tests.federation import Pair, pair, signing_key
from tests.services.attesting import (
    DAY_MS,
    HONOUR,
    HOURS,
    KINDS,
    MINUTE_MS,
    STARS,
    agree,
    asked,
    consented,
    furnish,
    know,
    neighbours,
    question,
    recognised,
    row,
    shared,
    states,
    terms,
    worth,
)
from tests.services.delivery import A, B, C
from tests.services.ledger import ledger


@pytest.fixture
def two() -> Pair:
    return neighbours()


def why(made: Pair, id_: bytes) -> Reason:
    """Why B was refused."""
    kept = row(made.regions[B], id_, A, mine=False)
    assert kept is not None
    assert kept.state == Stands.REFUSED
    return Reason(kept.reason)


def refused(region: Any, command: Any) -> Reason:
    """The command is refused with this reason."""
    with pytest.raises(Refused) as refusal:
        region.one(command)
    return refusal.value.reason


# -- the way it goes --------------------------------------------------------------------------------------------------


def test_four_stars_there_are_three_here_and_hours_are_hours(two: Pair) -> None:
    id_ = asked(two)
    assert states(two, id_) == (Stands.GIVEN, Stands.RECOGNISED)
    assert worth(two.regions[B]) == {(HOURS, ""): 120 * 60, (STARS, ""): 3, (HONOUR, "年度优秀志愿者"): 0}
    assert {r.there for r in recognised(two.regions[B])} == {7200, 4, 0}


def test_what_is_recognised_moves_no_points(two: Pair) -> None:
    before = [ledger(region) for region in two.regions.values()]
    asked(two)
    after = [ledger(region) for region in two.regions.values()]
    for was, now in zip(before, after, strict=True):
        assert {**was, "outcome": [], "account": []} == {**now, "outcome": [], "account": []}


def test_the_document_names_one_region_one_request_and_nobody(two: Pair) -> None:
    one, other = asked(two), asked(two)
    documents = []
    for id_ in (one, other):
        kept = row(two.regions[B], id_, A, mine=False)
        assert kept is not None
        assert kept.signed is not None
        signed = codec.decode_signed(kept.signed)
        document = bodies.decode_attestation(signed.payload)
        assert (document.id, document.issuer, document.audience) == (id_, A, B)
        assert b"A\x00" not in signed.payload
        documents.append(document)
    assert documents[0].subject != documents[1].subject
    assert documents[0].consent_digest != documents[1].consent_digest


def test_what_the_other_region_does_not_honour_is_not_even_asked_for(two: Pair) -> None:
    know(two.regions[A], FactKind.CERTIFICATE, words="急救员证")
    id_ = asked(two)
    kept = row(two.regions[A], id_, B, mine=True)
    assert kept is not None
    assert FactKind.CERTIFICATE not in {fact.kind for fact in attested(kept)}


def test_a_value_below_the_map_counts_for_nothing_and_hours_filled_in_later_do_not_count(two: Pair) -> None:
    a = two.regions[A]
    know(a, STARS, value=1, as_of=0)
    know(a, HOURS, value=200 * 60, evidence=Evidence.BACKFILLED)
    asked(two)
    assert worth(two.regions[B]) == {(HONOUR, "年度优秀志愿者"): 0}


def test_the_newest_sixteen_facts_are_told_where_there_are_more(two: Pair) -> None:
    for number in range(20):
        know(two.regions[A], HONOUR, words=f"{'荣' * 31}{number:02d}", as_of=20260101 + number, reference="编号" * 8)
    id_ = asked(two, kinds=(HONOUR,))
    kept = row(two.regions[A], id_, B, mine=True)
    assert kept is not None
    assert len(attested(kept)) == limits.FACTS_PER_ATTESTATION
    assert min(fact.as_of for fact in attested(kept)) == 20260106


def test_asking_again_under_the_same_key_asks_once(two: Pair) -> None:
    shown = shared(two.regions[A])
    asked(two, shown, key="same")
    asked(two, shown, key="same")
    assert len(recognised(two.regions[B])) == 3
    assert refused(two.regions[B], question(shown, key="same", kinds=(HOURS,))) is Reason.CONFLICT_DIFFERENT_CONTENT


# -- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_used_twice(two: Pair) -> None:
    shown = shared(two.regions[A])
    first, second = asked(two, shown), asked(two, shown)
    assert states(two, first) == (Stands.GIVEN, Stands.RECOGNISED)
    assert why(two, second) is Reason.CODE_NOT_VALID
    assert len(recognised(two.regions[B])) == 3


def test_a_code_after_its_time(two: Pair) -> None:
    shown = shared(two.regions[A], minutes=5)
    two.regions[A].clock.now_ms += 5 * MINUTE_MS
    assert why(two, asked(two, shown)) is Reason.CODE_NOT_VALID


def test_a_guessed_code_and_a_receiving_address_are_refused_alike(two: Pair) -> None:
    a = two.regions[A]
    shown = shared(a)
    guessed = shared(a).code[:-8] + "00000000"
    for code in (a.one(NewAddress(account="A")).address, write(Address(A, b"guess" * 2))):
        assert why(two, asked(two, shown, code=code)) is Reason.CODE_NOT_VALID
    assert refused(two.regions[B], question(shown, code=guessed)) is Reason.CODE_NOT_VALID  # its check characters


def test_a_code_for_another_region() -> None:
    three = pair((A, B, C))
    agree(three)
    furnish(three)
    a = three.regions[A]
    shown = shared(a, consented(a, recipient=C), audience=C)
    assert why(three, asked(three, shown)) is Reason.CODE_NOT_VALID


def test_the_code_of_a_closed_account_is_as_good_as_none(two: Pair) -> None:
    shown = shared(two.regions[A])
    two.regions[A].one(SetAccountState(name="A", state=AccountState.CLOSED))
    assert why(two, asked(two, shown)) is Reason.CODE_NOT_VALID


# -- consent ----------------------------------------------------------------------------------------------------------


def test_no_consent_is_named(two: Pair) -> None:
    shown = shared(two.regions[A])
    assert refused(two.regions[B], question(shown, consent="")) is Reason.CONSENT_MISSING
    assert refused(two.regions[B], question(shown, consent_digest=b"")) is Reason.CONSENT_MISSING


def test_consent_expired_between_the_code_and_the_question(two: Pair) -> None:
    shown = shared(two.regions[A], consented(two.regions[A], expires=20261119), minutes=3 * 24 * 60)
    two.regions[A].clock.now_ms += 2 * DAY_MS
    assert why(two, asked(two, shown)) is Reason.CONSENT_NOT_VALID


def test_consent_withdrawn_between_the_code_and_the_question(two: Pair) -> None:
    a = two.regions[A]
    reference = consented(a)
    shown = shared(a, reference)
    a.one(WithdrawConsent(id=bytes.fromhex(reference)))
    assert why(two, asked(two, shown)) is Reason.CONSENT_NOT_VALID
    assert refused(a, shared_again(reference)) is Reason.CONSENT_NOT_VALID


def shared_again(reference: str) -> NewShare:
    return NewShare(account="A", audience=B, consent=reference)


def test_consent_for_something_else(two: Pair) -> None:
    a = two.regions[A]
    assert refused(a, shared_again(consented(a, purpose="relocation"))) is Reason.CONSENT_NOT_VALID
    shown = shared(a, consented(a, kinds=("star_level",)))
    assert why(two, asked(two, shown)) is Reason.CONSENT_NOT_VALID
    shown = shared(a, consented(a, kinds=("star_level",)))
    assert states(two, asked(two, shown, kinds=(STARS,))) == (Stands.GIVEN, Stands.RECOGNISED)


def test_another_consent_than_the_code_was_made_under(two: Pair) -> None:
    a = two.regions[A]
    shown, other = shared(a), shared(a)
    mixed = replace(shown, consent=other.consent, consent_digest=other.consent_digest)
    assert why(two, asked(two, mixed)) is Reason.CONSENT_NOT_VALID
    forged = replace(shown, consent_digest="0" * 64)
    assert why(two, asked(two, forged)) is Reason.CONSENT_NOT_VALID


# -- agreement --------------------------------------------------------------------------------------------------------


def test_no_agreement(two: Pair) -> None:
    shown = shared(two.regions[A])
    two.regions[B].office.agreements.load({})
    assert refused(two.regions[B], question(shown)) is Reason.AGREEMENT_NOT_IN_FORCE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"a_to_b": Direction(honoured=())}, Reason.NOT_ATTESTED),
        ({"features": frozenset({Feature.RELOCATION})}, Reason.FEATURE_OFF),
        ({"valid_from": 20990101}, Reason.AGREEMENT_NOT_IN_FORCE),
    ],
)  # fmt: skip
def test_an_agreement_that_does_not_say_so(two: Pair, changes: dict[str, Any], reason: Reason) -> None:
    shown = shared(two.regions[A])
    agree(two, terms(two.regions[A], **changes))
    assert refused(two.regions[B], question(shown)) is reason


def test_what_only_the_region_that_asks_believes_to_be_honoured(two: Pair) -> None:
    shown = shared(two.regions[A])
    theirs = two.regions[B].office.agreements.dealings(A)
    agree(two, terms(two.regions[A], a_to_b=Direction(honoured=(Honoured(kind=HOURS),))))
    two.regions[B].office.agreements.put(A, theirs)
    assert why(two, asked(two, shown)) is Reason.NOT_ATTESTED


def test_a_version_the_other_region_never_signed(two: Pair) -> None:
    shown = shared(two.regions[A])
    honest = two.regions[A].office.agreements.dealings(B)
    agree(two, terms(two.regions[A]), terms(two.regions[A], version=2, predecessor=b"p" * 32))
    two.regions[A].office.agreements.put(B, honest)
    assert why(two, asked(two, shown)) is Reason.TERMS_DIFFER


def test_a_suspended_agreement(two: Pair) -> None:
    shown = shared(two.regions[A])
    a = two.regions[A]
    notice = Notice(
        federation=a.office.roster.federation, environment="test", agreement=terms(a).id, version=1, region=A,
        what=NoticeKind.SUSPEND, effective=20260101,
    )  # fmt: skip
    noted = Noted(request=b"n" * 16, by=A, notice=notice, signed=sign_notice(notice, signing_key(A)))
    a.office.agreements.put(B, replace(a.office.agreements.dealings(B), notices=(noted,)))
    assert why(two, asked(two, shown)) is Reason.AGREEMENT_SUSPENDED


def test_a_suspended_region_neither_asks_nor_is_asked(two: Pair) -> None:
    shown = shared(two.regions[A])
    b, listed = two.regions[B], two.regions[B].office.roster
    for suspended in (A, B):
        regions = tuple(replace(r, status=Status.SUSPENDED) if r.code == suspended else r for r in listed.regions)
        b.office.roster = replace(listed, regions=regions)
        assert refused(b, question(shown)) is Reason.REGION_NOT_ACTIVE
    b.office.roster = listed
    late = question(shown)
    b.one(late)
    regions = tuple(replace(r, status=Status.SUSPENDED) if r.code == B else r for r in listed.regions)
    two.regions[A].office.roster = replace(listed, regions=regions)
    two.pump()
    assert why(two, b.office.public_id("c", late.key)) is Reason.REGION_NOT_ACTIVE


def test_nothing_is_known_of_what_is_asked(two: Pair) -> None:
    know(two.regions[A], STARS, value=4, expires=20261119)
    shown = shared(two.regions[A], minutes=3 * 24 * 60)
    two.regions[A].clock.now_ms += 2 * DAY_MS
    assert why(two, asked(two, shown, kinds=(STARS,))) is Reason.NOT_ATTESTED


# -- facts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": HONOUR, "words": ""},
        {"kind": HONOUR, "words": "荣" * 33},
        {"kind": HONOUR, "words": "证 11010519491231002X"},
        {"kind": STARS, "value": -1},
        {"kind": STARS, "value": 4, "as_of": 20991231},
        {"kind": STARS, "value": 4, "as_of": 20260230},
        {"kind": 6, "words": "x"},
        {"kind": HONOUR, "words": "a\nb"},
    ],
)
def test_a_fact_that_nobody_could_attest(two: Pair, changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        know(two.regions[A], **changes)


def test_what_was_known_before_does_not_replace_what_is_known_now(two: Pair) -> None:
    with pytest.raises(Refused) as refusal:
        know(two.regions[A], STARS, value=3, as_of=20260101)
    assert refusal.value.reason is Reason.WRONG_STATE


def test_every_kind_of_data_has_a_name_in_consents() -> None:
    assert {kind.name.lower() for kind in FactKind} == set(KINDS)
    assert Kind.ATTEST_REQUEST in topics.TOPICS
