"""Which history the database is part of, whether all of it is here, and what the region owes for what was lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from node.store import schema
from node.store.engine import driver_connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """What residents may spend before a peer has given back what it holds, in smallest units of any category."""

    peer: int
    amount: int
    used: int
    maker: str
    checker: str  # empty until a second person agreed
    at_ms: int

    @property
    def accepted(self) -> bool:
        """Two people have."""
        return bool(self.checker)


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The one row of the table, and what goes with it. A value: safe to read from any thread."""

    lineage: bytes
    commits: int
    recovering: bool = False
    replayed: bool = False  # the regional system has repeated all that it was told is done
    cause: str = ""
    since_ms: int = 0
    merged: frozenset[int] = frozenset()  # peers that have given back what they hold
    risks: Mapping[int, Risk] = field(default_factory=lambda: MappingProxyType({}))
    owed: int = 0  # what the region has advanced and not got back, all balances together

    @property
    def open_risks(self) -> list[Risk]:
        """Accepted, and the peer has not given back yet."""
        return [risk for risk in self.risks.values() if risk.accepted and risk.peer not in self.merged]


def load(conn: Connection) -> History:
    """The history as the database has it."""
    row = conn.execute(select(schema.history)).one()
    risks = conn.execute(select(schema.risk)).all()
    merged = conn.scalars(select(schema.merged.c.peer)).all()
    return assemble(row, risks, merged, sum(amount for _, amount in load_owed(conn).values()))


def assemble(row: Any, risks: Iterable[Any], merged: Iterable[int], owed: int) -> History:
    """The history of its row, of those that go with it, and of what is owed all in all."""
    return History(
        lineage=row.lineage,
        commits=row.commits,
        recovering=row.recovering,
        replayed=row.replayed,
        cause=row.cause,
        since_ms=row.since_ms,
        merged=frozenset(merged),
        risks=MappingProxyType(
            {
                r.peer: Risk(peer=r.peer, amount=r.amount, used=r.used, maker=r.maker, checker=r.checker, at_ms=r.at_ms)
                for r in risks
            }
        ),
        owed=owed,
    )


def load_owed(conn: Connection) -> dict[int, tuple[int, int]]:
    """Per balance of a resident its category and what the region has advanced: none in a region that lost nothing."""
    o, b = schema.owed, schema.balance
    rows = conn.execute(select(o, b.c.category).join(b, b.c.no == o.c.balance).where(o.c.amount > 0))
    return {row.balance: (row.category, row.amount) for row in rows}


def count(conn: Connection) -> tuple[int, bytes]:
    """One more transaction of the writer. Returns how many there are now, and in which lineage."""
    row = driver_connection(conn).execute(_COUNT).fetchone()
    return row[0], bytes(row[1])


_COUNT = "UPDATE history SET commits = commits + 1 WHERE no = 1 RETURNING commits, lineage"


def enter(conn: Connection, lineage: bytes, cause: str, now_ms: int) -> None:
    """A new lineage begins, and the region recovers: nobody has given anything back yet, no risk is accepted."""
    conn.execute(
        update(schema.history).values(lineage=lineage, recovering=True, replayed=False, cause=cause, since_ms=now_ms)
    )
    conn.execute(delete(schema.merged))
    conn.execute(delete(schema.risk))


def leave(conn: Connection) -> None:
    """The region is whole."""
    conn.execute(update(schema.history).values(recovering=False, cause=""))


def set_replayed(conn: Connection) -> None:
    """The regional system has repeated everything."""
    conn.execute(update(schema.history).values(replayed=True))


def add_merged(conn: Connection, peer: int) -> None:
    """The peer has given back what it holds; nobody bears a risk for it any more."""
    conn.execute(insert(schema.merged), [{"peer": peer}])
    conn.execute(delete(schema.risk).where(schema.risk.c.peer == peer))


def put_risk(conn: Connection, risk: Risk, *, new: bool) -> None:
    """Somebody states, or accepts, or residents use, a risk."""
    r = schema.risk
    values = {
        "used": risk.used,
        "amount": risk.amount,
        "maker": risk.maker,
        "checker": risk.checker,
        "at_ms": risk.at_ms,
    }
    if new:
        conn.execute(insert(r), [{"peer": risk.peer, **values}])
    else:
        conn.execute(update(r).where(r.c.peer == risk.peer).values(**values))


def put_owed(conn: Connection, balance: int, amount: int) -> None:
    """What the region has advanced to a balance, all in all."""
    o = schema.owed
    if conn.execute(update(o).where(o.c.balance == balance).values(amount=amount)).rowcount == 0:
        conn.execute(insert(o), [{"balance": balance, "amount": amount}])


def about(**what: object) -> str:
    """What an act was about, as its table keeps it."""
    return json.dumps(what, sort_keys=True, ensure_ascii=False)
