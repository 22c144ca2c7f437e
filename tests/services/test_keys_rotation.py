"""Keys come and go while points move: nothing honest is refused, nothing new counts under a key that is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import codec, limits, roster
from gateway.protocol.errors import Unauthentic
from gateway.protocol.members import Key, Roster
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import Envelope, Fault, Head, Signed
from gateway.transport import messages as wire
from node.services import founding
from node.services.keys import turn as key_turn
from node.services.verify.run import verify
from tests.federation import NOW_MS, Pair, TestRegion, pair, signing_key
from tests.services.delivery import A, B
from tests.services.ledger import address, order, points, resident

NEW = signing_key("next of A")


def listed(made: Pair, *keys: Key) -> Signed:
    """The next roster: these are the keys of A."""
    now = made.regions[A].office.roster
    regions = tuple(replace(r, keys=keys) if r.code == A else r for r in now.regions)
    newer = replace(now, version=now.version + 1, issued_at_ms=made.regions[A].clock(), regions=regions)
    return roster.sign(newer, [signing_key("root 0"), signing_key("root 1")])


def adopt(region: TestRegion, *rosters: Signed) -> Roster:
    with region.store.write() as conn:
        region.office.roster = founding.trust(conn, rosters)
    return region.office.roster


def key(signing: SigningKey, **window: Any) -> Key:
    return Key(suite=signing.suite, public_key=signing.public_key, **window)


def ready(made: Pair) -> tuple[TestRegion, TestRegion, str]:
    a, b = made.regions[A], made.regions[B]
    resident(a, "A", 100)
    resident(b, "B")
    return a, b, address(b, "B")


def envelopes(made: Pair) -> list[Envelope]:
    decoded = [wire.decode(message) for source, _, message in made.wire if source == A]
    return [m for m in decoded if isinstance(m, Envelope)]


def head(envelope: Envelope) -> Head:
    value = codec.decode_payload(codec.HEAD, envelope.head.payload)
    assert isinstance(value, Head)
    return value


def pump(made: Pair) -> None:
    """Deliver everything; a message that somebody finds fault with fails the test."""
    while True:
        if not made.wire:
            made.collect()
        if not made.wire:
            return
        assert not isinstance(wire.decode(made.wire[0][2]), Fault)
        made.deliver()


def test_a_key_changes_while_points_move_and_no_message_is_refused() -> None:
    made = pair((A, B))
    a, b, to = ready(made)
    a.office.keys.hold(a.office, [a.office.signing_key, NEW])
    old = a.office.signing_key
    newer = listed(made, key(old), key(NEW))
    used = set()
    for step in range(8):
        a.one(order(to, 1))
        if step == 2:
            adopt(a, newer)
        if step == 4:
            adopt(b, newer)  # it takes some seconds to get there
        a.office.keys.turn(a.office)
        used.add(a.office.signing_key.id)
        pump(made)
        made.regions[A].clock.now_ms += 20_000
    assert used == {old.id, NEW.id}
    assert points(b, "B") == (8, 0, 0)
    assert all(check.ok for region in (a, b) for check in verify(region.store)), "what the old key signed verifies"


def test_the_first_head_under_a_new_key_stands_on_what_both_hold() -> None:
    made = pair((A, B))
    a, b, to = ready(made)
    old = a.office.signing_key
    newer = listed(made, key(old), key(NEW))
    for region in (a, b):
        adopt(region, newer)
    a.one(order(to, 1))
    pump(made)
    final = a.writer.channels[B].final
    a.one(order(to, 2))
    made.collect()
    (under_way,) = envelopes(made)
    made.wire.clear()  # lost, and nobody knows it yet
    a.office.keys.hold(a.office, [old, NEW])
    a.office.keys.turn(a.office, starting=True)
    made.regions[A].clock.now_ms += key_turn.ROSTER_REACHES_MS
    assert a.office.keys.turn(a.office)
    a.one(order(to, 3))
    made.collect()
    first = envelopes(made)[0]
    assert first.head.signatures[0].key_id == NEW.id
    assert head(first).first == final == head(under_way).first
    pump(made)
    assert points(b, "B") == (6, 0, 0)


def test_a_key_waits_for_its_day_by_more_than_the_clocks_may_differ() -> None:
    made = pair((A, B))
    a = made.regions[A]
    starts = NOW_MS + 3_600_000
    old = a.office.signing_key
    a.office.keys.hold(a.office, [old, NEW])
    adopt(a, listed(made, key(old), key(NEW, not_before_ms=starts)))
    clock = made.regions[A].clock
    for now, used in ((NOW_MS, old), (starts, old), (starts + limits.CLOCK_SKEW_MS, NEW)):
        clock.now_ms = now
        a.office.keys.turn(a.office)
        assert a.office.signing_key is used


def test_a_key_that_the_roster_does_not_list_signs_nothing() -> None:
    made = pair((A, B))
    a = made.regions[A]
    a.office.keys.hold(a.office, [a.office.signing_key, NEW])
    made.regions[A].clock.now_ms += 86_400_000
    assert not a.office.keys.turn(a.office, starting=True)


def test_an_expired_key_signs_nothing_new_and_the_next_takes_over_at_once() -> None:
    made = pair((A, B))
    a, b, to = ready(made)
    old = a.office.signing_key
    a.one(order(to, 1))
    pump(made)
    newer = listed(made, key(old, not_after_ms=NOW_MS + 1000), key(NEW))
    for region in (a, b):
        adopt(region, newer)
    made.regions[A].clock.now_ms = NOW_MS + 2000
    a.one(order(to, 2))
    made.collect()
    (late,) = envelopes(made)
    with pytest.raises(Unauthentic):
        b.hear(A, late)
    assert "expired" in key_turn.what_is_wrong(a.office)
    made.wire.clear()
    a.office.keys.hold(a.office, [old, NEW])
    assert a.office.keys.turn(a.office)
    assert key_turn.what_is_wrong(a.office) == ""
    made.open()  # the stream ended with the refusal
    assert points(b, "B") == (3, 0, 0)
    assert all(check.ok for check in verify(b.store)), "what it signed in its time verifies for ever"


def test_a_key_in_use_stays_in_use_while_files_are_renamed_under_it() -> None:
    made = pair((A, B))
    a = made.regions[A]
    old = a.office.signing_key
    adopt(a, listed(made, key(old), key(NEW)))
    a.office.keys.hold(a.office, [old, NEW])
    a.office.keys.turn(a.office)
    made.regions[A].clock.now_ms += key_turn.ROSTER_REACHES_MS
    a.office.keys.turn(a.office)
    assert a.office.signing_key is NEW
    for files in ([old, NEW], [NEW]):
        a.office.keys.hold(a.office, files)
        assert not a.office.keys.turn(a.office)
    assert a.office.signing_key is NEW
