"""Clawback 追回: what fraud created is taken back along the transfers that carried it, and what is left is owed.

The region that issued the points asks each region it sent them to; that one takes back what is unspent, asks in turn
where the rest moved on to, and answers once, when everything it asked is answered. Every hop follows a later transfer
than the one before, so that a chain ends even where it comes round. Everything is counted in blocks of the transfer,
rounded down: a block made of several lots counts only where all of it is to come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from gateway.protocol.errors import Malformed, OwnFault, Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.values import Provenance, Reason, Slice


class Cause(IntEnum):
    """Why points are taken back (clawback.proto)."""

    ACTIVITY = 1
    REVERSAL = 2
    DISPUTE = 3


ISSUER_BEARS = frozenset({Cause.ACTIVITY})
"""Of these the region that asks owes what is not recovered; of the others the region asked."""


class State(IntEnum):
    """Where a clawback stands. 1-9 at a region that asked another, 11-19 at the one asked, 21-29 where it began."""

    ASKED = 1
    CLAWED_BACK = 2
    REFUSED = 3
    TRACING = 11  # takes back what is here, and waits for what it asked further on
    TOLD = 12
    DECLINED = 13
    GATHERING = 21  # as TRACING, at the region whose activity it was
    DONE = 22


class Event(IntEnum):
    """What moves a clawback."""

    ANSWER = 1  # of a region asked: to whoever asked it
    REFUSE = 2
    COMPLETE = 3  # everything asked has been answered


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.ASKED, Event.ANSWER): State.CLAWED_BACK,
    (State.ASKED, Event.REFUSE): State.REFUSED,
    (State.TRACING, Event.ANSWER): State.TOLD,
    (State.TRACING, Event.REFUSE): State.DECLINED,
    (State.GATHERING, Event.COMPLETE): State.DONE,
}

OPEN = frozenset({State.TRACING, State.GATHERING})
"""States in which there may be more to do here."""


def step(state: State, event: Event) -> State:
    """The next state. Raises OwnFault where the table has no row."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise OwnFault(f"a clawback that is {state.name} cannot {event.name}")
    return after


class Share(NamedTuple):
    """So many blocks of the slice numbered `slice` of an offer, counted from 0."""

    slice: int
    blocks: int


class Clawback(NamedTuple):
    """Body of the request."""

    transfer: bytes
    cause: int
    issuer: int
    because: str
    root: bytes
    shares: tuple[Share, ...]

    @property
    def blocks(self) -> int:
        """All that is asked for."""
        return sum(share.blocks for share in self.shares)


class ClawedBack(NamedTuple):
    """Body of the answer, in blocks of the transfer."""

    recovered: int
    further: int
    owed: int

    @property
    def returned(self) -> int:
        """What comes back across the pair."""
        return self.recovered + self.further


class Take(NamedTuple):
    """What a hold took from one lot: units, and how many of them are to come back."""

    units: int
    tainted: int


def shares_of(slices: Sequence[int], rate_q: int, takes: Sequence[Take]) -> tuple[Share, ...]:
    """Which blocks of an offer are to come back. `slices`: the blocks of each, in their order; `takes` in theirs.

    Both cut the same run of units. A block counts where every unit of it is to come back, and not otherwise.
    """
    found: list[Share] = []
    at = iter(takes)
    units = tainted = 0  # what is left of the take at hand
    for number, blocks in enumerate(slices):
        need, hit = blocks * rate_q, 0
        while need:
            if not units:
                take = next(at, None)
                if take is None:
                    return tuple(found)
                units, tainted = take
            used = min(units, need)
            of_it = min(tainted, used)
            units, tainted, need, hit = units - used, tainted - of_it, need - used, hit + of_it
        if hit >= rate_q:
            found.append(Share(number, hit // rate_q))
    return tuple(found)


def less(shares: Iterable[Share], asked: Mapping[int, int]) -> tuple[Share, ...]:
    """What of these was not asked for before: nothing comes back twice. `asked`: slice -> blocks."""
    rest = (Share(s.slice, s.blocks - asked.get(s.slice, 0)) for s in shares)
    return tuple(share for share in rest if share.blocks > 0)


def summed(rows: Iterable[Iterable[Share]]) -> dict[int, int]:
    """Slice -> blocks, of several requests about one transfer."""
    found: dict[int, int] = {}
    for shares in rows:
        for share in shares:
            found[share.slice] = found.get(share.slice, 0) + share.blocks
    return found


def check_body(body: Clawback) -> None:
    """What must hold within a request. Raises Malformed."""
    if body.cause not in set(Cause):
        raise Malformed("Clawback.cause is not one of those known")
    if len({share.slice for share in body.shares}) != len(body.shares):
        raise Malformed("Clawback.shares names a slice twice")
    if "\0" in body.because:
        raise Malformed("a text has no zero character")
    if mentions_number(body.because):
        raise Malformed("a text names nobody by a number")


def check_shares(body: Clawback, slices: Sequence[Slice], asked: Mapping[int, int]) -> None:
    """Whether the transfer carried what is asked for, and has it left. Raises Refused.

    `slices` of the offer, `asked` of them by earlier requests. AMOUNT_OUT_OF_RANGE: more than is left of a slice;
    DOCUMENT_INVALID: a slice does not come from the activity named.
    """
    for share in body.shares:
        if share.slice >= len(slices) or share.blocks > slices[share.slice].blocks - asked.get(share.slice, 0):
            raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "more is asked for than is left of the transfer")
    if body.cause == Cause.ACTIVITY:
        for share in body.shares:
            if not comes_from(slices[share.slice].provenance, body.issuer, body.because):
                raise Refused(Reason.DOCUMENT_INVALID, "the points do not come from this activity")


def comes_from(provenance: Iterable[Provenance], issuer: int, because: str) -> bool:
    """Whether points are of an activity."""
    return any((p.issuer, p.because) == (issuer, because) for p in provenance)


def to_take(there: int, taken: int, budget: int, rate_p: int) -> int:
    """How many of the `there` unspent units are taken now, so that what is taken in all is whole blocks.

    `taken` before, at most `budget` in all; what would be part of a block stays with the resident.
    """
    return min(budget, taken + there) // rate_p * rate_p - taken


def result(blocks: int, rate_p: int, taken: int, came_back: int) -> ClawedBack:
    """What a region answers: `taken` units of its residents, `came_back` units from where the rest had moved on to.

    Part of a block that came back stays in the region's book; that block is owed.
    """
    recovered, further = taken // rate_p, came_back // rate_p
    return ClawedBack(recovered, further, blocks - recovered - further)


def check_answer(asked: int, answer: ClawedBack) -> None:
    """Raises Malformed unless every block asked for is accounted for, once."""
    if answer.recovered + answer.further + answer.owed != asked:
        raise Malformed("the parts of an answer do not add up to what was asked for")
