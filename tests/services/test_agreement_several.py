"""An agreement of a region with several processes: whoever decides knows what was agreed, and counts with others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.protocol.agreement.document import Cap, CapScope
from gateway.protocol.agreement.life import State
from gateway.protocol.errors import Refused
from tests.services.agreeing import draft, proposal, sign, states, today
from tests.services.ledger import address, order, points, resident
from tests.services.processes import take_over
from tests.services.test_several import A, B, Region, region

__all__ = ["region"]
pytestmark = pytest.mark.postgresql


def test_processes_that_take_turns_agree_and_fill_one_cap_together(region: Region) -> None:
    east, west, b, made = region.east, region.west, region.b, region.made
    west.office = replace(west.office)  # as in a process of its own
    west.start()
    take_over(made, east)
    resident(east, "A", 100)
    resident(b, "B")
    caps = (Cap(scope=CapScope.RESIDENT_DAY, amount=30), Cap(scope=CapScope.PAIR_MONTH, amount=90))
    shown = west.one(proposal(draft((2, 1), valid_from=today(west), there={"caps": caps}, back={"on": False})))
    east.do()  # who has the seat numbers it
    made.pump()
    b.one(sign(A, shown))
    made.pump()
    west.do()
    assert states(east, B) == states(west, B) == states(b, A) == [(1, State.IN_FORCE)]
    to = address(b, "B")
    assert east.one(order(to, 20)).arriving == 40
    with pytest.raises(Refused, match="RESIDENT_CAP_REACHED"):
        west.one(order(to, 11))
    assert west.one(order(to, 10)).arriving == 20
    with pytest.raises(Refused, match="RESIDENT_CAP_REACHED"):
        east.one(order(to, 1))
    east.do()
    made.pump()
    assert points(b, "B") == (60, 0, 0)
