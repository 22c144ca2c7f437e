"""Several processes over one PostgreSQL: which of them seals, and what each of them has committed itself.

A few rows of the table `meta`, which change within the writer's transactions only:

- `sealer`: the process that numbers messages and talks with peers, and the token of its seat
- `process:NAME`: the region's transactions at that process's own last one
- `lineage:ID`: the lineage that one grew out of, and behind which of its commits
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from node.store import schema
from node.store.engine import driver_connection

_SEALER, _PROCESS, _LINEAGE = "sealer", "process:", "lineage:"


class Seen(NamedTuple):
    """What a process finds out about itself and the others."""

    sealer: str  # name; empty when nobody has sealed yet
    token: str
    own: int | None  # transactions of the region at this process's own last one; None for one that never committed
    others: bool  # other processes have committed


# First of all the row of the history is locked: transactions of all processes come one after another from here on,
# and what is read after this statement is what the one before has left. That row alone may be returned: the others of
# this statement may be older than the lock.
_COUNT = """
WITH counted AS (UPDATE history SET commits = commits + 1 WHERE no = 1 RETURNING commits, lineage)
INSERT INTO meta (name, value) SELECT %s, commits::text FROM counted
ON CONFLICT (name) DO UPDATE SET value = excluded.value
RETURNING value, (SELECT lineage FROM counted)
"""


def count(conn: Connection, process: str) -> tuple[int, bytes]:
    """One more transaction, by this process. Returns how many there are now, and in which lineage."""
    row = driver_connection(conn).execute(_COUNT, (_PROCESS + process,)).fetchone()
    return int(row[0]), bytes(row[1])


CHANNEL = "hutong"
"""Where processes tell each other of commits: their name, and a mark when messages wait to be numbered."""


def notify(conn: Connection, process: str, *, waits: bool) -> None:
    """Tell the other processes, as soon as this transaction is committed."""
    driver_connection(conn).execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"{process} {'*' if waits else ''}"))


def look(conn: Connection, process: str) -> Seen:
    """Who seals, and how far this process had come."""
    m = schema.meta
    wanted = (m.c.name == _SEALER) | m.c.name.like(f"{_PROCESS}%")
    rows = {row.name: row.value for row in conn.execute(select(m).where(wanted))}
    name, _, token = rows.pop(_SEALER, "").partition(" ")
    own = rows.pop(_PROCESS + process, None)
    return Seen(name, token, int(own) if own is not None else None, bool(rows))


def take_seat(conn: Connection, process: str, token: str) -> None:
    """From this transaction on only this process seals. An empty token: it does not, either."""
    m = schema.meta
    conn.execute(delete(m).where(m.c.name == _SEALER))
    conn.execute(m.insert().values(name=_SEALER, value=f"{process} {token}"))


def forget(conn: Connection) -> None:
    """A single process takes over: what it commits is not counted apart."""
    m = schema.meta
    conn.execute(delete(m).where((m.c.name == _SEALER) | m.c.name.like(f"{_PROCESS}%")))


def descend(conn: Connection, lineage: bytes, before: bytes, commits: int) -> None:
    """A lineage begins behind a commit of the one before it."""
    conn.execute(schema.meta.insert().values(name=_LINEAGE + lineage.hex(), value=f"{before.hex()} {commits}"))


def ancestors(conn: Connection, lineage: bytes) -> list[tuple[bytes, int]]:
    """The lineages from which this one grew, and behind which commit of each, the nearest first."""
    m = schema.meta
    rows = {row.name: row.value for row in conn.execute(select(m).where(m.c.name.like(f"{_LINEAGE}%")))}
    found: list[tuple[bytes, int]] = []
    while (said := rows.pop(_LINEAGE + lineage.hex(), None)) is not None:
        before, _, commits = said.partition(" ")
        lineage = bytes.fromhex(before)
        found.append((lineage, int(commits)))
    return found


def sealable(conn: Connection) -> list[int]:
    """The peers for which messages wait to be numbered."""
    c, o = schema.channel, schema.outbox
    waits = select(o.c.no).where(o.c.peer == c.c.peer).exists()
    return list(conn.scalars(select(c.c.peer).where(waits)))
