"""Between values and bytes of what travels on a channel.

Of the core only this module and documents.py (rosters, proofs) know the generated code.

Frames and bodies are checked here by the rules written in the proto (the hot path cannot afford a validator per
message; a test holds the two equal). Signed control messages go through protovalidate. Whatever does not parse raises
:class:`~gateway.protocol.errors.Malformed` and says which rule it broke.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import protovalidate
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage

from gateway.protocol import limits
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.values import (
    Ask,
    Behind,
    Control,
    Draft,
    Epoch,
    Fenced,
    Frame,
    Head,
    Log,
    Offer,
    Provenance,
    Pull,
    Reason,
    Receipt,
    Repair,
    Resume,
    Signature,
    Signed,
    Slice,
    Stale,
    Standing,
)
from gateway.v1 import channel_pb2, frame_pb2, signed_pb2

HEAD = "application/vnd.hutong.head.v1"
RECEIPT = "application/vnd.hutong.receipt.v1"
RESUME = "application/vnd.hutong.resume.v1"
FENCED = "application/vnd.hutong.fenced.v1"
BEHIND = "application/vnd.hutong.behind.v1"
STALE = "application/vnd.hutong.stale.v1"
ASK = "application/vnd.hutong.ask.v1"
STANDING = "application/vnd.hutong.standing.v1"
REPAIR = "application/vnd.hutong.repair.v1"
PULL = "application/vnd.hutong.pull.v1"

M = TypeVar("M", bound=ProtoMessage)

_ID_BYTES = 16
_HASH_BYTES = 32


# -- frames and bodies: the hot path ---------------------------------------------------------------------------------


def commitment(salted_body: bytes) -> bytes:
    """What a frame commits to: SHA-256 over salt and body."""
    return hashlib.sha256(salted_body).digest()


def encode_frame(draft: Draft, seen: int, epoch: int) -> bytes:
    """The bytes of a numbered message: hashed, stored and sent as they are, never made again."""
    return frame_pb2.Frame(
        kind=draft.kind,  # type: ignore[arg-type]
        reply=draft.reply,
        id=draft.id,
        seen=seen,
        epoch=epoch,
        category=draft.category,
        amount=draft.amount,
        becomes=draft.becomes,
        arriving=draft.arriving,
        commitment=hashlib.sha256(draft.body).digest(),
    ).SerializeToString(deterministic=True)


def decode_frame(data: bytes) -> Frame:
    """The header of one message. Raises Malformed where a rule of frame.proto is broken."""
    if len(data) > limits.FRAME_BYTES:
        raise TooLarge(f"a frame of {len(data)} bytes; at most {limits.FRAME_BYTES}")
    try:
        m = frame_pb2.Frame.FromString(data)
    except DecodeError as e:
        raise Malformed("a frame is not a protobuf Frame") from e
    frame = Frame(m.kind, m.reply, m.id, m.seen, m.epoch, m.category, m.amount, m.becomes, m.arriving, m.commitment)
    if len(frame.id) != _ID_BYTES:
        raise Malformed("Frame.id must be 16 bytes")
    if len(frame.commitment) != _HASH_BYTES:
        raise Malformed("Frame.commitment must be 32 bytes")
    if frame.amount > limits.AMOUNT_MAX or frame.arriving > limits.AMOUNT_MAX:
        raise Malformed("Frame.amount and Frame.arriving must be at most 2^63-1")
    if len(frame.category) > limits.CATEGORY_CHARACTERS or len(frame.becomes) > limits.CATEGORY_CHARACTERS:
        raise Malformed("Frame.category and Frame.becomes must be at most 32 characters")
    return frame


def encode_offer(offer: Offer) -> bytes:
    """The body of an offer, without salt."""
    m = frame_pb2.Offer(
        address=offer.address,
        purpose=offer.purpose,  # type: ignore[arg-type]
        rate_p=offer.rate_p,
        rate_q=offer.rate_q,
        terms_version=offer.terms_version,
        consent=offer.consent,
        cites=offer.cites,
        request=offer.request,
        redo=offer.redo,
        consent_digest=offer.consent_digest,
        identity=offer.identity,
    )
    for s in offer.slices:  # made in place: a message that is given as an argument is copied
        slot = m.slices.add(blocks=s.blocks, expires=s.expires)
        for p in s.provenance:
            slot.provenance.add(issuer=p.issuer, granted=p.granted, evidence=p.evidence, because=p.because)
    return m.SerializeToString()


def decode_offer(salted_body: bytes) -> Offer:
    """The body of an offer. Raises Malformed where a rule of frame.proto is broken."""
    m = _body(frame_pb2.Offer, salted_body)
    slices = tuple(
        [
            Slice(
                s.blocks,
                s.expires,
                tuple([Provenance(p.issuer, p.granted, p.evidence, p.because) for p in s.provenance]),
            )
            for s in m.slices
        ]
    )  # lists, not generators: this is decoded for every offer
    offer = Offer(
        m.address, m.purpose, m.rate_p, m.rate_q, m.terms_version, slices, m.consent, m.cites, m.request, m.redo,
        m.consent_digest, m.identity,
    )  # fmt: skip
    _check_offer(offer)
    return offer


def _check_offer(offer: Offer) -> None:
    if not 1 <= offer.rate_p <= limits.RATE_MAX or not 1 <= offer.rate_q <= limits.RATE_MAX:
        raise Malformed("Offer.rate_p and Offer.rate_q must be between 1 and 1000000")
    if not 1 <= len(offer.slices) <= limits.SLICES_PER_OFFER:
        raise Malformed("Offer.slices must have 1 to 64 items")
    if len(offer.address) > 10:
        raise Malformed("Offer.address must be at most 10 bytes")
    if len(offer.consent) > 64:
        raise Malformed("Offer.consent must be at most 64 characters")
    if len(offer.cites) > _ID_BYTES or len(offer.request) > _ID_BYTES:
        raise Malformed("Offer.cites and Offer.request must be at most 16 bytes")
    if len(offer.consent_digest) not in (0, _HASH_BYTES) or len(offer.identity) not in (0, _HASH_BYTES):
        raise Malformed("Offer.consent_digest and Offer.identity must be 32 bytes, or empty")
    _check_redo("Offer", offer.redo)
    for s in offer.slices:
        if s.blocks < 1:
            raise Malformed("Slice.blocks must be at least 1")
        if not 1 <= len(s.provenance) <= limits.PROVENANCES_PER_SLICE:
            raise Malformed("Slice.provenance must have 1 to 16 items")
        for p in s.provenance:
            if not 110000 <= p.issuer <= 999999:
                raise Malformed("Provenance.issuer must be a GB/T 2260 code of six digits")
            if len(p.because) > 64:
                raise Malformed("Provenance.because must be at most 64 characters")


def encode_accept(redo: bytes) -> bytes:
    """The body of an accept, without salt."""
    return frame_pb2.Accept(redo=redo).SerializeToString()


def encode_refuse(reason: int, redo: bytes, successor: int = 0) -> bytes:
    """The body of a refusal, without salt. `successor`: REGION_MOVED only, the region that answers now."""
    return frame_pb2.Refuse(reason=reason, redo=redo, successor=successor).SerializeToString()  # type: ignore[arg-type]


def decode_refuse(salted_body: bytes) -> int:
    """The reason of a refusal, as a number: a newer peer may give one that is not in :class:`Reason`."""
    m = _body(frame_pb2.Refuse, salted_body)
    _check_redo("Refuse", m.redo)
    return int(m.reason)


def decode_successor(salted_body: bytes) -> int:
    """The region that a refusal says answers now; 0 where it names none, or cannot be read."""
    try:
        successor = _body(frame_pb2.Refuse, salted_body).successor
    except Malformed:
        return 0
    return successor if 110000 <= successor <= 999999 else 0


def encode_cancel(redo: bytes) -> bytes:
    """The body of a cancel, without salt."""
    return frame_pb2.Cancel(redo=redo).SerializeToString()


def encode_reverse_request(transfer: bytes, redo: bytes) -> bytes:
    """The body of a request to reverse, without salt."""
    return frame_pb2.ReverseRequest(transfer=transfer, redo=redo).SerializeToString()


def decode_reverse_request(salted_body: bytes) -> bytes:
    """The id of the transfer that should come back."""
    m = _body(frame_pb2.ReverseRequest, salted_body)
    _check_redo("ReverseRequest", m.redo)
    if len(m.transfer) != _ID_BYTES:
        raise Malformed("ReverseRequest.transfer must be 16 bytes")
    return m.transfer


def decode_redo(kind_is_offer: bool, salted_body: bytes) -> bytes:
    """The sealed redo record of a body of one's own."""
    if kind_is_offer:
        return _body(frame_pb2.Offer, salted_body).redo
    return _body(frame_pb2.Accept, salted_body).redo


def redo_of(salted_body: bytes) -> bytes:
    """The sealed redo record of any body of one's own: it stands in the same field of all of them."""
    return _body(frame_pb2.Cancel, salted_body).redo


def _check_redo(kind: str, redo: bytes) -> None:
    if len(redo) > 1024:
        raise Malformed(f"{kind}.redo must be at most 1024 bytes")


def _body(kind: type[M], salted_body: bytes) -> M:
    if len(salted_body) > limits.BODY_BYTES:
        raise TooLarge(f"a body of {len(salted_body)} bytes; at most {limits.BODY_BYTES}")
    try:
        return kind.FromString(salted_body[limits.SALT_BYTES :])
    except DecodeError as e:
        raise Malformed(f"a body is not a protobuf {kind.DESCRIPTOR.name}") from e


# -- what a segment stores: lists of frames and of bodies, laid out as fields of an Envelope --------------------------


def pack_frames(frames: Sequence[bytes]) -> bytes:
    """Frames as stored and sent: field 2 of an Envelope, so that stored bytes go on the wire untouched."""
    return channel_pb2.Envelope(frames=frames).SerializeToString()


def unpack_frames(packed: bytes) -> list[bytes]:
    """What :func:`pack_frames` packed. Raises Malformed for anything else."""
    return list(_envelope(packed).frames)


def pack_bodies(bodies: Sequence[bytes]) -> bytes:
    """Salted bodies as stored and sent: field 3 of an Envelope."""
    return channel_pb2.Envelope(bodies=bodies).SerializeToString()


def unpack_bodies(packed: bytes) -> list[bytes]:
    """What :func:`pack_bodies` packed. Raises Malformed for anything else."""
    return list(_envelope(packed).bodies)


def _envelope(packed: bytes) -> channel_pb2.Envelope:
    try:
        return channel_pb2.Envelope.FromString(packed)
    except DecodeError as e:
        raise Malformed("stored frames or bodies are not the fields of a protobuf Envelope") from e


# -- signed messages --------------------------------------------------------------------------------------------------


def _log(log: Log) -> channel_pb2.Log:
    return channel_pb2.Log(
        federation=log.federation,
        environment=log.environment,
        source=log.source,
        destination=log.destination,
        generation=log.generation,
    )


def _unlog(m: channel_pb2.Log) -> Log:
    return Log(m.federation, m.environment, m.source, m.destination, m.generation)


def _epoch(epoch: Epoch) -> channel_pb2.Epoch:
    return channel_pb2.Epoch(number=epoch.number, nonce=epoch.nonce)


def _unepoch(m: channel_pb2.Epoch) -> Epoch:
    return Epoch(m.number, m.nonce)


_VALUES: dict[str, Callable[[Any], Log | Epoch]] = {"Log": _unlog, "Epoch": _unepoch}
_SIGNED: dict[str, tuple[type[ProtoMessage], type[Head | Receipt | Repair | Control]]] = {
    HEAD: (channel_pb2.Head, Head),
    RECEIPT: (channel_pb2.Receipt, Receipt),
    RESUME: (channel_pb2.Resume, Resume),
    FENCED: (channel_pb2.Fenced, Fenced),
    BEHIND: (channel_pb2.Behind, Behind),
    STALE: (channel_pb2.Stale, Stale),
    ASK: (channel_pb2.Ask, Ask),
    STANDING: (channel_pb2.Standing, Standing),
    REPAIR: (channel_pb2.Repair, Repair),
    PULL: (channel_pb2.Pull, Pull),
}
PAYLOAD_TYPES = frozenset(_SIGNED)
"""The types of everything signed on a channel that this version knows."""
_TYPE_OF = {value: payload_type for payload_type, (_, value) in _SIGNED.items()}


def payload_type_of(value: Head | Receipt | Repair | Control) -> str:
    """The payload type under which a value is signed."""
    return _TYPE_OF[type(value)]


def encode_payload(value: Head | Receipt | Repair | Control) -> bytes:
    """The bytes to sign. Field names of value and message are the same; deterministic, so equal values sign alike."""
    proto, _ = _SIGNED[_TYPE_OF[type(value)]]
    fields = {}
    for name in value.__dataclass_fields__:
        field = getattr(value, name)
        fields[name] = _log(field) if isinstance(field, Log) else _epoch(field) if isinstance(field, Epoch) else field
    return proto(**fields).SerializeToString(deterministic=True)


def decode_payload(payload_type: str, payload: bytes) -> Head | Receipt | Repair | Control:
    """A verified payload as a value. Raises Malformed for unknown types, bytes that do not parse and broken rules."""
    if payload_type not in _SIGNED:
        raise Malformed(f"unknown payload type {payload_type!r}")
    proto, value = _SIGNED[payload_type]
    m = parse(proto, payload)
    fields: dict[str, Any] = {}
    for name in value.__dataclass_fields__:
        field = getattr(m, name)
        convert = _VALUES.get(type(field).__name__)
        fields[name] = convert(field) if convert else field
    return value(**fields)


def parse(kind: type[M], data: bytes) -> M:
    """A message of `kind` that keeps the rules of its proto. Raises Malformed otherwise."""
    try:
        m = kind.FromString(data)
        protovalidate.validate(m)
    except DecodeError as e:
        raise Malformed(f"not a protobuf {kind.DESCRIPTOR.name}") from e
    except protovalidate.ValidationError as e:
        raise Malformed(f"{kind.DESCRIPTOR.name}: {e}") from e
    return m


def encode_signed(signed: Signed) -> bytes:
    """A signed message as bytes, for storage and files."""
    return signed_message(signed).SerializeToString(deterministic=True)


def decode_signed(data: bytes) -> Signed:
    """What :func:`encode_signed` wrote, or another team's. Raises Malformed."""
    return signed_value(parse(signed_pb2.Signed, data))


def signed_message(signed: Signed) -> signed_pb2.Signed:
    """The message of a value."""
    return signed_pb2.Signed(
        payload_type=signed.payload_type,
        payload=signed.payload,
        signatures=[
            signed_pb2.Signature(key_id=s.key_id, suite=s.suite, signature=s.signature) for s in signed.signatures
        ],
    )


def signed_value(m: signed_pb2.Signed) -> Signed:
    """The value of a message."""
    return Signed(
        payload_type=m.payload_type,
        payload=m.payload,
        signatures=tuple(Signature(key_id=s.key_id, suite=s.suite, signature=s.signature) for s in m.signatures),
    )


def reason_name(number: int) -> str:
    """The name of a reason, also of one this version does not know."""
    try:
        return Reason(number).name
    except ValueError:
        return f"REASON_{number}"
