"""What is in suspense, as operators look at it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from node.store import schema


class ClaimRow(NamedTuple):
    """One claim: `peer` owes it to this region, or, where it is not `mine`, the other way round."""

    no: int
    peer: int
    cause: int  # services.claim.Cause
    id: bytes  # of the transfer it is about
    category: str
    amount: int
    because: str
    state: int  # services.claim.ClaimState
    at_ms: int
    mine: bool


def after(conn: Connection, no: int, limit: int, state: int | None = None, peer: int | None = None) -> list[ClaimRow]:
    """The claims numbered above `no`, in order."""
    c = schema.claim
    query = select(c).where(c.c.no > no).order_by(c.c.no).limit(limit)
    if state is not None:
        query = query.where(c.c.state == state)
    if peer is not None:
        query = query.where(c.c.peer == peer)
    return [ClaimRow(*row) for row in conn.execute(query)]


class Total(NamedTuple):
    """Claims of one kind added up."""

    peer: int
    cause: int
    state: int
    category: str
    claims: int
    amount: int


def totals(conn: Connection) -> list[Total]:
    """All claims, added up by peer, cause, state and category."""
    c = schema.claim
    kinds = (c.c.peer, c.c.cause, c.c.state, c.c.category)
    rows = conn.execute(select(*kinds, func.count(), func.sum(c.c.amount)).group_by(*kinds).order_by(*kinds))
    return [Total(peer, cause, state, category, n, int(amount)) for peer, cause, state, category, n, amount in rows]
