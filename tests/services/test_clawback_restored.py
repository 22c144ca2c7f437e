"""A region comes back from a backup in the middle of a clawback: every region still ends with exactly its share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.clawback import State
from node.services.recovery.history import Replayed
from node.services.spend import Spend
from node.services.transfer import Order
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair
from tests.services.backups import agree, backup, restore
from tests.services.clawing import FRAUD, all_of, claims, claw, go_on, positions
from tests.services.delivery import A, B, C
from tests.services.ledger import address, points, resident

STEPS = 5


@pytest.fixture
def three(new_database: Any) -> Iterator[Pair]:
    made = pair((A, B, C), stores=[open_store(new_database("sqlite")) for _ in range(3)], rate=(1, 2))
    resident(made.regions[A], "x", 100, because=FRAUD)
    for code in (B, C):
        resident(made.regions[code], "x")
    yield made
    for region in made.regions.values():
        region.store.close()


def steps(made: Pair) -> list[Callable[[], object]]:
    """A -> B -> C and back to A, partly spent, and all of it taken back."""
    a, b, c = (made.regions[code] for code in (A, B, C))
    to_b, to_c, to_a = address(b, "x"), address(c, "x"), address(a, "x")

    def order(to: str, amount: int, key: str) -> Order:
        return Order(client="c", key=key, account="x", category="moral", amount=amount, address=to)

    def spend(amount: int, key: str) -> Spend:
        return Spend(client="c", key=key, account="x", category="moral", amount=amount)

    def does(region: TestRegion, *commands: Spend | Order) -> Callable[[], None]:
        def step() -> None:
            for command in commands:
                region.one(command)
            made.pump()

        return step

    return [
        does(a, order(to_b, 90, "1")),
        does(b, spend(5, "s1"), order(to_c, 30, "2")),
        does(c, spend(3, "s2"), order(to_a, 6, "3")),
        lambda: claw(a, key="claw"),
        does(a),
    ]


def outside(made: Pair) -> list[object]:
    """What anybody can see of the end."""
    return [
        (code, points(region, "x"), sorted(claims(region)), positions(region))
        for code, region in sorted(made.regions.items())
    ]


def recovered(made: Pair, who: int, done: int) -> None:
    """The regional system repeats, in their order, what it was told is done at this region; then it is whole."""
    region = made.regions[who]
    lost = region.writer.history.recovering
    for at, of, amount, key in ((1, B, 5, "s1"), (2, C, 3, "s2")):
        if who == of and done > at:
            region.one(Spend(client="c", key=key, account="x", category="moral", amount=amount, replayed=lost))
    if who == A and done > 3:
        claw(region, key="claw")
    if lost:
        region.one(Replayed(by="operator"))
    made.pump()
    go_on(made)


@pytest.mark.parametrize("who", [A, B, C])
@pytest.mark.parametrize("after", range(3, STEPS))
@pytest.mark.parametrize("taken", [1, 2, 3])
def test_what_was_taken_back_before_the_loss_is_taken_back_once(
    three: Pair, tmp_path: Path, who: int, after: int, taken: int
) -> None:
    todo = steps(three)
    for step in todo[:taken]:
        step()
    old = backup(three.regions[who], tmp_path / "old.sqlite")
    for step in todo[taken : after + 1]:
        step()
    restore(three.regions[who], old)
    three.restart(who)
    recovered(three, who, after + 1)
    for step in todo[after + 1 :]:
        step()
    go_on(three)
    assert [row for region in three.regions.values() for row in all_of(region) if row.answered_ms is None] == []
    (root,) = [row for row in all_of(three.regions[A]) if row.state is State.DONE]
    assert (root.blocks, root.recovered + root.further + root.owed) == (100, 100)
    agree(three)
    assert outside(three) == expected()


def expected() -> list[object]:
    """As it ends where nothing is lost."""
    quiet = pair((A, B, C), rate=(1, 2))
    resident(quiet.regions[A], "x", 100, because=FRAUD)
    for code in (B, C):
        resident(quiet.regions[code], "x")
    for step in steps(quiet):
        step()
    go_on(quiet)
    return outside(quiet)
