"""Agreements after a restore: what was said about them comes back, counts as it did, and nobody decides it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.agreement.document import Cap, CapScope, NoticeKind
from gateway.protocol.agreement.life import State
from gateway.protocol.errors import Refused
from node.services.recovery.history import Replayed
from node.services.verify.run import verify
from node.store import agreements
from node.store import usages as counted
from tests.federation import Pair, TestRegion
from tests.services.agreeing import agree, draft, notice, proposal, sign, states, today
from tests.services.conftest import Regions
from tests.services.delivery import A, B, ends
from tests.services.ledger import address, order, points
from tests.services.restoring import backup, reopen, restore, sound, witnessed


def known(region: TestRegion, peer: int) -> Any:
    """What the tables say of agreements with a peer, in no order of time."""
    with region.store.read() as conn:
        found = agreements.load(conn)[peer]
    return sorted(found.versions, key=lambda v: (v.request, v.proposer)), [
        sorted((n for n in found.notices if n.by == by), key=lambda n: n.request) for by in (A, B)
    ]


def owed(region: TestRegion) -> dict[Any, int]:
    with region.store.read() as conn:
        return {key: pair.net for key, pair in counted.load_pairs(conn).items()}


def everything(made: Pair) -> None:
    """An agreement, an amendment, a refusal, a suspension, an end, and transfers between them."""
    a, b = made.regions[A], made.regions[B]
    caps = (Cap(scope=CapScope.RESIDENT_EVER, amount=60), Cap(scope=CapScope.NET_DEBIT, amount=60))
    first = agree(made, there={"caps": caps})
    a.one(order(address(b, "B"), 20))
    made.pump()
    amended = draft((3, 1), id=first.version.agreement.id, valid_from=today(b), there={"caps": caps})
    second = b.one(proposal(amended))
    made.pump()
    with pytest.raises(Refused, match="AGREEMENT_OVERLAPS"):
        a.one(proposal(draft((1, 2), id=first.version.agreement.id, valid_from=today(a))))
    a.one(order(address(b, "B"), 5))
    a.one(sign(B, second))
    b.one(notice(first, NoticeKind.SUSPEND))
    made.pump()
    b.one(notice(first, NoticeKind.RESUME))
    made.pump()
    a.one(order(address(b, "B"), 10))
    made.pump()


@pytest.mark.parametrize("who", [A, B])
def test_a_restored_region_knows_again_what_was_agreed_and_what_was_sent(tmp_path: Path, who: int) -> None:
    made = witnessed(tmp_path)
    a, b = ends(made)
    lost = made.regions[who]
    copy = backup(tmp_path, lost)
    everything(made)
    before = {code: known(region, A + B - code) for code, region in made.regions.items()}
    nets = {code: owed(region) for code, region in made.regions.items()}
    restore(tmp_path, lost, copy)
    reopen(made)
    lost.one(Replayed(by="system"))
    made.pump()
    assert {code: known(region, A + B - code) for code, region in made.regions.items()} == before
    assert {code: owed(region) for code, region in made.regions.items()} == nets
    assert states(a, B) == states(b, A)
    assert a.office.agreements.by(B).agreement == b.office.agreements.by(A).agreement  # type: ignore[union-attr]
    if who == A:  # what its residents have sent counts again
        with pytest.raises(Refused, match="RESIDENT_CAP_REACHED"):
            a.one(order(address(b, "B"), 50))
    sound(made)


def test_a_proposal_that_came_back_unanswered_still_waits_for_a_person(tmp_path: Path) -> None:
    made = witnessed(tmp_path)
    a, b = ends(made)
    copy = backup(tmp_path, b)
    shown = a.one(proposal(draft(valid_from=today(a))))
    made.pump()
    restore(tmp_path, b, copy)
    reopen(made)
    b.one(Replayed(by="system"))
    made.pump()
    assert states(b, A) == [(1, State.PROPOSED)]
    b.one(sign(A, shown))
    made.pump()
    assert states(a, B) == states(b, A) == [(1, State.IN_FORCE)]
    sound(made)


def test_an_examination_notices_a_forged_agreement_and_a_forged_debt(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    agree(made)
    a.one(order(address(b, "B"), 10))
    made.pump()
    assert points(b, "B") == (10, 0, 0)
    for change, back, code in (
        ("UPDATE agreement SET state = 2", "UPDATE agreement SET state = 3", "agreements"),
        ("UPDATE pair_usage SET net = net + 1", "UPDATE pair_usage SET net = net - 1", "usage"),
    ):
        with a.store.write() as conn:
            conn.exec_driver_sql(change)
        assert [check.code for check in verify(a.store) if not check.ok] == [code]
        with a.store.write() as conn:
            conn.exec_driver_sql(back)
