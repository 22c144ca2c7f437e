"""One conversation per peer, whoever dialled; exactly one stream when both dial.

Which of two streams stays is the same on both sides: the one dialled by the lower code, and among streams dialled by
the same side the newest. A peer that nobody has anything to say to costs its stream and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc
import structlog

from gateway.ports import Peer, Region
from gateway.protocol import limits
from gateway.protocol.buckets import What
from gateway.protocol.values import Hello
from gateway.transport import admission, messages
from gateway.transport.client import HELLO_WAIT_S, Dialled, Sleep
from gateway.transport.conversation import Conversation
from gateway.transport.dialler import DIALS_AT_ONCE, Dialler
from gateway.transport.errors import Ended, Outdone, Stopping, Throttled, describe
from gateway.transport.gossip import ASK_S, Gossip
from gateway.transport.links import Link, Standing, outranks
from gateway.transport.server import Received, Server
from gateway.transport.tls import MaterialFiles

#: At a start with more peers than are dialled at once, so many a second are begun.
DIALS_PER_S = 200.0
#: A second stream from the side whose streams do not stay: either that side takes it back within this time, because
#: both had dialled, or it has lost the stream that seems to stand here. In seconds.
RIVAL_GRACE_S = 2.0
#: How long a stop waits for what is being heard, in seconds.
STOP_WAIT_S = 4.0

_log = structlog.get_logger(__name__)


def wall_clock_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Courier:
    """Carries messages between the region of this process and all its peers."""

    def __init__(
        self,
        region: Region,
        material: MaterialFiles,
        listen: str = "127.0.0.1:0",
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
        rng: random.Random | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Listens on `listen` (host:port; port 0 picks one). `now_ms` gives Unix milliseconds; `sleep` waits seconds
        between dials; `rng` draws jitter."""
        self._region, self._now_ms, self._rng = region, now_ms, rng or random.Random()
        self._server = Server(region, material, listen, self._received, now_ms)
        self._dialler = Dialler(region, material, self._dialled, now_ms=now_ms, rng=self._rng, sleep=sleep)
        self._gossip = Gossip(region, material, self._rng, self._look_round)
        self._links: dict[int, Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    @property
    def port(self) -> int:
        """The port listened on, once started."""
        return self._server.port

    async def start(self) -> None:
        """Listen, and dial every peer that can be dialled, for the handshake that every start begins with."""
        self._loop = asyncio.get_running_loop()
        await self._server.start()
        self._region.on_work(self._on_work)
        self._look_round()
        self._spawn(self._keep_asking_for_rosters())

    async def stop(self) -> None:
        """Take no new streams, finish what is being heard, end the streams. Takes a few seconds at most."""
        self._stopping = True
        accepting = asyncio.create_task(self._server.stop(STOP_WAIT_S))
        links = list(self._links.values())
        for task in [*self._tasks, *(link.dialling for link in links if link.dialling is not None)]:
            task.cancel()
        for link in links:
            if link.conversation is not None:
                link.conversation.close()
        conversing = [link.task for link in links if link.task is not None]
        if conversing:
            await asyncio.wait(conversing, timeout=STOP_WAIT_S)
        await asyncio.wait([accepting], timeout=STOP_WAIT_S + 1.0)

    def status(self, peer: int) -> Standing:
        """How things stand with `peer`, for display."""
        link = self._links.get(peer) or Link(peer, self._region.back_off(peer))
        return link.standing(self._region.allowance(peer), self._now_ms())

    async def retry_now(self, peer: int) -> None:
        """Dial `peer` now, whatever its back-off says."""
        if not self._stopping:
            await self._dialler.order(self._link(peer))

    # -- work ---------------------------------------------------------------------------------------------------------

    def _on_work(self, peer: int) -> None:
        """Called by the region, on any thread."""
        if self._loop is not None and not self._stopping:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._work, peer)

    def _work(self, peer: int) -> None:
        link = self._link(peer)
        if link.conversation is not None:
            link.conversation.wake()
        elif not self._stopping:
            self._dialler.want(link)

    def _link(self, peer: int) -> Link:
        link = self._links.get(peer)
        if link is None:
            link = self._links[peer] = Link(peer, self._region.back_off(peer))
        return link

    def _look_round(self) -> None:
        """See to a stream with every peer that can be dialled; with very many new ones not all at once."""
        new = [p for p in self._region.peers().values() if p.endpoint and not self._link(p.code).stands()]
        spread_s = len(new) / DIALS_PER_S if len(new) > DIALS_AT_ONCE else 0.0
        for peer in new:
            self._dialler.want(self._link(peer.code), self._rng.uniform(0.0, spread_s))

    async def _keep_asking_for_rosters(self) -> None:
        while True:
            await asyncio.sleep(ASK_S * self._rng.uniform(0.5, 1.5))
            await self._gossip.ask_somebody()
            self._look_round()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- streams ------------------------------------------------------------------------------------------------------

    async def _dialled(self, link: Link, peer: Peer, stream: Dialled, mine: Hello, theirs: Hello) -> None:
        """A stream this side has dialled, with Hello said both ways."""
        conversation = Conversation(
            region=self._region,
            peer=peer,
            stream=stream,
            dialled_by=mine.source,
            presented=peer.certificates,
            since_ms=self._now_ms(),
        )
        await self._admit(link, conversation, mine.source, stream.close)
        self._spawn(self._gossip.heard_of(peer, theirs.roster_version))

    async def _received(self, stream: Received, certificate: bytes) -> None:
        """Conduct a stream that a peer has opened. Raises what ended it."""
        try:
            async with asyncio.timeout(HELLO_WAIT_S):
                data = await stream.read()
        except TimeoutError:
            raise Ended(grpc.StatusCode.DEADLINE_EXCEEDED, "no Hello came") from None
        if data is None:
            return
        theirs = admission.first_words(messages.decode(data))
        peer = admission.member(self._region.peers(), theirs.source, (certificate,))
        mine = self._region.hello(peer.code)
        admission.agree(mine, theirs)
        allowance = self._region.allowance(peer.code)
        wait_s = max(allowance.take(What.STREAMS), allowance.wait_s(What.MALFORMED))
        if wait_s > 0:
            raise Throttled(What.STREAMS, wait_s)
        conversation = Conversation(
            region=self._region,
            peer=peer,
            stream=stream,
            dialled_by=peer.code,
            presented=(certificate,),
            since_ms=self._now_ms(),
            greeting=mine,
        )
        task = await self._admit(self._link(peer.code), conversation, mine.source)
        self._spawn(self._gossip.heard_of(peer, theirs.roster_version))
        try:
            error = await asyncio.shield(task)
        except asyncio.CancelledError:  # the peer has left; what it said is still taken in
            conversation.close()
            raise
        if error is not None:
            raise error

    async def _admit(
        self, link: Link, new: Conversation, mine: int, close: Callable[[], Awaitable[None]] | None = None
    ) -> asyncio.Task[Exception | None]:
        """Let a stream stand, in the place of one that it outranks. Raises Outdone when it is the one to go."""
        waited: Conversation | None = None
        while (old := link.conversation) is not None and old is not waited and not outranks(new, old):
            if new.dialled_by == mine or link.task is None:
                raise Outdone(f"the stream dialled by region {old.dialled_by} stays")
            await asyncio.wait([link.task], timeout=RIVAL_GRACE_S)
            waited = old
        if self._stopping:
            raise Stopping("this side is going down")
        if old is not None:
            old.close()
        # From here on to the end nothing else runs: what stands is always in its place.
        if new.dialled_by < mine and link.dialling is not None:
            link.dialling.cancel()
        link.conversation = new
        link.task = asyncio.create_task(self._converse(link, new, link.task, close))
        link.hurry.set()
        return link.task

    async def _converse(
        self,
        link: Link,
        conversation: Conversation,
        before: asyncio.Task[Exception | None] | None,
        close: Callable[[], Awaitable[None]] | None,
    ) -> Exception | None:
        """Conduct a stream once the one before it is quite over; what ended it."""
        if before is not None:
            await asyncio.wait([before])
        self._spawn(self._dialler.contact(link))
        _log.info("stream_begins", peer=link.code, dialled_by=conversation.dialled_by)
        error: Exception | None = None
        try:
            await conversation.run()
        except Exception as e:
            error = e
        if close is not None:
            await close()
        _log.info(
            "stream_ends", peer=link.code, dialled_by=conversation.dialled_by, error=describe(error) if error else ""
        )
        if link.conversation is conversation:
            link.conversation = None
            if not self._stopping:
                await self._lost(link, conversation, error)
        return error

    async def _lost(self, link: Link, conversation: Conversation, error: Exception | None) -> None:
        """A stream that nothing replaces is over: whoever can dials again, so that both can be heard."""
        if self._now_ms() - conversation.since_ms >= limits.BACK_OFF_RESET_S * 1000:
            await self._dialler.contact(link)
        await self._dialler.failed(link, error)
        self._dialler.want(link)
