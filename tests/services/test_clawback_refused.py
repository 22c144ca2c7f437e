"""Clawbacks that a peer must not get: of what it never sent, twice, of another activity, of what was reversed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol.bodies import clawback as bodies
from gateway.protocol.clawback import Cause, Clawback, ClawedBack, Share, State
from gateway.protocol.values import Draft, Kind, Reason
from node.services.award import Award
from node.services.reversal import AskReversal
from tests.federation import Pair, TestRegion
from tests.services.clawing import FRAUD, all_of, began, claims, claw, go_on, move, spend
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C
from tests.services.ledger import SALT, forge, ledger, points, resident, rows

ID = b"forged clawback!"


def moved(made: Pair, amount: int = 60) -> tuple[TestRegion, TestRegion, bytes]:
    """A sent points of a fraudulent activity to B, which accepted them."""
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    placed = move(made, A, B, "x", amount)
    made.pump()
    return a, b, bytes.fromhex(placed.id)


def request(transfer: bytes, *shares: tuple[int, int], id_: bytes = ID, **changes: Any) -> Draft:
    body = Clawback(transfer, Cause.ACTIVITY, A, FRAUD, b"root of it all..", tuple(Share(*share) for share in shares))
    return Draft(Kind.CLAWBACK, False, id_, SALT + bodies.encode_clawback(body._replace(**changes), b""))


def answered(made: Pair, *drafts: Draft) -> list[tuple[int, int]]:
    """State and reason of each request, as B keeps them, after A has said these."""
    a, b = made.regions[A], made.regions[B]
    for said in b.hear(A, forge(a, B, list(drafts))):
        assert said is not None
    r = sorted(rows(b, "request")["request"], key=lambda row: row[5])
    return [(row[6], row[7]) for row in r]


REFUSED, ACCEPTED = 3, 2


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("another transfer", Reason.TRANSFER_UNKNOWN),
        ("a slice there is not", Reason.AMOUNT_OUT_OF_RANGE),
        ("more than the slice has", Reason.AMOUNT_OUT_OF_RANGE),
        ("another activity", Reason.DOCUMENT_INVALID),
        ("the activity of another region", Reason.DOCUMENT_INVALID),
        ("for a dispute there is not", Reason.DOCUMENT_INVALID),
    ],
)
def test_what_a_transfer_did_not_carry_is_refused_by_name(regions: Regions, what: str, reason: Reason) -> None:
    made = regions()
    _, b, id_ = moved(made)
    before = ledger(b)["balance"], ledger(b)["lot"], claims(b)
    draft = {
        "another transfer": request(b"no such transfer", (0, 1)),
        "a slice there is not": request(id_, (1, 1)),
        "more than the slice has": request(id_, (0, 61)),
        "another activity": request(id_, (0, 1), because="blood donation"),
        "the activity of another region": request(id_, (0, 1), issuer=C),
        "for a dispute there is not": request(id_, (0, 1), cause=Cause.DISPUTE),
    }[what]
    assert answered(made, draft) == [(REFUSED, reason)]
    assert (ledger(b)["balance"], ledger(b)["lot"], claims(b)) == before


@pytest.mark.parametrize("what", ["no cause", "a slice twice", "no slice"])
def test_a_body_that_breaks_a_rule_is_refused_and_the_log_goes_on(regions: Regions, what: str) -> None:
    made = regions()
    a, b, id_ = moved(made)
    draft = {
        "no cause": request(id_, (0, 1), cause=9),
        "a slice twice": request(id_, (0, 1), (0, 1)),
        "no slice": request(id_),
    }[what]
    size = b.writer.channels[A].size
    assert answered(made, draft, request(id_, (0, 60), id_=b"a good clawback!")) == [(ACCEPTED, 0)]
    assert b.writer.channels[A].size == size + 2
    assert points(b, "x") == (0, 0, 0)
    assert claims(a) == claims(b) == []


def test_the_same_blocks_are_given_once(regions: Regions) -> None:
    made = regions()
    _, b, id_ = moved(made)
    first, second = request(id_, (0, 40), id_=b"first clawback.."), request(id_, (0, 40), id_=b"second clawback.")
    third = request(id_, (0, 20), id_=b"third clawback..")
    assert answered(made, first, second, third) == [
        (ACCEPTED, 0), (REFUSED, Reason.AMOUNT_OUT_OF_RANGE), (ACCEPTED, 0),
    ]  # fmt: skip
    assert points(b, "x") == (0, 0, 0)
    assert [(row.state, row.recovered) for row in all_of(b) if row.state is State.TOLD] == [
        (State.TOLD, 40), (State.TOLD, 20),
    ]  # fmt: skip


def test_an_id_is_used_once(regions: Regions) -> None:
    made = regions()
    _, b, id_ = moved(made)
    assert answered(made, request(id_, (0, 10)), request(id_, (0, 20))) == [(ACCEPTED, 0)]
    assert points(b, "x") == (50, 0, 0)


def test_what_was_reversed_has_nothing_to_give(regions: Regions) -> None:
    made = regions()
    a, b, id_ = moved(made)
    a.one(AskReversal(client="c", key="back", transfer=id_))
    made.pump()
    assert answered(made, request(id_, (0, 60))) == [(REFUSED, Reason.WRONG_STATE)]
    assert claims(b) == []


def test_a_clawback_that_meets_a_reversal_on_the_way_finds_the_points_where_they_came_back(regions: Regions) -> None:
    made = regions()
    a, b, id_ = moved(made)
    a.one(AskReversal(client="c", key="back", transfer=id_))
    started = claw(a)
    made.pump()
    go_on(made)
    row = began(a, started)
    assert (row.state, row.blocks, row.recovered, row.further, row.owed) == (State.DONE, 100, 100, 0, 0)
    assert [(row.state, row.reason) for row in all_of(b)] == [(State.DECLINED, Reason.WRONG_STATE)]
    assert (points(a, "x"), points(b, "x"), claims(a), claims(b)) == ((0, 0, 0), (0, 0, 0), [], [])


def test_what_is_clawed_back_is_not_reversed_besides(regions: Regions) -> None:
    made = regions()
    a, b, id_ = moved(made)
    claw(a)
    made.pump()
    with pytest.raises(Exception, match="WRONG_STATE"):
        a.one(AskReversal(client="c", key="back", transfer=id_))
    assert points(b, "x") == (0, 0, 0)


@pytest.mark.parametrize("parts", [(60, 0, 1), (10, 10, 10)])
def test_an_answer_that_does_not_add_up_moves_nothing(regions: Regions, parts: tuple[int, int, int]) -> None:
    made = regions()
    a, b, _ = moved(made)
    started = claw(a)
    (asked,) = [row for row in all_of(a) if row.mine]
    answer = bodies.encode_clawed_back(ClawedBack(*parts), b"")
    a.hear(B, forge(b, A, [Draft(Kind.CLAWED_BACK, True, asked.id, SALT + answer)]))
    row = began(a, started)
    assert (row.state, row.recovered, row.further, row.owed) == (State.DONE, 40, 0, 0)
    assert [(r.state, r.reason) for r in all_of(a) if r.mine] == [(State.REFUSED, Reason.MALFORMED_BODY)]
    assert claims(a) == []


def test_an_answer_nobody_asked_for_changes_nothing(regions: Regions) -> None:
    made = regions()
    a, b, _ = moved(made)
    before = ledger(a)
    answer = bodies.encode_clawed_back(ClawedBack(1, 0, 0), b"")
    a.hear(B, forge(b, A, [Draft(Kind.CLAWED_BACK, True, ID, SALT + answer)]))
    assert ledger(a) == before


def test_a_third_region_cannot_take_back_what_passed_between_two_others(regions: Regions) -> None:
    made = regions((A, B, C))
    _, b, id_ = moved(made)
    c = made.regions[C]
    b.hear(C, forge(c, B, [request(id_, (0, 60), issuer=A)]))
    assert points(b, "x") == (60, 0, 0)
    assert [row[7] for row in rows(b, "request")["request"]] == [Reason.TRANSFER_UNKNOWN]


def test_what_the_resident_earned_otherwise_is_left(regions: Regions) -> None:
    made = regions()
    a, b, _ = moved(made)
    b.one(Award(client="c", key="own", account="x", category="moral", amount=25, because="honest"))
    spend(b, "x", 70)  # first-expiring first: by number, what arrived goes before it
    claw(a)
    made.pump()
    assert points(b, "x") == (15, 0, 0)
    assert claims(b) == [(A, True, "moral", 60)]
