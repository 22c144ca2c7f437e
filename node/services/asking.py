"""Asking a peer, for a drill, to give back a page of what it holds, without anything changing here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.protocol import limits
from gateway.protocol.values import Page, Pull

PACE_S = 1.0 / limits.PAGES_PER_S
"""Between two pages: asking faster than a peer may be asked would get it, or this region, throttled."""
WAIT_S = 15.0
"""How long a peer may take: a large page, over a slow line, read by a busy node."""


class Asking:
    """Belongs to one event loop. One page at a time is asked of a peer; `wake` makes its stream look for a question."""

    def __init__(self) -> None:
        self.wake: Callable[[int], None] = lambda _peer: None
        self._asked_s: dict[int, float] = {}  # per peer, when it was asked last, of the loop's clock
        self._turns: dict[int, asyncio.Lock] = {}
        self._questions: dict[int, Pull] = {}
        self._askers: dict[int, asyncio.Future[Page]] = {}

    async def page(self, peer: int, pull: Pull) -> Page | None:
        """What the peer gives back; None when it does not answer."""
        async with self._turns.setdefault(peer, asyncio.Lock()):
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._asked_s.get(peer, 0.0) + PACE_S - loop.time()))
            self._asked_s[peer] = loop.time()
            asker: asyncio.Future[Page] = loop.create_future()
            self._questions[peer], self._askers[peer] = pull, asker
            self.wake(peer)
            try:
                async with asyncio.timeout(WAIT_S):
                    return await asker
            except TimeoutError:
                return None
            finally:
                self._questions.pop(peer, None)
                self._askers.pop(peer, None)

    def question(self, peer: int) -> Pull | None:
        """What is to be said on the peer's stream now; once."""
        return self._questions.pop(peer, None)

    def hears(self, peer: int, page: Page) -> bool:
        """Whether somebody had asked for this page, and has it now."""
        asker = self._askers.get(peer)
        if asker is None or asker.done():
            return False
        asker.set_result(page)
        return True
