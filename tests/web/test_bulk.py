"""Many commands in one call: one line in, one line out, and a bad line fails alone."""

import json

import pytest

from node.web import limits
from tests.web.nodes import NDJSON, Caller


def order(to: str, amount: object, key: str, **more: object) -> dict[str, object]:
    return {"account": "A", "category": "moral", "amount": amount, "address": to, "key": key, **more}


async def test_a_thousand_lines_are_answered_in_their_order(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 1_000_000)
    to = await hangzhou.address_at(ningbo, "B")
    answers = await hangzhou.lines("/v1/transfers", [order(to, 10 + i, f"k{i}") for i in range(1000)])
    assert [a["line"] for a in answers] == list(range(1, 1001))
    assert all(a["ok"] is True and a["state"] == "held" for a in answers)
    assert [a["leaving"] for a in answers] == [(10 + i) // 10 * 10 for i in range(1000)]
    await hangzhou.pump()
    counted = (await hangzhou.get("/v1/counts"))["transfers"]
    assert [(c["state"], c["count"], c["leaving"]) for c in counted] == [
        ("posted", 1000, sum(a["leaving"] for a in answers))
    ]
    again = await hangzhou.lines("/v1/transfers", [order(to, 10 + i, f"k{i}") for i in range(1000)])
    assert [a["id"] for a in again] == [a["id"] for a in answers]
    assert {a["state"] for a in again} == {"posted"}


async def test_a_bad_line_fails_alone_and_says_what_is_wrong(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 1000)
    to = await hangzhou.address_at(ningbo, "B")
    wrong: list[tuple[object, str, str | None]] = [
        (b'{"account":"A",', "malformed_json", None),
        (b"", "malformed_json", None),
        (b"\xff\xfe", "malformed_json", None),
        (b'{"account":"\\ud800"}', "malformed_json", None),
        (b"[" * 3000, "bad_field", None),
        (b'{"account":"' + b"A" * limits.LINE_BYTES + b'"}', "too_large", None),
        ({**order(to, 10, "x1"), "pupose": "donation"}, "bad_field", "pupose"),
        (order(to, 1.5, "x2"), "bad_field", "amount"),
        (order(to, "ten", "x3"), "bad_field", "amount"),
        (order(to, 0, "x4"), "amount_out_of_range", "amount"),
        (order(to, -5, "x5"), "amount_out_of_range", "amount"),
        (order(to, 1 << 63, "x6"), "amount_out_of_range", "amount"),
        (order(to, 9, "x7"), "amount_out_of_range", None),  # less than one block of the rate
        (order(to, 10, ""), "key_missing", "key"),
        (order(to, 10, "with space"), "bad_field", "key"),
        (order(to, 10, "k" * 200), "bad_field", "key"),
        (order(to, 10, "x8", account="nobody"), "account_unknown", None),
        (order(to, 10, "x9", account="nul\0"), "bad_field", "account"),
        (order(to, 10, "x10", category="gold"), "category_not_mapped", None),
        (order(to[:-1] + ("0" if to[-1] != "0" else "1"), 10, "x11"), "address_unknown", None),
        (order("330100" + to[6:], 10, "x12"), "address_unknown", None),
        (order(to, 10, "x13", purpose="reversal"), "bad_field", "purpose"),
        (order(to, 10_000_000, "x14"), "insufficient_points", None),
    ]
    lines = [line for bad, _, _ in wrong for line in (bad, None)]
    good = iter(range(len(wrong)))
    sent = [order(to, 10, f"good{next(good)}") if line is None else line for line in lines]
    answers = await hangzhou.lines("/v1/transfers", sent)
    assert [a["line"] for a in answers] == list(range(1, len(sent) + 1))
    assert [a["ok"] for a in answers] == [False, True] * len(wrong)
    for (_, reason, field), answer in zip(wrong, answers[::2], strict=True):
        assert (answer["reason"], answer.get("field")) == (reason, field), answer
        assert answer["title"]
        assert answer["do"]
        assert answer["type"] == f"urn:hutong:problem:{reason}"
    assert "column 16" in answers[0]["detail"]
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["held"] == 10 * len(wrong)


async def test_amounts_may_be_decimal_strings(hangzhou: Caller) -> None:
    await hangzhou.post("/v1/accounts", {"name": "A"})
    lines = [
        {"account": "A", "category": "moral", "amount": amount, "key": f"k{n}"}
        for n, amount in enumerate(["7", 8, "9223372036854775000", "9223372036854775808", "1e3", "-1", " 1", ""])
    ]
    answers = await hangzhou.lines("/v1/awards", lines[:3])
    assert [a["amount"] for a in answers] == [7, 8, 9223372036854775000]
    refused = await hangzhou.lines("/v1/awards", lines[3:])
    assert [a["reason"] for a in refused] == ["amount_out_of_range", *["bad_field"] * 4]


@pytest.mark.parametrize("ends", [b"", b"\n", b"\r\n"])
async def test_the_last_line_may_or_may_not_end(hangzhou: Caller, ends: bytes) -> None:
    data = b'{"name":"A"}\r\n{"name":"B"}' + ends
    response = await hangzhou.send("POST", "/v1/accounts", data=data, headers={"Content-Type": NDJSON})
    answers = [json.loads(line) for line in (await response.read()).splitlines()]
    assert [(a["line"], a["ok"], a["name"]) for a in answers] == [(1, True, "A"), (2, True, "B")]


async def test_a_thousand_and_one_lines_are_refused_and_none_is_done(hangzhou: Caller) -> None:
    data = b'{"name":"A"}\n' * 1001
    problem = await hangzhou.post("/v1/accounts", None, 413, data=data, headers={"Content-Type": NDJSON})
    assert problem["reason"] == "too_many_lines"
    assert (await hangzhou.get("/v1/counts"))["accounts"] == 0


async def test_no_lines_at_all_and_a_key_for_all_of_them_are_refused(hangzhou: Caller) -> None:
    empty = await hangzhou.post("/v1/accounts", None, 422, data=b"", headers={"Content-Type": NDJSON})
    assert empty["reason"] == "bad_field"
    headers = {"Content-Type": NDJSON, "Idempotency-Key": "k"}
    keyed = await hangzhou.post("/v1/awards", None, 422, data=b"{}\n", headers=headers)
    assert keyed["field"] == "key"


async def test_the_same_key_twice_in_one_call_is_one_command(hangzhou: Caller) -> None:
    await hangzhou.post("/v1/accounts", {"name": "A"})
    award = {"account": "A", "category": "moral", "amount": 5, "key": "k"}
    answers = await hangzhou.lines("/v1/awards", [award, award, {**award, "amount": 6}])
    assert [a["ok"] for a in answers] == [True, True, False]
    assert answers[0]["lot"] == answers[1]["lot"]
    assert answers[2]["reason"] in {"conflict_different_content", "conflict_different_amount"}
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 5


async def test_what_one_line_makes_the_next_can_use(hangzhou: Caller, ningbo: Caller) -> None:
    opened = await hangzhou.lines("/v1/accounts", [{"name": "A"}, {"name": "B"}])
    assert all(a["ok"] for a in opened)
    addresses = await hangzhou.lines("/v1/addresses", [{"account": "A"}, {"account": "Z"}, {"account": "B"}])
    assert [a["ok"] for a in addresses] == [True, False, True]
    await hangzhou.lines("/v1/awards", [{"account": "A", "category": "moral", "amount": 50, "key": "a"}])
    spends = [{"account": "A", "category": "moral", "amount": 30, "key": f"s{n}"} for n in range(3)]
    answers = await hangzhou.lines("/v1/spends", spends)
    assert [a["ok"] for a in answers] == [True, False, False]
    assert answers[1]["reason"] == "insufficient_points"
