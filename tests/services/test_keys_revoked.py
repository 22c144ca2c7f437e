"""A leaked key: what its thief signed beyond the last good prefix goes into suspense, what the owner signed arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from gateway.protocol.channel import Condition
from gateway.protocol.errors import Unauthentic
from gateway.protocol.members import Anchor, Key
from gateway.protocol.transfer import State
from gateway.protocol.values import Delivered, Draft, Kind
from node.region import LocalRegion
from node.services.claim import Cause, ClaimState
from node.services.keys.revocation import Judged, JudgeKeys
from node.services.verify.run import verify
from node.services.writer import WriterThread
from node.store import schema
from tests.federation import NOW_MS, Pair, TestRegion, pair, signing_key
from tests.services.delivery import A, B, alias_of
from tests.services.ledger import SALT, address, forge, ledger, offer, order, points, resident
from tests.services.test_keys_rotation import NEW, adopt, key, listed, pump, ready

REVOKED_MS = NOW_MS


def anchor(region: TestRegion, **changes: Any) -> Anchor:
    """A's log to B as its owner last saw it."""
    channel = region.writer.channels[B]
    good = {"epoch": channel.epoch.number, "size": channel.size, "root": channel.out_frontier.root()}
    return Anchor(destination=B, **{**good, **changes})


def revoked(region: TestRegion, *anchors: Anchor, at_ms: int = REVOKED_MS) -> Key:
    return key(signing_key(A), revoked_at_ms=at_ms, anchors=anchors)


def claims(region: TestRegion) -> list[tuple[int, int, bytes, str, int, int]]:
    c = schema.claim
    with region.store.read() as conn:
        rows = conn.execute(select(c.c.peer, c.c.cause, c.c.id, c.c.category, c.c.amount, c.c.state).order_by(c.c.no))
        return [tuple(row) for row in rows]


def accept(made: Pair, envelope: Any) -> None:
    """B believes it."""
    (said,) = made.regions[B].hear(A, envelope)
    assert isinstance(said, Delivered)


FORGED = b"forged transfer!"


@pytest.fixture
def leaked() -> Iterator[Pair]:
    """Three points have moved from A to B; then a thief with A's key has moved ten more that nobody gave."""
    made = pair((A, B))
    a, b, to = ready(made)
    a.one(order(to, 3))
    pump(made)
    accept(made, forge(a, B, [offer(alias_of(to), 10, id_=FORGED)]))
    assert points(b, "B")[0] + points(b, "B")[2] == 13
    yield made
    assert [check for check in verify(b.store) if not check.ok] == []


def test_a_thiefs_well_signed_offers_go_into_suspense_and_nothing_is_unposted(leaked: Pair) -> None:
    a, b = leaked.regions[A], leaked.regions[B]
    before = ledger(b)
    adopt(b, listed(leaked, revoked(a, anchor(a)), key(NEW)))
    assert b.one(JudgeKeys()) == Judged(claims=1)
    assert claims(b) == [(A, Cause.REVOKED_KEY, FORGED, "moral", 10, ClaimState.OPEN)]
    assert ledger(b) == before
    assert b.one(JudgeKeys()) == Judged(), "once for each list of keys"


def test_nothing_more_is_taken_in_under_a_revoked_key(leaked: Pair) -> None:
    a, b = leaked.regions[A], leaked.regions[B]
    later = forge(a, B, [offer(bytes(12), 5, id_=b"another forgery!")], first=0, first_root=bytes(32))
    adopt(b, listed(leaked, revoked(a, anchor(a)), key(NEW)))
    before = ledger(b)
    with pytest.raises(Unauthentic):
        b.hear(A, later)
    assert ledger(b) == before


def test_a_false_acceptance_is_claimed_too() -> None:
    made = pair((A, B))
    a, b, _ = ready(made)
    resident(b, "B2", 50)
    resident(a, "A2")
    placed = b.one(order(address(a, "A2"), 7, account="B2"))
    forged = forge(a, B, [Draft(Kind.ACCEPT, True, bytes.fromhex(placed.id), SALT)])
    accept(made, forged)
    assert points(b, "B2")[0] == 43
    adopt(b, listed(made, revoked(a, anchor(a)), key(NEW)))
    assert b.one(JudgeKeys()) == Judged(claims=1)
    assert claims(b) == [(A, Cause.REVOKED_KEY, bytes.fromhex(placed.id), "moral", 7, ClaimState.OPEN)]
    assert points(b, "B2")[0] == 43


def test_an_offer_that_waits_for_a_clerk_is_refused() -> None:
    made = pair((A, B), review_from=5)
    a, b, to = ready(made)
    accept(made, forge(a, B, [offer(alias_of(to), 10, id_=FORGED)]))
    adopt(b, listed(made, revoked(a, anchor(a)), key(NEW)))
    assert b.one(JudgeKeys()) == Judged(refused=1)
    assert claims(b) == []
    t = schema.transfer
    with b.store.read() as conn:
        assert conn.scalar(select(t.c.state).where(t.c.id == FORGED)) == State.REFUSED


@pytest.mark.parametrize(("at_ms", "found"), [(NOW_MS - 1, 2), (NOW_MS + 1, 0)])
def test_without_an_anchor_all_since_the_revocation_counts(leaked: Pair, at_ms: int, found: int) -> None:
    b = leaked.regions[B]
    adopt(b, listed(leaked, revoked(leaked.regions[A], at_ms=at_ms), key(NEW)))
    assert b.one(JudgeKeys()) == Judged(claims=found)


def test_an_anchor_that_comes_later_clears_what_was_good(leaked: Pair) -> None:
    a, b = leaked.regions[A], leaked.regions[B]
    first = listed(leaked, revoked(a, at_ms=NOW_MS - 1), key(NEW))
    for region in (a, b):
        adopt(region, first)
    b.one(JudgeKeys())
    adopt(b, listed(leaked, revoked(a, anchor(a), at_ms=NOW_MS - 1), key(NEW)))
    assert b.one(JudgeKeys()) == Judged(withdrawn=1)
    assert {row[2]: row[5] for row in claims(b)}[FORGED] == ClaimState.OPEN
    assert sorted(row[5] for row in claims(b)) == [ClaimState.OPEN, ClaimState.WITHDRAWN]


def test_an_anchor_that_contradicts_the_copy_held_here_quarantines_the_channel(leaked: Pair) -> None:
    a, b = leaked.regions[A], leaked.regions[B]
    adopt(b, listed(leaked, revoked(a, anchor(a, root=bytes(32))), key(NEW)))
    b.one(JudgeKeys())
    assert b.writer.channels[A].condition is Condition.QUARANTINED


def test_a_revoked_key_with_messages_in_flight() -> None:
    """The owner's own messages are refused with the rest, and sent again under the new key."""
    made = pair((A, B))
    a, b, to = ready(made)
    a.one(order(to, 3))
    pump(made)
    last_good = anchor(a)
    a.one(order(to, 4))
    made.collect()
    newer = listed(made, revoked(a, last_good), key(NEW))
    adopt(b, newer)
    with pytest.raises(Unauthentic):
        made.deliver()
    made.wire.clear()
    adopt(a, newer)
    a.office.keys.hold(a.office, [a.office.signing_key, NEW])
    assert a.office.keys.turn(a.office), "a revoked key is not waited for"
    b.one(JudgeKeys())
    made.open()
    assert points(b, "B") == (7, 0, 0)
    assert claims(b) == []


def test_what_was_verified_before_the_roster_came_is_judged_after_it() -> None:
    """Messages that wait for the writer while the roster is adopted do not slip past."""
    made = pair((A, B))
    a, b, to = ready(made)
    forged = forge(a, B, [offer(alias_of(to), 10, id_=FORGED)])
    newer = listed(made, revoked(a, anchor(a)), key(NEW))
    thread = WriterThread(b.writer)
    region = LocalRegion(b.office, b.store, thread, b.exchange)

    async def both() -> None:
        await asyncio.gather(region.hear(A, forged), region.hear_rosters([newer]))

    try:
        asyncio.run(both())
    finally:
        thread.stop()
    assert [row[2] for row in claims(b)] == [FORGED]
