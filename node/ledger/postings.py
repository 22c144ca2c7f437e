"""One posting is one row: so much from a debited to a credited balance, both of one category: balanced."""

from __future__ import annotations

from enum import IntEnum

from node.ledger.accounts import Counters


class Phase(IntEnum):
    """What a posting does to the counters of its two balances."""

    SINGLE = 1  # posted at once
    HOLD = 2  # pending on both sides
    POST = 3  # a hold becomes final
    VOID = 4  # a hold is taken back
    PROVISIONAL = 5  # debit posted, credit pending until the answer that reports it is final
    CLEAR = 6  # that credit becomes final; netted per balance, written as no row: it follows from the logs


DEBIT: dict[Phase, Counters] = {
    Phase.SINGLE: Counters(debits_posted=1),
    Phase.HOLD: Counters(debits_pending=1),
    Phase.POST: Counters(debits_pending=-1, debits_posted=1),
    Phase.VOID: Counters(debits_pending=-1),
    Phase.PROVISIONAL: Counters(debits_posted=1),
    Phase.CLEAR: Counters(),
}
"""What each phase adds, per unit, to the counters of the debited balance."""

CREDIT: dict[Phase, Counters] = {
    Phase.SINGLE: Counters(credits_posted=1),
    Phase.HOLD: Counters(credits_pending=1),
    Phase.POST: Counters(credits_pending=-1, credits_posted=1),
    Phase.VOID: Counters(credits_pending=-1),
    Phase.PROVISIONAL: Counters(credits_pending=1),
    Phase.CLEAR: Counters(credits_pending=-1, credits_posted=1),
}
"""What each phase adds, per unit, to the counters of the credited balance."""
