"""Authorisations: what is held here for a counter elsewhere, and what was asked for at a counter here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, text

from gateway.protocol.roaming import Authorisation, State
from node.store import bulk, schema

MOVING = (State.REQUESTED, State.CAPTURING, State.RELEASING)
"""States in which another region's answer is due."""
_TABLE = schema.authorisation
_OPEN = text("authorisation.state = 2")
"""State.AUTHORISED, written out and not bound: that is how the partial index is recognised."""


class Stored(NamedTuple):
    """One row."""

    id: bytes
    holder: int
    counter: int
    balance: int | None  # the resident's, at the holder
    category: str
    amount: int
    becomes: str
    arriving: int
    rate_p: int
    rate_q: int
    state: State
    reason: int  # of a refusal: of the authorisation, or of the newest capture or release
    captured: int  # of `amount`; while it is being captured, what was asked for
    hold: int | None  # posting at the holder
    reference: str
    until_ms: int
    at_ms: int
    ended_ms: int | None
    changed: int = 0

    @property
    def plain(self) -> Authorisation:
        """What both regions keep of it."""
        return Authorisation(
            self.id, self.holder, self.counter, self.category, self.amount, self.becomes, self.arriving, self.rate_p,
            self.rate_q, self.until_ms, self.state,
        )  # fmt: skip


def _stored(row: Row[Any]) -> Stored:
    found = Stored._make(row)
    return found._replace(id=bytes(found.id), state=State(found.state))


def find(conn: Connection, id_: bytes, counter: int) -> Stored | None:
    """The authorisation of this id that a counter asked for."""
    row = conn.execute(select(_TABLE).where(_TABLE.c.id == id_, _TABLE.c.counter == counter)).first()
    return None if row is None else _stored(row)


def all_of(conn: Connection, id_: bytes) -> list[Stored]:
    """Every authorisation of this id: as a rule one; two counters may have chosen the same."""
    return [_stored(row) for row in conn.execute(select(_TABLE).where(_TABLE.c.id == id_))]


def insert(conn: Connection, row: Stored) -> None:
    """A new one, at once: the next message of this batch looks here."""
    bulk.insert(conn, _TABLE, [(*row[:10], int(row.state), *row[11:-1], _next(conn))])


def change(conn: Connection, row: Stored) -> None:
    """Its state, and what goes with it, has changed."""
    columns = ("state", "reason", "captured", "ended_ms", "changed")
    values = (row.id, row.counter, int(row.state), row.reason, row.captured, row.ended_ms, _next(conn))
    bulk.put(conn, _TABLE, ("id", "counter"), columns, [values])


def _next(conn: Connection) -> int:
    return (conn.scalar(select(func.max(_TABLE.c.changed))) or 0) + 1


def after(
    conn: Connection, changed: int, limit: int, *, counter: int | None = None, state: int | None = None
) -> list[Stored]:
    """Those changed after a number, as they stand now, in the order of their newest change."""
    query = select(_TABLE).where(_TABLE.c.changed > changed).order_by(_TABLE.c.changed).limit(limit)
    if counter is not None:
        query = query.where(_TABLE.c.counter == counter)
    if state is not None:
        query = query.where(_TABLE.c.state == state)
    return [_stored(row) for row in conn.execute(query)]


def settled(conn: Connection, ids: Collection[bytes]) -> set[tuple[bytes, int]]:
    """Of these, those that wait for no other region's answer: (id, counter)."""
    rows = bulk.select_in(conn, _TABLE, ("id", "counter", "state"), "id", ids)
    return {(bytes(id_), counter) for id_, counter, state in rows if state not in MOVING}


def overdue(conn: Connection, region: int, now_ms: int, limit: int, *, held: bool) -> list[Stored]:
    """Those that are still open though their time is over: held here, or asked for here."""
    whose = _TABLE.c.holder if held else _TABLE.c.counter
    query = (
        select(_TABLE)
        .where(whose == region, _OPEN, _TABLE.c.until_ms <= now_ms)
        .order_by(_TABLE.c.until_ms)
        .limit(limit)
    )
    return [_stored(row) for row in conn.execute(query)]


def open_with(conn: Connection, peer: int) -> list[Stored]:
    """Those between this region and a peer that are not over."""
    both = (_TABLE.c.holder == peer) | (_TABLE.c.counter == peer)
    query = select(_TABLE).where(both, _TABLE.c.state <= int(State.RELEASING)).order_by(_TABLE.c.at_ms, _TABLE.c.id)
    return [_stored(row) for row in conn.execute(query)]


# -- codes -----------------------------------------------------------------------------------------------------------


def account_of_code(conn: Connection, code: bytes, now_ms: int) -> str | None:
    """Whose account a code is of, by name; None where it is unknown, used or expired."""
    c, a = schema.code, schema.account
    return conn.scalar(
        select(a.c.name)
        .join(c, c.c.account == a.c.no)
        .where(c.c.code == code, c.c.used_ms.is_(None), c.c.expires_ms > now_ms)
    )


def use_code(conn: Connection, code: bytes, now_ms: int) -> None:
    """From now on the code is worth nothing. One that is not there stays so."""
    c = schema.code
    conn.execute(c.update().where(c.c.code == code, c.c.used_ms.is_(None)).values(used_ms=now_ms))


def forget_codes(conn: Connection, before_ms: int) -> None:
    """Remove what has expired long ago: a code that is not there is as good as one that is not valid."""
    c = schema.code
    conn.execute(c.delete().where(c.c.expires_ms < before_ms))
