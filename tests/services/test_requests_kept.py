"""Requests that a restore kept: one that is refused waits no longer, one whose words were erased stops nobody."""

from __future__ import annotations

import pytest

from gateway.protocol.values import Frame, Kind, Reason
from node.services import receive, topics
from node.services.office import Office
from node.services.topics import Heard, RequestState, Said
from node.store.batch import Batch
from tests.services.delivery import A, B
from tests.services.disputing import Do, coordinated

ID = b"kept for a while"


def frame(kind: Kind) -> Frame:
    return Frame(int(kind), False, ID, 0, 1, "", 0, "", 0, bytes(32))


def test_a_kept_request_that_the_standing_of_its_region_refuses_waits_no_longer() -> None:
    b = coordinated().regions[B]
    heard = Heard(A, frame(Kind.AUTHORISE), b"", None, 7)

    def refuse(office: Office, batch: Batch) -> None:
        topics.keep(heard, batch)
        receive.refuse(A, heard.frame, 7, Reason.REGION_NOT_ACTIVE, office, batch)
        kept = topics.find(batch, ID, A, mine=False)
        assert kept is not None
        assert (kept.state, kept.reason) == (RequestState.REFUSED, Reason.REGION_NOT_ACTIVE)

    b.one(Do(refuse))


@pytest.mark.parametrize("kind", [Kind.DISPUTE, Kind.DISPUTE_STEP, Kind.CLAWBACK, Kind.PROPOSE, Kind.AUTHORISE])
def test_an_own_request_whose_body_was_erased_comes_back_as_asked_and_nothing_more(kind: Kind) -> None:
    a = coordinated().regions[A]

    def again(office: Office, batch: Batch) -> None:
        topics.ask_again(Said(B, frame(kind), b"", b"", 3), office, batch)
        asked = topics.find(batch, ID, B, mine=True)
        assert asked is not None
        assert asked.state == RequestState.OPEN

    a.one(Do(again))
