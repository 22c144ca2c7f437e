"""What was attested and holds no more is taken back wherever it was recognised; what proves nothing never counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol import attestation, codec
from gateway.protocol.attestation import Attestation, FactKind, RevocationCause
from gateway.protocol.attestation import State as Stands
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.errors import Refused
from gateway.protocol.values import Evidence, Kind, Reason, Signed, Status
from node.errors import Recovering
from node.services import topics
from node.services.attestation_end import Revoke, RevokeAnswer
from node.services.command import handles
from node.services.credential import IssueCredential
from node.services.fact import WithdrawFact
from node.services.history import Replayed
from node.services.office import Office
from node.services.topics import Heard, Topic
from node.services.verify import verify
from node.store import schema
from node.store.batch import Batch
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair, signing_key
from tests.services.attesting import (
    HONOUR,
    HOURS,
    STARS,
    asked,
    furnish,
    know,
    neighbours,
    question,
    recognised,
    row,
    shared,
    sign_up,
    states,
    worth,
)
from tests.services.backups import backup, heads, restore
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


# -- restores --------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(new_database: Any) -> Iterator[Pair]:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)])
    sign_up(made)
    furnish(made)
    yield made
    for region in made.regions.values():
        region.store.close()


KEPT = ("attestation", "recognition", "request")


def kept(made: Pair) -> dict[str, Any]:
    """Everything both regions know of attestations, but for when they learnt it."""
    found: dict[str, Any] = {}
    for code, region in made.regions.items():
        with region.store.read() as conn:
            for name in KEPT:
                table = schema.metadata.tables[name]
                columns = [c for c in table.c if not c.name.endswith("_ms") and c.name not in ("account", "number")]
                found[f"{code} {name}"] = sorted(map(tuple, conn.execute(table.select().with_only_columns(*columns))))
    return found


@pytest.mark.parametrize("lost", [A, B])
def test_a_restored_region_knows_again_what_was_asked_attested_and_revoked(
    stored: Pair, tmp_path: Path, lost: int
) -> None:
    before = asked(stored, kinds=(HOURS,))
    shown = shared(stored.regions[A])
    copy = backup(stored.regions[lost], tmp_path / "backup.sqlite")
    used = shared(stored.regions[A])
    gone, late = asked(stored, shown, kinds=(STARS,)), asked(stored, used, kinds=(HONOUR,))
    stored.regions[A].one(Revoke(id=gone, peer=B))
    stored.regions[A].one(Revoke(id=before, peer=B))
    stored.pump()
    assert asked(stored, used) != late  # a code used twice
    whole, logs = kept(stored), heads(stored.regions[lost])
    restore(stored.regions[lost], copy)
    stored.open()
    assert kept(stored) == whole
    assert {log: size for log, (size, _) in heads(stored.regions[lost]).items()} == {
        log: size for log, (size, _) in logs.items()
    }
    assert (states(stored, before), states(stored, gone)) == (OVER, OVER)
    for region in stored.regions.values():
        assert [check for check in verify(region.store) if not check.ok] == [], region.code
    assert worth(stored.regions[B]) == {(HONOUR, "年度优秀志愿者"): 0}


def test_a_code_that_was_used_after_the_backup_is_used_up_all_the_same(stored: Pair, tmp_path: Path) -> None:
    shown = shared(stored.regions[A])
    copy = backup(stored.regions[A], tmp_path / "backup.sqlite")
    asked(stored, shown)
    restore(stored.regions[A], copy)
    stored.open()
    stored.regions[A].one(Replayed(by="system"))
    assert refusal(stored, asked(stored, shown)) is Reason.CODE_NOT_VALID


def test_a_region_that_may_not_know_yet_what_was_corrected_attests_nothing(stored: Pair, tmp_path: Path) -> None:
    copy = backup(stored.regions[A], tmp_path / "backup.sqlite")
    know(stored.regions[A], STARS, value=2)
    asked(stored)
    restore(stored.regions[A], copy)
    stored.open()
    shown = shared(stored.regions[A])
    assert refusal(stored, asked(stored, shown)) is Reason.REGION_RECOVERING
    with pytest.raises(Recovering):
        stored.regions[A].one(IssueCredential(account="A"))
    know(stored.regions[A], STARS, value=2)
    stored.regions[A].one(Replayed(by="system"))
    asked(stored, shown, kinds=(STARS,))
    assert worth(stored.regions[B])[STARS, ""] == 1


def refusal(made: Pair, id_: bytes) -> Reason:
    """Why B was refused."""
    kept = row(made.regions[B], id_, A, mine=False)
    assert kept is not None
    assert kept.state == Stands.REFUSED
    return Reason(kept.reason)


def test_a_question_repeated_after_a_restore_is_the_same_question(stored: Pair, tmp_path: Path) -> None:
    copy = backup(stored.regions[B], tmp_path / "backup.sqlite")
    once = question(shared(stored.regions[A]), key="once")
    first = stored.regions[B].one(once)
    stored.pump()
    restore(stored.regions[B], copy)
    stored.open()
    assert stored.regions[B].one(once) == first
    stored.pump()
    assert len(recognised(stored.regions[B])) == 3


@pytest.mark.parametrize("lost", [A, B])
def test_an_agreement_lost_with_what_was_recognised_by_it_comes_back_before_it(
    new_database: Any, tmp_path: Path, lost: int
) -> None:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)])
    copy = backup(made.regions[lost], tmp_path / "backup.sqlite")
    sign_up(made)
    furnish(made)
    id_ = asked(made)
    assert states(made, id_) == (Stands.GIVEN, Stands.RECOGNISED)
    whole = kept(made)
    restore(made.regions[lost], copy)
    made.open()
    assert kept(made) == whole
    assert worth(made.regions[B]) == {(HOURS, ""): 7200, (STARS, ""): 3, (HONOUR, "年度优秀志愿者"): 0}


# -- verify ----------------------------------------------------------------------------------------------------------

TAMPERED = {
    "another star": (B, "UPDATE recognition SET value = 5 WHERE kind = 2"),
    "an honour nobody attested": (B, "UPDATE recognition SET words = '全国劳动模范' WHERE kind = 3"),
    "hours that never expire": (B, "UPDATE recognition SET expires = 99991231 WHERE kind = 1"),
    "counted on after it was taken back": (B, "UPDATE recognition SET revoked_ms = NULL"),
    "taken back by nobody": (B, "UPDATE recognition SET revoked_ms = 1"),
    "a revocation forgotten": (A, "UPDATE attestation SET state = 1 WHERE state = 3"),
    "an attestation nobody gave": (A, "UPDATE attestation SET id = x'00'"),
    "another document": (A, "UPDATE attestation SET signed = x'00'"),
    "recognised what was revoked": (B, "UPDATE attestation SET state = 12"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_database_that_was_changed_is_found_out(stored: Pair, name: str) -> None:
    asked(stored)
    gone = asked(stored)
    stored.regions[A].one(Revoke(id=gone, peer=B))
    stored.pump()
    code, statement = TAMPERED[name]
    region = stored.regions[code]
    assert failing(region) == set()
    with region.store.write() as conn:
        for (trigger,) in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            conn.exec_driver_sql(f"DROP TRIGGER {trigger}")
        if name == "an attestation nobody gave":
            conn.exec_driver_sql("DELETE FROM attestation WHERE state = 3")
        conn.exec_driver_sql(statement)
    assert failing(region) == {"attestations"}


def failing(region: TestRegion) -> set[str]:
    """The checks of the examination that fail."""
    return {check.code for check in verify(region.store) if not check.ok}
