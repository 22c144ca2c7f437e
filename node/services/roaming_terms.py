"""Under which terms points are redeemed away from home: what the agreement of the two regions says, asked at both ends.

No consent is asked for and no identity compared: the resident shows the code himself, and nothing about him goes over.
"""

from __future__ import annotations

from gateway.protocol.agreement import Feature
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Reason
from gateway.protocol.verdict import Facts, judge
from node.ledger.accounts import clearing
from node.services.office import Office
from node.store.batch import Batch


def agreed(office: Office, holder: int, counter: int, category: str) -> Terms:
    """How a category of the holder counts at a counter. Raises Refused(CATEGORY_NOT_MAPPED)."""
    terms = office.terms_for(holder, counter, category)
    if terms is None:
        raise Refused(Reason.CATEGORY_NOT_MAPPED, f"no terms turn {category!r} of {holder} into one of {counter}")
    return terms


def check(
    office: Office, holder: int, counter: int, category: str, amount: int, batch: Batch, *, found: int = 0
) -> None:  # fmt: skip
    """Whether so much may be held under the agreement, if there is one. Raises Refused with the lowest reason.

    `found`: the lowest reason that the region's own books give against it; 0 = none. What the holder owes already it
    alone adds up, in its own units.
    """
    agreement = office.agreements.by(counter if holder == office.me else holder)
    if agreement is None:
        if found:
            raise Refused(Reason(found))
        return
    net = _owed(counter, category, batch) if holder == office.me else None
    judge(agreement, Facts(holder, counter, category, amount, Feature.ROAMING, net=net, found=found))


def _owed(peer: int, category: str, batch: Batch) -> int:
    """What this region owes a peer in one category, holds counted."""
    book = batch.books.system.get((clearing(peer), batch.books.categories[category]))
    if book is None:
        return 0
    (counters,) = batch.counters([book])
    return counters.credits_pending + counters.credits_posted - counters.debits_posted
