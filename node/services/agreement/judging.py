"""A transfer under an agreement, at either end: the facts that this side knows, given to the one pure judge.

What residents and all of them together have sent is counted here, too, when points are held, refused or credited.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.protocol.agreement.in_force import InForce, Way
from gateway.protocol.agreement.verdict import Consent, Facts, Verdict, judge
from gateway.protocol.errors import Refused
from gateway.protocol.values import Frame, Offer, Purpose
from node.ledger.lots import Lot
from node.ledger.transfers import Transfer
from node.services.office import Office, shanghai_date
from node.store.batch import Batch
from node.store.usages import Sent

_HOUR_MS = 3_600_000
_NOTHING_SENT = Sent(0, 0, 0, 0)


# -- at the source ---------------------------------------------------------------------------------------------------


def leaving(
    found: InForce, to: int, category: str, amount: int, purpose: int, consented: bool, office: Office, batch: Batch, *,
    balance: int = 0, lots: Iterable[Lot] = (), objection: Refused | None = None,
) -> Verdict:  # fmt: skip
    """Judge what would leave; `balance` and `lots` are where it would be taken from.

    Raises Refused with the lowest reason, `objection` (what the books have against it) itself where that is it.
    """
    way, today = found.now.get(office.me), batch.today
    pair = batch.usage.pair((to, False, category))
    pair_day, pair_month = pair.on(today) if pair is not None else (0, 0)
    sent, relocated, hours = _NOTHING_SENT, 0, None
    if way is not None and balance:
        usage = batch.usage.of(balance, to) if office.agreements.counts(office.me, to, today) else None
        if usage is not None:
            sent, relocated = usage.on(today), usage.relocated
        if way.cooling_off_hours:
            hours = _rested_hours(lots, batch)
    facts = Facts(
        office.me, to, category, amount, purpose,
        pair_day=pair_day,
        pair_month=pair_month,
        net=pair.net if pair is not None else 0,
        sent_day=sent.in_day,
        sent_month=sent.in_month,
        sent_year=sent.in_year,
        sent_ever=sent.ever,
        relocated=relocated,
        rested_hours=hours,
        consent=Consent.GIVEN if consented else Consent.MISSING,
        found=int(objection.reason) if objection is not None else 0,
    )  # fmt: skip
    return _judge(found, facts, objection)


def _judge(found: InForce, facts: Facts, objection: Refused | None) -> Verdict:
    try:
        return judge(found, facts)
    except Refused as refusal:
        if objection is not None and refusal.reason == objection.reason:
            raise objection from None
        raise


def rested(way: Way, lots: Iterable[Lot], batch: Batch) -> list[Lot]:
    """The lots that did not come from another region, or came long enough ago to go on."""
    latest = batch.now_ms - way.cooling_off_hours * _HOUR_MS
    return [lot for lot in lots if lot.clears_peer is None or _arrived(lot, batch) <= latest]


def _rested_hours(lots: Iterable[Lot], batch: Batch) -> int | None:
    came = [_arrived(lot, batch) for lot in lots if lot.clears_peer is not None]
    return max(0, batch.now_ms - max(came)) // _HOUR_MS if came else None


def _arrived(lot: Lot, batch: Batch) -> int:
    """When a lot came from another region."""
    at = batch.usage.arrived(lot.transfer or 0)
    return batch.now_ms if at is None else at


# -- at the destination ----------------------------------------------------------------------------------------------


def arriving(
    found: InForce, frame: Frame, offer: Offer, source: int, office: Office, batch: Batch, same: bool | None,
    objection: Refused | None = None,
) -> Verdict:  # fmt: skip
    """Judge an offer; `same`: whether it is for the resident of the account, None where that is not asked.

    It was held before it came: the version it names is honoured as long as that was agreed. What residents send and
    what is sent in a day is the source's to count: when an offer was held cannot be told from its log. What the source
    owes follows from the two logs, and is judged at both ends.
    """
    pair = batch.usage.pair((source, True, frame.category))
    facts = Facts(
        source, office.me, frame.category, frame.amount, offer.purpose,
        backing=offer.slices,
        pinned=True,
        becomes=frame.becomes,
        rate=(offer.rate_p, offer.rate_q),
        version=offer.terms_version,
        consent=Consent.GIVEN if offer.consent_digest else Consent.MISSING,
        identity=same,
        net=pair.net if pair is not None else 0,
        found=int(objection.reason) if objection is not None else 0,
    )  # fmt: skip
    return _judge(found, facts, objection)


# -- counting --------------------------------------------------------------------------------------------------------


def count_held(transfer: Transfer, office: Office, batch: Batch) -> None:
    """Points are held for another region."""
    pair = batch.usage.touch_pair(transfer.destination, False, transfer.category)
    pair.net += transfer.amount
    if transfer.purpose == Purpose.REVERSAL:
        return
    pair.add(transfer.amount, batch.today)
    if transfer.balance and office.agreements.counts(office.me, transfer.destination, batch.today):
        usage = batch.usage.touch(transfer.balance, transfer.destination)
        usage.add(transfer.amount, batch.today)
        if transfer.purpose == Purpose.RELOCATION:
            usage.relocated = batch.today


def count_settled(transfer: Transfer, accepted: bool, batch: Batch) -> None:
    """What was held is accepted, or comes back and counts no longer."""
    if accepted:
        batch.usage.touch_pair(transfer.destination, True, transfer.becomes).net -= transfer.arriving
        return
    pair = batch.usage.touch_pair(transfer.destination, False, transfer.category)
    pair.net -= transfer.amount
    if transfer.purpose == Purpose.REVERSAL:
        return
    held_on = shanghai_date(transfer.at_ms)
    pair.take_off(transfer.amount, held_on, batch.today)
    if transfer.balance and batch.usage.of(transfer.balance, transfer.destination) is not None:
        usage = batch.usage.touch(transfer.balance, transfer.destination)
        usage.take_off(transfer.amount, held_on, batch.today)
        if transfer.purpose == Purpose.RELOCATION and usage.relocated == held_on:
            usage.relocated = 0  # what came before it was long enough ago for this one, and so for the next


def count_credited(transfer: Transfer, batch: Batch) -> None:
    """Points of another region were credited here."""
    pair = batch.usage.touch_pair(transfer.source, True, transfer.category)
    pair.net += transfer.amount
    if transfer.purpose != Purpose.REVERSAL:
        pair.add(transfer.amount, batch.today)
    batch.usage.touch_pair(transfer.source, False, transfer.becomes).net -= transfer.arriving
