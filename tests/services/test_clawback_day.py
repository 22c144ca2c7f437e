"""The day a fake activity of 200 people comes to light: their points have moved on twice, and are partly spent."""

from __future__ import annotations

import random

import pytest

from gateway.protocol.clawback import State
from gateway.protocol.errors import Refused
from node.services.account import OpenAccount
from node.services.address import NewAddress
from node.services.award import Award
from node.services.spend import Spend
from node.services.transfer import Order
from node.services.verify.run import verify
from tests.federation import Pair, TestRegion, pair
from tests.services.clawing import FRAUD, all_of, began, claims, claw, go_on, positions
from tests.services.test_clawback_anywhere import balanced, debited, lots, used

PEOPLE = 200
POINTS = 10
CODES = (330100, 330200, 330400, 330600)
A = CODES[0]


def names() -> list[str]:
    return [f"resident {no}" for no in range(PEOPLE)]


def day(seed: int) -> Pair:
    """Two hundred people got points for it; most sent them on, some of these again, some have spent what they had."""
    chance = random.Random(f"day {seed}")
    made = pair(CODES)
    for code, region in made.regions.items():
        region.do(*(OpenAccount(name=name) for name in names()))
        honest = [award(name, f"{code} {name}", chance.randint(1, 5), "blood donation") for name in names()]
        region.do(*honest)
    made.regions[A].do(*(award(name, f"fraud {name}", POINTS, FRAUD) for name in names()))
    here = dict.fromkeys(names(), A)
    for hop in range(2):
        for name in names():
            if chance.random() < 0.2:
                spend(made.regions[here[name]], name, f"{hop}", chance.randint(1, 6))
            if chance.random() < 0.8:
                to = chance.choice([code for code in CODES if code != here[name]])
                send(made, here[name], to, name, f"{hop} {name}", chance.randint(3, POINTS))
                here[name] = to
        made.pump()
    for name in names():
        if chance.random() < 0.3:
            spend(made.regions[here[name]], name, "last", chance.randint(1, POINTS))
    return made


def award(name: str, key: str, amount: int, because: str) -> Award:
    return Award(client="c", key=key, account=name, category="moral", amount=amount, because=because)


def spend(region: TestRegion, name: str, key: str, amount: int) -> None:
    region.do(Spend(client="c", key=f"spend {key} {name}", account=name, category="moral", amount=amount))


def send(made: Pair, source: int, to: int, name: str, key: str, amount: int) -> None:
    address = made.regions[to].one(NewAddress(account=name)).address
    try:
        made.regions[source].one(
            Order(client="c", key=key, account=name, category="moral", amount=amount, address=address)
        )  # fmt: skip
    except Refused:
        pass  # he has spent it


@pytest.mark.parametrize("seed", range(2))
def test_every_point_of_it_is_taken_back_or_owed_along_the_chain_or_lost_at_home(seed: int) -> None:
    made = day(seed)
    a = made.regions[A]
    started = claw(a)
    made.pump()
    go_on(made)
    row = began(a, started)
    taken = sum(debited(region) for region in made.regions.values())
    gone = {
        code: sum(units for no, units in used(region).items() if lots(region)[no][1])
        for code, region in made.regions.items()
    }
    left = [lot for region in made.regions.values() for lot, bad in lots(region).values() if bad and lot.remaining]
    assert (row.state, row.blocks, left) == (State.DONE, PEOPLE * POINTS, [])
    assert row.recovered + row.further == taken
    assert taken + sum(gone.values()) == PEOPLE * POINTS
    assert row.owed == sum(amount for _, mine, _, amount in claims(a) if not mine)
    assert [r for region in made.regions.values() for r in all_of(region) if r.answered_ms is None] == []
    balanced(made, (1, 1))
    for code, region in made.regions.items():
        owed = [(mine, amount) for _, mine, _, amount in claims(region)]
        share = sum(amount if mine else -amount for mine, amount in owed)
        if code != A:  # whoever honoured it is owed exactly what was spent there
            assert share == gone[code]
        assert positions(region)
        assert [check for check in verify(region.store) if not check.ok] == []
