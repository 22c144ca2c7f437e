"""What is wrong with an order is said by name, at once, and for ever under its key; not one point moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Evidence, Reason, Status
from node.ledger.accounts import AccountState
from node.services.account import OpenAccount, SetAccountState
from node.services.address import NewAddress
from node.services.award import Award
from node.services.expiry import Sweep
from node.services.reversal import AskReversal
from node.services.spend import Spend
from node.services.transfer import Cancel, Order
from tests.federation import TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C, ends
from tests.services.ledger import address, ledger, order, points, resident, rows, set_state, state_of

DAY_MS = 86_400_000
TOO_MUCH = 1 << 63


def refused(region: TestRegion, command: Any, reason: Reason) -> None:
    """For this reason, now and whenever it is repeated; and nothing but the frozen outcome is written."""
    before = ledger(region)
    for _ in range(2):
        with pytest.raises(Refused) as refusal:
            region.one(command)
        assert refusal.value.reason is reason
        after = ledger(region)
        assert {**after, "outcome": []} == {**before, "outcome": []}
        assert len(after["outcome"]) <= len(before["outcome"]) + 1


# -- amounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zero", "negative", "over 2^63"])
def test_amounts_that_are_none(regions: Regions, kind: str) -> None:
    a, b = ends(regions())
    amounts = {"zero": [0], "negative": [-1, -TOO_MUCH], "over 2^63": [TOO_MUCH, 1 << 64, 10**30]}[kind]
    to = address(b, "B")
    for amount in amounts:
        taken: dict[str, Any] = {"client": "c", "account": "A", "category": "moral", "amount": amount}
        refused(a, order(to, amount), Reason.AMOUNT_OUT_OF_RANGE)
        refused(a, Spend(key=f"spend {amount}", **taken), Reason.AMOUNT_OUT_OF_RANGE)
        refused(a, Award(key=f"grant {amount}", **taken), Reason.AMOUNT_OUT_OF_RANGE)


def test_amounts_that_would_not_fit_a_balance(regions: Regions) -> None:
    """Each is in range; their sum is not."""
    made = regions()
    a, b = ends(made)
    resident(a, "rich", TOO_MUCH - 1, "culture")
    refused(a, Award(client="c", key="more", account="A", category="culture", amount=1), Reason.AMOUNT_OUT_OF_RANGE)
    resident(b, "B", 1, "culture")
    placed = a.one(order(address(b, "B"), TOO_MUCH - 1, account="rich", category="culture"))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.AMOUNT_OUT_OF_RANGE)
    placed = a.one(order(address(b, "B"), TOO_MUCH - 2, account="rich", category="culture"))
    made.pump()
    assert state_of(a, placed, A) == (State.POSTED, 0)
    made.restart(B)
    refused(b, Award(client="c", key="more", account="B", category="culture", amount=1), Reason.AMOUNT_OUT_OF_RANGE)


def test_less_than_one_block(regions: Regions) -> None:
    a, b = ends(regions(rate=(2, 3)))
    refused(a, order(address(b, "B"), 2), Reason.AMOUNT_OUT_OF_RANGE)


def test_an_amount_that_becomes_too_much_at_the_other_side(regions: Regions) -> None:
    a, b = ends(regions(rate=(1_000_000, 1)))
    refused(a, order(address(b, "B"), TOO_MUCH // 1000), Reason.AMOUNT_OUT_OF_RANGE)


# -- points -----------------------------------------------------------------------------------------------------------


def test_insufficient_points_counting_holds(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    a.one(order(to, 60))  # held, not answered yet
    assert points(a, "A") == (40, 60, 0)
    refused(a, order(to, 41), Reason.INSUFFICIENT_POINTS)
    refused(a, Spend(client="c", key="s", account="A", category="moral", amount=41), Reason.INSUFFICIENT_POINTS)
    a.one(order(to, 40))


def test_orders_of_one_batch_see_each_other(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    answers = a.do(
        *(order(to, 30) for _ in range(5)), Spend(client="c", key="s", account="A", category="moral", amount=11)
    )
    assert [getattr(answer, "reason", None) for answer in answers] == [0, 0, 0, *[Reason.INSUFFICIENT_POINTS] * 3]
    assert points(a, "A") == (10, 90, 0)


def test_provisional_points_cannot_be_spent_yet(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    a.one(order(address(b, "B"), 30))
    made.collect()
    made.deliver()  # the offer; what B answers is not delivered
    assert points(b, "B") == (0, 0, 30)
    refused(b, Spend(client="c", key="s", account="B", category="moral", amount=1), Reason.INSUFFICIENT_POINTS)
    made.pump()
    assert points(b, "B") == (30, 0, 0)
    b.one(Spend(client="c", key="later", account="B", category="moral", amount=30))


def test_expired_lots(regions: Regions) -> None:
    a, b = ends(regions())
    resident(a, "late", 50, granted=20250101, expires=20260101)
    resident(a, "late", 5)
    to = address(b, "B")
    refused(a, order(to, 6, account="late"), Reason.POINTS_EXPIRED)
    refused(a, Spend(client="c", key="s", account="late", category="moral", amount=6), Reason.POINTS_EXPIRED)
    refused(a, order(to, 56, account="late"), Reason.INSUFFICIENT_POINTS)
    a.one(order(to, 5, account="late"))


def test_lots_expire_on_their_date_in_shanghai(regions: Regions) -> None:
    """At 16:00 UTC of the day before it is midnight there."""
    made = regions()
    a, b = ends(made)
    resident(a, "late", 50, expires=20261201)
    to = address(b, "B")
    a.clock.now_ms = 1_796_054_399_999  # 2026-11-30 23:59:59.999 +08:00
    assert a.office.today(a.clock()) == 20261130
    a.one(order(to, 10, account="late"))
    a.clock.now_ms += 1
    refused(a, order(to, 10, account="late"), Reason.POINTS_EXPIRED)
    made.pump()


def test_backfilled_evidence(regions: Regions) -> None:
    a, b = ends(regions())
    resident(a, "paper", 50, evidence=Evidence.BACKFILLED)
    resident(a, "paper", 5)
    refused(a, order(address(b, "B"), 6, account="paper"), Reason.EVIDENCE_TOO_LOW)
    a.one(order(address(b, "B"), 5, account="paper"))
    a.one(Spend(client="c", key="s", account="paper", category="moral", amount=50))  # at home it is as good as any


# -- who and where ----------------------------------------------------------------------------------------------------


def test_an_unknown_category(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    refused(a, order(to, 10, category="gold"), Reason.CATEGORY_NOT_MAPPED)
    refused(a, Spend(client="c", key="s", account="A", category="gold", amount=1), Reason.CATEGORY_UNKNOWN)
    refused(a, Award(client="c", key="a", account="A", category="gold", amount=1), Reason.CATEGORY_UNKNOWN)


@pytest.mark.parametrize(
    ("state", "reason"),
    [(AccountState.FROZEN, Reason.ACCOUNT_FROZEN), (AccountState.CLOSED, Reason.ACCOUNT_CLOSED)],
)
def test_a_frozen_or_closed_account(regions: Regions, state: AccountState, reason: Reason) -> None:
    a, b = ends(regions())
    resident(a, "gone", 10 if state is AccountState.FROZEN else 0)
    set_state(a, "gone", state)
    refused(a, order(address(b, "B"), 5, account="gone"), reason)
    refused(a, Spend(client="c", key="s", account="gone", category="moral", amount=5), reason)
    refused(a, Award(client="c", key="a", account="gone", category="moral", amount=5), reason)


def test_an_account_that_is_not_there(regions: Regions) -> None:
    a, b = ends(regions())
    refused(a, order(address(b, "B"), 5, account="nobody"), Reason.ACCOUNT_UNKNOWN)
    refused(a, order(address(b, "B"), 5, account="#issuer"), Reason.ACCOUNT_UNKNOWN)
    refused(a, NewAddress(account="#issuer"), Reason.ACCOUNT_UNKNOWN)
    refused(a, SetAccountState(name="nobody", state=AccountState.FROZEN), Reason.ACCOUNT_UNKNOWN)


def test_an_account_name_that_is_none(regions: Regions) -> None:
    a, _ = ends(regions())
    for name in ("", "#mine", "x" * 65, "a\nb", "a\0b"):
        refused(a, OpenAccount(name=name), Reason.ACCOUNT_UNKNOWN)


def test_closing_an_account_that_is_not_empty(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    close = SetAccountState(name="A", state=AccountState.CLOSED)
    refused(a, close, Reason.ACCOUNT_NOT_EMPTY)
    a.one(order(to, 100))
    refused(a, close, Reason.ACCOUNT_NOT_EMPTY)  # held


def test_closing_an_account_in_the_batch_that_empties_or_fills_it(regions: Regions) -> None:
    a, _ = ends(regions())
    close = SetAccountState(name="A", state=AccountState.CLOSED)
    spend = Spend(client="c", key="all", account="A", category="moral", amount=100)
    award = Award(client="c", key="more", account="A", category="moral", amount=1)
    answers = a.do(award, close, spend, replace(spend, key="rest", amount=1), close, replace(award, key="again"))
    reasons = [answer.reason if isinstance(answer, Refused) else None for answer in answers]
    assert reasons == [None, Reason.ACCOUNT_NOT_EMPTY, None, None, None, Reason.ACCOUNT_CLOSED]


def test_wrong_check_characters(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B").replace("-", "")
    for at, right in enumerate(to):
        wrong = "3" if right != "3" else "7"
        refused(a, order(to[:at] + wrong + to[at + 1 :], 5), Reason.ADDRESS_UNKNOWN)
        if at and right != to[at - 1]:
            refused(a, order(to[: at - 1] + right + to[at - 1] + to[at + 1 :], 5), Reason.ADDRESS_UNKNOWN)
    a.one(order(to.lower(), 5))


def test_what_is_no_address(regions: Regions) -> None:
    a, _ = ends(regions())
    good = "330200-7Q3M9KXW2T5RBV0C-4H"
    for text in ("", "330200", good[:-3], "互通", "I" * 24, good * 9, "\0" * 24):
        refused(a, order(text, 5), Reason.ADDRESS_UNKNOWN)


def test_a_region_nobody_knows_and_the_region_itself(regions: Regions) -> None:
    from gateway.protocol import address as addresses

    a, _ = ends(regions())
    refused(a, order(addresses.write(addresses.Address(999_999, bytes(10))), 5), Reason.REGION_UNKNOWN)
    refused(a, order(address(a, "A"), 5), Reason.REGION_UNKNOWN)


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.WINDING_DOWN, Status.WITHDRAWN])
def test_a_region_that_is_not_active(regions: Regions, status: Status) -> None:
    a, b = ends(regions())
    listed = tuple(replace(r, status=status) if r.code == B else r for r in a.office.roster.regions)
    a.office.roster = replace(a.office.roster, regions=listed)
    refused(a, order(address(b, "B"), 5), Reason.REGION_NOT_ACTIVE)


def test_a_purpose_that_is_not_agreed(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    for purpose in (0, 5, 99):
        refused(a, order(to, 5, purpose=purpose), Reason.PURPOSE_NOT_ALLOWED)


def test_points_from_more_lots_than_an_offer_can_carry(regions: Regions) -> None:
    a, b = ends(regions())
    for i in range(80):
        resident(a, "many", 1, because=f"activity {i}")
    refused(a, order(address(b, "B"), 80, account="many"), Reason.TOO_MANY_LOTS)
    a.one(order(address(b, "B"), 20, account="many"))


# -- again ------------------------------------------------------------------------------------------------------------

CHANGES: dict[str, Any] = {"amount": 11, "category": "culture", "account": "other", "consent": "another"}


@pytest.mark.parametrize("field", CHANGES)
def test_the_same_id_with_different_content(regions: Regions, field: str) -> None:
    a, b = ends(regions())
    resident(a, "other", 50)
    first = order(address(b, "B"), 10, key="same")
    placed = a.one(first)
    before = rows(a)
    with pytest.raises(Refused) as refusal:
        a.one(replace(first, **{field: CHANGES[field]}))
    assert refusal.value.reason in (Reason.CONFLICT_DIFFERENT_CONTENT, Reason.CONFLICT_DIFFERENT_AMOUNT)
    assert rows(a) == before
    assert a.one(first) == placed


def every_command(a: TestRegion, to: str, posted: str, held: str) -> list[Any]:
    """One of each kind that has a key, all good."""
    return [
        order(to, 1, key="order"),
        Award(client="c", key="award", account="A", category="moral", amount=2),
        Spend(client="c", key="spend", account="A", category="moral", amount=3),
        AskReversal(client="c", key="reversal", transfer=bytes.fromhex(posted)),
        Cancel(id=bytes.fromhex(held)),
        OpenAccount(name="A"),
        SetAccountState(name="B2", state=AccountState.FROZEN),
        Sweep(),
    ]


def test_every_command_repeated_is_answered_alike_and_moves_nothing(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    resident(a, "B2")
    to = address(b, "B")
    posted = a.one(order(to, 10))
    made.pump()
    held = a.one(order(to, 10))
    commands = every_command(a, to, posted.id, held.id)
    first = [a.one(command) for command in commands]
    before = rows(a)
    assert [a.one(command) for command in commands] == first
    assert a.do(*commands, *commands) == [*first, *first]
    assert rows(a) == before
    made.restart(A)
    again = [a.one(command) for command in commands if not isinstance(command, Cancel)]
    assert [type(answer) for answer in again] == [type(answer) for answer in first if answer is not first[4]]


KEYED: list[Callable[[str], Any]] = [
    lambda to: order(to, 1, key="k"),
    lambda to: Award(client="c", key="k", account="A", category="moral", amount=1),
    lambda to: Spend(client="c", key="k", account="A", category="moral", amount=1),
]


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_a_key_used_for_another_kind_of_command(regions: Regions, together: bool) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    for first, second in permutations(range(len(KEYED)), 2):
        commands = [replace(KEYED[kind](to), key=f"{first} and {second}") for kind in (first, second)]
        answers = a.do(*commands) if together else [a.do(command)[0] for command in commands]
        assert not isinstance(answers[0], Refused)
        assert isinstance(answers[1], Refused)
        assert answers[1].reason is Reason.CONFLICT_DIFFERENT_CONTENT


def test_a_key_used_for_a_reversal_and_an_order(regions: Regions) -> None:
    """One id means one thing: a refusal of the request must never be taken for the answer to the order."""
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    posted = bytes.fromhex(a.one(order(to, 10)).id)
    made.pump()
    a.one(order(to, 5, key="k"))
    with pytest.raises(Refused) as refusal:
        a.one(AskReversal(client="c", key="k", transfer=posted))
    assert refusal.value.reason is Reason.CONFLICT_DIFFERENT_CONTENT
    a.one(AskReversal(client="c", key="k2", transfer=posted))
    with pytest.raises(Refused) as refusal:
        a.one(order(to, 5, key="k2"))
    assert refusal.value.reason is Reason.CONFLICT_DIFFERENT_CONTENT
    made.pump()
    assert points(a, "A")[0] + points(b, "B")[0] == 100


def test_the_same_key_of_another_caller_is_another_command(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    one = Order(client="one", key="k", account="A", category="moral", amount=10, address=to)
    assert a.one(one).id != a.one(replace(one, client="other")).id
    assert points(a, "A") == (80, 20, 0)


def test_a_transfer_that_is_not_there(regions: Regions) -> None:
    made = regions((A, B, C))
    a, b = ends(made)
    to = address(b, "B")
    posted = a.one(order(to, 10))
    made.pump()
    id_ = bytes.fromhex(posted.id)
    for region in (a, b):
        refused(region, Cancel(id=bytes(16)), Reason.TRANSFER_UNKNOWN)
        refused(region, AskReversal(client="c", key="r", transfer=bytes(16)), Reason.TRANSFER_UNKNOWN)
    refused(b, Cancel(id=id_), Reason.TRANSFER_UNKNOWN)
    refused(a, Cancel(id=id_), Reason.WRONG_STATE)
    assert a.one(order(to, 10, key=rows(a, "transfer")["transfer"][0][7])).state is State.POSTED
