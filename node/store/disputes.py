"""Disputes, their steps, and what they freeze."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from gateway.protocol import codec
from gateway.protocol.dispute import OPEN, Matter, State
from gateway.protocol.values import Signed
from node.store import bulk, schema

_TABLE, _STEPS = schema.dispute, schema.dispute_step
_CHANGES = ("state", "reason", "last", "steps", "deadline", "settled", "pending", "hold", "ended_ms")


class Stored(NamedTuple):
    """One row. What else there is to know is in the steps."""

    id: bytes
    peer: int  # the other party; where this region is none, the party that told it
    opened_by: int
    respondent: int
    about_kind: int
    about: bytes
    whose: int
    category: str
    amount: int
    state: State
    reason: int  # why it, or the newest step of this region, was refused
    last: bytes
    steps: int
    deadline: int
    settled: int
    pending: bytes | None  # the step of this region, signed, that the other party has not taken yet
    hold: int | None
    at_ms: int
    ended_ms: int | None

    def is_party(self, region: int) -> bool:
        """Whether the region is one of the two."""
        return region in (self.opened_by, self.respondent)


def _stored(row: Row[Any]) -> Stored:
    found = Stored._make(row)
    return found._replace(id=bytes(found.id), about=bytes(found.about), state=State(found.state))


def find(conn: Connection, id_: bytes) -> Stored | None:
    """One dispute."""
    row = conn.execute(select(_TABLE).where(_TABLE.c.id == id_)).first()
    return None if row is None else _stored(row)


def add(conn: Connection, row: Stored) -> None:
    """A new one, at once: the next message of the batch looks here."""
    conn.execute(insert(_TABLE).values(**row._replace(state=int(row.state))._asdict()))  # type: ignore[arg-type]


def change(conn: Connection, row: Stored) -> None:
    """It stands otherwise now."""
    values = {name: getattr(row, name) for name in _CHANGES} | {"state": int(row.state)}
    conn.execute(update(_TABLE).where(_TABLE.c.id == row.id).values(**values))


def about(conn: Connection, matter: Matter, id_: bytes, whose: int) -> list[Stored]:
    """Every dispute about one thing in which this region is a party, oldest first."""
    d = _TABLE
    named = (d.c.about == id_, d.c.about_kind == int(matter), d.c.whose == whose)
    return [_stored(row) for row in conn.execute(select(d).where(*named).order_by(d.c.at_ms, d.c.id))]


def frozen(conn: Connection, me: int, matter: Matter, id_: bytes, whose: int) -> bool:
    """Whether an open dispute of this region freezes it. `whose`: as :class:`gateway.protocol.dispute.Opening` says.

    An attestation that turned out wrong stays frozen: its issuer takes it back next.
    """
    freezes = OPEN | ({State.UPHELD} if matter is Matter.ATTESTATION else set())
    return any(row.state in freezes and row.is_party(me) for row in about(conn, matter, id_, whose))


def after(
    conn: Connection, at_ms: int, limit: int, *, peer: int | None = None, only_open: bool = False
) -> list[Stored]:
    """Disputes that began at this time or later, oldest first."""
    d = _TABLE
    query = select(d).where(d.c.at_ms >= at_ms).order_by(d.c.at_ms, d.c.id).limit(limit)
    if peer is not None:
        query = query.where((d.c.peer == peer) | (d.c.opened_by == peer) | (d.c.respondent == peer))
    if only_open:
        query = query.where(d.c.state.in_([int(state) for state in OPEN]))
    return [_stored(row) for row in conn.execute(query)]


def waiting(conn: Connection) -> list[Stored]:
    """Disputes that are open, or still hold points until the source of a transfer claws them back."""
    d = _TABLE
    query = select(d).where(d.c.state.in_([int(state) for state in OPEN]) | d.c.hold.is_not(None))
    return [_stored(row) for row in conn.execute(query.order_by(d.c.at_ms, d.c.id))]


def ended(conn: Connection, whose: int, states: Collection[State]) -> list[Stored]:
    """Disputes about things of a region's own that have ended so."""
    d = _TABLE
    wanted = (d.c.whose == whose, d.c.state.in_([int(state) for state in states]))
    return [_stored(row) for row in conn.execute(select(d).where(*wanted).order_by(d.c.at_ms, d.c.id))]


encode, decode = codec.encode_signed, codec.decode_signed
"""Between a signed step and its column."""


def steps(conn: Connection, id_: bytes) -> list[Signed]:
    """What both parties have taken, in order."""
    rows = conn.execute(select(_STEPS.c.signed).where(_STEPS.c.dispute == id_).order_by(_STEPS.c.no))
    return [codec.decode_signed(row.signed) for row in rows]


def add_step(conn: Connection, id_: bytes, no: int, signed: Signed, at_ms: int) -> None:
    """One more."""
    bulk.insert(conn, _STEPS, [(id_, no, codec.encode_signed(signed), at_ms)])
