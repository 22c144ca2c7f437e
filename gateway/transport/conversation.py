"""One stream with one peer, from the first message after Hello to the last. The same whoever dialled.

Reading never waits for writing: two sides that both wait for the other to read would wait for ever. What the region is
asked is never cancelled half-way: a conversation is over only when all it asked has been answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import grpc
import structlog

from gateway.ports import Peer, Region
from gateway.protocol import codec, limits
from gateway.protocol.buckets import What
from gateway.protocol.errors import Malformed, PeerFault, TooLarge
from gateway.protocol.values import Delivered, Envelope, Fault, Hello, Message, Page, RosterHeld, RosterPart, Signed
from gateway.transport import messages
from gateway.transport.admission import member
from gateway.transport.errors import Ended, Stopping, describe
from gateway.transport.rosters import RosterTalk

#: What is said at the end (a receipt, the rule that was broken) gets this long to leave, in seconds.
FLUSH_S = 1.0
#: A peer that lets so many answers pile up asks without listening.
ANSWERS_WAITING = 256
#: Who has cost too much of one of these is read from more slowly. Streams are refused instead.
PACED = (What.HANDSHAKES, What.REPEATS, What.MALFORMED, What.REFUSED, What.PAGES, What.ROSTERS)

_log = structlog.get_logger(__name__)
T = TypeVar("T")


class Stream(Protocol):
    """A bidirectional stream of messages as bytes. One reader, one writer."""

    async def read(self) -> bytes | None:
        """The next message, None at the end. Raises Ended with the peer's status, if it gave one."""
        ...

    async def write(self, data: bytes) -> None:
        """Send one message; waits while the peer does not read. Raises Ended when the stream is over."""
        ...


def _cost(message: Message | messages.Unknown) -> What | None:
    """What a message costs for coming at all; of envelopes and receipts the region knows whether they bring news."""
    match message:
        case Envelope() | Delivered():
            return None
        case Page() | Signed(payload_type=codec.PULL):
            return What.PAGES
        case RosterHeld():
            return What.ROSTERS  # it may be answered with pages of them
    return What.HANDSHAKES


def being_cancelled() -> bool:
    """Whether somebody wants the current task to end. gRPC raises CancelledError also when only its call has ended."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Conversation:
    """Hears and speaks for the region on one stream."""

    def __init__(
        self,
        *,
        region: Region,
        peer: Peer,
        stream: Stream,
        dialled_by: int,
        presented: tuple[bytes, ...],
        since_ms: int,
        greeting: Hello | None = None,
        write_wait_s: float = limits.WRITE_WAIT_S,
    ) -> None:
        """`presented`: the certificates (DER) the stream rests on; it ends when one leaves the roster. `greeting`:
        one's own Hello, where it has not been said yet. `write_wait_s`: how long the peer may read nothing."""
        self.code = peer.code
        self.dialled_by = dialled_by
        self.since_ms = since_ms
        self._region, self._stream, self._presented, self._greeting = region, stream, presented, greeting
        self._allowance, self._write_wait_s = region.allowance(peer.code), write_wait_s
        self._rosters = RosterTalk(region, peer.code)
        self._outbox: deque[Message] = deque()
        self._wake, self._over = asyncio.Event(), asyncio.Event()
        self._failure: Exception | None = None
        self._met_unknown = False
        self._asked: set[asyncio.Task[Any]] = set()
        self._in_flight = asyncio.Semaphore(2 * limits.ENVELOPES_IN_FLIGHT)  # as many receipts as envelopes
        self._latest: asyncio.Task[bool] | None = None  # the envelope heard last; it ends after all before it

    def wake(self) -> None:
        """The region may have something to send."""
        self._wake.set()

    def close(self) -> None:
        """Hear nothing more; finish what is being heard, send its answers, and end."""
        self._over.set()
        self._wake.set()

    async def run(self) -> None:
        """Converse until :meth:`close` or the end of the stream.

        Raises PeerFault when the peer broke a rule, Ended when the peer or the network ended the stream, and the
        region's own error when it could not take something in.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            if not self._over.is_set():
                if self._greeting is not None:
                    await self._write(self._greeting)
                self._outbox.extend(await self._ask(self._region.opened(self.code)))
                tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak())]
            await self._over.wait()
        except Exception as e:
            self._fail(e)
        finally:
            await self._settle(tasks)
        if self._failure is not None:
            raise self._failure

    async def _settle(self, tasks: list[asyncio.Task[None]]) -> None:
        while self._asked:
            await asyncio.wait(self._asked)
        if tasks:
            await asyncio.wait(tasks[1:], timeout=FLUSH_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Put a question to the region that runs to its end whatever becomes of the stream."""
        task = asyncio.create_task(question)
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise Stopping("the region has stopped") from None
            raise

    def _fail(self, error: Exception) -> None:
        """End the stream because of `error`; the first one counts. A broken rule is also said on the stream, because
        the side that dialled has no status to send."""
        if self._failure is None and not self._over.is_set():
            self._failure = error
            if isinstance(error, PeerFault):
                self._allowance.charge(What.MALFORMED)
                self._outbox.append(Fault(what=f"{type(error).__name__}: {error}"))
        self.close()

    # -- hearing ------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            while (data := await self._stream.read()) is not None:
                if self._over.is_set():
                    return  # not heard, so the peer sends it again
                await self._take_in(messages.decode(data))
                await self._pause()
        except Exception as e:
            self._fail(e)
        finally:
            self.close()

    async def _pause(self) -> None:
        """Read nothing more of a peer that owes; its own connection fills up, and nobody else's."""
        while not self._over.is_set() and (wait_s := self._allowance.wait_s(*PACED)) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._over.wait()

    async def _take_in(self, message: Message | messages.Unknown) -> None:
        """Envelopes and receipts overlap, in the order they came; everything else waits until they are done."""
        if (what := _cost(message)) is not None:
            self._allowance.charge(what)
        if isinstance(message, messages.Unknown):
            if not self._met_unknown:  # once a stream: a peer must not be able to fill the log
                _log.warning("message_unknown", peer=self.code, name=message.name)
            self._met_unknown = True
            self._answer([Fault(what=f"unknown message: {message.name}")])
        elif isinstance(message, RosterHeld | RosterPart):
            self._answer(await self._ask(self._rosters.hear(message)))
        elif isinstance(message, Hello):
            raise Malformed("Hello is said once")
        elif isinstance(message, Envelope | Delivered):
            await self._in_flight.acquire()
            if self._over.is_set():
                return
            self._latest = asyncio.create_task(self._hear(message, self._latest))
            self._latest.add_done_callback(lambda _: self._in_flight.release())
            self._asked.add(self._latest)
            self._latest.add_done_callback(self._asked.discard)
        else:
            if self._latest is not None:
                await asyncio.wait([self._latest])
            if not self._over.is_set():
                await self._ask(self._hear(message, None))

    async def _hear(self, message: Message, before: asyncio.Task[bool] | None) -> bool:
        """Hear one message, answer after those before it; whether it and all of those went well."""
        try:
            answers = await self._region.hear(self.code, message)
        except asyncio.CancelledError:
            self._fail(Stopping("the region has stopped"))
            return False
        except PeerFault as e:
            self._fail(e)
            return False
        except Exception as e:
            _log.error("not_taken_in", peer=self.code, error=describe(e))
            self._fail(e)
            return False
        if before is not None and not await before:
            return False
        self._answer(answers)
        return True

    def _answer(self, answers: Any) -> None:
        self._outbox.extend(answers)
        if len(self._outbox) > ANSWERS_WAITING:
            self._fail(TooLarge(f"more than {ANSWERS_WAITING} answers wait to be read"))
        self._wake.set()

    # -- speaking -----------------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        """Answers first, then what the region has to send; questions about missing answers in between."""
        now = asyncio.get_running_loop().time
        tick_at = now() + limits.HANDSHAKE_RETRY_S
        try:
            while not self._over.is_set():
                if self._outbox:
                    await self._write(self._outbox.popleft())
                    continue
                if now() >= tick_at:
                    tick_at = now() + limits.HANDSHAKE_RETRY_S
                    member(self._region.peers(), self.code, self._presented)
                    self._allowance.episodes()  # tells of those that are over
                    self._outbox.extend(self._rosters.tick())
                    self._outbox.extend(await self._ask(self._region.tick(self.code)))
                    continue
                self._wake.clear()
                parcel = await self._ask(self._region.next(self.code))
                if parcel is not None:
                    await self._write(parcel)
                elif not self._outbox:
                    await self._wait_for_wake(max(tick_at - now(), 0.0))
        except Exception as e:
            self._fail(e)
        await self._flush()

    async def _write(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._write_wait_s):
                await self._stream.write(messages.encode(message))
        except TimeoutError:
            said = f"the peer has read nothing for {self._write_wait_s:g} s"
            raise Ended(grpc.StatusCode.DEADLINE_EXCEEDED, said) from None

    async def _wait_for_wake(self, at_most_s: float) -> None:
        try:
            async with asyncio.timeout(at_most_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _flush(self) -> None:
        """Say the last answers, those of what is still being heard among them."""
        while self._outbox or self._asked:
            if self._outbox:
                try:
                    await self._write(self._outbox.popleft())
                except Ended:
                    return
            else:
                await asyncio.wait(self._asked)
