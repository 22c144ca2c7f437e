"""Penalties, as people look at them. They never leave the region."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select

from node.store import schema


class PenaltyRow(NamedTuple):
    """One penalty as the table has it."""

    no: int
    id: bytes
    account: int
    category: int
    amount: int
    taken: int
    reason: str
    state: int  # services.penalty.PenaltyState
    maker: str
    checker: str
    appeal_until: int  # last business date on which the resident may appeal
    appeal: str
    at_ms: int
    decided_ms: int | None


class Shown(NamedTuple):
    """A penalty with the names of its account and category."""

    row: PenaltyRow
    account: str
    category: str


def _shown() -> Select[Any]:
    p, a, c = schema.penalty, schema.account, schema.category
    return select(p, a.c.name, c.c.code).join(a, a.c.no == p.c.account).join(c, c.c.no == p.c.category)


def find(conn: Connection, id_: bytes) -> Shown | None:
    """One penalty."""
    row = conn.execute(_shown().where(schema.penalty.c.id == id_)).first()
    return None if row is None else Shown(PenaltyRow(*row[:-2]), row[-2], row[-1])


def page(conn: Connection, after: int, limit: int, account: str | None, state: int | None) -> list[Shown]:
    """Penalties numbered above `after`, in order."""
    query = _shown().where(schema.penalty.c.no > after).order_by(schema.penalty.c.no).limit(limit)
    if account is not None:
        query = query.where(schema.account.c.name == account)
    if state is not None:
        query = query.where(schema.penalty.c.state == state)
    return [Shown(PenaltyRow(*row[:-2]), row[-2], row[-1]) for row in conn.execute(query)]
