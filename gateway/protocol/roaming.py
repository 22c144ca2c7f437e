"""Roaming redemption 异地兑换: a visitor spends at a counter what the home region holds.

The counter asks the home region (the holder) to hold points of whoever shows a code, and later captures all or part of
them, or releases them. One table, walked by both: each applies what it says and what it hears, so that the state
follows from the two logs. Silence moves nothing: the holder ends an authorisation only when the counter says so, be it
in answer to the holder's question.
"""

from __future__ import annotations

from enum import IntEnum
from math import gcd
from typing import NamedTuple

from gateway.protocol import address, limits
from gateway.protocol.errors import Malformed, OwnFault, Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Frame, Reason

CODE_BYTES = address.ALIAS_BYTES
"""Random bytes of a code."""
CODE_MINUTES = 10
"""How long a code can be used, as a rule. Own judgement."""
CODE_MINUTES_MOST = 30
LASTS_MOST_MS = 7 * 86_400_000
"""The longest an authorisation may last: a holder refuses what is to last longer."""
REFERENCE_CHARACTERS = 64

_LABEL = "RC"  # in front of a code, so that nobody takes it for a receiving address


class State(IntEnum):
    """Where an authorisation stands, at either end. Above ENDING nothing follows any more."""

    REQUESTED = 1  # the counter has asked
    AUTHORISED = 2  # the points are held
    CAPTURING = 3  # the counter has captured; the holder's answer has not come (at the holder: within one transaction)
    RELEASING = 4  # the same of a release
    CAPTURED = 11  # all of it was spent
    PART_CAPTURED = 12  # a part was spent, the rest is back
    RELEASED = 13  # nothing was spent
    ENDED = 14  # the same, in answer to the holder's question
    REFUSED = 15  # never held


class Event(IntEnum):
    """What moves an authorisation: something that one of the two said."""

    GRANT = 1  # the holder accepts to hold
    DENY = 2  # the holder refuses to
    CAPTURE = 3  # the counter captures
    RELEASE = 4  # the counter releases
    TAKE_ALL = 5  # the holder accepts a capture of everything
    TAKE_PART = 6  # the holder accepts a capture of a part
    LET_GO = 7  # the holder accepts a release
    STAND = 8  # the holder refuses a capture or a release: the hold stands
    END = 9  # the counter answers the holder's question: it is over


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.GRANT): State.AUTHORISED,
    (State.REQUESTED, Event.DENY): State.REFUSED,
    (State.AUTHORISED, Event.CAPTURE): State.CAPTURING,
    (State.AUTHORISED, Event.RELEASE): State.RELEASING,
    (State.AUTHORISED, Event.END): State.ENDED,
    (State.CAPTURING, Event.TAKE_ALL): State.CAPTURED,
    (State.CAPTURING, Event.TAKE_PART): State.PART_CAPTURED,
    (State.CAPTURING, Event.STAND): State.AUTHORISED,
    (State.RELEASING, Event.LET_GO): State.RELEASED,
    (State.RELEASING, Event.STAND): State.AUTHORISED,
}


def step(state: State, event: Event) -> State:
    """The next state. Raises OwnFault where the table has no row: callers look first whether something is over."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise OwnFault(f"an authorisation that is {State(state).name} cannot {Event(event).name}")
    return after


def is_over(state: State) -> bool:
    """Whether nothing follows any more."""
    return state > State.RELEASING


# -- what the messages say -------------------------------------------------------------------------------------------


class Authorise(NamedTuple):
    """Body of a request to hold."""

    code: bytes
    rate_p: int
    rate_q: int
    terms_version: int
    until_ms: int
    reference: str


class About(NamedTuple):
    """Body of a capture, a release or a question: the authorisation it is about, 16 bytes."""

    authorisation: bytes


class Authorisation(NamedTuple):
    """What both regions keep of one."""

    id: bytes
    holder: int
    counter: int
    category: str
    amount: int  # at the holder
    becomes: str
    arriving: int  # at the counter
    rate_p: int
    rate_q: int
    until_ms: int
    state: State


class Part(NamedTuple):
    """So much of an authorisation, at the holder and at the counter."""

    amount: int
    arriving: int


# -- codes -----------------------------------------------------------------------------------------------------------


def write_code(region: int, code: bytes) -> str:
    """The code as the visitor shows it: written like a receiving address, and labelled."""
    return f"{_LABEL}-{address.write(address.Address(region, code))}"


def read_code(text: str) -> address.Address:
    """The home region and the random part of a code that was typed or scanned. Raises Malformed, saying what is wrong.

    Forgives spaces, small letters and a missing label; never a wrong check character.
    """
    plain = text.strip().upper().removeprefix(_LABEL).lstrip("- ")
    try:
        return address.read(plain)
    except Malformed:
        raise Malformed(
            f"a code is {_LABEL}, 6 digits, 16 letters or digits and 2 check characters: one of them is wrong"
        ) from None


# -- rules -----------------------------------------------------------------------------------------------------------


def blocks_of(arriving: int, rate_p: int, rate_q: int) -> Part:
    """What the counter's `arriving` units are at both ends. Raises Refused(AMOUNT_OUT_OF_RANGE).

    Only whole blocks: whoever asks for another amount learns the nearest two, and nobody pays for the difference.
    """
    blocks, rest = divmod(arriving, rate_p)
    amount = blocks * rate_q
    if not (arriving >= 1 and arriving <= limits.AMOUNT_MAX and amount <= limits.AMOUNT_MAX):
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "between 1 and 2^63-1 units, on both sides")
    if rest:
        near = " or ".join(str(n * rate_p) for n in (blocks, blocks + 1) if n)
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, f"the amount is a multiple of {rate_p} at this rate: {near}")
    return Part(amount, arriving)


def check_reference(reference: str) -> None:
    """Raises Refused(MALFORMED_BODY) for what must not cross a border: an identity number, or too much."""
    if len(reference) > REFERENCE_CHARACTERS or "\0" in reference:
        raise Refused(Reason.MALFORMED_BODY, f"a reference has at most {REFERENCE_CHARACTERS} characters")
    if mentions_number(reference):
        raise Refused(Reason.MALFORMED_BODY, "a reference holds no identity number: use the number of the purchase")


def check_authorise(frame: Frame, body: Authorise) -> None:
    """What must hold between header and body, whatever the terms. Raises Malformed."""
    if frame.amount < 1 or frame.arriving < 1 or not frame.category or not frame.becomes:
        raise Malformed("an authorisation names two categories and two amounts above zero")
    if "\0" in frame.category or "\0" in frame.becomes or "\0" in body.reference:
        raise Malformed("a text has no zero character")
    if gcd(body.rate_p, body.rate_q) != 1:
        raise Malformed("the rate is not in lowest terms")
    blocks, rest = divmod(frame.amount, body.rate_q)
    if rest or blocks * body.rate_p != frame.arriving:
        raise Malformed("the amounts are not so many blocks of the rate")


def check_terms(frame: Frame, body: Authorise, terms: Terms | None) -> None:
    """Whether what is asked is what both sides agreed. Raises Refused, lowest reason first."""
    if terms is None or terms.becomes != frame.becomes:
        raise Refused(Reason.CATEGORY_NOT_MAPPED)
    if (body.rate_p, body.rate_q, body.terms_version) != (terms.rate_p, terms.rate_q, terms.version):
        raise Refused(Reason.TERMS_DIFFER)


def check_until(until_ms: int, now_ms: int) -> None:
    """Whether it can still be captured, and does not last too long. Raises Refused(TOO_LATE)."""
    if until_ms <= now_ms:
        raise Refused(Reason.TOO_LATE, "the authorisation would be over already")
    if until_ms > now_ms + LASTS_MOST_MS + limits.CLOCK_SKEW_MS:
        raise Refused(Reason.TOO_LATE, f"an authorisation lasts at most {LASTS_MOST_MS // 86_400_000} days")


def part_of(found: Authorisation, arriving: int) -> Part:
    """What a capture of so many of the counter's units takes. Raises Refused, lowest reason first.

    One capture ends an authorisation: what it leaves goes back.
    """
    part = blocks_of(arriving, found.rate_p, found.rate_q)
    if part.arriving > found.arriving:
        raise Refused(Reason.ABOVE_AUTHORISED, f"{found.arriving} units were authorised")
    return part


def check_open(found: Authorisation) -> None:
    """Whether it can be captured or released. Raises Refused: AUTHORISATION_ENDED, or WRONG_STATE while it cannot."""
    if is_over(found.state):
        raise Refused(Reason.AUTHORISATION_ENDED, f"the authorisation is {found.state.name.lower()}")
    if found.state is not State.AUTHORISED:
        raise Refused(Reason.WRONG_STATE, f"the authorisation is {found.state.name.lower()}")


def heard_capture(found: Authorisation, frame: Frame) -> tuple[Event, Part]:
    """The holder's verdict on a capture. Raises Refused, lowest reason first: the hold stands."""
    part = Part(frame.amount, frame.arriving)
    blocks, rest = divmod(frame.amount, found.rate_q)
    if (frame.category, frame.becomes) != (found.category, found.becomes):
        raise Refused(Reason.MALFORMED_BODY)
    if blocks < 1 or rest or blocks * found.rate_p != frame.arriving:
        raise Refused(Reason.MALFORMED_BODY)
    part_of(found, part.arriving)
    check_open(found)
    return taking(found, part), part


def taking(found: Authorisation, part: Part) -> Event:
    """What accepting a capture of so much does."""
    return Event.TAKE_ALL if part.amount == found.amount else Event.TAKE_PART


def answer_to_ask(state: State | None, until_ms: int, now_ms: int) -> Event | None:
    """The counter's answer to the holder's question: END, or None where it is over already, or was never known here.

    Raises Refused(WRONG_STATE) while it can still be captured or its capture is under way: then its end will come.
    """
    if state is None or is_over(state):
        if state in (State.CAPTURED, State.PART_CAPTURED):
            raise Refused(Reason.WRONG_STATE)  # it was captured: that is in the log already
        return None
    if state is State.AUTHORISED and until_ms <= now_ms:
        return Event.END
    raise Refused(Reason.WRONG_STATE)
