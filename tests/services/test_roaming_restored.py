"""A region comes back from a backup while a visitor's points are held: what was said is done again, and only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.errors import Refused
from gateway.protocol.roaming import State
from gateway.protocol.values import Reason
from node.errors import Recovering
from node.services.account import OpenAccount
from node.services.award import Award
from node.services.recovery.history import Replayed
from node.services.roaming.counter import Shown
from node.services.roaming.ends import ASK_AFTER_MS, SweepAuthorisations
from node.store.engine import open_store
from tests.federation import Pair, pair
from tests.services.backups import agree, backup, restore
from tests.services.delivery import A, B
from tests.services.ledger import points, rows
from tests.services.roaming import (
    MINUTE_MS,
    at,
    authorised,
    capture,
    code,
    ends,
    furnish,
    late,
    position,
    purchase,
    redeemed,
    release,
    states,
)


@pytest.fixture
def two(new_database: Any) -> Iterator[Pair]:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)], rate=(2, 3))
    furnish(made)
    yield made
    for region in made.regions.values():
        region.store.close()


def outside(made: Pair, *found: Shown) -> list[object]:
    """All that residents, merchants and settlement see."""
    a, b = ends(made)
    return [
        *(states(made, each) for each in found),
        *(at(b, each)._replace(changed=0, at_ms=0, ended_ms=0) for each in found),
        points(a, "A"), points(a, "other"), position(a, B), position(b, A), redeemed(b),
    ]  # fmt: skip


def test_everything_said_after_the_backup_comes_back(two: Pair, tmp_path: Path) -> None:
    run(two, tmp_path, A)


def test_everything_asked_for_after_the_backup_comes_back(two: Pair, tmp_path: Path) -> None:
    run(two, tmp_path, B)


def run(two: Pair, tmp_path: Path, who: int) -> None:
    a, b = ends(two)
    open_before = authorised(two, a, b, 20)
    old = backup(two.regions[who], tmp_path / "old.sqlite")
    open_after, part, let_go = (authorised(two, a, b, amount) for amount in (10, 20, 4))
    refused = b.one(purchase(code(a), 4_000))
    asked_for = authorised(two, a, b, 2, minutes=1)
    b.do(taking := capture(part, 10), release(let_go))
    two.pump()
    late(two, MINUTE_MS + ASK_AFTER_MS)
    a.one(SweepAuthorisations())
    two.pump()
    every = (open_before, open_after, part, let_go, asked_for)
    before = outside(two, *every)
    assert states(two, asked_for) == (State.ENDED, State.ENDED)
    restore(two.regions[who], old)
    two.restart(who)
    assert outside(two, *every) == before
    assert at(b, refused).reason == Reason.INSUFFICIENT_POINTS
    agree(two)
    assert b.one(taking).state is State.PART_CAPTURED  # repeated under its key, done once
    for region in two.regions.values():
        region.one(Replayed(by="system"))
    b.do(capture(open_before), release(open_after))
    two.pump()
    assert states(two, open_before) == (State.CAPTURED, State.CAPTURED)
    assert states(two, open_after) == (State.RELEASED, State.RELEASED)
    assert redeemed(b) == 30
    agree(two)


@pytest.mark.parametrize("who", [A, B])
@pytest.mark.parametrize("end", [capture, release])
def test_an_authorisation_open_in_the_backup_and_ended_since(
    two: Pair, tmp_path: Path, who: int, end: Callable[[Shown], Any]
) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    old = backup(two.regions[who], tmp_path / "old.sqlite")
    b.one(end(found))
    two.pump()
    before = outside(two, found)
    restore(two.regions[who], old)
    two.restart(who)
    assert outside(two, found) == before
    with pytest.raises((Refused, Recovering)):
        b.one(capture(found))
    agree(two)


def test_a_code_that_was_used_before_the_restore_stays_used(two: Pair, tmp_path: Path) -> None:
    a, b = ends(two)
    text, refused = code(a, minutes=30), code(a, minutes=30)
    old = backup(a, tmp_path / "old.sqlite")
    b.do(purchase(text, 10), purchase(refused, 4_000))
    two.pump()
    restore(a, old)
    two.restart(A)
    a.one(Replayed(by="system"))
    again = [b.one(purchase(each, 2)) for each in (text, refused)]
    two.pump()
    assert {at(b, each).reason for each in again} == {Reason.CODE_NOT_VALID}
    assert points(a, "A") == (105, 15, 0)
    agree(two)


def test_a_region_that_recovers_holds_nothing_new(two: Pair, tmp_path: Path) -> None:
    a, b = ends(two)
    found, text = authorised(two, a, b, 10), code(a, minutes=30)
    old = backup(a, tmp_path / "old.sqlite")
    authorised(two, a, b, 2)
    restore(a, old)
    two.restart(A)  # its regional system has not repeated what it was told
    refused = b.one(purchase(text, 2))
    b.one(capture(found))
    two.pump()
    assert at(b, refused).reason == Reason.REGION_RECOVERING
    assert states(two, found) == (State.CAPTURED, State.CAPTURED)
    agree(two)


def test_points_awarded_after_the_backup_are_advanced_for_what_they_bought(two: Pair, tmp_path: Path) -> None:
    """The account, its award and its code are in no peer's log; the purchase is, and it stands."""
    a, b = ends(two)
    old = backup(a, tmp_path / "old.sqlite")
    award = Award(client="c", key="new", account="new", category="moral", amount=90)
    a.do(OpenAccount(name="new"), award)
    found = b.one(purchase(code(a, "new"), 60))
    two.pump()
    b.one(capture(found, 20))
    two.pump()
    assert points(a, "new") == (60, 0, 0)
    restore(a, old)
    two.restart(A)
    assert states(two, found) == (State.PART_CAPTURED, State.PART_CAPTURED)
    a.do(OpenAccount(name="new"), award)
    assert points(a, "new") == (60, 0, 0)
    assert a.writer.history.owed == 0
    assert (position(a, B), position(b, A)) == ((30, 0, 0), (0, 20, 0))
    agree(two)


def test_both_regions_restored_with_an_authorisation_open(two: Pair, tmp_path: Path) -> None:
    """What one of them still holds comes back; what both have lost never happened, on both sides."""
    a, b = ends(two)
    first = authorised(two, a, b, 10)
    older = backup(a, tmp_path / "a.sqlite")
    second = authorised(two, a, b, 20)
    newer = backup(b, tmp_path / "b.sqlite")
    b.do(capture(first), capture(second))
    two.pump()
    restore(a, older)
    restore(b, newer)
    two.wire.clear()
    two.open()
    assert [states(two, each) for each in (first, second)] == [(State.AUTHORISED, State.AUTHORISED)] * 2
    assert (points(a, "A"), redeemed(b)) == ((75, 45, 0), 0)
    agree(two)


def test_a_capture_that_was_never_sealed_is_captured_once(two: Pair, tmp_path: Path) -> None:
    """The peer has fenced nothing yet: what is said waits in the outbox, over a crash and a repetition."""
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    b.start()
    taking = capture(found, 20)
    b.do(taking, taking)
    assert len(rows(b, "outbox")["outbox"]) == 1
    b.start()
    b.one(taking)
    two.restart(B)
    assert states(two, found) == (State.PART_CAPTURED, State.PART_CAPTURED)
    assert (points(a, "A"), redeemed(b)) == ((90, 0, 0), 20)
    agree(two)
