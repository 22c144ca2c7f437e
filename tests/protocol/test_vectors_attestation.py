"""The published vectors of attestations, read as another team would read them, and then by production code."""

from __future__ import annotations

import gzip
import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.protocol import attestation, codec, roster
from gateway.protocol.agreement.document import Direction, Honoured
from gateway.protocol.attestation import Attestation, Fact, FactKind, Question, Wanted
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.credential import document as credential
from gateway.protocol.credential.checks import verify_credential
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.values import Reason, Signed
from tests.protocol import reader
from tests.protocol.reader import vectors
from tests.protocol.test_vectors import KEYS, named

ALL = vectors("attestations")
CREDENTIALS = ALL["credentials"]
ROSTERS = [codec.decode_signed(bytes.fromhex(text)) for text in CREDENTIALS["rosters"]]
MEMBERS = roster.accept_chain(ROSTERS)
HANGZHOU = KEYS["330100"]


def fact(fields: dict[str, Any]) -> Fact:
    return Fact(**{**fields, "value": int(fields["value"])})


def test_the_document_has_these_fields_and_this_signature() -> None:
    given, payload = ALL["attestation"]["fields"], bytes.fromhex(ALL["attestation"]["payload"])
    found = dict(reader.fields(payload))
    assert found[1].hex() == given["federation"]
    assert found[2].decode() == given["environment"]
    assert (found[3].hex(), found[6].hex(), found[10].hex()) == (
        given["id"], given["subject"], given["consent_digest"]
    )  # fmt: skip
    assert (found[4], found[5], found[8], found[9], found[11]) == (
        given["issuer"], given["audience"], int(given["issued_at_ms"]), given["expires"], int(given["roster_version"]),
    )  # fmt: skip
    facts = [dict(reader.fields(data)) for data in reader.many(payload, 7)]
    assert [(f[1], f.get(2, b"").decode(), f.get(3, 0), f[5]) for f in facts] == [
        (f["kind"], f["words"], int(f["value"]), f["as_of"]) for f in given["facts"]
    ]
    signed = codec.decode_signed(bytes.fromhex(ALL["attestation"]["signed"]))
    (signature,) = signed.signatures
    assert reader.is_signed(
        bytes.fromhex(HANGZHOU["public_key"]), attestation.PAYLOAD_TYPE, payload, signature.signature
    )


@pytest.mark.parametrize("case", ALL["bodies"], ids=lambda case: case["message"])
def test_a_body_has_these_fields_and_this_commitment(case: dict[str, Any]) -> None:
    salted = bytes.fromhex(case["salted"])
    assert reader.sha256(salted).hexdigest() == case["commitment"]
    body, fields = salted[16:], case["fields"]
    assert reader.one(body, 15).hex() == fields["redo"]
    if case["message"] == "AttestRequest":
        assert bodies.decode_request(salted).code == reader.one(body, 1) == bytes.fromhex(fields["code"])
        assert list(reader.one(body, 2)) == fields["kinds"]  # packed
        assert reader.one(body, 3).decode() == fields["consent"]
        assert (reader.one(body, 5).hex(), reader.one(body, 6)) == (fields["agreement"], fields["agreement_version"])
    elif case["message"] == "Attest":
        assert codec.encode_signed(bodies.decode_attested(salted).attestation).hex() == fields["attestation"]
        assert reader.one(body, 1).hex() == fields["attestation"]
    else:
        assert bodies.decode_revoked(salted).attestation == reader.one(body, 1) == bytes.fromhex(fields["attestation"])
        assert reader.one(body, 2) == fields["because"]


def _wanted() -> Wanted:
    w = ALL["wanted"]
    return Wanted(
        federation=bytes.fromhex(w["federation"]), environment=w["environment"], id=bytes.fromhex(w["id"]),
        issuer=w["issuer"], audience=w["audience"], kinds=frozenset(w["kinds"]),
        consent_digest=bytes.fromhex(w["consent_digest"]),
    )  # fmt: skip


def _read(text: str) -> Attestation:
    signed: Signed = codec.decode_signed(bytes.fromhex(text))
    return attestation.read(signed, MEMBERS.all_keys(330100), _wanted())


def test_the_document_answers_what_was_asked() -> None:
    assert _read(ALL["attestation"]["signed"]).subject.hex() == ALL["attestation"]["fields"]["subject"]


@named(ALL["unfit"])
def test_this_answers_nothing(case: dict[str, Any]) -> None:
    with pytest.raises(PeerFault):
        _read(case["signed"])


def test_every_question_has_the_answer_of_the_lowest_number() -> None:
    assert {case["answer"] for case in ALL["questions"]} == {
        "ATTEST", "CODE_NOT_VALID", "CONSENT_MISSING", "CONSENT_NOT_VALID", "NOT_ATTESTED", "TERMS_DIFFER",
        "AGREEMENT_NOT_IN_FORCE", "AGREEMENT_SUSPENDED", "FEATURE_OFF",
    }  # fmt: skip
    for case in ALL["questions"]:
        agreement = Reason[case["agreement"]] if case["agreement"] else None
        consent = Reason[case["consent"]] if case["consent"] else None
        question = Question(agreement, case["code"], consent, case["facts"])
        try:
            attestation.check_question(question)
            answer = "ATTEST"
        except Refused as refusal:
            answer = refusal.reason.name
        assert answer == case["answer"], case


@named(ALL["recognised"])
def test_the_map_makes_this_of_the_facts(case: dict[str, Any]) -> None:
    honoured = tuple(
        Honoured(kind=h["kind"], values=tuple((int(there), int(here)) for there, here in h["values"]))
        for h in case["honoured"]
    )
    given = ALL["attestation"]["fields"]
    document = Attestation(
        **{
            **given,
            **{name: bytes.fromhex(given[name]) for name in ("federation", "id", "subject", "consent_digest")},
            "facts": tuple(map(fact, case["facts"])),
        }
    )
    found = attestation.recognise(document, Direction(honoured=honoured, min_evidence=case["min_evidence"]))
    assert [
        {"kind": int(r.kind), "words": r.words, "value": str(r.value), "expires": r.expires} for r in found
    ] == case["recognised"]  # fmt: skip


@named(ALL["contradicts"])
def test_what_is_known_now_takes_back_what_was_attested(case: dict[str, Any]) -> None:
    assert attestation.contradicts(fact(case["attested"]), fact(case["now"])) is case["contradicts"]


# -- credentials ------------------------------------------------------------------------------------------------------


def _part(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_anybody_can_check_a_credential_with_nothing_but_what_it_says() -> None:
    header, payload, signature = CREDENTIALS["cases"][0]["credential"].split(".")
    named_key = json.loads(_part(json.loads(_part(payload))["issuer"]["id"].removeprefix("did:jwk:")))
    assert json.loads(_part(header))["alg"] == "EdDSA"
    assert json.loads(_part(header))["typ"] == "vc+jwt"
    public = _part(named_key["x"])
    assert public.hex() == HANGZHOU["public_key"]
    Ed25519PublicKey.from_public_bytes(public).verify(_part(signature), f"{header}.{payload}".encode())


def test_a_credential_says_what_the_standard_asks_for_and_nobodys_name() -> None:
    said = credential.claims(CREDENTIALS["cases"][0]["credential"])
    assert said["@context"][0] == "https://www.w3.org/ns/credentials/v2"
    assert said["type"][0] == "VerifiableCredential"
    assert said["credentialStatus"]["type"] == "BitstringStatusListEntry"
    assert {f["kind"] for f in said["credentialSubject"]["attested"]} == {
        FactKind.SERVICE_HOURS.name.lower(), FactKind.STAR_LEVEL.name.lower(), FactKind.HONOUR.name.lower(),
    }  # fmt: skip
    assert said["credentialSubject"]["id"].startswith("urn:uuid:")


def test_a_status_list_sets_the_bits_from_the_left() -> None:
    (case,) = [case for case in CREDENTIALS["cases"] if case["name"] == "revoked"]
    place = int(credential.claims(case["credential"])["credentialStatus"]["statusListIndex"])
    encoded = credential.claims(case["status_list"])["credentialSubject"]["encodedList"]
    bits = gzip.decompress(_part(encoded[1:]))
    assert len(bits) == 131_072 // 8
    assert int.from_bytes(bits, "big") == 1 << (131_071 - place)


@named(CREDENTIALS["cases"])
def test_a_credential_holds_or_fails_by_these_checks(case: dict[str, Any]) -> None:
    checks = verify_credential(
        case["credential"], ROSTERS, MEMBERS.federation, int(case["clock_ms"]), case["status_list"] or None
    )
    assert [check.code for check in checks if not check.ok] == case["fails"]


@pytest.mark.parametrize("text", ["", "a.b.c", "..", "{}", "x" * 70_000, "eyJhbGciOiJub25lIn0.e30."])
def test_no_text_of_a_stranger_passes_for_a_credential(text: str) -> None:
    checks = verify_credential(text, ROSTERS, MEMBERS.federation, 0, text)
    assert {check.code for check in checks if not check.ok} == {"form", "issuer", "signature", "dates", "status"}
