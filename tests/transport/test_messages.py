"""Values of a stream and their bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import codec, limits
from gateway.protocol.errors import Malformed, OwnFault, TooLarge
from gateway.protocol.values import (
    Delivered,
    Envelope,
    Fault,
    Gap,
    Hello,
    NotReady,
    Parcel,
    Signature,
    Signed,
)
from gateway.transport import messages
from gateway.transport.errors import Stopping
from gateway.transport.statuses import status_of

COUNTS = st.integers(0, (1 << 64) - 1)
SIGNATURES = st.builds(
    Signature,
    key_id=st.binary(min_size=8, max_size=8),
    suite=st.text(st.characters(codec="ascii"), max_size=32),
    signature=st.binary(max_size=80),
)
SIGNED = st.builds(
    Signed,
    payload_type=st.sampled_from([codec.HEAD, codec.ASK]),
    payload=st.binary(max_size=200),
    signatures=st.lists(SIGNATURES, min_size=1, max_size=3).map(tuple),
)
ITEMS = st.lists(st.binary(max_size=64), max_size=12).map(tuple)
HELLOS = st.builds(
    Hello,
    source=st.integers(1, 999999),
    destination=st.integers(1, 999999),
    federation=st.binary(min_size=32, max_size=32),
    environment=st.text(max_size=32),
    versions=st.lists(st.integers(0, 99), max_size=16).map(tuple),
    suites=st.lists(st.text(max_size=8), max_size=16).map(tuple),
    roster_version=COUNTS,
)
MESSAGES = st.one_of(
    HELLOS,
    SIGNED,
    st.builds(Envelope, head=SIGNED, frames=ITEMS, bodies=ITEMS),
    st.builds(Delivered, receipt=SIGNED, credit_size=COUNTS),
    st.builds(Gap, size=COUNTS),
    st.builds(NotReady),
    st.builds(Fault, what=st.text(max_size=256)),
)


@given(message=MESSAGES)
def test_what_is_sent_is_what_is_heard(message: messages.Message) -> None:
    assert messages.decode(messages.encode(message)) == message


@given(head=SIGNED, frames=ITEMS, bodies=ITEMS)
def test_a_parcel_travels_as_the_envelope_it_was_packed_from(
    head: Signed, frames: tuple[bytes, ...], bodies: tuple[bytes, ...]
) -> None:
    parcel = Parcel(head=head, packed=codec.pack_frames(frames) + codec.pack_bodies(bodies))
    assert messages.decode(messages.encode(parcel)) == Envelope(head=head, frames=frames, bodies=bodies)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    try:
        messages.decode(data)
    except Malformed:
        pass


@given(message=MESSAGES, where=st.integers(0, 1 << 30), bit=st.integers(0, 7))
def test_a_flipped_bit_never_ends_in_an_accident(message: messages.Message, where: int, bit: int) -> None:
    data = bytearray(messages.encode(message))
    if data:
        data[where % len(data)] ^= 1 << bit
    try:
        messages.decode(bytes(data))
    except (Malformed, TooLarge):
        pass


@pytest.mark.parametrize("data", [b"", b"\x12\x00"], ids=["nothing", "an envelope without a head"])
def test_a_message_without_what_it_needs(data: bytes) -> None:
    with pytest.raises(Malformed):
        messages.decode(data)


def test_an_unsigned_control_message() -> None:
    unsigned = Signed(payload_type=codec.ASK, payload=b"", signatures=())
    with pytest.raises(Malformed, match="signatures"):
        messages.decode(messages.encode(unsigned))


def test_a_message_over_the_limit() -> None:
    with pytest.raises(TooLarge):
        messages.decode(bytes(limits.MESSAGE_BYTES + 1))


@pytest.mark.parametrize("error", [OSError("/secret/path"), OwnFault("contradiction"), KeyError("alias of a resident")])
def test_ones_own_trouble_is_told_to_nobody(error: Exception) -> None:
    status = status_of(error, 0)
    assert status.code == 14  # UNAVAILABLE
    assert str(error) not in str(status)


def test_going_down_is_said_by_name() -> None:
    assert "STOPPING" in str(status_of(Stopping("this side is going down"), 0))
