"""No identity number is ever found: given in any place but one it is refused by name, and what is given there is gone.

Numbers that are as real ones are put into every way in; then everything that comes out is searched.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import structlog
from sqlalchemy import select

from gateway.protocol import identity
from node.errors import BadFile, BadInput
from node.services.csv_file import load_awards, load_residents
from node.store import schema, tokens
from node.web.server import ROUTES
from tests.federation import Pair
from tests.web.nodes import NDJSON, Caller

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def number_of(first: str) -> str:
    """Seventeen digits with the check character of GB 11643-1999."""
    total = sum(int(digit) * weight for digit, weight in zip(first, WEIGHTS, strict=True))
    return first + "10X98765432"[total % 11]


ADULT = number_of("33010619900307123")
ENDS_IN_X = next(n for n in (number_of(f"44030519800229{i:03}") for i in range(999)) if n.endswith("X"))
CHILD = number_of("33020320180501002")
OLD = "330106900307123"
NUMBERS = (ADULT, ENDS_IN_X, ENDS_IN_X.lower(), CHILD, OLD)

# Wider than the product's own: any 15 or 18 digits that begin with a province and say a birthday, checked or not.
_LIKE = re.compile(
    rb"(?<![0-9a-fA-F])(?:[1-8][1-7]\d{4}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"
    rb"|[1-8][1-7]\d{4}\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3})(?![0-9a-fA-F])"
)


def found_in(data: bytes) -> list[bytes]:
    """What looks like an identity number, or is one of those that were given, in any case or escape."""
    known = [n.encode() for n in NUMBERS if n.encode() in data]
    return known + _LIKE.findall(data)


def test_the_search_finds_what_it_looks_for() -> None:
    for given in NUMBERS:
        for text in (given, f"id={given}", f'{{"name":"{given}"}}', f"R{given}"):
            assert found_in(text.encode()), text
    assert _LIKE.findall(b"440301199912319876 or 440301991231987")[1:], "others than those that were given, too"


class Heard:
    """Everything that came out: answers, log lines, messages, metrics, tables."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, bytes]] = []

    def add(self, where: str, what: bytes | str) -> None:
        self.parts.append((where, what.encode() if isinstance(what, str) else what))

    def check(self) -> None:
        assert self.parts
        assert {where: found for where, what in self.parts if (found := found_in(what))} == {}


@pytest.fixture
def heard() -> Iterator[Heard]:
    """At the end everything that was heard is searched, log lines included."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logging.getLogger().addHandler(handler)
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines))
    made = Heard()
    yield made
    structlog.configure(**before)
    logging.getLogger().removeHandler(handler)
    made.add("log", lines.getvalue())
    made.check()


def dump(caller: Caller) -> bytes:
    """Every cell of every table, as it is stored."""
    with caller.node.store.read() as conn:
        cells = [cell for table in schema.metadata.sorted_tables for row in conn.execute(select(table)) for cell in row]
    return b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in cells)


def listen(pair: Pair, heard: Heard) -> None:
    """Keep every message that goes on the wire."""
    send = pair.send

    def kept(source: int, destination: int, messages: Any) -> None:
        before = len(pair.wire)
        send(source, destination, messages)
        for _source, _destination, message in list(pair.wire)[before:]:
            heard.add(f"message {source}", message)

    pair.send = kept  # type: ignore[method-assign]


async def refused(caller: Caller, heard: Heard, method: str, path: str, **more: Any) -> None:
    """By name, with advice, without repeating it."""
    response = await caller.send(method, path, **more)
    said = await response.text()
    heard.add(f"{method} {path.partition('?')[0]}" if not found_in(path.encode()) else method, said)
    assert response.status == 422, (method, said)
    problem = json.loads(said)
    assert problem["reason"] == "identity_number"
    assert problem["do"]
    assert problem["do_en"]


def _bodies() -> list[tuple[str, str, str]]:
    """(method, path, field) of every field of every body, as the routes are."""
    found = []
    for route in ROUTES:
        shape = route.deed.body if route.deed is not None else route.body
        if shape is None or route.takes_number:
            continue
        path = re.sub(r"\{(\w+)\}", lambda place: _PLACES[place[1]], route.path)
        found += [(route.method, path, field.encode_name) for field in msgspec.structs.fields(shape)]
        found.append((route.method, path, "a field nobody knows"))
    return found


_PLACES = {"id": "0" * 32, "digest": "0" * 64, "code": "330200"}
_PLACES = {**_PLACES, **{p: "A" for route in ROUTES for p in route.places if p not in _PLACES}}


async def test_no_field_of_any_body_takes_a_number(hangzhou: Caller, heard: Heard) -> None:
    everything = _bodies()
    assert len(everything) > 60
    for nth, (method, path, field) in enumerate(everything):
        given = NUMBERS[nth % len(NUMBERS)]
        for value in (given, f"张三 {given}（本人）", [given], {given: 1}):
            await refused(hangzhou, heard, method, path, json={field: value})
    heard.add("tables", dump(hangzhou))


@pytest.mark.parametrize("given", NUMBERS)
async def test_no_way_of_writing_a_number_is_let_in(hangzhou: Caller, heard: Heard, given: str) -> None:
    wide = given.translate({ord("0") + i: ord("０") + i for i in range(10)})
    escaped = "".join(f"\\u{ord(c):04x}" for c in given)
    half = "".join(f"\\u{ord(c):04X}" if i % 2 else c for i, c in enumerate(given))
    for text in (given, wide, escaped, half, f"x{given}", f"ID:{given}."):
        body = f'{{"name":"{text}"}}'.encode()
        await refused(hangzhou, heard, "POST", "/v1/accounts", data=body, headers={"Content-Type": "application/json"})
    for broken in (f'{{"name":"{given}"', f'{{"name":{given}}}', f'"{given}"', f"{given}"):
        response = await hangzhou.send(
            "POST", "/v1/accounts", data=broken.encode(), headers={"Content-Type": "application/json"}
        )
        assert response.status in (400, 422)
        heard.add("broken", await response.text())
    heard.add("tables", dump(hangzhou))


@pytest.mark.parametrize("given", NUMBERS)
async def test_neither_a_path_nor_a_query_nor_a_key_has_one(hangzhou: Caller, heard: Heard, given: str) -> None:
    await hangzhou.resident("A", 100)
    for route in ROUTES:
        if route.places:
            path = route.path.replace(f"{{{route.places[0]}}}", given)
            path = re.sub(r"\{(\w+)\}", lambda place: _PLACES[place[1]], path)
            await refused(hangzhou, heard, route.method, path)
        else:
            await refused(hangzhou, heard, route.method, f"{route.path}?account={quote('身份证' + given)}")
    body = {"account": "A", "category": "moral", "amount": 1}
    await refused(hangzhou, heard, "POST", "/v1/spends", json=body, headers={"Idempotency-Key": given})
    response = await hangzhou.send("GET", f"/v1/nothing/{given}")
    heard.add("nowhere", await response.text())
    heard.add("metrics", await (await hangzhou.send("GET", "/metrics")).text())
    heard.add("tables", dump(hangzhou))


async def test_a_line_with_one_fails_alone(hangzhou: Caller, heard: Heard) -> None:
    lines = [{"name": f"R{n}"} if n % 3 else {"name": f"R{NUMBERS[n % len(NUMBERS)]}"} for n in range(30)]
    data = "\n".join(map(json.dumps, lines)).encode()
    response = await hangzhou.send("POST", "/v1/accounts", data=data, headers={"Content-Type": NDJSON})
    said = await response.read()
    heard.add("lines", said)
    answers = [json.loads(line) for line in said.splitlines()]
    assert [a["ok"] for a in answers] == [bool(n % 3) for n in range(30)]
    assert {a["reason"] for a in answers if not a["ok"]} == {"identity_number"}
    heard.add("tables", dump(hangzhou))


async def test_keys_ids_and_amounts_that_only_look_long_are_let_in(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 1_000)
    to = await hangzhou.address_at(ningbo, "B")
    for key in (
        "123456789012345678901234567890", "1795000000000000", "0193c0de-1234-7abc-8def-0123456789ab",
        "330106199003071230", "999999999999999", "a" * 10 + "330106900307123" + "b" * 10,
    ):  # fmt: skip
        await hangzhou.transfer("A", to, 10, key=key)
    body = {"account": "A", "category": "moral", "key": "much"}
    problem = await hangzhou.post("/v1/spends", {**body, "amount": 123_456_789_012_345_678}, 422)
    assert problem["reason"] == "insufficient_points"


@pytest.mark.parametrize("given", [ADULT.rstrip("X"), OLD])
async def test_a_time_to_wait_is_no_number_however_its_fraction_reads(hangzhou: Caller, given: str) -> None:
    assert identity.mentions_number(f"0.{OLD}")
    await hangzhou.get(f"/v1/events?after=0&wait=0.{given}")


async def test_what_is_given_to_identify_a_resident_leaves_nothing_behind(
    hangzhou: Caller, ningbo: Caller, two: Pair, heard: Heard
) -> None:
    """The whole way: both regions identify, one resident consents and moves, and everything is looked through."""
    listen(two, heard)
    await hangzhou.resident("A", 1_000)
    to = await hangzhou.address_at(ningbo, "B")
    for caller, name in ((hangzhou, "A"), (ningbo, "B")):
        for given, doubt in (
            (OLD, "fifteen_digits"), ("E12345678", "foreign"), (ADULT[:-1] + "0", "malformed"), (ADULT, None)
        ):  # fmt: skip
            response = await caller.send("PUT", f"/v1/accounts/{name}/identity", json={"number": given})
            said = await response.text()
            heard.add("identity", said)
            assert json.loads(said) == {"account": name, "kept": doubt is None, "doubt": doubt}
    made = await hangzhou.post(
        "/v1/consents",
        {
            "account": "A", "recipient": 330200, "contact": "宁波市 0574-1234567", "purpose": "relocation",
            "method": "signed messages", "kinds": ["points", "identity"], "expires": "2027-12-31", "key": "c",
        },
    )  # fmt: skip
    placed = await hangzhou.transfer("A", to, 100, consent=made["reference"])
    await hangzhou.pump()
    for path in (
        "/v1/accounts/A", "/v1/accounts/A/history", "/v1/accounts/A/consents", "/v1/transfers", "/v1/events",
        f"/v1/transfers/{placed['id']}", f"/v1/consents/{made['reference']}", "/v1/penalties", "/v1/identity-key",
        "/v1/claims", "/metrics",
    ):  # fmt: skip
        heard.add(path, await (await hangzhou.send("GET", path)).text())
    for caller in (hangzhou, ningbo):
        heard.add("tables", dump(caller))
    root = identity.root(ADULT, hangzhou.region.office.roster.federation)
    assert not any(root in what for _, what in heard.parts), "nor is the root in the open"
    assert (await hangzhou.post("/v1/accounts/A/identity", {"number": ADULT}, 405))["reason"] == "method_not_allowed"


async def test_a_child_is_known_by_it_and_a_guardian_has_to_consent(hangzhou: Caller) -> None:
    await hangzhou.resident("child", 100)
    said = {
        "account": "child", "recipient": 330200, "contact": "宁波市", "purpose": "relocation",
        "method": "signed messages", "kinds": ["points"], "expires": "2027-12-31",
    }  # fmt: skip
    own = await hangzhou.post("/v1/consents", {**said, "key": "before"})
    response = await hangzhou.send("PUT", "/v1/accounts/child/identity", json={"number": CHILD})
    assert (await response.json())["kept"] is True
    assert (await hangzhou.get(f"/v1/consents/{own['reference']}"))["withdrawn"] is not None
    problem = await hangzhou.post("/v1/consents", {**said, "key": "k"}, 422)
    assert problem["reason"] == "consent_not_valid"
    await hangzhou.post("/v1/consents", {**said, "key": "k2", "given_by": "guardian"})


async def test_files_and_tokens_name_nobody_by_one(hangzhou: Caller, heard: Heard, tmp_path: Any) -> None:
    for given in NUMBERS:
        residents, awards = tmp_path / "residents.csv", tmp_path / "awards.csv"
        residents.write_text(f"region,account,opened\n330100,{given},2026-01-01\n")
        with pytest.raises(BadFile) as bad:
            load_residents(residents)
        heard.add("file", f"{bad.value} {bad.value.do}")
        awards.write_text(
            "region,key,account,category,amount,granted,expires,evidence,activity\n"
            f"330100,k,A,moral,1,2026-01-01,2027-01-01,signed_in,{given}\n"
        )
        with pytest.raises(BadFile) as bad:
            load_awards(awards)
        heard.add("file", f"{bad.value} {bad.value.do}")
        with pytest.raises(BadInput) as refusal, hangzhou.node.store.write() as conn:
            tokens.create(conn, given, ["read"], 1)
        heard.add("token", str(refusal.value))
