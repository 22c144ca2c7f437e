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

    One entry a transfer: how it ended is in its state, not in an entry of its own.
    """
    b, c = schema.balance, schema.category
    balances = conn.execute(
        select(b.c.no, c.c.code).join(c, c.c.no == b.c.category).where(b.c.account == account)
    ).all()
    runs = [_of_balance(conn, row.no, row.code, before, limit) for row in balances]
    return list(islice(merge(*runs, key=lambda entry: -entry.no), limit))


def _of_balance(conn: Connection, balance: int, category: str, before: int | None, limit: int) -> list[Entry]:
    p, t, b, a = schema.posting, schema.transfer, schema.balance, schema.account
    other = p.c.debit + p.c.credit - balance
    query = (
        select(p, t.c.id.label("tid"), t.c.source, t.c.state, a.c.name.label("other"))
        .select_from(
            p.outerjoin(t, t.c.no == p.c.transfer).outerjoin(b, b.c.no == other).outerjoin(a, a.c.no == b.c.account)
        )
        .where(p.c.resident == balance)
        .order_by(p.c.no.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(p.c.no < before)
    return [
        Entry(r.no, r.at_ms, Phase(r.phase), category, r.amount, r.other or "", r.command, r.tid, r.source, r.state)
        for r in conn.execute(query)
    ]
