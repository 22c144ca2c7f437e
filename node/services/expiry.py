"""Expiry is effective by business date; a sweep books it, some lots at a time, so that 31 December brings no burst."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from node.ledger import journal
from node.ledger.accounts import BREAKAGE
from node.ledger.lots import Lot, expiry_id, is_clear
from node.ledger.postings import Phase
from node.services.command import handles
from node.services.office import Office
from node.services.recovery import history
from node.store import schema
from node.store.batch import Batch, Wishes

LOTS_PER_SWEEP = 2000
"""Lots booked in one transaction at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """Book what has expired, after the lot numbered `after`."""

    after: int = 0
    limit: int = LOTS_PER_SWEEP


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """How many lots were booked, how many units, and where to go on (0: done)."""

    lots: int
    units: int
    next: int


def _wishes(command: Sweep, office: Office, wishes: Wishes) -> None:
    """Finds its lots itself."""


@handles(Sweep, _wishes)
def sweep(command: Sweep, office: Office, batch: Batch) -> Swept:
    """What remains of expired lots goes to breakage. What is held does not expire: it is no longer in the lot."""
    if not history.may_sweep(batch):
        return Swept(lots=0, units=0, next=0)
    lo, ba = schema.lot, schema.balance
    rows = batch.conn.execute(
        select(lo, ba.c.category)
        .join(ba, ba.c.no == lo.c.balance)
        .where(lo.c.remaining > 0, lo.c.expires <= batch.today, lo.c.no > command.after)
        .order_by(lo.c.no)
        .limit(command.limit)
    ).all()
    holders = {row.balance for row in rows}
    batch.load_lots(holders)
    batch.load_histories(holders)
    booked: list[tuple[int, int, int, int, int]] = []
    for row in rows:
        lot: Lot | None = batch.lots_of(row.balance).get(row.no)
        if lot is None or not lot.remaining or not is_clear(lot, batch.final):
            continue
        breakage = batch.system_balance(BREAKAGE, row.category)
        posting = batch.post(
            Phase.SINGLE,
            lot.balance,
            breakage,
            lot.remaining,
            command=expiry_id(lot.no, lot.expires),
            resident=lot.balance,
        )
        booked.append((lot.no, lot.balance, row.category, lot.remaining, posting))
        batch.take(posting, lot, lot.remaining)
    if booked:
        batch.record(journal.Expired(at=batch.now_ms, date=batch.today, lots=booked))
    return Swept(
        lots=len(booked),
        units=sum(units for _, _, _, units, _ in booked),
        next=rows[-1].no if len(rows) == command.limit else 0,
    )
