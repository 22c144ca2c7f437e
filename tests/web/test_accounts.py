"""Accounts over HTTP: what they hold, what happened to them, and what can be done to them."""

from urllib.parse import quote

import pytest

from tests.web.nodes import Caller

DAY_MS = 86_400_000


async def balance(caller: Caller, name: str, category: str = "moral") -> dict[str, int]:
    """One balance of an account."""
    shown = await caller.get(f"/v1/accounts/{name}")
    return next(b for b in shown["balances"] if b["category"] == category)


async def test_an_account_shows_its_balances_per_category_and_its_lots_first_expiring_first(hangzhou: Caller) -> None:
    await hangzhou.resident("A", 50, expires="2027-12-31", because="植树")
    await hangzhou.resident("A", 30, expires="2026-12-31")
    await hangzhou.resident("A", 7, category="culture", evidence="backfilled")
    shown = await hangzhou.get("/v1/accounts/A")
    assert shown["state"] == "open"
    assert [(b["category"], b["available"], b["held"], b["provisional"], b["expired"]) for b in shown["balances"]] == [
        ("moral", 80, 0, 0, 0),
        ("culture", 7, 0, 0, 0),
    ]
    assert [(lot["remaining"], lot["expires"], lot["because"], lot["state"]) for lot in shown["lots"]] == [
        (30, "2026-12-31", "", "spendable"),
        (50, "2027-12-31", "植树", "spendable"),
        (7, None, "", "spendable"),
    ]
    assert shown["lots"][2]["evidence"] == "backfilled"


async def test_opening_twice_opens_once(hangzhou: Caller) -> None:
    first = await hangzhou.post("/v1/accounts", {"name": "A"}, 201)
    assert first == await hangzhou.post("/v1/accounts", {"name": "A"}, 201) == {"name": "A", "state": "open"}
    assert (await hangzhou.get("/v1/counts"))["accounts"] == 1


@pytest.mark.parametrize("name", ["居民 7/3", "a%b?c#d", "..", "x y", "é"])
async def test_any_printable_name_can_be_asked_for_by_its_path(hangzhou: Caller, name: str) -> None:
    import yarl

    await hangzhou.post("/v1/accounts", {"name": name})
    path = yarl.URL(f"/v1/accounts/{quote(name, safe='')}", encoded=True)
    if name == "..":
        path = yarl.URL("/v1/accounts/%2E%2E", encoded=True)
    response = await hangzhou.send("GET", path)  # type: ignore[arg-type]
    assert (await response.json())["name"] == name


async def test_expired_points_are_shown_apart_until_they_are_booked(hangzhou: Caller) -> None:
    await hangzhou.resident("A", 50)
    await hangzhou.resident("A", 30, granted="2025-01-01", expires="2026-01-01")
    assert await balance(hangzhou, "A") == {
        "category": "moral", "available": 50, "held": 0, "provisional": 0, "expired": 30,
    }  # fmt: skip
    swept = await hangzhou.post("/v1/expiry/sweep", {}, 200)
    assert swept == {"lots": 1, "units": 30, "next": 0}
    assert (await balance(hangzhou, "A"))["expired"] == 0
    assert [e["kind"] for e in (await hangzhou.get("/v1/accounts/A/history"))["entries"]] == [
        "expiry",
        "award",
        "award",
    ]
    assert (await hangzhou.post("/v1/expiry/sweep", None, 200))["lots"] == 0


async def test_a_sweep_in_pieces_says_where_to_go_on(hangzhou: Caller) -> None:
    for _ in range(3):
        await hangzhou.resident("A", 10, granted="2025-01-01", expires="2026-01-01")
    lots, after = 0, 0
    while True:
        swept = await hangzhou.post("/v1/expiry/sweep", {"after": after, "limit": 2}, 200)
        lots, after = lots + swept["lots"], swept["next"]
        if not after:
            break
    assert lots == 3


async def test_history_is_paged_newest_first_and_nothing_is_missed_or_repeated(hangzhou: Caller) -> None:
    for category in ("moral", "culture", "moral", "moral", "culture"):
        await hangzhou.resident("A", 10, category=category)
    for _ in range(2):
        await hangzhou.post("/v1/spends", {"account": "A", "category": "moral", "amount": 1, "key": hangzhou.key()})
    whole = await hangzhou.get("/v1/accounts/A/history")
    assert whole["next"] is None
    assert [e["kind"] for e in whole["entries"]] == ["spend"] * 2 + ["award"] * 5
    paged, cursor = [], ""
    while cursor is not None:
        page = await hangzhou.get(f"/v1/accounts/A/history?limit=2{cursor and f'&cursor={cursor}'}")
        paged += page["entries"]
        cursor = page["next"]
    assert paged == whole["entries"]


async def test_freezing_stops_awards_and_spending_until_the_account_is_opened_again(hangzhou: Caller) -> None:
    await hangzhou.resident("A", 50)
    assert await hangzhou.patch("/v1/accounts/A", {"state": "frozen"}) == {"name": "A", "state": "frozen"}
    body = {"account": "A", "category": "moral", "amount": 1}
    for path in ("/v1/spends", "/v1/awards"):
        problem = await hangzhou.post(path, {**body, "key": hangzhou.key()}, 409)
        assert problem["reason"] == "account_frozen"
    await hangzhou.patch("/v1/accounts/A", {"state": "open"})
    await hangzhou.post("/v1/spends", {**body, "key": hangzhou.key()}, 201)
    assert (await balance(hangzhou, "A"))["available"] == 49


async def test_only_an_empty_account_can_be_closed_and_then_stays_closed(hangzhou: Caller) -> None:
    await hangzhou.resident("A", 50)
    assert (await hangzhou.patch("/v1/accounts/A", {"state": "closed"}, 409))["reason"] == "account_not_empty"
    await hangzhou.post("/v1/spends", {"account": "A", "category": "moral", "amount": 50, "key": "all"})
    await hangzhou.patch("/v1/accounts/A", {"state": "closed"})
    assert (await hangzhou.get("/v1/accounts/A"))["state"] == "closed"
    for change in ({"state": "open"}, {"state": "frozen"}):
        assert (await hangzhou.patch("/v1/accounts/A", change, 409))["reason"] == "account_closed"
    assert (await hangzhou.post("/v1/accounts", {"name": "A"}, 409))["reason"] == "account_closed"


async def test_the_books_of_the_region_are_nobodys_account(hangzhou: Caller) -> None:
    await hangzhou.resident("A", 50)
    assert (await hangzhou.get("/v1/accounts/%23issuer", 404))["reason"] in {"account_unknown", "not_found"}
    spend = {"account": "#issuer", "category": "moral", "amount": 1, "key": "k"}
    assert (await hangzhou.post("/v1/spends", spend, 404))["reason"] == "account_unknown"
    assert (await hangzhou.post("/v1/accounts", {"name": "#mine"}, 404))["reason"] == "account_unknown"


async def test_an_address_says_until_when_it_can_be_used_and_nothing_about_whose_it_is(hangzhou: Caller) -> None:
    await hangzhou.resident("A")
    first = await hangzhou.post("/v1/addresses", {"account": "A", "sender": 330200, "purpose": "donation", "days": 7})
    second = await hangzhou.post("/v1/addresses", {"account": "A"})
    assert set(first) == {"address", "expires"}
    assert first["address"].startswith("330100-")
    assert first["address"] != second["address"]
    assert first["expires"] < second["expires"]
