"""This region as the transport sees it: the port of :mod:`gateway.ports`, made of writer, exchange and database."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select

from gateway.ports import BackOff, Peer
from gateway.protocol import codec, limits
from gateway.protocol.buckets import Allowance, Episode, What
from gateway.protocol.channel import STOPPED, Condition
from gateway.protocol.errors import Malformed, ProtocolError
from gateway.protocol.members import Roster
from gateway.protocol.suite import SUITES
from gateway.protocol.values import Fault, Hello, Message, NotReady, Page, Pull, Receipt, Signed, Standing
from node.errors import NodeError
from node.services import founding, resolution
from node.services.asking import Asking
from node.services.exchange import Exchange
from node.services.forks.repair import SayRepair
from node.services.handshake import Begin, Hear, HearReceipt
from node.services.keys.revocation import JudgeKeys
from node.services.office import Office
from node.services.receive import Receive
from node.services.writer import WriterThread
from node.store import bulk, schema
from node.store.engine import Store

PROTOCOL_VERSIONS = (1,)
STANDING_WAIT_S = 2 * limits.HANDSHAKE_RETRY_S + 1.0
"""How long a peer may take to say how it sees this region."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Progress:
    """Whether what was sent to a peer is being receipted."""

    receipted: int = 0
    since_ms: int = 0


class LocalRegion:
    """Implements :class:`gateway.ports.Region`; its contracts are written there."""

    def __init__(
        self, office: Office, store: Store, writer: WriterThread, exchange: Exchange,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`seconds`: a clock that never goes back, for what a peer may cost."""
        self._office, self._store, self._writer, self._exchange = office, store, writer, exchange
        self._peers: tuple[int, Mapping[int, Peer]] = (0, {})
        self._wake: Callable[[int], None] = lambda _peer: None
        self._progress: dict[int, _Progress] = {}
        self._asking: dict[int, list[asyncio.Future[Standing]]] = {}
        self._pages = Asking()
        self._adopting = asyncio.Lock()
        self._unkept: dict[int, BackOff] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._seconds, self._allowances = seconds, dict[int, Allowance]()
        self._taken: dict[int, int] = {}  # per peer, the largest of my receipts since its stream began
        self._refused: deque[tuple[int, int]] = deque()  # peer and frames in vain, from the writer's thread
        writer.writer.on_refused(lambda peer, frames: self._refused.append((peer, frames)))
        writer.writer.on_commit(self._committed)
        exchange.credit_frames = lambda peer: self.allowance(peer).credit_frames()
        with store.read() as conn:
            self._back_offs = {
                r.peer: BackOff(
                    failures=r.failures,
                    next_dial_ms=r.next_dial_ms,
                    last_contact_ms=r.last_contact_ms,
                    last_error=r.last_error,
                )
                for r in conn.execute(select(schema.back_off))
            }

    def begin_anew(self) -> None:
        """Nothing is under way with anybody: this process takes over, as at a start."""
        self._progress.clear()
        self._taken.clear()
        self._refused.clear()
        self._exchange.begin_anew()

    def _committed(self, peers: frozenset[int]) -> None:
        for peer in peers:
            self._wake(peer)

    def hello(self, peer: int) -> Hello:
        roster = self._office.roster
        return Hello(
            source=self._office.me,
            destination=peer,
            federation=roster.federation,
            environment=roster.environment,
            versions=PROTOCOL_VERSIONS,
            suites=tuple(SUITES),
            roster_version=roster.version,
        )

    def peers(self) -> Mapping[int, Peer]:
        if self._office.doubled or not self._writer.writer.seals:
            return {}  # nobody is dialled and nobody let in: the streams are the other instance's
        roster = self._office.roster
        if self._peers[0] != roster.version:
            self._peers = (roster.version, _peers(roster, self._office.me))
        return self._peers[1]

    def allowance(self, peer: int) -> Allowance:
        allowance = self._allowances.get(peer)
        if allowance is None:
            allowance = self._allowances[peer] = Allowance(self._seconds, partial(_tell, peer))
        return allowance

    async def opened(self, peer: int) -> Sequence[Message]:
        self._progress.pop(peer, None)
        self._taken.pop(peer, None)
        if self._is_quarantined(peer):
            return await self._put(peer, SayRepair(peer=peer))
        return await self._put(peer, Begin(peer=peer))

    async def hear(self, peer: int, message: Message) -> Sequence[Message]:
        if isinstance(message, Fault):
            if not self.allowance(peer).is_throttled(What.HANDSHAKES):  # whoever says many fills no log with them
                log.error("peer_found_fault", peer=peer, what=message.what)
            return ()
        if isinstance(message, NotReady) and self._writer.writer.channels[peer].condition in STOPPED:
            return ()
        if isinstance(message, Page) and self._pages.hears(peer, message):
            return ()
        back_off = self.back_off(peer)
        wait_ms = max(0, back_off.next_dial_ms - self._office.clock()) if back_off.failures else 0
        command = self._exchange.command(peer, message, back_off_ms=wait_ms)
        if isinstance(command, HearReceipt):
            # Nothing is answered and nobody waits: the next envelope may go, the receipt is kept with the next batch.
            if self._exchange.sending.received(peer, command.receipt.size):
                self._writer.submit_patiently([command]).add_done_callback(_log_refusal)
                self._wake(peer)
            else:
                self.allowance(peer).charge(What.REPEATS)
            return ()
        if isinstance(command, Hear) and isinstance(command.message, Standing):
            for asker in self._asking.pop(peer, ()):
                if not asker.done():
                    asker.set_result(command.message)
        return await self._put(peer, command)

    async def _put(self, peer: int, command: Any) -> Sequence[Message]:
        (result,) = await asyncio.wrap_future(self._writer.submit([command]))
        self._charge(peer, command, result)
        if isinstance(result, Exception) and not self.allowance(peer).is_throttled(What.MALFORMED):
            log.warning("message_refused", peer=peer, error=_told(result))
        return self._exchange.answers(self._writer.writer.channels.get(peer), result)

    def _charge(self, peer: int, command: Any, result: Any) -> None:
        """What a message has cost, where only this side knows."""
        while self._refused:
            other, frames = self._refused.popleft()
            if frames:
                self.allowance(other).charge(What.REFUSED, frames)
        if isinstance(result, Malformed):  # said to the peer; other faults end the stream, and are charged there
            self.allowance(peer).charge(What.MALFORMED)
        elif isinstance(command, Receive) and not isinstance(result, Exception):
            if isinstance(result, Receipt) and result.size > self._taken.get(peer, -1):
                self._taken[peer] = result.size
            else:
                self.allowance(peer).charge(What.REPEATS)

    async def next(self, peer: int) -> Message | None:
        channel = self._writer.writer.channels.get(peer)
        pull = self._pages.question(peer)
        asked = self._exchange.answers(channel, pull)
        return asked[0] if asked else self._exchange.parcel(channel)

    async def tick(self, peer: int) -> Sequence[Message]:
        self._office.keys.turn(self._office)
        channel = self._writer.writer.channels.get(peer)
        if self._is_quarantined(peer):
            return await self._put(peer, SayRepair(peer=peer))
        if channel is None or channel.condition in STOPPED:
            return ()
        if not channel.ready or not channel.peer_open or self._asking.get(peer):
            return await self._put(peer, Begin(peer=peer))
        now = self._office.clock()
        progress = self._progress.setdefault(peer, _Progress(channel.receipted, now))
        # The receipt itself is waited for: that the peer has seen a message makes it final, and proves nothing.
        if channel.receipted != progress.receipted or channel.receipted == channel.size:
            progress.receipted, progress.since_ms = channel.receipted, now
        elif now - progress.since_ms >= limits.RECEIPT_WAIT_S * 1000:
            progress.since_ms = now
            return await self._put(peer, Begin(peer=peer))
        return ()

    def _is_quarantined(self, peer: int) -> bool:
        channel = self._writer.writer.channels.get(peer)
        return channel is not None and channel.condition is Condition.QUARANTINED

    async def standing(self, peer: int) -> Standing | None:
        """How the peer sees this region: asked at the next tick. None when no answer comes."""
        asker: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        self._asking.setdefault(peer, []).append(asker)
        try:
            async with asyncio.timeout(STANDING_WAIT_S):
                return await asker
        except TimeoutError:
            return None
        finally:
            if asker in (asking := self._asking.get(peer, [])):
                asking.remove(asker)

    async def give_back(self, peer: int, first: int, holds: int) -> Page | None:
        """What the peer holds of this region's log from `first` on, for a drill whose copy holds so much of the peer's.

        Changes nothing here. None when the peer does not answer, or this channel is itself recovering or stopped.
        """
        channel = self._writer.writer.channels.get(peer)
        if channel is None or not channel.ready or channel.condition in STOPPED:
            return None
        pull = Pull(
            log=channel.out, mine=True, first=first, size=channel.size, peer_epoch=channel.peer_epoch, holds=holds
        )
        return await self._pages.page(peer, pull)

    def on_work(self, wake: Callable[[int], None]) -> None:
        self._wake = self._pages.wake = wake

    def back_off(self, peer: int) -> BackOff:
        return self._back_offs.get(peer, BackOff())

    async def keep_back_off(self, peer: int, back_off: BackOff) -> None:
        self._back_offs[peer] = self._unkept[peer] = back_off
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep_back_offs())
        await asyncio.shield(self._keeping)

    async def _keep_back_offs(self) -> None:
        """What has come meanwhile in one transaction: at a start hundreds of peers are met at once."""
        while self._unkept:
            kept, self._unkept = self._unkept, {}
            await asyncio.to_thread(self._store_back_offs, kept)

    def _store_back_offs(self, kept: Mapping[int, BackOff]) -> None:
        rows = [(peer, b.failures, b.next_dial_ms, b.last_contact_ms, b.last_error[:256]) for peer, b in kept.items()]
        with self._store.write() as conn:
            bulk.delete_in(conn, schema.back_off, "peer", kept)
            bulk.insert(conn, schema.back_off, rows)

    async def rosters_after(self, have: int) -> tuple[Sequence[Signed], bool]:
        return await asyncio.to_thread(self._rosters_after, have)

    def _rosters_after(self, have: int) -> tuple[Sequence[Signed], bool]:
        r = schema.roster
        query = select(r.c.signed).where(r.c.version > have).order_by(r.c.version).limit(limits.ROSTERS_PER_PAGE + 1)
        with self._store.read() as conn:
            found = [codec.decode_signed(signed) for signed in conn.scalars(query)]
        return found[: limits.ROSTERS_PER_PAGE], len(found) > limits.ROSTERS_PER_PAGE

    async def hear_rosters(self, rosters: Sequence[Signed]) -> None:
        async with self._adopting:
            known = set(self.peers())
            newest = await asyncio.to_thread(self._trust, rosters)
            if newest.version <= self._office.roster.version:
                return
            self._office.roster = newest
            # Nothing is awaited in between: what was verified under the roster before is in the writer's queue already.
            judging = self._writer.submit([JudgeKeys()] if self._writer.writer.seals else [])
            log.info("roster_in_force", version=newest.version)
            for code in self.peers().keys() - known:
                self._wake(code)
        for failed in await asyncio.wrap_future(judging):
            if isinstance(failed, Exception):
                log.error("revoked_keys_not_judged", error=_told(failed))
        await self.end_gone()

    async def end_gone(self) -> None:
        """End what is open with regions that the roster in force resolves, a piece at a time."""
        if not self._writer.writer.seals:
            return
        for first in list(resolution.due(self._office, self._writer.writer.channels)):
            then: resolution.Resolve | resolution.Close | None = first
            while then is not None:
                (done,) = await asyncio.wrap_future(self._writer.submit([then]))
                if isinstance(done, Exception):
                    log.error("resolution_failed", peer=first.region, error=_told(done))
                    break
                log.info("resolved", peer=first.region, voided=done.voided, refused=done.refused, claimed=done.claimed)
                then = done.then

    def _trust(self, rosters: Sequence[Signed]) -> Roster:
        with self._store.write() as conn:
            return founding.trust(conn, founding.unknown(conn, rosters), self._office.clock())


def _tell(peer: int, episode: Episode, begins: bool) -> None:
    """One line when a peer is throttled, one when it is no longer; none per message."""
    if begins:
        log.warning("peer_throttled", peer=peer, what=str(episode.what))
    else:
        log.info("peer_throttled_no_longer", peer=peer, what=str(episode.what), over=episode.over)


def _log_refusal(future: Future[list[Any]]) -> None:
    """What became of a command nobody waits for."""
    failure = future.exception()
    refused = failure if failure is not None else next((a for a in future.result() if isinstance(a, Exception)), None)
    if refused is not None:
        log.warning("receipt_not_kept", error=_told(refused))


def _told(error: BaseException) -> str:
    """What a log may say of an error: of a fault of ours no more than its name, for its text may hold a resident's."""
    return str(error) if isinstance(error, ProtocolError | NodeError) else type(error).__name__


def _peers(roster: Roster, me: int) -> Mapping[int, Peer]:
    return {
        region.code: Peer(
            code=region.code,
            endpoint=region.endpoint,
            status=region.status,
            certificates=roster.certificates(region.code),
        )
        for region in roster.regions
        if region.code != me
    }
