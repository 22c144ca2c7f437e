"""Envelopes that come again, early, late or under a wrong clock: nothing moves twice, nothing is lost."""

from __future__ import annotations

import pytest

from gateway.protocol import codec, merkle
from gateway.protocol.channel import Condition
from gateway.protocol.errors import SkewedClock
from gateway.protocol.values import Ask, Delivered, Gap, NotReady, Signed
from node.services.handshake import Begin
from tests.federation import Clock
from tests.services.conftest import Regions
from tests.services.delivery import MINUTES, A, B, alias_of, ends, read, refused, sent
from tests.services.ledger import address, envelope, forge, ledger, offer, order, points, resident, rows

# -- when -------------------------------------------------------------------------------------------------------------


def test_a_replayed_envelope(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    message = sent(a, address(b, "B"), 1, 2, 3)
    (first,) = b.hear(A, read(message))
    before = rows(b)
    for _ in range(3):
        (again,) = b.hear(A, read(message))
        assert again == first
    assert rows(b) == before
    made.pump()
    assert points(a, "A")[0] + points(b, "B")[0] == 100


def test_reordered_and_gapped_batches(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    batches = [read(sent(a, to, 1)), read(sent(a, to, 2)), read(sent(a, to, 3))]
    before = rows(b)
    for early in (batches[2], batches[1]):
        assert b.hear(A, early) == [Gap(size=0)]
    assert rows(b) == before
    b.hear(A, batches[0])
    assert b.hear(A, batches[2]) == [Gap(size=1)]
    b.hear(A, batches[1])
    b.hear(A, batches[2])
    b.hear(A, batches[0])
    assert b.writer.channels[A].held == 3
    made.pump()
    assert points(b, "B") == (6, 0, 0)


def test_batches_cut_otherwise_than_before(regions: Regions) -> None:
    """What is held already is passed over frame by frame."""
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    small = [read(sent(a, to, 1)), read(sent(a, to, 2))]
    b.hear(A, small[0])
    whole = envelope(
        a, B, [*small[0].frames, *small[1].frames], [*small[0].bodies, *small[1].bodies], merkle.Frontier()
    )
    (delivered,) = b.hear(A, whole)
    assert isinstance(delivered, Delivered)
    assert b.writer.channels[A].held == 2
    made.pump()
    assert points(b, "B") == (3, 0, 0)


@pytest.mark.parametrize("minutes", [-11, 11])
def test_a_clock_more_than_ten_minutes_off(regions: Regions, minutes: int) -> None:
    a, b = ends(regions())
    good = forge(a, B, [offer(alias_of(address(b, "B")))], signed_at_ms=b.clock() + minutes * MINUTES)
    refused(b, good, SkewedClock, "after" if minutes > 0 else "before")


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_ten_minutes_off_is_borne(regions: Regions, minutes: int) -> None:
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    a.clock = a.office.clock = Clock()
    a.clock.skew_ms = minutes * MINUTES
    a.one(order(to, 40))
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((60, 0, 0), (40, 0, 0))


def test_a_clock_that_was_wrong_and_is_set_right(regions: Regions) -> None:
    """A fault of transport: heads are signed again when they are sent again."""
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    a.clock = a.office.clock = Clock()
    a.clock.skew_ms = 60 * MINUTES
    a.one(order(to, 40))
    before = rows(b)
    with pytest.raises(SkewedClock):
        made.pump()
    assert rows(b) == before
    a.clock.skew_ms = 0
    made.restart(A)
    assert (points(a, "A"), points(b, "B")) == ((60, 0, 0), (40, 0, 0))


# -- not yet ----------------------------------------------------------------------------------------------------------


def test_an_envelope_before_the_handshake(regions: Regions) -> None:
    made = regions(open_now=False)
    a, b = ends(made)
    b.say(A, Begin(peer=A))
    before = ledger(b)
    a.say(B, Begin(peer=B))
    assert b.hear(A, forge(a, B, [offer(bytes(10))])) == [NotReady()]
    assert ledger(b) == before
    assert b.writer.channels[A].condition is Condition.OPEN


def test_an_envelope_of_an_older_incarnation(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    late = read(sent(a, address(b, "B"), 7))
    made.restart(A)
    before = rows(b)
    (stale,) = b.hear(A, late)
    assert isinstance(stale, Signed)
    assert stale.payload_type == codec.STALE
    assert rows(b) == before


def test_a_frame_that_has_seen_what_was_never_said(regions: Regions) -> None:
    """Nothing is committed, and the region asks."""
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    ahead = codec.encode_frame(offer(to), 7, a.writer.channels[B].epoch.number)
    before = rows(b)
    (asked,) = b.hear(A, envelope(a, B, [ahead], [offer(to).body], merkle.Frontier()))
    assert isinstance(asked, Signed)
    assert isinstance(codec.decode_payload(codec.ASK, asked.payload), Ask)
    assert rows(b) == before


def test_an_envelope_for_a_region_that_does_not_know_yet_that_its_peer_is_ready(regions: Regions) -> None:
    """It was told "not yet" and nobody tells it more. What knocks makes it ask, without waiting for a repetition."""
    made = regions()
    a, b = ends(made)
    to = address(a, "A")
    for region in (a, b):
        region.start()
    made.send(A, B, a.say(B, Begin(peer=B)))
    while made.wire:
        made.deliver()  # B fences A and is not ready itself
    made.send(B, A, b.say(A, Begin(peer=A)))
    while made.wire:
        made.deliver()  # A fences B and is ready: B knows that, A does not know that B is
    resident(b, "B", 10)
    b.one(order(to, 10, account="B"))
    made.pump(at_most=50)
    assert points(a, "A") == (110, 0, 0)
