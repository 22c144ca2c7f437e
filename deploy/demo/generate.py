"""Write the demonstration's data: residents, awards, transfers and agreements of four regions.

`python deploy/demo/generate.py` rewrites residents.csv, awards.csv, transfers.csv and agreements.json beside this
file, byte for byte the same on every machine (fixed seed; only `random.random`, whose sequence Python keeps).
Which rules are published and which are own choices is said in rules.py; how many residents there are, how long they
serve, and who moves what where are own choices too.

Nobody in them is real: an account is a regional system's own name, and no file holds a personal name. A receiver is
the same person's account in the other region.

Of the transfers, whatever their order: `SHORT` are refused by the source for want of convertible points (only
backfilled lots, only expired lots, more than the balance), `UNMAPPED` because the destination does not recognise
their category, and all others can be paid from the account's own unexpired signed-in lots even if it receives nothing.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID

from rules import (
    BY_CODE,
    CATEGORIES,
    NOT_RECOGNISED,
    REGIONS,
    YEAR,
    Region,
    agreements,
    expiry,
    half_hours,
    terms,
    within_account,
)

T = TypeVar("T")

SEED = 20260101
LOTS_EACH = 5  # ordinary lots of every resident
EXPIRED = 120  # lots that ran out with the year before
BACKFILLED = 0.05  # share of lots an administrator filled in
TRANSFERS = 5_000
SHORT = 100  # refused by the source: a fifth only backfilled, a tenth only expired, the others beyond the balance
UNMAPPED = 60  # refused: the category means nothing at the destination
OF_TEN = ("moral",) * 3 + ("public_welfare",) * 5 + ("culture",) * 2  # activities


class Resident(NamedTuple):
    """One line of residents.csv."""

    region: str
    account: str
    opened: date


class Award(NamedTuple):
    """One line of awards.csv: one lot."""

    region: str
    key: str
    account: str
    category: str
    amount: int
    granted: date
    expires: date
    evidence: str
    activity: str


class Transfer(NamedTuple):
    """One line of transfers.csv, its key excepted: keys follow the final order."""

    source: str
    account: str
    destination: str
    receiver: str
    category: str
    amount: int
    purpose: str


class Activity(NamedTuple):
    """Something people served in: when, what it counts for and how many minutes it took."""

    name: str
    day: date
    category: str
    minutes: int


Purse = tuple[str, str, str]  # region, account, category
Route = tuple[str, str, str]  # region, account, destination region


class Draw:
    """Chance that is the same everywhere: built on `random.random` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, n: int) -> int:
        """A whole number from 0 up to, not including, n."""
        return int(self._random.random() * n)

    def chance(self, share: float) -> bool:
        """True in that share of the draws."""
        return self._random.random() < share

    def one(self, items: Sequence[T]) -> T:
        """Any of the items."""
        return items[self.below(len(items))]

    def shuffled(self, items: Iterable[T]) -> list[T]:
        """The same items in another order."""
        return [item for _, _, item in sorted((self._random.random(), i, item) for i, item in enumerate(items))]

    def key(self, milliseconds: int) -> str:
        """A key in the shape of a UUIDv7 of that moment (milliseconds since 1970)."""
        low = (1 << 63) | (self.below(1 << 31) << 31) | self.below(1 << 31)
        return str(UUID(int=milliseconds << 80 | 7 << 76 | self.below(1 << 12) << 64 | low))


def residents(draw: Draw) -> list[Resident]:
    """Everybody, each with an account opened before anything was granted."""
    return [
        Resident(r.code, f"{r.prefix}-{n:06}", date(YEAR - 6, 1, 1) + timedelta(draw.below(5 * 365)))
        for r in REGIONS
        for n in range(1, r.residents + 1)
    ]


def activities(draw: Draw, region: Region, year: int, count: int) -> list[Activity]:
    """That many activities of a region from January to September of a year, in order of day."""
    days = sorted(date(year, 1, 5) + timedelta(draw.below(260)) for _ in range(count))
    return [
        Activity(
            f"{region.code}-{year}-{n:04}",
            day,
            draw.one(OF_TEN),
            30 + 15 * draw.below(11),
        )
        for n, day in enumerate(days, 1)
    ]


class Register:
    """Grants lots and remembers how much service each account has."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.lots: list[Award] = []
        self.had: dict[str, int] = defaultdict(int)  # half hours by account

    def grant(self, person: Resident, choice: Sequence[Activity], count: int) -> None:
        """At most so many lots for a person, from different ones of these activities."""
        region = BY_CODE[person.region]
        for activity in self.draw.shuffled(choice):
            stayed = activity.minutes - 5 * self.draw.below(6)
            half = within_account(half_hours(stayed), self.had[person.account])
            if not count or not half:
                continue
            count -= 1
            self.had[person.account] += half
            backfilled = activity.day.year == YEAR and self.draw.chance(BACKFILLED)
            self.lots.append(
                Award(
                    region=person.region,
                    key=self.draw.key(noon(activity.day) + len(self.lots)),
                    account=person.account,
                    category=activity.category,
                    amount=half * region.half_hour,
                    granted=activity.day,
                    expires=expiry(region, activity.day),
                    evidence="backfilled" if backfilled else "signed_in",
                    activity=activity.name,
                )
            )


def awards(draw: Draw, people: Sequence[Resident]) -> list[Award]:
    """Every lot, ordered by key: the ordinary ones of YEAR, and the ones that expired with the year before."""
    register = Register(draw)
    now = {r.code: activities(draw, r, YEAR, r.residents // 2) for r in REGIONS}
    before = {r.code: activities(draw, r, YEAR - 1, r.residents // 10) for r in REGIONS}
    for person in people:
        start = draw.below(len(now[person.region]) - 20)
        register.grant(person, now[person.region][start : start + 20], LOTS_EACH)
    for person in draw.shuffled(people)[:EXPIRED]:
        register.grant(person, before[person.region], 1)
    return sorted(register.lots, key=lambda lot: lot.key)


def noon(day: date) -> int:
    """Milliseconds since 1970 of noon in Shanghai."""
    return ((day - date(1970, 1, 1)).days * 24 + 4) * 3_600_000


def ran_out(lot: Award) -> bool:
    """True for the lots of the year before."""
    return lot.granted.year < YEAR


def convertible(lots: Iterable[Award]) -> dict[Purse, int]:
    """What each purse can surely send abroad: its unexpired signed-in lots."""
    purses: dict[Purse, int] = defaultdict(int)
    for lot in lots:
        if lot.evidence == "signed_in" and not ran_out(lot):
            purses[lot.region, lot.account, lot.category] += lot.amount
    return purses


def abroad(draw: Draw, people: Sequence[Resident]) -> dict[Route, str]:
    """The account a person holds elsewhere: (region, account, other region) to account; pairs are mutual."""
    names = {r.code: [p.account for p in people if p.region == r.code] for r in REGIONS}
    held: dict[Route, str] = {}
    for a, b in combinations(names, 2):
        for here, there in zip(draw.shuffled(names[a]), draw.shuffled(names[b]), strict=False):
            held[a, here, b] = there
            held[b, there, a] = here
    return held


class Planner:
    """Draws transfers and keeps the balances that say which of them are affordable in any order."""

    def __init__(self, draw: Draw, people: Sequence[Resident], lots: Sequence[Award]) -> None:
        self.draw = draw
        self.terms = terms()
        self.lots = lots
        self.left = convertible(lots)
        self.held = abroad(draw, people)
        self.routes = sorted(self.held)
        self.poor: set[tuple[str, str]] = set()  # accounts that must never receive anything

    def plan(self) -> list[tuple[str, Transfer]]:
        """All transfers, shuffled, each with its fate: `posted`, `short` or `unmapped`."""
        fated = [("short", t) for t in self.short()]
        fated += [("unmapped", t) for t in self.unmapped()]
        fated += [("posted", t) for t in self.affordable(TRANSFERS - len(fated))]
        return self.draw.shuffled(fated)

    def short(self) -> list[Transfer]:
        """Transfers refused by the source: from backfilled lots, from expired lots, beyond the balance."""
        of_grade: dict[str, dict[Purse, int]] = {"backfilled": defaultdict(int), "expired": defaultdict(int)}
        for lot in self.lots:
            grade = "expired" if ran_out(lot) else lot.evidence
            if grade in of_grade:
                of_grade[grade][lot.region, lot.account, lot.category] += lot.amount
        useless = [
            self.draw.shuffled((p, n) for p, n in sorted(purses.items()) if not self.left.get(p))
            for purses in of_grade.values()
        ]
        beyond = self.draw.shuffled((p, n + 1 + self.draw.below(n)) for p, n in sorted(self.left.items()))
        chosen: list[Transfer] = []
        for candidates, until in ((useless[0], SHORT // 5), (useless[1], SHORT // 5 + SHORT // 10), (beyond, SHORT)):
            for (region, account, category), amount in candidates:
                routes = [r for r in self.routes_of(region, account) if self.least((region, r[2], category)) <= amount]
                if len(chosen) < until and routes and (region, account) not in self.poor:
                    self.poor.add((region, account))
                    chosen.append(self.transfer(self.draw.one(routes), category, amount))
            if len(chosen) < until:
                raise SystemExit("too few purses that cannot pay: choose another SEED")
        return chosen

    def unmapped(self) -> list[Transfer]:
        """Transfers that could be paid for but whose category the destination does not recognise."""
        source, destination, category = NOT_RECOGNISED
        routes = [r for r in self.routes if (r[0], r[2]) == (source, destination)]
        payable = [r for r in routes if self.left.get((source, r[1], category)) and self.may_receive(r)]
        chosen = [self.pay(route, category, 1) for route in self.draw.shuffled(payable)[:UNMAPPED]]
        if len(chosen) < UNMAPPED:
            raise SystemExit("too few purses of the category that is not recognised: choose another SEED")
        return chosen

    def affordable(self, count: int) -> list[Transfer]:
        """That many transfers that their accounts can pay for, over every ordered pair of regions."""
        chosen: list[Transfer] = []
        routes = [r for r in self.routes if self.may_receive(r)]
        while len(chosen) < count:
            route = self.draw.one(routes)
            region, account, destination = route
            open_to = [
                c
                for c in CATEGORIES
                if (region, destination, c) in self.terms
                and self.left.get((region, account, c), 0) >= self.least((region, destination, c))
            ]
            if open_to:
                category = self.draw.one(open_to)
                chosen.append(self.pay(route, category, self.least((region, destination, category))))
        return chosen

    def pay(self, route: Route, category: str, least: int) -> Transfer:
        """A transfer of at least so much and mostly under half of what is left, taken off the balance."""
        purse = (route[0], route[1], category)
        amount = max(least, 1 + self.draw.below(max(self.left[purse] // 2, 1)))
        self.left[purse] -= amount
        return self.transfer(route, category, amount)

    def transfer(self, route: Route, category: str, amount: int) -> Transfer:
        """One line, mostly a person's own move."""
        purpose = "donation" if self.draw.chance(0.1) else "relocation"
        return Transfer(route[0], route[1], route[2], self.held[route], category, amount, purpose)

    def routes_of(self, region: str, account: str) -> list[Route]:
        """The routes an account has."""
        return [(region, account, code) for code in BY_CODE if (region, account, code) in self.held]

    def may_receive(self, route: Route) -> bool:
        """False for the accounts that are to stay poor."""
        return (route[2], self.held[route]) not in self.poor

    def least(self, pair: tuple[str, str, str]) -> int:
        """The fewest units of which anything arrives; more than anybody has where nothing is recognised."""
        return self.terms[pair][1].denominator if pair in self.terms else 1 << 62


def csv_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Lines with commas between; no value here ever needs a quote."""
    return "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])


def files() -> dict[str, str]:
    """Every file by its name, as text."""
    draw = Draw(SEED)
    people = residents(draw)
    lots = awards(draw, people)
    moves = [move for _, move in Planner(draw, people, lots).plan()]
    begin = noon(date(YEAR, 10, 8))
    return {
        "residents.csv": csv_text(Resident._fields, people),
        "awards.csv": csv_text(Award._fields, lots),
        "transfers.csv": csv_text(
            ("key", *Transfer._fields), ((draw.key(begin + n), *move) for n, move in enumerate(moves))
        ),
        "agreements.json": json.dumps(agreements(), ensure_ascii=False, indent=1) + "\n",
    }


def main() -> None:
    """Write the files beside this one."""
    for name, text in files().items():
        Path(__file__).with_name(name).write_bytes(text.encode())


if __name__ == "__main__":
    main()
