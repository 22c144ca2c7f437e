"""Claims in suspense 挂账: what one region says another owes it. Nothing is unposted for a claim."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import func, select

from node.ledger import journal
from node.ledger.transfers import Transfer
from node.store import bulk, schema
from node.store.batch import Batch


class Cause(IntEnum):
    """Why something that was posted is in dispute."""

    REVOKED_KEY = 1  # signed after the last good prefix of a key that was revoked
    FORK = 2  # beyond the prefix that both regions stand by after a repair
    ESTATE = 3  # of a region that will not answer again


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
    c = schema.claim
    known = select(c.c.no).where(c.c.peer == peer, c.c.cause == int(cause), c.c.id == transfer.id)
    if batch.conn.scalar(known) is not None:
        return False
    outgoing = transfer.source == batch.books.me
    category, amount = (transfer.category, transfer.amount) if outgoing else (transfer.becomes, transfer.arriving)
    no = (batch.conn.scalar(select(func.max(c.c.no))) or 0) + 1
    row = (no, peer, int(cause), transfer.id, category, amount, because, int(ClaimState.OPEN), batch.now_ms, True)
    bulk.insert(batch.conn, c, [row])  # at once: the next one of this batch looks here
    batch.record(
        journal.Claimed(
            at=batch.now_ms, no=no, peer=peer, cause=int(cause), id=transfer.id.hex(), category=category,
            amount=amount, because=because,
        )
    )  # fmt: skip
    return True
