"""By which rules two regions dispute: those of their agreement, or what holds where there is none."""

from __future__ import annotations

from typing import NamedTuple

from gateway.protocol import dispute
from gateway.protocol.values import Status
from node.services.dispute.disputed import WINDOW_DAYS
from node.services.office import Office
from node.store.batch import Batch


class Rules(NamedTuple):
    """Days, and who is asked when the two cannot agree; 0 = nobody."""

    window_days: int  # after it happened
    answer_days: int  # working days
    decide_days: int  # working days
    mediator: int
    arbitrator: int


def rules_with(office: Office, peer: int, batch: Batch) -> Rules:
    """Asked alike on both sides. The roster's coordinator is asked where the agreement names nobody."""
    fallback = _coordinator(office, peer)
    found = office.agreements.by(peer, batch.today)
    if found is None:
        return Rules(WINDOW_DAYS, dispute.ANSWER_DAYS, dispute.DECIDE_DAYS, fallback, fallback)
    terms = found.agreement
    return Rules(
        terms.dispute_days, max(1, terms.dispute_answer_days), max(1, terms.dispute_ruling_days),
        terms.mediator or fallback, terms.arbitrator or fallback,
    )  # fmt: skip


def _coordinator(office: Office, peer: int) -> int:
    codes = [
        region.code
        for region in office.roster.regions
        if dispute.COORDINATOR in region.roles
        and region.status is Status.ACTIVE
        and region.code not in (office.me, peer)
    ]
    return min(codes, default=0)
