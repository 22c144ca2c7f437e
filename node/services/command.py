"""What the single writer is asked to do, and what it answers.

Every service module defines its commands (frozen values), what each will look at (`wishes`) and how it is decided
(`decide`), and registers the three here. Deciding never waits and never reads a clock; a business refusal is raised as
Refused and fails that command alone, before it has changed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.ledger.accounts import AccountKind, AccountState
from node.services.office import Office
from node.store import schema
from node.store.batch import Account, Batch, Outcome, Wishes


@dataclass(frozen=True, slots=True)
class Handler:
    """How one kind of command is handled."""

    wishes: Callable[[Any, Office, Wishes], None]
    decide: Callable[[Any, Office, Batch], Any]


HANDLERS: dict[type, Handler] = {}
"""Command type -> handler; filled when the service modules are imported by :mod:`node.services.writer`."""


def handles(
    command: type, wishes: Callable[[Any, Office, Wishes], None]
) -> Callable[[Callable[[Any, Office, Batch], Any]], Callable[[Any, Office, Batch], Any]]:
    """Register the function that decides a kind of command."""

    def register(decide: Callable[[Any, Office, Batch], Any]) -> Callable[[Any, Office, Batch], Any]:
        HANDLERS[command] = Handler(wishes, decide)
        return decide

    return register


def wish_once(wishes: Wishes, command_id: bytes) -> None:
    """What :func:`once` will look at: an id is used once, whatever kind of command it was used for."""
    wishes.outcomes.add(command_id)
    wishes.transfers.add(command_id)


def once(
    batch: Batch, command_id: bytes, command: str, digest: bytes, decide: Callable[[], str], *,
    keep_refusal: bool = True,
) -> str:  # fmt: skip
    """Decide a command the first time its id is seen, and answer a repetition as the first time was answered.

    The outcome is kept for ever, a refusal like a success (unless `keep_refusal` is False). Raises Refused,
    CONFLICT_DIFFERENT_CONTENT where the id came before with other content.
    """
    outcome = batch.outcomes.get(command_id)
    if (command_id, batch.books.me) in batch.transfers:
        raise Refused(Reason.CONFLICT_DIFFERENT_CONTENT, "this key was used before for a transfer; use a new key")
    if outcome is None:
        try:
            outcome = freeze(batch, command_id, command, digest, 0, decide())
        except Refused as refusal:
            if not keep_refusal:
                raise
            outcome = freeze(batch, command_id, command, digest, refusal.reason, refusal.detail)
    elif outcome.digest != digest:
        raise Refused(Reason.CONFLICT_DIFFERENT_CONTENT, "this key was used before with other content; use a new key")
    if outcome.reason:
        raise Refused(Reason(outcome.reason), outcome.answer)
    return outcome.answer


def freeze(batch: Batch, command_id: bytes, command: str, digest: bytes, reason: int, answer: str) -> Outcome:
    """Keep what is answered to this id, for ever."""
    outcome = Outcome(command_id, command, digest, reason, answer, batch.now_ms)
    batch.outcomes[command_id] = outcome
    batch.insert(schema.outcome, (command_id, command, digest, reason, answer, batch.now_ms))
    return outcome


def account_of(batch: Batch, name: str) -> Account:
    """A resident's account. Raises Refused where there is none or it is closed."""
    account = batch.accounts.get(name)
    if account is None or account.kind != AccountKind.RESIDENT:
        raise Refused(Reason.ACCOUNT_UNKNOWN, f"no account {name!r}; open it first")
    if account.state == AccountState.CLOSED:
        raise Refused(Reason.ACCOUNT_CLOSED, f"the account {name!r} is closed")
    return account


def category_of(batch: Batch, code: str) -> int:
    """The number of a category. Raises Refused(CATEGORY_UNKNOWN)."""
    number = batch.books.categories.get(code)
    if number is None:
        known = ", ".join(sorted(batch.books.categories))
        raise Refused(Reason.CATEGORY_UNKNOWN, f"no category {code!r}; this region has {known}")
    return number
