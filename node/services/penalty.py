"""Penalties (扣分): local deductions with a reason, notice and appeal. They never leave the region (三.6, 三.7).

One is notified, may be appealed against, and is applied by another person once it stands. While that is open, the
resident's points do not go to other regions; why, only the region's own system is told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import func, select

from gateway.protocol import limits
from gateway.protocol.errors import OwnFault, Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.values import Reason
from node.errors import BadInput, SamePerson
from node.ledger.accounts import PENALTY
from node.ledger.lots import Lot, add_days, choose, is_clear
from node.ledger.postings import Phase
from node.services.booking import Booking
from node.services.command import account_of, category_of, handles, once, wish_once
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.store import bulk, schema
from node.store.batch import Batch, Wishes
from node.store.penalties import PenaltyRow

APPEAL_DAYS = 15
"""How long a resident may appeal after the notice, unless the region says otherwise. Own judgement."""

DELAY_DAYS = 30
"""So long after the time for appeals a penalty that nobody has settled still delays. Own judgement: it only delays."""


class PenaltyState(IntEnum):
    """Where a penalty stands."""

    NOTIFIED = 1  # the resident has been told
    APPEALED = 2
    UPHELD = 3  # the appeal was heard, and the penalty stands
    WITHDRAWN = 4  # the region does not insist
    APPLIED = 5
    SHORT = 6  # as much as there was; what lacks is remembered


class Act(IntEnum):
    """What moves a penalty."""

    APPEAL = 1
    UPHOLD = 2
    WITHDRAW = 3
    APPLY = 4
    APPLY_PART = 5


TRANSITIONS: dict[tuple[PenaltyState, Act], PenaltyState] = {
    (PenaltyState.NOTIFIED, Act.APPEAL): PenaltyState.APPEALED,
    (PenaltyState.NOTIFIED, Act.WITHDRAW): PenaltyState.WITHDRAWN,
    (PenaltyState.APPEALED, Act.UPHOLD): PenaltyState.UPHELD,
    (PenaltyState.APPEALED, Act.WITHDRAW): PenaltyState.WITHDRAWN,
    (PenaltyState.NOTIFIED, Act.APPLY): PenaltyState.APPLIED,
    (PenaltyState.NOTIFIED, Act.APPLY_PART): PenaltyState.SHORT,
    (PenaltyState.UPHELD, Act.APPLY): PenaltyState.APPLIED,
    (PenaltyState.UPHELD, Act.APPLY_PART): PenaltyState.SHORT,
    (PenaltyState.SHORT, Act.APPLY): PenaltyState.APPLIED,
    (PenaltyState.SHORT, Act.APPLY_PART): PenaltyState.SHORT,
    (PenaltyState.SHORT, Act.WITHDRAW): PenaltyState.WITHDRAWN,
}

PENDING = (PenaltyState.NOTIFIED, PenaltyState.APPEALED, PenaltyState.UPHELD)
"""States in which a penalty delays what leaves the region."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NotifyPenalty:
    """Tell a resident that points will be deducted, and why."""

    client: str
    key: str
    account: str
    category: str
    amount: int
    reason: str
    by: str
    appeal_days: int = APPEAL_DAYS


@dataclass(frozen=True, kw_only=True, slots=True)
class Appeal:
    """The resident objects."""

    id: bytes
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DecideAppeal:
    """Uphold the penalty or withdraw it; one that nobody has appealed against can be withdrawn as well."""

    id: bytes
    uphold: bool
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplyPenalty:
    """Deduct it: after the time for an appeal, or once an appeal was not allowed. Again, where points were lacking."""

    id: bytes
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PenaltyAnswer:
    """A penalty as it stands: so much was taken of it, the rest is open or lacking."""

    id: str
    state: PenaltyState
    amount: int
    taken: int
    appeal_until: int


def _answer(row: PenaltyRow) -> PenaltyAnswer:
    return PenaltyAnswer(
        id=row.id.hex(), state=PenaltyState(row.state), amount=row.amount, taken=row.taken,
        appeal_until=row.appeal_until,
    )  # fmt: skip


# -- the delay --------------------------------------------------------------------------------------------------------


def check_none(batch: Batch, account: int) -> None:
    """Raises Refused(DELAYED) while a penalty of this account, by its number, is pending. The words are for its own
    region only: a peer is told the reason's number and no more."""
    until = batch.delayed_until(account)
    if until and batch.today <= add_days(until, DELAY_DAYS):
        raise Refused(
            Reason.DELAYED,
            f"a penalty against this account is not settled (appeals until {until}): decide or apply it, or try again "
            f"after {add_days(until, DELAY_DAYS)}, with the same key",
        )


# -- commands ---------------------------------------------------------------------------------------------------------


def _notify_wishes(command: NotifyPenalty, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))
    wishes.names.add(command.account)


@handles(NotifyPenalty, _notify_wishes)
def notify(command: NotifyPenalty, office: Office, batch: Batch) -> PenaltyAnswer:
    """Raises BadInput for words with an identity number in them, or none at all; Refused for the rest."""
    _check_words(command.reason, command.by)
    id_ = office.public_id(command.client, command.key)
    said = digest_of(
        "penalty", command.account, command.category, command.amount, command.reason, command.by, command.appeal_days
    )
    once(batch, id_, "penalty", said, lambda: _notify(command, id_, batch))
    return _answer(_find(id_, batch))


def _notify(command: NotifyPenalty, id_: bytes, batch: Batch) -> str:
    if not 1 <= command.amount <= limits.AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "a penalty is between 1 and 2^63-1 units")
    account = account_of(batch, command.account)
    category = category_of(batch, command.category)
    p = schema.penalty
    no = (batch.conn.scalar(select(func.max(p.c.no))) or 0) + 1
    until = add_days(batch.today, command.appeal_days)
    row = PenaltyRow(
        no, id_, account.no, category, command.amount, 0, command.reason, int(PenaltyState.NOTIFIED), command.by, "",
        until, "", batch.now_ms, None,
    )  # fmt: skip
    bulk.insert(batch.conn, p, [row])  # at once: the next command of the batch may be about it
    batch.delays.pop(account.no, None)
    return ""


def _by_id(command: Appeal | DecideAppeal | ApplyPenalty, office: Office, wishes: Wishes) -> None:
    """Looked for one by one: these are rare."""


@handles(Appeal, _by_id)
def appeal(command: Appeal, office: Office, batch: Batch) -> PenaltyAnswer:
    """Raises Refused: TOO_LATE after the last day, WRONG_STATE where it is decided or appealed against already."""
    _check_words(command.words)
    row = _find(command.id, batch)
    if row.state == PenaltyState.APPEALED and row.appeal == command.words:
        return _answer(row)
    after = _step(row, Act.APPEAL)
    if batch.today > row.appeal_until:
        raise Refused(Reason.TOO_LATE, f"appeals could be made until {row.appeal_until}")
    return _change(row, batch, state=after, appeal=command.words)


@handles(DecideAppeal, _by_id)
def decide(command: DecideAppeal, office: Office, batch: Batch) -> PenaltyAnswer:
    """Raises SamePerson for whoever notified it, Refused(WRONG_STATE) where there is nothing to decide any more."""
    _check_words(command.by)
    row = _find(command.id, batch)
    wanted = PenaltyState.UPHELD if command.uphold else PenaltyState.WITHDRAWN
    if row.state == wanted:
        return _answer(row)
    after = _step(row, Act.UPHOLD if command.uphold else Act.WITHDRAW)
    _check_other(row, command.by)
    _note(row, after, 0, command.by, batch)
    return _change(row, batch, state=after, checker=command.by, decided_ms=batch.now_ms)


@handles(ApplyPenalty, _by_id)
def apply(command: ApplyPenalty, office: Office, batch: Batch) -> PenaltyAnswer:
    """Take what is there, first-expiring first, and never more. Raises SamePerson for whoever notified it, Refused:
    WRONG_STATE before the time for an appeal is over, unless one was heard."""
    _check_words(command.by)
    row = _find(command.id, batch)
    if row.state == PenaltyState.APPLIED:
        return _answer(row)
    _step(row, Act.APPLY)
    if row.state == PenaltyState.NOTIFIED and batch.today <= row.appeal_until:
        raise Refused(Reason.WRONG_STATE, f"the resident may appeal until {row.appeal_until}")
    _check_other(row, command.by)
    history.check_debit(batch, office, row.amount - row.taken)
    taken = _take(row, batch)
    history.debited(batch, taken)
    after = _step(row, Act.APPLY if row.taken + taken == row.amount else Act.APPLY_PART)
    _note(row, after, taken, command.by, batch)
    return _change(row, batch, state=after, taken=row.taken + taken, checker=command.by, decided_ms=batch.now_ms)


def _take(row: PenaltyRow, batch: Batch) -> int:
    """Post as much of it as the account has to spend. Returns how much."""
    b = schema.balance
    balance = batch.conn.scalar(select(b.c.no).where(b.c.account == row.account, b.c.category == row.category))
    if balance is None:
        return 0
    batch.load_lots([balance])
    lots = batch.lots_of(balance).values()
    there = sum(lot.remaining for lot in lots if lot.expires > batch.today and is_clear(lot, batch.final))
    units = min(row.amount - row.taken, there)
    if not units:
        return 0
    takes, need = list[tuple[Lot, int]](), units
    for lot in choose(lots, units, today=batch.today, final=batch.final):
        takes.append((lot, min(lot.remaining, need)))
        need -= takes[-1][1]
    booking = Booking(batch, "penalty", row.id)
    book = batch.system_balance(PENALTY, row.category)
    booking.post(Phase.SINGLE, balance, book, units, resident=balance, taken=takes)
    booking.record()
    return units


def _step(row: PenaltyRow, act: Act) -> PenaltyState:
    after = TRANSITIONS.get((PenaltyState(row.state), act))
    if after is None:
        raise Refused(Reason.WRONG_STATE, f"the penalty is {PenaltyState(row.state).name.lower()}")
    return after


def _check_other(row: PenaltyRow, by: str) -> None:
    if by == row.maker:
        raise SamePerson("whoever notified a penalty neither decides on it nor applies it")


def _check_words(*texts: str) -> None:
    if not all(texts):
        raise BadInput("say why, and who does it")
    if any(map(mentions_number, texts)):
        raise BadInput("a penalty names nobody by an identity number: leave it out")


def _find(id_: bytes, batch: Batch) -> PenaltyRow:
    p = schema.penalty
    row = batch.conn.execute(select(p).where(p.c.id == id_)).first()
    if row is None:
        raise Refused(Reason.WRONG_STATE, "no penalty has this id")
    return PenaltyRow(*row)


def _change(row: PenaltyRow, batch: Batch, **values: object) -> PenaltyAnswer:
    p = schema.penalty
    changed = batch.conn.execute(p.update().where(p.c.id == row.id).values(**values))
    if changed.rowcount != 1:
        raise OwnFault(f"penalty {row.no} was to change and did not")
    batch.delays.pop(row.account, None)
    return _answer(_find(row.id, batch))


def _note(row: PenaltyRow, after: PenaltyState, taken: int, by: str, batch: Batch) -> None:
    about = json.dumps({"penalty": row.id.hex(), "becomes": after.name.lower(), "taken": taken})
    batch.insert(schema.act, (batch.books.next("act"), "penalty", about, row.maker, by, batch.now_ms))
