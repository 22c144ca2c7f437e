"""Two or more couriers over real mutual TLS on loopback."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from gateway.protocol import limits
from tests.transport.regions import HANGZHOU, JIAXING, NINGBO, SHAOXING, Town

Make = Callable[[int], Town]


def frames(name: str, count: int = 20) -> list[bytes]:
    return [f"{name} {i}".encode() for i in range(count)]


async def converse(a: Town, b: Town, name: str) -> None:
    """Both send; both hear everything in order and have it receipted."""
    there, back = frames(f"{name} there"), frames(f"{name} back")
    a.region.send(b.code, *there)
    b.region.send(a.code, *back)
    await both_hold(a, b)


async def both_hold(a: Town, b: Town) -> None:
    for x, y in ((a, b), (b, a)):
        await y.region.until(lambda x=x, y=y: y.region.held[x.code] == x.region.sent[y.code])
        await x.region.until(lambda x=x, y=y: x.region.receipted[y.code] == len(x.region.sent[y.code]))


async def test_two_regions_exchange_in_order_and_get_receipts(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start()
    await b.start(dialable=False)
    await converse(a, b, "first")
    await converse(a, b, "second")
    assert a.region.opened_count[b.code] == b.region.opened_count[a.code] == 1


@pytest.mark.parametrize("outbound_only", [HANGZHOU, NINGBO])
async def test_a_region_that_can_only_dial_takes_part_fully(town: Make, outbound_only: int) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    dials, listens = (a, b) if outbound_only == a.code else (b, a)
    await listens.start()
    await dials.start(dialable=False)
    await converse(a, b, "first")
    assert listens.courier is not None
    assert listens.courier.status(dials.code).dialled_by == dials.code


async def test_a_region_that_nobody_can_dial_is_waited_for_and_then_gets_what_was_kept(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start()
    a.region.send(b.code, *frames("kept"))
    await b.start(dialable=False)
    await both_hold(a, b)
    assert a.region.kept[0][1].failures == 0, "nobody dials a peer without an address"


@pytest.mark.parametrize("attempt", range(5))
async def test_both_dial_at_once_and_one_stream_stays_and_nothing_is_lost(town: Make, attempt: int) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start(dialable=False)
    await b.start(dialable=False)
    a.publish()
    b.publish()
    a.region.send(b.code, *frames("there"))
    b.region.send(a.code, *frames("back"))
    for x, y in ((a, b), (b, a)):
        await x.region.until(lambda x=x, y=y: x.courier is not None and x.courier.status(y.code).dialled_by == a.code)
    await converse(a, b, "on the stream that stays")
    opened = (a.region.opened_count[b.code], b.region.opened_count[a.code])
    await converse(a, b, "after")
    assert opened == (a.region.opened_count[b.code], b.region.opened_count[a.code])


async def test_the_lower_codes_stream_takes_the_place_of_the_higher_ones(town: Make) -> None:
    low, high = town(HANGZHOU), town(NINGBO)
    await low.start()
    high_courier = await high.start(dialable=False)
    await converse(low, high, "dialled by the higher")
    high.publish()
    stream = await low.dial(high)
    await high.region.until(lambda: high.region.opened_count[low.code] == 2)
    assert high_courier.status(low.code).dialled_by == low.code
    await stream.close()
    await converse(low, high, "whoever dials again")


async def test_the_higher_codes_second_stream_waits_and_goes_when_it_is_taken_back(town: Make) -> None:
    low, high = town(HANGZHOU), town(NINGBO)
    await low.start(dialable=False)
    await high.start()
    low.region.send(high.code, b"begin")
    await both_hold(low, high)
    low.publish()
    assert low.courier is not None
    rival = asyncio.create_task(high.dial(low))
    ended, _ = await asyncio.wait([rival], timeout=0.5)
    assert not ended, "no Hello while the stream stands that stays"
    rival.cancel()
    await converse(low, high, "after")
    assert low.courier.status(high.code).dialled_by == low.code
    assert low.region.opened_count[high.code] == 1


async def test_the_higher_codes_second_stream_stands_when_it_is_not_taken_back(town: Make) -> None:
    """The lower has not noticed that its stream is dead; the higher has."""
    low, high = town(HANGZHOU), town(NINGBO)
    await low.start(dialable=False)
    await high.start()
    low.region.send(high.code, b"begin")
    await both_hold(low, high)
    low.publish()
    stream = await high.dial(low)
    assert low.courier is not None
    assert low.courier.status(high.code).dialled_by == high.code
    await stream.close()
    await converse(low, high, "after")


async def test_a_killed_region_comes_back_and_hears_what_it_missed(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start()
    await b.start()
    await converse(a, b, "before")
    await b.stop()
    a.region.send(b.code, *frames("missed"))
    b.restart()
    await b.start()
    await both_hold(a, b)


async def test_stopping_finishes_what_is_being_heard(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start()
    await b.start()
    b.region.gates[a.code] = asyncio.Event()
    a.region.send(b.code, b"in hand")
    await b.region.until(lambda: b.region.hearing[a.code] == 1)
    stopping = asyncio.create_task(b.stop())
    b.region.gates[a.code].set()
    async with asyncio.timeout(8):
        await stopping
    assert b.region.held[a.code] == [b"in hand"]
    await a.region.until(lambda: a.region.receipted[b.code] == 1)


async def test_envelopes_overlap_up_to_the_limit_and_stay_in_order(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start()
    await b.start()
    b.region.gates[a.code] = asyncio.Event()
    a.region.send(b.code, *frames("many", 60))
    await b.region.until(lambda: b.region.hearing[a.code] == limits.ENVELOPES_IN_FLIGHT)
    b.region.gates[a.code].set()
    await both_hold(a, b)
    assert b.region.most_hearing[a.code] == limits.ENVELOPES_IN_FLIGHT


async def test_a_slow_peer_holds_up_nobody_else(town: Make) -> None:
    hub, slow, quick = town(HANGZHOU), town(NINGBO), town(SHAOXING)
    await hub.start()
    await slow.start(dialable=False)
    await quick.start(dialable=False)
    slow.region.gates[hub.code] = asyncio.Event()
    hub.region.send(slow.code, *frames("stuck", 100))
    await slow.region.until(lambda: slow.region.hearing[hub.code] > 0)
    await converse(hub, quick, "meanwhile")
    assert slow.region.held[hub.code] == []
    slow.region.gates[hub.code].set()
    await both_hold(hub, slow)


async def test_work_may_be_announced_from_any_thread(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start()
    await b.start()
    await converse(a, b, "first")
    writer = threading.Thread(target=a.region.send, args=(b.code, b"from the writer"))
    writer.start()
    writer.join()
    await both_hold(a, b)


async def test_four_regions_all_reach_each_other(town: Make) -> None:
    towns = [town(code) for code in (HANGZHOU, NINGBO, SHAOXING, JIAXING)]
    for one in towns:
        await one.start()
    for a in towns:
        for b in towns:
            if a is not b:
                a.region.send(b.code, *frames(f"{a.code} to {b.code}", 7))
    for a in towns:
        for b in towns:
            if a.code < b.code:
                await both_hold(a, b)
