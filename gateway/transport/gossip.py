"""How newer rosters arrive: whoever has one hands it to whoever asks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from gateway.ports import Peer, Region
from gateway.protocol.values import Status
from gateway.transport.client import fetch_rosters
from gateway.transport.errors import describe
from gateway.transport.tls import MaterialFiles

#: Streams last for weeks and say their roster's version once, so one member is asked so often anyway, in seconds.
ASK_S = 300.0
#: Pages taken from one peer at a time; the rest next time.
PAGES = 64

_log = structlog.get_logger(__name__)


class Gossip:
    """Keeps the region's roster as new as that of the members it can dial."""

    def __init__(self, region: Region, material: MaterialFiles, rng: random.Random, learnt: Callable[[], None]) -> None:
        """`learnt` is called after newer rosters were taken in."""
        self._region, self._material, self._rng, self._learnt = region, material, rng, learnt
        self._asking = asyncio.Lock()

    async def heard_of(self, peer: Peer, version: int) -> None:
        """`peer` says it holds `version`. Asks it when that is newer than one's own and it can be dialled."""
        if version > self._have(peer) and peer.endpoint:
            await self.ask(peer)

    async def ask_somebody(self) -> None:
        """Ask a member picked at random."""
        dialable = [p for p in self._region.peers().values() if p.endpoint and p.status is not Status.WITHDRAWN]
        if dialable:
            await self.ask(self._rng.choice(dialable))

    async def ask(self, peer: Peer) -> None:
        """Take in what `peer` holds beyond one's own roster. What goes wrong is logged; others are asked later."""
        async with self._asking:
            try:
                for _ in range(PAGES):
                    have = self._have(peer)
                    rosters, more = await fetch_rosters(peer, self._material.current(), have)
                    if rosters:
                        await asyncio.shield(asyncio.ensure_future(self._region.hear_rosters(rosters)))
                        self._learnt()
                    if not more or self._have(peer) <= have:
                        return
            except Exception as e:
                _log.warning("rosters_not_taken", peer=peer.code, error=describe(e))

    def _have(self, peer: Peer) -> int:
        return self._region.hello(peer.code).roster_version
