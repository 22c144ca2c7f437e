"""Well-formed, signed messages that no honest region would send: each is refused, and none stops the log."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from gateway.protocol import address, codec
from gateway.protocol.channel import Condition
from gateway.protocol.merkle import EMPTY_ROOT
from gateway.protocol.transfer import State
from gateway.protocol.values import (
    Ask,
    Draft,
    Epoch,
    Fault,
    Kind,
    Offer,
    Provenance,
    Purpose,
    Reason,
    Resume,
    Slice,
    Standing,
)
from node.services.account import OpenAccount
from node.services.address import AddressAnswer, NewAddress
from node.services.award import Award
from node.services.offer import Review
from node.services.transfer import Order, Placed
from node.store.engine import Store
from tests.federation import TestRegion, found_federation, plain_terms
from tests.services.neighbour import Neighbour

A, B = 330100, 330200
IDENT = bytes(range(16))
PROVENANCE = Provenance(A, 20260301, 2, "service")


@pytest.fixture
def region(store: Store) -> TestRegion:
    """Region B with an account, on each kind of database; a clerk sees offers from 100 on."""
    made = TestRegion(B, found_federation([A, B]), plain_terms([A, B], review_from=100), store=store)
    made.one(OpenAccount(name="resident"))
    return made


@pytest.fixture
def alias(region: TestRegion) -> bytes:
    """The alias of an address of that account."""
    answer: AddressAnswer = region.one(NewAddress(account="resident"))
    return address.read(answer.address).alias


@pytest.fixture
def neighbour(region: TestRegion) -> Neighbour:
    """Region A."""
    return Neighbour(A, region)


def salted(body: bytes) -> bytes:
    return random.Random(body).randbytes(16) + body


def offer_body(alias: bytes, amount: int, **changes: Any) -> Offer:
    slices = (Slice(amount, 20271231, (PROVENANCE,)),)
    return Offer(alias, int(Purpose.RELOCATION), 1, 1, 1, slices, "", b"", b"", b"")._replace(**changes)


def offer(alias: bytes, amount: int = 10, ident: bytes = IDENT, **changes: Any) -> Draft:
    body = codec.encode_offer(offer_body(alias, amount, **changes))
    return Draft(Kind.OFFER, False, ident, salted(body), "moral", amount, "moral", amount)


def said(answers: list[tuple[Any, bytes]]) -> list[str]:
    return [
        Reason(codec.decode_refuse(body)).name if frame.kind == Kind.REFUSE else Kind(frame.kind).name
        for frame, body in answers
    ]


# -- one id, one answer -----------------------------------------------------------------------------------------------

AGAIN: dict[str, Callable[[bytes], Draft]] = {
    "an offer whose body does not parse": lambda alias: offer(alias, 200)._replace(body=salted(b"\xff")),
    "an offer whose header contradicts its body": lambda alias: offer(alias, 200)._replace(amount=7),
    "an offer of another amount": lambda alias: offer(alias, 201),
    "a request of a kind from the future": lambda alias: Draft(4711, False, IDENT, salted(b"")),
    "a request to reverse what nobody knows": lambda alias: Draft(
        Kind.REVERSE_REQUEST, False, IDENT, salted(codec.encode_reverse_request(bytes(16), b""))
    ),
    "a request to reverse that does not parse": lambda alias: Draft(
        Kind.REVERSE_REQUEST, False, IDENT, salted(b"\xff")
    ),
}


@pytest.mark.parametrize("again", AGAIN.values(), ids=list(AGAIN))
def test_a_refusal_under_the_id_of_a_transfer_in_review_also_ends_the_review(
    region: TestRegion, neighbour: Neighbour, alias: bytes, again: Callable[[bytes], Draft]
) -> None:
    """Otherwise the source is told that it is refused, and the clerk can still accept it: points from nowhere."""
    assert neighbour.say(offer(alias, 200)) == []
    (first,) = neighbour.say(again(alias))
    assert first[0].kind == Kind.REFUSE
    accepted = region.do(Review(source=A, id=IDENT, accept=True, by="clerk"))[0]
    assert isinstance(accepted, Exception)
    assert neighbour.listen() == []


# -- values that no database column was made for ----------------------------------------------------------------------

STRANGE: dict[str, dict[str, Any]] = {
    "an expiry that is no date": {"slices": (Slice(10, 4_294_967_295, (PROVENANCE,)),)},
    "an expiry on the 32nd of March": {"slices": (Slice(10, 20270332, (PROVENANCE,)),)},
    "a grant in the year 42949": {"slices": (Slice(10, 0, (PROVENANCE._replace(granted=4_294_967_295),)),)},
    "evidence of an unheard-of strength": {"slices": (Slice(10, 0, (PROVENANCE._replace(evidence=2_000_000_000),)),)},
    "a cause with a zero byte": {"slices": (Slice(10, 0, (PROVENANCE._replace(because="a\0b"),)),)},
    "a purpose beyond all counting": {"purpose": 2_000_000_000},
    "a purpose below zero": {"purpose": -1},
    "terms of the last version there can be": {"terms_version": 2**64 - 1},
}


@pytest.mark.parametrize("changes", STRANGE.values(), ids=list(STRANGE))
def test_a_strange_value_in_an_offer_is_refused_and_what_follows_is_heard(
    region: TestRegion, neighbour: Neighbour, alias: bytes, changes: dict[str, Any]
) -> None:
    follows = offer(alias, ident=bytes(16))
    answers = said(neighbour.say(offer(alias, **changes), follows))
    assert len(answers) == 2
    assert answers[0] in ("MALFORMED_BODY", "TERMS_DIFFER", "PURPOSE_NOT_ALLOWED", "EVIDENCE_TOO_LOW")
    assert answers[1] == "ACCEPT"


def test_a_category_with_a_zero_byte_is_refused_and_what_follows_is_heard(
    region: TestRegion, neighbour: Neighbour, alias: bytes
) -> None:
    strange = offer(alias)._replace(category="mor\0al")
    assert said(neighbour.say(strange, offer(alias, ident=bytes(16)))) == ["MALFORMED_BODY", "ACCEPT"]


def test_a_refusal_for_an_unheard_of_reason_ends_the_transfer(region: TestRegion, neighbour: Neighbour) -> None:
    region.one(
        Award(client="c", key="award", account="resident", category="moral", amount=50, granted=20260101, because="x")
    )
    to = address.write(address.Address(A, bytes(10)))
    placed: Placed = region.one(
        Order(client="c", key="order", account="resident", category="moral", amount=20, address=to)
    )
    ((offered, _),) = neighbour.listen()
    refusal = salted(codec.encode_refuse(2_000_000_000, b""))
    neighbour.say(Draft(Kind.REFUSE, True, offered.id, refusal))
    again: Placed = region.one(
        Order(client="c", key="order", account="resident", category="moral", amount=20, address=to)
    )
    assert (placed.state, again.state) == (State.HELD, State.VOIDED)


# -- a channel in quarantine ------------------------------------------------------------------------------------------


def test_a_channel_in_quarantine_does_not_call_itself_ready(
    region: TestRegion, neighbour: Neighbour, alias: bytes
) -> None:
    """A peer that is told so sends again at once, and is told NotReady at once, and so on."""
    neighbour.say(offer(alias))
    lie = neighbour.envelope([offer(alias, ident=bytes(16))], first_root=bytes(32))
    region.hear(A, lie)
    assert region.writer.channels[A].condition is Condition.QUARANTINED
    question = Ask(log=neighbour.channel.out, echo=neighbour.channel.proposal)
    signed = neighbour.key.sign(codec.payload_type_of(question), codec.encode_payload(question))
    standing: Any = neighbour._answer(region.hear(A, signed), Standing)
    assert (standing.ready, standing.channel) == (False, "quarantined")


# -- starts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_an_epoch_beyond_all_clocks_is_malformed_and_fences_nothing(
    region: TestRegion, neighbour: Neighbour, alias: bytes, number: int
) -> None:
    resume = Resume(
        log=neighbour.channel.out, epoch=Epoch(number, 1), holds_size=0, holds_root=EMPTY_ROOT, peer_epoch=Epoch(0, 0)
    )
    (answer,) = region.hear(A, neighbour.key.sign(codec.payload_type_of(resume), codec.encode_payload(resume)))
    assert isinstance(answer, Fault)
    assert said(neighbour.say(offer(alias))) == ["ACCEPT"]
