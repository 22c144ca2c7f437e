"""Dialling: who, when and how often. A task per peer exists only while there is a reason to dial it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from gateway.ports import BackOff, Peer, Region
from gateway.protocol.values import Hello, Status
from gateway.transport import back_off, client
from gateway.transport.client import Dialled, Sleep
from gateway.transport.errors import Ended, Outdone, describe
from gateway.transport.links import Link
from gateway.transport.tls import MaterialFiles

#: Connections being made at one time: after a mass outage, or with a whole federation to greet, the rest wait.
DIALS_AT_ONCE = 32

_log = structlog.get_logger(__name__)


class Stands(Protocol):
    """Takes over a dialled stream on which Hello was said both ways; raises Outdone when another one stays."""

    def __call__(self, link: Link, peer: Peer, stream: Dialled, mine: Hello, theirs: Hello, /) -> Awaitable[None]: ...


class Dialler:
    """Dials until a stream stands, with the back-off of the protocol."""

    def __init__(
        self,
        region: Region,
        material: MaterialFiles,
        stands: Stands,
        *,
        now_ms: Callable[[], int],
        rng: random.Random,
        sleep: Sleep,
    ) -> None:
        self._region, self._material, self._stands = region, material, stands
        self._now_ms, self._rng, self._sleep = now_ms, rng, sleep
        self._at_once = asyncio.Semaphore(DIALS_AT_ONCE)

    def want(self, link: Link, after_s: float = 0.0) -> None:
        """See to it that a stream comes to stand, if this side can do anything about it."""
        if not link.stands() and link.dialling is None and self._dialable(link.code) is not None:
            link.dialling = asyncio.create_task(self._keep_dialling(link, after_s))

    def _dialable(self, code: int) -> Peer | None:
        peer = self._region.peers().get(code)
        return peer if peer is not None and peer.endpoint and peer.status is not Status.WITHDRAWN else None

    async def _keep_dialling(self, link: Link, after_s: float) -> None:
        me = asyncio.current_task()
        try:
            if after_s > 0:
                await self._sleep(after_s)
            while True:
                await self._back_off(link)
                peer = self._dialable(link.code)
                if link.stands() or peer is None:
                    return
                try:
                    async with self._at_once:
                        await self._dial(link, peer)
                    return
                except Outdone:
                    return
                except Exception as e:
                    if link.stands():
                        return
                    await self.failed(link, e)
        finally:
            if link.dialling is me:
                link.dialling = None

    async def _back_off(self, link: Link) -> None:
        """Wait until it is time, somebody is in a hurry, or the peer has dialled."""
        while not link.stands() and (left_ms := back_off.wait_ms(link.back_off, self._now_ms())) > 0:
            link.hurry.clear()
            waits = [asyncio.ensure_future(self._sleep(left_ms / 1000)), asyncio.ensure_future(link.hurry.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _dial(self, link: Link, peer: Peer) -> None:
        mine = self._region.hello(peer.code)
        stream, theirs = await client.dial(peer, mine, self._material.current(), sleep=self._sleep)
        try:
            await self._stands(link, peer, stream, mine, theirs)
        except BaseException:
            await stream.close()
            raise

    # -- back-off -----------------------------------------------------------------------------------------------------

    async def failed(self, link: Link, error: Exception | None) -> None:
        """A dial or a stream came to an end that was not wanted; None: the peer ended the stream in good order."""
        at_least_s = error.retry_after_s if isinstance(error, Ended) else 0.0
        what = "the peer ended the stream" if error is None else describe(error)
        chance = self._rng.random()
        await self._keep(link, back_off.after_failure(link.back_off, self._now_ms(), chance, what, at_least_s))
        _log.info("peer_not_connected", peer=link.code, failures=link.back_off.failures, error=link.back_off.last_error)

    async def contact(self, link: Link) -> None:
        """The peer has authenticated itself."""
        await self._keep(link, back_off.after_contact(link.back_off, self._now_ms()))

    async def order(self, link: Link) -> None:
        """An operator wants the peer dialled now."""
        await self._keep(link, back_off.after_order(link.back_off))
        link.hurry.set()
        self.want(link)

    async def _keep(self, link: Link, new: BackOff) -> None:
        """Remember a back-off here at once, and in the region if that can; else a restart forgets it."""
        if new == link.back_off:
            return
        link.back_off = new
        try:
            await asyncio.shield(asyncio.ensure_future(self._region.keep_back_off(link.code, new)))
        except Exception as e:
            _log.warning("back_off_not_kept", peer=link.code, error=describe(e))
