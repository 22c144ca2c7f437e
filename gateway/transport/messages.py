"""Between what travels on a stream and its values. Limits are checked before anything is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import protovalidate
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.unknown_fields import UnknownFieldSet

from gateway.protocol import codec, limits
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.values import (
    Delivered,
    Envelope,
    Fault,
    Gap,
    Hello,
    Message,
    NotReady,
    Page,
    Parcel,
    RosterHeld,
    RosterPart,
    Signed,
)
from gateway.v1 import channel_pb2, roster_pb2

FAULT_CHARACTERS = 256
#: One page of rosters: at least one of the largest there may be, with its signatures.
ROSTER_PAGE_BYTES = limits.ROSTER_BYTES + (64 << 10)


#: Of a page that travels on a stream, so much is in one message.
ROSTER_PART_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """A message of a kind this version does not know. Refused by name; the stream goes on."""

    name: str


def encode(message: Message) -> bytes:
    """The bytes of one message on a stream."""
    m = channel_pb2.Message()
    match message:
        case Parcel():
            m.envelope.head.CopyFrom(codec.signed_message(message.head))
            m.envelope.MergeFromString(message.packed)
        case Envelope():
            m.envelope.head.CopyFrom(codec.signed_message(message.head))
            m.envelope.frames.extend(message.frames)
            m.envelope.bodies.extend(message.bodies)
        case Delivered():
            m.delivered.receipt.CopyFrom(codec.signed_message(message.receipt))
            m.delivered.credit_size = message.credit_size
        case Signed():
            m.control.CopyFrom(codec.signed_message(message))
        case Gap():
            m.gap.size = message.size
        case NotReady():
            m.not_ready.SetInParent()
        case Page():
            m.page.CopyFrom(_page_message(message))
        case Fault():
            m.malformed.what = message.what[:FAULT_CHARACTERS]
        case Hello():
            m.hello.CopyFrom(_hello_message(message))
        case RosterHeld():
            m.roster_held.version = message.version
        case RosterPart():
            m.roster_part.data, m.roster_part.last = message.data, message.last
    return m.SerializeToString()


def _hello_message(hello: Hello) -> channel_pb2.Hello:
    return channel_pb2.Hello(
        source=hello.source,
        destination=hello.destination,
        federation=hello.federation,
        environment=hello.environment,
        versions=hello.versions,
        suites=hello.suites,
        roster_version=hello.roster_version,
    )


def decode(data: bytes) -> Message | Unknown:
    """One message from a stream. Raises TooLarge before parsing what is over a limit, Malformed for what is no message.

    Frames and bodies inside an envelope are left as bytes: the region judges them after the signature.
    """
    if len(data) > limits.MESSAGE_BYTES:
        raise TooLarge(f"a message of {len(data)} bytes; at most {limits.MESSAGE_BYTES}")
    try:
        m = channel_pb2.Message.FromString(data)
    except DecodeError as e:
        raise Malformed("not a protobuf Message") from e
    match m.WhichOneof("body"):
        case "envelope":
            return _envelope(m.envelope)
        case "delivered":
            _check(m.delivered)
            return Delivered(receipt=codec.signed_value(m.delivered.receipt), credit_size=m.delivered.credit_size)
        case "control":
            _check(m.control)
            if m.control.payload_type not in codec.PAYLOAD_TYPES:
                return Unknown(name=f"control {m.control.payload_type}")
            return codec.signed_value(m.control)
        case "gap":
            return Gap(size=m.gap.size)
        case "not_ready":
            return NotReady()
        case "malformed":
            return Fault(what=m.malformed.what[:FAULT_CHARACTERS])
        case "roster_held":
            return RosterHeld(version=m.roster_held.version)
        case "roster_part":
            _check(m.roster_part)
            return RosterPart(data=m.roster_part.data, last=m.roster_part.last)
        case "hello":
            return _hello(m.hello)
        case "page":
            return _page(m.page)
        case _:
            fields = UnknownFieldSet(m)
            unknown = [str(fields[i].field_number) for i in range(len(fields))]
            if not unknown:
                raise Malformed("an empty Message")
            return Unknown(name=f"field {', '.join(unknown[:4])}")


def _envelope(m: channel_pb2.Envelope) -> Envelope:
    if not m.HasField("head"):
        raise Malformed("Envelope.head is missing")
    if max(len(m.frames), len(m.bodies)) > limits.FRAMES_PER_ENVELOPE:
        count = max(len(m.frames), len(m.bodies))
        raise TooLarge(f"an envelope of {count} frames; at most {limits.FRAMES_PER_ENVELOPE}")
    _check(m.head)
    return Envelope(head=codec.signed_value(m.head), frames=tuple(m.frames), bodies=tuple(m.bodies))


def _page_message(page: Page) -> channel_pb2.Page:
    m = channel_pb2.Page(first=page.first, frames=page.frames, bodies=page.bodies)
    if page.head is not None:
        m.head.CopyFrom(codec.signed_message(page.head))
    if page.seen is not None:
        m.seen.CopyFrom(_page_message(page.seen))
    return m


def _page(m: channel_pb2.Page) -> Page:
    if m.seen.HasField("seen"):
        raise Malformed("Page.seen has no seen of its own")
    _check(m)
    return Page(
        head=codec.signed_value(m.head) if m.HasField("head") else None,
        first=m.first,
        frames=tuple(m.frames),
        bodies=tuple(m.bodies),
        seen=_page(m.seen) if m.HasField("seen") else None,
    )


def _hello(m: channel_pb2.Hello) -> Hello:
    _check(m)
    return Hello(
        source=m.source,
        destination=m.destination,
        federation=m.federation,
        environment=m.environment,
        versions=tuple(m.versions),
        suites=tuple(m.suites),
        roster_version=m.roster_version,
    )


def _check(m: ProtoMessage) -> None:
    """The rules written in the proto."""
    try:
        protovalidate.validate(m)
    except protovalidate.ValidationError as e:
        raise Malformed(f"{m.DESCRIPTOR.name}: {e}") from e


# -- GetRoster --------------------------------------------------------------------------------------------------------


def encode_roster_request(have: int) -> bytes:
    """Ask for the rosters after version `have`."""
    return roster_pb2.RosterRequest(have=have).SerializeToString()


def decode_roster_request(data: bytes) -> int:
    """The version the asker holds. Raises Malformed."""
    return codec.parse(roster_pb2.RosterRequest, data).have


def encode_roster_page(rosters: Sequence[Signed], more: bool) -> bytes:
    """As many of the rosters as fit one page, at least one of them; `more` also when some did not fit."""
    page = roster_pb2.RosterPage(more=more)
    size = 0
    for roster in rosters[: limits.ROSTERS_PER_PAGE]:
        m = codec.signed_message(roster)
        size += m.ByteSize()
        if page.rosters and size > limits.ROSTER_BYTES:
            break
        page.rosters.append(m)
    page.more = more or len(page.rosters) < len(rosters)
    return page.SerializeToString()


def decode_roster_page(data: bytes) -> tuple[list[Signed], bool]:
    """Signed rosters in order, and whether there are more. Raises Malformed."""
    page = codec.parse(roster_pb2.RosterPage, data)
    return [codec.signed_value(m) for m in page.rosters], page.more
