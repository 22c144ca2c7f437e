"""What was attested and holds no more is taken back wherever it was recognised; what proves nothing never counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.protocol import attestation, codec
from gateway.protocol.attestation import Attestation, FactKind, RevocationCause
from gateway.protocol.attestation import State as Stands
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.errors import Refused
from gateway.protocol.values import Evidence, Kind, Reason, Signed, Status
from node.services import topics
from node.services.attestation.ends import Revoke, RevokeAnswer
from node.services.attestation.fact import WithdrawFact
from node.services.command import handles
from node.services.office import Office
from node.services.topics import Heard, Topic
from node.store import schema
from node.store.batch import Batch
from tests.federation import Pair, signing_key
from tests.services.attesting import (
    HOURS,
    STARS,
    asked,
    know,
    neighbours,
    recognised,
    row,
    states,
    worth,
)
from tests.services.delivery import A, B

OVER = (Stands.TAKEN_BACK, Stands.REVOKED)


@pytest.fixture
def two() -> Pair:
    return neighbours()


def because(made: Pair, id_: bytes) -> RevocationCause:
    """Why it was revoked, as the region that recognised it was told."""
    kept = row(made.regions[B], id_, A, mine=False)
    assert kept is not None
    return RevocationCause(kept.reason)


# -- facts that change -----------------------------------------------------------------------------------------------


def test_a_corrected_fact_takes_back_what_was_recognised_of_it(two: Pair) -> None:
    id_ = asked(two)
    assert know(two.regions[A], STARS, value=5).revoked == 1
    two.pump()
    assert states(two, id_) == OVER
    assert because(two, id_) is RevocationCause.CORRECTED
    assert recognised(two.regions[B]) == []


def test_a_withdrawn_fact_takes_back_what_was_recognised_of_it(two: Pair) -> None:
    stars, hours = asked(two, kinds=(STARS,)), asked(two, kinds=(HOURS,))
    two.regions[A].one(WithdrawFact(account="A", kind=STARS))
    two.pump()
    assert (states(two, stars), states(two, hours)) == (OVER, (Stands.GIVEN, Stands.RECOGNISED))
    assert because(two, stars) is RevocationCause.WITHDRAWN
    assert worth(two.regions[B]) == {(HOURS, ""): 7200}
    later = asked(two, kinds=(STARS,))
    assert states(two, later) == (None, Stands.REFUSED)


@pytest.mark.parametrize(
    ("later", "revoked"),
    [
        ({"value": 130 * 60}, 0),
        ({"value": 110 * 60}, 1),
        ({"value": 130 * 60, "evidence": Evidence.BACKFILLED}, 1),
        ({"value": 120 * 60, "expires": 20270101}, 1),
    ],
)
def test_more_of_the_same_leaves_it_and_less_takes_it_back(two: Pair, later: dict[str, Any], revoked: int) -> None:
    asked(two, kinds=(HOURS,))
    two.regions[A].clock.now_ms += 86_400_000
    assert know(two.regions[A], HOURS, **later).revoked == revoked
    two.pump()
    assert len(recognised(two.regions[B])) == 1 - revoked


def test_the_same_fact_again_changes_nothing(two: Pair) -> None:
    id_ = asked(two)
    assert know(two.regions[A], STARS, value=4).revoked == 0
    two.pump()
    assert states(two, id_) == (Stands.GIVEN, Stands.RECOGNISED)


# -- by hand ---------------------------------------------------------------------------------------------------------


def test_what_was_given_by_mistake_is_taken_back_once(two: Pair) -> None:
    id_ = asked(two)
    for _ in range(2):
        answer: RevokeAnswer = two.regions[A].one(Revoke(id=id_, peer=B))
        two.pump()
    assert answer.state is Stands.TAKEN_BACK
    assert states(two, id_) == OVER
    with two.regions[B].store.read() as conn:
        asked_of_b = conn.execute(
            schema.request.select().where(schema.request.c.kind == int(Kind.ATTEST_REVOKE))
        ).all()  # fmt: skip
    assert len(asked_of_b) == 1


@pytest.mark.parametrize(("region", "peer"), [(A, 330600), (B, A)])
def test_nobody_takes_back_what_another_region_gave(two: Pair, region: int, peer: int) -> None:
    id_ = asked(two)
    with pytest.raises(Refused) as refusal:
        two.regions[region].one(Revoke(id=id_, peer=peer))
    assert refusal.value.reason is Reason.NOT_ATTESTED
    assert len(recognised(two.regions[B])) == 3


def test_a_suspended_region_is_still_told(two: Pair) -> None:
    id_ = asked(two)
    for region in two.regions.values():
        listed = region.office.roster
        regions = tuple(replace(r, status=Status.SUSPENDED) if r.code == B else r for r in listed.regions)
        region.office.roster = replace(listed, regions=regions)
    two.regions[A].one(Revoke(id=id_, peer=B))
    two.pump()
    assert states(two, id_) == OVER


@dataclass(frozen=True)
class RevokeUnknown:
    """What a region with other software might say of its own accord."""


@handles(RevokeUnknown, lambda _command, _office, _wishes: None)
def _revoke_unknown(command: RevokeUnknown, office: Office, batch: Batch) -> None:
    def body(redo: bytes) -> bytes:
        return bodies.encode_revoked(bodies.Revoked(b"n" * 16, 1, redo))

    topics.ask(B, Kind.ATTEST_REVOKE, b"r" * 16, body, office, batch)


def test_a_revocation_of_what_never_came_is_refused_and_harms_nothing(two: Pair) -> None:
    mine = asked(two)
    two.regions[A].one(RevokeUnknown())
    two.pump()
    with two.regions[A].store.read() as conn:
        found = conn.execute(schema.request.select().where(schema.request.c.id == b"r" * 16)).one()
    assert Reason(found.reason) is Reason.NOT_ATTESTED
    assert states(two, mine) == (Stands.GIVEN, Stands.RECOGNISED)


# -- answers that prove nothing ---------------------------------------------------------------------------------------


def answering(change: Any) -> Topic:
    """The home region of an attacker: what it attests is changed before it is sent."""
    honest = topics.TOPICS[int(Kind.ATTEST_REQUEST)]

    def hear(heard: Heard, office: Office, batch: Batch) -> Any:
        document = Attestation(
            federation=office.roster.federation, environment="test", id=heard.frame.id, issuer=office.me,
            audience=heard.peer, subject=b"s" * 16, issued_at_ms=batch.now_ms, expires=20271231,
            facts=(attestation.Fact(STARS, "", 5, Evidence.SIGNED_IN, 20260101, 0, ""),),
            consent_digest=heard.parsed.consent_digest, roster_version=1,
        )  # fmt: skip
        signed = change(document, office)
        return topics.answer(
            heard, Kind.ATTEST, lambda redo: bodies.encode_attested(bodies.Attested(signed, redo)), office, batch
        )

    return replace(honest, hear=hear)


def signed_by(name: object) -> Any:
    return lambda document, office: signing_key(name).sign(
        attestation.PAYLOAD_TYPE, bodies.encode_attestation(document)
    )


def changed(**fields: Any) -> Any:
    return lambda document, office: attestation.sign(replace(document, **fields), office.signing_key)


def tampered(document: Attestation, office: Office) -> Signed:
    signed = attestation.sign(document, office.signing_key)
    more = replace(document, facts=(document.facts[0]._replace(value=6),))
    return replace(signed, payload=bodies.encode_attestation(more))


UNFIT = {
    "signed by the region that asked": signed_by(B),
    "signed by nobody known": signed_by("stranger"),
    "changed after it was signed": tampered,
    "about another request": changed(id=b"o" * 16),
    "for another region": changed(audience=330600),
    "by another region": changed(issuer=330600),
    "of another federation": changed(federation=b"f" * 32),
    "of another environment": changed(environment="production"),
    "under another consent": changed(consent_digest=b"c" * 32),
    "more than was asked": changed(
        facts=(attestation.Fact(FactKind.QUALIFICATION, "x", 1, Evidence.SIGNED_IN, 20260101, 0, ""),)
    ),
    "another kind of document": lambda document, office: office.signing_key.sign(
        codec.HEAD, bodies.encode_attestation(document)
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_answer_that_proves_nothing(two: Pair, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(topics.TOPICS, int(Kind.ATTEST_REQUEST), answering(UNFIT[name]))
    id_ = asked(two)
    kept = row(two.regions[B], id_, A, mine=False)
    assert kept is not None
    assert (Stands(kept.state), Reason(kept.reason)) == (Stands.UNFIT, Reason.DOCUMENT_INVALID)
    assert recognised(two.regions[B]) == []


def test_the_same_document_unchanged_counts(two: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(topics.TOPICS, int(Kind.ATTEST_REQUEST), answering(changed()))
    asked(two)
    assert worth(two.regions[B]) == {(STARS, ""): 4}


def test_an_answer_replayed_to_another_request(two: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    first = asked(two)
    kept = row(two.regions[B], first, A, mine=False)
    assert kept is not None
    assert kept.signed is not None
    old = codec.decode_signed(kept.signed)
    monkeypatch.setitem(topics.TOPICS, int(Kind.ATTEST_REQUEST), answering(lambda _document, _office: old))
    second = asked(two)
    assert states(two, second)[1] is Stands.UNFIT
    assert {r.attestation for r in recognised(two.regions[B])} == {first}
