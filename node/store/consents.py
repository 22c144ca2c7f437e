"""Consents, as people look at them, and what was done under one."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select, text

from gateway.protocol.transfer import State
from node.ledger.postings import Phase
from node.store import schema

_kinds = msgspec.json.Decoder(list[str]).decode


class ConsentRow(NamedTuple):
    """One consent as the table has it."""

    id: bytes
    account: int
    recipient: int
    contact: str
    purpose: str
    method: str
    kinds: str
    given_by: int  # protocol.consent.GivenBy
    expires: int
    salt: bytes
    digest: bytes
    at_ms: int
    withdrawn_ms: int | None

    @property
    def kinds_of_data(self) -> tuple[str, ...]:
        """The kinds of data, as they were named."""
        return tuple(_kinds(self.kinds))


def find(conn: Connection, id_: bytes) -> tuple[ConsentRow, str] | None:
    """A consent, and the name of the account whose resident gave it."""
    c, a = schema.consent, schema.account
    row = conn.execute(select(c, a.c.name).join(a, a.c.no == c.c.account).where(c.c.id == id_)).first()
    return None if row is None else (ConsentRow(*row[:-1]), row[-1])


def of_account(conn: Connection, name: str, limit: int) -> list[ConsentRow]:
    """The newest consents of an account."""
    c, a = schema.consent, schema.account
    query = (
        select(c).join(a, a.c.no == c.c.account).where(a.c.name == name).order_by(c.c.at_ms.desc(), c.c.id).limit(limit)
    )
    return [ConsentRow(*row) for row in conn.execute(query)]


# A resident's history is a chain; what was held under a consent stands after the consent.
_HELD_SINCE = text("""
WITH RECURSIVE chain(no, before, transfer, phase) AS (
    SELECT no, before, transfer, phase FROM posting WHERE no = :start AND at_ms >= :since
    UNION ALL
    SELECT posting.no, posting.before, posting.transfer, posting.phase
    FROM chain JOIN posting ON posting.no = chain.before WHERE posting.at_ms >= :since
)
SELECT transfer.id FROM chain JOIN transfer ON transfer.no = chain.transfer
WHERE chain.phase = :phase AND transfer.state = :state AND transfer.source = :me AND transfer.destination = :peer
ORDER BY transfer.no
""")


def held_since(conn: Connection, me: int, account: int, peer: int, since_ms: int) -> list[bytes]:
    """The ids of an account's transfers to a region that were held since then and wait for an answer."""
    starts = select(schema.balance.c.latest).where(schema.balance.c.account == account)
    found = list[bytes]()
    for start in conn.scalars(starts).all():
        if start is not None:
            given = {"start": start, "since": since_ms, "phase": int(Phase.HOLD), "state": int(State.HELD)}
            found += conn.scalars(_HELD_SINCE, {**given, "me": me, "peer": peer})
    return found
