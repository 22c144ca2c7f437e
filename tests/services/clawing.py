"""Fraudulent activities for tests: points awarded for them, moved on, spent, and taken back."""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlalchemy import select

from node.services.clawback.orders import GoOn, StartClawback, Started
from node.services.spend import Spend
from node.store import clawbacks, schema
from node.store import positions as query
from node.store.clawbacks import Stored
from tests.federation import Pair, TestRegion
from tests.services.ledger import address, order

FRAUD = "fake clean-up day"

_keys = count()


def move(made: Pair, source: int, to: int, account: str, amount: int, *, to_account: str = "") -> Any:
    """Move points of an account to the account of the same name elsewhere, unless told otherwise; not yet delivered."""
    alias = address(made.regions[to], to_account or account)
    return made.regions[source].one(order(alias, amount, account=account))


def spend(region: TestRegion, account: str, amount: int, category: str = "moral") -> None:
    """Redeem points."""
    region.one(Spend(client="c", key=f"spent {next(_keys)}", account=account, category=category, amount=amount))


def claw(region: TestRegion, activity: str = FRAUD, key: str = "", category: str = "moral") -> Started:
    """Two people take an activity back."""
    key = key or f"claw {next(_keys)}"
    started: Started = region.one(
        StartClawback(client="c", key=key, activity=activity, category=category, by="maker", checked_by="checker")
    )
    return started


def go_on(made: Pair) -> None:
    """Every region looks again at what waits, until nobody has anything to say."""
    made.pump()
    for _ in range(20):
        before = rows(made)
        for region in made.regions.values():
            region.one(GoOn())
        made.pump()
        if rows(made) == before:
            return
    raise AssertionError("the clawbacks go on for ever")


def rows(made: Pair) -> list[list[Stored]]:
    """Every row of every region."""
    return [all_of(region) for region in made.regions.values()]


def all_of(region: TestRegion) -> list[Stored]:
    """Every clawback a region knows."""
    with region.store.read() as conn:
        return clawbacks.page(conn, (0, b""), 100_000)


def began(region: TestRegion, started: Started) -> Stored:
    """Where it began."""
    with region.store.read() as conn:
        row = clawbacks.find(conn, bytes.fromhex(started.id), region.code, mine=False)
    assert row is not None
    return row


def claims(region: TestRegion) -> list[tuple[int, bool, str, int]]:
    """Peer, whether it owes, category and amount of every claim."""
    c = schema.claim
    with region.store.read() as conn:
        found = conn.execute(select(c.c.peer, c.c.mine, c.c.category, c.c.amount).order_by(c.c.no)).all()
    return [(row.peer, bool(row.mine), row.category, row.amount) for row in found]


def positions(region: TestRegion) -> dict[tuple[int, str], tuple[int, int]]:
    """Per peer and category: what went there, what came from there."""
    with region.store.read() as conn:
        return {(p.peer, p.category): (p.sent, p.received) for p in query.positions(conn)}
