"""Disputes 异议: what a region says that is wrong, and the signed steps by which two regions get to the end of it.

A dispute is a chain of steps: each is signed by the region that says it and names the hash of the one before. Both
parties hold every step, so that the state is a fold of the chain, the same on both sides. A table says who may do what
in which state; a missed deadline lets the other side go on, it never decides by itself. While a third region has the
word the record is closed, so that its opinion or ruling follows the very step that asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple

from gateway.protocol import limits, suite
from gateway.protocol.errors import OwnFault, Refused, Unauthentic
from gateway.protocol.identity import mentions_number
from gateway.protocol.members import Roster
from gateway.protocol.values import Reason, Signed

PAYLOAD_TYPE = "application/vnd.hutong.dispute-step.v1"
COORDINATOR = "coordinator"
"""The role in the roster of whoever mediates and arbitrates where the agreement names nobody."""

ANSWER_DAYS = 1
DECIDE_DAYS = 5
"""Working days, where no agreement says otherwise."""


class Matter(IntEnum):
    """What a dispute is about."""

    TRANSFER = 1
    AUTHORISATION = 2
    ATTESTATION = 3
    CLAIM = 4
    CLAWBACK = 5


class Act(IntEnum):
    """What a step says."""

    OPEN = 1
    CONCEDE = 2
    CONTEST = 3
    EVIDENCE = 4
    PROPOSE = 5
    AGREE = 6
    MEDIATE = 7
    ARBITRATE = 8
    OPINION = 9
    UPHOLD = 10
    REJECT = 11
    AWARD = 12
    WITHDRAW = 13


class State(IntEnum):
    """Where a dispute stands. 1-9 it is open, and freezes what it names; from 11 on it has ended."""

    ASKED = 1  # said by the claimant, not yet taken by the respondent
    OPENED = 2
    ANSWERED = 3  # contested: the parties look for a settlement
    MEDIATION = 4  # the mediator has the word
    ADVISED = 5  # the mediator has given its opinion
    ARBITRATION = 6  # the arbitrator has the word
    UPHELD = 11
    REJECTED = 12
    SETTLED = 13
    WITHDRAWN = 14
    REFUSED = 15  # the respondent holds nothing that could be disputed so


class Role(IntEnum):
    """Who a region is in a dispute."""

    CLAIMANT = 1
    RESPONDENT = 2
    MEDIATOR = 3
    ARBITRATOR = 4


class When(IntEnum):
    """What must hold besides the state."""

    ALWAYS = 0
    OVERDUE = 1  # whoever has the word has not spoken in time
    UNMEDIATED = 2  # there is no mediator
    OVERDUE_UNMEDIATED = 3


class Move(NamedTuple):
    """A row of the table."""

    after: State
    by: frozenset[Role]
    when: When = When.ALWAYS


_CLAIMANT, _RESPONDENT = frozenset({Role.CLAIMANT}), frozenset({Role.RESPONDENT})
_PARTIES = _CLAIMANT | _RESPONDENT
_MEDIATOR, _ARBITRATOR = frozenset({Role.MEDIATOR}), frozenset({Role.ARBITRATOR})


def _talking(state: State) -> dict[tuple[State, Act], Move]:
    """The record is open: parties show and propose."""
    return {
        (state, Act.EVIDENCE): Move(state, _PARTIES),
        (state, Act.PROPOSE): Move(state, _PARTIES),
        (state, Act.AGREE): Move(State.SETTLED, _PARTIES),
    }


def _yielding(state: State) -> dict[tuple[State, Act], Move]:
    """A party may always give in."""
    return {
        (state, Act.CONCEDE): Move(State.UPHELD, _RESPONDENT),
        (state, Act.WITHDRAW): Move(State.WITHDRAWN, _CLAIMANT),
    }


MOVES: dict[tuple[State, Act], Move] = {
    (State.OPENED, Act.CONTEST): Move(State.ANSWERED, _RESPONDENT),
    **_talking(State.OPENED),
    (State.OPENED, Act.MEDIATE): Move(State.MEDIATION, _CLAIMANT, When.OVERDUE),
    (State.OPENED, Act.ARBITRATE): Move(State.ARBITRATION, _CLAIMANT, When.OVERDUE_UNMEDIATED),
    **_yielding(State.OPENED),
    **_talking(State.ANSWERED),
    (State.ANSWERED, Act.MEDIATE): Move(State.MEDIATION, _PARTIES),
    (State.ANSWERED, Act.ARBITRATE): Move(State.ARBITRATION, _PARTIES, When.UNMEDIATED),
    **_yielding(State.ANSWERED),
    (State.MEDIATION, Act.OPINION): Move(State.ADVISED, _MEDIATOR),
    (State.MEDIATION, Act.ARBITRATE): Move(State.ARBITRATION, _PARTIES, When.OVERDUE),
    **_yielding(State.MEDIATION),
    **_talking(State.ADVISED),
    (State.ADVISED, Act.ARBITRATE): Move(State.ARBITRATION, _PARTIES),
    **_yielding(State.ADVISED),
    (State.ARBITRATION, Act.UPHOLD): Move(State.UPHELD, _ARBITRATOR),
    (State.ARBITRATION, Act.REJECT): Move(State.REJECTED, _ARBITRATOR),
    (State.ARBITRATION, Act.AWARD): Move(State.SETTLED, _ARBITRATOR),
    **_yielding(State.ARBITRATION),
}
"""(state, act) -> the next state, and who may bring it about when. What stands nowhere is refused."""

OPEN = frozenset(state for state in State if state < State.UPHELD)
"""States in which what is named is frozen."""

THIRD = frozenset({Act.OPINION, Act.UPHOLD, Act.REJECT, Act.AWARD})
"""What a region says that is no party; a party carries it to the other."""

_TO_THE_END = 8
"""Steps kept for acts that lead on, so that nobody can talk until no ruling fits."""

_WITH_AMOUNT = frozenset({Act.PROPOSE, Act.AGREE, Act.OPINION, Act.AWARD})


class Opening(NamedTuple):
    """What is disputed, who takes part, and how much time they have."""

    matter: int
    id: bytes
    region: int  # whose it is: source of a transfer, holder, issuer, creditor, who asked for a clawback
    cause: int  # of a claim; otherwise 0
    category: str
    amount: int  # smallest units of a category of `region`
    respondent: int
    mediator: int = 0  # 0 = there is none
    arbitrator: int = 0
    answer_days: int = ANSWER_DAYS  # working days
    decide_days: int = DECIDE_DAYS


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one region says and signs."""

    federation: bytes
    environment: str
    dispute: bytes
    number: int
    previous: bytes  # SHA-256 of the payload of the step before; empty in the first
    by: int
    date: int  # its business date, yyyymmdd
    act: int
    amount: int = 0
    evidence: bytes = b""  # SHA-256 of what is shown
    reference: str = ""
    opening: Opening | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What a chain of steps comes to."""

    dispute: bytes
    claimant: int
    opening: Opening
    state: State
    number: int  # of the newest step
    last: bytes  # SHA-256 of its payload
    said: int  # its date
    due: int  # until when whoever has the word should speak, yyyymmdd; 0 once it has ended
    proposed_by: int = 0
    proposed: int = 0
    opinion: int | None = None  # what the mediator would have it settled for
    settled: int = 0  # how much of the claimed amount the claimant was right about, once it has ended

    @property
    def open(self) -> bool:
        """Whether what it names is frozen."""
        return self.state in OPEN

    def roles(self, region: int) -> frozenset[Role]:
        """Who a region is in it: as a rule one, none, or mediator and arbitrator."""
        named = {
            Role.CLAIMANT: self.claimant,
            Role.RESPONDENT: self.opening.respondent,
            Role.MEDIATOR: self.opening.mediator,
            Role.ARBITRATOR: self.opening.arbitrator,
        }
        return frozenset(role for role, code in named.items() if code == region)


def digest(payload: bytes) -> bytes:
    """What the next step names this one by."""
    return sha256(payload).digest()


def add_working_days(day: int, days: int) -> int:
    """A date yyyymmdd so many working days later: Monday to Friday. Public holidays are not known here, own judgement:
    a deadline that falls on one only lets the other side go on a little earlier than it would."""
    at = date(day // 10_000, day // 100 % 100, day % 100)
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < 5
    return at.year * 10_000 + at.month * 100 + at.day


# -- the fold --------------------------------------------------------------------------------------------------------


def begin(step: Step, payload: bytes) -> Record:
    """The record after the first step."""
    if step.opening is None:
        raise OwnFault("a dispute begins with what it is about")
    due = add_working_days(step.date, step.opening.answer_days)
    return Record(
        dispute=step.dispute, claimant=step.by, opening=step.opening, state=State.OPENED, number=0,
        last=digest(payload), said=step.date, due=due,
    )  # fmt: skip


def follow(record: Record, step: Step, payload: bytes) -> Record:
    """The record after one more step that both sides have taken. Raises OwnFault where the table has no row."""
    move = MOVES.get((record.state, _act(step.act)))
    if move is None:
        raise OwnFault(f"a dispute that is {record.state.name} knows no act {step.act}")
    after = replace(record, state=move.after, number=step.number, last=digest(payload), said=step.date)
    if move.after not in OPEN:
        settled = {State.UPHELD: record.opening.amount, State.SETTLED: step.amount}.get(move.after, 0)
        after = replace(after, due=0, settled=settled)
    elif move.after is not record.state:
        after = replace(after, due=add_working_days(step.date, record.opening.decide_days))
    if step.act == Act.PROPOSE:
        after = replace(after, proposed_by=step.by, proposed=step.amount)
    elif step.act == Act.OPINION:
        after = replace(after, opinion=step.amount)
    return after


def fold(steps: Iterable[tuple[Step, bytes]]) -> Record:
    """What steps, with their payloads, come to that both sides have taken."""
    record: Record | None = None
    for step, payload in steps:
        record = begin(step, payload) if record is None else follow(record, step, payload)
    if record is None:
        raise OwnFault("a dispute has at least one step")
    return record


def _act(number: int) -> Act:
    """An act of a later version is none that the table knows."""
    return Act(number) if number in _ACTS else Act.OPEN


_ACTS = frozenset(Act)
_MATTERS = frozenset(Matter)


# -- judging ---------------------------------------------------------------------------------------------------------


def judge_opening(step: Step, today: int) -> None:
    """Whether a first step can stand, whatever it is about. Raises Refused, lowest reason first."""
    opening = step.opening
    if opening is None:
        raise Refused(Reason.DOCUMENT_INVALID, "the first step says what is disputed")
    if (opening.amount == 0) != (opening.matter == Matter.ATTESTATION) or opening.amount > limits.AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "of an attestation no amount is disputed, of all else some")
    parties = {step.by, opening.respondent}
    _check_form(step, today)
    if opening.matter not in _MATTERS:
        raise Refused(Reason.DOCUMENT_INVALID, "nothing of this kind is disputed here")
    if (step.act, step.number, step.previous) != (Act.OPEN, 0, b"") or len(parties) != 2:
        raise Refused(Reason.DOCUMENT_INVALID, "a first step opens a dispute between two regions")
    if parties & {opening.mediator, opening.arbitrator}:
        raise Refused(Reason.DOCUMENT_INVALID, "nobody mediates or arbitrates in a dispute of its own")


def judge(record: Record, step: Step, today: int) -> None:
    """Whether a step may follow. `today`: the business date of whoever judges. Raises Refused, lowest reason first."""
    act = _act(step.act)
    _check_amount(record, step)
    move = MOVES.get((record.state, act))
    if move is None:
        raise Refused(Reason.WRONG_STATE, f"a dispute that is {record.state.name.lower()} takes no such step")
    if act is Act.AGREE and record.proposed_by in (0, step.by):
        raise Refused(Reason.WRONG_STATE, "the other party has proposed nothing")
    _check_when(record, move.when, min(step.date, today))
    asked = {Act.MEDIATE: record.opening.mediator, Act.ARBITRATE: record.opening.arbitrator}.get(act)
    if asked == 0:
        raise Refused(Reason.WRONG_STATE, "neither the agreement nor the roster names anybody for this")
    if move.after is record.state and record.number + 1 >= limits.DISPUTE_STEPS - _TO_THE_END:
        raise Refused(Reason.WRONG_STATE, f"a dispute has at most {limits.DISPUTE_STEPS} steps; what is left ends it")
    _check_form(step, today)
    if step.dispute != record.dispute or step.opening is not None or step.date < record.said:
        raise Refused(Reason.DOCUMENT_INVALID, "the step is of another dispute, or dated before the one it follows")
    if not move.by & record.roles(step.by):
        who = " or ".join(sorted(role.name.lower() for role in move.by))
        raise Refused(Reason.DOCUMENT_INVALID, f"only the {who} can say this, and region {step.by} is not")
    if (step.number, step.previous) != (record.number + 1, record.last):
        raise Refused(Reason.PREDECESSOR_UNKNOWN, f"step {record.number} is the newest, and this does not follow it")


def _check_amount(record: Record, step: Step) -> None:
    if step.act == Act.AGREE and record.proposed_by not in (0, step.by) and step.amount != record.proposed:
        raise Refused(Reason.CONFLICT_DIFFERENT_AMOUNT, f"{record.proposed} were proposed, not {step.amount}")
    least = 0 if step.act == Act.OPINION else 1
    if step.act in _WITH_AMOUNT and not least <= step.amount <= record.opening.amount:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, f"between {least} and {record.opening.amount} can be settled for")


def _check_when(record: Record, when: When, on: int) -> None:
    if when in (When.OVERDUE, When.OVERDUE_UNMEDIATED) and on <= record.due:
        raise Refused(Reason.WRONG_STATE, f"there is time until {record.due}")
    if when in (When.UNMEDIATED, When.OVERDUE_UNMEDIATED) and record.opening.mediator:
        raise Refused(Reason.WRONG_STATE, f"region {record.opening.mediator} mediates first")


def _check_form(step: Step, today: int) -> None:
    """Clocks differ around midnight: a date may be one day ahead."""
    if not _is_date(step.date) or step.date > _next_day(today):
        raise Refused(Reason.DOCUMENT_INVALID, "the date is none, or ahead of today's")
    if step.act not in _ACTS or (step.amount and step.act not in _WITH_AMOUNT):
        raise Refused(Reason.DOCUMENT_INVALID, "the act is not known, or names an amount and has none")
    if (step.act == Act.EVIDENCE) != bool(step.evidence):
        raise Refused(Reason.DOCUMENT_INVALID, "evidence has a hash, and nothing else has one")
    if "\0" in step.reference or mentions_number(step.reference):
        raise Refused(Reason.DOCUMENT_INVALID, "a reference names a file or a case, and nobody by a number")


def _is_date(number: int) -> bool:
    try:
        date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return False
    return True


def _next_day(day: int) -> int:
    at = date(day // 10_000, day // 100 % 100, day % 100) + timedelta(days=1)
    return at.year * 10_000 + at.month * 100 + at.day


def check_signed(signed: Signed, step: Step, roster: Roster) -> None:
    """Whether the region that a step names signed it, for this federation. Raises Refused(DOCUMENT_INVALID).

    Any key counts that the roster lists for it and that is not revoked: a step may be shown to a third region long
    after it was signed.
    """
    region = roster.find(step.by)
    keys = [key.verify_key for key in region.keys if not key.revoked_at_ms] if region is not None else []
    try:
        suite.verify(signed, keys, PAYLOAD_TYPE)
    except Unauthentic as fault:
        raise Refused(Reason.DOCUMENT_INVALID, str(fault)) from None
    if (step.federation, step.environment) != (roster.federation, roster.environment):
        raise Refused(Reason.DOCUMENT_INVALID, "the step is of another federation or environment")
