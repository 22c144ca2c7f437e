"""Envelopes that are damaged or too large: refused by name, and nothing of them is kept."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.protocol import codec, limits, merkle
from gateway.protocol.errors import Malformed, PeerFault, ProtocolError, TooLarge
from gateway.protocol.values import Fault, Gap, NotReady
from gateway.transport import messages as wire
from tests.services.conftest import Regions
from tests.services.delivery import A, B, alias_of, arrives, ends, read, refused, sent
from tests.services.ledger import address, envelope, forge, offer, rows

# -- damage -----------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_anywhere_in_an_envelope(regions: Regions) -> None:
    a, b = ends(regions())
    message = sent(a, address(b, "B"), 1, 2, 3)
    whole, before = read(message), rows(b)
    chance = random.Random(1)
    tried = 0
    for at in sorted(chance.sample(range(len(message)), 400)):
        damaged = bytearray(message)
        damaged[at] ^= 1 << chance.randrange(8)
        with suppress(PeerFault):
            heard = wire.decode(bytes(damaged))
            if heard == whole or isinstance(heard, wire.Unknown):
                continue  # nothing of it was hit that anybody reads
            assert all(isinstance(said, Fault | Gap | NotReady) for said in b.hear(A, heard)), f"byte {at}"
        tried += 1
        assert rows(b) == before, f"byte {at}"
    assert tried > 390
    arrives(a, b, message)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_envelope(regions: Regions, kept: float) -> None:
    a, b = ends(regions())
    message = sent(a, address(b, "B"), 1, 2, 3)
    before = rows(b)
    with pytest.raises(PeerFault):
        b.hear(A, read(message[: int(len(message) * kept)]))
    assert rows(b) == before
    arrives(a, b, message)


def test_an_envelope_with_fewer_frames_than_were_signed(regions: Regions) -> None:
    a, b = ends(regions())
    message = sent(a, address(b, "B"), 1, 2, 3)
    whole = read(message)
    refused(b, replace(whole, frames=whole.frames[:2], bodies=whole.bodies[:2]), Malformed, "cannot reach")
    refused(b, replace(whole, frames=whole.frames[1:], bodies=whole.bodies[1:]), Malformed, "cannot reach")
    refused(b, replace(whole, bodies=whole.bodies[:2]), Malformed, "a body for each")
    refused(b, replace(whole, frames=(), bodies=()), Malformed, "a body for each")
    arrives(a, b, message)


def test_frames_in_another_order(regions: Regions) -> None:
    a, b = ends(regions())
    message = sent(a, address(b, "B"), 1, 2, 3)
    whole = read(message)
    turned = replace(whole, frames=whole.frames[::-1], bodies=whole.bodies[::-1])
    refused(b, turned, Malformed, "do not lead to the signed root")
    arrives(a, b, message)


def test_a_frame_that_is_no_protobuf(regions: Regions) -> None:
    a, b = ends(regions())
    address(b, "B")
    strange = envelope(a, B, [b"\xff\xff\xff"], [bytes(16)], merkle.Frontier())
    refused(b, strange, Malformed, "not a protobuf Frame")


def test_a_body_that_is_not_the_one_committed_to(regions: Regions) -> None:
    a, b = ends(regions())
    message = sent(a, address(b, "B"), 1, 2)
    whole = read(message)
    refused(b, replace(whole, bodies=whole.bodies[::-1]), Malformed, "another|not the one its frame commits to")
    arrives(a, b, message)


# -- how much ---------------------------------------------------------------------------------------------------------


def test_more_frames_than_an_envelope_may_have(regions: Regions) -> None:
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    many = [offer(to, id_=i.to_bytes(16, "big")) for i in range(limits.FRAMES_PER_ENVELOPE + 1)]
    refused(b, forge(a, B, many), Malformed, "1025 frames")


def test_a_frame_larger_than_a_frame_may_be(regions: Regions) -> None:
    a, b = ends(regions())
    address(b, "B")
    refused(b, envelope(a, B, [bytes(limits.FRAME_BYTES + 1)], [b""], merkle.Frontier()), TooLarge, "a frame of 513")


def test_a_message_larger_than_a_message_may_be() -> None:
    with pytest.raises(TooLarge):
        wire.decode(bytes(limits.MESSAGE_BYTES + 1))


def test_more_frames_than_were_granted(regions: Regions) -> None:
    """A head over more than the credit is refused before its frames are parsed, wherever it begins."""
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    granted = b.writer.channels[A].granted
    far = merkle.Frontier().extend([bytes(32)] * granted)
    before = rows(b)
    frame = codec.encode_frame(offer(to), 0, a.writer.channels[B].epoch.number)
    refused(b, envelope(a, B, [frame], [offer(to).body], far), TooLarge, f"may grow to {granted}")
    head = {"first": 0, "first_root": merkle.EMPTY_ROOT, "size": granted + 1}
    refused(b, envelope(a, B, [frame], [offer(to).body], merkle.Frontier(), **head), ProtocolError)
    assert rows(b) == before
