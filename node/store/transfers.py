"""Transfers as they stand, one or many: queries for whoever asks, beside the writer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select, text

from gateway.protocol import codec
from gateway.protocol.transfer import State
from node.store import bulk, logs, schema

UNDECIDED = (int(State.HELD), int(State.OFFERED), int(State.IN_REVIEW))

SCANNED_ROWS = 50_000
"""Rows one page of a filtered list looks at, whatever it finds."""

_IN_REVIEW = text(f"transfer.state = {int(State.IN_REVIEW)}")
"""Written out and not bound: that is how the partial index is recognised."""


class Listed(NamedTuple):
    """A transfer and the resident's account it belongs to here (None for an incoming one that was refused)."""

    no: int
    id: bytes
    source: int
    destination: int
    state: int
    reason: int
    client_key: str | None
    account: str | None
    category: str
    amount: int
    becomes: str
    arriving: int
    rate_p: int
    rate_q: int
    purpose: int
    cites: bytes | None
    at_ms: int
    decided_ms: int | None


class Filter(NamedTuple):
    """What a list is narrowed to; None: not narrowed by that."""

    outgoing: bool | None = None
    peer: int | None = None
    state: int | None = None


def listed() -> Select[Any]:
    """The query that selects :class:`Listed`."""
    t, b, a = schema.transfer, schema.balance, schema.account
    columns = [a.c.name.label("account") if name == "account" else t.c[name] for name in Listed._fields]
    joined = t.outerjoin(b, b.c.no == t.c.balance).outerjoin(a, a.c.no == b.c.account)
    return select(*columns).select_from(joined)


def by_id(conn: Connection, transfer_id: bytes) -> list[Listed]:
    """Every transfer of this id: one, unless several regions chose the same."""
    return [Listed(*row) for row in conn.execute(listed().where(schema.transfer.c.id == transfer_id))]


def page(conn: Connection, me: int, only: Filter, before: int | None, limit: int) -> tuple[list[Listed], int | None]:
    """The newest transfers numbered below `before`, newest first, and where to go on (None: that was the last).

    A page looks at SCANNED_ROWS rows at most: it may be short, even empty, and still not be the last.
    """
    t = schema.transfer
    top = before if before is not None else (conn.scalar(select(func.max(t.c.no))) or 0) + 1
    bottom = max(top - SCANNED_ROWS, 0)
    query = listed().where(t.c.no < top, t.c.no >= bottom).order_by(t.c.no.desc()).limit(limit)
    if only.outgoing is not None:
        query = query.where(t.c.source == me if only.outgoing else t.c.source != me)
    if only.peer is not None:
        query = query.where((t.c.source == only.peer) | (t.c.destination == only.peer))
    if only.state is not None:
        query = query.where(t.c.state == only.state)
    rows = [Listed(*row) for row in conn.execute(query)]
    if len(rows) == limit:
        return rows, rows[-1].no
    return rows, bottom if bottom > 1 else None


def in_review(conn: Connection, after: int, limit: int) -> list[Listed]:
    """What waits for a clerk, oldest first, numbered above `after`."""
    t = schema.transfer
    query = listed().where(_IN_REVIEW, t.c.no > after).order_by(t.c.no).limit(limit)
    return [Listed(*row) for row in conn.execute(query)]


def decided(conn: Connection, ids: Collection[bytes]) -> set[tuple[bytes, int]]:
    """Which of these are decided: (id, source)."""
    found = bulk.select_in(conn, schema.transfer, ("id", "source", "state"), "id", ids)
    return {(bytes(row[0]), row[1]) for row in found if row[2] not in UNDECIDED}


def citing(conn: Connection, transfer_id: bytes) -> Listed | None:
    """The accepted or pending transfer that brings this one back, if there is one."""
    t = schema.transfer
    query = listed().where(t.c.cites == transfer_id).order_by(t.c.no.desc()).limit(1)
    row = conn.execute(query).first()
    return Listed(*row) if row is not None else None


def successors(conn: Connection, me: int, numbers: Collection[int]) -> dict[int, int]:
    """Of outgoing transfers that were refused because their destination has moved: which region the refusal names."""
    named = {}
    columns = ("no", "destination", "answered")
    for no, destination, answered in bulk.select_in(conn, schema.transfer, columns, "no", numbers):
        if answered is not None:
            body = logs.body_at(conn, logs.number_of(conn, destination, me, 1), answered)
            if successor := codec.decode_successor(body):
                named[no] = successor
    return named


def refusal(conn: Connection, command_id: bytes) -> tuple[int, str] | None:
    """The frozen refusal of a command that left no transfer: its reason and detail."""
    o = schema.outcome
    row = conn.execute(select(o.c.reason, o.c.answer).where(o.c.id == command_id)).first()
    return (row.reason, row.answer) if row is not None and row.reason else None


class Asked(NamedTuple):
    """A request of this region to have a transfer back."""

    id: bytes
    transfer: bytes
    peer: int
    state: int
    reason: int
    at_ms: int


def reversal(conn: Connection, request: bytes) -> Asked | None:
    """A request to reverse, by its own id."""
    r, t = schema.reversal, schema.transfer
    row = conn.execute(
        select(r.c.id, t.c.id.label("transfer"), r.c.peer, r.c.state, r.c.reason, r.c.at_ms)
        .join(t, t.c.no == r.c.transfer)
        .where(r.c.id == request, r.c.asked_by_me.is_(True))
    ).first()
    return Asked(*row) if row is not None else None
