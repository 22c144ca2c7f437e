"""The protocol's numbers as lower-case words, and its dates and times as text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal

from gateway.protocol.channel import Condition
from gateway.protocol.transfer import NEVER, State
from gateway.protocol.values import Evidence, Purpose, Reason
from node.ledger.accounts import AccountState
from node.services.claim import Cause, ClaimState
from node.services.reversal import ReversalState
from node.services.transfer import EventKind

# What callers send. Words stay plain text, which is looked up faster than a member of an Enum.
AccountWord = Literal["open", "frozen", "closed"]
EvidenceWord = Literal["backfilled", "signed_in"]
PurposeWord = Literal["relocation", "guest_award", "activity", "donation", "person_to_person"]
StateWord = Literal["held", "posted", "voided", "in_review", "accepted", "refused"]
VerdictWord = Literal["accept", "refuse"]
DirectionWord = Literal["outgoing", "incoming"]

# What they get.
AnyState = Literal["held", "posted", "voided", "offered", "in_review", "accepted", "refused"]
AnyPurpose = Literal["relocation", "guest_award", "activity", "donation", "reversal", "person_to_person"]
AnyEvent = Literal[
    "posted", "voided", "arrived", "accepted", "refused", "reversal_asked", "reversal_refused", "clawed_back"
]
AnyReversal = Literal["asked", "granted", "refused"]
AnyAccount = AccountWord
CauseWord = Literal["revoked_key", "fork", "estate", "clawback", "reversal", "dispute"]
ClaimWord = Literal["open", "settled", "withdrawn"]
AnyCondition = Literal["open", "quarantined", "restored", "abandoned", "closed", "unused"]

STATES: dict[int, AnyState] = {
    State.HELD: "held",
    State.POSTED: "posted",
    State.VOIDED: "voided",
    State.OFFERED: "offered",
    State.IN_REVIEW: "in_review",
    State.ACCEPTED: "accepted",
    State.REFUSED: "refused",
}
PURPOSES: dict[int, AnyPurpose] = {
    Purpose.RELOCATION: "relocation",
    Purpose.GUEST_AWARD: "guest_award",
    Purpose.ACTIVITY: "activity",
    Purpose.DONATION: "donation",
    Purpose.REVERSAL: "reversal",
    Purpose.PERSON_TO_PERSON: "person_to_person",
}
EVENTS: dict[int, AnyEvent] = {
    EventKind.POSTED: "posted",
    EventKind.VOIDED: "voided",
    EventKind.ARRIVED: "arrived",
    EventKind.ACCEPTED: "accepted",
    EventKind.REFUSED: "refused",
    EventKind.REVERSAL_ASKED: "reversal_asked",
    EventKind.REVERSAL_REFUSED: "reversal_refused",
    EventKind.CLAWED_BACK: "clawed_back",
}
REVERSALS: dict[int, AnyReversal] = {
    ReversalState.ASKED: "asked",
    ReversalState.GRANTED: "granted",
    ReversalState.REFUSED: "refused",
}
ACCOUNTS: dict[int, AnyAccount] = {
    AccountState.OPEN: "open",
    AccountState.FROZEN: "frozen",
    AccountState.CLOSED: "closed",
}
CAUSES: dict[int, CauseWord] = {
    Cause.REVOKED_KEY: "revoked_key",
    Cause.FORK: "fork",
    Cause.ESTATE: "estate",
    Cause.CLAWBACK: "clawback",
    Cause.REVERSAL: "reversal",
    Cause.DISPUTE: "dispute",
}
CLAIM_STATES: dict[int, ClaimWord] = {
    ClaimState.OPEN: "open",
    ClaimState.SETTLED: "settled",
    ClaimState.WITHDRAWN: "withdrawn",
}
CONDITIONS: dict[int, AnyCondition] = {
    Condition.OPEN: "open",
    Condition.QUARANTINED: "quarantined",
    Condition.RESTORED: "restored",
    Condition.ABANDONED: "abandoned",
    Condition.CLOSED: "closed",
}
REASONS: dict[int, str | None] = {0: None, **{reason: reason.name.lower() for reason in Reason}}

PURPOSE: dict[str, int] = {word: number for number, word in PURPOSES.items() if number != Purpose.REVERSAL}
EVIDENCE: dict[str, int] = {grade.name.lower(): int(grade) for grade in Evidence}
STATE: dict[str, int] = {word: number for number, word in STATES.items()}
ACCOUNT: dict[str, AccountState] = {word: AccountState(number) for number, word in ACCOUNTS.items()}


def evidence(number: int) -> str:
    """The word for a grade of evidence; one that a newer region may send is shown as its number."""
    return Evidence(number).name.lower() if number in Evidence._value2member_map_ else str(number)


def reason(number: int) -> str | None:
    """The word for a reason (None: there is none); one of a newer region is shown as its number."""
    return REASONS[number] if number in REASONS else str(number)


def day(number: int) -> date | None:
    """A date kept as yyyymmdd; None for what never comes, and for what a peer sent that is no date."""
    if number in (0, NEVER):
        return None
    try:
        return date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return None


def number(day: date | None) -> int:
    """A date as it is kept: yyyymmdd; 0 where there is none."""
    return 0 if day is None else day.year * 10_000 + day.month * 100 + day.day


def time(ms: int) -> datetime:
    """A time kept as Unix milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def time_or_none(ms: int | None) -> datetime | None:
    """The same; None for 0, for nothing, and for what a peer sent that is no time."""
    try:
        return time(ms) if ms else None
    except (OverflowError, ValueError, OSError):
        return None
