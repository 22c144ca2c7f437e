"""Consent that is missing, expired, withdrawn or for somebody else: nothing is held, and nothing new is sent."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import codec, consent
from gateway.protocol.consent import Consent, GivenBy
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Purpose, Reason
from node.errors import BadInput
from node.services.consent import GiveConsent
from node.services.offer import Review
from node.services.verify.run import verify
from node.services.withdrawal import WithdrawConsent, Withdrawn
from node.store import schema
from node.store.consents import ConsentRow
from tests.federation import Pair, TestRegion, pair
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C, ends
from tests.services.ledger import address, ledger, order, points, resident, rows, state_of
from tests.services.test_orders_refused import refused

DAY_MS = 86_400_000


def given(region: TestRegion, **changes: Any) -> str:
    """A consent of resident A's for B, for relocation; its reference."""
    said: dict[str, Any] = {
        "client": "c", "key": f"consent {sorted(changes.items())}", "account": "A", "recipient": B,
        "contact": "宁波市 0574-12345", "purpose": "relocation", "method": "gateway message",
        "kinds": ("points",), "expires": 20271231, **changes,
    }  # fmt: skip
    reference: str = region.one(GiveConsent(**said)).reference
    return reference


def offers_to(region: TestRegion, peer: int) -> list[Any]:
    """Every offer in the log to a peer."""
    found = []
    with region.store.read() as conn:
        log = region.writer._books.logs[region.code, peer]
        for row in conn.execute(schema.segment.select().where(schema.segment.c.log == log)):
            bodies = conn.execute(
                schema.body.select().where(schema.body.c.log == log, schema.body.c.first == row.first)
            ).one()
            frames = map(codec.decode_frame, codec.unpack_frames(row.frames))
            pairs = zip(frames, codec.unpack_bodies(bodies.bodies), strict=True)
            found += [codec.decode_offer(body) for frame, body in pairs if frame.kind == 1]
    return found


def test_an_offer_carries_the_digest_of_the_record_and_the_salt_stays_at_home(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    reference = given(a)
    placed = a.one(order(address(b, "B"), 10, consent=reference))
    made.pump()
    assert state_of(a, placed, A) == (State.POSTED, 0)
    (offer,) = offers_to(a, B)
    (row,) = rows(a, "consent")["consent"]
    kept = ConsentRow(*row)
    record = Consent(
        reference=reference, source=A, account="A", recipient=B, contact=kept.contact, purpose="relocation",
        method=kept.method, kinds=("points",), given_by=GivenBy.SELF, expires=20271231,
    )  # fmt: skip
    assert offer.consent == reference
    assert offer.consent_digest == consent.digest(kept.salt, record) == kept.digest
    assert consent.digest(kept.salt, replace(record, recipient=C)) != kept.digest
    assert rows(b, "consent")["consent"] == []
    for table in rows(b).values():
        assert not any(kept.salt in row for row in table), "the salt has left its region"


def test_a_consent_nobody_gave(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    for named in ("0" * 32, "C-2026-1", "同意"):
        refused(a, order(to, 10, consent=named), Reason.CONSENT_NOT_VALID)


def test_a_consent_of_another_resident(regions: Regions) -> None:
    a, b = ends(regions())
    resident(a, "other", 10)
    refused(a, order(address(b, "B"), 10, account="other", consent=given(a)), Reason.CONSENT_NOT_VALID)


def test_a_consent_for_another_recipient(regions: Regions) -> None:
    a, b = ends(regions((A, B, C)))
    refused(a, order(address(b, "B"), 10, consent=given(a, recipient=C)), Reason.CONSENT_NOT_VALID)


def test_a_consent_for_another_purpose_or_other_data(regions: Regions) -> None:
    a, b = ends(regions())
    to = address(b, "B")
    refused(a, order(to, 10, consent=given(a, purpose="donation")), Reason.CONSENT_NOT_VALID)
    refused(a, order(to, 10, consent=given(a), purpose=Purpose.DONATION), Reason.CONSENT_NOT_VALID)
    refused(a, order(to, 10, consent=given(a, kinds=("star_level",))), Reason.CONSENT_NOT_VALID)


def test_a_consent_that_has_expired(regions: Regions) -> None:
    """On the date it names it no longer holds; the day before it does."""
    made = regions()
    a, b = ends(made)
    reference = given(a, expires=20261220)
    to = address(b, "B")
    a.clock.now_ms = 1_797_695_999_999  # 2026-12-19 23:59:59.999 +08:00
    assert a.office.today(a.clock()) == 20261219
    a.one(order(to, 10, consent=reference))
    a.clock.now_ms += 1
    refused(a, order(to, 10, consent=reference), Reason.CONSENT_NOT_VALID)
    with pytest.raises(Refused):
        given(a, expires=20261220, key="again")


def test_a_minor_without_a_guardian(regions: Regions) -> None:
    a, b = ends(regions())
    with pytest.raises(Refused, match="guardian") as refusal:
        given(a, under_14=True)
    assert refusal.value.reason is Reason.CONSENT_NOT_VALID
    a.one(order(address(b, "B"), 10, consent=given(a, under_14=True, given_by=GivenBy.GUARDIAN)))


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "reversal"},
        {"purpose": "anything"},
        {"kinds": ()},
        {"kinds": ("points", "fingerprints")},
        {"contact": ""},
        {"method": ""},
        {"contact": "guardian 330106199003071236"},
        {"method": "330106900307123"},
    ],
)
def test_a_record_that_says_too_little_or_too_much(regions: Regions, changes: dict[str, Any]) -> None:
    a, _b = ends(regions())
    with pytest.raises(BadInput) as refusal:
        given(a, **changes)
    assert "330106" not in str(refusal.value)
    assert rows(a, "consent") == {"consent": []}


def test_a_consent_given_twice_under_one_key_is_one(regions: Regions) -> None:
    a, _b = ends(regions())
    assert given(a, key="k") == given(a, key="k")
    assert len(rows(a, "consent")["consent"]) == 1
    with pytest.raises(Refused) as refusal:
        given(a, key="k", contact="another")
    assert refusal.value.reason is Reason.CONFLICT_DIFFERENT_CONTENT


def test_a_recipient_that_is_no_other_region(regions: Regions) -> None:
    a, _b = ends(regions())
    for recipient in (A, 440300):
        with pytest.raises(Refused) as refusal:
            given(a, recipient=recipient)
        assert refusal.value.reason is Reason.REGION_UNKNOWN


# -- withdrawn ------------------------------------------------------------------------------------------------------


def withdrawn(region: TestRegion, reference: str) -> Withdrawn:
    """What came of it."""
    answer = region.one(WithdrawConsent(id=bytes.fromhex(reference)))
    assert isinstance(answer, Withdrawn)
    return answer


def test_withdrawn_before_anything_is_held(regions: Regions) -> None:
    a, b = ends(regions())
    reference = given(a)
    first = withdrawn(a, reference)
    assert (first.taken_back, first.cancelling) == ((), ())
    refused(a, order(address(b, "B"), 10, consent=reference), Reason.CONSENT_NOT_VALID)
    a.clock.now_ms += DAY_MS
    assert withdrawn(a, reference) == first, "again is answered alike"


def test_withdrawn_between_hold_and_offer(regions: Regions) -> None:
    """The peer has not been reached: the offer waits in the outbox, and never leaves it."""
    made = regions(open_now=False)
    a, b = ends(made)
    reference, other = given(a), given(a, purpose="donation")
    to = address(b, "B")
    placed = a.one(order(to, 10, consent=reference))
    stays = [a.one(order(to, 20)), a.one(order(to, 5, consent=other, purpose=Purpose.DONATION))]
    assert points(a, "A") == (65, 35, 0)
    assert withdrawn(a, reference).taken_back == (placed.id,)
    assert state_of(a, placed, A) == (State.VOIDED, Reason.CONSENT_NOT_VALID)
    assert points(a, "A") == (75, 25, 0)
    made.open()
    assert points(b, "B") == (25, 0, 0)
    assert points(a, "A") == (75, 0, 0)
    assert [state_of(a, each, A) for each in stays] == [(State.POSTED, 0)] * 2


@pytest.mark.parametrize("seed", range(25))
def test_whatever_the_order_no_offer_leaves_after_its_consent_was_withdrawn(seed: int) -> None:
    """Orders, withdrawals, deliveries and restarts by chance; what had left before may be decided either way."""
    chance = random.Random(seed)
    made = pair(open_now=chance.random() < 0.5, review_from=chance.choice([0, 5]))
    a, b = ends(made)
    to = address(b, "B")
    references = [given(a, key=str(n)) for n in range(3)]
    left: dict[str, set[bytes]] = {}  # what had left when a consent was withdrawn
    for _ in range(40):
        reference = chance.choice(references)
        match chance.randrange(6):
            case 0 | 1 | 2:
                a.do(order(to, chance.randint(1, 9), consent=reference))
            case 3 if reference not in left and len(left) < 2:
                left[reference] = _left(a, reference)
                withdrawn(a, reference)
            case 4:
                made.collect()
                for _ in range(chance.randint(1, 4)):
                    if made.wire:
                        made.deliver()
            case _ if chance.random() < 0.3:
                made.restart(chance.choice([A, B]))
    made.open()
    for reference, before in left.items():
        assert _left(a, reference) == before
    assert left
    for row in rows(b, "transfer")["transfer"]:
        if row[4] == State.IN_REVIEW:
            b.one(Review(source=A, id=row[1], accept=chance.random() < 0.5, by="clerk"))
    made.pump()
    assert points(a, "A")[1:] == (0, 0)
    assert points(a, "A")[0] + points(b, "B")[0] == 100
    for region in (a, b):
        assert [check for check in verify(region.store) if not check.ok] == []


def _left(region: TestRegion, reference: str) -> set[bytes]:
    """The offers in the log under a consent, each by what is sealed into it: bodies have no id."""
    if B not in region.writer.channels:
        return set()
    return {offer.redo for offer in offers_to(region, B) if offer.consent == reference}


def test_withdrawn_in_the_batch_that_holds(regions: Regions) -> None:
    made = regions(open_now=False)
    a, b = ends(made)
    reference = given(a)
    placed, answer = a.do(order(address(b, "B"), 10, consent=reference), WithdrawConsent(id=bytes.fromhex(reference)))
    assert answer.cancelling == (placed.id,)
    made.open()
    assert state_of(a, placed, A)[0] in (State.POSTED, State.VOIDED)
    assert points(a, "A")[0] + points(b, "B")[0] == 100


def test_withdrawn_while_a_clerk_of_the_destination_looks_at_it(regions: Regions) -> None:
    made = regions(review_from=1)
    a, b = ends(made)
    reference = given(a)
    placed = a.one(order(address(b, "B"), 10, consent=reference))
    made.pump()
    assert state_of(b, placed, A)[0] == State.IN_REVIEW
    assert withdrawn(a, reference).cancelling == (placed.id,)
    assert points(a, "A") == (90, 10, 0), "silence is no answer"
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.CANCELLED)
    assert state_of(b, placed, A) == (State.REFUSED, Reason.CANCELLED)
    assert points(a, "A") == (100, 0, 0)


def test_withdrawn_after_it_was_accepted_changes_nothing_that_is_done(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    reference = given(a)
    a.one(order(address(b, "B"), 10, consent=reference))
    made.pump()
    before = ledger(a)
    assert withdrawn(a, reference).cancelling == ()
    assert ledger(a) == before
    made.pump()
    assert points(b, "B") == (10, 0, 0)


def test_withdrawn_while_the_region_recovers_takes_nothing_back_that_may_have_left(regions: Regions) -> None:
    made = regions(open_now=False)
    a, b = ends(made)
    reference = given(a)
    placed = a.one(order(address(b, "B"), 10, consent=reference))
    with a.store.write() as conn:
        conn.execute(schema.history.update().values(recovering=True))
    a.start()
    assert withdrawn(a, reference).cancelling == (placed.id,)
    assert state_of(a, placed, A) == (State.HELD, 0)
    with a.store.write() as conn:
        conn.execute(schema.history.update().values(recovering=False))
    a.start()


def test_one_that_is_not_here_cannot_be_withdrawn(regions: Regions) -> None:
    a, _b = ends(regions())
    with pytest.raises(Refused) as refusal:
        withdrawn(a, "0" * 32)
    assert refusal.value.reason is Reason.CONSENT_NOT_VALID


def test_the_database_lets_a_consent_be_withdrawn_and_nothing_else(regions: Regions) -> None:
    made: Pair = regions()
    a, _b = ends(made)
    given(a)
    for column in ("contact", "expires", "salt", "digest", "recipient"):
        with pytest.raises(Exception, match="consent: "), a.store.write() as conn:
            conn.execute(schema.consent.update().values({column: schema.consent.c[column]}))
