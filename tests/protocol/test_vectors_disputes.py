"""The vectors of disputes, judged by a second reading of SPEC 17, and then by production code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import pytest

from gateway.protocol import codec, dispute
from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.dispute import Act, Role, State, When
from gateway.protocol.errors import Refused
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.values import Reason
from tests.protocol import reader
from tests.protocol.reader import vectors
from tests.protocol.test_vectors import named

FILE = vectors("disputes")
FEDERATION, ENVIRONMENT = bytes.fromhex(FILE["federation"]), FILE["environment"]
PUBLIC = {int(code): bytes.fromhex(key) for code, key in FILE["keys"].items()}
ROSTER = Roster(
    version=1, federation=FEDERATION, environment=ENVIRONMENT, issued_at_ms=0, root_keys=(), threshold=1,
    regions=tuple(
        Region(code=code, keys=(Key(suite="ed25519-sha256", public_key=public),)) for code, public in PUBLIC.items()
    ),
)  # fmt: skip
MOVES = {(move["state"], move["act"]): move for move in FILE["moves"]}
_WORDS = (
    "open concede contest evidence propose agree mediate arbitrate opinion uphold reject award withdraw"
)  # fmt: skip
ACTS = dict(enumerate(_WORDS.split(), 1))


def lowest(*judges: Callable[[], None]) -> str | None:
    found = []
    for judge in judges:
        try:
            judge()
        except Refused as refusal:
            found.append(refusal.reason)
    return Reason(min(found)).name if found else None


# -- a second reading -------------------------------------------------------------------------------------------------


def is_date(day: int) -> bool:
    try:
        return bool(date(day // 10_000, day // 100 % 100, day % 100))
    except ValueError:
        return False


def working_days(day: int, days: int) -> int:
    """Monday to Friday."""
    at = date(day // 10_000, day // 100 % 100, day % 100)
    for _ in range(days):
        at += timedelta(days={4: 3, 5: 2}.get(at.weekday(), 1))
    return int(at.strftime("%Y%m%d"))


class Reading:
    """A dispute as the text of the specification has it: fields by number, words for acts and states."""

    def __init__(self) -> None:
        self.state, self.number, self.last, self.due, self.said = "", -1, b"", 0, 0
        self.proposed_by = self.proposed = self.settled = 0
        self.opinion: int | None = None
        self.dispute, self.roles = b"", dict[str, int]()
        self.amount = self.answer_days = self.decide_days = 0

    def hear(self, signed: bytes, today: int) -> str | None:
        payload = bytes(reader.one(signed, 2))
        step = {number: reader.one(payload, number, 0) for number in (4, 6, 7, 8, 9)}
        about = {number: bytes(reader.one(payload, number, b"")) for number in (1, 2, 3, 5, 10, 11, 12)}
        reasons = list(self._objections(signed, payload, step, about, today))
        if reasons:
            return str(min(reasons, key=lambda name: Reason[name]))
        self._take(payload, step, about)
        return None

    def _objections(self, signed: bytes, payload: bytes, step: Any, about: Any, today: int) -> Any:
        number, by, day, act, amount = (step[n] for n in (4, 6, 7, 8, 9))
        word = ACTS.get(act, "")
        yield from self._form(signed, payload, step, about, today)
        if self.number < 0:
            return
        if word in ("propose", "award", "agree") and not 1 <= amount <= self.amount:
            yield "AMOUNT_OUT_OF_RANGE"
        if word == "opinion" and amount > self.amount:
            yield "AMOUNT_OUT_OF_RANGE"
        if word == "agree":
            if self.proposed_by in (0, by):
                yield "WRONG_STATE"
            elif amount != self.proposed:
                yield "CONFLICT_DIFFERENT_AMOUNT"
        move = MOVES.get((self.state, word))
        if move is None:
            yield "WRONG_STATE"
        else:
            if "overdue" in move["when"] and min(day, today) <= self.due:
                yield "WRONG_STATE"
            if "unmediated" in move["when"] and self.roles["mediator"]:
                yield "WRONG_STATE"
            if {"mediate": "mediator", "arbitrate": "arbitrator"}.get(word, "claimant") and not self.roles[
                {"mediate": "mediator", "arbitrate": "arbitrator"}.get(word, "claimant")
            ]:
                yield "WRONG_STATE"
            if not any(self.roles[role] == by for role in move["by"]):
                yield "DOCUMENT_INVALID"
        if about[3] != self.dispute or about[12] or day < self.said:
            yield "DOCUMENT_INVALID"
        if (number, about[5]) != (self.number + 1, self.last):
            yield "PREDECESSOR_UNKNOWN"

    def _form(self, signed: bytes, payload: bytes, step: Any, about: Any, today: int) -> Any:
        number, by, day, act, amount = (step[n] for n in (4, 6, 7, 8, 9))
        word = ACTS.get(act, "")
        tomorrow = date(today // 10_000, today // 100 % 100, today % 100) + timedelta(days=1)
        if not is_date(day) or day > int(tomorrow.strftime("%Y%m%d")):
            yield "DOCUMENT_INVALID"
        if not word or (amount and word not in ("propose", "agree", "opinion", "award")):
            yield "DOCUMENT_INVALID"
        if bool(about[10]) != (word == "evidence") or b"\0" in about[11]:
            yield "DOCUMENT_INVALID"
        if re.search(r"(?<!\d)\d{17}[\dXx](?!\d)", about[11].decode()):
            yield "DOCUMENT_INVALID"
        kind, signature = bytes(reader.one(signed, 1)).decode(), bytes(reader.one(signed, 3))
        made = reader.is_signed(PUBLIC[by], kind, payload, bytes(reader.one(signature, 3)))
        if not made or kind != "application/vnd.hutong.dispute-step.v1":
            yield "DOCUMENT_INVALID"
        if (about[1], about[2].decode()) != (FEDERATION, ENVIRONMENT):
            yield "DOCUMENT_INVALID"
        if self.number < 0:
            yield from self._opening(number, by, word, about)

    def _opening(self, number: int, by: int, word: str, about: Any) -> Any:
        if word != "open" or number or about[5] or not about[12]:
            yield "DOCUMENT_INVALID"
        if about[12]:
            matter, amount, respondent, *thirds = (reader.one(about[12], n, 0) for n in (1, 6, 7, 8, 9))
            if (amount == 0) != (matter == 3):
                yield "AMOUNT_OUT_OF_RANGE"
            if respondent == by or {by, respondent} & set(thirds):
                yield "DOCUMENT_INVALID"

    def _take(self, payload: bytes, step: Any, about: Any) -> None:
        number, by, day, act, amount = (step[n] for n in (4, 6, 7, 8, 9))
        word = ACTS[act]
        self.number, self.last, self.said = number, sha256(payload).digest(), day
        if word == "open":
            self.state, self.dispute = "opened", about[3]
            self.amount, respondent, mediator, arbitrator, self.answer_days, self.decide_days = (
                reader.one(about[12], n, 0) for n in (6, 7, 8, 9, 10, 11)
            )
            self.roles = {
                "claimant": by, "respondent": respondent, "mediator": mediator, "arbitrator": arbitrator,
            }  # fmt: skip
            self.due = working_days(day, self.answer_days)
            return
        then = MOVES[self.state, word]["then"]
        if then in ("upheld", "rejected", "settled", "withdrawn"):
            self.due, self.settled = 0, {"upheld": self.amount, "settled": amount}.get(then, 0)
        elif then != self.state:
            self.due = working_days(day, self.decide_days)
        self.state = then
        if word == "propose":
            self.proposed_by, self.proposed = by, amount
        if word == "opinion":
            self.opinion = amount

    def comes_to(self) -> dict[str, Any]:
        return {
            "state": self.state, "newest": self.number, "last": self.last.hex(), "due": self.due,
            "proposed_by": self.proposed_by, "proposed": str(self.proposed),
            "opinion": None if self.opinion is None else str(self.opinion), "settled": str(self.settled),
        }  # fmt: skip


@named(FILE["openings"])
def test_a_first_step_is_read_twice_alike(case: dict[str, Any]) -> None:
    assert Reading().hear(bytes.fromhex(case["signed"]), case["today"]) == case["refused"]
    signed = codec.decode_signed(bytes.fromhex(case["signed"]))
    if signed.payload_type != dispute.PAYLOAD_TYPE:
        return  # no body carries it
    step = bodies.decode_statement(signed)
    assert bodies.encode_statement(step) == signed.payload
    judges = (lambda: dispute.judge_opening(step, case["today"]), lambda: dispute.check_signed(signed, step, ROSTER))
    assert lowest(*judges) == case["refused"]


@named(FILE["chains"])
def test_a_chain_is_read_twice_alike(case: dict[str, Any]) -> None:
    reading, record = Reading(), None
    for said in case["steps"]:
        data, today = bytes.fromhex(said["signed"]), said["today"]
        assert reading.hear(data, today) == said["refused"]
        signed = codec.decode_signed(data)
        step = bodies.decode_statement(signed)
        if record is None:
            record = dispute.begin(step, signed.payload)
            continue
        judges = (
            partial(dispute.judge, record, step, today), partial(dispute.check_signed, signed, step, ROSTER),
        )  # fmt: skip
        assert lowest(*judges) == said["refused"]
        if said["refused"] is None:
            record = dispute.follow(record, step, signed.payload)
    assert record is not None
    assert reading.comes_to() == case["comes_to"]
    there = case["comes_to"]
    assert (record.state.name.lower(), record.number, record.last.hex(), record.due, record.proposed_by) == tuple(
        there[name] for name in ("state", "newest", "last", "due", "proposed_by")
    )
    opinion = None if there["opinion"] is None else int(there["opinion"])
    assert (record.settled, record.proposed) == (int(there["settled"]), int(there["proposed"]))
    assert record.opinion == opinion


def test_the_chains_end_in_every_state_and_refuse_for_every_reason() -> None:
    assert {case["comes_to"]["state"] for case in FILE["chains"]} >= {"upheld", "rejected", "settled", "withdrawn"}
    refused = {said["refused"] for case in FILE["chains"] for said in case["steps"]}
    assert refused == {
        None, "AMOUNT_OUT_OF_RANGE", "CONFLICT_DIFFERENT_AMOUNT", "WRONG_STATE", "DOCUMENT_INVALID",
        "PREDECESSOR_UNKNOWN",
    }  # fmt: skip


@pytest.mark.parametrize("case", FILE["days"], ids=str)
def test_days_are_those_on_which_people_work(case: dict[str, int]) -> None:
    assert working_days(case["date"], case["working_days"]) == case["until"]
    assert dispute.add_working_days(case["date"], case["working_days"]) == case["until"]


@named(FILE["bodies"])
def test_a_body_carries_this_step(case: dict[str, Any]) -> None:
    salted = bytes.fromhex(case["salted"])
    assert sha256(salted).hexdigest() == case["commitment"]
    assert (reader.one(salted[16:], 1).hex(), reader.one(salted[16:], 15).hex()) == (case["carries"], case["redo"])
    decode = bodies.decode_dispute if case["name"] == "Dispute" else bodies.decode_step
    assert codec.encode_signed(decode(salted)[0]).hex() == case["carries"]


# -- the table --------------------------------------------------------------------------------------------------------


def test_the_table_is_that_of_the_code() -> None:
    said = {
        (state.name.lower(), act.name.lower()): (move.after.name.lower(), sorted(r.name.lower() for r in move.by),
                                                 When(move.when).name.lower())
        for (state, act), move in dispute.MOVES.items()
    }  # fmt: skip
    assert {at: (m["then"], m["by"], m["when"]) for at, m in MOVES.items()} == said


def test_every_state_is_reached_and_every_open_one_can_be_left_by_both_parties() -> None:
    reached = {State.OPENED, State.ASKED, State.REFUSED} | {move.after for move in dispute.MOVES.values()}
    assert reached == set(State)
    for state in dispute.OPEN - {State.ASKED}:
        moves = {act: move for (at, act), move in dispute.MOVES.items() if at is state}
        assert moves[Act.CONCEDE].by == {Role.RESPONDENT}
        assert moves[Act.WITHDRAW].by == {Role.CLAIMANT}
    assert not {state for state, _ in dispute.MOVES} - dispute.OPEN


def test_no_row_lets_silence_decide() -> None:
    late = [move for move in dispute.MOVES.values() if move.when in (When.OVERDUE, When.OVERDUE_UNMEDIATED)]
    assert late
    assert all(move.after in dispute.OPEN for move in late)


def test_nobody_talks_until_no_ruling_fits() -> None:
    """Evidence without end leaves room for what ends the dispute."""
    case = next(case for case in FILE["chains"] if case["name"] == "decided by the arbitrator")
    signed = codec.decode_signed(bytes.fromhex(case["steps"][0]["signed"]))
    first = bodies.decode_statement(signed)
    record = dispute.begin(first, signed.payload)
    said = 0
    while True:
        step = replace(
            first, number=record.number + 1, previous=record.last, act=int(Act.EVIDENCE), evidence=b"e" * 32,
            opening=None,
        )  # fmt: skip
        if lowest(partial(dispute.judge, record, step, first.date)) == "WRONG_STATE":
            break
        record, said = dispute.follow(record, step, b"%d" % said), said + 1
    for act, by in [(Act.CONTEST, 330200), (Act.MEDIATE, 330100), (Act.OPINION, 330600), (Act.ARBITRATE, 330200),
                    (Act.UPHOLD, 330400)]:  # fmt: skip
        step = replace(first, number=record.number + 1, previous=record.last, act=int(act), by=by, opening=None)
        dispute.judge(record, step, first.date)
        record = dispute.follow(record, step, bytes([act]))
    assert record.state is State.UPHELD
    assert record.number < 64
