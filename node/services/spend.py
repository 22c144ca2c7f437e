"""Spending at home: points are redeemed, first-expiring first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.protocol import limits
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.ledger.accounts import REDEEMED, AccountState
from node.ledger.journal import Spent
from node.ledger.postings import Phase
from node.services.command import account_of, category_of, handles, once, wish_once
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.services.recovery.advance import choose_or_advance
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class Spend:
    """Redeem points for goods or services of this region."""

    client: str
    key: str
    account: str
    category: str
    amount: int
    note: str = ""
    replayed: bool = False  # acknowledged before a restore: while the region recovers, done whatever is there


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendAnswer:
    """What was redeemed."""

    id: str
    account: str
    category: str
    amount: int


def _wishes(command: Spend, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))
    wishes.payers.add(command.account)


@handles(Spend, _wishes)
def spend(command: Spend, office: Office, batch: Batch) -> SpendAnswer:
    """A refusal is kept like a success: the same key gets the same answer for ever."""
    command_id = office.public_id(command.client, command.key)
    digest = digest_of("spend", command.account, command.category, command.amount, command.note)
    forced = history.forces(batch, command.replayed)
    # What was done once is not refused for ever because the account it needs has not been replayed yet.
    redeem = partial(_redeem, command, command_id, forced, office, batch)
    once(batch, command_id, "spend", digest, redeem, keep_refusal=not forced)
    return SpendAnswer(id=command_id.hex(), account=command.account, category=command.category, amount=command.amount)


def _redeem(command: Spend, command_id: bytes, forced: bool, office: Office, batch: Batch) -> str:
    history.check_debit(batch, office, command.amount, forced=forced)
    if not 1 <= command.amount <= limits.AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "between 1 and 2^63-1 units can be spent")
    account = account_of(batch, command.account)
    if account.state == AccountState.FROZEN and not forced:
        raise Refused(Reason.ACCOUNT_FROZEN, f"the account {command.account!r} is frozen")
    category = category_of(batch, command.category)
    lots = choose_or_advance(batch, office, account, category, command.amount, forced=forced)
    balance = account.balances[category]
    redeemed = batch.system_balance(REDEEMED, category)
    posting = batch.post(Phase.SINGLE, balance, redeemed, command.amount, command=command_id, resident=balance)
    need = command.amount
    takes = []
    for lot in lots:
        units = min(lot.remaining, need)
        batch.take(posting, lot, units)
        takes.append((lot.no, units))
        need -= units
    batch.record(
        Spent(
            at=batch.now_ms,
            id=command_id.hex(),
            balance=balance,
            category=category,
            amount=command.amount,
            posting=posting,
            lots=takes,
        )
    )
    history.debited(batch, command.amount)
    return ""
