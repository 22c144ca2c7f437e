"""The days in which a transfer can be reversed: held to by the region that has the points, whatever the other says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.protocol.values import Reason
from node.services.reversal import AskReversal, ReversalState
from tests.services.conftest import Regions
from tests.services.delivery import ends
from tests.services.ledger import address, order, points, rows

DAY_MS = 86_400_000


@pytest.mark.parametrize("late_ms", [0, 1])
def test_a_source_with_more_patience_than_was_agreed(regions: Regions, late_ms: int) -> None:
    made = regions(reversal_days=7)
    a, b = ends(made)
    placed = a.one(order(address(b, "B"), 40))
    made.pump()
    a.office.terms = {key: replace(terms, reversal_days=365) for key, terms in a.office.terms.items()}
    b.office.terms = {key: replace(terms, reversal_days=7) for key, terms in b.office.terms.items()}
    a.clock.now_ms += 7 * DAY_MS + late_ms
    a.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(placed.id)))
    made.pump()
    found = [(row[5], row[6]) for row in rows(a, "reversal")["reversal"]]
    if late_ms:
        assert found == [(ReversalState.REFUSED, Reason.TOO_LATE)]
        assert (points(a, "A"), points(b, "B")) == ((60, 0, 0), (40, 0, 0))
    else:
        assert found == [(ReversalState.GRANTED, 0)]
        assert (points(a, "A"), points(b, "B")) == ((100, 0, 0), (0, 0, 0))
