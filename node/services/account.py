"""Accounts: open, freeze, close."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.ledger.accounts import AccountKind, AccountState
from node.ledger.journal import Opened
from node.services.command import account_of, handles
from node.services.office import Office
from node.services.recovery import history
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAccount:
    """Open an account under the regional system's own name. Opening one that is open is answered alike."""

    name: str  # never a name or number of a person: it is shown in history and errors


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAccountState:
    """Freeze, open again, or close. A closed account stays closed, and must be empty to become so."""

    name: str
    state: AccountState


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountAnswer:
    """The account as it stands."""

    name: str
    state: AccountState


def _open_wishes(command: OpenAccount, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.name)


@handles(OpenAccount, _open_wishes)
def open_account(command: OpenAccount, office: Office, batch: Batch) -> AccountAnswer:
    """Raises Refused(ACCOUNT_CLOSED) for a name whose account was closed: names are not used twice."""
    if not 1 <= len(command.name) <= 64 or command.name.startswith("#") or not command.name.isprintable():
        raise Refused(Reason.ACCOUNT_UNKNOWN, "an account name has 1 to 64 printable characters and no # in front")
    if command.name in batch.accounts:
        account = account_of(batch, command.name)
        return AccountAnswer(name=account.name, state=AccountState(account.state))
    account = batch.open_account(command.name, AccountKind.RESIDENT)
    batch.record(Opened(at=batch.now_ms, account=account.no, name=account.name, state=account.state))
    return AccountAnswer(name=account.name, state=AccountState.OPEN)


def _state_wishes(command: SetAccountState, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.name)


@handles(SetAccountState, _state_wishes)
def set_account_state(command: SetAccountState, office: Office, batch: Batch) -> AccountAnswer:
    """Raises Refused(ACCOUNT_NOT_EMPTY) when points remain, provisional or expired ones included, or are held."""
    account = account_of(batch, command.name)
    if command.state is AccountState.CLOSED:
        history.check_known(batch, None)  # what was granted to it since the backup is still to come
    if command.state is AccountState.CLOSED and not all(
        c.available == c.debits_pending == c.credits_pending == 0
        for c in batch.counters(list(account.balances.values()))
    ):
        raise Refused(Reason.ACCOUNT_NOT_EMPTY, "spend, transfer or let expire what is left, and let transfers end")
    if account.state != command.state:
        account.state = command.state
        batch.set_account_state(account)
        batch.record(Opened(at=batch.now_ms, account=account.no, name=account.name, state=int(command.state)))
    return AccountAnswer(name=account.name, state=command.state)
