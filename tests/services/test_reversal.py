"""Reversal 冲正: all of it comes back into the lots it left, while it is unspent; otherwise a refusal by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import codec
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Draft, Kind, Reason, Status
from node.ledger.accounts import AccountState
from node.services.expiry import Sweep
from node.services.reversal import AskReversal, ReversalState
from node.services.spend import Spend
from node.services.transfer import EventKind
from tests.federation import Pair, TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, B, ends
from tests.services.ledger import SALT, address, forge, ledger, offer, order, points, resident, rows, set_state

DAY_MS = 86_400_000


def posted(made: Pair, amount: int = 40, **more: Any) -> tuple[TestRegion, TestRegion, AskReversal]:
    """A transfer of A that B has accepted, and the command that asks for it back."""
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), amount, **more))
    made.pump()
    return a, b, AskReversal(client="c", key="back", transfer=bytes.fromhex(placed.id))


def outcome(a: TestRegion) -> list[tuple[int, int]]:
    """State and reason of every request of A."""
    return [(row[5], row[6]) for row in rows(a, "reversal")["reversal"]]


def events(region: TestRegion) -> list[int]:
    return [row[1] for row in sorted(rows(region, "event")["event"])]


def spend(account: str, amount: int, key: str = "spend") -> Spend:
    return Spend(client="c", key=key, account=account, category="moral", amount=amount)


def test_what_is_unspent_comes_back_into_the_very_lots_it_left(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    resident(a, "A", 30, expires=20270101)
    before = rows(a, "lot")
    placed = a.one(order(address(b, "B"), 70))
    made.pump()
    a.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(placed.id)))
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((130, 0, 0), (0, 0, 0))
    assert rows(a, "lot") == before
    assert outcome(a) == [(ReversalState.GRANTED, 0)]
    assert events(a) == [EventKind.POSTED, EventKind.ACCEPTED]
    assert events(b) == [EventKind.ACCEPTED, EventKind.REVERSAL_ASKED, EventKind.POSTED]
    a.one(spend("A", 130))


def test_at_the_pinned_rate(regions: Regions) -> None:
    made = regions(rate=(2, 3))
    a, b, ask = posted(made, 50)
    assert (points(a, "A"), points(b, "B")) == ((52, 0, 0), (32, 0, 0))
    a.one(ask)
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))


def test_what_comes_back_is_not_spendable_before_the_peer_holds_that_it_came(regions: Regions) -> None:
    made = regions()
    a, _, ask = posted(made)
    a.one(ask)
    made.collect()
    made.deliver()  # the request
    made.deliver()  # its receipt
    made.collect()
    while points(a, "A")[2] == 0:
        made.deliver()
    assert points(a, "A") == (60, 0, 40)
    with pytest.raises(Refused, match="INSUFFICIENT_POINTS"):
        a.one(spend("A", 61))
    made.pump()
    a.one(spend("A", 100, "later"))


@pytest.mark.parametrize("how", ["spent", "partly spent", "held for another transfer", "moved on", "expired"])
def test_what_is_no_longer_there_is_refused(regions: Regions, how: str) -> None:
    made = regions((A, B, 330600))
    a, b, ask = posted(made)
    c = made.regions[330600]
    resident(c, "C")
    if how in ("spent", "partly spent"):
        b.one(spend("B", 40 if how == "spent" else 1))
    elif how == "expired":
        resident(a, "A", 10, expires=20261120)
        late = a.one(order(address(b, "B"), 10))
        made.pump()
        ask = AskReversal(client="c", key="late", transfer=bytes.fromhex(late.id))
        a.clock.now_ms += 31 * DAY_MS
        for region in (a, b):
            region.office.terms = {key: _long(terms) for key, terms in region.office.terms.items()}
        b.one(Sweep())
    else:
        b.one(order(address(c, "C"), 40, account="B"))
        if how == "moved on":
            made.pump()
    there, mine = rows(b, "balance", "lot"), points(a, "A")
    a.one(ask)
    before = ledger(a)
    if how == "held for another transfer":
        request = a.exchange.parcel(a.writer.channels[B])
        made.send(A, B, [request])
        made.deliver()
        assert rows(b, "balance", "lot") == there
        made.pump()
    else:
        made.pump()
        assert rows(b, "balance", "lot") == there
    assert outcome(a) == [(ReversalState.REFUSED, Reason.ALREADY_SPENT)]
    assert points(a, "A") == mine
    after = ledger(a)
    assert {**after, "reversal": [], "event": [], "outbox": []} == {**before, "reversal": [], "event": [], "outbox": []}


def _long(terms: Any) -> Any:
    return replace(terms, reversal_days=365)


def test_too_late(regions: Regions) -> None:
    made = regions(reversal_days=7)
    a, _, ask = posted(made)
    a.clock.now_ms += 7 * DAY_MS + 1
    before = ledger(a)
    for _ in range(2):
        with pytest.raises(Refused) as refusal:
            a.one(ask)
        assert refusal.value.reason is Reason.TOO_LATE
    assert {**ledger(a), "outcome": []} == {**before, "outcome": []}


def test_in_the_last_moment(regions: Regions) -> None:
    made = regions(reversal_days=7)
    a, _, ask = posted(made)
    a.clock.now_ms += 7 * DAY_MS
    a.one(ask)
    made.pump()
    assert points(a, "A") == (100, 0, 0)


def test_a_transfer_that_was_not_accepted(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    held = a.one(order(to, 40))
    ask = AskReversal(client="c", key="back", transfer=bytes.fromhex(held.id))
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(ask)
    made.pump()
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(ask)  # as it was answered the first time
    set_state(b, "B", AccountState.FROZEN)
    voided = a.one(order(to, 40))
    made.pump()
    with pytest.raises(Refused, match="WRONG_STATE"):
        a.one(AskReversal(client="c", key="back 2", transfer=bytes.fromhex(voided.id)))


def test_a_reversal_cannot_be_reversed_nor_asked_for_twice(regions: Regions) -> None:
    made = regions()
    a, b, ask = posted(made)
    a.one(ask)
    a.one(ask)
    second = AskReversal(client="c", key="again", transfer=ask.transfer)
    a.one(second)
    made.pump()
    assert sorted(outcome(a)) == [(ReversalState.GRANTED, 0), (ReversalState.REFUSED, Reason.ALREADY_SPENT)]
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))
    back = next(row for row in rows(b, "transfer")["transfer"] if row[2] == B)
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(AskReversal(client="c", key="back", transfer=back[1]))


def test_only_its_source_may_ask(regions: Regions) -> None:
    made = regions()
    a, b, ask = posted(made)
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        b.one(ask)
    stolen = Draft(
        Kind.REVERSE_REQUEST, False, b"a stolen request", SALT + codec.encode_reverse_request(ask.transfer, b"")
    )
    before = ledger(a)
    a.hear(B, forge(b, A, [stolen]))  # B asks for what it was sent
    after = ledger(a)
    assert {**after, "outbox": []} == {**before, "outbox": []}


@pytest.mark.parametrize("state", [AccountState.FROZEN, AccountState.CLOSED])
def test_an_account_frozen_or_closed_at_the_destination(regions: Regions, state: AccountState) -> None:
    """A frozen account gives back what came to it; a closed one is empty."""
    made = regions()
    a, b, ask = posted(made)
    if state is AccountState.CLOSED:
        b.one(spend("B", 40))
    set_state(b, "B", state)
    a.one(ask)
    made.pump()
    back = state is AccountState.FROZEN
    assert points(a, "A") == (100 if back else 60, 0, 0)
    assert outcome(a)[0][0] == (ReversalState.GRANTED if back else ReversalState.REFUSED)


def test_an_account_frozen_at_the_source_gets_back_what_was_its_own(regions: Regions) -> None:
    made = regions()
    a, _, ask = posted(made)
    set_state(a, "A", AccountState.FROZEN)
    a.one(ask)
    made.pump()
    assert points(a, "A") == (100, 0, 0)


@pytest.mark.parametrize("when", ["before it was asked for", "after it was asked for"])
def test_an_account_closed_at_the_source(regions: Regions, when: str) -> None:
    """What comes back is refused, and stays where it is."""
    made = regions()
    a, b, ask = posted(made, 100)
    if when == "before it was asked for":
        set_state(a, "A", AccountState.CLOSED)
        a.one(ask)
    else:
        a.one(ask)
        set_state(a, "A", AccountState.CLOSED)
    made.pump()
    assert outcome(a) == [(ReversalState.REFUSED, Reason.ACCOUNT_CLOSED)]
    assert (points(a, "A"), points(b, "B")) == ((0, 0, 0), (100, 0, 0))


def test_a_return_that_is_not_what_was_sent(regions: Regions) -> None:
    """B sends back less than it took."""
    made = regions()
    a, b, ask = posted(made)
    a.one(ask)
    request = rows(a, "reversal")["reversal"][0][0]
    short = offer(b"", 39, id_=b"too little of it", purpose=5, cites=ask.transfer, request=request)
    before = rows(a, "balance", "posting", "lot", "lot_entry")
    a.hear(B, forge(b, A, [short]))
    assert rows(a, "balance", "posting", "lot", "lot_entry") == before
    assert points(a, "A") == (60, 0, 0)


def test_a_reversal_through_a_restart_of_both(regions: Regions) -> None:
    made = regions()
    a, b, ask = posted(made)
    a.one(ask)
    made.restart(A)
    made.restart(B)
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))
    assert outcome(a) == [(ReversalState.GRANTED, 0)]
    assert rows(b, "transfer")["transfer"][0][4] == State.ACCEPTED


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.WITHDRAWN])
def test_a_region_that_is_not_active_is_not_asked(regions: Regions, status: Status) -> None:
    """SPEC 8.3: such a request is not sent; what the region was sent before stays with it."""
    made = regions()
    a, _, ask = posted(made)
    listed = tuple(replace(r, status=status) if r.code == B else r for r in a.office.roster.regions)
    a.office.roster = replace(a.office.roster, regions=listed)
    before = ledger(a)
    with pytest.raises(Refused, match="REGION_NOT_ACTIVE"):
        a.one(ask)
    assert {**ledger(a), "outcome": []} == {**before, "outcome": []}
