"""Penalties and consents as a regional system meets them: what delays, what is refused, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.nodes import Caller

DAY_MS = 86_400_000
PENALTY = {"account": "A", "category": "moral", "amount": 30, "reason": "虚报活动", "by": "zhang"}
CONSENT = {
    "account": "A", "recipient": 330200, "contact": "宁波市", "purpose": "relocation", "method": "signed messages",
    "kinds": ["points"], "expires": "2027-12-31",
}  # fmt: skip


async def test_a_penalty_from_notice_to_deduction(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 100)
    to = await hangzhou.address_at(ningbo, "B")
    made = await hangzhou.post("/v1/penalties", {**PENALTY, "key": "p"}, 201)
    assert (made["state"], made["taken"]) == ("notified", 0)
    assert await hangzhou.post("/v1/penalties", {**PENALTY, "key": "p"}) == made
    order = {"account": "A", "category": "moral", "amount": 10, "address": to, "key": "t"}
    for _ in range(2):
        problem = await hangzhou.post("/v1/transfers", order, 409)
        assert problem["reason"] == "delayed"
        assert "penalty" in problem["detail"]
    at = f"/v1/penalties/{made['id']}"
    assert (await hangzhou.post(f"{at}/application", {"by": "li"}, 409))["reason"] == "wrong_state"
    assert (await hangzhou.post(f"{at}/appeal", {"words": "确有其事"}))["state"] == "appealed"
    assert (await hangzhou.post(f"{at}/decision", {"decision": "uphold", "by": "zhang"}, 409))[
        "reason"
    ] == "same_person"
    assert (await hangzhou.post(f"{at}/decision", {"decision": "uphold", "by": "li"}))["state"] == "upheld"
    assert (await hangzhou.post(f"{at}/application", {"by": "li"}))["taken"] == 30
    placed = await hangzhou.post("/v1/transfers", order, 202)
    await hangzhou.pump()
    assert (await hangzhou.get(f"/v1/transfers/{placed['id']}"))["state"] == "posted", "the same key, later"
    shown = await hangzhou.get(at)
    assert (shown["account"], shown["appeal"], shown["by"], shown["checked_by"]) == ("A", "确有其事", "zhang", "li")
    entries = (await hangzhou.get("/v1/accounts/A/history"))["entries"]
    assert [(e["kind"], e["amount"]) for e in entries] == [("transfer_out", 10), ("penalty", 30), ("award", 100)]
    assert "penalt" not in str(await ningbo.get("/v1/events"))


async def test_penalties_are_listed_and_narrowed(hangzhou: Caller) -> None:
    await hangzhou.resident("A", 100)
    await hangzhou.resident("other", 100)
    made = [
        await hangzhou.post("/v1/penalties", {**PENALTY, "account": name, "key": f"p{n}"})
        for n, name in enumerate(["A", "A", "other"])
    ]
    await hangzhou.post(f"/v1/penalties/{made[0]['id']}/decision", {"decision": "withdraw", "by": "li"})
    everything = await hangzhou.get("/v1/penalties")
    assert [p["id"] for p in everything["penalties"]] == [m["id"] for m in made]
    page = await hangzhou.get(f"/v1/penalties?limit=1&after={everything['penalties'][0]['no']}")
    assert [p["id"] for p in page["penalties"]] == [made[1]["id"]]
    narrowed = await hangzhou.get("/v1/penalties?account=A&state=notified")
    assert [p["id"] for p in narrowed["penalties"]] == [made[1]["id"]]


async def test_penalties_need_a_scope_even_to_be_read(hangzhou: Caller) -> None:
    token = hangzhou.make_token("kiosk", "accounts", "transfer")
    assert (await hangzhou.get("/v1/penalties", 403, token=token))["reason"] == "scope_missing"


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/v1/penalties", {**PENALTY, "key": "k", "amount": 0}, 422, "amount_out_of_range"),
        ("/v1/penalties", {**PENALTY, "key": "k", "reason": ""}, 422, "bad_field"),
        ("/v1/penalties", {**PENALTY, "key": "k", "account": "nobody"}, 404, "account_unknown"),
        ("/v1/penalties", PENALTY, 422, "key_missing"),
        (f"/v1/penalties/{'0' * 32}/application", {"by": "li"}, 404, "penalty_unknown"),
        (f"/v1/penalties/{'0' * 32}/decision", {"decision": "maybe", "by": "li"}, 422, "bad_field"),
        ("/v1/consents", CONSENT, 422, "key_missing"),
        ("/v1/consents", {**CONSENT, "key": "k", "recipient": 330600}, 422, "region_unknown"),
        ("/v1/consents", {**CONSENT, "key": "k", "kinds": []}, 422, "bad_field"),
        ("/v1/consents", {**CONSENT, "key": "k", "kinds": ["blood_group"]}, 422, "bad_field"),
        ("/v1/consents", {**CONSENT, "key": "k", "expires": "2020-01-01"}, 422, "consent_not_valid"),
        ("/v1/consents", {**CONSENT, "key": "k", "under_14": True}, 422, "consent_not_valid"),
        (f"/v1/consents/{'0' * 32}/withdraw", {}, 404, "consent_unknown"),
    ],
)
async def test_what_cannot_be_done_is_said_by_name(
    hangzhou: Caller, path: str, body: dict[str, Any], status: int, reason: str
) -> None:
    await hangzhou.resident("A", 100)
    assert (await hangzhou.post(path, body, status))["reason"] == reason


async def test_a_consent_from_giving_to_withdrawal(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 1_000)
    to = await hangzhou.address_at(ningbo, "B")
    made = await hangzhou.post("/v1/consents", {**CONSENT, "key": "c"}, 201)
    placed = await hangzhou.transfer("A", to, 10, consent=made["reference"])
    await hangzhou.pump()
    assert (await hangzhou.get(f"/v1/transfers/{placed['id']}"))["state"] == "posted"
    ended = await hangzhou.post(f"/v1/consents/{made['reference']}/withdraw", {})
    assert (ended["taken_back"], ended["cancelling"]) == ([], [])
    (shown,) = (await hangzhou.get("/v1/accounts/A/consents"))["consents"]
    assert shown == await hangzhou.get(f"/v1/consents/{made['reference']}")
    assert shown["withdrawn"] == ended["withdrawn"]
    assert shown["digest"] == made["digest"]
    order = {"account": "A", "category": "moral", "amount": 10, "address": to, "consent": made["reference"], "key": "t"}
    assert (await hangzhou.post("/v1/transfers", order, 422))["reason"] == "consent_not_valid"


async def test_many_consents_at_once(hangzhou: Caller) -> None:
    await hangzhou.resident("A")
    lines = [{**CONSENT, "key": f"k{n}", **({"recipient": 330600} if n == 1 else {})} for n in range(3)]
    answers = await hangzhou.lines("/v1/consents", lines)
    assert [a["ok"] for a in answers] == [True, False, True]
    assert len((await hangzhou.get("/v1/accounts/A/consents"))["consents"]) == 2
