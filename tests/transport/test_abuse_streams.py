"""A member that wants too much of the transport: refused or paced, visible, and no other peer is worse off."""

import asyncio
from collections.abc import Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.protocol import codec, limits
from gateway.protocol.buckets import What
from gateway.protocol.values import Delivered, Envelope, Fault, Gap, NotReady
from gateway.transport import messages
from gateway.transport.client import Dialled, fetch_rosters
from gateway.transport.conversation import Conversation
from gateway.transport.errors import Ended
from gateway.transport.server import PROBES_AT_ONCE
from gateway.transport.tls import client_credentials, dns_name
from tests.transport.regions import DEADLINE_S, HANGZHOU, NINGBO, SHAOXING, Town, signed
from tests.transport.test_conversation import Pipe, envelope
from tests.transport.test_refusals import bare

Make = Callable[[int], Town]


class Fast:
    """A clock a thousand times as fast as the wall's: what is paced need not be waited for."""

    def __init__(self) -> None:
        self._begun = asyncio.get_running_loop().time()

    def __call__(self) -> float:
        return (asyncio.get_running_loop().time() - self._begun) * 1000


async def three(town: Make) -> tuple[Town, Town, Town]:
    """A bad peer, a good one, and the region both speak to."""
    bad, good, b = town(HANGZHOU), town(SHAOXING), town(NINGBO)
    await b.start()
    return bad, good, b


async def ended(stream: Dialled) -> Ended:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while await stream.read() is not None:
                pass
    except Ended as e:
        return e
    finally:
        await stream.close()
    raise AssertionError("the stream ended in good order")


async def delivers(good: Town, b: Town) -> None:
    """An honest peer is heard as ever."""
    stream = await good.dial(b)
    await stream.write(messages.encode(Envelope(head=signed(codec.HEAD, b"0"), frames=(b"x",), bodies=(b"y",))))
    await b.region.until(lambda: b.region.held[good.code] == [b"x"])
    await stream.close()


def over(b: Town, peer: int) -> dict[str, int]:
    assert b.courier is not None
    return dict(b.courier.status(peer).over)


async def test_a_peer_that_opens_streams_without_end_is_turned_away_until_later(town: Make) -> None:
    bad, good, b = await three(town)
    turned_away: list[Ended] = []
    for _ in range(limits.STREAMS_BURST + 4):
        try:
            await (await bad.dial(b)).close()
        except Ended as e:
            turned_away.append(e)
            break
    (status,) = turned_away
    assert (status.code, status.rule) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "THROTTLED")
    assert status.retry_after_s >= 1
    assert b.courier is not None
    seen = b.courier.status(HANGZHOU)
    assert seen.throttled_for == ("streams",)
    assert seen.throttled_since_ms > 0
    assert b.courier.status(SHAOXING).throttled_for == ()
    await delivers(good, b)


async def test_streams_that_say_nothing_have_few_places_and_take_no_others(town: Make) -> None:
    bad, good, b = await three(town)
    silent = [await bare(bad, b) for _ in range(limits.STREAMS_PER_REGION + 6)]
    reading = [asyncio.create_task(one.read()) for one in silent]
    refused = 0
    async with asyncio.timeout(DEADLINE_S):
        for read in asyncio.as_completed(reading):
            with pytest.raises(Ended) as failure:
                await read
            assert failure.value.rule == "THROTTLED"
            refused += 1
            if refused == 6:
                break
    await delivers(good, b)
    await asyncio.gather(*(one.close() for one in silent))
    await asyncio.gather(*reading, return_exceptions=True)


async def test_health_watched_without_end_takes_no_places_of_streams(town: Make) -> None:
    bad, good, b = await three(town)
    options = [("grpc.ssl_target_name_override", dns_name(NINGBO))]
    peer = bad.region.peers()[NINGBO]
    channel = grpc.aio.secure_channel(peer.endpoint, client_credentials(peer, bad.material), options=options)
    stub = health_pb2_grpc.HealthStub(channel)
    watching = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(PROBES_AT_ONCE)]
    async with asyncio.timeout(DEADLINE_S):
        for watch in watching:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.Check(health_pb2.HealthCheckRequest())
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await delivers(good, b)
    for watch in watching:
        watch.cancel()
    await channel.close()


async def test_a_flood_of_roster_requests_is_refused_and_others_still_get_theirs(town: Make) -> None:
    bad, good, b = await three(town)
    peer = bad.region.peers()[NINGBO]
    b.region.allowance(HANGZHOU).charge(What.ROSTERS, limits.ROSTER_REQUESTS_BURST)
    with pytest.raises(Ended) as failure:
        await fetch_rosters(peer, bad.material, 0)
    assert (failure.value.code, failure.value.rule) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "THROTTLED")
    assert failure.value.retry_after_s >= 1
    assert over(b, HANGZHOU) == {"rosters": 1}
    assert await fetch_rosters(good.region.peers()[NINGBO], good.material, 0) == ([], False)


async def test_a_flood_of_handshake_messages_is_heard_no_faster_than_the_rate(town: Make) -> None:
    bad, good, b = await three(town)
    b.region.seconds = lambda: 0.0  # time stands still: what is heard now is the burst, and what was under way
    stream = await bad.dial(b)
    heard: list[object] = []
    hear = b.region.hear

    async def counted(peer: int, message: messages.Message) -> object:
        heard.append(message)
        return await hear(peer, message)

    b.region.hear = counted  # type: ignore[method-assign,assignment]
    flood = asyncio.create_task(_write_for_ever(stream, messages.encode(NotReady())))
    await b.region.until(lambda: (HANGZHOU, What.HANDSHAKES, True) in b.region.episodes)
    await delivers(good, b)
    assert len([m for m in heard if isinstance(m, NotReady)]) <= limits.HANDSHAKES_BURST + 1
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
    await stream.close()


async def _write_for_ever(stream: Dialled, data: bytes) -> None:
    while True:
        await stream.write(data)


async def test_a_paced_peer_is_heard_in_the_end(town: Make) -> None:
    bad, _, b = await three(town)
    b.region.seconds = Fast()
    stream = await bad.dial(b)
    for _ in range(2 * limits.HANDSHAKES_BURST):
        await stream.write(messages.encode(Gap(size=0)))
    await stream.write(messages.encode(Envelope(head=signed(codec.HEAD, b"0"), frames=(b"x",), bodies=(b"y",))))
    await b.region.until(lambda: b.region.held[HANGZHOU] == [b"x"])
    await stream.close()


async def test_streams_of_garbage_are_turned_away_once_there_were_many(town: Make) -> None:
    bad, good, b = await three(town)
    b.region.seconds = lambda: 0.0
    codes = []
    for _ in range(limits.MALFORMED_BURST + 2):
        try:
            stream = await bad.dial(b)
        except Ended as e:
            codes.append((e.code, e.rule))
            break
        await stream.write(b"\xff\xff")
        assert (await ended(stream)).code is grpc.StatusCode.INVALID_ARGUMENT
    assert codes == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "THROTTLED")]
    assert over(b, HANGZHOU)["malformed"] >= 1
    await delivers(good, b)


async def test_a_peer_that_never_reads_loses_its_stream_and_nobody_waits_for_it(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    pipe.listening.clear()
    peer = a.region.peers()[NINGBO]
    talk = Conversation(
        region=a.region, peer=peer, stream=pipe, dialled_by=NINGBO, presented=peer.certificates, since_ms=0,
        write_wait_s=0.01,
    )  # fmt: skip
    with pytest.raises(Ended, match="read nothing") as failure:
        async with asyncio.timeout(DEADLINE_S):
            await talk.run()
    assert failure.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert b.code == NINGBO


async def test_while_a_peer_owes_it_is_still_spoken_to(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    a.region.seconds = lambda: 0.0
    a.region.allowance(NINGBO).charge(What.REFUSED, limits.REFUSED_BURST + 1)
    a.region.send(NINGBO, b"1", b"2")
    peer = a.region.peers()[NINGBO]
    talk = Conversation(
        region=a.region, peer=peer, stream=pipe, dialled_by=NINGBO, presented=peer.certificates, since_ms=0
    )
    pipe.to_hear.put_nowait(messages.encode(Gap(size=0)))  # heard: it is what comes after that waits
    pipe.to_hear.put_nowait(envelope(0, b"later"))
    running = asyncio.create_task(talk.run())
    async with asyncio.timeout(DEADLINE_S):
        while not isinstance(await pipe.said.get(), Envelope):
            pass
    assert a.region.held[NINGBO] == []
    talk.close()
    await running
    assert b.code == NINGBO


async def test_messages_nobody_knows_are_answered_and_answers_to_them_are_not(town: Make) -> None:
    """Two of these conversations cannot keep each other busy: a Fault is never answered."""
    a, _, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    peer = a.region.peers()[NINGBO]
    talk = Conversation(
        region=a.region, peer=peer, stream=pipe, dialled_by=NINGBO, presented=peer.certificates, since_ms=0
    )
    running = asyncio.create_task(talk.run())
    pipe.to_hear.put_nowait(b"\xaa\x06\x00")
    for _ in range(20):
        pipe.to_hear.put_nowait(messages.encode(Fault(what="unknown message: field 101")))
    pipe.to_hear.put_nowait(envelope(0, b"x"))
    await a.region.until(lambda: a.region.held[NINGBO] == [b"x"])
    talk.close()
    await running
    said = [pipe.said.get_nowait() for _ in range(pipe.said.qsize())]
    assert len([m for m in said if isinstance(m, Fault)]) == 1
    assert len([m for m in said if isinstance(m, Delivered)]) == 1
