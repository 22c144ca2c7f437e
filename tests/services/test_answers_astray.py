"""Answers of the wrong kind, and ids that a peer uses for two things: one id has one answer, and both sides know it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.protocol import codec
from gateway.protocol.agreement import life as agreement_life
from gateway.protocol.bodies import clawback as bodies
from gateway.protocol.clawback import Cause, Clawback, ClawedBack, Share
from gateway.protocol.clawback import State as Clawed
from gateway.protocol.dispute import State as Disputed
from gateway.protocol.values import Draft, Kind, Reason
from node.services.clawback.orders import GoOn
from node.services.roaming.counter import AskToHold
from node.services.roaming.home import NewCode
from node.services.verify.run import verify
from node.store import logs
from tests.federation import Pair, TestRegion, pair
from tests.services import disputing
from tests.services.agreeing import draft, proposal, today
from tests.services.clawing import FRAUD, all_of, claims, claw, move
from tests.services.delivery import A, B, C
from tests.services.ledger import SALT, forge, points, resident, rows

ID = b"forged clawback!"
REFUSED = 3

WRONG: dict[str, tuple[int, bytes]] = {
    "an acceptance": (Kind.ACCEPT, b""),
    "a countersignature of nothing": (Kind.COUNTERSIGN, b""),
    "an attestation": (Kind.ATTEST, b"\xff"),
    "points that come back unasked": (Kind.CLAWED_BACK, bodies.encode_clawed_back(ClawedBack(9, 0, 0), b"")),
    "a reply of the kind of a request": (Kind.PROPOSE, b""),
    "a reply of a kind from the future": (4711, b""),
    "a refusal for an unheard-of reason": (Kind.REFUSE, codec.encode_refuse(2_000_000_000, b"")),
    "a refusal that cannot be read": (Kind.REFUSE, b"\xff\xff"),
}


def sound(*regions: TestRegion) -> None:
    for region in regions:
        assert [check for check in verify(region.store) if not check.ok] == [], region.code


@pytest.mark.parametrize("number", [0, 9, (1 << 63) - 1])
@pytest.mark.parametrize(("kind", "body"), WRONG.values(), ids=[name.replace(" ", "_") for name in WRONG])
def test_a_reply_of_the_wrong_kind_grants_nothing_and_nobody_waits_for_ever(
    kind: int, body: bytes, number: int
) -> None:
    made = disputing.coordinated()
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    resident(b, "visitor", 90)
    move(made, A, B, "x", 40)
    moved = disputing.moved(made, 20)
    a.one(proposal(draft((3, 2), valid_from=today(a))))
    dispute = a.one(disputing.opening(B, moved)).id
    claw(a)
    text = b.one(NewCode(account="visitor")).code
    a.one(AskToHold(client="till", key="purchase", code=text, category="moral", amount=20))
    asked = [row[0] for row in rows(a, "request")["request"] if row[2]]
    assert len(asked) == 4
    header = ("moral", number, "moral", number) if number else ("", 0, "", 0)
    before = points(a, "x"), points(a, "A")
    a.hear(B, forge(b, A, [Draft(kind, True, id_, SALT + body, *header) for id_ in asked]))
    assert (points(a, "x"), points(a, "A")) == before
    assert claims(a) == []
    (version,) = a.office.agreements.dealings(B).versions
    refused = kind != Kind.ACCEPT  # a dispute may be taken by an acceptance
    assert version.state is agreement_life.State.REFUSED
    assert [row.state for row in all_of(a) if row.mine] == [Clawed.REFUSED]
    assert disputing.at(made, A, dispute).state is (Disputed.REFUSED if refused else Disputed.OPENED)
    sound(a)
    assert a.one(proposal(draft((3, 2), valid_from=today(a)))).state is agreement_life.State.PROPOSED


# -- two requests under one id ----------------------------------------------------------------------------------------


@pytest.fixture
def moved_on() -> tuple[Pair, bytes]:
    """60 points of a fraudulent activity went from A to B, and on to C; the id of the first transfer."""
    made = pair((A, B, C))
    a, b, c = (made.regions[code] for code in (A, B, C))
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    resident(c, "x")
    placed = move(made, A, B, "x", 60)
    made.pump()
    move(made, B, C, "x", 60)
    made.pump()
    return made, bytes.fromhex(placed.id)


def request(transfer: bytes, blocks: int, *, id_: bytes = ID, cause: Cause = Cause.ACTIVITY) -> Draft:
    body = Clawback(transfer, cause, A, FRAUD, b"root of it all..", (Share(0, blocks),))
    return Draft(Kind.CLAWBACK, False, id_, SALT + bodies.encode_clawback(body, b""))


def said(region: TestRegion, peer: int, id_: bytes) -> list[int]:
    """The kinds of all replies to an id, in their order."""
    with region.store.read() as conn:
        reader = logs.Reader(conn, logs.number_of(conn, region.code, peer, 1))
        frames = [codec.decode_frame(reader.frame(n)) for n in range(region.writer.channels[peer].size)]
    return [frame.kind for frame in frames if frame.reply and frame.id == id_]


def only(made: Pair, *codes: int) -> None:
    """Let these regions talk, and no other."""
    everybody, made.regions = made.regions, {code: made.regions[code] for code in codes}
    made.pump()
    made.regions = everybody


SECOND: dict[str, Callable[[bytes], Draft]] = {
    "another clawback": lambda transfer: request(transfer, 10),
    "one that cannot be read": lambda _: Draft(Kind.CLAWBACK, False, ID, SALT + b"\xff"),
    "an offer that cannot be read": lambda _: Draft(Kind.OFFER, False, ID, SALT + b"\xff", "moral", 1, "moral", 1),
    "a kind from the future": lambda _: Draft(4711, False, ID, SALT),
}


@pytest.mark.parametrize("second", SECOND.values(), ids=[name.replace(" ", "_") for name in SECOND])
def test_an_id_that_waits_for_its_answer_gets_no_other(
    moved_on: tuple[Pair, bytes], second: Callable[[bytes], Draft]
) -> None:
    """Otherwise the refusal of the second is the answer to the first for whoever asked, and the points that then come
    back are booked on one side only."""
    made, transfer = moved_on
    a, b, c = (made.regions[code] for code in (A, B, C))
    b.hear(A, forge(a, B, [request(transfer, 60), second(transfer)]))
    assert said(b, A, ID) == []
    only(made, B, C)
    assert said(b, A, ID) == [Kind.CLAWED_BACK]
    sound(b, c)


def test_an_id_that_was_answered_is_refused_when_it_is_used_again(moved_on: tuple[Pair, bytes]) -> None:
    made, transfer = moved_on
    a, c = made.regions[A], made.regions[C]
    draft_ = request(transfer, 1, cause=Cause.REVERSAL)
    b = made.regions[B]
    b.hear(A, forge(a, B, [draft_, request(transfer, 1)]))
    assert said(b, A, ID) == [Kind.CLAWED_BACK, Kind.REFUSE]
    sound(b, c)


# -- points that come back twice --------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [True, False])
def test_points_on_their_way_back_are_not_owed_besides(taken: bool) -> None:
    """A peer that asks for a reversal and claims the transfer in the same breath gets one of the two."""
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    resident(a, "x", 100, because=FRAUD)
    resident(b, "x")
    transfer = bytes.fromhex(move(made, A, B, "x", 60).id)
    made.pump()
    back = Draft(Kind.REVERSE_REQUEST, False, b"reverse request!", SALT + codec.encode_reverse_request(transfer, b""))
    claim = request(transfer, 60, cause=Cause.REVERSAL)
    b.hear(A, forge(a, B, [back, claim]))
    assert (points(b, "x"), claims(b), said(b, A, ID)) == ((0, 60, 0), [], [])
    returning = next(row[1] for row in rows(b, "transfer")["transfer"] if row[2] == B)
    answer = Draft(Kind.ACCEPT, True, returning, SALT + codec.encode_accept(b""))
    if not taken:
        answer = Draft(Kind.REFUSE, True, returning, SALT + codec.encode_refuse(Reason.ACCOUNT_CLOSED, b""))
    b.hear(A, forge(a, B, [back, claim, answer]))
    b.one(GoOn())
    if taken:
        assert (points(b, "x"), claims(b), said(b, A, ID)) == ((0, 0, 0), [], [Kind.REFUSE])
    else:
        assert (points(b, "x"), claims(b)) == ((60, 0, 0), [(A, False, "moral", 60)])
    sound(b)
