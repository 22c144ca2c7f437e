"""The verdict on a transfer under an agreement: one pure function, for its source and its destination alike.

Where several reasons speak against a transfer the lowest number is given: the precedence is the numbering.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from gateway.protocol import limits
from gateway.protocol.agreement.in_force import InForce, Way, add_months
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import Conversion, Source, Terms, convert
from gateway.protocol.values import Evidence, Purpose, Reason, Slice

_EVIDENCE = frozenset(map(int, Evidence))


class Consent(IntEnum):
    """What is known of the resident's consent."""

    GIVEN = 1
    MISSING = 2
    NOT_VALID = 3  # expired, withdrawn, or for another recipient or purpose


class Facts(NamedTuple):
    """What one side knows of a transfer when it judges it. None = not mine to check, or nothing to say.

    The first are both sides'. Amounts are in the smallest unit of the source's category, each category by itself.
    """

    source: int
    destination: int
    category: str
    amount: int  # what may leave at most; of an offer, what left
    purpose: int  # or Feature.ROAMING, for an authorisation
    backing: Sequence[Source | Slice] = ()  # what the points come from, with its provenance
    pinned: bool = False  # held before: the terms of that day are honoured for a while
    # What an offer says; None while there is none yet.
    becomes: str | None = None
    rate: tuple[int, int] | None = None
    version: int | None = None
    # From the two logs between the regions: sent by all residents this way, holds counted, refusals not.
    pair_day: int | None = None
    pair_month: int | None = None
    net: int | None = None  # sent this way, holds counted, less what arrived in this category the other way
    # The source's: what this resident has sent there before, and when.
    sent_day: int | None = None
    sent_month: int | None = None
    sent_year: int | None = None
    sent_ever: int | None = None
    relocated: int | None = None  # business date of the last relocation; 0 = never
    rested_hours: int | None = None  # since the newest of these points came from another region; None = none did
    consent: Consent | None = None
    identity: bool | None = None  # the destination's: whether the pseudonyms match
    delayed: bool = False  # the source's: a penalty is pending
    disputed: bool = False
    found: int = 0  # the lowest reason against it that this side's roster and books give besides; 0 = none


class Verdict(NamedTuple):
    """It may be: under these terms, so much of it; `review`: when a clerk of the destination says so."""

    terms: Terms
    conversion: Conversion
    review: bool


def judge(found: InForce | None, facts: Facts) -> Verdict:
    """Decide one transfer. Raises Refused with the reason of the lowest number, from the agreement or `facts.found`."""
    if found is None:
        raise Refused(_lower(facts.found, Reason.AGREEMENT_NOT_IN_FORCE))
    way = found.now.get(facts.source)
    if facts.version is not None:
        way = found.pinned.get((facts.source, facts.version), way)
    if way is None or facts.amount < 1 or facts.amount > limits.AMOUNT_MAX:
        raise Refused(_lower(facts.found, Reason.REGION_UNKNOWN if way is None else Reason.AMOUNT_OUT_OF_RANGE))
    terms = way.terms.get(facts.category)
    becomes, rate, version = facts.becomes, facts.rate, facts.version
    if terms is None or terms.destination != facts.destination or (becomes is not None and becomes != terms.becomes):
        raise Refused(_lower(facts.found, Reason.CATEGORY_NOT_MAPPED))
    if (version is not None and version != way.version) or (rate is not None and rate != (terms.rate_p, terms.rate_q)):
        raise Refused(_lower(facts.found, Reason.TERMS_DIFFER))
    try:
        conversion = convert(facts.amount, terms.rate_p, terms.rate_q)
    except Refused as refusal:
        raise Refused(_lower(facts.found, refusal.reason)) from None
    reason = (
        _of_agreement(way, facts)
        or _of_amounts(way, facts, conversion.leaving)
        or _of_time(way, facts, found.day)
        or (_of_points(terms, facts.backing) if facts.backing else 0)
        or _of_person(way, facts)
    )
    if facts.found and not 0 < reason < facts.found:
        reason = facts.found
    if reason:
        raise Refused(Reason(reason))
    review = (terms.review_from and conversion.arriving >= terms.review_from) or (
        way.identity_required and facts.identity is False
    )
    return Verdict(terms, conversion, bool(review))


def _lower(found: int, reason: Reason) -> Reason:
    return Reason(found) if 0 < found < reason else reason


def _of_agreement(way: Way, facts: Facts) -> int:
    """24, 27 to 31: whether anything like it moves today."""
    purpose = facts.purpose
    if purpose not in way.purposes:
        return Reason.PURPOSE_NOT_ALLOWED
    closed = way.held if facts.pinned else way.fresh
    if closed:
        return closed
    if not way.on:
        return Reason.DIRECTION_NOT_ALLOWED
    if purpose not in way.features:
        return Reason.FEATURE_OFF
    if purpose == Purpose.PERSON_TO_PERSON and not way.person_to_person:
        return Reason.PERSON_TO_PERSON_NOT_ALLOWED
    return 0


def _of_amounts(way: Way, facts: Facts, leaving: int) -> int:
    """32 to 36: whether it is as little, and as much, as may be."""
    if leaving < way.smallest:
        return Reason.BELOW_SMALLEST_AMOUNT
    if leaving > way.transfer:
        return Reason.TRANSFER_CAP_EXCEEDED
    if (
        (facts.sent_day is not None and facts.sent_day + leaving > way.resident_day)
        or (facts.sent_month is not None and facts.sent_month + leaving > way.resident_month)
        or (facts.sent_year is not None and facts.sent_year + leaving > way.resident_year)
        or (facts.sent_ever is not None and facts.sent_ever + leaving > way.resident_ever)
    ):
        return Reason.RESIDENT_CAP_REACHED
    if (facts.pair_day is not None and facts.pair_day + leaving > way.pair_day) or (
        facts.pair_month is not None and facts.pair_month + leaving > way.pair_month
    ):
        return Reason.PAIR_CAP_REACHED
    if facts.net is not None and facts.net + leaving > way.net_debit:
        return Reason.NET_DEBIT_CAP_REACHED
    return 0


def _of_time(way: Way, facts: Facts, day: int) -> int:
    """37 and 38: whether enough time has passed."""
    if facts.rested_hours is not None and facts.rested_hours < way.cooling_off_hours:
        return Reason.COOLING_OFF
    again = facts.relocated and way.relocation_months and facts.purpose == Purpose.RELOCATION
    if again and day < add_months(facts.relocated or 0, way.relocation_months):
        return Reason.TOO_FREQUENT
    return 0


def _of_points(terms: Terms, backing: Sequence[Source | Slice]) -> int:
    """62: whether every unit is backed well enough, by a kind of evidence that is known."""
    least = terms.min_evidence
    for part in backing:
        for provenance in part.provenance:
            if provenance.evidence < least or provenance.evidence not in _EVIDENCE:
                return Reason.EVIDENCE_TOO_LOW
    return 0


def _of_person(way: Way, facts: Facts) -> int:
    """85 to 88: consent, penalties, disputes."""
    if facts.consent is not None:
        if facts.consent == Consent.MISSING and way.consent_required:
            return Reason.CONSENT_MISSING
        if facts.consent == Consent.NOT_VALID:
            return Reason.CONSENT_NOT_VALID
    if facts.delayed:
        return Reason.DELAYED
    return Reason.DISPUTED if facts.disputed else 0
