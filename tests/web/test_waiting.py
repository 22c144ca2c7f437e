"""Callers who wait are woken by what they wait for, and by nothing else."""

import asyncio
from typing import Any

import pytest

from node.web.server import DESK
from tests.web.nodes import Caller


async def begun(hangzhou: Caller, path: str, callers: int) -> list[asyncio.Task[Any]]:
    """So many callers ask; all of them wait when this returns."""
    tasks = [asyncio.create_task(hangzhou.get(path)) for _ in range(callers)]
    assert hangzhou.client.app is not None
    bell = hangzhou.client.app[DESK].bell
    for _ in range(10_000):
        if bell.callers == callers:
            return tasks
        await asyncio.sleep(0.001)
    raise AssertionError(f"{bell.callers} of {callers} callers wait")


async def test_whoever_waits_for_a_transfer_is_answered_when_it_is_decided(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", to, 100, key="k")
    by_id = await begun(hangzhou, f"/v1/transfers/{placed['id']}?wait=30", 5)
    await hangzhou.resident("C", 5)  # something else is committed
    assert not any(task.done() for task in by_id)
    await hangzhou.pump()
    async with asyncio.timeout(10):
        assert {(await task)["state"] for task in by_id} == {"posted"}


async def test_a_transfer_that_is_decided_already_is_not_waited_for(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", to, 100, key="k")
    await hangzhou.pump()
    async with asyncio.timeout(10):
        assert (await hangzhou.get(f"/v1/transfers/{placed['id']}?wait=60"))["state"] == "posted"
        assert (await hangzhou.get("/v1/transfers/by-key/k?wait=60"))["state"] == "posted"
        assert (await ningbo.get(f"/v1/transfers/{placed['id']}?wait=60"))["state"] == "accepted"


async def test_waiting_ends_after_the_time_that_was_given(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", to, 100)
    assert (await hangzhou.get(f"/v1/transfers/{placed['id']}?wait=0.05"))["state"] == "held"
    assert await hangzhou.get("/v1/events?wait=0.05") == {"events": [], "next": 0}


async def test_events_are_read_in_order_with_a_cursor_and_can_be_waited_for(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 5000)
    to = await hangzhou.address_at(ningbo, "B")
    (waiting,) = await begun(ningbo, "/v1/events?wait=30", 1)
    await hangzhou.transfer("A", to, 2000, key="big")
    await hangzhou.pump()
    async with asyncio.timeout(10):
        first = await waiting
    (arrived,) = first["events"]
    assert (arrived["kind"], arrived["transfer"]["arriving"]) == ("arrived", 600)
    verdict = {"source": 330100, "decision": "accept", "by": "clerk"}
    await ningbo.post(f"/v1/reviews/{arrived['transfer']['id']}", verdict)
    for n in range(3):
        await hangzhou.transfer("A", to, 100, key=f"k{n}")
    await hangzhou.pump()
    rest: list[Any] = []
    after = first["next"]
    while page := (await ningbo.get(f"/v1/events?after={after}&limit=2"))["events"]:
        rest += page
        after = page[-1]["no"]
    assert [e["kind"] for e in rest] == ["accepted"] * 4
    assert [e["no"] for e in rest] == sorted(e["no"] for e in rest)
    assert rest[0]["transfer"]["id"] == arrived["transfer"]["id"]
    there = (await hangzhou.get("/v1/events"))["events"]
    assert [e["kind"] for e in there] == ["posted"] * 4
    assert {e["transfer"]["key"] for e in there} == {"big", "k0", "k1", "k2"}


async def test_stopping_sends_everybody_who_waits_away_with_an_answer(hangzhou: Caller) -> None:
    waiting = await begun(hangzhou, "/v1/events?wait=60", 3)
    async with asyncio.timeout(10):
        assert hangzhou.client.server is not None
        await hangzhou.client.server.close()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert len(ended) == 3


async def test_more_callers_than_may_wait_are_sent_away(hangzhou: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.web.limits.WAITS_IN_FLIGHT", 2)
    waiting = await begun(hangzhou, "/v1/events?wait=30", 2)
    response = await hangzhou.send("GET", "/v1/events?wait=30")
    assert response.status == 429
    assert int(response.headers["Retry-After"]) >= 1
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
