"""A member that signs junk, duplicates and nonsense: each costs a bounded amount, and the offender is known by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.protocol import codec, limits
from gateway.protocol.buckets import What
from gateway.protocol.errors import TooLarge
from gateway.protocol.values import Delivered, Draft, Envelope, Gap, Kind
from gateway.transport import messages
from node.region import LocalRegion
from node.services.account import OpenAccount
from node.services.command import handles
from node.services.office import Office
from node.services.writer import WriterThread
from node.store.batch import Batch, Wishes
from node.store.engine import Store
from tests.federation import Pair, TestRegion, found_federation, pair, plain_terms
from tests.services.delivery import ends
from tests.services.ledger import address, order, points, resident
from tests.services.neighbour import Neighbour

A, B, C = 330100, 330200, 330600


@pytest.fixture
def region(store: Store) -> TestRegion:
    """Region B, on each kind of database."""
    made = TestRegion(B, found_federation([A, B, C]), plain_terms([A, B, C]), store=store)
    made.one(OpenAccount(name="resident"))
    return made


@pytest.fixture
def neighbour(region: TestRegion) -> Neighbour:
    """Region A."""
    return Neighbour(A, region)


def junk(count: int, first: int = 0) -> list[Draft]:
    """Requests of a kind nobody knows."""
    salt = bytes(16)
    return [Draft(99, False, (first + i).to_bytes(16, "big"), salt + b"?") for i in range(count)]


@contextmanager
def running(region: TestRegion) -> Iterator[LocalRegion]:
    """The region as the transport sees it, under a clock that stands still."""
    thread = WriterThread(region.writer)
    try:
        yield LocalRegion(region.office, region.store, thread, region.exchange, seconds=lambda: 0.0)
    finally:
        thread.stop()


def credit(said: Any) -> int:
    """By how much the log may grow beyond what is receipted."""
    (delivered,) = [m for m in said if isinstance(m, Delivered)]
    receipt: Any = codec.decode_payload(codec.RECEIPT, delivered.receipt.payload)
    return delivered.credit_size - int(receipt.size)


async def test_endless_junk_lowers_the_senders_credit_and_nobody_elses(region: TestRegion) -> None:
    bad, good = Neighbour(A, region), Neighbour(C, region)
    with running(region) as local:
        assert credit(await local.hear(A, bad.envelope(junk(1)))) == limits.CREDIT_FRAMES
        for n in range(limits.REFUSED_BURST // 1024 + 1):
            said = await local.hear(A, bad.envelope(junk(1024, 1 + 1024 * n)))
        assert credit(said) >= limits.CREDIT_FRAMES_THROTTLED
        assert local.allowance(A).is_throttled(What.REFUSED)
        assert local.allowance(A).wait_s() > 0
        assert credit(await local.hear(A, bad.envelope(junk(1, 99_000)))) == limits.CREDIT_FRAMES_THROTTLED
        assert credit(await local.hear(C, good.envelope(junk(1)))) == limits.CREDIT_FRAMES
        assert local.allowance(C).wait_s() == 0
    assert region.writer.channels[A].held == bad.channel.size, "its log is not blocked"


async def test_an_honest_request_after_junk_is_still_taken(region: TestRegion, neighbour: Neighbour) -> None:
    with running(region) as local:
        local.allowance(A).charge(What.REFUSED, 2 * limits.REFUSED_BURST)
        before = region.writer.channels[A].held
        said = await local.hear(A, neighbour.envelope(junk(1)))
        assert credit(said) == limits.CREDIT_FRAMES_THROTTLED
    assert region.writer.channels[A].held == before + 1


async def test_beyond_its_credit_a_sender_is_refused_and_nothing_is_committed(region: TestRegion) -> None:
    bad = Neighbour(A, region)
    ahead: list[Envelope] = [bad.envelope(junk(1024, 1024 * n)) for n in range(limits.CREDIT_FRAMES // 1024 + 1)]
    with running(region) as local:
        for envelope in ahead[1:-1]:  # the first is kept back: nothing can be committed
            assert await local.hear(A, envelope) == [Gap(size=0)]
        with pytest.raises(TooLarge, match="before the next receipt"):
            await local.hear(A, ahead[-1])
        assert region.writer.channels[A].held == 0
        await local.hear(A, ahead[0])  # and with a receipt comes credit
        for envelope in ahead[1:]:
            assert credit(await local.hear(A, envelope)) >= 0
    assert region.writer.channels[A].held == bad.channel.size


async def test_a_grant_that_is_lowered_leaves_good_what_was_granted(region: TestRegion) -> None:
    honest = Neighbour(A, region)
    ahead = [honest.envelope(junk(1024, 1024 * n)) for n in range(limits.CREDIT_FRAMES // 1024)]
    with running(region) as local:
        local.allowance(A).charge(What.REPEATS, 2 * limits.REPEATS_BURST)
        for envelope in ahead:
            await local.hear(A, envelope)
    assert region.writer.channels[A].held == honest.channel.size


def test_an_honest_sender_keeps_to_its_credit_and_gets_everything_across() -> None:
    made = pair((A, B), open_now=False)
    a, b = made.regions[A], made.regions[B]
    b.exchange.credit_frames = lambda _peer: 3
    made.open()
    resident(a, "A", 100)
    resident(b, "B")
    to = address(b, "B")
    for _ in range(20):
        a.one(order(to, 1))
    while True:
        made.collect()
        for source, _, said in made.wire:
            message = messages.decode(said)
            if source == A and isinstance(message, Envelope):
                head: Any = codec.decode_payload(codec.HEAD, message.head.payload)
                assert head.size <= b.writer.channels[A].held + 3
        if not made.wire:
            break
        made.deliver()
    assert points(b, "B") == (20, 0, 0)


async def test_duplicates_and_gaps_are_counted_against_their_sender(region: TestRegion, neighbour: Neighbour) -> None:
    once, later = neighbour.envelope(junk(1)), neighbour.envelope(junk(1, 1))
    beyond = neighbour.envelope(junk(1, 2))
    with running(region) as local:
        await local.hear(A, once)
        await local.hear(A, later)
        for _ in range(limits.REPEATS_BURST):
            await local.hear(A, once)
        assert local.allowance(A).wait_s() == 0
        assert isinstance((await local.hear(A, once))[0], Delivered), "answered all the same"
        assert local.allowance(A).is_throttled(What.REPEATS)
        assert local.allowance(A).over[What.REPEATS] == 1
        await local.hear(A, beyond)
        assert local.allowance(A).over[What.REPEATS] == 1


def test_what_is_in_vain_is_counted_by_the_frame_and_honest_transfers_never_are() -> None:
    made = pair((A, B))
    a, b = ends(made)
    counted: Counter[int] = Counter()
    for region in (a, b):
        region.writer.on_refused(lambda peer, frames: counted.update({peer: frames}))
    a.do(*(order(address(b, "B"), 1) for _ in range(20)))
    made.pump()
    assert points(b, "B") == (20, 0, 0)
    assert counted.total() == 0
    b.one(Odd(peer=A, reply=False))
    b.one(Odd(peer=A, reply=True))
    made.pump()
    assert counted == {A: 1, B: 2}, "the refusal of what A never asked for is in vain too"


# -- nobody keeps anybody talking -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Odd:
    """Say something nobody knows."""

    peer: int
    reply: bool


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Looks at no account."""


@handles(Odd, _nothing)
def odd(command: Odd, office: Office, batch: Batch) -> None:
    """Say it in the log."""
    batch.say(command.peer, Draft(99, command.reply, office.random(16), office.salt() + b"?"), None)


@pytest.mark.parametrize(("reply", "answers"), [(False, 1), (True, 0)], ids=["requests", "replies"])
def test_two_regions_that_say_unknown_things_to_each_other_fall_silent(reply: bool, answers: int) -> None:
    made: Pair = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    for _ in range(5):
        a.one(Odd(peer=B, reply=reply))
        b.one(Odd(peer=A, reply=reply))
    made.pump(at_most=200)
    assert a.writer.channels[B].size == b.writer.channels[A].size == 5 * (1 + answers)


def test_a_liar_that_refuses_refusals_is_not_answered(region: TestRegion, neighbour: Neighbour) -> None:
    (refusal,) = neighbour.say(*junk(1))
    assert (refusal[0].kind, refusal[0].reply) == (Kind.REFUSE, True)
    body = bytes(16) + codec.encode_refuse(1, b"")  # type: ignore[arg-type]
    for kind in (Kind.REFUSE, Kind.ACCEPT, 99):
        assert neighbour.say(Draft(kind, True, refusal[0].id, body)) == []
