"""A restored region over HTTP: who sees that it recovers, what waits, and how the regional system ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.services.recovery.watch import Watch
from node.witness import WitnessFile, WitnessInMemory
from tests.federation import Pair
from tests.services.restoring import full_disk
from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import Caller, RunningNode, serve, stop


@pytest.fixture
async def restored(two: Pair):  # type: ignore[no-untyped-def]
    """Hangzhou started without a witness, and has spoken to nobody since. One resident has 100 points."""
    region = two.regions[HANGZHOU]
    region.witness = WitnessInMemory()
    region.start()
    caller = await serve(RunningNode(region), two)
    await caller.resident("A", 100)
    yield caller
    await stop(caller)


async def test_readiness_fails_while_the_witness_has_no_room(restored: Caller, tmp_path: Path) -> None:
    region, file = restored.region, tmp_path / "witness"
    witness = WitnessFile(file)
    assert region.witness is not None
    assert region.witness.kept is not None
    witness.write(region.witness.kept)
    witness.close()
    region.writer._watch = Watch(region.office, witness)
    with full_disk(file):
        award = {"account": "A", "category": "moral", "amount": 7, "key": "seven"}
        assert (await restored.post("/v1/awards", award, 503))["reason"] == "witness_failed"
        ready = await restored.get("/readyz", 503)
        (check,) = [check for check in ready["checks"] if check["name"] == "database"]
        assert "Nobody is answered until it can" in check["detail"]
    await restored.get("/readyz")
    await restored.post("/v1/awards", award, 201)
    assert (await restored.get("/v1/accounts/A"))["balances"][0]["available"] == 107


SPEND = {"account": "A", "category": "moral", "amount": 40, "key": "tea"}
DONE = {"Hutong-Replayed": "true"}


async def back(caller: Caller) -> None:
    """The peer gives back what it holds."""
    caller.pair.wire.clear()
    caller.pair.open()


async def test_it_is_told_everywhere_and_the_node_still_serves(restored: Caller) -> None:
    found = await restored.get("/v1/recovery")
    assert found["recovering"] is True
    assert found["cause"] == "the witness is missing"
    assert found["outstanding"] == [NINGBO]
    assert f"regions {NINGBO} have not given back" in found["missing"]
    assert "regional system" in found["missing"]
    ready = await restored.get("/readyz")
    (check,) = [check for check in ready["checks"] if check["name"] == "history"]
    assert not check["ok"]
    assert not check["vital"]
    assert str(NINGBO) in check["detail"]
    metrics = await (await restored.send("GET", "/metrics")).text()
    assert "hutong_recovering 1.0" in metrics
    assert "hutong_recovery_outstanding_peers 1.0" in metrics


async def test_a_debit_is_put_off_and_an_award_is_not(restored: Caller) -> None:
    problem = await restored.post("/v1/spends", SPEND, 503)
    assert problem["reason"] == "recovering"
    assert problem["type"] == "urn:hutong:problem:recovering"
    response = await restored.send("POST", "/v1/spends", json=SPEND)
    assert int(response.headers["Retry-After"]) > 0
    await restored.resident("B", 5)
    lines = await restored.lines("/v1/spends", [SPEND, {**SPEND, "key": "cake"}])
    assert [line["reason"] for line in lines] == ["recovering", "recovering"]


async def test_the_regional_system_repeats_what_was_done_and_says_so(restored: Caller) -> None:
    await restored.post("/v1/spends", {**SPEND, "amount": 150}, 201, headers=DONE)
    assert (await restored.get("/v1/recovery"))["owed"] == 50
    await restored.post("/v1/recovery/replayed", {}, 200)
    await back(restored)
    found = await restored.get("/v1/recovery")
    assert (found["recovering"], found["replayed"], found["merged"], found["missing"]) == (False, True, [NINGBO], "")
    await restored.post("/v1/awards", {"account": "A", "category": "moral", "amount": 70, "key": "next"})
    account = await restored.get("/v1/accounts/A")
    assert account["balances"][0]["available"] == 20
    kinds = [entry["kind"] for entry in (await restored.get("/v1/accounts/A/history"))["entries"]]
    assert kinds == ["repay", "award", "spend", "advance", "award"]
    books = {b["category"]: b for b in (await restored.get("/v1/counts"))["books"]}["moral"]
    assert (books["issued"], books["advanced"], books["redeemed"], books["available"]) == (170, 0, 150, 20)


async def test_many_repeated_lines_at_once(restored: Caller) -> None:
    response = await restored.send(
        "POST",
        "/v1/spends",
        data=b'{"account":"A","category":"moral","amount":70,"key":"a"}\n'
        b'{"account":"A","category":"moral","amount":70,"key":"b"}\n',
        headers={"Content-Type": "application/x-ndjson", **DONE},
    )
    assert (await response.text()).count('"ok":true') == 2
    assert (await restored.get("/v1/recovery"))["owed"] == 40


@pytest.mark.parametrize("said", ["yes", "True", "", "false"])
async def test_the_header_says_true_or_nothing(restored: Caller, said: str) -> None:
    problem = await restored.post("/v1/spends", SPEND, 422, headers={"Hutong-Replayed": said})
    assert problem["field"] == "Hutong-Replayed"


async def test_only_who_may_recover_forces_a_debit(restored: Caller) -> None:
    token = restored.make_token("shop", "spend")
    problem = await restored.post("/v1/spends", SPEND, 403, headers=DONE, token=token)
    assert problem["reason"] == "scope_missing"
    both = restored.make_token("system2", "spend", "recovery")
    await restored.post("/v1/spends", SPEND, 201, headers=DONE, token=both)


async def test_two_tokens_accept_a_risk_and_one_does_not(restored: Caller) -> None:
    chen, wang = (restored.make_token(name, "recovery") for name in ("chen", "wang"))
    risk = {"peer": NINGBO, "amount": 30}
    await restored.post("/v1/recovery/replayed")
    first = await restored.post("/v1/recovery/risks", risk, 200, token=chen)
    assert first["risks"] == [
        {"peer": NINGBO, "amount": 30, "used": 0, "maker": "chen", "checker": "", "accepted": False}
    ]
    problem = await restored.post("/v1/recovery/risks", risk, 409, token=chen)
    assert problem["reason"] == "same_person"
    second = await restored.post("/v1/recovery/risks", risk, 200, token=wang)
    assert second["recovering"] is False
    await restored.post("/v1/spends", {**SPEND, "amount": 30})
    assert (await restored.post("/v1/spends", {**SPEND, "key": "more"}, 503))["reason"] == "recovering"
    assert (await restored.get("/v1/recovery"))["risks"][0]["used"] == 30
