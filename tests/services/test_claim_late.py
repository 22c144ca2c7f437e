"""Too late to reverse: the amount is claimed on both sides, in suspense, and no resident is debited for it."""

from __future__ import annotations

import pytest

from gateway.protocol.errors import Refused
from node.errors import BadInput
from node.services.clawback.orders import ClaimTransfer
from node.services.reversal import AskReversal
from tests.federation import Pair, TestRegion
from tests.services.clawing import all_of, claims, move, spend
from tests.services.conftest import Regions
from tests.services.delivery import A, B
from tests.services.ledger import points, resident, rows

DAY_MS = 86_400_000


def moved(made: Pair) -> tuple[TestRegion, TestRegion, bytes]:
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100)
    resident(b, "x")
    placed = move(made, A, B, "x", 60)
    made.pump()
    return a, b, bytes.fromhex(placed.id)


def claim(id_: bytes, key: str = "claim", **more: str) -> ClaimTransfer:
    people = {"by": "maker", "checked_by": "checker", "because": "sent twice", **more}
    return ClaimTransfer(client="c", key=key, transfer=id_, **people)


def test_after_the_window_both_regions_keep_the_claim_and_nobody_is_debited(regions: Regions) -> None:
    made = regions(rate=(3, 2))
    a, b, id_ = moved(made)
    a.clock.now_ms += 31 * DAY_MS
    with pytest.raises(Refused, match="TOO_LATE"):
        a.one(AskReversal(client="c", key="back", transfer=id_))
    before = points(a, "x"), points(b, "x")
    assert a.one(claim(id_)).blocks == 30
    made.pump()
    assert (points(a, "x"), points(b, "x")) == before == ((40, 0, 0), (90, 0, 0))
    assert (claims(a), claims(b)) == ([(B, True, "moral", 60)], [(A, False, "moral", 90)])
    assert {row[2] for row in rows(a, "claim")["claim"] + rows(b, "claim")["claim"]} == {5}


def test_what_was_spent_can_be_claimed_once_it_was_refused(regions: Regions) -> None:
    made = regions()
    a, b, id_ = moved(made)
    with pytest.raises(Refused, match=r"WRONG_STATE.*can still be reversed"):
        a.one(claim(id_, "early"))
    spend(b, "x", 1)
    a.one(AskReversal(client="c", key="back", transfer=id_))
    with pytest.raises(Refused, match=r"WRONG_STATE.*wait"):
        a.one(claim(id_, "hasty"))
    made.pump()
    a.one(claim(id_))
    made.pump()
    assert (claims(a), claims(b)) == ([(B, True, "moral", 60)], [(A, False, "moral", 60)])
    assert points(b, "x") == (59, 0, 0)


def test_a_claim_is_made_once_and_what_is_claimed_is_neither_claimed_nor_reversed_again(regions: Regions) -> None:
    made = regions()
    a, b, id_ = moved(made)
    a.clock.now_ms += 31 * DAY_MS
    assert a.one(claim(id_)) == a.one(claim(id_))
    made.pump()
    with pytest.raises(Refused, match=r"WRONG_STATE.*before"):
        a.one(claim(id_, "again"))
    for region in (a, b):
        region.office.terms = {}
    with pytest.raises(Refused, match=r"WRONG_STATE.*claimed"):
        a.one(AskReversal(client="c", key="back", transfer=id_))
    assert len(all_of(a)) == len(all_of(b)) == 1


def test_a_claim_takes_two_people_and_a_transfer_of_ones_own(regions: Regions) -> None:
    made = regions()
    a, b, id_ = moved(made)
    with pytest.raises(BadInput, match="two people"):
        a.one(claim(id_, by="checker"))
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        b.one(claim(id_))
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        a.one(claim(bytes(16)))
    assert claims(a) == claims(b) == []
