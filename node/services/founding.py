"""A new region's database: whose it is, its categories, its journal, the rosters it trusts."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from gateway.protocol import codec, roster
from gateway.protocol.members import Roster
from gateway.protocol.values import Signed
from node.errors import BadInput
from node.store import schema
from node.store.engine import Store


def found(conn: Connection, me: int, categories: Sequence[str], lineage: bytes | None = None) -> None:
    """Write what every later start relies on. The database is new and empty.

    `lineage`: 16 bytes that name the history which begins here; drawn by chance if not given.
    """
    conn.execute(insert(schema.meta), [{"name": "region", "value": str(me)}])
    conn.execute(insert(schema.category), [{"no": no, "code": code} for no, code in enumerate(categories, 1)])
    conn.execute(
        insert(schema.log),
        [{"no": 1, "source": me, "destination": 0, "generation": 1, "size": 0, "frontier": b""}],
    )
    begun = {"no": 1, "lineage": lineage or os.urandom(16), "commits": 0, "recovering": False, "replayed": False}
    conn.execute(insert(schema.history), [{**begun, "cause": "", "since_ms": 0}])


def check_region(conn: Connection, me: int) -> None:
    """Raises BadInput when the database belongs to another region."""
    owner = conn.scalar(select(schema.meta.c.value).where(schema.meta.c.name == "region"))
    if owner != str(me):
        raise BadInput(f"the database belongs to region {owner}, not {me}: check `database` in hutong.toml")


def newest_version(store: Store) -> int:
    """The version of the newest roster kept; 0 when there is none."""
    with store.read() as conn:
        return conn.scalar(select(func.max(schema.roster.c.version))) or 0


def unknown(conn: Connection, rosters: Sequence[Signed]) -> list[Signed]:
    """Those of the rosters that are not kept here already: several peers may hand over the same ones at once."""
    kept = {codec.decode_signed(signed).payload for signed in conn.scalars(select(schema.roster.c.signed))}
    return [signed for signed in rosters if signed.payload not in kept]


def trust(conn: Connection, rosters: Sequence[Signed], now_ms: int | None = None) -> Roster:
    """Keep rosters that follow those already kept, each verified against the one before it. Returns the newest.

    Raises PeerFault for one that does not follow: a rollback, a gap, too few signatures, or, given `now_ms` (Unix
    milliseconds), a date in the future.
    """
    history = [
        codec.decode_signed(s) for s in conn.scalars(select(schema.roster.c.signed).order_by(schema.roster.c.version))
    ]
    current = roster.accept_chain(history) if history else None
    for signed in rosters:
        current = roster.genesis(signed) if current is None else roster.accept_next(current, signed, now_ms)
        conn.execute(insert(schema.roster), [{"version": current.version, "signed": codec.encode_signed(signed)}])
    if current is None:
        raise BadInput("no roster yet: get the federation's roster file and run `hutong federation trust FILE`")
    return current
