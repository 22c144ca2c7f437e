"""A counter's region that does not keep the rules: the home region refuses by name, and every hold stands."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.protocol import codec
from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.members import Anchor
from gateway.protocol.roaming import LASTS_MOST_MS, About, Authorise, State, read_code
from gateway.protocol.values import Draft, Kind
from node.services.claim import Cause
from node.services.keys.revocation import Judged, JudgeKeys
from node.services.roaming.counter import Shown
from node.services.verify.run import verify
from node.store import logs
from tests.federation import NOW_MS, Pair, TestRegion, pair, signing_key
from tests.services.delivery import A, B, C
from tests.services.ledger import SALT, forge, ledger, points, rows
from tests.services.roaming import (
    DAY_MS,
    at,
    authorised,
    capture,
    code,
    ends,
    furnish,
    position,
    redeemed,
    release,
)
from tests.services.standing import enact, listed
from tests.services.test_keys_rotation import NEW, key


@pytest.fixture
def three() -> Pair:
    made = pair((A, B, C), rate=(2, 3))
    furnish(made)
    return made


def ask(home: TestRegion, text: str, **changes: Any) -> Draft:
    """A request to hold as a peer might say it: good, but for what is changed."""
    header = {"category": "moral", "amount": 60, "becomes": "moral", "arriving": 40, "id": b"forged purchase!"}
    header |= {name: changes.pop(name) for name in list(changes) if name in header}
    body = Authorise(read_code(text).alias, 2, 3, 1, home.clock.now_ms + 600_000, "")._replace(**changes)
    return Draft(Kind.AUTHORISE, False, header.pop("id"), SALT + bodies.encode_authorise(body, b""), **header)  # type: ignore[arg-type]


def about(kind: Kind, found: Shown, amount: int = 0, arriving: int = 0, **changes: Any) -> Draft:
    """A message about an authorisation."""
    body = SALT + bodies.encode_about(kind, About(bytes.fromhex(found.id)), b"")
    category = changes.get("category", "moral") if amount else ""
    return Draft(kind, False, changes.get("id", b"forged message!!"), body, category, amount, category, arriving)


def says(peer: TestRegion, home: TestRegion, *drafts: Draft) -> list[str]:
    """What the home region answers to these messages of a peer."""
    before = home.writer.channels[peer.code].size
    home.hear(peer.code, forge(peer, home.code, list(drafts)))
    with home.store.read() as conn:
        reader = logs.Reader(conn, logs.number_of(conn, home.code, peer.code, 1))
        found = []
        for number in range(before, home.writer.channels[peer.code].size):
            frame = codec.decode_frame(reader.frame(number))
            refused = frame.kind == Kind.REFUSE
            found.append(codec.reason_name(codec.decode_refuse(reader.body(number))) if refused else "ACCEPT")
    return found


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "amounts that are no blocks": ({"amount": 61}, "MALFORMED_BODY"),
    "amounts of another rate": ({"amount": 40, "arriving": 60}, "MALFORMED_BODY"),
    "no amount": ({"amount": 0, "arriving": 0}, "MALFORMED_BODY"),
    "no category": ({"category": ""}, "MALFORMED_BODY"),
    "a rate that is not in lowest terms": ({"rate_p": 4, "rate_q": 6}, "MALFORMED_BODY"),
    "a code of another length": ({"code": b"short"}, "MALFORMED_BODY"),
    "no end": ({"until_ms": 0}, "MALFORMED_BODY"),
    "a reference that is too long": ({"reference": "r" * 65}, "MALFORMED_BODY"),
    "a rate nobody agreed on": ({"rate_p": 1, "rate_q": 1, "arriving": 60}, "TERMS_DIFFER"),
    "an old version": ({"terms_version": 7}, "TERMS_DIFFER"),
    "a category that is not mapped": ({"category": "gold"}, "CATEGORY_NOT_MAPPED"),
    "a category that becomes another": ({"becomes": "culture"}, "CATEGORY_NOT_MAPPED"),
    "a code that was guessed": ({"code": b"0123456789"}, "CODE_NOT_VALID"),
    "more than there is": ({"amount": 300, "arriving": 200}, "INSUFFICIENT_POINTS"),
    "an end in the past": ({"until_ms": 1}, "TOO_LATE"),
    "an end too far away": ({"until_ms": 1_795_000_000_000 + LASTS_MOST_MS + DAY_MS}, "TOO_LATE"),
}


@pytest.mark.parametrize(("changes", "reason"), BAD.values(), ids=[name.replace(" ", "_") for name in BAD])
def test_a_request_to_hold_that_breaks_a_rule(three: Pair, changes: dict[str, Any], reason: str) -> None:
    a, b = three.regions[A], three.regions[B]
    draft, before = ask(a, code(a), **changes), points(a, "A")
    moved = {name: rows for name, rows in ledger(a).items() if name in ("posting", "lot_entry", "balance")}
    assert says(b, a, draft) == [reason]
    assert points(a, "A") == before
    assert moved.items() <= ledger(a).items()


def test_the_request_that_the_others_are_made_from_is_good(three: Pair) -> None:
    a, b = three.regions[A], three.regions[B]
    text = code(a)
    again = ask(a, text, id=b"another purchase")
    assert says(b, a, ask(a, text), ask(a, text), again) == ["ACCEPT", "CONFLICT_DIFFERENT_CONTENT", "CODE_NOT_VALID"]
    assert points(a, "A") == (60, 60, 0)


def test_captures_that_break_a_rule_leave_the_hold_as_it_is(three: Pair) -> None:
    a, b = ends(three)
    found = authorised(three, a, b, 40)
    bad = {
        "ABOVE_AUTHORISED": about(Kind.CAPTURE, found, 63, 42, id=b"capture number 1"),
        "MALFORMED_BODY": about(Kind.CAPTURE, found, 60, 38, id=b"capture number 2"),
    }
    half = about(Kind.CAPTURE, found, 3, 3, id=b"capture number 3")
    other = about(Kind.CAPTURE, found, 3, 2, category="culture", id=b"capture number 4")
    assert says(b, a, *bad.values(), half, other) == [*bad, "MALFORMED_BODY", "MALFORMED_BODY"]
    assert (at(a, found).state, points(a, "A"), position(a, B)) == (State.AUTHORISED, (60, 60, 0), (0, 0, 60))


def test_a_capture_of_what_nobody_knows(three: Pair) -> None:
    a, b = ends(three)
    unknown = msgspec.structs.replace(authorised(three, a, b, 40), id="77" * 16)
    assert says(b, a, about(Kind.CAPTURE, unknown, 3, 2)) == ["TRANSFER_UNKNOWN"]


def test_a_second_capture_and_a_capture_after_the_release(three: Pair) -> None:
    a, b = ends(three)
    first, second = authorised(three, a, b, 40), authorised(three, a, b, 10)
    b.do(capture(first, 20), release(second))
    three.pump()
    late = [about(Kind.CAPTURE, first, 3, 2, id=b"capture number 1"), about(Kind.CAPTURE, second, 3, 2)]
    assert says(b, a, *late, about(Kind.RELEASE, first, id=b"release number 1")) == ["AUTHORISATION_ENDED"] * 3
    assert (points(a, "A"), position(a, B)) == ((90, 0, 0), (30, 0, 0))
    assert [check for check in verify(a.store) if not check.ok] == []


def test_another_region_neither_captures_nor_releases_nor_ends_what_is_held_for_a_counter(three: Pair) -> None:
    a, b = ends(three)
    c = three.regions[C]
    found = authorised(three, a, b, 40)
    taken = [about(Kind.CAPTURE, found, 60, 40), about(Kind.RELEASE, found, id=b"release number 1")]
    assert says(c, a, *taken) == ["TRANSFER_UNKNOWN", "TRANSFER_UNKNOWN"]
    assert at(a, found).state is State.AUTHORISED


def test_only_the_home_region_ends_an_authorisation_by_asking(three: Pair) -> None:
    a, b = ends(three)
    found = authorised(three, a, b, 40, minutes=1)
    a.clock.now_ms += 120_000
    assert says(three.regions[C], b, about(Kind.AUTHORISATION_ASK, found)) == ["ACCEPT"]  # there is nothing of C's
    assert at(b, found).state is State.AUTHORISED
    assert says(a, b, about(Kind.AUTHORISATION_ASK, found)) == ["ACCEPT"]
    assert at(b, found).state is State.ENDED


def test_the_question_before_the_time_is_over_ends_nothing(three: Pair) -> None:
    a, b = ends(three)
    found = authorised(three, a, b, 40)
    assert says(a, b, about(Kind.AUTHORISATION_ASK, found)) == ["WRONG_STATE"]
    assert at(b, found).state is State.AUTHORISED


def anchored(region: TestRegion, peer: int) -> Anchor:
    """Its log to a peer as its owner last saw it."""
    good = region.writer.channels[peer]
    return Anchor(destination=peer, epoch=good.epoch.number, size=good.size, root=good.out_frontier.root())


def revoke(made: Pair, region: int, anchor: Anchor, to: int) -> None:
    """The keepers revoke a key, in the hands of one region."""
    old = key(signing_key(region), revoked_at_ms=NOW_MS, anchors=(anchor,))
    enact(made, listed(made, region, keys=(old, key(NEW))), to=(to,))


def test_what_a_thief_of_the_counters_key_has_captured_is_claimed_of_its_region(three: Pair) -> None:
    a, b = ends(three)
    found = authorised(three, a, b, 40)
    anchor = anchored(b, A)
    assert says(b, a, about(Kind.CAPTURE, found, 30, 20)) == ["ACCEPT"]
    revoke(three, B, anchor, to=A)
    assert a.one(JudgeKeys()) == Judged(claims=1)
    ((_, peer, cause, id_, category, amount, *_),) = rows(a, "claim")["claim"]
    assert (peer, cause, id_.hex(), category, amount) == (B, Cause.REVOKED_KEY, found.id, "moral", 30)
    assert points(a, "A") == (90, 0, 0)  # nothing is unposted


def test_what_a_thief_of_the_home_regions_key_has_paid_for_is_claimed_of_it(three: Pair) -> None:
    a, b = ends(three)
    found = authorised(three, a, b, 40)
    anchor = anchored(a, B)
    taking = capture(found, 20)
    b.one(taking)
    accept = Draft(Kind.ACCEPT, True, b.office.public_id("till", taking.key), SALT)
    b.hear(A, forge(a, B, [accept]))
    assert redeemed(b) == 20
    revoke(three, A, anchor, to=B)
    assert b.one(JudgeKeys()) == Judged(claims=1)
    ((_, peer, cause, id_, category, amount, *_),) = rows(b, "claim")["claim"]
    assert (peer, cause, id_.hex(), category, amount) == (A, Cause.REVOKED_KEY, found.id, "moral", 20)
