"""What two simulated regions agree on, by chance: other rates and switches in every version, always the same caps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from math import gcd
from typing import Any

from gateway.protocol.agreement.document import Agreement, Cap, CapScope, Category, Direction, Honoured, Rate
from tests.federation import CATEGORIES

MAPPED = CATEGORIES[:2]
PURPOSES = frozenset({1, 2, 3, 4})
_LISTED = tuple(Category(code=c) for c in CATEGORIES)


def listed() -> tuple[Category, ...]:
    """The categories of any region."""
    return _LISTED


def agreed_rates(p: int, q: int, becomes: Sequence[str] = MAPPED) -> tuple[Rate, ...]:
    """One rate for all that is mapped."""
    mapped = zip(MAPPED, becomes, strict=True)
    return tuple(Rate(category=c, becomes=other, p=p, q=q, derived=False) for c, other in mapped)


@dataclass
class Bargains:
    """What does not change in a history: what an hour is worth in each region, and what caps bound each direction.

    All rates follow from the hours, less what a version takes off: no way round is profitable.
    """

    chance: random.Random
    codes: Sequence[int]
    hours: dict[int, int] = field(init=False)
    caps: dict[tuple[int, int], tuple[Cap, ...]] = field(init=False)
    months: dict[tuple[int, int], int] = field(init=False)
    signed_first: frozenset[tuple[int, int]] = field(init=False)  # pairs that begin with an agreement

    def __post_init__(self) -> None:
        chance = self.chance
        self.hours = {code: chance.choice([1, 1, 2]) for code in self.codes}
        self.caps = {way: self._caps() for way in permutations(self.codes, 2)}
        self.months = {way: 12 * (chance.random() < 0.15) for way in permutations(self.codes, 2)}
        self.signed_first = frozenset(pair for pair in combinations(self.codes, 2) if chance.random() < 0.8)

    def _caps(self) -> tuple[Cap, ...]:
        mosts = {
            CapScope.TRANSFER: 12, CapScope.RESIDENT_DAY: 10, CapScope.RESIDENT_MONTH: 15, CapScope.RESIDENT_EVER: 40,
            CapScope.PAIR_DAY: 25, CapScope.PAIR_MONTH: 60, CapScope.NET_DEBIT: 30,
        }  # fmt: skip
        chosen = self.chance.sample(list(mosts), self.chance.choice([0, 1, 2, 2, 3]))
        return tuple(Cap(scope=scope, amount=mosts[scope]) for scope in chosen)

    def draft(self, a: int, b: int, valid_from: int, **more: Any) -> Agreement:
        """A version between two regions, the lower code first."""
        chance = self.chance
        thirds = [code for code in self.codes if code not in (a, b)]
        consent = chance.random() < 0.3
        return Agreement(
            **{
                "federation": b"", "environment": "", "id": b"", "region_a": a, "region_b": b,
                "valid_from": valid_from, "categories_a": _LISTED, "categories_b": _LISTED,
                "a_to_b": self._direction(a, b), "b_to_a": self._direction(b, a),
                "pinned_days": chance.choice([0, 1, 7]), "reversal_days": chance.choice([1, 30]),
                "mediator": chance.choice([0, *thirds]), "arbitrator": chance.choice(thirds or [0]),
                "consent_required": consent, "consent_basis": "PIPL 23" if consent else "",
                "identity_required": chance.random() < 0.08, "pseudonym_key_a": b"a" * 32, "pseudonym_key_b": b"b" * 32,
            } | more
        )  # fmt: skip

    def _direction(self, source: int, destination: int) -> Direction:
        chance = self.chance
        becomes = list(MAPPED)
        if chance.random() < 0.3:
            becomes.reverse()
        p, q = self.hours[destination], self.hours[source] * chance.choice([1, 1, 1, 1, 2])
        p, q = p // gcd(p, q), q // gcd(p, q)
        return Direction(
            on=chance.random() < 0.96,
            rates=agreed_rates(p, q, becomes),
            smallest=chance.choice([0, 0, 0, 2]),
            caps=self.caps[source, destination],
            relocation_months=self.months[source, destination],
            cooling_off_hours=chance.choice([0, 0, 0, 0, 1]),
            min_evidence=chance.choice([1, 1, 1, 2]),
            review_from=chance.choice([0, 0, 0, 8]),
            grace_days=chance.choice([0, 3, 30]),
            honoured=(Honoured(kind=1), Honoured(kind=2, values=((2, 1), (4, 3)))),
            purposes=PURPOSES if chance.random() < 0.9 else frozenset({1}),
        )  # fmt: skip

    def bad(self, good: Agreement) -> Agreement:
        """The same with something that nobody may sign."""
        way = good.a_to_b
        rate = way.rates[0]

        def rated(p: int, q: int) -> Agreement:
            return replace(good, a_to_b=replace(way, rates=(replace(rate, p=p, q=q), *way.rates[1:])))

        return self.chance.choice(
            [
                rated(0, 1), rated(1, 0), rated(-1, 1), rated(1 << 31, 1), rated(50, 1),  # the last: a profitable cycle
                replace(good, valid_from=good.valid_from - 100), replace(good, id=b"nobody knows it!"),
                replace(good, consent_required=True, consent_basis=""),
            ]
        )  # fmt: skip
