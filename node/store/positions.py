"""Where a region stands: with each peer, in its own books, and in its channels."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, literal, select, text

from node.ledger.accounts import BREAKAGE, CLAWBACK, ISSUER, RECOVERY, REDEEMED, AccountKind
from node.store import schema

_HALF = 32  # bits


class Position(NamedTuple):
    """What went to a peer and came from there, in the smallest unit of a category of this region."""

    peer: int
    category: str
    sent: int  # accepted by the peer
    received: int  # accepted here
    in_transit: int  # held, not yet answered


class Books(NamedTuple):
    """The region's own side of one category. What was issued and advanced less what was redeemed and has expired less
    what left plus what came is what residents have: `available` + `held` + `provisional`."""

    category: str
    issued: int
    advanced: int  # to residents who lacked points for what was done before a restore, and not got back
    redeemed: int
    expired: int
    clawed_back: int  # from residents here or in other regions, less what went on to whoever had asked for it
    available: int
    held: int
    provisional: int
    lots: int  # what remains of all lots: `available` and the provisional ones


class Counted(NamedTuple):
    """Transfers of one direction, peer and state."""

    outgoing: bool
    peer: int
    state: int
    transfers: int
    leaving: int
    arriving: int


class ChannelState(NamedTuple):
    """One channel as it is committed. Sizes count frames."""

    peer: int
    condition: int  # protocol.channel.Condition
    sent: int  # my log
    receipted: int  # of it, what the peer's signed receipt covers
    held: int  # of the peer's log
    outbox: int  # decided, not yet numbered
    oldest_ms: int | None  # when the oldest frame without a receipt was numbered
    receipt_ms: int | None  # when the peer committed what its latest receipt covers

    @property
    def backlog(self) -> int:
        """Messages the peer has not receipted."""
        return self.sent - self.receipted + self.outbox


def positions(conn: Connection) -> list[Position]:
    """Per peer and category, from the books that face the peers: a few rows, whatever the size of the ledger."""
    a, b, c = schema.account, schema.balance, schema.category
    rows = conn.execute(
        select(a.c.name, c.c.code, b.c.credits_posted, b.c.debits_posted, b.c.credits_pending)
        .join(b, b.c.account == a.c.no)
        .join(c, c.c.no == b.c.category)
        .where(a.c.kind == int(AccountKind.CLEARING))
        .order_by(a.c.name, c.c.no)
    )
    return [
        Position(int(r.name.partition(":")[2]), r.code, r.credits_posted, r.debits_posted, r.credits_pending)
        for r in rows
    ]


def books(conn: Connection) -> list[Books]:
    """Per category. Adds up every balance and every lot: for checks, not for every second."""
    a, b, c, lo = schema.account, schema.balance, schema.category, schema.lot
    categories = {row.no: row.code for row in conn.execute(select(c.c.no, c.c.code).order_by(c.c.no))}
    system = {
        (r.name, r.category): r
        for r in conn.execute(
            select(a.c.name, b.c.category, b.c.debits_posted, b.c.credits_posted)
            .join(b, b.c.account == a.c.no)
            .where(a.c.kind.not_in((int(AccountKind.RESIDENT), int(AccountKind.CLEARING))))
        )
    }
    counters = (b.c.credits_posted, b.c.debits_posted, b.c.debits_pending, b.c.credits_pending)
    sums = conn.execute(
        select(b.c.category, *(half for k in counters for half in _halves(k)))
        .where(b.c.resident)
        .group_by(b.c.category)
    )
    residents = {row[0]: [_whole(*row[i : i + 2]) for i in (1, 3, 5, 7)] for row in sums}
    remaining = conn.execute(
        select(b.c.category, *_halves(lo.c.remaining))
        .join(b, b.c.no == lo.c.balance)
        .where(text("lot.remaining > 0"))
        .group_by(b.c.category)
    )
    lots = {row[0]: _whole(row[1], row[2]) for row in remaining}
    found = []
    for no, code in categories.items():
        credited, debited, held, provisional = residents.get(no, [0, 0, 0, 0])
        issuer, redeemed, breakage = (system.get((name, no)) for name in (ISSUER, REDEEMED, BREAKAGE))
        recovery, taken = system.get((RECOVERY, no)), system.get((CLAWBACK, no))
        found.append(
            Books(
                category=code,
                issued=issuer.debits_posted if issuer else 0,
                advanced=recovery.debits_posted - recovery.credits_posted if recovery else 0,
                redeemed=redeemed.credits_posted if redeemed else 0,
                expired=breakage.credits_posted if breakage else 0,
                clawed_back=taken.credits_posted - taken.debits_posted if taken else 0,
                available=credited - debited - held,
                held=held,
                provisional=provisional,
                lots=lots.get(no, 0),
            )
        )
    return found


def counts(conn: Connection, me: int) -> list[Counted]:
    """Transfers by direction, peer and state. Reads every transfer: for checks, not for every second."""
    t = schema.transfer
    rows = conn.execute(
        select(
            t.c.source, t.c.destination, t.c.state, func.count(), *_halves(t.c.amount), *_halves(t.c.arriving)
        ).group_by(t.c.source, t.c.destination, t.c.state)
    )  # fmt: skip
    found = [
        Counted(r[0] == me, r[1] if r[0] == me else r[0], r[2], r[3], _whole(r[4], r[5]), _whole(r[6], r[7]))
        for r in rows
    ]
    return sorted(found, key=lambda c: (not c.outgoing, c.peer, c.state))


def accounts(conn: Connection) -> int:
    """How many accounts residents have."""
    a = schema.account
    return conn.scalar(select(func.count()).where(a.c.kind == int(AccountKind.RESIDENT))) or 0


def placed_after(conn: Connection, me: int, no: int) -> tuple[int, int]:
    """How many outgoing transfers are numbered above `no`, and the number of the newest of all."""
    t = schema.transfer
    placed = conn.scalar(select(func.count()).where(t.c.no > no, t.c.source == me)) or 0
    return placed, conn.scalar(select(func.max(t.c.no))) or 0


def channels(conn: Connection) -> list[ChannelState]:
    """Every channel: a few rows by primary key each."""
    ch, g, o = schema.channel, schema.log, schema.outbox
    sizes = {row.no: row.size for row in conn.execute(select(g.c.no, g.c.size))}
    waiting = {row[0]: row[1] for row in conn.execute(select(o.c.peer, func.count()).group_by(o.c.peer))}
    return [
        ChannelState(
            row.peer,
            row.condition,
            sizes[row.out_log],
            row.receipted,
            sizes[row.in_log],
            waiting.get(row.peer, 0),
            _sealed_ms(conn, row.out_log, row.receipted),
            _receipt_ms(conn, row.out_log),
        )
        for row in conn.execute(select(ch).order_by(ch.c.peer))
    ]


def _sealed_ms(conn: Connection, log: int, number: int) -> int | None:
    """When the segment was committed that holds frame `number` of a log of mine; None where it ends before."""
    s = schema.segment
    last = conn.execute(
        select(s.c.size, s.c.at_ms).where(s.c.log == log, s.c.first <= number).order_by(s.c.first.desc()).limit(1)
    ).first()
    return last.at_ms if last is not None and last.size > number else None


def _receipt_ms(conn: Connection, log: int) -> int | None:
    r = schema.receipt
    return conn.scalar(
        select(r.c.received_ms).where(r.c.log == log, r.c.signed.is_not(None)).order_by(r.c.size.desc()).limit(1)
    )


def _halves(column: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Two sums that together are the sum of `column`, and do not overflow where that would."""
    return (
        func.sum(column.op(">>")(literal(_HALF))),
        func.sum(column.op("&")(literal((1 << _HALF) - 1))),
    )


def _whole(high: int | None, low: int | None) -> int:
    return (int(high or 0) << _HALF) + int(low or 0)
