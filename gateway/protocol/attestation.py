"""Attestations: hours, stars and honours are recognised by another region and never moved; no points follow from them.

A region asks with a share code of the resident and a consent; the home region answers with a signed document for that
region alone, about a subject drawn for that request alone. What the asking region makes of it follows from the
agreement named in the request. The state machine is a table plus one function; both regions walk rows of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import NamedTuple

from gateway.protocol import limits, suite
from gateway.protocol.agreement.document import Agreement, Direction, Feature
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.bodies.attestation import PAYLOAD_TYPE, Attestation, Fact, FactKind, RevocationCause
from gateway.protocol.errors import Malformed, OwnFault, Refused, Unauthentic
from gateway.protocol.identity import mentions_number
from gateway.protocol.suite import SigningKey, VerifyKey
from gateway.protocol.transfer import NEVER
from gateway.protocol.values import Reason, Signed

__all__ = [
    "PAYLOAD_TYPE", "Attestation", "Event", "Fact", "FactKind", "Question", "Recognised", "RevocationCause",
    "State", "TRANSITIONS", "Wanted", "check_question", "choose", "contradicts", "expiry", "holds", "honoured", "read",
    "recognise", "sign", "step",
]  # fmt: skip


class State(IntEnum):
    """Where an attestation stands. 1-9 at the region that attests, 11-19 at the one that asked."""

    GIVEN = 1
    WITHDRAWN = 2  # said to hold no longer, and not answered yet
    TAKEN_BACK = 3  # the other region has taken back what it recognised
    ASKED = 11
    RECOGNISED = 12
    REFUSED = 13
    UNFIT = 14  # answered with a document that proves nothing
    REVOKED = 15


class Event(IntEnum):
    """What moves an attestation."""

    ATTEST = 1
    REFUSE = 2
    DOUBT = 3  # what came is not signed by its issuer, or is about something else
    REVOKE = 4
    CONFIRM = 5  # the revocation was answered


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.GIVEN, Event.REVOKE): State.WITHDRAWN,
    (State.WITHDRAWN, Event.CONFIRM): State.TAKEN_BACK,
    (State.ASKED, Event.ATTEST): State.RECOGNISED,
    (State.ASKED, Event.REFUSE): State.REFUSED,
    (State.ASKED, Event.DOUBT): State.UNFIT,
    (State.RECOGNISED, Event.REVOKE): State.REVOKED,
}


def step(state: State, event: Event) -> State:
    """The next state. Raises OwnFault where the table has no row."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise OwnFault(f"an attestation that is {state.name} cannot {event.name}")
    return after


# -- at the region that attests --------------------------------------------------------------------------------------


class Question(NamedTuple):
    """What the home region has found out about a request, before it answers. None = nothing wrong."""

    agreement: Reason | None  # what the agreement has against it
    code: bool  # the share code is known, unused, in its time, and for the region that asks
    consent: Reason | None  # what the consent has against it, for this region and these kinds
    facts: int  # so many facts of the kinds asked for


def check_question(question: Question) -> None:
    """Whether to attest. Raises Refused with the reason of the lowest number.

    A code that is unknown, used, expired or somebody else's is refused alike, so that nothing is learnt by guessing;
    nor is it said whether there would have been facts.
    """
    if question.agreement is not None:
        raise Refused(question.agreement)
    if not question.code:
        raise Refused(Reason.CODE_NOT_VALID)
    if question.consent is not None:
        raise Refused(question.consent)
    if not question.facts:
        raise Refused(Reason.NOT_ATTESTED)


def holds(expires: int, today: int) -> bool:
    """Whether what expires on this date (0 = never) still holds today."""
    return today < (expires or NEVER)


def choose(facts: Iterable[Fact], kinds: Collection[int], today: int) -> tuple[Fact, ...]:
    """The facts to attest: of the kinds asked for, holding today, the newest where there are more than fit."""
    found = [fact for fact in facts if fact.kind in kinds and holds(fact.expires, today)]
    newest = sorted(found, key=lambda fact: (-fact.as_of, fact.kind, fact.words))[: limits.FACTS_PER_ATTESTATION]
    return tuple(sorted(newest, key=lambda fact: (fact.kind, fact.words)))


def expiry(facts: Sequence[Fact], longest: int) -> int:
    """When an attestation of these facts ends: with the first of them, and on the date `longest` at the latest."""
    return min([longest, *(fact.expires for fact in facts if fact.expires)])


def contradicts(attested: Fact, now: Fact) -> bool:
    """Whether what is known now takes back what was attested. More of the same, true of a later date, does not; and
    what was true of an earlier date says nothing about it."""
    if now.as_of < attested.as_of:
        return False
    fewer = now.value < attested.value or now.evidence < attested.evidence
    sooner = (now.expires or NEVER) < (attested.expires or NEVER)
    return fewer or sooner or (now.as_of == attested.as_of and now._replace(reference=attested.reference) != attested)


def sign(attestation: Attestation, key: SigningKey) -> Signed:
    """The document, signed by its issuer. Raises Malformed for one that nobody else would read."""
    payload = bodies.encode_attestation(attestation)
    _check_dates(bodies.decode_attestation(payload))
    return key.sign(PAYLOAD_TYPE, payload)


# -- at the region that asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What was asked, which the answer must be about."""

    federation: bytes
    environment: str
    id: bytes
    issuer: int
    audience: int
    kinds: frozenset[int]
    consent_digest: bytes


def read(signed: Signed, keys: Iterable[VerifyKey], wanted: Wanted) -> Attestation:
    """What the issuer attests, verified by its keys and compared with what was asked.

    Raises Unauthentic or Malformed: a forged signature, an answer to another request or for another region, kinds
    nobody asked for.
    """
    found = bodies.decode_attestation(suite.verify(signed, keys, PAYLOAD_TYPE))
    _check_dates(found)
    named = (found.federation, found.environment, found.issuer, found.audience)
    if named != (wanted.federation, wanted.environment, wanted.issuer, wanted.audience):
        raise Unauthentic("the attestation is by or for another region, federation or environment")
    if found.id != wanted.id or found.consent_digest != wanted.consent_digest:
        raise Unauthentic("the attestation answers another request")
    if any(fact.kind not in wanted.kinds for fact in found.facts):
        raise Malformed("the attestation tells what was not asked, and what nobody consented to")
    return found


def _check_dates(attestation: Attestation) -> None:
    numbers = [attestation.expires, *(n for f in attestation.facts for n in (f.as_of, f.expires) if n)]
    for number in numbers:
        try:
            date(number // 10_000, number // 100 % 100, number % 100)
        except ValueError:
            raise Malformed(f"{number} is no date yyyymmdd") from None
    if any("\0" in text for f in attestation.facts for text in (f.words, f.reference)):
        raise Malformed("a text has no zero character")
    if any(mentions_number(text) for f in attestation.facts for text in (f.words, f.reference)):
        raise Malformed("a text names nobody by a number")


class Recognised(NamedTuple):
    """What a fact counts for at the region that recognises it: eligibility, never points."""

    kind: int
    words: str
    value: int
    expires: int  # first business date on which it no longer counts
    fact: Fact


def honoured(agreement: Agreement, issuer: int, kinds: Collection[int]) -> frozenset[int]:
    """Which of these kinds, attested by this region, the other one recognises under the agreement.

    Whether points may move that way has nothing to do with it. Raises Refused: FEATURE_OFF, or NOT_ATTESTED where it is
    none of them.
    """
    direction = agreement.direction(issuer)
    if Feature.ATTESTATION not in agreement.features:
        raise Refused(Reason.FEATURE_OFF, "the agreement does not switch attestations on")
    found = frozenset(kind for kind in kinds if direction.honours(kind) is not None)
    if not found:
        raise Refused(Reason.NOT_ATTESTED, "the agreement honours nothing of these kinds")
    return found


def recognise(attestation: Attestation, direction: Direction) -> tuple[Recognised, ...]:
    """What the agreement makes of the facts: `direction` is that from the issuer to the region that recognises.

    A kind it does not name, and a value that is worth nothing here, is not recognised. Hours count from the agreed
    grade of evidence on; how an honour or a certificate is evidenced is its issuer's affair.
    """
    found = []
    for fact in attestation.facts:
        line = direction.honours(fact.kind)
        if line is None or (fact.kind == FactKind.SERVICE_HOURS and fact.evidence < direction.min_evidence):
            continue
        worth = line.worth(fact.value)
        if worth or not line.values:
            expires = min(fact.expires or NEVER, attestation.expires)
            found.append(Recognised(fact.kind, fact.words, worth, expires, fact))
    return tuple(found)
