"""Two operators take back an offer that never left; nothing that may be delivered is taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Reason
from node.errors import BadInput
from node.services.reversal import AskReversal
from node.services.transfer import EventKind
from node.services.void import VoidUndelivered
from node.store import schema
from tests.services.conftest import Regions
from tests.services.delivery import A, ends
from tests.services.ledger import address, column, order, points, resident, rows, state_of


def void(placed_id: str, by: str = "maker", checked_by: str = "checker") -> VoidUndelivered:
    return VoidUndelivered(id=bytes.fromhex(placed_id), by=by, checked_by=checked_by)


def test_an_offer_that_never_left_gives_its_points_back(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    a.start()  # nobody has fenced this process yet: what it says waits for a number
    placed, other = a.one(order(to, 40)), a.one(order(to, 7))
    assert a.one(void(placed.id)).state == State.VOIDED
    assert a.one(void(placed.id)).state == State.VOIDED  # asked twice, done once
    assert (points(a, "A"), state_of(a, placed, A)) == ((93, 7, 0), (State.VOIDED, Reason.CANCELLED))
    assert column(a, "event", "kind") == [EventKind.VOIDED]
    ((_, what, about, maker, checker, _),) = rows(a, "act")["act"]
    assert (what, maker, checker) == ("void", "maker", "checker")
    assert placed.id in about
    made.restart(A)
    assert state_of(a, other, A) == (State.POSTED, 0)
    assert (points(a, "A"), points(b, "B")) == ((93, 0, 0), (7, 0, 0))
    assert len(rows(b, "transfer")["transfer"]) == 1  # the other region never heard of the one taken back


@pytest.mark.parametrize("sealed", [True, False], ids=["numbered", "answered"])
def test_an_offer_that_may_be_delivered_is_not_taken_back(regions: Regions, sealed: bool) -> None:
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    if not sealed:
        made.pump()
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(void(placed.id))
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((60, 0, 0), (40, 0, 0))


def test_one_person_alone_takes_nothing_back(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    a.start()
    placed = a.one(order(address(b, "B"), 40))
    for by, checked_by in (("maker", "maker"), ("", "checker"), ("maker", "")):
        with pytest.raises(BadInput, match="two people"):
            a.one(void(placed.id, by, checked_by))
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        a.one(void("00" * 16))
    assert points(a, "A") == (60, 40, 0)


def test_a_restored_region_takes_nothing_back(regions: Regions) -> None:
    """Its outbox may be older than what it has said since."""
    made = regions()
    a, b = ends(made)
    a.start()
    placed = a.one(order(address(b, "B"), 40))
    for recovering in (True, False):
        with a.store.write() as conn:
            conn.execute(update(schema.history).values(recovering=recovering))
        if recovering:
            with pytest.raises(Refused, match="restored"):
                a.one(void(placed.id))
            assert points(a, "A") == (60, 40, 0)


def test_a_return_that_was_asked_for_is_not_taken_back(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    resident(b, "B2", 50)
    placed = b.one(order(address(a, "A"), 30, account="B2"))
    made.pump()
    b.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(placed.id)))
    made.pump()
    back = rows(a, "transfer")["transfer"][-1]
    returned = next(row for row in rows(a, "transfer")["transfer"] if row[2] == A)
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(void(bytes(returned[1]).hex()))
    assert rows(a, "transfer")["transfer"][-1] == back
