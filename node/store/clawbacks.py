"""Clawbacks as they stand, and where the points they are about went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, text, update

from gateway.protocol.channel import Condition
from gateway.protocol.clawback import OPEN, Share, State
from node.store import bulk, schema
from node.store.batch import Batch

_TABLE, _DEBIT = schema.clawback, schema.clawback_debit
_CHANGES = ("blocks", "recovered", "further", "owed", "state", "reason", "answered_ms", "settled")
_OPEN = text(f"clawback.state IN ({State.ASKED:d}, {State.TRACING:d}, {State.GATHERING:d})")
"""Written out and not bound: that is how the partial index is recognised."""
_pack = msgspec.msgpack.Encoder().encode
_shares = msgspec.msgpack.Decoder(tuple[Share, ...]).decode


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where a clawback began: the lots awarded, and whether an earlier one was about all of these already.

    Then its `blocks` count only what it finds, and otherwise all that was awarded.
    """

    again: bool
    lots: list[int]


_origin = msgspec.msgpack.Decoder(Origin).decode


class Stored(NamedTuple):
    """One row: a request of this region or of a peer, in blocks of its transfer; or, where it began, in units."""

    id: bytes
    peer: int  # this region itself, where it began
    mine: bool  # this region asked the peer
    root: bytes
    parent: bytes | None
    transfer: bytes
    cause: int
    issuer: int
    because: str
    category: str
    packed: bytes
    blocks: int
    recovered: int
    further: int
    owed: int
    state: State
    reason: int
    at_ms: int
    answered_ms: int | None
    settled: bool = False  # nothing of it is held here or on its way: only answers are awaited

    @property
    def key(self) -> bytes:
        """By which what it asks further on names it."""
        return self.id + self.peer.to_bytes(4, "big")

    @property
    def shares(self) -> tuple[Share, ...]:
        """Which blocks of the transfer."""
        return _shares(self.packed)

    @property
    def origin(self) -> Origin:
        """Which lots, where it began."""
        return _origin(self.packed)


def pack(what: Sequence[Share] | Origin) -> bytes:
    """As `packed` has it."""
    return _pack(what)


def _stored(row: Row[Any]) -> Stored:
    s = Stored._make(row)
    parent = bytes(s.parent) if s.parent is not None else None
    return s._replace(
        id=bytes(s.id), mine=bool(s.mine), root=bytes(s.root), parent=parent, transfer=bytes(s.transfer),
        packed=bytes(s.packed), state=State(s.state), settled=bool(s.settled),
    )  # fmt: skip


def add(conn: Connection, row: Stored) -> None:
    """A new one, at once: the next message of the batch looks here."""
    conn.execute(insert(_TABLE).values(_values(row)))


def change(conn: Connection, row: Stored) -> None:
    """What of it may change, at once."""
    values = {name: value for name, value in _values(row).items() if name in _CHANGES}
    which = (_TABLE.c.id == row.id, _TABLE.c.peer == row.peer, _TABLE.c.mine == row.mine)
    conn.execute(update(_TABLE).where(*which).values(values))


def _values(row: Stored) -> dict[str, Any]:
    values: dict[str, Any] = row._replace(state=int(row.state))._asdict()  # type: ignore[arg-type]
    values["shares"] = values.pop("packed")
    return values


def find(conn: Connection, id_: bytes, peer: int, *, mine: bool) -> Stored | None:
    """One, by its whole key."""
    row = conn.execute(select(_TABLE).where(_TABLE.c.id == id_, _TABLE.c.peer == peer, _TABLE.c.mine == mine)).first()
    return None if row is None else _stored(row)


def by_key(conn: Connection, key: bytes) -> Stored | None:
    """That for which something was asked further on."""
    return find(conn, key[:-4], int.from_bytes(key[-4:], "big"), mine=False)


def of_parent(conn: Connection, key: bytes) -> list[Stored]:
    """What was asked further on for one."""
    return [_stored(row) for row in conn.execute(select(_TABLE).where(_TABLE.c.parent == key))]


def of_transfer(conn: Connection, transfer: bytes, peer: int, *, mine: bool) -> list[Stored]:
    """All about one transfer that were not refused."""
    refused = (int(State.REFUSED), int(State.DECLINED))
    which = (_TABLE.c.transfer == transfer, _TABLE.c.peer == peer, _TABLE.c.mine == mine)
    return [_stored(row) for row in conn.execute(select(_TABLE).where(*which, _TABLE.c.state.not_in(refused)))]


def began(conn: Connection, me: int, because: str, category: str) -> list[Stored]:
    """All that began here about an activity."""
    which = (_TABLE.c.peer == me, _TABLE.c.because == because, _TABLE.c.category == category)
    return [_stored(row) for row in conn.execute(select(_TABLE).where(*which))]


def awaits(conn: Connection, key: bytes) -> bool:
    """Whether an answer to what was asked further on is missing."""
    query = select(_TABLE.c.id).where(_TABLE.c.parent == key, _TABLE.c.state == int(State.ASKED)).limit(1)
    return conn.scalar(query) is not None


def to_pursue(conn: Connection, limit: int = 10_000) -> list[Stored]:
    """What has to be looked at again, oldest first: nobody says when it can go on, or nobody is there to be asked or
    answered any more."""
    c = schema.channel
    gone = select(c.c.peer).where(c.c.condition == int(Condition.CLOSED))
    unsettled = _TABLE.c.state.in_([int(state) for state in OPEN]) & _TABLE.c.settled.is_(False)
    alone = _TABLE.c.state.in_([int(State.ASKED), int(State.TRACING)]) & _TABLE.c.peer.in_(gone)
    query = select(_TABLE).where(_OPEN, unsettled | alone).order_by(_TABLE.c.at_ms, _TABLE.c.id).limit(limit)
    return [_stored(row) for row in conn.execute(query)]


def page(conn: Connection, after: tuple[int, bytes], limit: int, *, only_open: bool = False) -> list[Stored]:
    """Those behind (time, id), oldest first."""
    at_ms, id_ = after
    behind = (_TABLE.c.at_ms > at_ms) | ((_TABLE.c.at_ms == at_ms) & (_TABLE.c.id > id_))
    query = select(_TABLE).where(behind).order_by(_TABLE.c.at_ms, _TABLE.c.id).limit(limit)
    if only_open:
        query = query.where(_OPEN)
    return [_stored(row) for row in conn.execute(query)]


def by_id(conn: Connection, id_: bytes) -> list[Stored]:
    """One, or all of one root: what began it, what was asked for it, and what was asked here."""
    query = select(_TABLE).where((_TABLE.c.id == id_) | (_TABLE.c.root == id_)).order_by(_TABLE.c.at_ms, _TABLE.c.id)
    return [_stored(row) for row in conn.execute(query)]


# -- what was taken from whom ----------------------------------------------------------------------------------------


def keep_debit(conn: Connection, posting: int, row: Stored, balance: int, amount: int) -> None:
    """A resident's balance was debited so much for this."""
    bulk.insert(conn, _DEBIT, [(posting, row.id, row.peer, balance, amount)])


def taken(conn: Connection, row: Stored) -> int:
    """Units taken from residents for it so far."""
    which = (_DEBIT.c.clawback == row.id, _DEBIT.c.peer == row.peer)
    return int(conn.scalar(select(func.sum(_DEBIT.c.amount)).where(*which)) or 0)


class Debit(NamedTuple):
    """What was taken from an account."""

    account: str
    category: str
    amount: int


def debits(conn: Connection, id_: bytes) -> list[Debit]:
    """What was taken from whom for one clawback, or for all that one began."""
    a, b, c = schema.account, schema.balance, schema.category
    ids = {id_, *(row.id for row in by_id(conn, id_))}
    rows = conn.execute(
        select(a.c.name, c.c.code, func.sum(_DEBIT.c.amount))
        .join(b, b.c.no == _DEBIT.c.balance)
        .join(a, a.c.no == b.c.account)
        .join(c, c.c.no == b.c.category)
        .where(_DEBIT.c.clawback.in_(ids))
        .group_by(a.c.name, c.c.code)
        .order_by(a.c.name)
    )
    return [Debit(name, code, int(amount)) for name, code, amount in rows]


# -- where points are ------------------------------------------------------------------------------------------------


def lots_of_activity(conn: Connection, me: int, because: str, category: str) -> list[int]:
    """The lots that this region awarded for an activity. Reads every lot: not for the writer."""
    lo, b, c = schema.lot, schema.balance, schema.category
    query = (
        select(lo.c.no)
        .join(b, b.c.no == lo.c.balance)
        .join(c, c.c.no == b.c.category)
        .where(lo.c.issuer == me, lo.c.because == because, lo.c.transfer.is_(None), c.c.code == category)
    )
    return sorted(conn.scalars(query))


class Posted(NamedTuple):
    """A posting in a resident's history."""

    no: int
    phase: int
    transfer: int | None
    balance: int
    credit: int
    before: int | None


_COLUMNS = ("no", "phase", "transfer", "resident", "credit", "before")
_PLACES = [list(schema.posting.columns.keys()).index(name) for name in _COLUMNS]


def histories(batch: Batch, balances: Iterable[int]) -> list[Posted]:
    """Every posting in the histories of these balances, those of the batch under way included."""
    batch.load_histories(balances)
    fresh = {row[0]: Posted(*(row[place] for place in _PLACES)) for row in batch.fresh(schema.posting)}
    found: list[Posted] = []
    heads = [no for balance in balances if (no := batch.latest[balance]) is not None]
    while heads:
        here = [fresh[no] for no in heads if no in fresh]
        stored = [no for no in heads if no not in fresh]
        here += [Posted(*row) for row in bulk.select_in(batch.conn, schema.posting, _COLUMNS, "no", stored)]
        found += here
        heads = [posted.before for posted in here if posted.before is not None]
    return found


def still_held(conn: Connection, holds: Collection[int]) -> bool:
    """Whether one of these holds, none of which is a transfer's, is not ended yet."""
    a, d = schema.authorisation, schema.dispute
    open_there = bulk.select_in(conn, a, ("hold",), "hold", holds, where="ended_ms IS NULL")
    return bool(open_there or bulk.select_in(conn, d, ("hold",), "hold", holds))


def amounts(batch: Batch, lots: Collection[int]) -> dict[int, int]:
    """What each of these lots had when it was granted."""
    found = {row[0]: row[2] for row in batch.fresh(schema.lot)}
    stored = bulk.select_in(batch.conn, schema.lot, ("no", "amount"), "no", [no for no in lots if no not in found])
    return {**{no: found[no] for no in lots if no in found}, **dict(stored)}
