"""Agreements (互认) as documents: what two regions recognise of each other, and the rules every document keeps.

Neighbours: :mod:`gateway.protocol.bodies.agreement` turns them into bytes, :mod:`gateway.protocol.agreement.life`
tells which of them are in force, :mod:`gateway.protocol.agreement.verdict` decides transfers by them, and
:mod:`gateway.protocol.agreement.rates` derives rates and finds cycles that would multiply points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from gateway.protocol.values import Evidence, Purpose


class CapScope(IntEnum):
    """What a cap bounds, in the smallest unit of the source's category, each category by itself."""

    TRANSFER = 1
    RESIDENT_DAY = 2
    RESIDENT_MONTH = 3
    RESIDENT_YEAR = 4
    RESIDENT_EVER = 5
    PAIR_DAY = 6
    PAIR_MONTH = 7
    NET_DEBIT = 8  # sent (holds counted) less what came back: what the source owes the destination


class ExpiryRule(IntEnum):
    """When points expire after they have arrived; never before the days of grace."""

    KEEP = 1  # when they would have at the source
    SHORTER = 2  # then, or when points expire that the destination grants today


class Feature(IntEnum):
    """What an agreement switches on. The first have the numbers of the purposes they are for."""

    RELOCATION = Purpose.RELOCATION
    GUEST_AWARD = Purpose.GUEST_AWARD
    ACTIVITY = Purpose.ACTIVITY
    DONATION = Purpose.DONATION
    PERSON_TO_PERSON = Purpose.PERSON_TO_PERSON
    ROAMING = 16
    ATTESTATION = 17


class NoticeKind(IntEnum):
    """What one region says of an agreement."""

    SUSPEND = 1
    RESUME = 2
    TERMINATE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """A category of a region, and how many points it gives for so many reference hours (both 0 = not published)."""

    code: str
    points: int = 0  # in the category's smallest unit
    hours: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """One category of the source becomes one of the destination: p units for q."""

    category: str
    becomes: str
    p: int
    q: int
    derived: bool = True  # from what is published, less the haircut


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """At most `amount` units."""

    scope: int
    amount: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Honoured:
    """A kind of attested fact (FactKind) that the destination recognises, and what its values there are worth here."""

    kind: int
    values: tuple[tuple[int, int], ...] = ()  # (there, here); empty = worth what they are

    def worth(self, value: int) -> int:
        """What a value there is worth here: by the highest that is named and not above it; 0 below all that are."""
        if not self.values:
            return value
        return max(((there, here) for there, here in self.values if there <= value), default=(0, 0))[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Direction:
    """What may go from one region, the source, to the other. Amounts in the smallest unit of the source's category."""

    on: bool = True
    rates: tuple[Rate, ...] = ()
    haircut: int = 0  # in 1/10000
    smallest: int = 0
    caps: tuple[Cap, ...] = ()
    min_evidence: int = Evidence.SIGNED_IN
    cooling_off_hours: int = 0
    relocation_months: int = 0
    review_from: int = 0  # of what arrives, in units of the destination; 0 = nothing goes to a clerk
    grace_days: int = 30
    purposes: frozenset[int] = frozenset({Purpose.RELOCATION, Purpose.GUEST_AWARD, Purpose.ACTIVITY, Purpose.DONATION})
    person_to_person: bool = False
    expiry: int = ExpiryRule.KEEP
    life_days: int = 0  # of points the destination grants; SHORTER only
    honoured: tuple[Honoured, ...] = ()

    def honours(self, kind: int) -> Honoured | None:
        """What is made of attested facts of this kind; None = they are not honoured."""
        return next((h for h in self.honoured if h.kind == kind), None)


NOTHING = Direction(on=False)
"""A direction in which nothing moves."""

EVERYTHING: frozenset[int] = frozenset(Feature)
"""All features there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """One version of an agreement between two regions. Dates are business dates yyyymmdd."""

    federation: bytes
    environment: str
    id: bytes  # 16 bytes, the same in all versions
    version: int = 1
    predecessor: bytes = b""  # SHA-256 of the payload of the version before
    region_a: int  # the lower code
    region_b: int
    valid_from: int  # first day
    valid_until: int = 0  # last day; 0 = open
    legal_basis: str = ""
    categories_a: tuple[Category, ...] = ()
    categories_b: tuple[Category, ...] = ()
    a_to_b: Direction = NOTHING
    b_to_a: Direction = NOTHING
    features: frozenset[int] = EVERYTHING
    pinned_days: int = 7  # so long after a version began or ended, what was held before is honoured
    reversal_days: int = 30
    dispute_days: int = 30
    dispute_answer_days: int = 1
    dispute_ruling_days: int = 5
    mediator: int = 0  # region codes; 0 = nobody
    arbitrator: int = 0
    consent_required: bool = False
    consent_basis: str = ""
    identity_required: bool = False
    pseudonym_key_a: bytes = b""  # X25519 public keys; empty where no pseudonyms are compared
    pseudonym_key_b: bytes = b""

    @property
    def regions(self) -> tuple[int, int]:
        """Both codes, the lower first."""
        return self.region_a, self.region_b

    def other(self, region: int) -> int:
        """The region that is not this one."""
        return self.region_b if region == self.region_a else self.region_a

    def direction(self, source: int) -> Direction:
        """What may go from this region to the other."""
        return self.a_to_b if source == self.region_a else self.b_to_a

    def categories(self, region: int) -> tuple[Category, ...]:
        """The categories of this region."""
        return self.categories_a if region == self.region_a else self.categories_b

    def pseudonym_key(self, region: int) -> bytes:
        """The public key of this region for pseudonyms."""
        return self.pseudonym_key_a if region == self.region_a else self.pseudonym_key_b

    def directions(self) -> Iterator[tuple[int, int, Direction]]:
        """(source, destination, what may go that way), both ways."""
        yield self.region_a, self.region_b, self.a_to_b
        yield self.region_b, self.region_a, self.b_to_a


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What one region says of an agreement, in all its versions. Dates are business dates yyyymmdd."""

    federation: bytes
    environment: str
    agreement: bytes
    version: int  # the newest that the region knows to be agreed
    region: int  # who says it
    what: int
    effective: int
    wind_down_until: int = 0  # TERMINATE only: the last day on which what is held can finish
    because: str = ""
