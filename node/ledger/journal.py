"""What a region decided by itself, as entries of a log that has no peer.

Each entry is one leaf: canonical JSON, made and hashed in the transaction that does what it says. Together with the
channel logs the journal re-derives every posting, lot and balance. Ids are hexadecimal, times Unix milliseconds.
"""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", omit_defaults=True):
    """Base of all entries."""

    at: int


class Opened(Entry, frozen=True, kw_only=True, tag="open"):
    """An account was opened, or changed its state."""

    account: int
    name: str
    state: int


class Balanced(Entry, frozen=True, kw_only=True, tag="balance"):
    """An account got its balance in a category, at its first use there."""

    no: int
    account: int
    category: int


class Awarded(Entry, frozen=True, kw_only=True, tag="award"):
    """A lot was granted."""

    id: str
    account: int
    balance: int
    category: int
    amount: int
    lot: int
    posting: int
    granted: int
    expires: int
    evidence: int
    because: str


class Spent(Entry, frozen=True, kw_only=True, tag="spend"):
    """Points were redeemed at home: (lot, units) first-expiring first."""

    id: str
    balance: int
    category: int
    amount: int
    posting: int
    lots: list[tuple[int, int]]


class Held(Entry, frozen=True, kw_only=True, tag="hold"):
    """Points were held for an offer; `request` is the request to reverse that it grants, if it does."""

    id: str
    transfer: int
    destination: int
    balance: int
    category: int
    amount: int
    arriving: int
    posting: int
    lots: list[tuple[int, int]]
    request: str = ""


LATER = -1
"""Said of a request: it stays open, and a later command answers it."""
ENDS = -2
"""Said of a reply: it ends a request of this region that is no transfer."""


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """What became of one frame of a peer's log."""

    number: int
    transfer: int
    state: int
    reason: int = 0
    posting: int = 0
    balance: int = 0
    amount: int = 0
    lots: list[tuple[int, int]] = []  # lots given back, or granted: (lot, units)
    expires: list[int] = []  # when what was granted expires, lot by lot; 0 for a lot that was there before
    said: int = 0  # of other requests: the kind of the answer; LATER. Of a reply: ENDS, or 0


class Applied(Entry, frozen=True, kw_only=True, tag="apply"):
    """Frames first .. size-1 of the log from `peer` were applied."""

    peer: int
    first: int
    size: int
    decisions: list[Decision]
    recovered: bool = False  # they came back after a restore: requests wait for the answer that comes back, too


class Answered(Entry, frozen=True, kw_only=True, tag="answer"):
    """A request that was left open was answered; or one that came back after a restore, once more or at last."""

    peer: int
    id: str
    reason: int
    kind: int = 3  # of the reply: refused unless told otherwise


class Reviewed(Entry, frozen=True, kw_only=True, tag="review"):
    """A clerk decided an incoming transfer."""

    peer: int
    by: str
    decision: Decision


class Voided(Entry, frozen=True, kw_only=True, tag="void"):
    """Holds were given back without an answer of the peer: it is resolved, or the offer never left the outbox."""

    peer: int
    by: str
    decisions: list[Decision]
    undelivered: bool = False  # a cancel stands in the offer's place


class Claimed(Entry, frozen=True, kw_only=True, tag="claim"):
    """An amount was claimed of a peer, or by it. Moves no points."""

    no: int
    peer: int
    cause: int
    id: str
    category: str
    amount: int
    because: str
    mine: bool = True  # the peer owes it


class Ended(Entry, frozen=True, kw_only=True, tag="end"):
    """The channel with a resolved region was closed: what was said, up to `size`, is final as it is."""

    peer: int
    size: int
    held: int


class Expired(Entry, frozen=True, kw_only=True, tag="expire"):
    """What remained of expired lots went to breakage: (lot, balance, category, units, posting)."""

    date: int
    lots: list[tuple[int, int, int, int, int]]


class Advanced(Entry, frozen=True, kw_only=True, tag="advance"):
    """The region advanced what a resident lacked for something that was done before a restore."""

    balance: int
    category: int
    amount: int
    lot: int
    posting: int
    granted: int
    evidence: int


class Repaid(Entry, frozen=True, kw_only=True, tag="repay"):
    """What a balance got went back to the region that had advanced it: (lot, units)."""

    balance: int
    category: int
    amount: int
    posting: int
    lots: list[tuple[int, int]]


class Recovery(Entry, frozen=True, kw_only=True, tag="recovery"):
    """Where the region stands after a restore. Moves no points."""

    what: str  # "entered", "merged", "replayed", "risk" or "whole"
    lineage: str
    peer: int = 0
    amount: int = 0
    maker: str = ""
    checker: str = ""
    because: str = ""


class Movement(msgspec.Struct, frozen=True, array_like=True):
    """One posting of :class:`Booked`, and what it did to lots."""

    posting: int
    phase: int
    debit: int
    credit: int
    amount: int
    resident: int = 0  # the balance in whose history it stands
    taken: list[tuple[int, int]] = []  # (lot, units)
    back: list[tuple[int, int]] = []  # given back to the lots they came from
    granted: list[tuple[int, int, int, int]] = []  # instead, where that had expired: (lot, its like, units, expires)


class Booked(Entry, frozen=True, kw_only=True, tag="book"):
    """Points moved for something that is no transfer: a purchase away from home, a clawback, a penalty."""

    what: str  # the noun
    id: str  # of the command or the message that caused it
    movements: list[Movement]
    peer: int = 0


class Asked(Entry, frozen=True, kw_only=True, tag="ask"):
    """Something was asked of a peer."""

    what: str  # "cancel", "reversal", or the kind of the request in small letters
    peer: int
    id: str
    transfer: int


AnyEntry = (
    Opened
    | Balanced
    | Awarded
    | Spent
    | Held
    | Applied
    | Answered
    | Reviewed
    | Expired
    | Advanced
    | Repaid
    | Recovery
    | Asked
    | Booked
    | Voided
    | Claimed
    | Ended
)

encode = msgspec.json.Encoder(order="deterministic").encode
_decoder = msgspec.json.Decoder(AnyEntry)


def decode(data: bytes) -> AnyEntry:
    """One entry. Raises msgspec.DecodeError on bytes that are not one."""
    entry: AnyEntry = _decoder.decode(data)
    return entry
