"""The life of a transfer, its exact conversion, and how lots become blocks.

The state machine is a table plus one function. Source and destination walk different rows of the same table; silence
moves neither. Conversion is exact: at rate p/q, k = floor(x/q) blocks of q units leave and k blocks of p units arrive.
The remainder never leaves the source, so nothing is created and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import lru_cache
from math import gcd
from typing import NamedTuple

from gateway.protocol import limits
from gateway.protocol.errors import Malformed, OwnFault, Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.values import Evidence, Frame, Offer, Provenance, Purpose, Reason, Slice

NEVER = 99991231
"""Expiry of a lot that does not expire, as dates compare; 0 on the wire."""


_EVIDENCE = frozenset(Evidence)


class State(IntEnum):
    """Where a transfer stands. 1-9 at its source, 11-19 at its destination."""

    HELD = 1  # points are held at the source, the offer is in its outbox or log
    POSTED = 2  # accepted: the points have left
    VOIDED = 3  # refused: the points are spendable again
    OFFERED = 11  # arrived, not yet judged (never outlives a transaction)
    IN_REVIEW = 12  # a clerk of the destination decides
    ACCEPTED = 13
    REFUSED = 14


class Event(IntEnum):
    """What moves a transfer."""

    ACCEPT = 1
    REFUSE = 2
    REVIEW = 3


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.HELD, Event.ACCEPT): State.POSTED,
    (State.HELD, Event.REFUSE): State.VOIDED,
    (State.OFFERED, Event.ACCEPT): State.ACCEPTED,
    (State.OFFERED, Event.REFUSE): State.REFUSED,
    (State.OFFERED, Event.REVIEW): State.IN_REVIEW,
    (State.IN_REVIEW, Event.ACCEPT): State.ACCEPTED,
    (State.IN_REVIEW, Event.REFUSE): State.REFUSED,
}


def step(state: State, event: Event) -> State:
    """The next state. Raises OwnFault where the table has no row: a second answer, a decision about nothing."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise OwnFault(f"a transfer that is {state.name} cannot {event.name}")
    return after


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How one category of one region becomes one of another. Agreements will offer these; a file does today."""

    source: int
    destination: int
    category: str
    becomes: str
    rate_p: int
    rate_q: int
    version: int
    min_evidence: int = Evidence.SIGNED_IN
    purposes: frozenset[int] = frozenset({Purpose.RELOCATION, Purpose.GUEST_AWARD, Purpose.ACTIVITY, Purpose.DONATION})
    review_from: int = 0  # arriving amounts of at least this go to a clerk; 0 = none do
    grace_days: int = 30  # an arriving lot lives at least this long
    reversal_days: int = 30  # a transfer can be sent back this long after its acceptance
    life_days: int = 0  # an arriving lot lives no longer than this, days of grace aside; 0 = as long as at its source

    def __post_init__(self) -> None:
        if not (1 <= self.rate_p <= limits.RATE_MAX and 1 <= self.rate_q <= limits.RATE_MAX):
            raise ValueError(f"a rate is p/q with both between 1 and {limits.RATE_MAX}")
        if gcd(self.rate_p, self.rate_q) != 1:
            raise ValueError(f"the rate {self.rate_p}/{self.rate_q} is not in lowest terms")


class Conversion(NamedTuple):
    """What becomes of an amount: `blocks` blocks, `leaving` units gone, `arriving` units come, the rest stays."""

    blocks: int
    leaving: int
    arriving: int
    remainder: int


def convert(amount: int, rate_p: int, rate_q: int) -> Conversion:
    """Exact conversion, rounded down to whole blocks.

    Raises Refused(AMOUNT_OUT_OF_RANGE) for amounts below one block or over 2^63-1, on either side.
    """
    blocks, remainder = divmod(amount, rate_q)
    arriving = blocks * rate_p
    if blocks < 1 or amount > limits.AMOUNT_MAX or arriving > limits.AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE)
    return Conversion(blocks, amount - remainder, arriving, remainder)


class Source(NamedTuple):
    """What a lot can give: a reference of the caller's, units, expiry (NEVER = does not), provenance."""

    lot: int
    units: int
    expires: int
    provenance: tuple[Provenance, ...]


def cut_blocks(sources: Iterable[Source], blocks: int, rate_q: int) -> tuple[list[Slice], list[tuple[int, int]]]:
    """Cut `blocks` blocks of `rate_q` units from lots in the order given (first expiring first).

    Returns the slices to send and, for each lot touched, (lot, units taken). A block that spans lots takes the earliest
    expiry and every provenance. Raises Refused(INSUFFICIENT_POINTS) if the lots do not suffice, Refused(TOO_MANY_LOTS)
    if one offer cannot carry so many slices.
    """
    slices: list[Slice] = []
    takes: list[tuple[int, int]] = []
    need = blocks * rate_q
    partial: list[Source] = []  # lots that gave to the block under way
    filled = 0
    for source in sources:
        if need == 0:
            break
        units = min(source.units, need)
        takes.append((source.lot, units))
        need -= units
        if filled:
            used = min(units, rate_q - filled)
            partial.append(source)
            filled += used
            units -= used
            if filled == rate_q:
                slices.append(_mixed(partial))
                partial, filled = [], 0
        whole, rest = divmod(units, rate_q)
        if whole:
            slices.append(Slice(whole, _wire_date(source.expires), source.provenance))
        if rest:
            partial, filled = [source], rest
    if need:
        raise Refused(Reason.INSUFFICIENT_POINTS)
    if len(slices) > limits.SLICES_PER_OFFER:
        raise Refused(Reason.TOO_MANY_LOTS)
    return slices, takes


def _mixed(sources: Sequence[Source]) -> Slice:
    provenance = tuple(dict.fromkeys(p for s in sources for p in s.provenance))
    if len(provenance) > limits.PROVENANCES_PER_SLICE:
        raise Refused(Reason.TOO_MANY_LOTS)
    return Slice(1, _wire_date(min(s.expires for s in sources)), provenance)


def _wire_date(expires: int) -> int:
    return 0 if expires == NEVER else expires


def evidence_of(provenance: Iterable[Provenance]) -> int:
    """The evidence of a block: the weakest of what it was made from."""
    return min(p.evidence for p in provenance)


def check_offer(frame: Frame, offer: Offer) -> None:
    """What must hold between the header and the body of an offer, whatever the terms. Raises Malformed."""
    if frame.amount < 1 or frame.arriving < 1 or not frame.category or not frame.becomes:
        raise Malformed("an offer names two categories and two amounts above zero")
    if gcd(offer.rate_p, offer.rate_q) != 1:
        raise Malformed("the rate is not in lowest terms")
    if not 0 <= offer.purpose <= limits.ENUM_MAX:
        raise Malformed(f"a purpose has a number up to {limits.ENUM_MAX}")
    if "\0" in frame.category or "\0" in frame.becomes:
        raise Malformed("a text has no zero character")
    if mentions_number(offer.consent):
        raise Malformed("a text has no identity number in it")
    for s in offer.slices:
        _check_slice(s)
    blocks = sum(s.blocks for s in offer.slices)
    if blocks * offer.rate_q != frame.amount or blocks * offer.rate_p != frame.arriving:
        raise Malformed("the blocks of the slices do not add up to the amounts of the header")


def _check_slice(s: Slice) -> None:
    """What no database need be able to hold. Raises Malformed."""
    if s.expires and not _is_date(s.expires):
        raise Malformed("Slice.expires must be 0 or a date yyyymmdd")
    for p in s.provenance:
        if p.granted and not _is_date(p.granted):
            raise Malformed("Provenance.granted must be 0 or a date yyyymmdd")
        if "\0" in p.because:
            raise Malformed("a text has no zero character")
        if _names_somebody(p.because):
            raise Malformed("a text has no identity number in it")


_names_somebody = lru_cache(maxsize=4096)(mentions_number)  # few activities justify many points


@lru_cache(maxsize=4096)
def _is_date(number: int) -> bool:
    try:
        date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return False
    return True


def check_terms(frame: Frame, offer: Offer, terms: Terms | None) -> None:
    """Whether what is offered is what both sides agreed. Raises Refused, lowest reason first."""
    if terms is None or terms.becomes != frame.becomes:
        raise Refused(Reason.CATEGORY_NOT_MAPPED)
    if (offer.rate_p, offer.rate_q, offer.terms_version) != (terms.rate_p, terms.rate_q, terms.version):
        raise Refused(Reason.TERMS_DIFFER)
    if offer.purpose not in terms.purposes:
        raise Refused(Reason.PURPOSE_NOT_ALLOWED)


def check_evidence(offer: Offer, terms: Terms) -> None:
    """Whether every block is backed well enough. Raises Refused(EVIDENCE_TOO_LOW), also for an unknown kind."""
    if any(p.evidence not in _EVIDENCE or p.evidence < terms.min_evidence for s in offer.slices for p in s.provenance):
        raise Refused(Reason.EVIDENCE_TOO_LOW)
