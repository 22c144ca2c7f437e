"""What cannot be done is refused by name, says what to do next, and moves nothing."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import yarl

from node.web import limits
from tests.web.nodes import Caller

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = {"account": "A", "category": "moral", "amount": 10, "key": "k"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prepared(shared: tuple[Caller, Caller]) -> tuple[Caller, str]:
    """A region with residents of all kinds, and an address in another region."""
    hangzhou, ningbo = shared
    await hangzhou.resident("A", 100)
    await hangzhou.resident("frozen", 100)
    await hangzhou.patch("/v1/accounts/frozen", {"state": "frozen"})
    await hangzhou.resident("closed")
    await hangzhou.patch("/v1/accounts/closed", {"state": "closed"})
    await hangzhou.resident("expired", 100, granted="2020-01-01", expires="2021-01-01")
    await hangzhou.resident("backfilled", 100, evidence="backfilled")
    return hangzhou, await hangzhou.address_at(ningbo, "B")


@pytest_asyncio.fixture(loop_scope="module")
async def hangzhou(prepared: tuple[Caller, str]) -> AsyncIterator[Caller]:
    """The region; whatever a test asks of it, nothing of it may move."""
    caller, _ = prepared
    before = await caller.get("/v1/counts")
    yield caller
    assert await caller.get("/v1/counts") == before


@pytest.fixture
def to(prepared: tuple[Caller, str]) -> str:
    """An address in another region."""
    return prepared[1]


@pytest.mark.parametrize("path", ["/v1/awards", "/v1/spends", "/v1/transfers"])
@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"amount": 0}, "amount_out_of_range", "amount"),
        ({"amount": -1}, "amount_out_of_range", "amount"),
        ({"amount": 1 << 63}, "amount_out_of_range", "amount"),
        ({"amount": 10**300}, "amount_out_of_range", "amount"),
        ({"amount": 1.0}, "bad_field", "amount"),
        ({"amount": True}, "bad_field", "amount"),
        ({"amount": None}, "bad_field", "amount"),
        ({"key": ""}, "key_missing", "key"),
        ({"key": 7}, "bad_field", "key"),
        ({"account": ""}, "bad_field", "account"),
        ({"account": "x" * 65}, "bad_field", "account"),
        ({"account": "a\nb"}, "bad_field", "account"),
        ({"category": "m" * 33}, "bad_field", "category"),
        ({"surprise": 1}, "bad_field", "surprise"),
    ],
)
async def test_a_field_that_is_not_as_it_must_be(
    hangzhou: Caller, path: str, change: dict[str, object], reason: str, field: str
) -> None:
    body = {**GOOD, "key": "other", **({"address": "330200-0"} if path == "/v1/transfers" else {}), **change}
    problem = await hangzhou.post(path, body, 422)
    assert (problem["reason"], problem["field"], problem["status"]) == (reason, field, 422)


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/v1/awards", {**GOOD, "account": "nobody"}, 404, "account_unknown"),
        ("/v1/awards", {**GOOD, "category": "gold"}, 422, "category_unknown"),
        ("/v1/awards", {**GOOD, "expires": "2026-02-30"}, 422, "bad_field"),
        ("/v1/awards", {**GOOD, "expires": 20270101}, 422, "bad_field"),
        ("/v1/awards", {**GOOD, "evidence": "hearsay"}, 422, "bad_field"),
        ("/v1/awards", {**GOOD, "because": "x" * 65}, 422, "bad_field"),
        ("/v1/awards", {**GOOD, "because": "a\0b"}, 422, "bad_field"),
        ("/v1/spends", {**GOOD, "category": "gold"}, 422, "category_unknown"),
        ("/v1/spends", {**GOOD, "amount": 101}, 422, "insufficient_points"),
        ("/v1/addresses", {"account": "nobody"}, 404, "account_unknown"),
        ("/v1/addresses", {"account": "A", "days": 0}, 422, "bad_field"),
        ("/v1/addresses", {"account": "A", "days": 10**9}, 422, "bad_field"),
        ("/v1/addresses", {"account": "A", "sender": 7}, 422, "bad_field"),
        ("/v1/accounts", {"name": "x\u2028y"}, 404, "account_unknown"),
        ("/v1/accounts", [], 422, "bad_field"),
        ("/v1/accounts", "A", 422, "bad_field"),
        ("/v1/expiry/sweep", {"limit": 0}, 422, "bad_field"),
        ("/v1/reviews/" + "0" * 32, {"source": 330200, "decision": "maybe", "by": "x"}, 422, "bad_field"),
        ("/v1/reviews/" + "0" * 32, {"source": 330200, "decision": "accept", "by": ""}, 422, "bad_field"),
        ("/v1/peers/330300/retry", {}, 422, "region_unknown"),
        ("/v1/peers/330100/retry", {}, 422, "region_unknown"),
    ],
)
async def test_a_command_that_cannot_be_done(
    hangzhou: Caller, path: str, body: object, status: int, reason: str
) -> None:
    if isinstance(body, dict) and "key" in body:
        body = {**body, "key": hangzhou.key()}
    problem = await hangzhou.post(path, body, status)
    assert (problem["reason"], problem["status"]) == (reason, status)
    assert problem["title"]
    assert problem["title_en"]
    assert problem["do"]
    assert problem["do_en"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"address": "330200-0000000000000000-00"}, "address_unknown"),
        ({"address": "nonsense"}, "address_unknown"),
        ({"address": "330100-{alias}"}, "address_unknown"),
        ({"address": ""}, "bad_field"),
        ({"purpose": "theft"}, "bad_field"),
        ({"consent": "x" * 65}, "bad_field"),
        ({"account": "frozen"}, "account_frozen"),
        ({"account": "closed"}, "account_closed"),
        ({"account": "expired"}, "points_expired"),
        ({"account": "backfilled"}, "evidence_too_low"),
        ({"amount": 101}, "insufficient_points"),
    ],
)
async def test_a_transfer_that_cannot_be_ordered(
    hangzhou: Caller, to: str, change: dict[str, object], reason: str
) -> None:
    body = {**GOOD, "key": hangzhou.key(), "address": to, **change}
    response = await hangzhou.send("POST", "/v1/transfers", json=body)
    problem = await response.json(content_type="application/problem+json")
    assert (problem["reason"], problem["status"]) == (reason, response.status)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"name": "A"', "line 1"),
        (b'{"name":\n  tru}', "line 2"),
        (b'{"name": "A"} x', "column 15"),
        (b'{"name": "\xff"}', "column 11"),
        (b"\x00", "column 1"),
        (b'{"name": x}', "column 10"),
        (b'{"name" 1}', "column 9"),
        (b'{"name": "A",}', "column 14"),
    ],
)
async def test_malformed_json_is_refused_with_its_place(hangzhou: Caller, body: bytes, where: str) -> None:
    headers = {"Content-Type": "application/json"}
    problem = await hangzhou.post("/v1/accounts", None, 400, data=body, headers=headers)
    assert problem["reason"] == "malformed_json"
    assert where in problem["detail"]


async def test_another_content_type_is_refused(hangzhou: Caller) -> None:
    for path in ("/v1/accounts", "/v1/expiry/sweep"):
        problem = await hangzhou.post(path, None, 415, data=b"name=A", headers={"Content-Type": "text/plain"})
        assert problem["reason"] == "unsupported_media_type"


async def test_a_body_that_is_too_large_is_refused(hangzhou: Caller) -> None:
    data = b" " * (limits.BODY_BYTES + 1)
    problem = await hangzhou.post("/v1/accounts", None, 413, data=data, headers={"Content-Type": "application/json"})
    assert problem["reason"] == "too_large"


async def test_unknown_paths_and_methods_are_problems_too(hangzhou: Caller) -> None:
    assert (await hangzhou.get("/v1/nothing", 404))["reason"] == "not_found"
    assert (await hangzhou.get("/", 404))["reason"] == "not_found"
    response = await hangzhou.send("DELETE", "/v1/accounts")
    assert response.status == 405
    assert response.headers["Allow"] == "POST"
    assert (await response.json())["reason"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/transfers?limit=0",
        "/v1/transfers?limit=1001",
        "/v1/transfers?limit=ten",
        "/v1/transfers?state=lost",
        "/v1/transfers?cursor=-1",
        "/v1/transfers?sort=amount",
        "/v1/transfers?limit=1&limit=2",
        "/v1/events?wait=61",
        "/v1/events?after=1.5",
        "/v1/accounts/A%00B",
        "/v1/accounts/A?x=1",
        "/v1/peers/abc",
        "/v1/quotes?category=moral",
    ],
)
async def test_a_query_that_is_not_as_it_must_be(hangzhou: Caller, path: str) -> None:
    problem = await hangzhou.get(yarl.URL(path, encoded=True), 422)  # type: ignore[arg-type]
    assert problem["reason"] == "bad_field"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("category=moral&amount=0&destination=330200", "amount_out_of_range"),
        ("category=moral&amount=9223372036854775808&destination=330200", "amount_out_of_range"),
        ("category=moral&amount=5&destination=330300", "region_unknown"),
        ("category=moral&amount=5&destination=330100", "region_unknown"),
        ("category=gold&amount=5&destination=330200", "category_not_mapped"),
    ],
)
async def test_a_quote_that_cannot_be_given(hangzhou: Caller, query: str, reason: str) -> None:
    assert (await hangzhou.get(f"/v1/quotes?{query}", 422))["reason"] == reason


async def test_a_problem_never_repeats_what_was_sent(hangzhou: Caller) -> None:
    """A shifted column may hold somebody's identity number."""
    number = "330106199001011234"
    bodies = [
        {**GOOD, "evidence": number},
        {**GOOD, "expires": number},
        {**GOOD, "category": number * 9},
        {**GOOD, "because": number * 9},
        {**GOOD, "amount": f"{number}X"},
    ]
    for body in bodies:
        problem = await hangzhou.post("/v1/awards", body, 422)
        assert number not in json.dumps(problem)
