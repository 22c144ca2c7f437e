"""Disputes over HTTP, on both kinds of database: opened, answered, settled, and refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from node.services.dispute.ends import SweepDisputes
from tests.web.nodes import Caller


async def moved(hangzhou: Caller, ningbo: Caller) -> str:
    """An accepted transfer of 100 points; its id."""
    await hangzhou.resident("A", 500)
    await ningbo.resident("B")
    to = await hangzhou.address_at(ningbo, "B")
    body = {"account": "A", "category": "moral", "amount": 100, "address": to, "key": hangzhou.key()}
    placed = await hangzhou.post("/v1/transfers", body)
    await hangzhou.pump()
    return str(placed["id"])


async def opened(hangzhou: Caller, ningbo: Caller, **more: Any) -> dict[str, Any]:
    about = await moved(hangzhou, ningbo)
    body = {"peer": 330200, "matter": "transfer", "id": about, "key": "d", **more}
    found: dict[str, Any] = await hangzhou.post("/v1/disputes", body, 202)
    assert (found["state"], found["waiting"], found["frozen"]) == ("asked", "open", True)
    await hangzhou.pump()
    return found


async def test_a_dispute_from_the_opening_to_the_settlement(hangzhou: Caller, ningbo: Caller) -> None:
    found = await opened(hangzhou, ningbo, reference="case 17")
    assert (found["region"], found["category"], found["amount"]) == (330100, "moral", 100)
    path = f"/v1/disputes/{found['id']}"
    history = (await ningbo.get("/v1/accounts/B/history"))["entries"]
    assert [entry["kind"] for entry in history] == ["disputed", "transfer_in"]
    await ningbo.post(f"{path}/steps", {"act": "contest", "key": "c"}, 202)
    await ningbo.pump()
    await hangzhou.post(f"{path}/steps", {"act": "evidence", "evidence": "ab" * 32, "key": "e"}, 202)
    await hangzhou.pump()
    await hangzhou.post(f"{path}/steps", {"act": "propose", "amount": 40, "key": "p"}, 202)
    await hangzhou.pump()
    await ningbo.post(f"{path}/steps", {"act": "agree", "key": "a"}, 202)
    await ningbo.pump()
    await hangzhou.node.submit([SweepDisputes()])
    await hangzhou.pump()
    mine, theirs = await hangzhou.get(path), await ningbo.get(path)
    assert (mine["dispute"]["state"], mine["dispute"]["settled"]) == ("settled", 40)
    assert mine["chain"] == theirs["chain"]
    assert [step["act"] for step in mine["chain"]] == ["open", "contest", "evidence", "propose", "agree"]
    (balance,) = (await ningbo.get("/v1/accounts/B"))["balances"]
    assert (balance["available"], balance["held"]) == (18, 0)
    assert (await hangzhou.get("/v1/disputes?peer=330200"))["disputes"][0]["id"] == found["id"]
    assert (await hangzhou.get("/v1/disputes?open=true"))["disputes"] == []


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"act": "award", "amount": 10}, 422, "wrong_state"),
        ({"act": "contest"}, 422, "document_invalid"),
        ({"act": "propose", "amount": 101}, 422, "amount_out_of_range"),
        ({"act": "agree"}, 422, "amount_out_of_range"),
        ({"act": "acquit"}, 400, "bad_field"),
        ({"act": "evidence"}, 422, "document_invalid"),
    ],
)
async def test_a_step_that_does_not_fit_is_refused_by_name(
    hangzhou: Caller, ningbo: Caller, body: dict[str, Any], status: int, reason: str
) -> None:
    found = await opened(hangzhou, ningbo)
    path = f"/v1/disputes/{found['id']}"
    before = await hangzhou.get(path)
    response = await hangzhou.send("POST", f"{path}/steps", json={**body, "key": hangzhou.key()})
    problem = await response.json()
    assert (problem["reason"], response.status) == (reason, problem["status"])
    assert problem["do"]
    assert problem["do_en"]
    assert await hangzhou.get(path) == before


async def test_a_file_that_is_no_ruling_is_refused(hangzhou: Caller, ningbo: Caller) -> None:
    found = await opened(hangzhou, ningbo)
    chain = (await hangzhou.get(f"/v1/disputes/{found['id']}"))["chain"]
    for file in ("{}", "[]", "no JSON", chain[0]["file"]):
        problem = await hangzhou.post("/v1/dispute-steps", {"file": file, "key": hangzhou.key()}, 422)
        assert problem["reason"] in ("bad_field", "refused_input"), problem


async def test_what_is_not_there_is_said_to_be_not_there(hangzhou: Caller, ningbo: Caller) -> None:
    body = {"peer": 330200, "matter": "transfer", "id": "00" * 16, "key": "d"}
    response = await hangzhou.send("POST", "/v1/disputes", json=body)
    assert (await response.json())["reason"] == "transfer_unknown"
    assert (await hangzhou.get(f"/v1/disputes/{'00' * 16}", 404))["reason"] == "not_found"
    assert (await ningbo.get("/v1/disputes"))["disputes"] == []


async def test_a_dispute_that_waits_too_long_is_counted(hangzhou: Caller, ningbo: Caller) -> None:
    await opened(hangzhou, ningbo)
    assert 'hutong_disputes{late="no",peer="330200"} 1.0' in await (await hangzhou.send("GET", "/metrics")).text()
    hangzhou.region.clock.now_ms += 7 * 86_400_000
    assert 'hutong_disputes{late="yes",peer="330200"} 1.0' in await (await hangzhou.send("GET", "/metrics")).text()
