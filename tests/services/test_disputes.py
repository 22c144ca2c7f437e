"""Disputes between regions: what is named is frozen, both hold every step, and nothing but a signed step decides."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from gateway.protocol.dispute import Act, State
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.services.claim import Cause
from node.services.dispute.ends import SweepDisputes
from node.services.expiry import Sweep
from node.services.reversal import AskReversal
from node.services.spend import Spend
from node.services.verify.run import verify
from node.store import guards, schema
from tests.federation import Pair
from tests.services.delivery import A, B, C
from tests.services.disputing import (
    agree,
    at,
    coordinated,
    disputed,
    founded,
    furnish,
    later,
    moved,
    opening,
    says,
    sound,
    word,
)
from tests.services.ledger import address, order, points, resident


@pytest.fixture
def three() -> Pair:
    return coordinated()


def refused(made: Pair, region: int, command: object, reason: Reason) -> None:
    with pytest.raises(Refused) as refusal:
        made.regions[region].one(command)
    assert refusal.value.reason is reason


def test_what_a_disputed_transfer_brought_cannot_be_spent(three: Pair) -> None:
    disputed(three, moved(three))
    b = three.regions[B]
    assert points(b, "B") == (0, 60, 0)
    refused(three, B, Spend(client="c", key="s", account="B", category="moral", amount=1), Reason.INSUFFICIENT_POINTS)
    sound(three)


@pytest.mark.parametrize("by", [A, B])
def test_a_rejected_dispute_gives_everything_back_into_the_very_lots(three: Pair, by: int) -> None:
    transfer = moved(three)
    dispute = disputed(three, transfer, by)
    respondent = B if by == A else A
    says(three, respondent, dispute, Act.CONTEST)
    says(three, by, dispute, Act.MEDIATE)
    says(three, C, dispute, Act.OPINION, amount=0)
    assert agree(three, dispute) is State.ADVISED
    says(three, respondent, dispute, Act.ARBITRATE)
    says(three, C, dispute, Act.REJECT)
    assert agree(three, dispute) is State.REJECTED
    assert at(three, C, dispute).state is State.REJECTED
    assert points(three.regions[B], "B") == (60, 0, 0)
    three.regions[B].one(Spend(client="c", key="s", account="B", category="moral", amount=60))
    sound(three)


def test_a_withdrawn_dispute_gives_everything_back(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    says(three, A, dispute, Act.WITHDRAW)
    assert agree(three, dispute) is State.WITHDRAWN
    assert points(three.regions[B], "B") == (60, 0, 0)
    sound(three)


def test_silence_decides_nothing_it_lets_the_other_side_go_on(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    refused(three, A, word(dispute, Act.MEDIATE), Reason.WRONG_STATE)
    later(three, 4)
    assert agree(three, dispute) is State.OPENED
    says(three, A, dispute, Act.MEDIATE)
    assert agree(three, dispute) is State.MEDIATION
    refused(three, A, word(dispute, Act.ARBITRATE), Reason.WRONG_STATE)
    later(three, 8)
    says(three, A, dispute, Act.ARBITRATE)
    assert agree(three, dispute) is State.ARBITRATION


def test_a_disputed_transfer_is_not_reversed(three: Pair) -> None:
    transfer = moved(three)
    disputed(three, transfer)
    refused(three, A, AskReversal(client="c", key="r", transfer=transfer), Reason.DISPUTED)


def in_claims(made: Pair, region: int) -> list[tuple[int, str, int, bool]]:
    """What is in suspense: peer, cause, amount, and whether it is owed to this region."""
    with made.regions[region].store.read() as conn:
        return [
            (row.peer, Cause(row.cause).name, row.amount, bool(row.mine)) for row in conn.execute(select(schema.claim))
        ]


@pytest.mark.parametrize("by", [A, B])
def test_an_upheld_dispute_sends_back_what_is_unspent_and_the_rest_is_owed(three: Pair, by: int) -> None:
    transfer = moved(three)
    three.regions[B].one(Spend(client="c", key="s", account="B", category="moral", amount=15))
    dispute = disputed(three, transfer, by)
    says(three, A if by == B else B, dispute, Act.CONCEDE)
    assert agree(three, dispute) is State.UPHELD
    assert points(three.regions[B], "B")[0] == 0
    three.regions[A].one(SweepDisputes())
    three.pump()
    assert points(three.regions[B], "B") == (0, 0, 0)
    assert at(three, B, dispute).hold is None
    assert in_claims(three, A) == [(B, "DISPUTE", 10, True)]
    assert in_claims(three, B) == [(A, "DISPUTE", 15, False)]
    three.regions[A].one(SweepDisputes())
    three.pump()
    assert len(in_claims(three, A)) == 1
    sound(three)


def test_a_settlement_sends_back_no_more_than_was_agreed(three: Pair) -> None:
    transfer = moved(three)
    dispute = disputed(three, transfer, B)
    says(three, A, dispute, Act.PROPOSE, amount=10)
    says(three, B, dispute, Act.AGREE)
    assert agree(three, dispute) is State.SETTLED
    assert points(three.regions[B], "B") == (0, 60, 0)
    three.regions[A].one(SweepDisputes())
    three.pump()
    assert points(three.regions[B], "B") == (45, 0, 0)
    assert in_claims(three, A) == in_claims(three, B) == []
    sound(three)


def test_nothing_is_disputed_twice(three: Pair) -> None:
    transfer = moved(three)
    dispute = disputed(three, transfer)
    refused(three, A, opening(B, transfer), Reason.DISPUTED)
    refused(three, B, opening(A, transfer), Reason.DISPUTED)
    says(three, A, dispute, Act.WITHDRAW)
    assert disputed(three, transfer) != dispute


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE dispute SET state = 12",
        "UPDATE dispute SET settled = 40",
        "UPDATE dispute SET last = x'00'",
        "UPDATE dispute SET deadline = 20300101",
        "DELETE FROM dispute_step WHERE no = 1",
        "UPDATE dispute_step SET signed = (SELECT signed FROM dispute_step WHERE no = 1) WHERE no = 2",
    ],
)
def test_a_dispute_that_was_tampered_with_is_found(three: Pair, damage: str) -> None:
    dispute = disputed(three, moved(three))
    says(three, A, dispute, Act.PROPOSE, amount=10)
    says(three, B, dispute, Act.CONTEST)
    sound(three)
    b = three.regions[B]
    with b.store.write() as conn:
        guards.take_down(conn)
        conn.exec_driver_sql(damage)
        guards.set_up(conn)
    assert [check.code for check in verify(b.store) if not check.ok] == ["disputes"]


def test_what_moved_on_to_a_region_that_is_no_party_stays_there_and_is_owed(three: Pair) -> None:
    transfer = moved(three)
    b, c = three.regions[B], three.regions[C]
    resident(c, "C")
    b.one(order(address(c, "C"), 30, account="B"))
    three.pump()
    dispute = disputed(three, transfer)
    assert points(b, "B") == (0, 30, 0)
    says(three, B, dispute, Act.CONCEDE)
    three.regions[A].one(SweepDisputes())
    three.pump()
    assert (points(b, "B"), points(c, "C")) == ((0, 0, 0), (45, 0, 0))
    assert in_claims(three, A) == [(B, "DISPUTE", 20, True)]
    assert in_claims(three, B) == [(A, "DISPUTE", 30, False)]
    assert in_claims(three, C) == []
    sound(three)


@pytest.mark.parametrize("end", [Act.WITHDRAW, Act.CONCEDE])
def test_what_is_frozen_does_not_expire_meanwhile(end: Act) -> None:
    made = founded(grace_days=0)
    furnish(made, expires=20261125)
    transfer = moved(made)
    dispute = disputed(made, transfer)
    later(made, 9)
    made.regions[B].one(Sweep(after=0))
    assert points(made.regions[B], "B") == (0, 60, 0)
    says(made, A if end is Act.WITHDRAW else B, dispute, end)
    made.regions[A].one(SweepDisputes())
    made.pump()
    assert points(made.regions[B], "B") == ((60, 0, 0) if end is Act.WITHDRAW else (0, 0, 0))
    assert in_claims(made, B) == []
    sound(made)
