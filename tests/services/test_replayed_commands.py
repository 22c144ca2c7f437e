"""The regional system repeats what it was told is done: nobody goes below zero, and what is advanced comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.protocol.errors import Refused
from node.ledger.accounts import AccountState
from node.services.account import OpenAccount
from node.services.award import Award
from node.services.recovery.history import Replayed
from node.services.spend import Spend
from tests.federation import Pair, TestRegion
from tests.services.delivery import A, B, ends
from tests.services.ledger import address, order, points, resident, rows, set_state
from tests.services.restoring import backup, reopen, restore, sound, start, witnessed


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Pair]:
    found = witnessed(tmp_path)
    ends(found)
    yield found
    sound(found)


def award(units: int, key: str, account: str = "A", **more: int) -> Award:
    return Award(client="c", key=key, account=account, category="moral", amount=units, **more)


def spend(units: int, key: str, *, account: str = "A", replayed: bool = False) -> Spend:
    return Spend(client="c", key=key, account=account, category="moral", amount=units, replayed=replayed)


def lost(folder: Path, made: Pair, *commands: object) -> TestRegion:
    """A restored from a backup made before these commands."""
    a = made.regions[A]
    old = backup(folder, a)
    for command in commands:
        a.one(command)
    restore(folder, a, old)
    made.wire.clear()
    return a


def owed(region: TestRegion) -> int:
    return region.writer.history.owed


def whole(made: Pair, region: TestRegion) -> None:
    reopen(made)
    region.one(Replayed(by="system"))
    assert not region.writer.history.recovering


def test_an_acknowledged_spend_is_done_again_once(tmp_path: Path, made: Pair) -> None:
    a = lost(tmp_path, made, spend(40, "tea"))
    assert points(a, "A") == (100, 0, 0)
    for _ in range(2):
        assert a.one(spend(40, "tea", replayed=True)).amount == 40
    assert points(a, "A") == (60, 0, 0)
    assert owed(a) == 0
    whole(made, a)
    assert a.one(spend(40, "tea")).amount == 40
    assert points(a, "A") == (60, 0, 0)


def test_what_lacks_is_advanced_and_the_next_award_repays_it(tmp_path: Path, made: Pair) -> None:
    a = lost(tmp_path, made, award(500, "big"), spend(540, "tea"))
    a.one(spend(540, "tea", replayed=True))
    assert points(a, "A") == (0, 0, 0)
    assert owed(a) == 440
    a.one(award(30, "small"))
    assert points(a, "A") == (0, 0, 0)
    assert owed(a) == 410
    a.one(award(500, "big"))  # replayed after the spend it paid for
    assert points(a, "A") == (90, 0, 0)
    assert owed(a) == 0
    whole(made, a)
    a.one(award(7, "next"))
    assert points(a, "A") == (97, 0, 0)


def test_a_debt_outlives_the_recovery_and_the_process(tmp_path: Path, made: Pair) -> None:
    a = lost(tmp_path, made, award(500, "big"), spend(540, "tea"))
    a.one(spend(540, "tea", replayed=True))
    whole(made, a)
    start(tmp_path, a)
    made.restart(A)
    assert owed(a) == 440
    a.one(award(441, "next"))
    assert points(a, "A") == (1, 0, 0)
    assert owed(a) == 0


def test_what_arrives_from_another_region_repays_once_it_is_final(tmp_path: Path, made: Pair) -> None:
    a, b = lost(tmp_path, made, award(500, "big"), spend(540, "tea")), made.regions[B]
    a.one(spend(540, "tea", replayed=True))
    whole(made, a)
    resident(b, "B2", 450)
    b.one(order(address(a, "A"), 450, account="B2"))
    made.pump()
    assert points(a, "A") == (10, 0, 0)
    assert owed(a) == 0


def test_points_that_come_back_from_a_refused_transfer_repay(tmp_path: Path, made: Pair) -> None:
    a, b = lost(tmp_path, made, award(500, "big"), spend(540, "tea")), made.regions[B]
    resident(b, "gone")
    nowhere = address(b, "gone")
    set_state(b, "gone", AccountState.CLOSED)
    reopen(made)
    a.one(order(nowhere, 100, replayed=True))
    a.one(spend(540, "tea", replayed=True))
    assert points(a, "A") == (0, 100, 0)
    assert owed(a) == 540
    made.pump()
    assert points(a, "A") == (0, 0, 0)
    assert owed(a) == 440


def test_an_acknowledged_order_is_held_again_though_points_lack(tmp_path: Path, made: Pair) -> None:
    b = made.regions[B]
    transfer = order(address(b, "B"), 300, key="move", replayed=True)
    a = lost(tmp_path, made, award(500, "big"))
    placed = a.one(transfer)
    assert points(a, "A") == (0, 300, 0)
    assert owed(a) == 200
    assert a.one(transfer).id == placed.id
    whole(made, a)
    assert points(b, "B") == (300, 0, 0)
    assert points(a, "A") == (0, 0, 0)


def test_points_that_expired_since_still_pay_for_what_was_done_before(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    resident(a, "late", 50, expires=20261201)
    lost(tmp_path, made, spend(50, "tea", account="late"))
    a.clock.now_ms += 60 * 86_400_000
    a.one(spend(50, "tea", account="late", replayed=True))
    assert points(a, "late") == (0, 0, 0)
    assert owed(a) == 0


def test_a_frozen_account_does_not_stop_what_was_done(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    set_state(a, "A", AccountState.FROZEN)
    lost(tmp_path, made, OpenAccount(name="other"))
    assert a.one(spend(10, "tea", replayed=True)).amount == 10


def test_a_replay_in_the_wrong_order_is_refused_and_succeeds_later(tmp_path: Path, made: Pair) -> None:
    a = lost(tmp_path, made, OpenAccount(name="new"), award(9, "first", "new"), spend(9, "tea", account="new"))
    with pytest.raises(Refused):
        a.one(spend(9, "tea", account="new", replayed=True))
    a.one(OpenAccount(name="new"))
    a.one(spend(9, "tea", account="new", replayed=True))
    a.one(award(9, "first", "new"))
    assert points(a, "new") == (0, 0, 0)
    assert owed(a) == 0


def test_the_word_replayed_forces_nothing_in_a_region_that_is_whole(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    before = rows(a, "posting", "lot", "owed")
    with pytest.raises(Refused):
        a.one(spend(1000, "tea", replayed=True))
    with pytest.raises(Refused):
        a.one(spend(1000, "tea"))
    assert rows(a, "posting", "lot", "owed") == before
