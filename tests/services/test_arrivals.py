"""Offers a destination cannot take: refused by name, the points back where they were, and the log moves on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import codec
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Draft, Kind, Provenance, Reason, Slice, Status
from gateway.transport import messages as wire
from node.ledger.accounts import AccountState
from node.services.handshake import Begin
from node.services.offer import Review
from node.services.transfer import Cancel
from node.store import logs
from tests.federation import TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, B, alias_of, ends
from tests.services.ledger import (
    SALT,
    address,
    column,
    forge,
    ledger,
    offer,
    order,
    points,
    rows,
    set_state,
    state_of,
)

DAY_MS = 86_400_000
ID = b"forged transfer!"


def answers(b: TestRegion) -> list[tuple[str, str]]:
    """What B has said to A: kinds, and reasons of refusals."""
    said = []
    with b.store.read() as conn:
        log = logs.number_of(conn, B, A, 1)
        for segment in logs.segments(conn, log, 0):
            for raw, body in zip(
                codec.unpack_frames(segment.frames), codec.unpack_bodies(segment.bodies or b""), strict=True
            ):
                frame = codec.decode_frame(raw)
                why = codec.reason_name(codec.decode_refuse(body)) if frame.kind == Kind.REFUSE else ""
                said.append((Kind(frame.kind).name, why))
    return said


def takes(a: TestRegion, b: TestRegion, *drafts: Draft) -> list[tuple[str, str]]:
    """B hears these messages of A in one envelope; what it answers."""
    b.hear(A, forge(a, B, list(drafts)))
    assert b.writer.channels[A].held == len(drafts)
    return answers(b)


STRANGE: dict[str, tuple[dict[str, Any], str]] = {
    "a body that is no protobuf": ({"body": b"\xff\xff"}, "MALFORMED_BODY"),
    "a body without slices": ({"slices": ()}, "MALFORMED_BODY"),
    "a rate of zero": ({"rate_q": 0}, "MALFORMED_BODY"),
    "a rate that is not in lowest terms": ({"rate_p": 2, "rate_q": 2}, "MALFORMED_BODY"),
    "an amount of zero": ({"amount": 0, "slices": (Slice(1, 0, (Provenance(A, 20260101, 2, ""),)),)}, "MALFORMED_BODY"),
    "amounts that do not add up": ({"arriving": 11}, "MALFORMED_BODY"),
    "no category": ({"category": ""}, "MALFORMED_BODY"),
    "a category that is not agreed": ({"category": "gold"}, "CATEGORY_NOT_MAPPED"),
    "a category that becomes another": ({"becomes": "culture"}, "CATEGORY_NOT_MAPPED"),
    "another version of the terms": ({"terms_version": 2}, "TERMS_DIFFER"),
    "a rate that is not agreed": ({"rate_p": 2, "arriving": 20}, "TERMS_DIFFER"),
    "a purpose that is not agreed": ({"purpose": 6}, "PURPOSE_NOT_ALLOWED"),
    "an address of nobody": ({"address": bytes(10)}, "ADDRESS_UNKNOWN"),
    "no address": ({"address": b""}, "ADDRESS_UNKNOWN"),
    "backfilled evidence": ({"slices": (Slice(10, 0, (Provenance(A, 20260101, 1, ""),)),)}, "EVIDENCE_TOO_LOW"),
    "a block of which a part is backfilled": (
        {"slices": (Slice(10, 0, (Provenance(A, 20260101, 2, ""), Provenance(A, 20260101, 1, ""))),)},
        "EVIDENCE_TOO_LOW",
    ),
    "a kind nobody knows": ({"kind": 77}, "UNKNOWN_KIND"),
    "a return nobody asked for": ({"purpose": 5, "address": b""}, "TRANSFER_UNKNOWN"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_offer_is_refused_by_name_and_the_log_moves_on(regions: Regions, name: str) -> None:
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    changes, reason = STRANGE[name]
    good = offer(to, 7, id_=b"the one after it")
    said = takes(a, b, offer(to, **changes), good)
    assert said == [("REFUSE", reason), ("ACCEPT", "")]
    assert points(b, "B") == (0, 0, 7)


def test_a_body_too_large_is_refused_by_name(regions: Regions) -> None:
    a, b = ends(regions())
    assert takes(a, b, offer(bytes(10), body=bytes(5000))) == [("REFUSE", "MALFORMED_BODY")]
    assert points(b, "B") == (0, 0, 0)


@pytest.mark.parametrize("kind", [2, 3, 77])
def test_a_reply_that_fits_nothing_is_kept_and_never_answered(regions: Regions, kind: int) -> None:
    a, b = ends(regions())
    before = ledger(b)
    assert takes(a, b, Draft(kind, True, ID, SALT + b"\xff")) == []
    assert ledger(b) == before


def test_a_reply_of_an_unknown_kind_leaves_the_hold_as_it_is(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    before = ledger(a)
    a.hear(B, forge(b, A, [Draft(77, True, bytes.fromhex(placed.id), SALT)]))
    assert ledger(a) == before
    assert points(a, "A") == (60, 40, 0)


def test_a_refusal_that_cannot_be_read_is_a_refusal(regions: Regions) -> None:
    """Replies are decided from the header alone."""
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    a.hear(B, forge(b, A, [Draft(Kind.REFUSE, True, bytes.fromhex(placed.id), SALT + b"\xff")]))
    assert state_of(a, placed, A) == (State.VOIDED, Reason.MALFORMED_BODY)
    assert points(a, "A") == (100, 0, 0)


def test_only_the_first_answer_decides(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    id_ = bytes.fromhex(placed.id)
    accept = Draft(Kind.ACCEPT, True, id_, SALT + codec.encode_accept(b""))
    refuse = Draft(Kind.REFUSE, True, id_, SALT + codec.encode_refuse(60, b""))
    a.hear(B, forge(b, A, [refuse, accept, refuse]))
    assert state_of(a, placed, A) == (State.VOIDED, Reason.INSUFFICIENT_POINTS)
    assert points(a, "A") == (100, 0, 0)


def test_an_answer_from_the_wrong_region_decides_nothing(regions: Regions) -> None:
    made = regions((A, B, 330600))
    a, b = ends(made)
    c = made.regions[330600]
    placed = a.one(order(address(b, "B"), 40))
    before = ledger(a)
    accept = Draft(Kind.ACCEPT, True, bytes.fromhex(placed.id), SALT + codec.encode_accept(b""))
    a.hear(c.code, forge(c, A, [accept]))
    assert ledger(a) == before


def test_the_same_id_with_different_content(regions: Regions) -> None:
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    said = takes(a, b, offer(to, 10), offer(to, 11), offer(to, 10), offer(bytes(10), 10, consent="x"))
    assert said == [
        ("ACCEPT", ""),
        ("REFUSE", "CONFLICT_DIFFERENT_AMOUNT"),
        ("REFUSE", "CONFLICT_DIFFERENT_CONTENT"),
        ("REFUSE", "CONFLICT_DIFFERENT_CONTENT"),
    ]
    assert points(b, "B") == (0, 0, 10)


@pytest.mark.parametrize(
    ("state", "reason"), [(AccountState.FROZEN, Reason.ACCOUNT_FROZEN), (AccountState.CLOSED, Reason.ADDRESS_UNKNOWN)]
)
def test_a_frozen_or_closed_account(regions: Regions, state: AccountState, reason: Reason) -> None:
    """A closed one is answered like one that never was."""
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    set_state(b, "B", state)
    placed = a.one(order(to, 40))
    before = rows(b, "balance", "posting", "lot")
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, reason)
    assert points(a, "A") == (100, 0, 0)
    assert rows(b, "balance", "posting", "lot") == before


def test_an_account_frozen_after_it_sent_still_gets_back_what_is_refused(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    set_state(b, "B", AccountState.CLOSED)
    a.one(order(to, 40))
    set_state(a, "A", AccountState.FROZEN)
    made.pump()
    assert points(a, "A") == (100, 0, 0)


@pytest.mark.parametrize("how", ["of another sender", "of another purpose", "expired", "of a closed account"])
def test_an_address_that_may_not_be_used(regions: Regions, how: str) -> None:
    made = regions((A, B, 330600))
    a, b = ends(made)
    to = {
        "of another sender": lambda: address(b, "B", sender=330600),
        "of another purpose": lambda: address(b, "B", purpose=2),
        "expired": lambda: address(b, "B", days=1),
        "of a closed account": lambda: address(b, "B"),
    }[how]()
    if how == "expired":
        b.clock.now_ms += DAY_MS
    elif how == "of a closed account":
        set_state(b, "B", AccountState.CLOSED)
    placed = a.one(order(to, 40))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.ADDRESS_UNKNOWN)
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))


def test_terms_that_only_one_side_has(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    b.office.terms = {}
    placed = a.one(order(address(b, "B"), 40))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.CATEGORY_NOT_MAPPED)
    assert points(a, "A") == (100, 0, 0)


# -- before a clerk ---------------------------------------------------------------------------------------------------


def reviewed(made: Any) -> tuple[TestRegion, TestRegion, Any]:
    """A transfer of 40 that waits for a clerk of B."""
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    made.pump()
    assert state_of(b, placed, A) == (State.IN_REVIEW, 0)
    assert (points(a, "A"), points(b, "B")) == ((60, 40, 0), (0, 0, 0))
    return a, b, placed


def decide(placed: Any, accept: bool) -> Review:
    return Review(source=A, id=bytes.fromhex(placed.id), accept=accept, by="clerk 7")


def test_a_clerk_accepts(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b, placed = reviewed(made)
    first = b.one(decide(placed, True))
    before = rows(b)
    assert b.one(decide(placed, True)) == first
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(decide(placed, False))
    assert rows(b) == before
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((60, 0, 0), (40, 0, 0))


def test_a_clerk_refuses(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b, placed = reviewed(made)
    b.one(decide(placed, False))
    before = rows(b)
    b.one(decide(placed, False))
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(decide(placed, True))
    assert rows(b) == before
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.REVIEW_REFUSED)
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))


def test_below_the_limit_no_clerk_is_asked(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b = ends(made)
    a.one(order(address(b, "B"), 39))
    made.pump()
    assert points(b, "B") == (39, 0, 0)


def test_a_cancel_before_the_clerk_decides(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b, placed = reviewed(made)
    first = a.one(Cancel(id=bytes.fromhex(placed.id)))
    assert a.one(Cancel(id=bytes.fromhex(placed.id))) == first
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.CANCELLED)
    assert points(a, "A") == (100, 0, 0)
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(decide(placed, True))


def test_a_cancel_after_the_clerk_has_decided(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b, placed = reviewed(made)
    b.one(decide(placed, True))
    a.one(Cancel(id=bytes.fromhex(placed.id)))  # the two cross on the wire
    made.pump()
    assert state_of(a, placed, A) == (State.POSTED, 0)
    assert (points(a, "A"), points(b, "B")) == ((60, 0, 0), (40, 0, 0))


def test_a_cancel_and_a_decision_in_one_batch(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b, placed = reviewed(made)
    a.one(Cancel(id=bytes.fromhex(placed.id)))
    parcel = a.exchange.parcel(a.writer.channels[B])
    heard = b.exchange.command(A, _as_envelope(parcel))
    answered = b.do(decide(placed, True), heard, decide(placed, True))
    assert answered[0] == answered[2]
    made.restart(A)
    assert state_of(a, placed, A) == (State.POSTED, 0)
    assert points(b, "B") == (40, 0, 0)


def _as_envelope(parcel: Any) -> Any:
    return wire.decode(wire.encode(parcel))


@pytest.mark.parametrize(
    ("state", "reason"), [(AccountState.FROZEN, Reason.ACCOUNT_FROZEN), (AccountState.CLOSED, Reason.ADDRESS_UNKNOWN)]
)
def test_an_account_frozen_or_closed_while_the_clerk_thinks(
    regions: Regions, state: AccountState, reason: Reason
) -> None:
    made = regions(review_from=40)
    a, b, placed = reviewed(made)
    set_state(b, "B", state)
    b.one(decide(placed, True))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, reason)
    assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))


def test_a_review_of_what_is_not_in_review(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    before = rows(b)
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        b.one(decide(placed, True))
    with pytest.raises(Refused, match="TRANSFER_UNKNOWN"):
        a.one(decide(placed, True))
    assert rows(b) == before
    made.pump()
    with pytest.raises(Refused, match="WRONG_STATE"):
        b.one(decide(placed, False))


@pytest.mark.parametrize("together", [False, True], ids=["before the handshake", "in one batch with its end"])
def test_a_clerk_decides_while_the_peer_is_away_and_the_points_still_come_free(
    regions: Regions, together: bool
) -> None:
    """The answer gets its number only later, and the lots must learn it."""
    made = regions(review_from=40)
    a, b, placed = reviewed(made)
    b.start()  # nobody has fenced this incarnation yet
    (resume,) = b.say(A, Begin(peer=A))
    if not together:
        b.one(decide(placed, True))
        assert column(b, "lot", "clears") == [1 << 62]
    commands = [b.exchange.command(A, fenced) for fenced in a.hear(B, resume)]
    answered = b.do(*([decide(placed, True)] if together else []), *commands)
    assert not [each for each in answered if isinstance(each, Exception)]
    made.restart(A)
    assert state_of(a, placed, A) == (State.POSTED, 0)
    assert points(b, "B") == (40, 0, 0)
    b.one(order(address(a, "A"), 39, account="B"))
    made.pump()
    assert points(a, "A") == (99, 0, 0)


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.WITHDRAWN])
def test_a_cancel_to_a_region_that_is_not_active(regions: Regions, status: Status) -> None:
    """It ends what has begun, unless the region has withdrawn: then nothing is said to it any more."""
    made = regions(review_from=40)
    a, _, placed = reviewed(made)
    listed = tuple(replace(r, status=status) if r.code == B else r for r in a.office.roster.regions)
    a.office.roster = replace(a.office.roster, regions=listed)
    before = rows(a)
    if status is Status.WITHDRAWN:
        with pytest.raises(Refused, match="REGION_NOT_ACTIVE"):
            a.one(Cancel(id=bytes.fromhex(placed.id)))
        assert rows(a) == before
        return
    a.one(Cancel(id=bytes.fromhex(placed.id)))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.CANCELLED)
