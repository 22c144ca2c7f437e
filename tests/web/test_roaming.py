"""Redeeming away from home over HTTP: a resident's code, a merchant's purchase, and what both regions show of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from node.web.advice import ADVICE
from node.web.server import DESK
from tests.web.nodes import Caller

pytestmark = pytest.mark.usefixtures("ningbo")


async def code(home: Caller, account: str = "A") -> str:
    return str((await home.post("/v1/codes", {"account": account}))["code"])


async def purchase(home: Caller, counter: Caller, amount: int = 30, **more: Any) -> Any:
    """An authorisation that was asked for."""
    body = {"code": await code(home), "category": "moral", "amount": amount, "key": counter.key(), **more}
    return await counter.post("/v1/authorisations", body, 202)


async def test_a_purchase_from_the_code_to_the_capture(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    asked = await purchase(hangzhou, ningbo, 30, reference="receipt 17")
    path = f"/v1/authorisations/{asked['id']}"
    assert (asked["state"], asked["home"], asked["counter"]) == ("requested", 330100, 330200)
    assert (asked["amount"], asked["arriving"], asked["rate"], asked["reference"]) == (100, 30, "3/10", "receipt 17")
    await ningbo.pump()
    assert (await ningbo.get(path))["state"] == (await hangzhou.get(path))["state"] == "authorised"
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["held"] == 100
    taken = await ningbo.post(f"{path}/capture", {"amount": 12, "key": "k"}, 202)
    assert (taken["state"], taken["captured"], taken["captured_arriving"]) == ("capturing", 40, 12)
    await ningbo.pump()
    assert await ningbo.post(f"{path}/capture", {"amount": 12, "key": "k"}, 202) == await ningbo.get(path)
    shown = await hangzhou.get(path)
    assert (shown["state"], shown["captured"], shown["reason"]) == ("part_captured", 40, None)
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 460
    (owes,), (owed,) = [(await caller.get("/v1/positions"))["positions"] for caller in (hangzhou, ningbo)]
    assert (owes["peer"], owes["net"], owed["peer"], owed["net"]) == (330200, 40, 330100, -12)


async def test_who_waits_gets_the_answer_when_it_comes(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    body = {"code": await code(hangzhou), "category": "moral", "amount": 30, "key": "one"}
    waiting = await begun(ningbo, "/v1/authorisations", body)
    await ningbo.pump()
    found = await waiting
    assert found["state"] == "authorised"
    waiting = await begun(ningbo, f"/v1/authorisations/{found['id']}/release", {"key": "r"})
    await ningbo.pump()
    assert (await waiting)["state"] == "released"


async def begun(counter: Caller, path: str, body: Any) -> asyncio.Task[Any]:
    """A caller asks, and waits when this returns."""
    task = asyncio.create_task(counter.post(f"{path}?wait=30", body, 202))
    assert counter.client.app is not None
    bell = counter.client.app[DESK].bell
    for _ in range(10_000):
        if bell.callers:
            return task
        await asyncio.sleep(0.001)
    raise AssertionError("nobody waits")


async def test_what_is_refused_says_why_and_what_to_do(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    refused = await purchase(hangzhou, ningbo, 3_000)
    await ningbo.pump()
    shown = await ningbo.get(f"/v1/authorisations/{refused['id']}")
    assert (shown["state"], shown["reason"]) == ("refused", "insufficient_points")
    bad = {"code": "RC-330100-000G40R40M30E209-00", "category": "moral", "amount": 3, "key": "bad"}
    problem = await ningbo.post("/v1/authorisations", bad, 422)
    assert problem["reason"] == "code_not_valid"
    assert problem["do"]
    found = await purchase(hangzhou, ningbo, 30)
    await ningbo.pump()
    path = f"/v1/authorisations/{found['id']}"
    for amount, reason in ((33, "above_authorised"), (31, "amount_out_of_range")):
        body = {"amount": amount, "key": ningbo.key()}
        assert (await ningbo.post(f"{path}/capture", body, ADVICE[reason].status))["reason"] == reason
    assert (await ningbo.post(f"{path}/capture", {}, 422))["reason"] == "key_missing"
    assert (await ningbo.get(f"/v1/authorisations/{'0' * 32}", 404))["reason"] == "transfer_unknown"


async def test_a_regional_system_follows_its_counters_with_a_cursor(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    first, second = [await purchase(hangzhou, ningbo, 3) for _ in range(2)]
    await ningbo.pump()
    page = await ningbo.get("/v1/authorisations")
    assert [a["id"] for a in page["authorisations"]] == [first["id"], second["id"]]
    await ningbo.post(f"/v1/authorisations/{first['id']}/release", {"key": "r"}, 202)
    await ningbo.pump()
    after = await ningbo.get(f"/v1/authorisations?after={page['next']}")
    assert [(a["id"], a["state"]) for a in after["authorisations"]] == [(first["id"], "released")]
    assert (await ningbo.get(f"/v1/authorisations?after={after['next']}"))["authorisations"] == []
    open_ = await hangzhou.get("/v1/authorisations?state=authorised&counter=330200")
    assert [a["id"] for a in open_["authorisations"]] == [second["id"]]


async def test_a_history_shows_what_was_held_and_what_came_back(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    found = await purchase(hangzhou, ningbo, 30)
    await ningbo.pump()
    await ningbo.post(f"/v1/authorisations/{found['id']}/capture", {"amount": 12, "key": "k"}, 202)
    await ningbo.pump()
    entries = (await hangzhou.get("/v1/accounts/A/history"))["entries"]
    assert [(e["kind"], e["amount"]) for e in entries] == [("roaming_back", 60), ("roaming", 100), ("award", 500)]
    assert {e["id"] for e in entries[:2]} == {found["id"]}


async def test_a_merchant_needs_the_scope_to_spend(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    body = {"code": await code(hangzhou), "category": "moral", "amount": 3, "key": "k"}
    reader, till = ningbo.make_token("reader", "read"), ningbo.make_token("till", "spend")
    assert (await ningbo.post("/v1/authorisations", body, 403, token=reader))["reason"] == "scope_missing"
    assert (await ningbo.post("/v1/authorisations", body, 202, token=till))["state"] == "requested"
