"""A region that will not answer again, as the keepers resolve it: nobody waits for ever, nothing is lost unseen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert

from gateway.protocol.channel import Condition
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Reason, Status
from node.errors import BadInput
from node.services.claim import Cause, ClaimState
from node.services.offer import Review
from node.services.resolution import Resolve
from node.services.reversal import AskReversal, ReversalState
from node.services.transfer import Cancel, EventKind
from node.services.verify.run import verify
from node.store import schema
from tests.federation import Pair, TestRegion, pair
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C, ends
from tests.services.ledger import Tables, address, column, order, points, resident, rows, state_of
from tests.services.standing import carry_out, copies, enact, listed, resolve, set_status


def kept(region: TestRegion) -> Tables:
    """Every table but the one that counts commits."""
    return {name: found for name, found in rows(region).items() if name != "history"}


def cut_off(made: Pair) -> None:
    """Nothing reaches anybody any more."""
    made.wire.clear()


def test_holds_of_a_region_that_withdraws_stay_until_they_are_resolved_and_then_come_back(regions: Regions) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    to = address(b, "B")
    waiting = a.one(order(to, 40))
    made.pump()
    never_sent = a.one(order(to, 5))
    set_status(made, B, Status.WITHDRAWN, to=(A,))
    assert points(a, "A") == (55, 45, 0)
    with pytest.raises(Refused, match="REGION_NOT_ACTIVE"):
        a.one(Cancel(id=bytes.fromhex(waiting.id)))
    assert carry_out(a) == []  # nothing is assumed of it
    resolve(made, B, *copies(a, B), to=(A,))
    first, last = carry_out(a)
    assert (first.voided, first.refused, first.claimed) == (2, 0, 0)
    assert last.then is None
    assert points(a, "A") == (100, 0, 0)
    for placed in (waiting, never_sent):
        assert state_of(a, placed, A) == (State.VOIDED, Reason.REGION_NOT_ACTIVE)
    assert column(a, "event", "kind")[-2:] == [EventKind.VOIDED] * 2
    assert a.writer.channels[B].condition is Condition.CLOSED
    assert rows(a, "outbox", "claim") == {"outbox": [], "claim": []}


def test_what_is_resolved_is_resolved_once_and_for_all_restarts(regions: Regions) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    a.one(order(address(b, "B"), 40))
    made.pump()
    resolve(made, B, *copies(a, B), to=(A,))
    carry_out(a)
    before = kept(a)
    a.start()
    assert carry_out(a) == []
    assert a.one(Resolve(region=B)).then is None
    assert kept(a) == before


def test_a_closed_channel_hears_nothing_more(regions: Regions) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    made.pump()
    resolve(made, B, *copies(a, B), to=(A,))
    carry_out(a)
    before = kept(a)
    b.one(Review(source=A, id=bytes.fromhex(placed.id), accept=True, by="clerk"))  # it had only been out of reach
    made.pump()
    assert kept(a) == before
    assert points(a, "A") == (100, 0, 0)


def test_its_offers_before_a_clerk_are_refused_here(regions: Regions) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    resident(b, "B2", 50)
    placed = b.one(order(address(a, "A"), 40, account="B2"))
    made.pump()
    assert state_of(a, placed, B) == (State.IN_REVIEW, 0)
    resolve(made, B, *copies(a, B), to=(A,))
    (first, _) = carry_out(a)
    assert (first.voided, first.refused) == (0, 1)
    assert state_of(a, placed, B) == (State.REFUSED, Reason.REGION_NOT_ACTIVE)
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(Review(source=B, id=bytes.fromhex(placed.id), accept=True, by="clerk"))


def test_an_acceptance_it_never_saw_is_spendable_and_a_claim_on_its_estate(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    resident(b, "B2", 50)
    placed = b.one(order(address(a, "A"), 30, account="B2"))
    while not a.writer.channels[B].held:  # its offer arrives, what is answered does not
        if not made.wire:
            made.collect()
        made.deliver()
    cut_off(made)
    assert points(a, "A") == (100, 0, 30)
    resolve(made, B, *copies(a, B), to=(A,))
    (first, _) = carry_out(a)
    assert first.claimed == 1
    assert points(a, "A") == (130, 0, 0)
    ((_, peer, cause, id_, category, amount, _, state, _, mine),) = rows(a, "claim")["claim"]
    assert (peer, cause, id_, category) == (B, Cause.ESTATE, bytes.fromhex(placed.id), "moral")
    assert (amount, state, mine) == (30, ClaimState.OPEN, True)


def test_a_clerk_accepted_while_it_was_out_of_reach(regions: Regions) -> None:
    """The answer never got a number; the points come free all the same, against a claim."""
    made = regions(review_from=20)
    a, b = ends(made)
    resident(b, "B2", 50)
    placed = b.one(order(address(a, "A"), 40, account="B2"))
    made.pump()
    a.start()
    a.one(Review(source=B, id=bytes.fromhex(placed.id), accept=True, by="clerk"))
    assert points(a, "A") == (100, 0, 40)
    resolve(made, B, *copies(a, B), to=(A,))
    (first, _) = carry_out(a)
    assert first.claimed == 1
    assert points(a, "A") == (140, 0, 0)


def test_what_it_accepted_beyond_its_final_log_is_claimed_and_stays_posted(regions: Regions) -> None:
    """Its log was found shorter than this region's copy: points that left are not brought back by a document."""
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    a.one(order(to, 10))
    made.pump()
    early = copies(a, B)
    placed = a.one(order(to, 20))
    made.pump()
    resolve(made, B, *early, to=(A,))
    (first, _) = carry_out(a)
    assert (first.voided, first.claimed) == (0, 1)
    assert state_of(a, placed, A) == (State.POSTED, 0)
    assert points(a, "A") == (70, 0, 0)


def test_where_its_log_goes_on_beyond_every_copy_a_hold_comes_back_against_a_claim(regions: Regions) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    a.one(order(address(b, "B"), 40))
    made.pump()
    mine, theirs = copies(a, B)
    resolve(made, B, mine, replace(theirs, size=theirs.size + 1, root=bytes(32)), to=(A,))
    (first, _) = carry_out(a)
    assert (first.voided, first.claimed) == (1, 1)
    assert points(a, "A") == (100, 0, 0)


@pytest.mark.parametrize("which", [0, 1], ids=["my log", "its log"])
def test_final_logs_that_are_not_those_kept_here_end_nothing(regions: Regions, which: int) -> None:
    made = regions(review_from=20)
    a, b = ends(made)
    resident(b, "B2", 50)
    b.one(order(address(a, "A"), 5, account="B2"))
    a.one(order(address(b, "B"), 40))
    made.pump()
    logs = list(copies(a, B))
    logs[which] = replace(logs[which], root=bytes(32))
    resolve(made, B, *logs, to=(A,))
    before = kept(a)
    with pytest.raises(BadInput, match="compare the copies"):
        carry_out(a)
    assert kept(a) == before


def test_a_request_to_reverse_that_it_will_not_answer_has_come_to_nothing(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 10))
    made.pump()
    a.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(placed.id)))
    cut_off(made)
    resolve(made, B, *copies(a, B), to=(A,))
    carry_out(a)
    ((*_, state, reason, _),) = rows(a, "reversal")["reversal"]
    assert (state, reason) == (ReversalState.REFUSED, Reason.REGION_NOT_ACTIVE)


def test_points_on_their_way_back_to_it_return_to_where_they_were(regions: Regions) -> None:
    """A return is a hold like any other."""
    made = regions()
    a, b = ends(made)
    resident(b, "B2", 50)
    placed = b.one(order(address(a, "A"), 30, account="B2"))
    made.pump()
    b.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(placed.id)))
    while points(a, "A")[1] == 0:
        if not made.wire:
            made.collect()
        made.deliver()
    cut_off(made)
    resolve(made, B, *copies(a, B), to=(A,))
    carry_out(a)
    assert points(a, "A") == (130, 0, 0)


def test_more_holds_than_one_transaction_ends(regions: Regions, monkeypatch: pytest.MonkeyPatch) -> None:
    made = regions(review_from=1)
    a, b = ends(made)
    to = address(b, "B")
    a.do(*(order(to, 1) for _ in range(7)))
    made.pump()
    resolve(made, B, *copies(a, B), to=(A,))
    monkeypatch.setattr("node.services.resolution.TRANSFERS_AT_ONCE", 3)
    assert [done.voided for done in carry_out(a)] == [3, 3, 1, 0]
    assert points(a, "A") == (100, 0, 0)


def test_a_third_region_goes_on_as_before(regions: Regions) -> None:
    made = regions((A, B, C))
    a, b = ends(made)
    c = made.regions[C]
    resident(c, "C")
    a.one(order(address(b, "B"), 10))
    made.pump()
    resolve(made, B, *copies(a, B), to=(A, C))
    carry_out(a)
    carry_out(c)
    a.one(order(address(c, "C"), 25))
    made.pump()
    assert (points(a, "A"), points(c, "C")) == ((65, 0, 0), (25, 0, 0))


def test_a_resolution_is_never_taken_back(regions: Regions) -> None:
    made = regions()
    ends(made)
    resolve(made, B, *copies(made.regions[A], B), to=(A,))
    with pytest.raises(Exception, match="resolution is missing"):
        enact(made, listed(made, B, status=Status.ACTIVE), resolutions=(), to=(A,))


def test_a_claim_that_nothing_in_the_journal_raised_is_found() -> None:
    made = pair()
    a, b = ends(made)
    a.one(order(address(b, "B"), 10))
    made.pump()
    with a.store.write() as conn:
        conn.execute(insert(schema.claim).values(
            no=1, peer=B, cause=3, id=bytes(16), category="moral", amount=10, because="", state=1, at_ms=0
        ))  # fmt: skip
    assert [check.code for check in verify(a.store) if not check.ok] == ["claims"]
