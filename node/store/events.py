"""What happened to transfers, for a regional system to read with a cursor."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from node.store import schema
from node.store.transfers import Listed, listed


class Event(NamedTuple):
    """One event, and its transfer as it stands now."""

    no: int
    kind: int  # services.transfer.EventKind
    at_ms: int
    transfer: Listed


def after(conn: Connection, no: int, limit: int) -> list[Event]:
    """The events numbered above `no`, in order."""
    e, t = schema.event, schema.transfer
    rows = conn.execute(select(e).where(e.c.no > no).order_by(e.c.no).limit(limit)).all()
    wanted = {row.transfer for row in rows}
    found = (Listed(*row) for row in conn.execute(listed().where(t.c.no.in_(wanted))))
    transfers = {transfer.no: transfer for transfer in found}
    return [Event(row.no, row.kind, row.at_ms, transfers[row.transfer]) for row in rows]


def last(conn: Connection) -> int:
    """The number of the newest event; 0 where there is none."""
    return conn.scalar(select(func.max(schema.event.c.no))) or 0


def kinds_after(conn: Connection, no: int) -> dict[int, int]:
    """How many events of each kind there are above `no`."""
    e = schema.event
    query = select(e.c.kind, func.count()).where(e.c.no > no).group_by(e.c.kind)
    return {row[0]: row[1] for row in conn.execute(query)}
