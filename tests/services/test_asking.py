"""Pages asked for a drill: they reach whoever asked, one at a time, and nobody else's answer is taken."""

from __future__ import annotations

import asyncio

from gateway.protocol.values import NO_EPOCH, Log, Page, Pull
from node.services import asking
from node.services.asking import Asking

PEER = 330200


def pull(first: int) -> Pull:
    return Pull(log=Log(b"f", "test", 330100, PEER), mine=True, first=first, size=9, peer_epoch=NO_EPOCH, holds=0)


async def test_two_drills_at_once_get_their_own_pages() -> None:
    asked = Asking()
    woken = asyncio.Event()
    asked.wake = lambda _peer: woken.set()
    found = [asyncio.create_task(asked.page(PEER, pull(first))) for first in (3, 5)]
    for first in (3, 5):
        await woken.wait()
        woken.clear()
        question = asked.question(PEER)
        assert question is not None
        assert question.first == first
        assert asked.question(PEER) is None  # said once
        assert asked.hears(PEER, Page(first=first))
    assert [page.first for page in await asyncio.gather(*found) if page is not None] == [3, 5]


async def test_a_page_that_nobody_asked_for_is_the_writers() -> None:
    asked = Asking()
    assert not asked.hears(PEER, Page(first=0))
    woken = asyncio.Event()
    asked.wake = lambda _peer: woken.set()
    asking_now = asyncio.create_task(asked.page(PEER, pull(0)))
    await woken.wait()
    assert not asked.hears(PEER + 100, Page(first=0))
    assert asked.hears(PEER, Page(first=0))
    assert not asked.hears(PEER, Page(first=0))  # a second answer to one question
    await asking_now


async def test_a_peer_that_does_not_answer_keeps_nobody_waiting_for_ever() -> None:
    asked = Asking()
    waited, asking.WAIT_S = asking.WAIT_S, 0.01
    try:
        assert await asked.page(PEER, pull(0)) is None
    finally:
        asking.WAIT_S = waited
    assert asked.question(PEER) is None  # and it is not said any more
    assert not asked.hears(PEER, Page(first=0))
