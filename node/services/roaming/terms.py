"""Under which terms points are redeemed away from home: what the agreement of the two regions says, asked at both ends,
and what has been spent so far of what it allows.

No consent is asked for and no identity compared: the resident shows the code himself, and nothing about him goes over.
"""

from __future__ import annotations

from gateway.protocol.agreement.document import Feature
from gateway.protocol.agreement.verdict import Facts, judge
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Reason
from node.ledger.lots import Lot
from node.services.agreement import judging
from node.services.agreement.agreed import counts
from node.services.cover import Wanted
from node.services.cover import cover as covering
from node.services.office import Office, shanghai_date
from node.store.authorisations import Stored
from node.store.batch import Account, Batch


def agreed(office: Office, holder: int, counter: int, category: str) -> Terms:
    """How a category of the holder counts at a counter. Raises Refused(CATEGORY_NOT_MAPPED)."""
    terms = office.terms_for(holder, counter, category)
    if terms is None:
        raise Refused(Reason.CATEGORY_NOT_MAPPED, f"no terms turn {category!r} of {holder} into one of {counter}")
    return terms


def check_away(office: Office, holder: int, category: str, amount: int) -> None:
    """At the counter: whether the agreement with the holder, if there is one, lets so much be held at all.

    What was sent and is owed already the holder adds up. Raises Refused with the lowest reason.
    """
    agreement = office.agreements.by(holder)
    if agreement is not None:
        judge(agreement, Facts(holder, office.me, category, amount, Feature.ROAMING))


def check_home(
    office: Office, counter: int, category: str, amount: int, batch: Batch, objection: Refused | None
) -> None:  # fmt: skip
    """At the holder: the same, and whether the region owes too much by it. Of whom the points are is not known yet.

    Raises Refused with the lowest reason, `objection` (what the books have against it) where that is it.
    """
    agreement = office.agreements.by(counter, batch.today)
    if agreement is not None:
        judging.leaving(
            agreement, counter, category, amount, Feature.ROAMING, True, office, batch, objection=objection
        )  # fmt: skip
    elif objection is not None:
        raise objection


def cover(
    account: Account, terms: Terms, amount: int, office: Office, batch: Batch
) -> list[Lot]:  # fmt: skip
    """The lots of a resident that have so much, as far as it may be. Raises Refused with the lowest reason."""
    wanted = Wanted(account.name, terms.category, amount, Feature.ROAMING, True)
    return covering(wanted, terms, amount, office, batch)[2]


# -- counting, for what caps bound ------------------------------------------------------------------------------------


def count_held(found: Stored, office: Office, batch: Batch) -> None:
    """Points are held for a counter of another region: they count as sent."""
    pair = batch.usage.touch_pair(found.counter, False, found.category)
    pair.net += found.amount
    pair.add(found.amount, batch.today)
    if found.balance and _counts(found.counter, office, batch):
        batch.usage.touch(found.balance, found.counter).add(found.amount, batch.today)


def count_ended(found: Stored, spent: int, batch: Batch) -> None:
    """So much of them was spent; the rest is back, and counts no longer."""
    if spent:
        batch.usage.touch_pair(found.counter, True, found.becomes).net -= spent // found.rate_q * found.rate_p
    back, held_on = found.amount - spent, shanghai_date(found.at_ms)
    if not back:
        return
    pair = batch.usage.touch_pair(found.counter, False, found.category)
    pair.net -= back
    pair.take_off(back, held_on, batch.today)
    if found.balance and batch.usage.of(found.balance, found.counter) is not None:
        batch.usage.touch(found.balance, found.counter).take_off(back, held_on, batch.today)


def count_redeemed(found: Stored, batch: Batch) -> None:
    """At the counter: what was captured has come from the holder."""
    pair = batch.usage.touch_pair(found.holder, True, found.category)
    pair.net += found.captured
    pair.add(found.captured, batch.today)
    batch.usage.touch_pair(found.holder, False, found.becomes).net -= found.captured // found.rate_q * found.rate_p


def _counts(peer: int, office: Office, batch: Batch) -> bool:
    agreement = office.agreements.by(peer, batch.today)
    way = agreement.now.get(office.me) if agreement is not None else None
    return way is not None and counts(way)
