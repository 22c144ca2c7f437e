"""One posting is one row: so much from a debited to a credited balance, both of one category: balanced."""

from __future__ import annotations

from enum import IntEnum

from node.ledger.accounts import CREDITS_PENDING, CREDITS_POSTED, DEBITS_PENDING, DEBITS_POSTED


class Phase(IntEnum):
    """What a posting does to the counters of its two balances."""

    SINGLE = 1  # posted at once
    HOLD = 2  # pending on both sides
    POST = 3  # a hold becomes final
    VOID = 4  # a hold is taken back
    PROVISIONAL = 5  # debit posted, credit pending until the answer that reports it is final
    CLEAR = 6  # that credit becomes final; netted per balance, written as no row: it follows from the logs


DEBIT: dict[Phase, tuple[tuple[int, int], ...]] = {
    Phase.SINGLE: ((DEBITS_POSTED, 1),),
    Phase.HOLD: ((DEBITS_PENDING, 1),),
    Phase.POST: ((DEBITS_PENDING, -1), (DEBITS_POSTED, 1)),
    Phase.VOID: ((DEBITS_PENDING, -1),),
    Phase.PROVISIONAL: ((DEBITS_POSTED, 1),),
    Phase.CLEAR: (),
}
"""What each phase does to the debited balance: (counter, how many times the amount)."""

CREDIT: dict[Phase, tuple[tuple[int, int], ...]] = {
    Phase.SINGLE: ((CREDITS_POSTED, 1),),
    Phase.HOLD: ((CREDITS_PENDING, 1),),
    Phase.POST: ((CREDITS_PENDING, -1), (CREDITS_POSTED, 1)),
    Phase.VOID: ((CREDITS_PENDING, -1),),
    Phase.PROVISIONAL: ((CREDITS_PENDING, 1),),
    Phase.CLEAR: ((CREDITS_PENDING, -1), (CREDITS_POSTED, 1)),
}
"""What each phase does to the credited balance."""
