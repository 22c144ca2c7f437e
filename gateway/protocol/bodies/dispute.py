"""Between disputes and bytes (dispute.proto)."""

from __future__ import annotations

from gateway.protocol import codec, limits
from gateway.protocol.dispute import PAYLOAD_TYPE, Opening, Step
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.values import Signed
from gateway.v1 import dispute_pb2


def encode_statement(step: Step) -> bytes:
    """The payload to sign."""
    opening = step.opening
    return dispute_pb2.DisputeStatement(
        federation=step.federation,
        environment=step.environment,
        dispute=step.dispute,
        number=step.number,
        previous=step.previous,
        by=step.by,
        date=step.date,
        act=step.act,  # type: ignore[arg-type]
        amount=step.amount,
        evidence=step.evidence,
        reference=step.reference,
        opening=dispute_pb2.DisputeOpening(**opening._asdict()) if opening is not None else None,
    ).SerializeToString(deterministic=True)


def decode_statement(signed: Signed) -> Step:
    """What somebody offers as a signed step; nothing is verified here. Raises Malformed."""
    if signed.payload_type != PAYLOAD_TYPE:
        raise Malformed(f"a {PAYLOAD_TYPE} was expected, not {signed.payload_type!r}")
    m = codec.parse(dispute_pb2.DisputeStatement, signed.payload)
    return Step(
        federation=m.federation,
        environment=m.environment,
        dispute=m.dispute,
        number=m.number,
        previous=m.previous,
        by=m.by,
        date=m.date,
        act=m.act,
        amount=m.amount,
        evidence=m.evidence,
        reference=m.reference,
        opening=_opening(m.opening) if m.HasField("opening") else None,
    )


def _opening(m: dispute_pb2.DisputeOpening) -> Opening:
    if "\0" in m.category:
        raise Malformed("a text has no zero character")
    return Opening(*(getattr(m, name) for name in Opening._fields))


def encode_dispute(step: Signed, redo: bytes) -> bytes:
    """The body that opens a dispute, without salt."""
    return dispute_pb2.Dispute(step=codec.signed_message(step), redo=redo).SerializeToString(deterministic=True)


def encode_step(step: Signed, redo: bytes) -> bytes:
    """The body of a later step, without salt."""
    return dispute_pb2.DisputeStep(step=codec.signed_message(step), redo=redo).SerializeToString(deterministic=True)


def decode_dispute(salted_body: bytes) -> tuple[Signed, Step]:
    """The step in a body that opens a dispute; nothing is verified here. Raises Malformed or TooLarge."""
    return _read(codec.signed_value(codec.parse(dispute_pb2.Dispute, _unsalted(salted_body)).step))


def decode_step(salted_body: bytes) -> tuple[Signed, Step]:
    """The step in the body of a later step; nothing is verified here. Raises Malformed or TooLarge."""
    return _read(codec.signed_value(codec.parse(dispute_pb2.DisputeStep, _unsalted(salted_body)).step))


def _read(signed: Signed) -> tuple[Signed, Step]:
    return signed, decode_statement(signed)


def _unsalted(salted_body: bytes) -> bytes:
    if len(salted_body) > limits.BODY_BYTES:
        raise TooLarge(f"a body of {len(salted_body)} bytes; at most {limits.BODY_BYTES}")
    return salted_body[limits.SALT_BYTES :]
