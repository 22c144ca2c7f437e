"""Days on which a member's standing changes under transfers at work: suspension, winding down, leaving."""

from __future__ import annotations

import pytest

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Reason, Status
from node.services.offer import Review
from node.services.reversal import AskReversal, ReversalState
from node.services.transfer import Cancel
from tests.services.conftest import Regions
from tests.services.delivery import A, B, ends
from tests.services.ledger import address, order, points, resident, rows, state_of
from tests.services.standing import set_status


def test_the_answers_of_a_region_suspended_meanwhile_still_arrive(regions: Regions) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    to = address(b, "B")
    first, second = a.one(order(to, 30)), a.one(order(to, 40))
    made.pump()
    set_status(made, B, Status.SUSPENDED)
    b.one(Review(source=A, id=bytes.fromhex(first.id), accept=True, by="clerk"))
    b.one(Review(source=A, id=bytes.fromhex(second.id), accept=False, by="clerk"))
    made.pump()
    assert state_of(a, first, A) == (State.POSTED, 0)
    assert state_of(a, second, A) == (State.VOIDED, Reason.REVIEW_REFUSED)
    assert (points(a, "A"), points(b, "B")) == ((70, 0, 0), (30, 0, 0))


def test_an_offer_on_its_way_to_a_region_that_is_suspended_comes_back(regions: Regions) -> None:
    """Whoever knows it first refuses: here the suspended region itself."""
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 30))
    made.collect()
    set_status(made, B, Status.SUSPENDED, to=(B,))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.REGION_NOT_ACTIVE)
    assert points(a, "A") == (100, 0, 0)


def test_an_offer_of_a_region_suspended_since_is_refused_by_its_receiver(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 30))
    made.collect()
    set_status(made, A, Status.SUSPENDED, to=(B,))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.REGION_NOT_ACTIVE)


@pytest.mark.parametrize("who", [A, B], ids=["its own", "the other's"])
@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.WINDING_DOWN, Status.WITHDRAWN])
def test_an_order_is_refused_at_once_before_anything_is_held(regions: Regions, status: Status, who: int) -> None:
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    set_status(made, who, status)
    with pytest.raises(Refused, match="REGION_NOT_ACTIVE"):
        a.one(order(to, 30))
    assert points(a, "A") == (100, 0, 0)
    assert rows(a, "transfer", "outbox") == {"transfer": [], "outbox": []}


def test_a_suspended_region_may_still_cancel(regions: Regions) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 30))
    made.pump()
    set_status(made, A, Status.SUSPENDED)
    a.one(Cancel(id=bytes.fromhex(placed.id)))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.CANCELLED)


@pytest.mark.parametrize(
    ("status", "granted"), [(Status.SUSPENDED, False), (Status.WINDING_DOWN, True)], ids=["suspended", "winding down"]
)
@pytest.mark.parametrize("who", [A, B], ids=["who asks", "who is asked"])
def test_what_was_sent_by_mistake_comes_back_from_a_region_that_closes(
    regions: Regions, status: Status, granted: bool, who: int
) -> None:
    """Winding down is for closing out; a suspension stops everything that moves points anew."""
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 30))
    made.pump()
    set_status(made, who, status)
    ask = AskReversal(client="c", key="back", transfer=bytes.fromhex(placed.id))
    if not granted:
        with pytest.raises(Refused, match="REGION_NOT_ACTIVE"):
            a.one(ask)
        assert points(b, "B") == (30, 0, 0)
        return
    a.one(ask)
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))
    ((*_, state, _, _),) = rows(a, "reversal")["reversal"]
    assert state == ReversalState.GRANTED


def test_a_clerk_can_accept_nothing_more_from_a_region_that_has_withdrawn(regions: Regions) -> None:
    """Nobody would ever hear of it: what its resident holds comes back to him another way."""
    made = regions(review_from=20)
    a, b = ends(made)
    resident(b, "B2", 50)
    placed = b.one(order(address(a, "A"), 30, account="B2"))
    made.pump()
    set_status(made, B, Status.WITHDRAWN)
    answer = a.one(Review(source=B, id=bytes.fromhex(placed.id), accept=True, by="clerk"))
    assert (answer.state, answer.reason) == (State.REFUSED, Reason.REGION_NOT_ACTIVE)
    assert points(a, "A") == (100, 0, 0)
