"""Regions that agree, for tests: a draft that is short to write, and both signatures."""

from __future__ import annotations

from itertools import count
from typing import Any

from gateway.protocol.agreement.document import Agreement, Category, Direction, NoticeKind, Rate
from gateway.protocol.agreement.life import State, state_on
from node.services.agreement.signing import Countersign, GiveNotice, Propose, Shown
from tests.federation import CATEGORIES, Pair, TestRegion
from tests.services.delivery import A, B

DAY_MS = 86_400_000
_keys = count()


def direction(rate: tuple[int, int] = (1, 1), **more: Any) -> Direction:
    """Everything goes, each category to its like at one rate."""
    p, q = rate
    rates = tuple(Rate(category=c, becomes=c, p=p, q=q, derived=False) for c in CATEGORIES)
    return Direction(**{"rates": rates, **more})


def draft(
    rate: tuple[int, int] = (1, 1), *, between: tuple[int, int] = (A, B), there: dict[str, Any] | None = None,
    back: dict[str, Any] | None = None, **more: Any,
) -> Agreement:  # fmt: skip
    """An agreement of two regions; `there` and `back` change its directions."""
    listed = tuple(Category(code=c) for c in CATEGORIES)
    a, b = sorted(between)
    given = {
        "federation": b"",
        "environment": "",
        "id": b"",
        "region_a": a,
        "region_b": b,
        "valid_from": 20261118,
        "categories_a": listed,
        "categories_b": listed,
        "a_to_b": direction(rate, **(there or {})),
        "b_to_a": direction(rate[::-1], **(back or {})),
    }
    return Agreement(**{**given, **more})


def today(region: TestRegion) -> int:
    """The business date there."""
    return region.office.today(region.clock())


def proposal(agreement: Agreement, key: str = "") -> Propose:
    """Two people propose it."""
    return Propose(client="c", key=key or f"propose {next(_keys)}", agreement=agreement, by="Li", checked_by="Wang")


def sign(peer: int, shown: Shown) -> Countersign:
    """Two people of the other region sign the very same document."""
    return Countersign(peer=peer, digest=shown.version.digest, by="Zhao", checked_by="Qian")


def agree(made: Pair, *changes: Any, proposer: int = A, **more: Any) -> Shown:
    """Both sign; `changes` and `more` as for :func:`draft`, or the agreement itself. Valid from today."""
    first = changes[0] if changes and isinstance(changes[0], Agreement) else None
    region = made.regions[proposer]
    agreement = first or draft(*changes, **{"valid_from": today(region), **more})
    shown: Shown = region.one(proposal(agreement))
    made.pump()
    made.regions[agreement.other(proposer)].one(sign(proposer, shown))
    made.pump()
    return shown


def notice(shown: Shown, what: int, **more: Any) -> GiveNotice:
    """Two people say it."""
    return GiveNotice(
        client="c", key=f"notice {next(_keys)}", agreement=shown.version.agreement.id, what=what, by="Li",
        checked_by="Wang", **more,
    )  # fmt: skip


def terminate(shown: Shown, effective: int, until: int) -> GiveNotice:
    """It ends on a date, and what is held finishes until another."""
    return notice(shown, NoticeKind.TERMINATE, effective=effective, wind_down_until=until)


def states(region: TestRegion, peer: int) -> list[tuple[int, State]]:
    """Number and state today of every version."""
    dealings = region.office.agreements.dealings(peer)
    return [(v.agreement.version, state_on(dealings, v, today(region))) for v in dealings.versions]
