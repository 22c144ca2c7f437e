"""What callers send: strict values. An unknown field is refused, and so is a number where a word belongs."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from node.web import limits
from node.web.words import AccountWord, DirectionWord, EvidenceWord, PurposeWord, StateWord, VerdictWord

PLAIN = r"^[^\x00-\x1f\x7f]*$(?!\n)"  # no control characters; the end is the end, in any dialect

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.NAME_CHARACTERS,
        pattern=PLAIN,
        description="An account's name in the regional system. Never the name or number of a person.",
    ),
]
Category = Annotated[str, Meta(min_length=1, max_length=limits.CATEGORY_CHARACTERS, pattern=PLAIN)]
Text = Annotated[str, Meta(max_length=limits.TEXT_CHARACTERS, pattern=PLAIN, description="No personal data.")]
Key = Annotated[
    str,
    Meta(
        max_length=limits.KEY_CHARACTERS,
        pattern=r"^[!-~]*$(?!\n)",
        description="Names this command among all of this token: a repetition is answered as the first time. A UUIDv7 "
        "is best. Needed, here or (for a single command) as the header Idempotency-Key.",
    ),
]
Amount = (
    Annotated[int, Meta(description="1 to 9223372036854775807, in the smallest unit of the category.")]
    | Annotated[str, Meta(pattern="^[0-9]{1,20}$", description="The same as decimal digits.")]
)
Region = Annotated[int, Meta(ge=110_000, le=999_999, description="A region's code, GB/T 2260.")]
Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$(?!\n)")]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$(?!\n)", description="SHA-256 of a file of evidence.")]
Person = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.NAME_CHARACTERS,
        pattern=PLAIN,
        description="Somebody who acts for this region, as its own directory names him; kept for ever.",
    ),
]
Address = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.ADDRESS_CHARACTERS,
        pattern=PLAIN,
        description="A receiving address of another region.",
        examples=["330200-7Q3M9KXW2T5RBV0C-4H"],
    ),
]
Limit = Annotated[int, Meta(ge=1, le=limits.PAGE_MAX)]
Cursor = Annotated[int, Meta(ge=0, le=(1 << 62), description="`next` of the page before.")]
Wait = Annotated[float, Meta(ge=0, le=limits.WAIT_S, description="Answer later, up to so many seconds.")]


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all bodies and queries."""


# -- bodies -----------------------------------------------------------------------------------------------------------


class Nothing(Request, frozen=True):
    """An empty body, or {}."""


class NewRisk(Request, frozen=True):
    """What residents may spend before the region `peer` has given back what it holds; another person says the same."""

    peer: Region
    amount: Amount


class NewAccount(Request, frozen=True):
    """Open an account. Opening one that is open changes nothing."""

    name: Name


class AccountChange(Request, frozen=True):
    """Freeze an account, open it again, or close it for good when it is empty."""

    state: AccountWord


class NewAddress(Request, frozen=True):
    """A fresh receiving address of an account; `sender` and `purpose` narrow who may use it, and for what."""

    account: Name
    sender: Region | None = None
    purpose: PurposeWord | None = None
    days: Annotated[int, Meta(ge=1, le=limits.ADDRESS_DAYS, description="How long it can be used.")] = 365


class NewAward(Request, frozen=True):
    """Grant points. `expires` is the first date on which they cannot be spent any more; null: never."""

    account: Name
    category: Category
    amount: Amount
    key: Key = ""
    granted: date | None = None
    expires: date | None = None
    evidence: EvidenceWord = "signed_in"
    because: Text = ""


class NewSpend(Request, frozen=True):
    """Redeem points in this region."""

    account: Name
    category: Category
    amount: Amount
    key: Key = ""
    note: Text = ""


class NewTransfer(Request, frozen=True):
    """Send points to a receiving address. `amount` is the most that may leave: what makes no whole block stays."""

    account: Name
    category: Category
    amount: Amount
    address: Address
    key: Key = ""
    purpose: PurposeWord = "relocation"
    consent: Annotated[str, Meta(max_length=limits.TEXT_CHARACTERS, pattern=PLAIN)] = ""


class NewReversal(Request, frozen=True):
    """Ask for an accepted transfer back."""

    key: Key = ""


class Verdict(Request, frozen=True):
    """A clerk's decision. `by` names the clerk as the region's own directory does; it is kept for ever."""

    source: Region
    decision: VerdictWord
    by: Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS, pattern=PLAIN)]


class TwoPeople(Request, frozen=True):
    """Who decided something that nobody can do alone, and who checked it; both are kept for ever."""

    by: Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS, pattern=PLAIN)]
    checked_by: Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS, pattern=PLAIN)]


class SweepOrder(Request, frozen=True):
    """Book what has expired, in pieces: call again with `after` = `next` until that is 0."""

    after: Cursor = 0
    limit: Annotated[int, Meta(ge=1, le=2_000)] = 2_000


# -- queries ----------------------------------------------------------------------------------------------------------


class Paged(Request, frozen=True):
    """One page."""

    cursor: Cursor | None = None
    limit: Limit = limits.PAGE


class TransfersWanted(Paged, frozen=True):
    """Which transfers."""

    state: StateWord | None = None
    direction: DirectionWord | None = None
    peer: Region | None = None


class OneTransfer(Request, frozen=True):
    """Which of several transfers of one id, and how long to wait until it is decided."""

    source: Region | None = None
    wait: Wait = 0.0


class ByKey(Request, frozen=True):
    """Whose key it is; the caller's own where nothing is said."""

    client: Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS, pattern=PLAIN)] | None = None
    wait: Wait = 0.0


class EventsWanted(Request, frozen=True):
    """Which events, and how long to wait for one."""

    after: Annotated[int, Meta(ge=0, le=(1 << 62), description="The number of the last event read.")] = 0
    limit: Limit = limits.PAGE
    wait: Wait = 0.0


class QuoteWanted(Request, frozen=True):
    """What an amount would become."""

    category: Category
    amount: Annotated[int, Meta(description="1 to 9223372036854775807.")]
    destination: Region
    purpose: PurposeWord = "relocation"
    account: Annotated[Name | None, Meta(description="Whose points; then it is quoted lot by lot.")] = None


class NoQuery(Request, frozen=True):
    """Nothing."""
