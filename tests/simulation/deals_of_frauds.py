"""Frauds: points awarded for what never took place, and taken back wherever they are; transfers claimed too late."""

from __future__ import annotations

from node.services.award import Award
from node.services.clawback.orders import ClaimTransfer, GoOn, StartClawback
from tests.federation import CATEGORIES
from tests.simulation.dealers import ACTS, ENDS, Dealer
from tests.simulation.region import Job

FRAUD = "虚假活动"
PEOPLE = {"by": "maker", "checked_by": "checker"}


def invent(d: Dealer) -> Job:
    """Award somebody for it."""
    key = d.key() | {"client": "city"}
    return d.client.job(
        Award(
            **key, account=d.client.account(), category=d.chance.choice(CATEGORIES[:2]), because=FRAUD,
            amount=d.chance.choice([4, 8, 12]),
        )
    )  # fmt: skip


def take_back(d: Dealer) -> Job | None:
    """Once, again while the first is under way, or again later."""
    category = d.chance.choice(CATEGORIES[:2])
    found = d.rows(
        "SELECT 1 FROM lot l JOIN balance b ON b.no = l.balance JOIN category c ON c.no = b.category "
        "WHERE l.because = ? AND l.issuer = ? AND l.transfer IS NULL AND c.code = ?", FRAUD, d.region.code, category
    )  # fmt: skip
    if not found:
        return None
    return d.say(StartClawback(**d.key(), **PEOPLE, activity=FRAUD, category=category))


def claim(d: Dealer) -> Job | None:
    """A transfer that should not have been: in time, too late, again, or one that was reversed."""
    found = d.rows("SELECT id FROM transfer WHERE source = ? ORDER BY no DESC LIMIT 12", d.region.code)
    if not found:
        return None
    return d.say(ClaimTransfer(**d.key(), **PEOPLE, transfer=d.chance.choice(found)[0], because="误转"))


def look_again(d: Dealer) -> Job:
    """As the node does by itself now and then."""
    return d.say(GoOn())


ACTS += [(invent, 6), (take_back, 3), (claim, 2), (look_again, 3)]
ENDS.append(lambda d: d.region.inbox.append(Job(command=GoOn())))
