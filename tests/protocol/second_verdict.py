"""A second reading of SPEC 14.4 to 14.6, from its text and not from our code: every reason that applies, in no order.

It reads the documents from their bytes, by field numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tests.protocol import reader

ROAMING, PERSON_TO_PERSON, RELOCATION = 16, 6, 1
MISSING, NOT_VALID = "MISSING", "NOT_VALID"


def a_day(day: int) -> date:
    return date(day // 10_000, day // 100 % 100, day % 100)


def number(data: bytes, field: int) -> int:
    found: int = reader.one(data, field, 0)
    return found


def numbers(data: bytes, field: int) -> set[int]:
    """A repeated enum, packed."""
    return set(b"".join(reader.many(data, field)))  # all below 128


@dataclass
class Paper:
    """One agreed version, and where it stands: its state, and whether what was held under it is honoured."""

    payload: bytes
    state: str
    honoured: bool

    @property
    def version(self) -> int:
        return number(self.payload, 4)

    def way(self, source: int) -> tuple[bytes, list[str], list[str]]:
        """The direction from this region, and the categories of both, source first."""
        a, b = ([reader.one(c, 1).decode() for c in reader.many(self.payload, n)] for n in (11, 12))
        there = source == number(self.payload, 6)
        way: bytes = reader.one(self.payload, 13 if there else 14)
        return (way, a, b) if there else (way, b, a)


def papers(agreed: list[bytes], suspended: bool, ended: tuple[int, int] | None, day: int) -> list[Paper]:
    """Versions of one agreement, the newest first, on a day. `ended`: from and until when, by notice."""
    found, later = [], None
    for payload in reversed(agreed):
        begins, until, pinned = (number(payload, n) for n in (8, 9, 16))
        if begins > day:
            state, honoured = "agreed", False
        elif later is not None and number(later, 8) <= day:
            state = "replaced"
            honoured = a_day(day) <= a_day(number(later, 8)) + timedelta(days=number(later, 16))
            honoured = honoured and (ended is None or day <= ended[1])
        elif until and until < day:
            state = "ended"
            last = a_day(until) + timedelta(days=pinned) if ended is None else a_day(ended[1])
            honoured = a_day(day) <= last
        elif ended is not None and ended[0] <= day:
            honoured = day <= ended[1]
            state = "terminating" if honoured else "ended"
        else:
            state, honoured = ("suspended", False) if suspended else ("in force", True)
        if begins > day and ended is not None and ended[0] <= day:
            state = "terminating" if day <= ended[1] else "ended"
        found.append(Paper(payload, state, honoured))
        later = payload
    return found


def reasons(known: list[Paper], facts: dict[str, Any], day: int) -> Iterator[str]:
    """Every reason that speaks against it. `known`: as :func:`papers` gives them."""
    if facts["found"]:
        yield facts["found"]
    if not known:
        yield "AGREEMENT_NOT_IN_FORCE"
        return
    paper = counting(known)
    differs = False
    if facts["version"] is not None:
        named = [p for p in known if p.version == facts["version"] and (p.honoured or p is paper)]
        if not named:
            yield "TERMS_DIFFER"
            differs = True
        else:
            paper = named[0]
    if not (paper.honoured if facts["pinned"] else paper.state == "in force"):
        yield "AGREEMENT_SUSPENDED" if paper.state == "suspended" else "AGREEMENT_NOT_IN_FORCE"
    yield from _of_document(paper, facts, day, differs)
    yield from _of_people(paper, facts)


def counting(known: list[Paper]) -> Paper:
    """The version in force; where none is, the one that was last, or else will be first."""
    for states in (("in force", "suspended"), ("terminating",), ("replaced", "ended")):
        of_these = [paper for paper in known if paper.state in states]
        if of_these:
            return max(of_these, key=lambda paper: paper.version)
    return min(known, key=lambda paper: paper.version)


def _of_document(paper: Paper, facts: dict[str, Any], day: int, differs: bool) -> Iterator[str]:
    way, gives, takes = paper.way(facts["source"])
    rates = {gives[number(r, 1)]: r for r in reader.many(way, 2)}
    rate = rates.get(facts["category"])
    amount = facts["amount"]
    if not 1 <= amount < 2**63:
        yield "AMOUNT_OUT_OF_RANGE"
    if rate is None or facts["becomes"] not in (None, takes[number(rate, 2)]):
        yield "CATEGORY_NOT_MAPPED"
        rate = None
    if rate is not None:
        p, q = number(rate, 3), number(rate, 4)
        if facts["rate"] is not None and facts["rate"] != (p, q):
            yield "TERMS_DIFFER"
        elif 0 < amount < q and not differs:
            yield "AMOUNT_OUT_OF_RANGE"
        yield from _of_leaving(way, amount // q * q, facts)
    purpose = facts["purpose"]
    if purpose not in numbers(way, 11) | {PERSON_TO_PERSON, ROAMING}:
        yield "PURPOSE_NOT_ALLOWED"
    if not number(way, 1):
        yield "DIRECTION_NOT_ALLOWED"
    if purpose not in numbers(paper.payload, 15):
        yield "FEATURE_OFF"
    if purpose == PERSON_TO_PERSON and not number(way, 12):
        yield "PERSON_TO_PERSON_NOT_ALLOWED"
    if facts["rested_hours"] is not None and facts["rested_hours"] < number(way, 7):
        yield "COOLING_OFF"
    if facts["relocated"] and number(way, 8) and purpose == RELOCATION:
        months = a_day(facts["relocated"]).year * 12 + a_day(facts["relocated"]).month - 1 + number(way, 8)
        if (day // 10_000 * 12 + day // 100 % 100 - 1, day % 100) < (months, facts["relocated"] % 100):
            yield "TOO_FREQUENT"
    if any(not number(way, 6) <= e <= 2 for e in facts["evidence"]):
        yield "EVIDENCE_TOO_LOW"


def _of_leaving(way: bytes, leaving: int, facts: dict[str, Any]) -> Iterator[str]:
    caps = {number(cap, 1): number(cap, 2) for cap in reader.many(way, 5)}
    if leaving < number(way, 4):
        yield "BELOW_SMALLEST_AMOUNT"
    counted = [
        (1, 0, "TRANSFER_CAP_EXCEEDED"),
        *((n, facts[name], "RESIDENT_CAP_REACHED")
          for n, name in enumerate(("sent_day", "sent_month", "sent_year", "sent_ever"), 2)),
        (6, facts["pair_day"], "PAIR_CAP_REACHED"),
        (7, facts["pair_month"], "PAIR_CAP_REACHED"),
        (8, facts["net"], "NET_DEBIT_CAP_REACHED"),
    ]  # fmt: skip
    for scope, before, reason in counted:
        if scope in caps and before is not None and before + leaving > caps[scope]:
            yield reason


def _of_people(paper: Paper, facts: dict[str, Any]) -> Iterator[str]:
    if facts["consent"] == MISSING and number(paper.payload, 23):
        yield "CONSENT_MISSING"
    if facts["consent"] == NOT_VALID:
        yield "CONSENT_NOT_VALID"
    if facts["delayed"]:
        yield "DELAYED"
    if facts["disputed"]:
        yield "DISPUTED"


def review(paper: Paper, source: int, arriving: int, identity: bool | None) -> bool:
    """Whether a clerk decides what nothing speaks against."""
    least = number(paper.way(source)[0], 9)
    return bool(least and arriving >= least) or bool(number(paper.payload, 25) and identity is False)
