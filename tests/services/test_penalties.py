"""Penalties: told, appealed against, applied by another person; they delay what leaves the region and take no more than
there is."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Reason
from node.errors import BadInput, SamePerson
from node.ledger.lots import add_days
from node.services.penalty import (
    APPEAL_DAYS,
    DELAY_DAYS,
    TRANSITIONS,
    Appeal,
    ApplyPenalty,
    DecideAppeal,
    NotifyPenalty,
    PenaltyAnswer,
    PenaltyState,
)
from node.services.spend import Spend
from node.store import schema
from tests.federation import Pair, TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, ends
from tests.services.ledger import address, ledger, order, points, resident, rows, state_of

DAY_MS = 86_400_000
WHY = "虚报活动 reported an activity that did not take place"


def notified(region: TestRegion, amount: int = 30, **changes: Any) -> PenaltyAnswer:
    """A penalty against A, told by zhang."""
    said: dict[str, Any] = {
        "client": "c", "key": f"penalty {amount} {sorted(changes.items())}", "account": "A", "category": "moral",
        "amount": amount, "reason": WHY, "by": "zhang", **changes,
    }  # fmt: skip
    answer = region.one(NotifyPenalty(**said))
    assert isinstance(answer, PenaltyAnswer)
    return answer


def done(region: TestRegion, penalty: PenaltyAnswer, by: str = "li") -> PenaltyAnswer:
    """It is applied."""
    answer = region.one(ApplyPenalty(id=bytes.fromhex(penalty.id), by=by))
    assert isinstance(answer, PenaltyAnswer)
    return answer


def later(region: TestRegion, days: int) -> None:
    """So many days pass."""
    region.clock.now_ms += days * DAY_MS


def refused(region: TestRegion, command: Any, reason: Reason) -> str:
    """For this reason, and nothing at all is written. What is said."""
    before = rows(region)
    with pytest.raises(Refused) as refusal:
        region.one(command)
    assert refusal.value.reason is reason
    assert rows(region) == before
    return refusal.value.detail


# -- a pending one delays ---------------------------------------------------------------------------------------------


def test_a_pending_penalty_delays_a_transfer_out_and_the_same_order_is_done_later(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    wanted = order(address(b, "B"), 10)
    penalty = notified(a)
    assert penalty.id not in (said := refused(a, wanted, Reason.DELAYED))
    assert "penalty" in said, "the region's own system is told why"
    for _ in range(2):
        refused(a, wanted, Reason.DELAYED)
    a.one(DecideAppeal(id=bytes.fromhex(penalty.id), uphold=False, by="li"))
    placed = a.one(wanted)
    made.pump()
    assert state_of(a, placed, A) == (State.POSTED, 0)


def test_whatever_stage_it_is_at_it_delays_until_it_is_settled(regions: Regions) -> None:
    a, b = ends(regions())
    to, penalty = address(b, "B"), notified(a)
    id_ = bytes.fromhex(penalty.id)
    refused(a, order(to, 1), Reason.DELAYED)
    a.one(Appeal(id=id_, words="it took place"))
    refused(a, order(to, 1), Reason.DELAYED)
    a.one(DecideAppeal(id=id_, uphold=True, by="li"))
    refused(a, order(to, 1), Reason.DELAYED)
    done(a, penalty)
    a.one(order(to, 1))


def test_it_delays_nobody_else_and_nothing_at_home(regions: Regions) -> None:
    a, b = ends(regions())
    resident(a, "other", 10)
    notified(a)
    a.one(order(address(b, "B"), 10, account="other"))
    a.one(Spend(client="c", key="s", account="A", category="moral", amount=10))


def test_it_only_delays(regions: Regions) -> None:
    """What nobody decides does not hold a resident's points for ever."""
    a, b = ends(regions())
    wanted = order(address(b, "B"), 10)
    notified(a)
    later(a, APPEAL_DAYS + DELAY_DAYS)
    refused(a, wanted, Reason.DELAYED)
    later(a, 1)
    a.one(wanted)


def test_a_penalty_of_the_same_batch_delays(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    told = NotifyPenalty(client="c", key="p", account="A", category="moral", amount=1, reason=WHY, by="zhang")
    first, _penalty, second = a.do(order(to, 1), told, order(to, 1))
    assert first.state == State.HELD
    assert second.reason is Reason.DELAYED


def test_nothing_of_it_leaves_the_region(regions: Regions) -> None:
    """Not the words, not the amount, not that there is one."""
    made: Pair = regions()
    a, b = ends(made)
    to = address(b, "B")
    penalty = notified(a, 37)
    refused(a, order(to, 10), Reason.DELAYED)
    later(a, APPEAL_DAYS + 1)
    done(a, penalty)
    a.one(order(to, 10))
    made.pump()
    for name, table in rows(b).items():
        assert not any(WHY in str(cell) or "zhang" in str(cell) for row in table for cell in row), name
        assert not any(cell == bytes.fromhex(penalty.id) for row in table for cell in row), name
    assert rows(b, "penalty") == {"penalty": []}
    said = b"".join(bytes(row.bodies) for row in _bodies(a))
    assert WHY.encode() not in said


def _bodies(region: TestRegion) -> list[Any]:
    with region.store.read() as conn:
        return list(conn.execute(schema.body.select()))


# -- applying ---------------------------------------------------------------------------------------------------------


def test_it_is_not_applied_before_the_time_for_an_appeal_is_over(regions: Regions) -> None:
    a, _b = ends(regions())
    penalty = notified(a)
    apply = ApplyPenalty(id=bytes.fromhex(penalty.id), by="li")
    refused(a, apply, Reason.WRONG_STATE)
    later(a, APPEAL_DAYS)
    assert a.office.today(a.clock()) == penalty.appeal_until
    refused(a, apply, Reason.WRONG_STATE)
    later(a, 1)
    applied = done(a, penalty)
    assert (applied.state, applied.taken) == (PenaltyState.APPLIED, 30)
    assert points(a, "A") == (70, 0, 0)
    before = ledger(a)
    assert done(a, penalty) == applied, "again is answered alike"
    assert ledger(a) == before


def test_it_takes_what_expires_first(regions: Regions) -> None:
    a, _b = ends(regions())
    resident(a, "A", 20, expires=20270630)
    resident(a, "A", 20, expires=20270101)
    resident(a, "A", 50, granted=20250101, expires=20260101)
    penalty = notified(a)
    later(a, APPEAL_DAYS + 1)
    done(a, penalty)
    assert [row[2:4] for row in rows(a, "lot")["lot"]] == [(100, 100), (20, 10), (20, 0), (50, 50)]


def test_maker_and_checker_are_two(regions: Regions) -> None:
    a, _b = ends(regions())
    penalty = notified(a)
    id_ = bytes.fromhex(penalty.id)
    with pytest.raises(SamePerson):
        a.one(DecideAppeal(id=id_, uphold=False, by="zhang"))
    later(a, APPEAL_DAYS + 1)
    with pytest.raises(SamePerson):
        done(a, penalty, by="zhang")
    assert points(a, "A") == (100, 0, 0)
    done(a, penalty)
    (act,) = rows(a, "act")["act"]
    assert act[3:5] == ("zhang", "li")


def test_a_resident_never_goes_below_zero_and_what_lacks_is_remembered(regions: Regions) -> None:
    a, b = ends(regions())
    a.one(order(address(b, "B"), 30))  # held: not the penalty's to take
    penalty = notified(a, 100)
    later(a, APPEAL_DAYS + 1)
    short = done(a, penalty)
    assert (short.state, short.taken, short.amount) == (PenaltyState.SHORT, 70, 100)
    assert points(a, "A") == (0, 30, 0)
    assert done(a, penalty).taken == 70, "there is nothing to take"
    resident(a, "A", 50)
    assert done(a, penalty).state == PenaltyState.APPLIED
    assert points(a, "A") == (20, 30, 0)


def test_an_account_without_such_points_lacks_all_of_it(regions: Regions) -> None:
    a, _b = ends(regions())
    penalty = notified(a, category="culture")
    later(a, APPEAL_DAYS + 1)
    assert done(a, penalty).state == PenaltyState.SHORT
    assert points(a, "A", "culture") == (0, 0, 0)


# -- appeals ----------------------------------------------------------------------------------------------------------


def test_an_appeal_that_is_allowed_restores_nothing_since_nothing_was_applied(regions: Regions) -> None:
    a, _b = ends(regions())
    before = ledger(a)
    penalty = notified(a)
    id_ = bytes.fromhex(penalty.id)
    a.one(Appeal(id=id_, words="it took place"))
    later(a, APPEAL_DAYS + 1)
    refused(a, ApplyPenalty(id=id_, by="li"), Reason.WRONG_STATE)  # an appeal is open, however long
    ended = a.one(DecideAppeal(id=id_, uphold=False, by="li"))
    assert (ended.state, ended.taken) == (PenaltyState.WITHDRAWN, 0)
    refused(a, ApplyPenalty(id=id_, by="li"), Reason.WRONG_STATE)
    assert {**ledger(a), "outcome": []} == {**before, "outcome": []}


def test_an_appeal_that_is_not_allowed_lets_it_be_applied_at_once(regions: Regions) -> None:
    a, _b = ends(regions())
    penalty = notified(a)
    id_ = bytes.fromhex(penalty.id)
    a.one(Appeal(id=id_, words="it took place"))
    a.one(DecideAppeal(id=id_, uphold=True, by="li"))
    assert done(a, penalty, by="wang").taken == 30


def test_an_appeal_that_comes_too_late_or_twice(regions: Regions) -> None:
    a, _b = ends(regions())
    first, second = notified(a), notified(a, 20)
    appeal = Appeal(id=bytes.fromhex(first.id), words="it took place")
    assert a.one(appeal) == a.one(appeal)
    refused(a, Appeal(id=appeal.id, words="and besides"), Reason.WRONG_STATE)
    later(a, APPEAL_DAYS + 1)
    refused(a, Appeal(id=bytes.fromhex(second.id), words="late"), Reason.TOO_LATE)


def test_one_that_is_applied_is_not_withdrawn(regions: Regions) -> None:
    a, _b = ends(regions())
    penalty = notified(a)
    later(a, APPEAL_DAYS + 1)
    done(a, penalty)
    for uphold in (True, False):
        refused(a, DecideAppeal(id=bytes.fromhex(penalty.id), uphold=uphold, by="li"), Reason.WRONG_STATE)


def test_every_state_that_is_left_has_a_way_out_of_delaying() -> None:
    """Whatever is pending can be withdrawn, or applied after an appeal was heard."""
    ends_ = {PenaltyState.APPLIED, PenaltyState.WITHDRAWN, PenaltyState.SHORT}
    reachable = {
        state: {after for (before, _), after in TRANSITIONS.items() if before == state} for state in PenaltyState
    }
    for state in set(PenaltyState) - ends_:
        seen, todo = set[PenaltyState](), [state]
        while todo:
            for after in reachable[todo.pop()] - seen:
                seen.add(after)
                todo.append(after)
        assert seen & ends_, state


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_cannot_be_notified(regions: Regions) -> None:
    a, _b = ends(regions())
    for changes, reason in (
        ({"amount": 0}, Reason.AMOUNT_OUT_OF_RANGE),
        ({"amount": 1 << 63}, Reason.AMOUNT_OUT_OF_RANGE),
        ({"account": "nobody"}, Reason.ACCOUNT_UNKNOWN),
        ({"category": "gold"}, Reason.CATEGORY_UNKNOWN),
    ):
        with pytest.raises(Refused) as refusal:
            notified(a, **changes)
        assert refusal.value.reason is reason
    for text in ("", "330106199003071236 lied", "330106900307123 lied"):
        with pytest.raises(BadInput):
            notified(a, reason=text)
    assert rows(a, "penalty") == {"penalty": []}


def test_a_penalty_told_twice_under_one_key_is_one(regions: Regions) -> None:
    a, _b = ends(regions())
    assert notified(a) == notified(a)
    assert len(rows(a, "penalty")["penalty"]) == 1


def test_the_days_for_an_appeal_are_the_regions_to_choose(regions: Regions) -> None:
    a, _b = ends(regions())
    assert notified(a, appeal_days=3).appeal_until == add_days(a.office.today(a.clock()), 3)
