"""What a resident's account holds and what happened to it: queries for whoever asks, beside the writer."""

from __future__ import annotations

from dataclasses import fields
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text
from sqlalchemy.engine import Row

from node.ledger.accounts import AccountKind, AccountState
from node.ledger.lots import Lot, is_clear
from node.ledger.postings import Phase
from node.store import schema

_LOT_COLUMNS = tuple(field.name for field in fields(Lot))

_REMAINS = text("lot.remaining > 0")
"""Written out and not bound: that is how the partial index is recognised."""


class Standing(NamedTuple):
    """One balance today. Points posted are `available` + `held` + `expired`; `provisional` ones come on top."""

    category: str
    available: int  # can be spent today
    held: int  # on its way to another region
    provisional: int  # arrived, not yet final
    expired: int  # no longer spendable, not yet booked as expired


class HeldLot(NamedTuple):
    """A lot of which something remains."""

    category: str
    lot: Lot
    clear: bool  # False: provisional


class Account(NamedTuple):
    """An account as one committed state shows it. Lots stand first-expiring first."""

    no: int
    name: str
    state: AccountState
    opened_ms: int
    balances: list[Standing]
    lots: list[HeldLot]


class Entry(NamedTuple):
    """One line of an account's history: a posting, seen from the account."""

    no: int
    at_ms: int
    phase: Phase
    category: str
    amount: int
    other: str  # the name of the region's own book on the other side
    command: bytes | None
    transfer: bytes | None  # id, with the region it began in and where it stands
    source: int | None
    state: int | None
    credited: bool  # the account got it


def number_of(conn: Connection, name: str) -> int | None:
    """The number of a resident's account."""
    a = schema.account
    return conn.scalar(select(a.c.no).where(a.c.name == name, a.c.kind == int(AccountKind.RESIDENT)))


def find(conn: Connection, name: str, today: int) -> Account | None:
    """A resident's account on the business date `today`; None where there is none."""
    a, b, c, lo, ch = schema.account, schema.balance, schema.category, schema.lot, schema.channel
    found = conn.execute(select(a).where(a.c.name == name, a.c.kind == int(AccountKind.RESIDENT))).first()
    if found is None:
        return None
    balances = conn.execute(
        select(b, c.c.code).join(c, c.c.no == b.c.category).where(b.c.account == found.no).order_by(c.c.no)
    ).all()
    codes = {row.no: row.code for row in balances}
    final = {row.peer: row.final for row in conn.execute(select(ch.c.peer, ch.c.final))}
    columns = [lo.c[name] for name in _LOT_COLUMNS]
    lots = [
        Lot(*row)
        for row in conn.execute(
            select(*columns).where(lo.c.balance.in_(codes), _REMAINS).order_by(lo.c.expires, lo.c.no)
        )
    ]
    held = [HeldLot(codes[lot.balance], lot, is_clear(lot, final)) for lot in lots]
    standings = [_standing(row, held, today) for row in balances]
    return Account(found.no, found.name, AccountState(found.state), found.opened_ms, standings, held)


def _standing(row: Row[Any], lots: list[HeldLot], today: int) -> Standing:
    expired = sum(h.lot.remaining for h in lots if h.lot.balance == row.no and h.clear and h.lot.expires <= today)
    unheld = row.credits_posted - row.debits_posted - row.debits_pending
    return Standing(row.code, unheld - expired, row.debits_pending, row.credits_pending, expired)


def history(conn: Connection, account: int, before: int | None, limit: int) -> list[Entry]:
    """The newest entries of an account numbered below `before`, newest first.

    One entry a transfer: how it ended is in its state, not in an entry of its own. Follows the chain of each balance:
    from the entry `before` where that is one of its own, or else from its newest.
    """
    b, c, p = schema.balance, schema.category, schema.posting
    balances = conn.execute(
        select(b.c.no, c.c.code, b.c.latest).join(c, c.c.no == b.c.category).where(b.c.account == account)
    ).all()
    cursor = conn.execute(select(p.c.resident, p.c.before).where(p.c.no == before)).first() if before else None
    runs = []
    for row in balances:
        start = cursor.before if cursor is not None and cursor.resident == row.no else row.latest
        numbers = _numbers(conn, start, before if before is not None else _ABOVE_ALL, limit)
        runs.append(_entries(conn, row.no, row.code, numbers))
    return list(islice(merge(*runs, key=lambda entry: -entry.no), limit))


_ABOVE_ALL = (1 << 63) - 1

_CHAIN = text("""
WITH RECURSIVE chain(no, before, found) AS (
    SELECT no, before, CASE WHEN no < :below THEN 1 ELSE 0 END FROM posting WHERE no = :start
    UNION ALL
    SELECT posting.no, posting.before, found + CASE WHEN posting.no < :below THEN 1 ELSE 0 END
    FROM chain JOIN posting ON posting.no = chain.before WHERE found < :most
)
SELECT no FROM chain WHERE no < :below
""")


def _numbers(conn: Connection, start: int | None, below: int, most: int) -> list[int]:
    """The postings of a history numbered under `below`, followed back from `start`: so many of them."""
    if start is None:
        return []
    return list(conn.scalars(_CHAIN, {"start": start, "below": below, "most": most}))


def _entries(conn: Connection, balance: int, category: str, numbers: list[int]) -> list[Entry]:
    p, t, b, a = schema.posting, schema.transfer, schema.balance, schema.account
    other = p.c.debit + p.c.credit - balance
    query = (
        select(p, t.c.id.label("tid"), t.c.source, t.c.state, a.c.name.label("other"))
        .select_from(
            p.outerjoin(t, t.c.no == p.c.transfer).outerjoin(b, b.c.no == other).outerjoin(a, a.c.no == b.c.account)
        )
        .where(p.c.no.in_(numbers))
        .order_by(p.c.no.desc())
    )
    return [
        Entry(
            r.no,
            r.at_ms,
            Phase(r.phase),
            category,
            r.amount,
            r.other or "",
            r.command,
            r.tid,
            r.source,
            r.state,
            r.credit == balance,
        )
        for r in conn.execute(query)
    ]
