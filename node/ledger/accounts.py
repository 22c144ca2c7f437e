"""Who holds points, and the four counters of a balance.

A balance is what one account holds in one category. It is a credit balance: what a region owes a resident. The
counters only ever grow or, for the pending pair, return: a hold adds to the pending counters of both sides, posting
moves it to the posted ones, voiding takes it away again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class AccountKind(IntEnum):
    """Residents, and the region's own books."""

    RESIDENT = 1
    ISSUER = 2  # debited by awards: what the region has granted
    CLEARING = 3  # one per peer: what went there less what came from there
    REDEEMED = 4  # credited by spending
    BREAKAGE = 5  # credited by expiry
    RECOVERY = 6  # debited by what the region advances where a restore lost a resident's points
    CLAWBACK = 7  # credited by what is taken back of fraud; what is passed on to whoever asked leaves it again
    DISPUTED = 8  # faces what is held while it is disputed; nothing is ever posted here
    PENALTY = 9  # credited by deductions


class AccountState(IntEnum):
    """Whether an account may receive and spend."""

    OPEN = 1
    FROZEN = 2  # neither receives nor spends; what is on its way back to it still comes back
    CLOSED = 3


ISSUER = "#issuer"
REDEEMED = "#redeemed"
BREAKAGE = "#breakage"
RECOVERY = "#recovery"
CLAWBACK = "#clawback"
DISPUTED = "#disputed"
PENALTY = "#penalty"


CLEARING = "#clearing:"
"""How the name of each book begins that faces a peer."""


def clearing(peer: int) -> str:
    """The name of the book that faces a peer."""
    return f"{CLEARING}{peer}"


DEBITS_PENDING, DEBITS_POSTED, CREDITS_PENDING, CREDITS_POSTED = range(4)
"""Which counter is which, in the order of :class:`Counters` and of the columns of a balance."""


def kind_of(name: str) -> AccountKind:
    """What an account of this name is: a resident's may not begin with #."""
    return _BOOKS.get(name.partition(":")[0], AccountKind.RESIDENT)


_BOOKS = {
    ISSUER: AccountKind.ISSUER,
    REDEEMED: AccountKind.REDEEMED,
    BREAKAGE: AccountKind.BREAKAGE,
    RECOVERY: AccountKind.RECOVERY,
    CLAWBACK: AccountKind.CLAWBACK,
    DISPUTED: AccountKind.DISPUTED,
    PENALTY: AccountKind.PENALTY,
    "#clearing": AccountKind.CLEARING,
}


class Counters(NamedTuple):
    """The four counters, or a change to them."""

    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0

    @property
    def available(self) -> int:
        """What can be spent, holds counted; provisional credits are not in it."""
        return self.credits_posted - self.debits_posted - self.debits_pending
