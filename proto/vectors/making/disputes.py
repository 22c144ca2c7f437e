"""Disputes: bodies, days, first steps that cannot stand, and chains in which each step is taken or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gateway.protocol import codec, dispute
from gateway.protocol.bodies.dispute import encode_dispute, encode_statement, encode_step
from gateway.protocol.dispute import PAYLOAD_TYPE, Act, Matter, Opening, Record, State, Step, When
from gateway.protocol.errors import Refused
from gateway.protocol.values import Signed
from making.ground import (
    ENVIRONMENT,
    HANGZHOU,
    MEMBERS,
    NINGBO,
    first_roster,
    key,
    message,
    octets,
    region,
    salted,
)

SHAOXING, JIAXING = 330600, 330400
TODAY = 20261118  # a Wednesday
ROSTER = replace(
    first_roster(),
    federation=MEMBERS.federation,
    regions=tuple(region(code, "", "") for code in (HANGZHOU, NINGBO, SHAOXING, JIAXING)),
)
OPENING = Opening(
    int(Matter.TRANSFER), octets("id of a disputed transfer", 16), HANGZHOU, 0, "moral", 40, NINGBO, SHAOXING, JIAXING,
    1, 5,
)  # fmt: skip
FIRST = Step(
    federation=MEMBERS.federation, environment=ENVIRONMENT, dispute=octets("id of a dispute", 16), number=0,
    previous=b"", by=HANGZHOU, date=TODAY, act=int(Act.OPEN), reference="case 2026-17", opening=OPENING,
)  # fmt: skip


def signed(step: Step, by: object = None) -> Signed:
    """The step, signed by the region it names or by somebody else."""
    return key(by or step.by).sign(PAYLOAD_TYPE, encode_statement(step))


def _lowest(*judges: Callable[[], None]) -> str | None:
    """The reason with the lowest number for which a region refuses; None where it takes the step."""
    found = []
    for judge in judges:
        try:
            judge()
        except Refused as refusal:
            found.append(refusal.reason)
    return min(found).name if found else None


# -- the table, days, bodies ------------------------------------------------------------------------------------------


def _moves() -> list[dict[str, Any]]:
    return [
        {
            "state": state.name.lower(), "act": act.name.lower(), "then": move.after.name.lower(),
            "by": sorted(role.name.lower() for role in move.by), "when": When(move.when).name.lower(),
        }
        for (state, act), move in dispute.MOVES.items()
    ]  # fmt: skip


def _days() -> list[dict[str, int]]:
    given = [(20261118, 1), (20261118, 3), (20261120, 1), (20261121, 1), (20261122, 5), (20261231, 1), (20280228, 2)]
    return [{"date": day, "working_days": n, "until": dispute.add_working_days(day, n)} for day, n in given]


def _bodies() -> list[dict[str, Any]]:
    redo = octets("redo of a dispute", 24)
    second = _next(dispute.begin(FIRST, encode_statement(FIRST)), Act.CONTEST, NINGBO)
    made = {"Dispute": encode_dispute(signed(FIRST), redo), "DisputeStep": encode_step(signed(second), redo)}
    return [
        {"name": name, "salted": (body := salted(name, data)).hex(), "commitment": codec.commitment(body).hex(),
         "carries": message(step), "redo": redo.hex()}
        for (name, data), step in zip(made.items(), (signed(FIRST), signed(second)), strict=True)
    ]  # fmt: skip


# -- first steps ------------------------------------------------------------------------------------------------------

_OPENINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it should be": ({}, {}),
    "dated tomorrow, as clocks differ": ({"date": 20261119}, {}),
    "dated the day after tomorrow": ({"date": 20261120}, {}),
    "on no day": ({"date": 20261131}, {}),
    "that follows another step": ({"previous": b"p" * 32}, {}),
    "not numbered 0": ({"number": 1}, {}),
    "that contests": ({"act": int(Act.CONTEST)}, {}),
    "with evidence": ({"evidence": b"e" * 32}, {}),
    "with an amount beside the opening": ({"amount": 1}, {}),
    "whose reference has a zero character": ({"reference": "a\0b"}, {}),
    "whose reference names somebody": ({"reference": "身份证 110101199003070011"}, {}),
    "about nothing": ({}, {"amount": 0}),
    "about an attestation": ({}, {"matter": int(Matter.ATTESTATION), "amount": 0, "category": ""}),
    "about so much of an attestation": ({}, {"matter": int(Matter.ATTESTATION)}),
    "with itself": ({}, {"respondent": HANGZHOU}),
    "in which the claimant mediates": ({}, {"mediator": HANGZHOU}),
    "in which the respondent arbitrates": ({}, {"arbitrator": NINGBO}),
    "in which one region mediates and arbitrates": ({}, {"mediator": SHAOXING, "arbitrator": SHAOXING}),
    "of another federation": ({"federation": octets("another federation", 32)}, {}),
    "of another environment": ({"environment": "play"}, {}),
}


def _openings() -> Iterator[dict[str, Any]]:
    for name, (changes, named) in _OPENINGS.items():
        step = replace(FIRST, **changes, opening=OPENING._replace(**named))
        yield _opening(name, step, signed(step))
    yield _opening(
        "that says nothing of what is disputed", replace(FIRST, opening=None), signed(replace(FIRST, opening=None))
    )
    yield _opening("signed by somebody else", FIRST, signed(FIRST, NINGBO))
    yield _opening("signed as something else", FIRST, key(HANGZHOU).sign(codec.HEAD, encode_statement(FIRST)))


def _opening(name: str, step: Step, made: Signed) -> dict[str, Any]:
    refused = _lowest(
        lambda: dispute.judge_opening(step, TODAY), lambda: dispute.check_signed(made, step, ROSTER)
    )  # fmt: skip
    return {"name": name, "today": TODAY, "signed": message(made), "refused": refused}


# -- chains -----------------------------------------------------------------------------------------------------------


def _next(record: Record, act: Act, by: int) -> Step:
    return Step(
        federation=MEMBERS.federation, environment=ENVIRONMENT, dispute=record.dispute, number=record.number + 1,
        previous=record.last, by=by, date=record.said, act=int(act),
        evidence=octets("evidence", 32) if act is Act.EVIDENCE else b"",
    )  # fmt: skip


Said = tuple[Act, int, dict[str, Any]]

_CHAINS: dict[str, tuple[dict[str, Any], list[Said]]] = {
    "conceded": ({}, [(Act.CONCEDE, NINGBO, {})]),
    "withdrawn": ({}, [(Act.CONTEST, NINGBO, {}), (Act.WITHDRAW, HANGZHOU, {}), (Act.CONCEDE, NINGBO, {})]),
    "settled between the two": ({}, [
        (Act.AGREE, NINGBO, {"amount": 20}),  # nothing was proposed
        (Act.PROPOSE, HANGZHOU, {"amount": 41}),  # more than is claimed
        (Act.PROPOSE, HANGZHOU, {"amount": 0}),
        (Act.PROPOSE, HANGZHOU, {"amount": 30}),
        (Act.AGREE, HANGZHOU, {"amount": 30}),  # its own
        (Act.AGREE, NINGBO, {"amount": 20}),  # another amount
        (Act.PROPOSE, NINGBO, {"amount": 20}),
        (Act.AGREE, NINGBO, {"amount": 30}),  # that proposal is gone
        (Act.AGREE, HANGZHOU, {"amount": 20}),
    ]),
    "decided by the arbitrator": ({}, [
        (Act.EVIDENCE, HANGZHOU, {"reference": "file 7"}),
        (Act.EVIDENCE, HANGZHOU, {"evidence": b""}),
        (Act.CONTEST, HANGZHOU, {}),  # not the claimant's word
        (Act.CONTEST, NINGBO, {}),
        (Act.ARBITRATE, HANGZHOU, {}),  # the mediator first
        (Act.MEDIATE, HANGZHOU, {}),
        (Act.EVIDENCE, NINGBO, {}),  # the record is closed
        (Act.UPHOLD, SHAOXING, {}),
        (Act.OPINION, JIAXING, {"amount": 10}),  # not the mediator
        (Act.OPINION, SHAOXING, {"amount": 41}),
        (Act.OPINION, SHAOXING, {"amount": 0}),
        (Act.ARBITRATE, NINGBO, {}),
        (Act.UPHOLD, SHAOXING, {}),  # not the arbitrator
        (Act.REJECT, NINGBO, {}),
        (Act.AWARD, JIAXING, {"amount": 0}),
        (Act.AWARD, JIAXING, {"amount": 25}),
        (Act.UPHOLD, JIAXING, {}),  # decided
    ]),
    "upheld": ({"mediator": 0}, [
        (Act.MEDIATE, HANGZHOU, {}),
        (Act.CONTEST, NINGBO, {}),
        (Act.MEDIATE, HANGZHOU, {}),  # there is none
        (Act.ARBITRATE, HANGZHOU, {}),
        (Act.UPHOLD, JIAXING, {}),
    ]),
    "rejected": ({"mediator": JIAXING}, [
        (Act.CONTEST, NINGBO, {}), (Act.MEDIATE, NINGBO, {}), (Act.OPINION, JIAXING, {"amount": 0}),
        (Act.ARBITRATE, HANGZHOU, {}), (Act.REJECT, JIAXING, {}),
    ]),
    "with nobody to ask": ({"mediator": 0, "arbitrator": 0}, [
        (Act.CONTEST, NINGBO, {}), (Act.MEDIATE, NINGBO, {}), (Act.ARBITRATE, NINGBO, {}),
    ]),
    "in which the others are silent": ({}, [
        (Act.MEDIATE, HANGZHOU, {}),
        (Act.MEDIATE, HANGZHOU, {"date": 20261119}),  # the last day
        (Act.MEDIATE, NINGBO, {"date": 20261120}),
        (Act.MEDIATE, HANGZHOU, {"date": 20261120}),
        (Act.ARBITRATE, NINGBO, {"date": 20261127}),  # the last day
        (Act.ARBITRATE, NINGBO, {"date": 20261128}),
        (Act.REJECT, JIAXING, {"date": 20270101}),
    ]),
    "with steps that do not follow": ({}, [
        (Act.CONTEST, NINGBO, {"number": 2}),
        (Act.CONTEST, NINGBO, {"previous": octets("another step", 32)}),
        (Act.CONTEST, NINGBO, {"dispute": octets("id of another dispute", 16)}),
        (Act.CONTEST, NINGBO, {"date": 20261117}),
        (Act.CONTEST, NINGBO, {"amount": 5}),
        (Act.CONTEST, NINGBO, {"opening": OPENING}),
        (Act.CONTEST, NINGBO, {"act": 99}),
        (Act.CONTEST, NINGBO, {"federation": octets("another federation", 32)}),
        (Act.CONTEST, NINGBO, {}),
    ]),
}  # fmt: skip


def _chain(name: str, named: dict[str, Any], said: list[Said]) -> dict[str, Any]:
    first = replace(FIRST, opening=OPENING._replace(**named))
    record = dispute.begin(first, encode_statement(first))
    steps = [{"signed": message(signed(first)), "today": TODAY, "refused": None}]
    for act, by, changes in said:
        step = replace(_next(record, act, by), **changes)
        today = max(step.date, TODAY)
        found = _judged(record, step, signed(step), today)
        steps.append({"signed": message(signed(step)), "today": today, "refused": found})
        if found is None:
            record = dispute.follow(record, step, encode_statement(step))
    return {"name": name, "steps": steps, "comes_to": _comes_to(record)}


def _judged(record: Record, step: Step, made: Signed, today: int) -> str | None:
    return _lowest(
        lambda: dispute.judge(record, step, today), lambda: dispute.check_signed(made, step, ROSTER)
    )  # fmt: skip


def _comes_to(record: Record) -> dict[str, Any]:
    return {
        "state": State(record.state).name.lower(), "newest": record.number, "last": record.last.hex(),
        "due": record.due, "proposed_by": record.proposed_by, "proposed": str(record.proposed),
        "opinion": None if record.opinion is None else str(record.opinion), "settled": str(record.settled),
    }  # fmt: skip


def disputes() -> dict[str, Any]:
    """The file."""
    return {
        "about": "SPEC 17: a first step and every later one, as the region that hears it judges it. In `chains` a step "
        "is judged against the chain it stands in; one that names a dispute nobody knows is TRANSFER_UNKNOWN.",
        "federation": MEMBERS.federation.hex(),
        "environment": ENVIRONMENT,
        "keys": {str(code): key(code).public_key.hex() for code in (HANGZHOU, NINGBO, SHAOXING, JIAXING)},
        "moves": _moves(),
        "days": _days(),
        "bodies": _bodies(),
        "openings": list(_openings()),
        "chains": [_chain(name, *chain) for name, chain in _CHAINS.items()],
    }
