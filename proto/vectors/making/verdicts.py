"""Verdicts on transfers under an agreement: every reason alone, pairs that show which goes first, and what may be."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from gateway.protocol.agreement import rates
from gateway.protocol.agreement.document import Category, Feature
from gateway.protocol.agreement.in_force import arriving_expiry, in_force
from gateway.protocol.agreement.quote import quote
from gateway.protocol.agreement.rates import Edge, Place, profitable_cycle
from gateway.protocol.agreement.verdict import Consent, Facts, judge
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import Source, Terms
from gateway.protocol.values import Provenance, Purpose, Reason, Slice
from making import agreements as made
from making.agreements import CULTURE, HISTORIES, MORAL, TODAY, WELFARE, heard
from making.ground import ENVIRONMENT, HANGZHOU, MEMBERS, NINGBO, key, plain

_GOOD = (
    Slice(60, 20271231, (Provenance(HANGZHOU, 20260301, 2, "community service 2026-03"),)),
    Slice(40, 0, (Provenance(HANGZHOU, 20260401, 2, "a"), Provenance(NINGBO, 20260402, 2, "b"))),
)
_WEAK = (_GOOD[0], Slice(40, 0, (Provenance(HANGZHOU, 20260401, 1, "entered later"),)))
_FROM_THE_FUTURE = (Slice(100, 0, (Provenance(HANGZHOU, 20260401, 3, "a kind nobody knows"),)),)

USUAL = Facts(
    HANGZHOU, NINGBO, MORAL, 1000, int(Purpose.RELOCATION), _GOOD,
    pair_day=400_000, pair_month=4_000_000, net=-5, sent_day=2000, sent_month=3000, sent_year=4000, sent_ever=5000,
    relocated=20250101, rested_hours=24, consent=Consent.GIVEN, identity=True,
)  # fmt: skip
"""Allowed in every respect; cases say what differs."""

IN_FORCE = "signed by both"
AMENDED = "an amendment signed by both"
Case = tuple[str, int, dict[str, Any]]
"""What two regions have said (a history), the business date, and the facts that differ."""

_OFFERED = {"pinned": True, "becomes": WELFARE, "rate": (1, 10), "version": 1}
_CULTURE = {"category": CULTURE, "becomes": CULTURE, "amount": 999}
_SOURCES = ("sent_day", "sent_month", "sent_year", "sent_ever", "relocated", "rested_hours")

MAY: dict[str, Case] = {
    "usual": (IN_FORCE, TODAY, {}),
    "on the first day": (IN_FORCE, 20260101, {}),
    "on the last day": (IN_FORCE, 20261231, {}),
    "with a remainder that stays": (IN_FORCE, TODAY, {"amount": 1009}),
    "at a rate agreed by hand": (IN_FORCE, TODAY, {"category": CULTURE, "amount": 1000}),
    "the smallest amount": (IN_FORCE, TODAY, {"amount": 100}),
    "up to every cap of the resident": (
        IN_FORCE, TODAY, {"sent_day": 5000, "sent_month": 9000, "sent_year": 39_000, "sent_ever": 89_000},
    ),
    "up to every cap of the pair": (IN_FORCE, TODAY, {"pair_day": 499_000, "pair_month": 4_999_000, "net": 999_000}),
    "one block below a clerk": (IN_FORCE, TODAY, {"amount": 2999}),
    "as much as a clerk has to see": (IN_FORCE, TODAY, {"amount": 3000}),
    "identities that do not match: a clerk": (IN_FORCE, TODAY, {"identity": False}),
    "identities that this side does not compare": (IN_FORCE, TODAY, {"identity": None}),
    "points that never rested because they came from nowhere": (IN_FORCE, TODAY, {"rested_hours": None}),
    "a year after the last relocation": (IN_FORCE, TODAY, {"relocated": 20250601}),
    "the first relocation": (IN_FORCE, TODAY, {"relocated": 0}),
    "what only the source knows, unknown": (
        IN_FORCE, TODAY, {**_OFFERED, **dict.fromkeys(_SOURCES)},
    ),
    "what the other side counts, unknown": (IN_FORCE, TODAY, dict.fromkeys(("pair_day", "pair_month", "net"))),
    "as offered": (IN_FORCE, TODAY, _OFFERED),
    "held under the version that was replaced, on the last day it is honoured": (
        AMENDED, 20260608, {**_OFFERED, **_CULTURE, "rate": (2, 3)},
    ),
    "under the amendment": (AMENDED, TODAY, {"category": CULTURE}),
    "before the amendment": (AMENDED, 20260531, {"category": CULTURE}),
    "while only one has signed an amendment": ("an amendment signed by one side only", TODAY, {"category": CULTURE}),
    "held before it was terminated, in its wind-down": ("terminated", 20260630, _OFFERED),
    "new, on the last day before it is terminated": ("terminated", 20260519, {}),
    "held before its last day, after it": (IN_FORCE, 20270107, _OFFERED),
    "suspended, and resumed today": ("suspended and resumed", TODAY, {}),
    "suspended from tomorrow on": ("suspended from a later day on", TODAY, {}),
    "although a notice was refused": ("suspended, and the notice was refused", TODAY, {}),
}  # fmt: skip

MUST_NOT: dict[str, Case] = {
    "zero": (IN_FORCE, TODAY, {"amount": 0}),
    "a negative amount": (IN_FORCE, TODAY, {"amount": -1}),
    "more than 2^63-1": (IN_FORCE, TODAY, {"amount": 2**63}),
    "less than a block": (IN_FORCE, TODAY, {"amount": 9}),
    "a category that is not mapped": (IN_FORCE, TODAY, {"category": "honour"}),
    "a category that becomes another here": (IN_FORCE, TODAY, {**_OFFERED, "becomes": CULTURE}),
    "another rate": (IN_FORCE, TODAY, {**_OFFERED, "rate": (1, 9)}),
    "a version nobody agreed on": (IN_FORCE, TODAY, {**_OFFERED, "version": 2}),
    "the version before, the day after it is honoured": (AMENDED, 20260609, {**_OFFERED, **_CULTURE, "rate": (2, 3)}),
    "the rate of the version before": (AMENDED, TODAY, {**_OFFERED, **_CULTURE, "rate": (2, 3), "version": 2}),
    "a purpose that is not agreed": (IN_FORCE, TODAY, {"purpose": int(Purpose.DONATION)}),
    "a purpose from the future": (IN_FORCE, TODAY, {"purpose": 99}),
    "nothing was ever agreed": ("nothing was ever said", TODAY, {}),
    "signed by one side only": ("signed by one side only", TODAY, {}),
    "countersigned by nobody who can": ("a countersignature that does not verify", TODAY, {}),
    "before the first day": (IN_FORCE, 20251231, {}),
    "after the last day": (IN_FORCE, 20270101, {}),
    "held before its last day, later than is honoured": (IN_FORCE, 20270108, _OFFERED),
    "on the day from which it is terminated": ("terminated", 20260520, {}),
    "held before, and the wind-down is over": ("terminated", 20260701, _OFFERED),
    "suspended": ("suspended by one", TODAY, {}),
    "held before it was suspended": ("suspended by one", TODAY, _OFFERED),
    "suspended by both, resumed by one": ("suspended by both, resumed by one", TODAY, {}),
    "a direction that is off": (IN_FORCE, TODAY, {"source": NINGBO, "destination": HANGZHOU, "category": WELFARE}),
    "a purpose that is not switched on": (IN_FORCE, TODAY, {"purpose": int(Purpose.GUEST_AWARD)}),
    "redeeming away from home, not switched on": (IN_FORCE, TODAY, {"purpose": int(Feature.ROAMING)}),
    "to another person": (IN_FORCE, TODAY, {"purpose": int(Purpose.PERSON_TO_PERSON)}),
    "less than the smallest amount": (IN_FORCE, TODAY, {"amount": 99}),
    "more than one transfer may carry": (IN_FORCE, TODAY, {"amount": 5010}),
    "over the resident's day": (IN_FORCE, TODAY, {"sent_day": 5001}),
    "over the resident's month": (IN_FORCE, TODAY, {"sent_month": 9001}),
    "over the resident's year": (IN_FORCE, TODAY, {"sent_year": 39_001}),
    "over what one resident may ever send": (IN_FORCE, TODAY, {"sent_ever": 89_001}),
    "over the day of the pair": (IN_FORCE, TODAY, {"pair_day": 499_001}),
    "over the month of the pair": (IN_FORCE, TODAY, {"pair_month": 4_999_001}),
    "over what one may owe the other": (IN_FORCE, TODAY, {"net": 999_001}),
    "points that came yesterday": (IN_FORCE, TODAY, {"rested_hours": 23}),
    "relocated a day less than a year ago": (IN_FORCE, TODAY, {"relocated": 20250602}),
    "weak evidence": (IN_FORCE, TODAY, {"backing": _WEAK}),
    "evidence of a kind nobody knows": (IN_FORCE, TODAY, {"backing": _FROM_THE_FUTURE}),
    "no consent": (IN_FORCE, TODAY, {"consent": Consent.MISSING}),
    "a consent that does not hold": (IN_FORCE, TODAY, {"consent": Consent.NOT_VALID}),
    "a penalty that is pending": (IN_FORCE, TODAY, {"delayed": True}),
    "a dispute": (IN_FORCE, TODAY, {"disputed": True}),
}  # fmt: skip

FOUND = (
    Reason.CONFLICT_DIFFERENT_CONTENT, Reason.CONFLICT_DIFFERENT_AMOUNT, Reason.REGION_UNKNOWN,
    Reason.REGION_NOT_ACTIVE, Reason.REGION_RECOVERING, Reason.REGION_MOVED, Reason.ADDRESS_UNKNOWN,
    Reason.ACCOUNT_UNKNOWN, Reason.ACCOUNT_CLOSED, Reason.ACCOUNT_FROZEN, Reason.CATEGORY_UNKNOWN,
    Reason.INSUFFICIENT_POINTS, Reason.POINTS_EXPIRED, Reason.TOO_MANY_LOTS,
)  # fmt: skip
"""What a side's roster and books give, besides the agreement."""


def cases() -> dict[str, Case]:
    """Every case, by its name."""
    found: dict[str, Case] = {**MAY, **MUST_NOT}
    found |= {f"its own books: {reason.name}": (IN_FORCE, TODAY, {"found": int(reason)}) for reason in FOUND}
    alone: dict[Reason, Case] = {}
    for case in found.values():
        reason = _reason(case)
        if reason is not None and case[1] == TODAY:
            alone.setdefault(reason, case)
    for one, other in combinations(sorted(alone), 2):
        both = _together(alone[one], alone[other])
        if both is not None and _worth_showing(one, other, sorted(alone)):
            found[f"{one.name} goes before {other.name}"] = both
    return found


def _worth_showing(one: Reason, other: Reason, order: list[Reason]) -> bool:
    """Neighbours, and what lies ten apart: the rest follows."""
    return order.index(other) - order.index(one) in (1, 2, 10)


def _together(one: Case, other: Case) -> Case | None:
    """Both at once, where they do not need one fact to be two things."""
    histories = {one[0], other[0]} - {IN_FORCE}
    if len(histories) > 1 or set(one[2]) & set(other[2]):
        return None
    return (histories.pop() if histories else IN_FORCE, TODAY, {**one[2], **other[2]})


def _reason(case: Case) -> Reason | None:
    history, day, changes = case
    try:
        judge(in_force(heard(HISTORIES[history]), day), USUAL._replace(**changes))
    except Refused as refusal:
        return refusal.reason
    return None


def _verdict(name: str, case: Case) -> dict[str, Any]:
    history, day, changes = case
    given: dict[str, Any] = {"name": name, "history": history, "day": day, "facts": plain(_named(changes))}
    try:
        verdict = judge(in_force(heard(HISTORIES[history]), day), USUAL._replace(**changes))
    except Refused as refusal:
        return {**given, "verdict": "refused", "reason": refusal.reason.name}
    what = {"leaving": verdict.conversion.leaving, "arriving": verdict.conversion.arriving}
    made = {"verdict": "review" if verdict.review else "may be", "version": verdict.terms.version, **plain(what)}
    return {**given, **made}


def _named(facts: dict[str, Any]) -> dict[str, Any]:
    """A consent as the name it is known by."""
    return {k: v.name if isinstance(v, Consent) else v for k, v in facts.items()}


# -- rates, cycles, expiry, quotes ------------------------------------------------------------------------------------

_H, _N, _S = (Place(code, "moral") for code in (HANGZHOU, NINGBO, 330600))
CYCLES: dict[str, list[Edge]] = {
    "there and back at the same rate": [Edge(_H, _N, 1, 10), Edge(_N, _H, 10, 1)],
    "there and back with a gain": [Edge(_H, _N, 1, 10), Edge(_N, _H, 11, 1)],
    "there and back with the least gain there can be": [
        Edge(_H, _N, 999_999, 1_000_000), Edge(_N, _H, 1_000_000, 999_999), Edge(_N, _H, 999_999, 999_998),
    ],
    "through three regions with a gain, no two of them gain": [
        Edge(_H, _N, 1, 10), Edge(_N, _H, 10, 1), Edge(_N, _S, 1, 2), Edge(_S, _N, 2, 1), Edge(_S, _H, 21, 1),
    ],
    "through three regions with a loss": [Edge(_H, _N, 1, 10), Edge(_N, _S, 1, 2), Edge(_S, _H, 19, 1)],
    "through another category of the same region": [
        Edge(_H, Place(NINGBO, "culture"), 1, 1), Edge(Place(NINGBO, "culture"), Place(HANGZHOU, "culture"), 3, 2),
        Edge(Place(HANGZHOU, "culture"), _N, 1, 1), Edge(_N, _H, 3, 4),
    ],
    "a gain that never comes back": [Edge(_H, _N, 10, 1), Edge(_N, _S, 10, 1)],
}  # fmt: skip


def _cycle(name: str, edges: list[Edge]) -> dict[str, Any]:
    found = profitable_cycle(edges)
    gain = None if found is None else f"{found.gain.numerator}/{found.gain.denominator}"
    around = [] if found is None else [_edge(edge) for edge in found.edges]
    return {"name": name, "edges": [_edge(edge) for edge in edges], "gain": gain, "cycle": around}


def _edge(edge: Edge) -> list[Any]:
    return [*edge.source, *edge.destination, edge.p, edge.q]


_DERIVED = [
    ((10, 1), (1, 1), 0), ((1, 1), (10, 1), 0), ((1, 2), (10, 1), 0), ((10, 1), (1, 2), 0), ((1, 1), (1, 1), 0),
    ((10, 1), (1, 1), 200), ((1, 1), (10, 1), 200), ((3, 7), (5, 11), 1), ((0, 0), (1, 1), 0), ((1, 1), (0, 0), 0),
    ((1, 1), (1, 1), 10_000), ((1_000_003, 1), (1, 1), 0), ((999_983, 1), (1, 1), 1),
]  # fmt: skip


def _derived(source: tuple[int, int], destination: tuple[int, int], haircut: int) -> dict[str, Any]:
    gives, takes = (Category(code="moral", points=points, hours=hours) for points, hours in (source, destination))
    rate = rates.derive(gives, takes, haircut)
    return {"source": source, "destination": destination, "haircut": haircut, "rate": rate}


_EXPIRES = [
    (0, 0, 30), (20271231, 0, 30), (20260615, 0, 30), (20260602, 0, 0), (0, 365, 30), (20271231, 365, 30),
    (20260801, 365, 30), (20260615, 10, 30), (20280229, 1000, 0), (20260601, 0, 213),
]  # fmt: skip


def _terms(life_days: int, grace_days: int) -> Terms:
    return Terms(
        source=HANGZHOU, destination=NINGBO, category=MORAL, becomes=WELFARE, rate_p=1, rate_q=10, version=1,
        life_days=life_days, grace_days=grace_days,
    )  # fmt: skip


def _expiry(expires: int, life_days: int, grace_days: int) -> dict[str, Any]:
    until = arriving_expiry(_terms(life_days, grace_days), expires, TODAY)
    return {"expires": expires, "life_days": life_days, "grace_days": grace_days, "day": TODAY, "arriving": until}


_LOTS = [Source(1, 105, 20260701, _GOOD[0].provenance), Source(2, 37, 20261231, _GOOD[0].provenance),
         Source(3, 500, 99991231, _GOOD[0].provenance)]  # fmt: skip


def _quote(amount: int, life_days: int) -> dict[str, Any]:
    found = quote(_terms(life_days, 60), amount, _LOTS, TODAY)
    return {
        "amount": amount, "life_days": life_days, "grace_days": 60, "day": TODAY, "leaving": found.leaving,
        "arriving": found.arriving, "stays": found.stays,
        "lots": [line._asdict() for line in found.lots], "arrivals": [a._asdict() for a in found.arrivals],
    }  # fmt: skip


def agreements() -> dict[str, Any]:
    """The whole file."""
    return {
        "about": "SPEC 14. `bodies` of its messages; `documents` by themselves, `next` in their place among others, "
        "`histories`: what messages in two logs make of them by date, `verdicts` on transfers under them. In `facts` "
        "stands what differs from `usual`; null is what the side that judges does not know.",
        "federation": MEMBERS.federation.hex(),
        "environment": ENVIRONMENT,
        "keys": {str(code): key(code).public_key.hex() for code in (HANGZHOU, NINGBO)},
        "bodies": made.bodies(),
        "documents": [made.document(*case) for case in made.DOCUMENTS.items()],
        "histories": [made.history(*case) for case in HISTORIES.items()],
        "next": [made.place(name, *case) for name, case in made.NEXT.items()],
        "usual": plain(_named(USUAL._asdict())),
        "verdicts": [_verdict(*case) for case in cases().items()],
        "derived": [plain(_derived(*case)) for case in _DERIVED],
        "cycles": [plain(_cycle(*case)) for case in CYCLES.items()],
        "expiry": [_expiry(*case) for case in _EXPIRES],
        "lots": [plain(lot) for lot in _LOTS],
        "quotes": [plain(_quote(*case)) for case in ((500, 0), (109, 0), (642, 90), (105, 30))],
    }
