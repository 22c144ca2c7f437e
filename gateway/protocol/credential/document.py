"""What a region knows of a resident, for anybody: a W3C Verifiable Credential (Data Model 2.0) secured with JOSE.

The credential is a compact JWS of type ``vc+jwt`` (Securing Verifiable Credentials using JOSE and COSE), signed with
the region's roster key, which its issuer spells as a ``did:jwk``: any verifier of such credentials can check it, and
whoever holds the federation's roster can also check that the key is that region's. Revocations are published as a
Bitstring Status List, itself such a credential.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from gateway.protocol.attestation import Attestation, Fact, FactKind
from gateway.protocol.errors import Malformed, TooLarge, Unauthentic
from gateway.protocol.members import Region
from gateway.protocol.suite import ED25519_SHA256, SigningKey, VerifyKey
from gateway.protocol.transfer import NEVER
from gateway.protocol.values import Evidence

TYPE = "vc+jwt"
CONTEXT = "https://www.w3.org/ns/credentials/v2"
VOCABULARY = "urn:hutong:vocabulary:v1:"
ATTESTATION = "CivicAttestationCredential"
STATUS_LIST = "BitstringStatusListCredential"
PLACES = 1 << 17
"""Places in one status list: the standard's least, so that a place says little."""
CHARACTERS = 64 << 10
"""Longest credential read."""

_CHINA = timezone(timedelta(hours=8))
_WHOLE_LIST = PLACES // 8


# -- issuing ---------------------------------------------------------------------------------------------------------


def issue(attestation: Attestation, region: Region, key: SigningKey, place: int) -> str:
    """An attestation for anybody, as a credential. `place`: its bit in the region's status list."""
    at = _instant(attestation.issued_at_ms)
    status_list = list_id(attestation.federation, region.code)
    body: dict[str, Any] = {
        "@context": [CONTEXT, {"@vocab": VOCABULARY}],
        "id": _uuid(attestation.id),
        "type": ["VerifiableCredential", ATTESTATION],
        "issuer": _issuer(region, attestation.federation, attestation.environment, key),
        "validFrom": at,
        "credentialStatus": {
            "id": f"{status_list}#{place}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(place),
            "statusListCredential": status_list,
        },
        "credentialSubject": {"id": _uuid(attestation.subject), "attested": list(map(_fact, attestation.facts))},
    }
    if attestation.expires < NEVER:
        body["validUntil"] = _midnight(attestation.expires)
    return _sign(body, key)


def issue_status_list(
    federation: bytes, environment: str, region: Region, key: SigningKey, revoked: Collection[int], at_ms: int,
    until_ms: int,
) -> str:  # fmt: skip
    """The region's list of revoked credentials, as a credential that holds until `until_ms` (Unix milliseconds)."""
    bits = bytearray(_WHOLE_LIST)
    for place in revoked:
        bits[place // 8] |= 0x80 >> place % 8
    packed = gzip.compress(bytes(bits), mtime=0)
    identity = list_id(federation, region.code)
    body: dict[str, Any] = {
        "@context": [CONTEXT, {"@vocab": VOCABULARY}],
        "id": identity,
        "type": ["VerifiableCredential", STATUS_LIST],
        "issuer": _issuer(region, federation, environment, key),
        "validFrom": _instant(at_ms),
        "validUntil": _instant(until_ms),
        "credentialSubject": {
            "id": f"{identity}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": "u" + _base64(packed),  # u: multibase for unpadded base64url
        },
    }
    return _sign(body, key)


def list_id(federation: bytes, region: int) -> str:
    """The name of a region's status list."""
    return f"urn:hutong:status:{federation.hex()}:{region}"


def did(public_key: bytes) -> str:
    """A key as a decentralised identifier that any verifier can resolve by itself (did:jwk)."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _base64(public_key)}
    return "did:jwk:" + _base64(json.dumps(jwk, separators=(",", ":")).encode())


def _issuer(region: Region, federation: bytes, environment: str, key: SigningKey) -> dict[str, Any]:
    return {
        "id": did(key.public_key),
        "name": [
            {"@value": region.name_zh, "@language": "zh"},
            {"@value": region.name_en, "@language": "en"},
        ],
        "region": f"{region.code:06d}",
        "federation": federation.hex(),
        "environment": environment,
    }


def _fact(fact: Fact) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": _word(FactKind, fact.kind), "evidence": _word(Evidence, fact.evidence)}
    if fact.words:
        found["words"] = fact.words
    if fact.value:
        found["value"] = str(fact.value)
    if fact.kind == FactKind.SERVICE_HOURS:
        found["unit"] = "minute"
    if fact.reference:
        found["reference"] = fact.reference
    return {**found, "asOf": _day(fact.as_of).isoformat()}


def _word(of: type[FactKind] | type[Evidence], number: int) -> str:
    return of(number).name.lower() if number in set(of) else str(number)


def _sign(body: Mapping[str, Any], key: SigningKey) -> str:
    from gateway.protocol.credential import jose  # not above: its library loads a network, and other checks need none

    header = {"typ": TYPE, "cty": "vc", "kid": f"{did(key.public_key)}#0"}
    return jose.sign(header, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), key)


# -- reading ---------------------------------------------------------------------------------------------------------


def is_credential(text: str) -> bool:
    """Whether a file looks like a compact JWS, and not like JSON."""
    plain = text.strip()
    return plain.count(".") == 2 and plain.replace(".", "").replace("-", "").replace("_", "").isalnum()


def claims(token: str) -> dict[str, Any]:
    """What a credential says, unverified. Raises Malformed or TooLarge."""
    from gateway.protocol.credential import jose  # as in _sign

    if len(token) > CHARACTERS:
        raise TooLarge(f"a credential of {len(token)} characters; at most {CHARACTERS}")
    header, payload = jose.read(token.strip())
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as e:
        raise Malformed(f"a credential does not hold JSON: {e}") from e
    if header.get("typ") != TYPE or not isinstance(said, dict):
        raise Malformed(f"a credential of type {TYPE} was expected")
    return said


def signed_by(token: str, keys: Sequence[VerifyKey]) -> VerifyKey:
    """Which of the keys signed the credential, as the very key that its issuer names. Raises Unauthentic, Malformed."""
    from gateway.protocol.credential import jose  # as in _sign

    issuer = claims(token).get("issuer")
    named = issuer.get("id") if isinstance(issuer, dict) else None
    for key in keys:
        if key.suite != ED25519_SHA256 or did(key.public_key) != named:
            continue
        jose.check(token.strip(), key.public_key)
        return key
    raise Unauthentic("it names a key that the roster does not list for this region")


def revoked_places(said: Mapping[str, Any]) -> bytes:
    """The bits of a status list. Raises Malformed or TooLarge."""
    subject = said.get("credentialSubject")
    text = subject.get("encodedList") if isinstance(subject, dict) else None
    if not isinstance(text, str) or not text.startswith("u"):
        raise Malformed("a status list has an encodedList in base64url, with u in front")
    try:
        packed = urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4))
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            bits = file.read(_WHOLE_LIST + 1)
    except (ValueError, OSError, EOFError, zlib.error) as e:
        raise Malformed("the status list cannot be unpacked") from e
    if len(bits) != _WHOLE_LIST:
        raise Malformed(f"a status list has {PLACES} places here")
    return bits


def instant(text: object) -> int:
    """A time of a credential as Unix milliseconds. Raises Malformed."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Malformed("a time in a credential is written as in 2026-11-22T00:00:00+08:00")
    return int(at.timestamp() * 1000)


def _day(number: int) -> date:
    return date(number // 10_000, number // 100 % 100, number % 100)


def _midnight(number: int) -> str:
    return datetime.combine(_day(number), datetime.min.time(), _CHINA).isoformat()


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return "urn:uuid:" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
