"""Two regions deal with each other by chance, their messages crossing: both end with the same agreements, and sound."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.protocol.agreement.document import Cap, CapScope, NoticeKind
from gateway.protocol.agreement.life import State
from gateway.protocol.errors import Refused
from node.services.agreement.signing import Decline
from node.services.verify.run import verify
from tests.federation import Pair, TestRegion, pair
from tests.services.agreeing import DAY_MS, direction, draft, notice, proposal, sign, states, terminate, today
from tests.services.delivery import A, B
from tests.services.ledger import address, order, points, resident


class Play:
    """What one seed does."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.made: Pair = pair((A, B))
        for region in self.made.regions.values():
            resident(region, "R", 10_000)
        self.seen: dict[str, int] = {}

    def step(self) -> None:
        """One act of one region, or of the wire."""
        code = self.chance.choice((A, B))
        acts = (self.propose, self.answer, self.answer, self.notify, self.send, self.send, self.send, self.wire)
        act = self.chance.choice(acts)
        try:
            act(self.made.regions[code], A + B - code)
        except Refused as refusal:
            self.seen[refusal.reason.name] = self.seen.get(refusal.reason.name, 0) + 1

    def propose(self, region: TestRegion, peer: int) -> None:
        agreed = region.office.agreements.dealings(peer).agreed()
        old = self.chance.choice(agreed).agreement.id if agreed and self.chance.random() < 0.7 else b""
        p, q = self.chance.choice([(1, 1), (1, 2), (2, 3), (5, 1)])
        back = (q, p) if self.chance.random() < 0.9 else (q * 2 - 1, p)
        caps = tuple(
            Cap(scope=scope, amount=self.chance.choice([50, 500]))
            for scope in (CapScope.RESIDENT_DAY, CapScope.PAIR_DAY, CapScope.NET_DEBIT)
            if self.chance.random() < 0.4
        )
        first = today(region) + self.chance.choice([-1, 0, 0, 0, 1])
        last = self.chance.choice([0, 0, first + 3])
        between = draft(
            (p, q),
            id=old,
            valid_from=first,
            valid_until=last,
            there={"caps": caps},
            back={"rates": direction(back).rates},
        )
        region.one(proposal(between))

    def answer(self, region: TestRegion, peer: int) -> None:
        for version in region.office.agreements.dealings(peer).open():
            if version.proposer == peer:
                if self.chance.random() < 0.8:
                    region.one(sign(peer, _Named(version)))  # type: ignore[arg-type]
                else:
                    region.one(Decline(peer=peer, digest=version.digest, by="Zhao"))
                return

    def notify(self, region: TestRegion, peer: int) -> None:
        agreed = region.office.agreements.dealings(peer).agreed()
        if not agreed:
            return
        about: Any = _Named(self.chance.choice(agreed))
        if self.chance.random() < 0.2:
            region.one(terminate(about, today(region), today(region) + self.chance.randrange(3)))
        else:
            region.one(notice(about, self.chance.choice([NoticeKind.SUSPEND, NoticeKind.RESUME])))

    def send(self, region: TestRegion, peer: int) -> None:
        region.one(order(address(self.made.regions[peer], "R"), self.chance.randint(1, 60), account="R"))

    def wire(self, region: TestRegion, peer: int) -> None:
        how = self.chance.random()
        if how < 0.5:
            self.made.collect()
            for _ in range(self.chance.randrange(8)):
                if self.made.wire:
                    self.made.deliver()
        elif how < 0.8:
            self.made.pump()
        elif how < 0.9:
            self.made.wire.clear()  # nothing is a day on its way
            region.clock.now_ms += DAY_MS
            self.made.open()
        else:
            self.made.restart(region.code)


class _Named:
    """What the commands need of a version."""

    def __init__(self, version: Any) -> None:
        self.version = version


def heard(region: TestRegion, peer: int) -> Any:
    """All agreements as the region has them; the notices of each side in its order."""
    dealings = region.office.agreements.dealings(peer)
    notices = {by: [(n.request, n.refused) for n in dealings.notices if n.by == by] for by in (A, B)}
    return {(v.request, v.proposer): (v.digest, v.state, v.reason, v.signed) for v in dealings.versions}, notices


@pytest.mark.parametrize("seed", range(25))
def test_whatever_crosses_both_regions_end_with_the_same(seed: int) -> None:
    play = Play(seed)
    a, b = play.made.regions[A], play.made.regions[B]
    for _ in range(90):
        play.step()
    play.made.pump()
    assert heard(a, B) == heard(b, A)
    assert sorted(states(a, B)) == sorted(states(b, A))
    assert [state for _, state in states(a, B)].count(State.IN_FORCE) <= 1
    for region in (a, b):
        assert points(region, "R")[1] == 0
        assert [check for check in verify(region.store) if not check.ok] == []
    before = heard(a, B)
    a.start()
    assert heard(a, B) == before
