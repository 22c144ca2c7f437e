"""The vectors of redeeming away from home, judged by a second reading of SPEC 16, and then by production code."""

from __future__ import annotations

from hashlib import sha256
from math import gcd
from typing import Any

import pytest

from gateway.protocol import codec, roaming
from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.errors import Malformed, OwnFault
from gateway.protocol.roaming import Event, State
from gateway.protocol.values import Kind
from tests.protocol import reader
from tests.protocol.reader import vectors

FILE = vectors("roaming")
NOW = int(FILE["clock_ms"])
WEEK, SKEW = 7 * 86_400_000, 600_000
MOVES = {(move["state"], move["event"]): move["then"] for move in FILE["moves"]}
OVER = {"captured", "part_captured", "released", "ended", "refused"}


# -- codes and bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FILE["codes"]["valid"] + FILE["codes"]["forgiven"])
def test_a_code_reads_as_region_and_random_part(case: dict[str, Any]) -> None:
    read = roaming.read_code(case["text"])
    assert (read.region, read.alias.hex()) == (case["region"], case["code"])
    assert roaming.write_code(read.region, read.alias).startswith(f"RC-{case['region']}-")


@pytest.mark.parametrize("text", FILE["codes"]["invalid"])
def test_this_is_no_code(text: str) -> None:
    with pytest.raises(Malformed):
        roaming.read_code(text)


@pytest.mark.parametrize("case", FILE["bodies"], ids=[case["message"] for case in FILE["bodies"]])
def test_a_body_has_this_commitment_and_these_fields(case: dict[str, Any]) -> None:
    salted, fields = bytes.fromhex(case["salted"]), case["fields"]
    assert sha256(salted).hexdigest() == codec.commitment(salted).hex() == case["commitment"]
    if case["message"] == "Authorise":
        asked = bodies.decode_authorise(salted)
        assert reader.one(salted[16:], 1) == asked.code == bytes.fromhex(fields["code"])
        read = [reader.one(salted[16:], number, 0) for number in (2, 3, 4, 5)]
        assert read == [int(fields[name]) for name in ("rate_p", "rate_q", "terms_version", "until_ms")]
        assert (asked.reference, asked.until_ms) == (fields["reference"], read[3])
    else:
        about = bodies.decode_about(Kind(case["kind"]), salted).authorisation
        assert reader.one(salted[16:], 1) == about == bytes.fromhex(fields["authorisation"])


# -- the table --------------------------------------------------------------------------------------------------------


def test_the_table_is_that_of_the_code_and_everything_else_has_no_row() -> None:
    for state in State:
        for event in Event:
            after = MOVES.get((state.name.lower(), event.name.lower()))
            if after is not None:
                assert roaming.step(state, event) is State[after.upper()]
            else:
                with pytest.raises(OwnFault):
                    roaming.step(state, event)


def test_what_is_over_stays_over_and_all_else_can_come_to_an_end() -> None:
    assert {state for state, _ in MOVES} & OVER == set()
    for state in State:
        assert roaming.is_over(state) == (state.name.lower() in OVER)
        reached = {state.name.lower()}
        for _ in State:
            reached |= {then for (before, _), then in MOVES.items() if before in reached}
        assert reached & OVER


# -- the home region: a second reading --------------------------------------------------------------------------------


class Home:
    """What SPEC 16 tells a home region to do."""

    def __init__(self) -> None:
        self.codes = {entry["code"]: entry for entry in FILE["accounts"]}
        self.used: set[str] = set()
        self.held: dict[str, dict[str, Any]] = {}

    def hear(self, case: dict[str, Any]) -> str | None:
        """The reason of a refusal."""
        body, header = bytes.fromhex(case["salted"])[16:], case["header"]
        if case["kind"] == Kind.AUTHORISE:
            return self.authorise(case["id"], body, header)
        found = self.held.get(reader.one(body, 1).hex())
        if found is None:
            return "TRANSFER_UNKNOWN"
        over = found["then"] in OVER
        if case["kind"] == Kind.RELEASE:
            found["then"] = found["then"] if over else "released"
            return "AUTHORISATION_ENDED" if over else None
        amount, arriving = int(header["amount"]), int(header["arriving"])
        if (header["category"], header["becomes"]) != (found["category"], found["becomes"]):
            return "MALFORMED_BODY"
        if amount < 1 or amount % 3 or amount // 3 * 2 != arriving:
            return "MALFORMED_BODY"
        if amount > int(found["amount"]):
            return "ABOVE_AUTHORISED"
        if over:
            return "AUTHORISATION_ENDED"
        found["then"] = "captured" if amount == int(found["amount"]) else "part_captured"
        return None

    def authorise(self, ident: str, body: bytes, header: dict[str, Any]) -> str | None:
        """The first check that fails, in the order of the text."""
        code, reference = reader.one(body, 1), reader.one(body, 6, b"").decode()
        p, q, version, until = (reader.one(body, number, 0) for number in (2, 3, 4, 5))
        amount, arriving = int(header["amount"]), int(header["arriving"])
        blocks = amount // q
        named = header["category"] and header["becomes"] and amount >= 1 and arriving >= 1
        fits = gcd(p, q) == 1 and blocks * q == amount and blocks * p == arriving
        if len(code) != 10 or len(reference) > 64 or not until or not named or not fits:
            return "MALFORMED_BODY"
        terms = FILE["terms"]
        if (header["category"], header["becomes"]) != (terms["category"], terms["becomes"]):
            return "CATEGORY_NOT_MAPPED"
        if (p, q, version) != (int(terms["rate_p"]), int(terms["rate_q"]), terms["version"]):
            return "TERMS_DIFFER"
        account = self.codes.get(code.hex())
        if account is None or code.hex() in self.used or int(account["works_until_ms"]) <= NOW:
            return "CODE_NOT_VALID"
        self.used.add(code.hex())
        if account["account"] != "open":
            return {"closed": "CODE_NOT_VALID", "frozen": "ACCOUNT_FROZEN"}[account["account"]]
        if int(account["units"]) < amount:
            return "INSUFFICIENT_POINTS"
        if not NOW < until <= NOW + WEEK + SKEW:
            return "TOO_LATE"
        self.held[ident] = {**header, "then": "authorised"}
        return None


def test_the_home_region_answers_every_message_as_the_text_says() -> None:
    home, wrong = Home(), []
    for case in FILE["heard"]:
        reason = home.hear(case)
        about = case["id"]
        if case["kind"] != Kind.AUTHORISE:
            about = reader.one(bytes.fromhex(case["salted"])[16:], 1).hex()
        then = home.held.get(about, {}).get("then")
        if (reason, then) != (case["reason"], case["then"]) or (reason is None) != (case["answer"] == "accept"):
            wrong.append((case["name"], reason, then))
    assert wrong == []


def test_the_counter_answers_every_question_as_the_text_says() -> None:
    for case in FILE["asked"]:
        over = case["state"] in (None, "released", "ended", "refused")
        ends = case["state"] == "authorised" and int(case["until_ms"]) <= NOW
        assert case["answer"] == ("accept" if over or ends else "refuse"), case
        assert case["reason"] == (None if over or ends else "WRONG_STATE")
        assert case["then"] == ("ended" if ends else case["state"])
