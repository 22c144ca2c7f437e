"""Awards: a lot of points is granted to a resident."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol import limits
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import NEVER
from gateway.protocol.values import Evidence, Reason
from node.ledger.accounts import ISSUER, AccountState
from node.ledger.journal import Awarded
from node.ledger.lots import Lot
from node.ledger.postings import Phase
from node.services.command import account_of, category_of, handles, once, wish_once
from node.services.office import Office, digest_of
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class Award:
    """Grant points. `granted` 0 = today; `expires` 0 = never, otherwise the first date they are not spendable."""

    client: str
    key: str
    account: str
    category: str
    amount: int
    granted: int = 0
    expires: int = 0
    evidence: int = Evidence.SIGNED_IN
    because: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """The award as it was made."""

    id: str
    account: str
    category: str
    amount: int
    lot: int


def _wishes(command: Award, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))
    wishes.names.add(command.account)


@handles(Award, _wishes)
def award(command: Award, office: Office, batch: Batch) -> Granted:
    """One lot and one posting from the issuer to the resident. A lot already expired may be loaded: it is history."""
    command_id = office.public_id(command.client, command.key)
    digest = digest_of(
        "award", command.account, command.category, command.amount, command.granted, command.expires,
        int(command.evidence), command.because,
    )  # fmt: skip
    lot = once(batch, command_id, "award", digest, lambda: str(_grant(command, command_id, office, batch)))
    return Granted(
        id=command_id.hex(),
        account=command.account,
        category=command.category,
        amount=command.amount,
        lot=int(lot),
    )


def _grant(command: Award, command_id: bytes, office: Office, batch: Batch) -> int:
    if not 1 <= command.amount <= limits.AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "an award is between 1 and 2^63-1 units")
    account = account_of(batch, command.account)
    if account.state == AccountState.FROZEN:
        raise Refused(Reason.ACCOUNT_FROZEN, f"the account {command.account!r} is frozen")
    category = category_of(batch, command.category)
    if not batch.books.has_room(category, command.amount):
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "all points ever granted of one category stay below 2^63")
    batch.books.take_in(category, command.amount)
    balance = batch.balance_of(account, category)
    issuer = batch.system_balance(ISSUER, category)
    lot = Lot(
        no=batch.books.next("lot"),
        balance=balance,
        remaining=command.amount,
        granted=command.granted or batch.today,
        expires=command.expires or NEVER,
        issuer=office.me,
        evidence=int(command.evidence),
        because=command.because,
        further=None,
        transfer=None,
        clears_peer=None,
        clears=None,
    )
    posting = batch.post(Phase.SINGLE, issuer, balance, command.amount, command=command_id, resident=balance)
    batch.grant(lot)
    batch.record(
        Awarded(
            at=batch.now_ms,
            id=command_id.hex(),
            account=account.no,
            balance=balance,
            category=category,
            amount=command.amount,
            lot=lot.no,
            posting=posting,
            granted=lot.granted,
            expires=lot.expires,
            evidence=lot.evidence,
            because=lot.because,
        )
    )
    return lot.no
