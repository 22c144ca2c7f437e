"""Is it the same resident? Compared for one transfer with one account; whoever is in doubt goes before a clerk."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol import codec, identity
from gateway.protocol.transfer import State
from gateway.protocol.values import Purpose, Reason
from node.services import identity as service
from node.services.consent import GiveConsent
from node.services.identify import Identify
from node.services.offer import Review
from node.store import logs, schema
from tests.federation import Pair, TestRegion
from tests.services.agreeing import agree
from tests.services.conftest import Regions
from tests.services.delivery import A, B, alias_of, ends
from tests.services.ledger import address, forge, offer, order, points, resident, rows, state_of
from tests.services.test_orders_refused import refused

ADULT, OTHER = "330106199003071236", "33020319800229104"
_roots: dict[tuple[str, bytes], bytes] = {}


def root(region: TestRegion, number: str) -> bytes:
    """As the API makes it; slow, and so made once."""
    federation = region.office.roster.federation
    if (number, federation) not in _roots:
        _roots[number, federation] = identity.root(number, federation)
    return _roots[number, federation]


def identified(region: TestRegion, name: str, number: str = ADULT, **more: Any) -> None:
    """The account is this person's."""
    region.one(Identify(account=name, root=root(region, number), **more))


def agreed(made: Pair, **more: Any) -> tuple[TestRegion, TestRegion]:
    """Two regions that compare residents."""
    a, b = ends(made)
    key = service.public_key(b.office)
    agree(made, identity_required=True, pseudonym_key_b=key, **more)
    return a, b


def moves(made: Pair, account: str = "A", to: str = "", amount: int = 10, **more: Any) -> tuple[Any, int]:
    """An order, and where it stands at the destination when nobody has anything to say."""
    a, b = made.regions[A], made.regions[B]
    placed = a.one(order(to or address(b, "B"), amount, account=account, **more))
    made.pump()
    return placed, state_of(b, placed, A)[0]


def doubt(region: TestRegion, placed: Any) -> str | None:
    """What the clerk is told."""
    id_ = bytes.fromhex(placed.id)
    with region.store.read() as conn:
        found = service.doubts(conn, [id_], region.office)
    return found[id_].value if id_ in found else None


def shown(a: TestRegion, placed: Any) -> bytes:
    """What the offer says of the resident."""
    with a.store.read() as conn:
        number = conn.scalar(schema.transfer.select().with_only_columns(schema.transfer.c.offered).where(
            schema.transfer.c.id == bytes.fromhex(placed.id)
        ))  # fmt: skip
        body = logs.body_at(conn, a.writer._books.logs[A, B], number or 0)
    return codec.decode_offer(body).identity


def test_the_same_resident_in_both_regions_is_credited_at_once(regions: Regions) -> None:
    made = regions()
    a, b = agreed(made)
    identified(a, "A")
    identified(b, "B")
    placed, state = moves(made)
    assert state == State.ACCEPTED
    assert points(b, "B") == (10, 0, 0)
    again, _ = moves(made)
    assert len(shown(a, placed)) == 32
    assert shown(a, placed) != shown(a, again), "two transfers of one resident cannot be linked"


def test_another_resident_goes_before_a_clerk(regions: Regions) -> None:
    made = regions()
    a, b = agreed(made)
    identified(a, "A")
    identified(b, "B", OTHER)
    placed, state = moves(made)
    assert state == State.IN_REVIEW
    assert doubt(b, placed) == "another"
    assert points(b, "B") == (0, 0, 0)
    b.one(Review(source=A, id=bytes.fromhex(placed.id), accept=True, by="clerk"))
    made.pump()
    assert points(b, "B") == (10, 0, 0), "the clerk has compared papers"


@pytest.mark.parametrize("knows", [(), (A,), (B,)])
def test_nothing_to_compare_goes_before_a_clerk(regions: Regions, knows: tuple[int, ...]) -> None:
    """15 digits, foreign papers: no root was made, and nobody searches for one."""
    made = regions()
    a, b = agreed(made)
    for code, name in ((A, "A"), (B, "B")):
        if code in knows:
            identified(made.regions[code], name)
    placed, state = moves(made)
    assert state == State.IN_REVIEW
    assert doubt(b, placed) == ("nothing_known" if A in knows else "nothing_shown")
    b.one(Review(source=A, id=bytes.fromhex(placed.id), accept=False, by="clerk"))
    made.pump()
    assert state_of(a, placed, A) == (State.VOIDED, Reason.REVIEW_REFUSED)
    assert points(a, "A") == (100, 0, 0)


def test_an_identity_that_was_forgotten_is_nothing_to_compare(regions: Regions) -> None:
    made = regions()
    a, b = agreed(made)
    identified(a, "A")
    identified(b, "B")
    b.one(Identify(account="B", root=b""))
    placed, state = moves(made)
    assert (state, doubt(b, placed)) == (State.IN_REVIEW, "nothing_known")


def test_a_proof_shown_before_does_not_pass_for_another_transfer(regions: Regions) -> None:
    """A source that replays what it once had is found out: the proof is of one transfer."""
    made = regions()
    a, b = agreed(made)
    identified(a, "A")
    identified(b, "B")
    placed, _ = moves(made)
    key = identity.pair_key(service._keys(b.office.redo_secret, B)[1], service.public_key(a.office), _agreement(a))
    assert identity.matches(key, bytes.fromhex(placed.id), root(b, ADULT), shown(a, placed))
    assert not identity.matches(key, b"another transfer", root(b, ADULT), shown(a, placed))


def _agreement(region: TestRegion) -> bytes:
    found = region.office.agreements.by(B)
    assert found is not None
    return found.agreement.id


def test_without_an_agreement_that_asks_for_it_nothing_is_shown(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    identified(a, "A")
    identified(b, "B", OTHER)
    placed, state = moves(made)
    assert (shown(a, placed), state) == (b"", State.ACCEPTED)
    agree(made)
    placed, state = moves(made)
    assert (shown(a, placed), state) == (b"", State.ACCEPTED)


def test_the_wrong_address_shows_nothing_that_could_be_tried_against_others(regions: Regions) -> None:
    """What is compared is the one account whose address was given."""
    made = regions()
    a, b = agreed(made)
    resident(b, "right")
    identified(a, "A")
    identified(b, "right")
    placed, state = moves(made)
    assert (state, doubt(b, placed)) == (State.IN_REVIEW, "nothing_known")
    assert points(b, "right") == (0, 0, 0)


def test_what_is_kept_opens_with_the_regions_secret_alone(regions: Regions) -> None:
    made = regions()
    a, b = agreed(made)
    identified(a, "A")
    identified(b, "B")
    (row,) = rows(a, "identity")["identity"]
    assert root(a, ADULT) not in row[1]
    a.office.redo_secret = b"another secret".ljust(32)
    placed, state = moves(made)
    assert (state, doubt(b, placed)) == (State.IN_REVIEW, "nothing_shown")


def test_what_is_kept_of_one_account_is_not_good_for_another(regions: Regions) -> None:
    made = regions()
    a, b = agreed(made)
    resident(a, "thief", 50)
    identified(a, "A")
    identified(b, "B")
    (row,) = rows(a, "identity")["identity"]
    with a.store.write() as conn:
        thief = conn.scalar(schema.account.select().with_only_columns(schema.account.c.no).where(
            schema.account.c.name == "thief"
        ))  # fmt: skip
        conn.execute(schema.identity.insert().values(account=thief, sealed=row[1], at_ms=row[2]))
    _placed, state = moves(made, "thief")
    assert state == State.IN_REVIEW


def test_many_at_once_are_each_compared_with_their_own(regions: Regions) -> None:
    made = regions()
    a, b = agreed(made)
    people = [(f"r{n}", ADULT if n % 2 else OTHER) for n in range(6)]
    for name, number in people:
        resident(a, name, 10)
        resident(b, name)
        identified(a, name, number)
        identified(b, name, ADULT)
    placed = a.do(*(order(address(b, name), 1, account=name) for name, _ in people))
    made.pump()
    states = [state_of(b, each, A)[0] for each in placed]
    assert states == [State.ACCEPTED if number == ADULT else State.IN_REVIEW for _, number in people]


# -- with consent -----------------------------------------------------------------------------------------------------


@pytest.fixture
def consenting(regions: Regions) -> Pair:
    """Two regions of which each asks for consent."""
    made = regions()
    ends(made)
    agree(made, consent_required=True, consent_basis="PIPL 23")
    return made


def test_an_agreement_that_asks_for_consent_gets_no_offer_without(consenting: Pair) -> None:
    a, b = consenting.regions[A], consenting.regions[B]
    to = address(b, "B")
    refused(a, order(to, 10), Reason.CONSENT_MISSING)
    refused(a, order(to, 10, consent="0" * 32), Reason.CONSENT_NOT_VALID)
    reference = a.one(
        GiveConsent(
            client="c", key="c", account="A", recipient=B, contact="宁波市", purpose="relocation", method="messages",
            kinds=("points",), expires=20271231,
        )
    ).reference  # fmt: skip
    placed, state = moves(consenting, to=to, consent=reference)
    assert state == State.ACCEPTED
    refused(a, order(to, 10, consent=reference, purpose=Purpose.DONATION), Reason.CONSENT_NOT_VALID)
    assert state_of(a, placed, A) == (State.POSTED, 0)


def test_a_resident_is_compared_only_as_far_as_he_agreed_to(regions: Regions) -> None:
    made = regions()
    a, b = agreed(made, consent_required=True, consent_basis="PIPL 23")
    identified(a, "A")
    identified(b, "B")
    said: dict[str, Any] = {
        "client": "c", "account": "A", "recipient": B, "contact": "宁波市", "purpose": "relocation",
        "method": "messages", "expires": 20271231,
    }  # fmt: skip
    points_only = a.one(GiveConsent(**said, key="1", kinds=("points",))).reference
    both = a.one(GiveConsent(**said, key="2", kinds=("points", "identity"))).reference
    refused(a, order(address(b, "B"), 10, consent=points_only), Reason.CONSENT_NOT_VALID)
    _placed, state = moves(made, consent=both)
    assert state == State.ACCEPTED


# -- what a peer sends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["because", "consent"])
def test_a_peer_that_names_somebody_by_number_is_refused(regions: Regions, where: str) -> None:
    made = regions()
    a, b = ends(made)
    draft = offer(alias_of(address(b, "B")))
    said = codec.decode_offer(draft.body)
    text = f"awarded to {ADULT}"
    if where == "because":
        (slice_,) = said.slices
        (provenance,) = slice_.provenance
        said = said._replace(slices=(slice_._replace(provenance=(provenance._replace(because=text),)),))
    else:
        said = said._replace(consent=text)
    bad = draft._replace(body=draft.body[:16] + codec.encode_offer(said))
    b.hear(A, forge(a, B, [bad]))
    for table in ("lot", "transfer", "event", "outcome"):
        assert not any(ADULT in str(cell) for row in rows(b, table)[table] for cell in row)
    assert points(b, "B") == (0, 0, 0)
