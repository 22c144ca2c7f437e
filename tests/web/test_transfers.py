"""Transfers over HTTP, from quote to reversal."""

import pytest

from tests.web.nodes import Caller

pytestmark = pytest.mark.usefixtures("ningbo")


async def test_a_quote_says_what_leaves_what_arrives_and_what_stays(hangzhou: Caller) -> None:
    quoted = await hangzhou.get("/v1/quotes?category=moral&amount=1239&destination=330200")
    assert (quoted["leaving"], quoted["arriving"], quoted["remaining"], quoted["rate"]) == (1230, 369, 9, "3/10")
    assert quoted["becomes"] == "moral"
    assert quoted["review"] is False
    assert (await hangzhou.get("/v1/quotes?category=moral&amount=2000&destination=330200"))["review"] is True


async def test_a_transfer_can_be_followed_by_its_id_its_key_and_in_both_regions(
    hangzhou: Caller, ningbo: Caller
) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    response = await hangzhou.send(
        "POST", "/v1/transfers", json={"account": "A", "category": "moral", "amount": 105, "address": to, "key": "k1"}
    )
    assert response.status == 202
    placed = await response.json()
    assert placed == {
        "id": placed["id"], "state": "held", "reason": None, "destination": 330200, "category": "moral",
        "leaving": 100, "becomes": "moral", "arriving": 30,
    }  # fmt: skip
    held = await hangzhou.get(f"/v1/transfers/{placed['id']}")
    assert (held["state"], held["direction"], held["account"], held["key"]) == ("held", "outgoing", "A", "k1")
    assert held["rate"] == "3/10"
    assert held["decided"] is None
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0] | {"category": ""} == {
        "category": "", "available": 400, "held": 100, "provisional": 0, "expired": 0,
    }  # fmt: skip
    await hangzhou.pump()
    posted = await hangzhou.get("/v1/transfers/by-key/k1")
    assert posted["state"] == "posted"
    assert posted["decided"] is not None
    arrived = await ningbo.get(f"/v1/transfers/{placed['id']}")
    assert (arrived["direction"], arrived["state"], arrived["account"], arrived["arriving"]) == (
        "incoming", "accepted", "B", 30,
    )  # fmt: skip
    assert (await ningbo.get("/v1/accounts/B"))["balances"][0]["available"] == 30
    entries = (await ningbo.get("/v1/accounts/B/history"))["entries"]
    assert [(e["kind"], e["id"], e["state"], e["source"]) for e in entries] == [
        ("transfer_in", placed["id"], "accepted", 330100)
    ]


async def test_a_repeated_order_is_one_transfer_and_answered_as_it_stands(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    first = await hangzhou.transfer("A", to, 100, key="k")
    assert await hangzhou.transfer("A", to, 100, key="k") == first
    await hangzhou.pump()
    assert await hangzhou.transfer("A", to, 100, key="k") == {**first, "state": "posted"}
    assert len((await hangzhou.get("/v1/transfers"))["transfers"]) == 1
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 400


async def test_a_key_with_other_content_is_refused_by_name(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    body = {"account": "A", "category": "moral", "amount": 100, "address": to, "key": "k"}
    await hangzhou.post("/v1/transfers", body)
    assert (await hangzhou.post("/v1/transfers", {**body, "amount": 200}, 409))["reason"] == "conflict_different_amount"
    other = await hangzhou.post("/v1/transfers", {**body, "consent": "C-2"}, 409)
    assert other["reason"] == "conflict_different_content"
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["held"] == 100


async def test_the_key_may_stand_in_the_header_and_is_the_same_key(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    body = {"account": "A", "category": "moral", "amount": 100, "address": to}
    first = await hangzhou.post("/v1/transfers", body, headers={"Idempotency-Key": "k"})
    assert first == await hangzhou.post("/v1/transfers", {**body, "key": "k"})
    clash = await hangzhou.post("/v1/transfers", {**body, "key": "other"}, 422, headers={"Idempotency-Key": "k"})
    assert (clash["reason"], clash["field"]) == ("bad_field", "key")


async def test_a_refused_order_is_found_by_its_key_as_the_refusal_it_was(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 5)
    to = await hangzhou.address_at(ningbo, "B")
    body = {"account": "A", "category": "moral", "amount": 100, "address": to, "key": "k"}
    assert (await hangzhou.post("/v1/transfers", body, 422))["reason"] == "insufficient_points"
    assert (await hangzhou.get("/v1/transfers/by-key/k", 422))["reason"] == "insufficient_points"
    await hangzhou.resident("A", 500)
    assert (await hangzhou.post("/v1/transfers", body, 422))["reason"] == "insufficient_points"


async def test_keys_of_two_tokens_do_not_meet(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    other = hangzhou.make_token("other", "transfer")
    to = await hangzhou.address_at(ningbo, "B")
    first = await hangzhou.transfer("A", to, 100, key="k")
    body = {"account": "A", "category": "moral", "amount": 200, "address": to, "key": "k"}
    second = await hangzhou.post("/v1/transfers", body, token=other)
    assert first["id"] != second["id"]
    assert (await hangzhou.get("/v1/transfers/by-key/k", token=other))["id"] == second["id"]
    assert (await hangzhou.get("/v1/transfers/by-key/k?client=other"))["id"] == second["id"]


async def test_a_list_is_narrowed_and_paged_and_nothing_is_missed_or_repeated(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to, back = await hangzhou.address_at(ningbo, "B"), await ningbo.address_at(hangzhou, "C")
    done = [await hangzhou.transfer("A", to, 50) for _ in range(3)]
    await hangzhou.pump()
    await ningbo.transfer("B", back, 30)
    await hangzhou.pump()
    waiting = [await hangzhou.transfer("A", to, 10) for _ in range(2)]

    async def listed(query: str) -> list[str]:
        found: list[str] = []
        cursor = ""
        while cursor is not None:
            page = await hangzhou.get(f"/v1/transfers?limit=2{query}{cursor and f'&cursor={cursor}'}")
            found += [t["id"] for t in page["transfers"]]
            cursor = page["next"]
        return found

    assert len(await listed("")) == 6
    assert await listed("&state=held") == [t["id"] for t in reversed(waiting)]
    assert await listed("&state=posted&direction=outgoing&peer=330200") == [t["id"] for t in reversed(done)]
    assert len(await listed("&direction=incoming")) == 1
    assert await listed("&peer=330300") == []


async def test_a_transfer_above_the_threshold_waits_for_a_clerk_who_accepts_it(
    hangzhou: Caller, ningbo: Caller
) -> None:
    await hangzhou.resident("A", 5000)
    to = await hangzhou.address_at(ningbo, "B")
    placed = [await hangzhou.transfer("A", to, 2000) for _ in range(2)]
    await hangzhou.pump()
    queue = (await ningbo.get("/v1/reviews"))["transfers"]
    assert [(t["id"], t["state"], t["source"]) for t in queue] == [(p["id"], "in_review", 330100) for p in placed]
    first = await ningbo.get("/v1/reviews?limit=1")
    assert [t["id"] for t in first["transfers"]] == [placed[0]["id"]]
    rest = await ningbo.get(f"/v1/reviews?limit=1&cursor={first['next']}")
    assert [t["id"] for t in rest["transfers"]] == [placed[1]["id"]]
    verdict = {"source": 330100, "decision": "accept", "by": "clerk-7"}
    assert (await ningbo.post(f"/v1/reviews/{placed[0]['id']}", verdict, 200))["state"] == "accepted"
    assert (await ningbo.post(f"/v1/reviews/{placed[0]['id']}", verdict, 200))["state"] == "accepted"
    other = {**verdict, "decision": "refuse"}
    assert (await ningbo.post(f"/v1/reviews/{placed[0]['id']}", other, 409))["reason"] == "wrong_state"
    assert (await ningbo.post(f"/v1/reviews/{placed[1]['id']}", other, 200))["reason"] == "review_refused"
    await hangzhou.pump()
    assert (await hangzhou.get(f"/v1/transfers/{placed[0]['id']}"))["state"] == "posted"
    voided = await hangzhou.get(f"/v1/transfers/{placed[1]['id']}")
    assert (voided["state"], voided["reason"]) == ("voided", "review_refused")
    assert (await ningbo.get("/v1/reviews"))["transfers"] == []
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 3000


async def test_a_cancel_before_the_decision_brings_the_points_back(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 5000)
    to = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", to, 2000)
    await hangzhou.pump()
    for _ in range(2):
        assert (await hangzhou.post(f"/v1/transfers/{placed['id']}/cancel", status=202))["state"] == "held"
    await hangzhou.pump()
    ended = await hangzhou.get(f"/v1/transfers/{placed['id']}")
    assert (ended["state"], ended["reason"]) == ("voided", "cancelled")
    assert (await hangzhou.post(f"/v1/transfers/{placed['id']}/cancel", status=409))["reason"] == "wrong_state"
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 5000


async def test_an_unspent_transfer_is_sent_back_when_it_is_asked_for(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", to, 100)
    await hangzhou.pump()
    path = f"/v1/transfers/{placed['id']}/reversal"
    assert (await hangzhou.post(path, {}, 422))["reason"] == "key_missing"
    asked = await hangzhou.post(path, {"key": "r"}, 202)
    assert asked == await hangzhou.post(path, None, 202, headers={"Idempotency-Key": "r"})
    assert (await hangzhou.get(f"/v1/reversals/{asked['id']}"))["state"] == "asked"
    await hangzhou.pump()
    assert (await hangzhou.get(f"/v1/reversals/{asked['id']}"))["state"] == "granted"
    original = await hangzhou.get(f"/v1/transfers/{placed['id']}")
    back = await hangzhou.get(f"/v1/transfers/{original['reversed_by']}")
    assert (back["cites"], back["purpose"], back["direction"]) == (placed["id"], "reversal", "incoming")
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 500
    assert (await ningbo.get("/v1/accounts/B"))["balances"][0]["available"] == 0


async def test_a_spent_transfer_is_not_sent_back(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", to, 100)
    await hangzhou.pump()
    await ningbo.post("/v1/spends", {"account": "B", "category": "moral", "amount": 1, "key": "s"})
    asked = await hangzhou.post(f"/v1/transfers/{placed['id']}/reversal", {"key": "r"})
    await hangzhou.pump()
    shown = await hangzhou.get(f"/v1/reversals/{asked['id']}")
    assert (shown["state"], shown["reason"]) == ("refused", "already_spent")


async def test_unknown_ids_are_told_apart_from_unknown_paths(hangzhou: Caller) -> None:
    missing = "0" * 32
    for path in (f"/v1/transfers/{missing}", f"/v1/reversals/{missing}", "/v1/transfers/by-key/none"):
        assert (await hangzhou.get(path, 404))["reason"] == "transfer_unknown"
    for path in (f"/v1/transfers/{missing}/cancel", f"/v1/transfers/{missing}/reversal"):
        assert (await hangzhou.post(path, {"key": "k"} if "rev" in path else None, 404))["reason"] == "transfer_unknown"
    verdict = {"source": 330200, "decision": "accept", "by": "x"}
    assert (await hangzhou.post(f"/v1/reviews/{missing}", verdict, 404))["reason"] == "transfer_unknown"
    assert (await hangzhou.get("/v1/transfers/xyz", 422))["field"] == "id"


async def test_points_on_hold_cannot_be_sent_or_spent_again(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 100)
    to = await hangzhou.address_at(ningbo, "B")
    await hangzhou.transfer("A", to, 60)
    for path, more in (("/v1/transfers", {"address": to}), ("/v1/spends", {})):
        body = {"account": "A", "category": "moral", "amount": 51, "key": path, **more}
        assert (await hangzhou.post(path, body, 422))["reason"] == "insufficient_points"
