"""Third regions in a dispute: what they are told, and how what they say reaches both parties."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.dispute import PAYLOAD_TYPE, Act, State, Step
from gateway.protocol.values import Kind, Reason
from node.errors import BadInput
from node.services import topics
from node.services.dispute.steps import Carry
from node.services.office import Office
from node.services.topics import RequestState
from node.store import disputes, schema
from node.store.batch import Batch
from tests.federation import Pair, signing_key
from tests.services.delivery import A, B, C
from tests.services.disputing import Do, agree, at, coordinated, disputed, moved, says, word
from tests.services.ledger import points


@pytest.fixture
def three() -> Pair:
    return coordinated()


def test_a_ruling_that_one_party_keeps_to_itself_comes_by_the_other(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    says(three, B, dispute, Act.CONTEST)
    says(three, A, dispute, Act.MEDIATE)
    says(three, C, dispute, Act.OPINION, amount=20)
    says(three, B, dispute, Act.ARBITRATE)
    three.regions[C].one(word(dispute, Act.UPHOLD))
    silent = [(C, A), (A, C)]
    for _ in range(1000):
        three.collect()
        three.wire = type(three.wire)(item for item in three.wire if item[:2] not in silent)
        if not three.wire:
            break
        three.deliver()
    assert agree(three, dispute) is State.UPHELD


def test_a_ruling_can_be_carried_as_a_file(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    says(three, B, dispute, Act.CONTEST)
    says(three, A, dispute, Act.MEDIATE)
    three.regions[C].one(word(dispute, Act.OPINION, amount=4))
    with three.regions[C].store.read() as conn:
        ruling = disputes.steps(conn, dispute)[-1]
    three.regions[A].one(Carry(client="c", key="carry", step=ruling))
    three.pump()
    assert agree(three, dispute) is State.ADVISED
    with three.regions[A].store.read() as conn:
        own = disputes.steps(conn, dispute)[0]
    with pytest.raises(BadInput):
        three.regions[A].one(Carry(client="c", key="own", step=own))


def told(made: Pair, by: int, step: Step, *, signed_by: object = None) -> int:
    """A region tells C of a dispute; what C answered: 0, or the reason."""
    signed = signing_key(signed_by or step.by).sign(PAYLOAD_TYPE, bodies.encode_statement(step))

    def ask(office: Office, batch: Batch) -> None:
        topics.ask(C, Kind.DISPUTE, step.dispute, lambda redo: bodies.encode_dispute(signed, redo), office, batch)

    made.regions[by].one(Do(ask))
    made.pump()
    with made.regions[by].store.read() as conn:
        row = conn.execute(schema.request.select().where(schema.request.c.peer == C)).all()[-1]
    assert row.state != RequestState.OPEN
    return int(row.reason)


def test_a_third_region_hears_of_a_dispute_only_from_its_parties_and_only_what_they_signed(three: Pair) -> None:
    dispute = disputed(three, moved(three))
    with three.regions[A].store.read() as conn:
        first = bodies.decode_statement(disputes.steps(conn, dispute)[0])
    assert first.opening is not None
    opening_ = first.opening
    stranger = replace(first, dispute=b"1" * 16, by=330400, opening=opening_)
    assert told(three, A, stranger, signed_by=A) == Reason.DOCUMENT_INVALID
    assert told(three, A, replace(first, dispute=b"2" * 16, by=B), signed_by=A) == Reason.DOCUMENT_INVALID
    nobody = opening_._replace(mediator=330400, arbitrator=330400)
    assert told(three, A, replace(first, dispute=b"3" * 16, opening=nobody)) == Reason.DOCUMENT_INVALID
    assert told(three, A, first) == 0
    assert told(three, B, replace(first, reference="other")) == Reason.CONFLICT_DIFFERENT_CONTENT
    assert at(three, C, dispute).steps == 1
    assert points(three.regions[B], "B") == (0, 60, 0)
