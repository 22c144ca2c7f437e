"""Disputes between regions: what is named is frozen, both hold every step, and nothing but a signed step decides."""

from __future__ import annotations

import pytest

from gateway.protocol.dispute import Act, State
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.services.reversal import AskReversal
from node.services.spend import Spend
from tests.federation import Pair
from tests.services.delivery import A, B, C
from tests.services.disputing import agree, at, coordinated, disputed, later, moved, opening, says, sound, word
from tests.services.ledger import points


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


def test_nothing_is_disputed_twice(three: Pair) -> None:
    transfer = moved(three)
    dispute = disputed(three, transfer)
    refused(three, A, opening(B, transfer), Reason.DISPUTED)
    refused(three, B, opening(A, transfer), Reason.DISPUTED)
    says(three, A, dispute, Act.WITHDRAW)
    assert disputed(three, transfer) != dispute
