"""Attestations: what is signed, what proves nothing, what a map makes of it, and credentials for anybody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.protocol import attestation, codec
from gateway.protocol.agreement.document import Direction, Honoured
from gateway.protocol.attestation import Attestation, Fact, FactKind, Question, Wanted
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.credential import document as credential
from gateway.protocol.credential.checks import verify_credential
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import Evidence, Reason, Signed
from making.ground import (
    ENVIRONMENT,
    HANGZHOU,
    MEMBERS,
    NINGBO,
    NOW,
    ROSTER_1,
    key,
    message,
    octets,
    plain,
    salted,
)

TODAY = 20261118
_DAY_MS = 86_400_000
_PLACE = 4711

HOURS = Fact(FactKind.SERVICE_HOURS, "", 7200, Evidence.SIGNED_IN, 20261117, 0, "HZ-H-17")
STARS = Fact(FactKind.STAR_LEVEL, "", 4, Evidence.SIGNED_IN, 20260701, 20270701, "HZ-S-4")
HONOUR = Fact(FactKind.HONOUR, "年度优秀志愿者", 0, Evidence.SIGNED_IN, 20251205, 0, "")

DOCUMENT = Attestation(
    federation=MEMBERS.federation,
    environment=ENVIRONMENT,
    id=octets("id of an attestation", 16),
    issuer=HANGZHOU,
    audience=NINGBO,
    subject=octets("subject of an attestation", 16),
    facts=(HOURS, STARS, HONOUR),
    issued_at_ms=NOW,
    expires=20270701,
    consent_digest=octets("digest of a consent", 32),
    roster_version=1,
)
WANTED = Wanted(
    federation=MEMBERS.federation,
    environment=ENVIRONMENT,
    id=DOCUMENT.id,
    issuer=HANGZHOU,
    audience=NINGBO,
    kinds=frozenset({FactKind.SERVICE_HOURS, FactKind.STAR_LEVEL, FactKind.HONOUR}),
    consent_digest=DOCUMENT.consent_digest,
)


def attestations() -> dict[str, Any]:
    """attestations.json."""
    return {
        "about": "SPEC 15. `attestation`: the payload and the serialised Signed. `bodies`: as behind 16 bytes of salt. "
        "`unfit`: serialised Signed documents that do not answer `wanted`. `questions`: what the home region finds, "
        "and its answer. `recognised`: what a direction makes of facts. `contradicts`: whether what is known now takes "
        "back what was attested. `credentials`: compact JWS, and which checks fail.",
        "today": TODAY,
        "attestation": _document(),
        "bodies": _bodies(),
        "wanted": plain(WANTED),
        "unfit": _unfit(),
        "questions": _questions(),
        "recognised": _recognised(),
        "contradicts": _contradicts(),
        "credentials": _credentials(),
    }


def _fields(document: Attestation) -> dict[str, Any]:
    return {**plain(document), "facts": list(map(_fact, document.facts))}


def _fact(fact: Fact) -> dict[str, Any]:
    return {**plain(fact), "value": str(fact.value)}


def _document() -> dict[str, Any]:
    signed = attestation.sign(DOCUMENT, key(HANGZHOU))
    return {"fields": _fields(DOCUMENT), "payload": signed.payload.hex(), "signed": message(signed)}


def _bodies() -> list[dict[str, Any]]:
    signed = attestation.sign(DOCUMENT, key(HANGZHOU))
    asked = bodies.Asked(
        octets("code", 10), (1, 2, 3), octets("consent", 16).hex(), DOCUMENT.consent_digest, octets("agreement", 16), 2,
        octets("redo of a request", 40),
    )  # fmt: skip
    attested = bodies.Attested(signed, octets("redo of an answer", 40))
    revoked = bodies.Revoked(DOCUMENT.id, attestation.RevocationCause.CORRECTED, octets("redo of a revocation", 40))
    made = (
        ("AttestRequest", asked, bodies.encode_request(asked)),
        ("Attest", {"attestation": message(signed), "redo": attested.redo}, bodies.encode_attested(attested)),
        ("AttestRevoke", revoked, bodies.encode_revoked(revoked)),
    )
    return [
        {"message": name, "fields": plain(fields), "salted": (whole := salted(name, body)).hex(),
         "commitment": codec.commitment(whole).hex()}
        for name, fields, body in made
    ]  # fmt: skip


# -- answers that prove nothing ---------------------------------------------------------------------------------------


def _signed(document: Attestation, by: SigningKey | None = None) -> Signed:
    return (by or key(HANGZHOU)).sign(attestation.PAYLOAD_TYPE, bodies.encode_attestation(document))


def _unfit() -> list[dict[str, Any]]:
    true = _signed(DOCUMENT)
    more = replace(DOCUMENT, facts=(STARS._replace(value=5),))
    offered = {
        "signed by the region that asked": _signed(DOCUMENT, key(NINGBO)),
        "signed by a key no roster lists": _signed(DOCUMENT, key("stranger")),
        "changed after it was signed": replace(true, payload=bodies.encode_attestation(more)),
        "of another type": key(HANGZHOU).sign(codec.HEAD, true.payload),
        "about another request": _signed(replace(DOCUMENT, id=octets("another request", 16))),
        "for another region": _signed(replace(DOCUMENT, audience=330600)),
        "by another region": _signed(replace(DOCUMENT, issuer=330600)),
        "of another federation": _signed(replace(DOCUMENT, federation=octets("another federation", 32))),
        "of another environment": _signed(replace(DOCUMENT, environment="production")),
        "under another consent": _signed(replace(DOCUMENT, consent_digest=octets("another consent", 32))),
        "of a kind nobody asked for": _signed(
            replace(DOCUMENT, facts=(HONOUR._replace(kind=int(FactKind.CERTIFICATE)),))
        ),
        "a date that is none": _signed(replace(DOCUMENT, expires=20270230)),
        "a fact that is none": _signed(replace(DOCUMENT, facts=(HOURS._replace(kind=0),))),
        "no facts": _signed(replace(DOCUMENT, facts=())),
        "too many facts": _signed(replace(DOCUMENT, facts=(HOURS,) * 17)),
    }
    for name, signed in offered.items():
        try:
            attestation.read(signed, MEMBERS.all_keys(HANGZHOU), WANTED)
        except PeerFault:
            continue
        raise AssertionError(f"{name}: taken")
    return [{"name": name, "signed": message(signed)} for name, signed in offered.items()]


# -- questions and maps -----------------------------------------------------------------------------------------------


def _questions() -> list[dict[str, Any]]:
    found = []
    reasons = (None, Reason.CONSENT_MISSING, Reason.CONSENT_NOT_VALID)
    agreements = (
        None, Reason.TERMS_DIFFER, Reason.AGREEMENT_NOT_IN_FORCE, Reason.AGREEMENT_SUSPENDED, Reason.FEATURE_OFF,
        Reason.NOT_ATTESTED,
    )  # fmt: skip
    for agreement in agreements:
        for code in (True, False):
            for consent in reasons:
                for facts in (1, 0):
                    question = Question(agreement, code, consent, facts)
                    found.append({**_named(question), "answer": _answer(question)})
    return found


def _named(question: Question) -> dict[str, Any]:
    return {
        "agreement": question.agreement.name if question.agreement else "",
        "code": question.code,
        "consent": question.consent.name if question.consent else "",
        "facts": question.facts,
    }


def _answer(question: Question) -> str:
    try:
        attestation.check_question(question)
    except Refused as refusal:
        return refusal.reason.name
    return "ATTEST"


def _recognised() -> list[dict[str, Any]]:
    stars = Honoured(kind=FactKind.STAR_LEVEL, values=((2, 1), (4, 3), (5, 4)))
    hours, honour = Honoured(kind=FactKind.SERVICE_HOURS), Honoured(kind=FactKind.HONOUR)
    backfilled = HOURS._replace(evidence=int(Evidence.BACKFILLED))
    cases: dict[str, tuple[Direction, tuple[Fact, ...]]] = {
        "four stars are three, hours are hours": (Direction(honoured=(hours, stars, honour)), (HOURS, STARS, HONOUR)),
        "between two values the lower counts": (Direction(honoured=(stars,)), (STARS._replace(value=3),)),
        "below all values nothing counts": (Direction(honoured=(stars,)), (STARS._replace(value=1),)),
        "above all values the highest counts": (Direction(honoured=(stars,)), (STARS._replace(value=7),)),
        "worth nothing here": (
            Direction(honoured=(Honoured(kind=FactKind.STAR_LEVEL, values=((4, 0), (5, 2))),)), (STARS,)
        ),
        "a kind that is not honoured": (Direction(honoured=(stars,)), (HOURS, HONOUR)),
        "hours filled in later": (Direction(honoured=(hours,)), (backfilled,)),
        "hours filled in later, where that is enough": (
            Direction(honoured=(hours,), min_evidence=int(Evidence.BACKFILLED)), (backfilled,)
        ),
        "nothing is honoured": (Direction(), (HOURS, STARS, HONOUR)),
    }  # fmt: skip
    return [
        {
            "name": name,
            "honoured": [{"kind": int(h.kind), "values": [[str(t), str(w)] for t, w in h.values]} for h in d.honoured],
            "min_evidence": int(d.min_evidence),
            "facts": list(map(_fact, facts)),
            "recognised": [
                {"kind": r.kind, "words": r.words, "value": str(r.value), "expires": r.expires}
                for r in attestation.recognise(replace(DOCUMENT, facts=facts), d)
            ],
        }
        for name, (d, facts) in cases.items()
    ]


def _contradicts() -> list[dict[str, Any]]:
    later = HOURS._replace(as_of=20261118)
    cases: dict[str, Fact] = {
        "the same": HOURS,
        "the same under another reference": HOURS._replace(reference="HZ-H-18"),
        "another value of the same day": HOURS._replace(value=7300),
        "more of a later day": later._replace(value=7300),
        "less of a later day": later._replace(value=7100),
        "weaker evidence of a later day": later._replace(evidence=int(Evidence.BACKFILLED)),
        "an end that was not there": later._replace(expires=20270101),
        "less of an earlier day": HOURS._replace(value=100, as_of=20260101),
    }
    return [
        {"name": name, "attested": _fact(HOURS), "now": _fact(now), "contradicts": attestation.contradicts(HOURS, now)}
        for name, now in cases.items()
    ]


# -- credentials ------------------------------------------------------------------------------------------------------


def _credentials() -> dict[str, Any]:
    hangzhou = MEMBERS.region(HANGZHOU)
    document = replace(DOCUMENT, audience=HANGZHOU, consent_digest=bytes(32))
    true = credential.issue(document, hangzhou, key(HANGZHOU), _PLACE)
    listing = _status_list(frozenset({_PLACE + 1}))
    other = MEMBERS.region(NINGBO)
    cases: dict[str, tuple[str, str | None, int]] = {
        "holds": (true, listing, NOW),
        "holds, as far as is known without a status list": (true, None, NOW),
        "revoked": (true, _status_list(frozenset({_PLACE})), NOW),
        "expired": (true, None, NOW + 300 * _DAY_MS),
        "not yet valid": (true, None, NOW - _DAY_MS),
        "signed by a key no roster lists": (credential.issue(document, hangzhou, key("stranger"), _PLACE), None, NOW),
        "signed by another region": (credential.issue(document, hangzhou, key(NINGBO), _PLACE), None, NOW),
        "changed": (_changed(true), None, NOW),
        "the status list of another region": (true, _status_list(frozenset(), code=NINGBO), NOW),
        "an old status list": (true, listing, NOW + 8 * _DAY_MS),
        "a status list signed by a stranger": (true, _status_list(frozenset(), by=key("stranger")), NOW),
        "a status list in place of a credential": (listing, None, NOW),
        "of another federation": (
            credential.issue(replace(document, federation=octets("another federation", 32)), other, key(NINGBO), 1),
            None, NOW,
        ),
    }  # fmt: skip
    return {
        "rosters": [message(ROSTER_1)],
        "cases": [
            {"name": name, "credential": token, "status_list": listed or "", "clock_ms": str(at),
             "fails": _fails(token, listed, at)}
            for name, (token, listed, at) in cases.items()
        ],
    }  # fmt: skip


def _status_list(places: frozenset[int], code: int = HANGZHOU, by: SigningKey | None = None) -> str:
    return credential.issue_status_list(
        MEMBERS.federation, ENVIRONMENT, MEMBERS.region(code), by or key(code), places, NOW, NOW + 7 * _DAY_MS
    )


def _changed(token: str) -> str:
    header, payload, signature = token.split(".")
    at = payload.index("Q")
    return f"{header}.{payload[:at]}R{payload[at + 1 :]}.{signature}"


def _fails(token: str, listing: str | None, at_ms: int) -> list[str]:
    checks = verify_credential(token, [ROSTER_1], MEMBERS.federation, at_ms, listing)
    return [check.code for check in checks if not check.ok]
