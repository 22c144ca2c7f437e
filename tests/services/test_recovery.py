"""A region comes back from a backup: what its peers hold of it comes back, and is done again as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.protocol.address import ALIAS_BYTES, Address, write
from gateway.protocol.channel import Condition
from gateway.protocol.transfer import State
from gateway.protocol.values import Page
from gateway.transport import messages as wire
from node.errors import DatabaseFull
from node.services.award import Award
from node.services.handshake import Begin
from node.services.offer import Review
from node.services.recovery.history import Replayed
from node.services.reversal import AskReversal
from node.services.transfer import Cancel
from node.store import schema
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair
from tests.services.backups import agree, backup, restore
from tests.services.delivery import A, B, ends
from tests.services.ledger import address, ledger, order, points, resident
from tests.services.test_database_faults import pages


@pytest.fixture
def two(new_database: Any) -> Iterator[Pair]:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)], review_from=500)
    yield made
    for region in made.regions.values():
        region.store.close()


def transfers(region: TestRegion) -> list[tuple[object, ...]]:
    """What became of every transfer, and what an order repeated under its key would be compared with."""
    t, a, b = schema.transfer, schema.account, schema.balance
    told = (t.c.id, t.c.source, t.c.state, t.c.reason, t.c.digest, t.c.client_key, t.c.amount, t.c.arriving,
            t.c.purpose, t.c.cites, t.c.offered, t.c.answered, a.c.name)  # fmt: skip
    query = select(*told).select_from(t).outerjoin(b, b.c.no == t.c.balance).outerjoin(a, a.c.no == b.c.account)
    with region.store.read() as conn:
        # Whose address a refused offer named is forgotten with an address younger than the backup: nothing moved.
        return sorted((*row[:-1], row.name if row.state != State.REFUSED else None) for row in conn.execute(query))


def everyday(made: Pair) -> None:
    """Accepted, refused, reversed, cancelled and reviewed transfers, in both directions."""
    a, b = made.regions[A], made.regions[B]
    to, back = address(b, "B"), address(a, "A")
    first = a.one(order(to, 10))
    a.do(order(to, 5), order(to[:-8] + "00000000", 3))
    made.pump()
    b.do(order(back, 4, account="B"))
    a.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(first.id)))
    made.pump()
    waiting = [a.one(order(to, 500)) for _ in range(3)]
    made.pump()
    b.one(Review(source=A, id=bytes.fromhex(waiting[0].id), accept=True, by="clerk"))
    b.one(Review(source=A, id=bytes.fromhex(waiting[1].id), accept=False, by="clerk"))
    a.one(Cancel(id=bytes.fromhex(waiting[2].id)))
    made.pump()


@pytest.mark.parametrize("who", [A, B])
def test_a_node_restored_from_an_old_backup_gets_back_all_it_said(two: Pair, tmp_path: Path, who: int) -> None:
    a, b = ends(two)
    a.one(Award(client="c", key="more", account="A", category="moral", amount=5_000))
    a.one(order(address(b, "B"), 30))
    two.pump()
    lost = two.regions[who]
    old = backup(lost, tmp_path / "old.sqlite")
    everyday(two)
    before = {code: transfers(region) for code, region in two.regions.items()}
    had = points(a, "A"), points(b, "B")
    restore(lost, old)
    assert transfers(lost) != before[who]
    two.restart(who)
    assert {code: transfers(region) for code, region in two.regions.items()} == before
    assert (points(a, "A"), points(b, "B")) == had
    agree(two)


@pytest.mark.parametrize("who", [A, B])
def test_what_came_after_the_backup_only_at_home_is_advanced_and_repaid(two: Pair, tmp_path: Path, who: int) -> None:
    """Awards are in no peer's log. The region stands in for them until its regional system repeats them."""
    a, b = ends(two)
    lost = two.regions[who]
    old = backup(lost, tmp_path / "old.sqlite")
    award = Award(client="c", key="more", account="A", category="moral", amount=5_000)
    a.one(award)
    everyday(two)
    before = {code: transfers(region) for code, region in two.regions.items()}
    had = points(a, "A"), points(b, "B")
    restore(lost, old)
    two.restart(who)
    assert {code: transfers(region) for code, region in two.regions.items()} == before
    a.one(award)
    assert (points(a, "A"), points(b, "B")) == had
    assert a.writer.history.owed == 0
    agree(two)


def test_points_that_were_advanced_for_a_refused_transfer_are_in_lots_again(two: Pair, tmp_path: Path) -> None:
    """The offer and its refusal come back in one page, and the lot that the offer took from is not older than that."""
    a, b = ends(two)
    old = backup(a, tmp_path / "old.sqlite")
    resident(a, "new")
    award = Award(client="c", key="more", account="new", category="moral", amount=70)
    a.one(award)
    a.one(order(write(Address(B, bytes(ALIAS_BYTES))), 70, account="new"))
    two.pump()
    a.one(order(address(b, "B"), 10))  # which had seen the refusal
    two.pump()
    assert points(a, "new") == (70, 0, 0)
    restore(a, old)
    two.restart(A)
    agree(two)
    a.one(award)
    assert points(a, "new") == (70, 0, 0)
    assert a.writer.history.owed == 0
    agree(two)


def test_what_is_repeated_in_the_same_batch_as_the_page_that_brings_it_is_said_once(two: Pair, tmp_path: Path) -> None:
    a, b = ends(two)
    old = backup(a, tmp_path / "old.sqlite")
    first, second = order(address(b, "B"), 30), order(address(b, "B"), 20)
    a.do(first, second)
    two.pump()
    before = transfers(a)
    restore(a, old)
    two.wire.clear()
    two.send(A, B, a.say(B, Begin(peer=B)))
    while not isinstance(page := wire.decode(two.wire[0][2]), Page):
        two.deliver()
    third = replace(order(address(b, "B"), 10), replayed=True)  # which is at no peer
    *placed, _ = a.do(replace(first, replayed=True), third, replace(second, replayed=True), a.exchange.command(B, page))
    assert [answer.leaving for answer in placed] == [30, 10, 20]
    two.restart(A)
    a.one(Replayed(by="system"))
    two.restart(A)
    assert [t for t in transfers(a) if t in before] == before
    assert (points(a, "A"), points(b, "B")) == ((40, 0, 0), (60, 0, 0))
    agree(two)


def test_an_account_opened_after_the_backup_is_opened_again(two: Pair, tmp_path: Path) -> None:
    a, b = ends(two)
    old, there = backup(a, tmp_path / "a.sqlite"), backup(b, tmp_path / "b.sqlite")
    resident(a, "new", 100)
    resident(b, "fresh")
    a.one(order(address(b, "fresh"), 40, account="new"))
    two.pump()
    restore(a, old)
    two.restart(A)
    assert points(a, "new") == (0, 0, 0)
    assert a.writer.history.owed == 40
    agree(two)
    restore(b, there)
    two.restart(B)
    assert points(b, "fresh") == (40, 0, 0)
    agree(two)


def test_both_sides_restored_at_once(two: Pair, tmp_path: Path) -> None:
    """What one of them still holds comes back; what both have lost never happened, on both sides."""
    a, b = ends(two)
    a.one(Award(client="c", key="more", account="A", category="moral", amount=5_000))
    older = backup(a, tmp_path / "a.sqlite")
    a.one(order(address(b, "B"), 7))
    two.pump()
    newer = backup(b, tmp_path / "b.sqlite")
    everyday(two)
    restore(a, older)
    restore(b, newer)
    two.wire.clear()
    two.open()
    agree(two)
    assert points(b, "B") == (7, 0, 0)
    assert points(a, "A") == (5_093, 0, 0)


def test_a_restore_during_a_restore(two: Pair, tmp_path: Path) -> None:
    a, _ = ends(two)
    a.one(Award(client="c", key="more", account="A", category="moral", amount=5_000))
    old = backup(a, tmp_path / "a.sqlite")
    again = backup(a, tmp_path / "again.sqlite")
    everyday(two)
    before, had = transfers(a), points(a, "A")
    restore(a, old)
    two.wire.clear()
    two.send(A, B, a.say(B, Begin(peer=B)))
    for _ in range(4):
        two.deliver()
    assert condition(a, B) is Condition.RESTORED
    restore(a, again)
    two.restart(A)
    assert transfers(a) == before
    assert points(a, "A") == had
    agree(two)


def test_a_peer_that_restarts_during_my_recovery(two: Pair, tmp_path: Path) -> None:
    a, _ = ends(two)
    a.one(Award(client="c", key="more", account="A", category="moral", amount=5_000))
    old = backup(a, tmp_path / "a.sqlite")
    everyday(two)
    before = transfers(a)
    restore(a, old)
    two.wire.clear()
    two.send(A, B, a.say(B, Begin(peer=B)))
    for _ in range(3):
        two.deliver()
    two.restart(B)
    assert transfers(a) == before
    agree(two)


def test_a_backup_of_an_abandoned_history(two: Pair, tmp_path: Path) -> None:
    """Without its witness a region can only be told by its peers that this is not the history it went on with."""
    a, b = ends(two)
    to = address(b, "B")
    a.one(order(to, 1))
    two.pump()
    old = backup(b, tmp_path / "old.sqlite")
    a.one(order(to, 2))
    two.collect()
    two.deliver()  # B holds it and has answered; A hears nothing of it
    two.wire.clear()
    left = backup(b, tmp_path / "left.sqlite")
    restore(b, old)
    a.start()  # A forgets what it sent and numbers it again, behind another message
    two.open()
    a.one(order(to, 3))
    two.pump()
    agree(two)
    restore(b, left)
    two.wire.clear()
    two.open()
    agree_or_stopped(two)


def empty_the_wire(made: Pair) -> None:
    while made.wire:
        made.deliver()


def condition(region: TestRegion, peer: int) -> Condition:
    return region.writer.channels[peer].condition


def agree_or_stopped(made: Pair) -> None:
    if all(condition(r, p) is Condition.OPEN for r, p in ((made.regions[A], B), (made.regions[B], A))):
        agree(made)


@pytest.mark.parametrize("room", [0, 1, 3, 8])
def test_a_full_disk_while_lost_messages_come_back(two: Pair, tmp_path: Path, room: int) -> None:
    """A page is taken in whole or not at all; with room again the recovery goes on where it stood."""
    a, b = ends(two)
    a.one(Award(client="c", key="more", account="A", category="moral", amount=5_000))
    old = backup(a, tmp_path / "a.sqlite")
    to = address(b, "B")
    a.do(*(order(to, 3) for _ in range(300)))
    two.pump()
    before, had = transfers(a), points(a, "A")
    restore(a, old)
    two.wire.clear()
    two.send(A, B, a.say(B, Begin(peer=B)))
    for _ in range(3):
        two.deliver()  # Resume, Fenced, Pull: the page is on its way
    pages(a.store, room)
    kept = ledger(a)
    with pytest.raises(DatabaseFull):
        empty_the_wire(two)
    assert ledger(a) == kept
    pages(a.store, None)
    two.restart(A)
    assert (transfers(a), points(a, "A")) == (before, had)
    agree(two)


def test_a_head_that_was_signed_before_its_transaction_rolled_back(two: Pair, tmp_path: Path) -> None:
    """The peer holds what this region never committed: it is its own word all the same, and it stands by it."""
    a, b = ends(two)
    to = address(b, "B")
    old = backup(a, tmp_path / "a.sqlite")
    a.one(order(to, 40))
    two.collect()
    two.deliver()  # the envelope; the receipt is lost with the transaction
    restore(a, old)
    two.restart(A)
    assert (points(a, "A"), points(b, "B")) == ((60, 0, 0), (40, 0, 0))
    agree(two)
