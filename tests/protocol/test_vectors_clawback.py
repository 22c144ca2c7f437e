"""The vectors of clawbacks, judged by a second reading of SPEC 18, and then by production code."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from gateway.protocol import clawback, codec
from gateway.protocol.bodies import clawback as bodies
from gateway.protocol.clawback import Cause, Event, State, Take
from gateway.protocol.errors import Malformed, OwnFault, PeerFault
from gateway.protocol.values import Kind
from tests.protocol import reader
from tests.protocol.reader import vectors

FILE = vectors("clawback")
MOVES = {(move["state"], move["event"]): move["then"] for move in FILE["moves"]}


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"].replace(" ", "_") for case in cases])


def test_the_table_is_that_of_the_code_and_everything_else_has_no_row() -> None:
    for state in State:
        for event in Event:
            after = MOVES.get((state.name.lower(), event.name.lower()))
            if after is None:
                with pytest.raises(OwnFault):
                    clawback.step(state, event)
            else:
                assert clawback.step(state, event).name.lower() == after


@named(FILE["bodies"])
def test_a_body_has_this_commitment_and_these_fields(case: dict[str, Any]) -> None:
    salted, fields = bytes.fromhex(case["salted"]), case["fields"]
    assert sha256(salted).hexdigest() == codec.commitment(salted).hex() == case["commitment"]
    found = list(reader.fields(salted[16:]))
    if case["kind"] == Kind.CLAWED_BACK:
        read = [dict(found).get(number, 0) for number in (1, 2, 3)]
        assert read == [int(fields[name]) for name in ("recovered", "further", "owed")]
        assert list(bodies.decode_clawed_back(salted)) == read
        return
    asked = bodies.decode_clawback(salted)
    one: dict[int, Any] = dict(found)
    assert (one[1].hex(), one[2], one[3]) == (fields["transfer"], fields["cause"], fields["issuer"])
    assert (one[4].decode(), one[5].hex()) == (fields["because"], fields["root"])
    shares = [dict(reader.fields(bytes(value))) for number, value in found if number == 6]
    assert [(s.get(1, 0), str(s[2])) for s in shares] == [(s["slice"], s["blocks"]) for s in fields["shares"]]
    assert [(s.slice, str(s.blocks)) for s in asked.shares] == [(s["slice"], s["blocks"]) for s in fields["shares"]]


@named(FILE["refused_bodies"])
def test_these_bytes_are_no_clawback(case: dict[str, Any]) -> None:
    with pytest.raises(PeerFault):
        bodies.decode_clawback(bytes.fromhex(case["salted"]))


@named(FILE["shares"])
def test_a_block_is_asked_for_where_every_unit_of_it_is(case: dict[str, Any]) -> None:
    units = [k < take["asked"] for take in case["takes"] for k in range(take["units"])]
    counted, at, q = [], 0, case["rate_q"]
    for number, blocks in enumerate(case["slices"]):
        of_slice = sum(units[at : at + blocks * q])
        at += blocks * q
        if of_slice // q:
            counted.append({"slice": number, "blocks": of_slice // q})
    assert counted == case["shares"]
    takes = [Take(take["units"], take["asked"]) for take in case["takes"]]
    assert [s._asdict() for s in clawback.shares_of(case["slices"], q, takes)] == case["shares"]


def test_a_transfer_gives_what_it_carried_of_the_activity_once() -> None:
    carried = FILE["transfer"]["carried"]
    left = [int(s["blocks"]) for s in carried]
    for request in FILE["transfer"]["requests"]:
        asked = request["asked"]
        shares = [(s["slice"], int(s["blocks"])) for s in asked["shares"]]
        of_it = [
            any((p["issuer"], p["because"]) == (asked["issuer"], asked["because"]) for p in s["provenance"])
            for s in carried
        ]
        if any(number >= len(left) or blocks > left[number] for number, blocks in shares):
            answer = "AMOUNT_OUT_OF_RANGE"
        elif asked["cause"] == Cause.ACTIVITY and not all(of_it[number] for number, _ in shares):
            answer = "DOCUMENT_INVALID"
        else:
            answer = "taken up"
            for number, blocks in shares:
                left[number] -= blocks
        assert answer == request["answer"], request["name"]


@pytest.mark.parametrize("case", FILE["answers"])
def test_an_answer_accounts_for_every_block_once(case: dict[str, str]) -> None:
    n = {name: int(value) for name, value in case.items()}
    p = n["rate_p"]
    assert n["taken"] % p == 0
    assert n["taken"] <= min(n["there"], n["blocks"] * p) < n["taken"] + p
    assert (n["recovered"], n["further"]) == (n["taken"] // p, n["came_back"] // p)
    assert n["recovered"] + n["further"] + n["owed"] == n["blocks"]
    assert clawback.to_take(n["there"], 0, n["blocks"] * p, p) == n["taken"]
    answer = clawback.result(n["blocks"], p, n["taken"], n["came_back"])
    assert list(answer) == [n["recovered"], n["further"], n["owed"]]
    with pytest.raises(Malformed):
        clawback.check_answer(n["blocks"] + 1, answer)
