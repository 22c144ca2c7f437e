"""Agreements: proposed, amended, countersigned or declined, suspended, resumed and ended, by chance."""

from __future__ import annotations

from typing import Any

from gateway.protocol.agreement.document import Agreement, NoticeKind
from gateway.protocol.agreement.life import Version
from node.ledger.lots import add_days
from node.services.agreement.signing import Countersign, Decline, GiveNotice, Propose
from tests.simulation.dealers import ACTS, ENDS, Dealer
from tests.simulation.region import Job

PEOPLE = {"by": "Li", "checked_by": "Wang"}


def proposal(d: Dealer, agreement: Agreement) -> Propose:
    """Two people propose it."""
    return Propose(**d.key(), agreement=agreement, **PEOPLE)


def propose(d: Dealer) -> Job:
    """A first version, an amendment, or something that nobody may sign."""
    peer = d.peer()
    agreed = d.office.agreements.dealings(peer).agreed()
    begins = add_days(d.today, d.chance.choice([0, 0, 0, 1, 5]))
    known = {"id": agreed[-1].agreement.id} if agreed and d.chance.random() < 0.85 else {}
    a, b = sorted((d.region.code, peer))
    agreement = d.bargains.draft(a, b, begins, **known)
    if d.chance.random() < 0.2:
        agreement = d.bargains.bad(agreement)
    return d.say(proposal(d, agreement))


def _waiting(d: Dealer) -> list[tuple[int, Version]]:
    agreements = d.office.agreements
    return [
        (peer, v) for peer in agreements.peers for v in agreements.dealings(peer).open() if v.proposer == peer
    ]  # fmt: skip


def answer(d: Dealer) -> Job | None:
    """Two people sign what the other region proposes, or one declines."""
    waiting = _waiting(d)
    if not waiting:
        return None
    peer, version = d.chance.choice(waiting)
    return d.say(_answer(peer, version, sign=d.chance.random() < 0.8))


def _answer(peer: int, version: Version, *, sign: bool) -> Any:
    if sign:
        return Countersign(peer=peer, digest=version.digest, by="Zhao", checked_by="Qian")
    return Decline(peer=peer, digest=version.digest, by="Zhao")


def notice(d: Dealer) -> Job | None:
    """Suspend it, resume it, or end it and let what is held finish."""
    peer = d.peer()
    agreed = d.office.agreements.dealings(peer).agreed()
    if not agreed:
        return None
    what = d.chance.choice([NoticeKind.SUSPEND] * 2 + [NoticeKind.RESUME] * 7 + [NoticeKind.TERMINATE])
    effective = add_days(d.today, d.chance.choice([0, 0, 0, 1, -1]))
    until = add_days(effective, d.chance.choice([0, 3])) if what == NoticeKind.TERMINATE else 0
    return d.say(
        GiveNotice(
            **d.key(), **PEOPLE, agreement=agreed[-1].agreement.id, what=what, effective=effective,
            wind_down_until=until, because="检查",
        )
    )  # fmt: skip


def leave_nothing_open(d: Dealer) -> None:
    """Whatever is proposed is declined."""
    for peer, version in _waiting(d):
        d.say(_answer(peer, version, sign=False))


ACTS += [(propose, 3), (answer, 10), (notice, 3)]
ENDS.append(leave_nothing_open)
