"""Visitors: codes shown at counters elsewhere, in time, twice, too late or guessed; purchases captured and released."""

from __future__ import annotations

from typing import Any

from gateway.protocol import roaming
from node.services.roaming.counter import AskToHold, Capture, Release
from node.services.roaming.ends import SweepAuthorisations
from node.services.roaming.home import CodeAnswer, NewCode
from tests.federation import CATEGORIES
from tests.simulation.dealers import ACTS, ENDS, Dealer
from tests.simulation.region import Job


def show_code(d: Dealer) -> Job:
    """A resident sets out."""

    def told(answer: Any) -> None:
        if isinstance(answer, CodeAnswer):
            d.codes.append((d.region.code, answer.code))
            if d.chance.random() < 0.7:
                _buy(d.fellows[d.peer()], answer.code)

    return d.say(NewCode(account=d.client.account(), minutes=d.chance.choice([1, 10, 30])), told)


def buy(d: Dealer) -> Job:
    """With a code that is fresh, was used, or has expired, or one that somebody made up."""
    codes = [code for region, code in d.codes if region != d.region.code or d.chance.random() < 0.1]
    if codes and d.chance.random() < 0.9:
        return _buy(d, d.chance.choice(codes[-3:] if d.chance.random() < 0.9 else codes))
    return _buy(d, roaming.write_code(d.peer(), d.chance.randbytes(roaming.CODE_BYTES)))


def _buy(d: Dealer, code: str) -> Job:
    return d.say(
        AskToHold(
            **d.key(), code=code, category=d.chance.choice(CATEGORIES[:2]), amount=d.chance.choice([2, 4, 6, 6, 9]),
            minutes=d.chance.choice([1, 30, 30, 600]),
        )
    )  # fmt: skip


def _found(d: Dealer) -> Any:
    open_only = " AND state = 2" if d.chance.random() < 0.85 else ""
    found = d.rows(f"SELECT id, arriving FROM authorisation WHERE counter = ?{open_only} ORDER BY id", d.region.code)
    return d.chance.choice(found) if found else None


def capture(d: Dealer) -> Job | None:
    """All of it, a part, or more than was authorised."""
    found = _found(d)
    if found is None:
        return None
    return d.say(
        Capture(**d.key(), authorisation=found[0], amount=d.chance.choice([0, 0, 1, 2, found[1], found[1] + 1]))
    )


def release(d: Dealer) -> Job | None:
    """Nothing was bought."""
    found = _found(d)
    return None if found is None else d.say(Release(**d.key(), authorisation=found[0]))


def sweep(d: Dealer) -> Job:
    """As the node does by itself now and then."""
    return d.say(SweepAuthorisations())


ACTS += [(show_code, 14), (buy, 6), (capture, 24), (release, 2), (sweep, 3)]
ENDS.append(lambda d: d.region.inbox.append(Job(command=SweepAuthorisations())))
