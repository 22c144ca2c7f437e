"""Visitors at counters, for tests: codes, purchases, and what both regions say became of them."""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlalchemy import select

from gateway.protocol.roaming import State
from node.services.award import Award
from node.services.roaming.counter import AskToHold, Capture, Release, Shown
from node.services.roaming.home import NewCode
from node.services.verify.run import verify
from node.store import authorisations, schema
from node.store.authorisations import Stored
from node.store.positions import positions
from tests.federation import Pair, TestRegion, pair
from tests.services.delivery import A, B
from tests.services.ledger import resident

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_keys = count()


def visitor() -> Pair:
    """Three of A's points are two of B's; A's resident has 60 that expire early and 60 that expire late."""
    made = pair((A, B), rate=(2, 3))
    furnish(made)
    return made


def furnish(made: Pair) -> None:
    """See :func:`visitor`."""
    a = made.regions[A]
    resident(a, "A", 60, expires=20991231)
    a.one(Award(client="c", key="early", account="A", category="moral", amount=60, expires=20270101))
    resident(a, "other", 60)


def ends(made: Pair) -> tuple[TestRegion, TestRegion]:
    """The home region and that of the counter."""
    return made.regions[A], made.regions[B]


def late(made: Pair, ms: int) -> None:
    """So much later, for all of them."""
    made.regions[A].clock.now_ms += ms


def code(home: TestRegion, account: str = "A", **more: Any) -> str:
    """A fresh code."""
    text: str = home.one(NewCode(account=account, **more)).code
    return text


def purchase(code: str, amount: int = 40, *, category: str = "moral", key: str = "", **more: Any) -> AskToHold:
    """What a merchant asks for."""
    key = key or f"purchase {next(_keys)}"
    return AskToHold(client="till", key=key, code=code, category=category, amount=amount, **more)


def capture(found: Shown, amount: int = 0, key: str = "") -> Capture:
    """The goods went over the counter."""
    return Capture(
        client="till", key=key or f"capture {next(_keys)}", authorisation=bytes.fromhex(found.id), amount=amount
    )


def release(found: Shown, key: str = "") -> Release:
    """They did not."""
    return Release(client="till", key=key or f"release {next(_keys)}", authorisation=bytes.fromhex(found.id))


def authorised(made: Pair, home: TestRegion, counter: TestRegion, amount: int = 40, **more: Any) -> Shown:
    """An authorisation that the home region granted."""
    found: Shown = counter.one(purchase(code(home), amount, **more))
    made.pump()
    assert at(counter, found).state is State.AUTHORISED
    return found


def at(region: TestRegion, found: Shown) -> Stored:
    """The authorisation as a region has it."""
    with region.store.read() as conn:
        stored = authorisations.find(conn, bytes.fromhex(found.id), found.counter)
    assert stored is not None
    return stored


def states(made: Pair, found: Shown) -> tuple[State, State]:
    """Where it stands at home and at the counter."""
    return at(made.regions[found.home], found).state, at(made.regions[found.counter], found).state


def position(region: TestRegion, peer: int, category: str = "moral") -> tuple[int, int, int]:
    """Towards a peer: (sent, come, held)."""
    with region.store.read() as conn:
        rows = [p for p in positions(conn) if p.peer == peer and p.category == category]
    return (rows[0][2], rows[0][3], rows[0][4]) if rows else (0, 0, 0)


def redeemed(region: TestRegion, category: str = "moral") -> int:
    """What was redeemed in the region, of whomever."""
    a, b, c = schema.account, schema.balance, schema.category
    with region.store.read() as conn:
        query = (
            select(b.c.credits_posted)
            .join(a, a.c.no == b.c.account)
            .join(c, c.c.no == b.c.category)
            .where(a.c.name == "#redeemed", c.c.code == category)
        )
        return conn.scalar(query) or 0


def sound(made: Pair) -> None:
    """Journal and logs derive every table of every region, and the pair agrees on who owes whom."""
    for region in made.regions.values():
        assert [check for check in verify(region.store) if not check.ok] == [], region.code
