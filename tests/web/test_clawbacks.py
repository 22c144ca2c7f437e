"""Clawback over HTTP: begun by two people, followed by its id, and what is owed shown on both sides."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import Caller

FRAUD = "fake clean-up day"


def order(**more: Any) -> dict[str, Any]:
    return {"activity": FRAUD, "category": "moral", "by": "maker", "checked_by": "checker", "key": "claw", **more}


async def test_fraud_that_moved_on_is_taken_back_and_what_was_spent_is_owed(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("zhang", 100, because=FRAUD)
    there = await hangzhou.address_at(ningbo, "li")
    await hangzhou.transfer("zhang", there, 80)
    await hangzhou.pump()
    await ningbo.post("/v1/spends", {"account": "li", "category": "moral", "amount": 7, "key": "s"})

    begun = await hangzhou.post("/v1/clawbacks", order(), 202)
    assert begun == {"id": begun["id"], "amount": 100}
    assert await hangzhou.post("/v1/clawbacks", order(), 202) == begun
    await hangzhou.pump()

    found = await hangzhou.get(f"/v1/clawbacks/{begun['id']}")
    one = found["clawback"]
    assert (one["state"], one["recovered"], one["further"], one["owed"], one["lost"]) == ("done", 20, 50, 30, 0)
    assert found["residents"] == [{"account": "zhang", "category": "moral", "amount": 20}]
    (hop,) = found["hops"]
    assert (hop["peer"], hop["asked_here"], hop["amount"], hop["recovered"], hop["owed"]) == (NINGBO, True, 8, 5, 3)
    (asked,) = (await ningbo.get("/v1/clawbacks"))["clawbacks"]
    assert (asked["state"], asked["peer"], asked["activity"], asked["issuer"]) == ("told", HANGZHOU, FRAUD, HANGZHOU)
    shown = await ningbo.get(f"/v1/clawbacks/{asked['id']}")
    assert shown["residents"] == [{"account": "li", "category": "moral", "amount": 15}]
    (owed,) = (await ningbo.get("/v1/claims"))["claims"]
    (owes,) = (await hangzhou.get("/v1/claims"))["claims"]
    assert (owed["cause"], owed["mine"], owed["amount"], owed["peer"]) == ("clawback", True, 9, HANGZHOU)
    assert (owes["cause"], owes["mine"], owes["amount"], owes["peer"]) == ("clawback", False, 30, NINGBO)
    events = (await ningbo.get("/v1/events"))["events"]
    assert [event["kind"] for event in events] == ["accepted", "clawed_back"]
    history = (await ningbo.get("/v1/accounts/li/history"))["entries"]
    assert [entry["kind"] for entry in history] == ["clawback", "spend", "transfer_in"]
    for region, kept in ((hangzhou, 70), (ningbo, 0)):
        (book,) = [b for b in (await region.get("/v1/counts"))["books"] if b["category"] == "moral"]
        assert book["clawed_back"] == kept
        gone = book["redeemed"] + book["expired"] + book["clawed_back"] + book["sent"] - book["received"]
        assert book["issued"] + book["advanced"] - gone == book["available"] + book["held"] + book["provisional"]


async def test_what_is_wrong_is_said_by_name(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("zhang", 100, because=FRAUD)
    alone = await hangzhou.post("/v1/clawbacks", order(checked_by="maker"), 422)
    assert "two people" in alone["detail"]
    nothing = await hangzhou.post("/v1/clawbacks", order(activity="another"), 422)
    assert "nothing was awarded" in str(nothing)
    unknown = await hangzhou.post("/v1/clawbacks", order(category="gold"), 422)
    assert unknown["reason"] == "category_unknown"
    reader = hangzhou.make_token("reader", "read")
    assert (await hangzhou.post("/v1/clawbacks", order(), 403, token=reader))["reason"] == "scope_missing"
    assert (await hangzhou.get(f"/v1/clawbacks/{'0' * 32}", 404))["reason"] == "not_found"
    there = await hangzhou.address_at(ningbo, "li")
    placed = await hangzhou.transfer("zhang", there, 10)
    await hangzhou.pump()
    people = {"by": "maker", "checked_by": "checker", "key": "claim"}
    early = await hangzhou.post(f"/v1/transfers/{placed['id']}/claim", people, 409)
    assert early["reason"] == "wrong_state"
    assert (await hangzhou.get("/v1/clawbacks?open=true"))["clawbacks"] == []
