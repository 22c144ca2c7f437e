"""Purchases away from home in histories that chance makes: crashes, silence, restores and crossing messages.

Whatever happens, both regions end with the same state of every authorisation and the same position, no point is lost or
made, and journal and logs derive every table.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.errors import Refused
from gateway.protocol.roaming import State, is_over
from node.errors import Recovering
from node.services.recovery.history import Replayed
from node.services.roaming.counter import Shown
from node.services.roaming.ends import ASK_AFTER_MS, SweepAuthorisations
from node.store import authorisations
from node.store.authorisations import Stored
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair
from tests.services.backups import agree, backup, restore
from tests.services.delivery import A, B
from tests.services.ledger import points
from tests.services.roaming import MINUTE_MS, capture, code, ends, furnish, position, purchase, redeemed, release

STEPS = 60


class Play:
    """One history."""

    def __init__(self, made: Pair, folder: Path, seed: int) -> None:
        self.made, self.folder, self.chance = made, folder, random.Random(seed)
        self.found: list[Shown] = []
        self.codes: list[str] = []
        self.backups: dict[int, Path] = {}
        self.acts: list[tuple[int, Callable[[], None]]] = [
            (6, self.buy), (9, self.take), (2, self.let_go), (20, self.talk), (1, self.later), (2, self.crash),
            (1, self.keep), (2, self.lose), (1, self.sweep),
        ]  # fmt: skip

    def run(self) -> None:
        """So many acts, then all that is open comes to its end."""
        weights = [weight for weight, _ in self.acts]
        for _ in range(STEPS):
            ((_, act),) = self.chance.choices(self.acts, weights)
            with suppress(Refused, Recovering):
                act()
        self.end()

    def buy(self) -> None:
        a, b = ends(self.made)
        if not self.codes or self.chance.random() < 0.9:
            self.codes.append(code(a, self.chance.choice(["A", "other"]), minutes=30))
        text, amount = self.chance.choice(self.codes[-2:]), 2 * self.chance.randint(1, 6)
        self.found.append(b.one(purchase(text, amount, minutes=self.chance.choice([1, 30]))))

    def take(self) -> None:
        found = self.chance.choice(self.found[-4:]) if self.found else None
        if found is not None:
            some = capture(found, self.chance.choice([0, 2, 10, 2 * found.arriving]))
            self.made.regions[B].do(*[some] * self.chance.choice([1, 1, 2]))

    def let_go(self) -> None:
        if self.found:
            self.made.regions[B].do(release(self.chance.choice(self.found[-4:])))

    def talk(self) -> None:
        for _ in range(self.chance.randint(1, 16)):
            if not self.made.wire:
                self.made.collect()
            if self.made.wire:
                self.made.deliver()

    def later(self) -> None:
        self.made.regions[A].clock.now_ms += self.chance.choice([1_000, MINUTE_MS, ASK_AFTER_MS])

    def sweep(self) -> None:
        self.made.regions[self.chance.choice([A, B])].one(SweepAuthorisations())

    def crash(self) -> None:
        self.made.restart(self.chance.choice([A, B]))

    def keep(self) -> None:
        who = self.chance.choice([A, B])
        self.backups[who] = backup(self.made.regions[who], self.folder / f"{who} {self.chance.random()}.sqlite")

    def lose(self) -> None:
        who = self.chance.choice([A, B])
        if old := self.backups.pop(who, None):
            restore(self.made.regions[who], old)
            self.made.restart(who)
            self.made.regions[who].one(Replayed(by="system"))
            self.made.restart(who)

    def end(self) -> None:
        self.made.restart(A)
        for _ in range(3):
            self.made.regions[A].clock.now_ms += 31 * MINUTE_MS
            for who in self.chance.sample([A, B], 2):
                self.made.regions[who].one(SweepAuthorisations())
                self.made.pump()


@pytest.fixture
def two(new_database: Any) -> Iterator[Pair]:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)], rate=(2, 3))
    furnish(made)
    yield made
    for region in made.regions.values():
        region.store.close()


def everything(region: TestRegion) -> dict[bytes, Stored]:
    """All authorisations of a region, by id."""
    with region.store.read() as conn:
        return {found.id: found for found in authorisations.after(conn, 0, 1_000)}


@pytest.mark.parametrize("seed", range(12))
def test_every_history_ends_alike_in_both_regions_and_loses_nothing(two: Pair, tmp_path: Path, seed: int) -> None:
    play = Play(two, tmp_path, seed)
    play.run()
    a, b = ends(two)
    at_home, at_counter = everything(a), everything(b)
    assert [found.state.name for found in at_counter.values() if not is_over(found.state)] == []
    held = {id_: found for id_, found in at_counter.items() if found.state is not State.REFUSED}
    assert {id_: (f.state, f.captured, f.amount, f.reference) for id_, f in at_home.items()} == {
        id_: (f.state, f.captured, f.amount, f.reference) for id_, f in held.items()
    }
    spent = sum(found.captured for found in held.values())
    assert position(a, B) == (spent, 0, 0)
    assert position(b, A) == (0, spent // 3 * 2, 0)
    assert redeemed(b) == spent // 3 * 2
    assert points(a, "A")[0] + points(a, "other")[0] + spent - a.writer.history.owed == 180
    assert points(a, "A")[1] == points(a, "other")[1] == 0
    assert len(at_home) <= len(play.codes)  # a code works once
    agree(two)
