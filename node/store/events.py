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
    e = schema.event
    page = select(e).where(e.c.no > no).order_by(e.c.no).limit(limit).subquery()
    query = (
        listed()
        .join(page, page.c.transfer == schema.transfer.c.no)
        .add_columns(page.c.no, page.c.kind, page.c.at_ms)
        .order_by(page.c.no)
    )
    found = ((Listed(*row[:-3]), *row[-3:]) for row in conn.execute(query))
    return [Event(number, kind, at_ms, transfer) for transfer, number, kind, at_ms in found]


def last(conn: Connection) -> int:
    """The number of the newest event; 0 where there is none."""
    return conn.scalar(select(func.max(schema.event.c.no))) or 0


def kinds_after(conn: Connection, no: int) -> dict[int, int]:
    """How many events of each kind there are above `no`."""
    e = schema.event
    query = select(e.c.kind, func.count()).where(e.c.no > no).group_by(e.c.kind)
    return {row[0]: row[1] for row in conn.execute(query)}
