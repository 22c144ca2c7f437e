"""Bodies of roaming redemption: between values and bytes."""

from __future__ import annotations

from gateway.protocol import codec, limits
from gateway.protocol.errors import TooLarge
from gateway.protocol.roaming import About, Authorise
from gateway.protocol.values import Kind
from gateway.v1 import roaming_pb2

_AboutMessage = roaming_pb2.Capture | roaming_pb2.Release | roaming_pb2.AuthorisationAsk
_ABOUT: dict[Kind, type[_AboutMessage]] = {
    Kind.CAPTURE: roaming_pb2.Capture,
    Kind.RELEASE: roaming_pb2.Release,
    Kind.AUTHORISATION_ASK: roaming_pb2.AuthorisationAsk,
}


def encode_authorise(body: Authorise, redo: bytes) -> bytes:
    """The body of a request to hold, without salt."""
    return roaming_pb2.Authorise(
        code=body.code,
        rate_p=body.rate_p,
        rate_q=body.rate_q,
        terms_version=body.terms_version,
        until_ms=body.until_ms,
        reference=body.reference,
        redo=redo,
    ).SerializeToString()


def decode_authorise(salted_body: bytes) -> Authorise:
    """What is asked for. Raises Malformed."""
    m = codec.parse(roaming_pb2.Authorise, _plain(salted_body))
    return Authorise(m.code, m.rate_p, m.rate_q, m.terms_version, m.until_ms, m.reference)


def encode_about(kind: Kind, about: About, redo: bytes) -> bytes:
    """The body of a capture, a release or a question, without salt."""
    return _ABOUT[kind](authorisation=about.authorisation, redo=redo).SerializeToString()


def decode_about(kind: Kind, salted_body: bytes) -> About:
    """Which authorisation it is about. Raises Malformed."""
    return About(codec.parse(_ABOUT[kind], _plain(salted_body)).authorisation)


def _plain(salted_body: bytes) -> bytes:
    if len(salted_body) > limits.BODY_BYTES:
        raise TooLarge(f"a body of {len(salted_body)} bytes; at most {limits.BODY_BYTES}")
    return salted_body[limits.SALT_BYTES :]
