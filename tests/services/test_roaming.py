"""A visitor spends away from home: what is held, captured and released, and what it leaves in the books."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from gateway.protocol.errors import Refused
from gateway.protocol.roaming import LASTS_MOST_MS, State
from gateway.protocol.values import Kind, Reason
from node.services.expiry import Sweep
from node.services.roaming.ends import ASK_AFTER_MS, AuthorisationsSwept, SweepAuthorisations
from node.services.topics import RequestState
from node.services.verify.run import verify
from node.store import schema
from tests.federation import Pair, TestRegion
from tests.services.delivery import A, B
from tests.services.ledger import points
from tests.services.roaming import (
    DAY_MS,
    MINUTE_MS,
    at,
    authorised,
    capture,
    code,
    ends,
    late,
    position,
    purchase,
    redeemed,
    release,
    sound,
    states,
    visitor,
)


@pytest.fixture
def two() -> Pair:
    return visitor()


def lots(region: TestRegion) -> dict[int, int]:
    """What remains of the visitor's first two, by expiry."""
    lo = schema.lot
    with region.store.read() as conn:
        return {row.expires: row.remaining for row in conn.execute(select(lo).where(lo.c.remaining > 0, lo.c.no <= 2))}


# -- the way it goes --------------------------------------------------------------------------------------------------


def test_what_is_captured_is_owed_and_the_rest_goes_back_into_the_very_lots(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 60)
    assert (points(a, "A"), position(a, B), lots(a)) == ((30, 90, 0), (0, 0, 90), {20991231: 30})
    assert redeemed(b) == 0
    b.one(capture(found, 24))
    two.pump()
    assert states(two, found) == (State.PART_CAPTURED, State.PART_CAPTURED)
    assert (points(a, "A"), lots(a)) == ((84, 0, 0), {20270101: 24, 20991231: 60})
    assert (position(a, B), position(b, A)) == ((36, 0, 0), (0, 24, 0))
    assert (redeemed(a), redeemed(b)) == (0, 24)
    sound(two)


def test_all_of_it_is_captured(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    assert b.one(capture(found)).captured_arriving == 40
    two.pump()
    assert states(two, found) == (State.CAPTURED, State.CAPTURED)
    assert (points(a, "A"), position(a, B), position(b, A), redeemed(b)) == ((60, 0, 0), (60, 0, 0), (0, 40, 0), 40)
    sound(two)


def test_what_is_released_goes_back_into_the_very_lots(two: Pair) -> None:
    a, b = ends(two)
    before = lots(a)
    found = authorised(two, a, b, 60)
    b.one(release(found))
    two.pump()
    assert states(two, found) == (State.RELEASED, State.RELEASED)
    assert (points(a, "A"), lots(a), position(a, B), redeemed(b)) == ((120, 0, 0), before, (0, 0, 0), 0)
    sound(two)


def test_points_that_expire_while_they_are_held_live_on_for_a_while(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40, minutes=LASTS_MOST_MS // MINUTE_MS)
    late(two, 40 * DAY_MS)
    assert a.one(Sweep()).units == 0  # what is held does not expire
    b.one(SweepAuthorisations())
    two.pump()
    assert states(two, found) == (State.RELEASED, State.RELEASED)
    assert points(a, "A") == (120, 0, 0)
    assert a.one(Sweep()).units == 0
    late(two, 31 * DAY_MS)
    assert a.one(Sweep()).units == 60
    sound(two)


# -- exactly once ----------------------------------------------------------------------------------------------------


def test_every_command_repeated_under_its_key_is_done_once(two: Pair) -> None:
    a, b = ends(two)
    ask = purchase(code(a), 40)
    found = b.one(ask)
    assert b.one(ask).id == found.id
    two.pump()
    assert b.one(ask).state is State.AUTHORISED
    taking = capture(found, 20)
    b.do(taking, taking)
    two.pump()
    assert b.one(taking).state is State.PART_CAPTURED
    assert (points(a, "A"), redeemed(b)) == ((90, 0, 0), 20)
    for other in (replace(ask, amount=20), replace(ask, reference="x"), replace(taking, amount=10)):
        with pytest.raises(Refused, match="CONFLICT_DIFFERENT_CONTENT"):
            b.one(other)
    sound(two)


@pytest.mark.parametrize("heard", [0, 1])
@pytest.mark.parametrize("who", [A, B])
def test_an_answer_that_is_lost_comes_again(two: Pair, who: int, heard: int) -> None:
    """The processes die with what is under way; what was said is said again and done once."""
    a, b = ends(two)
    ask = purchase(code(a), 40)
    found = b.one(ask)
    lose(two, who, heard)
    assert states(two, found) == (State.AUTHORISED, State.AUTHORISED)
    b.one(taking := capture(found, 20))
    lose(two, who, heard)
    b.do(ask, taking)
    two.pump()
    assert states(two, found) == (State.PART_CAPTURED, State.PART_CAPTURED)
    assert (points(a, "A"), position(a, B), position(b, A), redeemed(b)) == ((90, 0, 0), (30, 0, 0), (0, 20, 0), 20)
    sound(two)


def lose(made: Pair, who: int, heard: int) -> None:
    """So many messages arrive, then a process dies and starts again."""
    made.collect()
    for _ in range(min(heard, len(made.wire))):
        made.deliver()
    made.wire.clear()
    made.restart(who)


# -- the end that nobody brings about --------------------------------------------------------------------------------


def test_what_nobody_captures_is_released_by_the_counter(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40, minutes=10)
    assert b.one(SweepAuthorisations()) == AuthorisationsSwept(released=0, asked=0)
    late(two, 10 * MINUTE_MS)
    assert b.one(SweepAuthorisations()) == AuthorisationsSwept(released=1, asked=0)
    assert b.one(SweepAuthorisations()) == AuthorisationsSwept(released=0, asked=0)
    two.pump()
    assert states(two, found) == (State.RELEASED, State.RELEASED)
    assert points(a, "A") == (120, 0, 0)


def test_silence_ends_nothing(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    late(two, 400 * DAY_MS)
    for _ in range(3):
        a.one(SweepAuthorisations())
    a.start()
    a.one(SweepAuthorisations())
    assert points(a, "A")[1] == 60
    assert at(a, found).state is State.AUTHORISED


def test_the_home_region_asks_and_the_counter_ends_it(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40, minutes=10)
    late(two, 10 * MINUTE_MS + ASK_AFTER_MS)
    assert a.one(SweepAuthorisations()) == AuthorisationsSwept(released=0, asked=1)
    assert a.one(SweepAuthorisations()) == AuthorisationsSwept(released=0, asked=0)
    two.pump()
    assert states(two, found) == (State.ENDED, State.ENDED)
    assert points(a, "A") == (120, 0, 0)
    with pytest.raises(Refused, match="AUTHORISATION_ENDED"):
        b.one(capture(found))
    assert b.one(SweepAuthorisations()) == AuthorisationsSwept(released=0, asked=0)
    sound(two)


def test_a_capture_and_the_question_cross(two: Pair) -> None:
    """The counter has captured; the question that comes then is told so, and the capture stands."""
    a, b = ends(two)
    found = authorised(two, a, b, 40, minutes=10)
    late(two, 9 * MINUTE_MS)
    b.one(capture(found, 20))
    two.collect()
    late(two, MINUTE_MS + ASK_AFTER_MS)
    two.wire.clear()  # the capture is on its way for long
    assert a.one(SweepAuthorisations()).asked == 1
    two.restart(B)
    assert answers(a, Kind.AUTHORISATION_ASK) == [(RequestState.REFUSED, Reason.WRONG_STATE)]
    assert states(two, found) == (State.PART_CAPTURED, State.PART_CAPTURED)
    assert (points(a, "A"), redeemed(b), position(a, B), position(b, A)) == ((90, 0, 0), 20, (30, 0, 0), (0, 20, 0))
    sound(two)


def answers(region: TestRegion, kind: Kind) -> list[tuple[int, int]]:
    """What became of what the region asked."""
    r = schema.request
    with region.store.read() as conn:
        return list(map(tuple, conn.execute(select(r.c.state, r.c.reason).where(r.c.kind == int(kind), r.c.mine))))


def test_a_release_and_the_question_cross(two: Pair) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40, minutes=10)
    late(two, 10 * MINUTE_MS + ASK_AFTER_MS)
    assert b.one(SweepAuthorisations()).released == a.one(SweepAuthorisations()).asked == 1
    two.pump()
    assert states(two, found) == (State.RELEASED, State.RELEASED)
    assert points(a, "A") == (120, 0, 0)
    sound(two)


# -- what an examination sees ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "value"), [("state", State.RELEASED), ("captured", 3)])
@pytest.mark.parametrize("who", [A, B])
def test_an_authorisation_that_does_not_stand_where_the_logs_leave_it(
    two: Pair, who: int, column: str, value: int
) -> None:
    a, b = ends(two)
    found = authorised(two, a, b, 40)
    b.one(capture(authorised(two, a, b, 10), 4))
    two.pump()
    sound(two)
    t = schema.authorisation
    with two.regions[who].store.write() as conn:
        conn.execute(t.update().where(t.c.id == bytes.fromhex(found.id)).values({column: value}))
    failing = {check.code: check.detail for check in verify(two.regions[who].store) if not check.ok}
    assert found.id in failing["authorisations"]
