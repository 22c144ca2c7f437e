"""What callers get: amounts are JSON integers up to 2^63-1, times RFC 3339 in UTC, dates YYYY-MM-DD."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from node.web.words import AnyAccount, AnyEvent, AnyPurpose, AnyReversal, AnyState


class Answer(Struct, frozen=True):
    """Base of all answers."""


# -- commands; each also as one line of a bulk answer -----------------------------------------------------------------


class AccountState(Answer, frozen=True):
    """An account as a command left it."""

    name: str
    state: AnyAccount


class AddressMade(Answer, frozen=True):
    """A receiving address, and until when it can be used."""

    address: str
    expires: datetime


class Awarded(Answer, frozen=True):
    """The award as it was made."""

    id: str
    account: str
    category: str
    amount: int
    lot: int


class Spent(Answer, frozen=True):
    """What was redeemed."""

    id: str
    account: str
    category: str
    amount: int


class Placed(Answer, frozen=True):
    """A transfer: `leaving` units are held, `arriving` is what they become."""

    id: str
    state: AnyState
    reason: str | None
    destination: int
    category: str
    leaving: int
    becomes: str
    arriving: int


class AccountLine(AccountState, frozen=True, kw_only=True):
    """See AccountState."""

    line: int
    ok: Literal[True] = True


class AddressLine(AddressMade, frozen=True, kw_only=True):
    """See AddressMade."""

    line: int
    ok: Literal[True] = True


class AwardLine(Awarded, frozen=True, kw_only=True):
    """See Awarded."""

    line: int
    ok: Literal[True] = True


class SpendLine(Spent, frozen=True, kw_only=True):
    """See Spent."""

    line: int
    ok: Literal[True] = True


class TransferLine(Placed, frozen=True, kw_only=True):
    """See Placed."""

    line: int
    ok: Literal[True] = True


class ReversalAsked(Answer, frozen=True):
    """A request to reverse was sent; its answer comes as an event, and at /v1/reversals/{id}."""

    id: str
    transfer: str


class Swept(Answer, frozen=True):
    """How many lots and units were booked as expired, and where to go on (0: done)."""

    lots: int
    units: int
    next: int


# -- accounts ---------------------------------------------------------------------------------------------------------


class Balance(Answer, frozen=True):
    """One category. `available` can be spent today; `expired` waits to be booked; `provisional` is not yet final."""

    category: str
    available: int
    held: int
    provisional: int
    expired: int


class Lot(Answer, frozen=True):
    """Points granted together. `expires` is the first date on which they cannot be spent; null: never."""

    lot: int
    category: str
    remaining: int
    granted: date | None
    expires: date | None
    issuer: int
    evidence: str
    because: str
    state: Literal["spendable", "provisional", "expired"]


class Account(Answer, frozen=True):
    """An account today; lots first-expiring first, `lots_more` of them left out."""

    name: str
    state: AnyAccount
    opened: datetime
    balances: list[Balance]
    lots: list[Lot]
    lots_more: int


EntryKind = Literal[
    "award",
    "spend",
    "expiry",
    "transfer_out",
    "transfer_in",
    "advance",
    "repay",
    "clawback",
    "roaming",
    "roaming_back",
    "disputed",
    "dispute_back",
    "penalty",
]


class Entry(Answer, frozen=True):
    """One line of a history. A transfer has one line; how it ended is in its `state`.

    A purchase away from home has one for what was held and, where not all was spent, one for what came back; so has
    what was frozen because it is disputed.
    """

    no: int
    at: datetime
    kind: EntryKind
    category: str
    amount: int
    id: str | None
    source: int | None
    state: AnyState | None


class History(Answer, frozen=True):
    """A page, newest first; `next` null: that was the last."""

    entries: list[Entry]
    next: int | None


# -- transfers --------------------------------------------------------------------------------------------------------


class Transfer(Answer, frozen=True):
    """A transfer. `account` and `key` are this region's; an incoming one that was refused has no account.

    `moved_to`: the destination has moved; offer again there, to a new address, under a new key.
    """

    id: str
    direction: Literal["outgoing", "incoming"]
    source: int
    destination: int
    state: AnyState
    reason: str | None
    account: str | None
    key: str | None
    category: str
    leaving: int
    becomes: str
    arriving: int
    rate: str
    purpose: AnyPurpose | str
    cites: str | None
    at: datetime
    decided: datetime | None
    moved_to: int | None = None


class TransferShown(Transfer, frozen=True):
    """One transfer by itself; `reversed_by` is the transfer that brings it back."""

    reversed_by: str | None = None


class Transfers(Answer, frozen=True):
    """A page, newest first. It may be short, even empty, and still have a `next`; null: that was the last."""

    transfers: list[Transfer]
    next: int | None


class WaitingTransfer(Transfer, frozen=True):
    """A transfer that waits for a clerk. `doubt`: why it may not be the same resident, where that has to match."""

    doubt: Literal["nothing_shown", "nothing_known", "another"] | None = None


class Reviews(Answer, frozen=True):
    """What waits for a clerk, oldest first."""

    transfers: list[WaitingTransfer]
    next: int | None


class Reversal(Answer, frozen=True):
    """A request to have a transfer back."""

    id: str
    transfer: str
    peer: int
    state: AnyReversal
    reason: str | None
    at: datetime


class QuotedLot(Answer, frozen=True):
    """What becomes of one lot of the account, in the order in which they are taken from."""

    lot: int
    expires: date | None
    leaves: int
    stays: int


class QuotedArrival(Answer, frozen=True):
    """A lot as it would arrive, were it accepted today; of several lots where a block spans them."""

    units: int
    expires: date | None
    lots: list[int]


class Quote(Answer, frozen=True):
    """What would leave, what would arrive, and what makes no whole block and stays; by lot where one names whose."""

    category: str
    destination: int
    leaving: int
    becomes: str
    arriving: int
    remaining: int
    rate: str
    terms_version: int
    min_evidence: str
    review: bool
    lots: list[QuotedLot] | None = None
    arrivals: list[QuotedArrival] | None = None


class Event(Answer, frozen=True):
    """What happened to a transfer, and the transfer as it stands now."""

    no: int
    kind: AnyEvent
    at: datetime
    transfer: Transfer


class Events(Answer, frozen=True):
    """In order; go on with `after` = `next`."""

    events: list[Event]
    next: int
