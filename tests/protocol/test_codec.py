"""Between values and bytes: nothing is lost, nothing is taken that the wire's own rules refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from enum import IntEnum
from typing import Any

import protovalidate
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol import codec, limits, values
from gateway.protocol.channel import Channel, judge
from gateway.protocol.errors import Malformed, PeerFault, TooLarge
from gateway.protocol.merkle import Frontier, leaf_hashes
from gateway.protocol.suite import verify
from gateway.protocol.values import (
    Ask,
    Behind,
    Draft,
    Epoch,
    Fenced,
    Head,
    Log,
    Offer,
    Provenance,
    Receipt,
    Resume,
    Slice,
    Stale,
    Standing,
)
from gateway.v1 import frame_pb2, roster_pb2
from tests.protocol.federation import EPOCH, SALT, world

u64 = st.integers(0, 2**64 - 1)
amounts = st.integers(0, limits.AMOUNT_MAX)
hashes = st.binary(min_size=32, max_size=32)
codes = st.integers(1, 2**32 - 1)
epochs = st.builds(Epoch, u64, u64)
logs = st.builds(Log, hashes, st.text(min_size=1, max_size=32), codes, codes, codes)


def signed_values() -> st.SearchStrategy[Any]:
    """Every value that is signed, with every field drawn."""
    of_type = {"Log": logs, "Epoch": epochs, "bytes": hashes, "bool": st.booleans(), "str": st.text(max_size=32)}
    return st.one_of(
        st.builds(
            kind,
            **{
                name: st.integers(-(2**63), 2**63 - 1) if name.endswith("_at_ms") else of_type.get(str(field.type), u64)
                for name, field in kind.__dataclass_fields__.items()
            },
        )
        for kind in (Head, Receipt, Resume, Fenced, Behind, Stale, Ask, Standing)
    )


# -- nothing is lost --------------------------------------------------------------------------------------------------


@given(signed_values())
def test_a_signed_value_comes_back_as_it_was(value: Any) -> None:
    payload = codec.encode_payload(value)
    assert codec.decode_payload(codec.payload_type_of(value), payload) == value
    assert codec.encode_payload(value) == payload


drafts = st.builds(
    Draft,
    kind=st.integers(0, 2**31 - 1),
    reply=st.booleans(),
    id=st.binary(min_size=16, max_size=16),
    body=st.binary(max_size=64).map(SALT.__add__),
    category=st.text(max_size=32),
    amount=amounts,
    becomes=st.text(max_size=32),
    arriving=amounts,
)


@given(drafts, u64, u64)
def test_a_frame_comes_back_as_it_was_whatever_its_kind(draft: Draft, seen: int, epoch: int) -> None:
    frame = codec.decode_frame(codec.encode_frame(draft, seen, epoch))
    assert (frame.kind, frame.reply, frame.id) == (draft.kind, draft.reply, draft.id)
    assert (frame.seen, frame.epoch) == (seen, epoch)
    assert (frame.category, frame.amount) == (draft.category, draft.amount)
    assert (frame.becomes, frame.arriving) == (draft.becomes, draft.arriving)
    assert frame.commitment == codec.commitment(draft.body)


provenances = st.builds(
    Provenance, st.integers(110000, 999999), st.integers(0, 2**32 - 1), st.integers(0, 9), st.text(max_size=64)
)
edges = st.sampled_from

offers = st.builds(
    Offer,
    st.binary(max_size=10),
    st.integers(0, 99),
    st.integers(1, limits.RATE_MAX),
    st.integers(1, limits.RATE_MAX),
    u64,
    st.lists(
        st.builds(
            Slice, st.integers(1, 2**64 - 1), st.integers(0, 2**32 - 1),
            st.lists(provenances, min_size=1, max_size=2).map(tuple),
        ),
        min_size=1, max_size=3,
    ).map(tuple),
    st.text(max_size=64),
    st.binary(max_size=16),
    st.binary(max_size=16),
    st.binary(max_size=1024),
    edges([b"", bytes(32), b"d" * 32]),
    edges([b"", bytes(32), b"i" * 32]),
)  # fmt: skip


@given(offers)
def test_an_offer_comes_back_as_it_was_also_with_purposes_nobody_knows_yet(offer: Offer) -> None:
    body = SALT + codec.encode_offer(offer)
    assert codec.decode_offer(body) == offer
    assert codec.decode_redo(True, body) == offer.redo


@given(st.integers(0, 2**31 - 1), st.binary(max_size=1024), st.binary(min_size=16, max_size=16))
def test_answers_and_requests_come_back_as_they_were_also_with_unknown_reasons(
    reason: int, redo: bytes, transfer: bytes
) -> None:
    assert codec.decode_refuse(SALT + codec.encode_refuse(reason, redo)) == reason
    assert codec.decode_reverse_request(SALT + codec.encode_reverse_request(transfer, redo)) == transfer
    for body in (codec.encode_refuse(reason, redo), codec.encode_accept(redo), codec.encode_cancel(redo)):
        assert codec.decode_redo(False, SALT + body) == redo


def test_a_reason_nobody_knows_yet_still_has_a_name() -> None:
    assert codec.reason_name(61) == "POINTS_EXPIRED"
    assert codec.reason_name(4711) == "REASON_4711"


@given(st.lists(st.binary(max_size=40)))
def test_frames_and_bodies_come_out_of_storage_as_they_went_in(parts: list[bytes]) -> None:
    assert codec.unpack_frames(codec.pack_frames(parts)) == parts
    assert codec.unpack_bodies(codec.pack_bodies(parts)) == parts


# -- the hot path keeps the rules of the proto ------------------------------------------------------------------------


def mostly_right(messages: st.SearchStrategy[Any], right: Message) -> st.SearchStrategy[Any]:
    """Messages with one field drawn and the others right, so that each rule is met alone; and wholly drawn ones."""

    def only(drawn: Message, field: str) -> Message:
        mixed = type(right)()
        mixed.CopyFrom(right)
        source = type(right)()
        source.CopyFrom(drawn)
        mixed.ClearField(field)
        for other in [f.name for f in source.DESCRIPTOR.fields if f.name != field]:
            source.ClearField(other)
        mixed.MergeFrom(source)
        return mixed

    fields = edges([field.name for field in right.DESCRIPTOR.fields])
    return st.one_of(messages, st.builds(only, messages, fields))


frame_messages = st.builds(
    frame_pb2.Frame,
    kind=edges([0, 1, 6, 7, -1, 2**31 - 1]),
    reply=st.booleans(),
    id=edges([b"", bytes(15), bytes(16), bytes(17)]),
    seen=u64,
    epoch=u64,
    category=edges(["", "分" * 32, "分" * 33, "a" * 32]),
    amount=edges([0, 1, limits.AMOUNT_MAX, limits.AMOUNT_MAX + 1, 2**64 - 1]),
    becomes=edges(["", "\U0001f600" * 32, "b" * 33]),
    arriving=edges([0, limits.AMOUNT_MAX, limits.AMOUNT_MAX + 1]),
    commitment=edges([b"", bytes(31), bytes(32), bytes(33)]),
)
RIGHT_PROVENANCE = frame_pb2.Provenance(issuer=110000)
RIGHT_SLICE = frame_pb2.Slice(blocks=1, provenance=[RIGHT_PROVENANCE])
RIGHT_OFFER = frame_pb2.Offer(rate_p=1, rate_q=1, slices=[RIGHT_SLICE])
provenance_messages = st.builds(
    frame_pb2.Provenance,
    issuer=edges([0, 109999, 110000, 999999, 1000000]),
    granted=edges([0, 20260101]),
    evidence=edges([0, 2, 77]),
    because=edges(["", "因" * 64, "因" * 65]),
)
slice_messages = st.builds(
    frame_pb2.Slice,
    blocks=edges([0, 1, 2**64 - 1]),
    provenance=st.one_of(
        st.lists(provenance_messages, max_size=2),
        edges([[RIGHT_PROVENANCE] * n for n in (16, 17)]),
    ),
)
offer_messages = st.builds(
    frame_pb2.Offer,
    address=edges([b"", bytes(10), bytes(11)]),
    purpose=edges([0, 5, 99]),
    rate_p=edges([0, 1, 1_000_000, 1_000_001]),
    rate_q=edges([0, 1, 1_000_000, 1_000_001]),
    slices=st.one_of(
        st.lists(slice_messages, max_size=2),
        edges([[RIGHT_SLICE] * n for n in (64, 65)]),
    ),
    consent=edges(["", "c" * 64, "c" * 65]),
    cites=edges([b"", bytes(16), bytes(17)]),
    request=edges([b"", bytes(16), bytes(17)]),
    consent_digest=edges([b"", b"\0", bytes(31), bytes(32), bytes(33)]),
    identity=edges([b"", b"\0", bytes(31), bytes(32), bytes(33)]),
    redo=edges([b"", bytes(1024), bytes(1025)]),
)
refuse_messages = st.builds(frame_pb2.Refuse, reason=edges([0, 84, 999]), redo=edges([bytes(1024), bytes(1025)]))
reverse_messages = st.builds(
    frame_pb2.ReverseRequest, transfer=edges([b"", bytes(15), bytes(16), bytes(17)]), redo=edges([b"", bytes(1025)])
)


def offer_of(one: frame_pb2.Slice) -> frame_pb2.Offer:
    """An offer that is right but for this part."""
    return frame_pb2.Offer(rate_p=1, rate_q=1, slices=[one])


CASES: list[tuple[st.SearchStrategy[Any], Callable[[bytes], object]]] = [
    (mostly_right(frame_messages, frame_pb2.Frame(id=bytes(16), commitment=bytes(32))), codec.decode_frame),
    (mostly_right(offer_messages, RIGHT_OFFER), lambda body: codec.decode_offer(SALT + body)),
    (mostly_right(slice_messages, RIGHT_SLICE).map(offer_of), lambda body: codec.decode_offer(SALT + body)),
    (
        mostly_right(provenance_messages, RIGHT_PROVENANCE).map(
            lambda drawn: offer_of(frame_pb2.Slice(blocks=1, provenance=[drawn]))
        ),
        lambda body: codec.decode_offer(SALT + body),
    ),
    (refuse_messages, lambda body: codec.decode_refuse(SALT + body)),
    (reverse_messages, lambda body: codec.decode_reverse_request(SALT + body)),
]


@pytest.mark.parametrize(
    ("messages", "decode"), CASES, ids=["Frame", "Offer", "Slice", "Provenance", "Refuse", "ReverseRequest"]
)
def test_the_hot_path_refuses_exactly_what_the_rules_of_the_proto_refuse(
    messages: st.SearchStrategy[Any], decode: Callable[[bytes], object]
) -> None:
    verdicts = set()

    @settings(max_examples=400, deadline=None)
    @given(messages)
    def compare(message: Message) -> None:
        try:
            protovalidate.validate(message)
            right = True
        except protovalidate.ValidationError:
            right = False
        try:
            decode(message.SerializeToString())
            taken = True
        except Malformed:
            taken = False
        assert taken == right
        verdicts.add(right)

    compare()
    assert verdicts == {True, False}, "both verdicts must have come up for the comparison to say anything"


# -- broken bytes -----------------------------------------------------------------------------------------------------

WORLD = world(size=4)
HEAD = WORLD.there.head(4)


def flips(whole: bytes) -> Iterator[bytes]:
    """The bytes with each of their bits changed in turn."""
    for bit in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def test_a_signed_head_with_any_bit_flipped_is_refused() -> None:
    keys = [WORLD.there.source.verify_key]
    whole = codec.encode_signed(HEAD)
    assert verify(codec.decode_signed(whole), keys, codec.HEAD) == HEAD.payload
    for flipped in flips(whole):
        with pytest.raises(PeerFault):
            verify(codec.decode_signed(flipped), keys, codec.HEAD)


def received(frames: list[bytes], bodies: list[bytes]) -> object:
    """What the receiver makes of an envelope under the good head."""
    channel = Channel(out=WORLD.here.log, epoch=EPOCH, ready=True, peer_open=True, peer_epoch=EPOCH)
    head = codec.decode_payload(codec.HEAD, HEAD.payload)
    assert isinstance(head, Head)
    return judge(channel, head, frames, list(map(codec.decode_frame, frames)), bodies, WORLD.there.tree)


def test_an_envelope_with_any_bit_of_a_frame_or_body_flipped_commits_nothing() -> None:
    frames = list(WORLD.there.tree.frames)
    bodies = [SALT if codec.decode_frame(frame).commitment == codec.commitment(SALT) else b"" for frame in frames]
    assert SALT in bodies
    root = Frontier().extend(leaf_hashes(frames)).root()
    assert getattr(received(frames, bodies), "frontier").root() == root  # noqa: B009
    for number, frame in enumerate(frames):
        for flipped in flips(frame):
            with pytest.raises(PeerFault):
                received([*frames[:number], flipped, *frames[number + 1 :]], bodies)
    at = bodies.index(SALT)
    for flipped in flips(SALT):
        with pytest.raises(PeerFault, match="body"):
            received(frames, [*bodies[:at], flipped, *bodies[at + 1 :]])


@given(st.binary(max_size=200))
def test_noise_is_malformed_or_a_value_and_never_an_accident(noise: bytes) -> None:
    for decode in (
        codec.decode_frame,
        codec.decode_offer,
        codec.decode_refuse,
        codec.decode_reverse_request,
        codec.decode_signed,
        lambda data: codec.decode_payload(codec.HEAD, data),
        lambda data: codec.decode_payload(codec.STANDING, data),
    ):
        with suppress(Malformed):
            decode(noise)


@given(signed_values(), st.data())
def test_a_truncated_signed_message_is_refused(value: Any, data: st.DataObject) -> None:
    signed = WORLD.there.source.sign(codec.payload_type_of(value), codec.encode_payload(value))
    whole = codec.encode_signed(signed)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(Malformed):
        codec.decode_signed(cut)


def test_an_oversized_frame_or_body_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge, match="at most 512"):
        codec.decode_frame(b"\xff" * (limits.FRAME_BYTES + 1))
    for decode in (codec.decode_offer, codec.decode_refuse, codec.decode_reverse_request):
        with pytest.raises(TooLarge, match="at most 4096"):
            decode(b"\xff" * (limits.BODY_BYTES + 1))


def test_a_payload_of_an_unknown_type_is_malformed() -> None:
    with pytest.raises(Malformed, match="unknown payload type 'text/plain'"):
        codec.decode_payload("text/plain", HEAD.payload)


@pytest.mark.parametrize("change", [{"environment": ""}, {"federation": b""}, {"source": 0}, {"generation": 0}])
def test_a_head_of_no_particular_log_is_malformed(change: dict[str, Any]) -> None:
    head = codec.decode_payload(codec.HEAD, HEAD.payload)
    assert isinstance(head, Head)
    with pytest.raises(Malformed):
        codec.decode_payload(codec.HEAD, codec.encode_payload(replace(head, log=head.log._replace(**change))))


@pytest.mark.parametrize(
    ("here", "proto"),
    [
        (values.Kind, frame_pb2.Kind),
        (values.Purpose, frame_pb2.Purpose),
        (values.Evidence, frame_pb2.Evidence),
        (values.Reason, frame_pb2.Reason),
        (values.Status, roster_pb2.Status),
    ],
)
def test_every_number_of_the_proto_has_the_same_name_here(here: type[IntEnum], proto: Any) -> None:
    prefix = f"{here.__name__.upper()}_"
    assert {prefix + one.name: one.value for one in here} == {name: n for name, n in proto.items() if n}
