"""Claims in suspense 挂账: what one region says another owes it. Nothing is unposted for a claim."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from sqlalchemy import func, select, update

from node.ledger import journal
from node.ledger.transfers import Transfer
from node.store import bulk, schema
from node.store.batch import Batch


class Cause(IntEnum):
    """Why something that was posted is in dispute."""

    REVOKED_KEY = 1  # signed after the last good prefix of a key that was revoked
    FORK = 2  # beyond the prefix that both regions stand by after a repair
    ESTATE = 3  # of a region that will not answer again
    CLAWBACK = 4  # fraud created it, and it was spent before it could be taken back
    REVERSAL = 5  # it should have come back, and it was too late for that
    DISPUTE = 6  # a dispute was decided so


class ClaimState(IntEnum):
    """What became of a claim."""

    OPEN = 1
    SETTLED = 2
    WITHDRAWN = 3


def raise_claim(batch: Batch, peer: int, cause: Cause, transfer: Transfer, because: str) -> bool:
    """Put what a transfer moved here into suspense, once. False where that was done before.

    The amount is what this region's books show: what arrived of an incoming transfer, what left of an outgoing one.
    The row and its entry in the journal are part of the batch under way.
    """
    outgoing = transfer.source == batch.books.me
    category, amount = (transfer.category, transfer.amount) if outgoing else (transfer.becomes, transfer.arriving)
    return keep(batch, peer, cause, transfer.id, category, amount, because)


def keep(
    batch: Batch, peer: int, cause: Cause, id_: bytes, category: str, amount: int, because: str, *, mine: bool = True
) -> bool:
    """Put an amount into suspense, once for each peer, cause and id. False where that was done before.

    `mine`: the peer owes it; otherwise this region owes the peer, which keeps the same claim as its own.
    """
    if find(batch, peer, cause, id_) is not None:
        return False
    c = schema.claim
    no = (batch.conn.scalar(select(func.max(c.c.no))) or 0) + 1
    row = (no, peer, int(cause), id_, category, amount, because, int(ClaimState.OPEN), batch.now_ms, mine)
    bulk.insert(batch.conn, c, [row])  # at once: the next one of this batch looks here
    batch.record(
        journal.Claimed(
            at=batch.now_ms, no=no, peer=peer, cause=int(cause), id=id_.hex(), category=category, amount=amount,
            because=because, mine=mine,
        )
    )  # fmt: skip
    return True


class Kept(NamedTuple):
    """A claim as it stands."""

    no: int
    category: str
    amount: int
    state: int
    mine: bool


def find(batch: Batch, peer: int, cause: int, id_: bytes) -> Kept | None:
    """The claim of or against a peer about this id, if there is one."""
    c = schema.claim
    query = select(c.c.no, c.c.category, c.c.amount, c.c.state, c.c.mine)
    row = batch.conn.execute(query.where(c.c.peer == peer, c.c.cause == int(cause), c.c.id == id_)).first()
    return None if row is None else Kept(row.no, row.category, row.amount, row.state, bool(row.mine))


def end(batch: Batch, no: int, state: ClaimState) -> None:
    """What became of a claim: settled, or withdrawn."""
    batch.conn.execute(update(schema.claim).where(schema.claim.c.no == no).values(state=int(state)))
