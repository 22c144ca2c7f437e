"""What a resident lacks for something done before a restore is advanced by the region, and repaid by later credits.

No resident ever goes below zero: the missing units come from the book #recovery, and the region is owed them.
"""

from __future__ import annotations

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import NEVER
from gateway.protocol.values import Evidence, Reason
from node.ledger import journal
from node.ledger.accounts import RECOVERY
from node.ledger.lots import RECOVERED, Lot, choose, is_clear
from node.ledger.postings import Phase
from node.services.office import Office
from node.store.batch import Account, Batch

_EVIDENCE = int(max(Evidence))  # what was done once is not refused for its evidence


def advance(batch: Batch, office: Office, balance: int, category: int, amount: int) -> Lot:
    """Grant a resident's balance so many units that the region is owed. Returns their lot.

    Raises Refused(AMOUNT_OUT_OF_RANGE), with nothing changed, where the books could not count them.
    """
    if not batch.books.has_room(category, amount):
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "all points ever granted of one category stay below 2^63")
    batch.books.take_in(category, amount)
    lot = Lot(
        no=batch.books.next("lot"),
        balance=balance,
        remaining=amount,
        granted=batch.today,
        expires=NEVER,
        issuer=office.me,
        evidence=_EVIDENCE,
        because=RECOVERED,
        further=None,
        transfer=None,
        clears_peer=None,
        clears=None,
    )
    recovery = batch.system_balance(RECOVERY, category)
    posting = batch.post(Phase.SINGLE, recovery, balance, amount, resident=balance)
    batch.grant(lot)
    batch.owe(balance, category, amount)
    batch.record(
        journal.Advanced(
            at=batch.now_ms,
            balance=balance,
            category=category,
            amount=amount,
            lot=lot.no,
            posting=posting,
            granted=lot.granted,
            evidence=lot.evidence,
        )
    )
    return lot


def choose_or_advance(
    batch: Batch, office: Office, account: Account, category: int, need: int, *, min_evidence: int = 0,
    forced: bool = False,
) -> list[Lot]:  # fmt: skip
    """The lots a debit takes from. Raises Refused as :func:`node.ledger.lots.choose` does.

    `forced`: the debit was done before; lots that have expired since count, and what lacks is advanced.
    """
    if not forced:
        lots = batch.lots_of(account.balances.get(category, 0)).values()
        return choose(lots, need, today=batch.today, final=batch.final, min_evidence=min_evidence)
    balance = batch.balance_of(account, category)
    batch.load_lots([balance])
    there = sum(
        lot.remaining
        for lot in batch.lots_of(balance).values()
        if is_clear(lot, batch.final) and lot.evidence >= min_evidence
    )
    if there < need:
        advance(batch, office, balance, category, need - there)
    return choose(batch.lots_of(balance).values(), need, today=0, final=batch.final, min_evidence=min_evidence)


def repay(batch: Batch) -> None:
    """What this batch brought to balances that the region has advanced to goes back to it, as far as it is needed.

    Lots that have expired count: what was advanced was given away while they had not.
    """
    for balance, (category, amount) in list(batch.books.owed.items()):
        if not batch.moved(balance):
            continue
        batch.load_lots([balance])
        lots = [
            lot
            for lot in sorted(batch.lots_of(balance).values(), key=lambda lot: (lot.expires, lot.no))
            if lot.remaining and is_clear(lot, batch.final)
        ]
        units = min(amount, sum(lot.remaining for lot in lots))
        if units:
            _repay(batch, balance, category, units, lots)


def _repay(batch: Batch, balance: int, category: int, units: int, lots: list[Lot]) -> None:
    recovery = batch.system_balance(RECOVERY, category)
    posting = batch.post(Phase.SINGLE, balance, recovery, units, resident=balance)
    takes, need = [], units
    for lot in lots:
        take = min(lot.remaining, need)
        if not take:
            break
        batch.take(posting, lot, take)
        takes.append((lot.no, take))
        need -= take
    batch.owe(balance, category, -units)
    batch.record(
        journal.Repaid(at=batch.now_ms, balance=balance, category=category, amount=units, posting=posting, lots=takes)
    )
