"""One stream, where the network cannot be made to misbehave on demand."""

import asyncio
from collections.abc import Callable

import grpc
import pytest

from gateway.protocol import codec
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.values import Delivered, Envelope, Fault, Gap, Hello
from gateway.transport import messages
from gateway.transport.conversation import ANSWERS_WAITING, Conversation
from gateway.transport.errors import Ended
from tests.transport.regions import DEADLINE_S, HANGZHOU, NINGBO, Town, signed

Make = Callable[[int], Town]


class Pipe:
    """The far end of a stream, in memory."""

    def __init__(self) -> None:
        self.to_hear: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.said: asyncio.Queue[messages.Message | messages.Unknown] = asyncio.Queue()
        self.listening = asyncio.Event()
        self.listening.set()

    async def read(self) -> bytes | None:
        data = await self.to_hear.get()
        if isinstance(data, Exception):
            raise data
        return data

    async def write(self, data: bytes) -> None:
        await self.listening.wait()
        self.said.put_nowait(messages.decode(data))


def conversation(a: Town, b: Town, pipe: Pipe) -> Conversation:
    peer = a.region.peers()[b.code]
    return Conversation(
        region=a.region, peer=peer, stream=pipe, dialled_by=b.code, presented=peer.certificates, since_ms=0
    )


def envelope(first: int, frame: bytes) -> bytes:
    return messages.encode(Envelope(head=signed(codec.HEAD, b"%d" % first), frames=(frame,), bodies=(frame,)))


async def ends(one: Conversation) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await one.run()


async def test_a_peer_that_asks_without_listening_is_not_answered_for_ever(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    pipe.listening.clear()
    for _ in range(ANSWERS_WAITING + 10):
        pipe.to_hear.put_nowait(b"\xaa\x06\x00")
    with pytest.raises(TooLarge):
        await ends(conversation(a, b, pipe))


async def test_reading_goes_on_while_the_peer_does_not_read(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    pipe.listening.clear()
    talk = conversation(a, b, pipe)
    running = asyncio.create_task(ends(talk))
    a.region.send(NINGBO, *[b"x"] * 9)
    pipe.to_hear.put_nowait(messages.encode(Gap(size=0)))
    for n in range(20):
        pipe.to_hear.put_nowait(envelope(n, b"y"))
    await a.region.until(lambda: len(a.region.held[NINGBO]) == 20)
    talk.close()
    await running


async def test_receipts_are_said_in_the_order_of_the_envelopes(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    a.region.gates[NINGBO] = asyncio.Event()
    talk = conversation(a, b, pipe)
    running = asyncio.create_task(ends(talk))
    for n in range(4):
        pipe.to_hear.put_nowait(envelope(n, b"y"))
    pipe.to_hear.put_nowait(messages.encode(Fault(what="heard after them")))
    await a.region.until(lambda: a.region.hearing[NINGBO] == 4)
    assert a.region.faults == []
    a.region.gates[NINGBO].set()
    await a.region.until(lambda: a.region.faults != [])
    talk.close()
    await running
    said = [pipe.said.get_nowait() for _ in range(pipe.said.qsize())]
    assert [m.credit_size for m in said if isinstance(m, Delivered)] == [1, 2, 3, 4]


async def test_what_was_heard_is_finished_and_answered_although_the_stream_closes(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    a.region.gates[NINGBO] = asyncio.Event()
    talk = conversation(a, b, pipe)
    running = asyncio.create_task(ends(talk))
    pipe.to_hear.put_nowait(envelope(0, b"y"))
    await a.region.until(lambda: a.region.hearing[NINGBO] == 1)
    talk.close()
    pipe.to_hear.put_nowait(envelope(1, b"too late"))
    a.region.gates[NINGBO].set()
    await running
    assert a.region.held[NINGBO] == [b"y"]
    said = [pipe.said.get_nowait() for _ in range(pipe.said.qsize())]
    assert [m.credit_size for m in said if isinstance(m, Delivered)] == [1]


async def test_the_stream_breaks_while_something_is_heard_and_that_is_still_finished(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    a.region.gates[NINGBO] = asyncio.Event()
    running = asyncio.create_task(ends(conversation(a, b, pipe)))
    pipe.to_hear.put_nowait(envelope(0, b"y"))
    await a.region.until(lambda: a.region.hearing[NINGBO] == 1)
    pipe.to_hear.put_nowait(Ended(grpc.StatusCode.UNAVAILABLE, "connection reset"))
    done, _ = await asyncio.wait([running], timeout=0.1)
    assert not done, "the next stream with this peer may not begin yet"
    a.region.gates[NINGBO].set()
    with pytest.raises(Ended):
        await running
    assert a.region.held[NINGBO] == [b"y"]


async def test_a_second_hello(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    hello: Hello = b.region.hello(HANGZHOU)
    pipe.to_hear.put_nowait(messages.encode(hello))
    with pytest.raises(Malformed, match="once"):
        await ends(conversation(a, b, pipe))


async def test_the_peer_ends_in_good_order(town: Make) -> None:
    a, b, pipe = town(HANGZHOU), town(NINGBO), Pipe()
    pipe.to_hear.put_nowait(None)
    await ends(conversation(a, b, pipe))
    assert pipe.said.get_nowait() == Gap(size=0)
