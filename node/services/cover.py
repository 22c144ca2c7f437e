"""Which points leave for another region: whose, of which category, from which lots, as far as it may be."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from gateway.protocol.agreement.in_force import InForce, Way
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Reason
from node.ledger.accounts import AccountState
from node.ledger.lots import Lot, choose
from node.services.agreement import judging
from node.services.command import account_of, category_of
from node.services.office import Office
from node.services.recovery.advance import choose_or_advance
from node.store.batch import Account, Batch


class Wanted(NamedTuple):
    """What somebody asks to send."""

    account: str
    category: str
    amount: int
    purpose: int
    consented: bool


def cover(
    wanted: Wanted, terms: Terms, need: int, office: Office, batch: Batch, *, forced: bool = False
) -> tuple[Account, int, list[Lot]]:
    """The account, the number of the category, and the lots that have `need` units.

    Raises Refused with the lowest reason that the books, or the agreement with the region, have against it. `forced`:
    it was done before a restore, and nothing is held against it now.
    """
    found = None if forced else office.agreements.by(terms.destination, batch.today)
    if found is None:
        return _choose(wanted, terms, need, None, office, batch, forced)
    try:
        account, category, lots = _choose(wanted, terms, need, found.now.get(office.me), office, batch, False)
    except Refused as refusal:
        _judge(found, wanted, terms, _balance(wanted, batch), (), refusal, office, batch)
        raise
    _judge(found, wanted, terms, account.balances[category], lots, None, office, batch)
    return account, category, lots


def _judge(
    found: InForce, wanted: Wanted, terms: Terms, balance: int, lots: list[Lot] | tuple[()], objection: Refused | None,
    office: Office, batch: Batch,
) -> None:  # fmt: skip
    judging.leaving(
        found, terms.destination, wanted.category, wanted.amount, wanted.purpose, wanted.consented, office, batch,
        balance=balance, lots=lots, objection=objection,
    )  # fmt: skip


def _balance(wanted: Wanted, batch: Batch) -> int:
    """Where the points would be taken from; 0 where there is no such balance."""
    account = batch.accounts.get(wanted.account)
    category = batch.books.categories.get(wanted.category)
    return account.balances.get(category, 0) if account is not None and category is not None else 0


def _choose(
    wanted: Wanted, terms: Terms, need: int, way: Way | None, office: Office, batch: Batch, forced: bool
) -> tuple[Account, int, list[Lot]]:
    account = account_of(batch, wanted.account)
    if account.state == AccountState.FROZEN and not forced:
        raise Refused(Reason.ACCOUNT_FROZEN, f"the account {wanted.account!r} is frozen")
    category = category_of(batch, wanted.category)
    least = terms.min_evidence
    if way is not None and way.cooling_off_hours:
        lots = judging.rested(way, batch.lots_of(account.balances.get(category, 0)).values(), batch)
        with suppress(Refused):  # otherwise those that rest are looked at, too, and what is against them is said
            return account, category, choose(lots, need, today=batch.today, final=batch.final, min_evidence=least)
    chosen = choose_or_advance(batch, office, account, category, need, min_evidence=least, forced=forced)
    return account, category, chosen
