"""Bodies of a clawback: between values and bytes."""

from __future__ import annotations

from gateway.protocol import codec, limits
from gateway.protocol.clawback import Clawback, ClawedBack, Share, check_body
from gateway.protocol.errors import TooLarge
from gateway.v1 import clawback_pb2


def encode_clawback(body: Clawback, redo: bytes) -> bytes:
    """The body of a request, without salt."""
    return clawback_pb2.Clawback(
        transfer=body.transfer,
        cause=body.cause,  # type: ignore[arg-type]
        issuer=body.issuer,
        because=body.because,
        root=body.root,
        shares=[clawback_pb2.ClawbackShare(slice=share.slice, blocks=share.blocks) for share in body.shares],
        redo=redo,
    ).SerializeToString()


def decode_clawback(salted_body: bytes) -> Clawback:
    """What is asked for. Raises Malformed."""
    m = codec.parse(clawback_pb2.Clawback, _plain(salted_body))
    shares = tuple(Share(share.slice, share.blocks) for share in m.shares)
    body = Clawback(m.transfer, m.cause, m.issuer, m.because, m.root, shares)
    check_body(body)
    return body


def encode_clawed_back(body: ClawedBack, redo: bytes) -> bytes:
    """The body of an answer, without salt."""
    return clawback_pb2.ClawedBack(
        recovered=body.recovered, further=body.further, owed=body.owed, redo=redo
    ).SerializeToString()


def decode_clawed_back(salted_body: bytes) -> ClawedBack:
    """What came of it. Raises Malformed."""
    m = codec.parse(clawback_pb2.ClawedBack, _plain(salted_body))
    return ClawedBack(m.recovered, m.further, m.owed)


def _plain(salted_body: bytes) -> bytes:
    if len(salted_body) > limits.BODY_BYTES:
        raise TooLarge(f"a body of {len(salted_body)} bytes; at most {limits.BODY_BYTES}")
    return salted_body[limits.SALT_BYTES :]
