"""Between attestations and bytes (attestation.proto)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gateway.protocol import codec, limits
from gateway.protocol.errors import TooLarge
from gateway.protocol.values import Signed
from gateway.v1 import attestation_pb2

PAYLOAD_TYPE = "application/vnd.hutong.attestation.v1"


class FactKind(IntEnum):
    """What a fact is about, and what its value counts."""

    SERVICE_HOURS = 1  # minutes of service
    STAR_LEVEL = 2  # stars
    HONOUR = 3
    CERTIFICATE = 4
    QUALIFICATION = 5


class RevocationCause(IntEnum):
    """Why an attestation no longer holds."""

    CORRECTED = 1
    WITHDRAWN = 2
    CONSENT = 3
    MISTAKE = 4


class Fact(NamedTuple):
    """One thing that is known of a resident. No personal data."""

    kind: int
    words: str  # which of its kind: the name of an honour; may be empty
    value: int
    evidence: int
    as_of: int  # yyyymmdd
    expires: int  # first business date on which it no longer holds; 0 = never
    reference: str  # where the issuer finds it again


@dataclass(frozen=True, kw_only=True, slots=True)
class Attestation:
    """What a region signs about a resident."""

    federation: bytes
    environment: str
    id: bytes  # of the request that it answers
    issuer: int
    audience: int
    subject: bytes  # random, for this request alone
    facts: tuple[Fact, ...]
    issued_at_ms: int
    expires: int  # first business date on which it no longer holds
    consent_digest: bytes
    roster_version: int


class Asked(NamedTuple):
    """Body of a request to attest."""

    code: bytes
    kinds: tuple[int, ...]
    consent: str
    consent_digest: bytes
    agreement: bytes
    agreement_version: int
    redo: bytes


class Attested(NamedTuple):
    """Body of the answer."""

    attestation: Signed
    redo: bytes


class Revoked(NamedTuple):
    """Body of a revocation."""

    attestation: bytes
    because: int
    redo: bytes


def encode_attestation(attestation: Attestation) -> bytes:
    """The payload to sign."""
    return attestation_pb2.Attestation(
        federation=attestation.federation,
        environment=attestation.environment,
        id=attestation.id,
        issuer=attestation.issuer,
        audience=attestation.audience,
        subject=attestation.subject,
        facts=[attestation_pb2.Fact(**fact._asdict()) for fact in attestation.facts],
        issued_at_ms=attestation.issued_at_ms,
        expires=attestation.expires,
        consent_digest=attestation.consent_digest,
        roster_version=attestation.roster_version,
    ).SerializeToString(deterministic=True)


def decode_attestation(payload: bytes) -> Attestation:
    """A payload as a value; nothing is verified here. Raises Malformed."""
    m = codec.parse(attestation_pb2.Attestation, payload)
    return Attestation(
        federation=m.federation,
        environment=m.environment,
        id=m.id,
        issuer=m.issuer,
        audience=m.audience,
        subject=m.subject,
        facts=tuple(
            Fact(f.kind, f.words, f.value, f.evidence, f.as_of, f.expires, f.reference) for f in m.facts
        ),
        issued_at_ms=m.issued_at_ms,
        expires=m.expires,
        consent_digest=m.consent_digest,
        roster_version=m.roster_version,
    )  # fmt: skip


def encode_request(asked: Asked) -> bytes:
    """The body of a request, without salt."""
    return attestation_pb2.AttestRequest(**asked._asdict()).SerializeToString(deterministic=True)


def decode_request(salted_body: bytes) -> Asked:
    """The body of a request. Raises Malformed or TooLarge."""
    return parse_request(_unsalted(salted_body))


def parse_request(body: bytes) -> Asked:
    """The same without salt, as it was encoded."""
    m = codec.parse(attestation_pb2.AttestRequest, body)
    return Asked(
        m.code, tuple(m.kinds), m.consent, m.consent_digest, m.agreement, m.agreement_version, m.redo
    )  # fmt: skip


def encode_attested(attested: Attested) -> bytes:
    """The body of an answer, without salt."""
    return attestation_pb2.Attest(
        attestation=codec.signed_message(attested.attestation), redo=attested.redo
    ).SerializeToString(deterministic=True)


def decode_attested(salted_body: bytes) -> Attested:
    """The body of an answer; nothing is verified here. Raises Malformed or TooLarge."""
    m = codec.parse(attestation_pb2.Attest, _unsalted(salted_body))
    return Attested(codec.signed_value(m.attestation), m.redo)


def encode_revoked(revoked: Revoked) -> bytes:
    """The body of a revocation, without salt."""
    return attestation_pb2.AttestRevoke(
        attestation=revoked.attestation,
        because=revoked.because,  # type: ignore[arg-type]
        redo=revoked.redo,
    ).SerializeToString(deterministic=True)


def decode_revoked(salted_body: bytes) -> Revoked:
    """The body of a revocation. Raises Malformed or TooLarge."""
    m = codec.parse(attestation_pb2.AttestRevoke, _unsalted(salted_body))
    return Revoked(m.attestation, m.because, m.redo)


def _unsalted(salted_body: bytes) -> bytes:
    if len(salted_body) > limits.BODY_BYTES:
        raise TooLarge(f"a body of {len(salted_body)} bytes; at most {limits.BODY_BYTES}")
    return salted_body[limits.SALT_BYTES :]
