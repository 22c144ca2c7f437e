"""Residents: consents given, withdrawn and used, for this recipient or another; penalties notified and applied."""

from __future__ import annotations

from gateway.protocol.values import Purpose
from node.ledger.lots import add_days
from node.services.consent import GiveConsent
from node.services.penalty import Appeal, ApplyPenalty, DecideAppeal, NotifyPenalty, PenaltyState
from node.services.withdrawal import WithdrawConsent
from tests.federation import CATEGORIES
from tests.simulation.clients import altered
from tests.simulation.dealers import ACTS, ENDS, Dealer
from tests.simulation.region import Job

KINDS = ("points", "service_hours", "star_level", "honour")


def consent(d: Dealer) -> Job:
    """To one region, for one purpose, until a date."""
    return d.say(
        GiveConsent(
            **d.key(), account=d.client.account(), recipient=d.peer(), contact="0571-12345",
            purpose=d.chance.choice(["relocation", "relocation", "donation", "attestation"]), method="message",
            kinds=KINDS, expires=add_days(d.today, d.chance.choice([3, 400, 400, 400])),
        )
    )  # fmt: skip


def withdraw(d: Dealer) -> Job | None:
    """Between hold and offer, behind both, or before."""
    found = d.rows("SELECT id FROM consent ORDER BY at_ms DESC, id LIMIT 4")
    return d.say(WithdrawConsent(id=d.chance.choice(found)[0])) if found else None


def order(d: Dealer) -> Job:
    """Under a consent: as a rule the resident's own, and for what it is for."""
    found = d.rows(
        "SELECT c.id, a.name, c.recipient, c.purpose FROM consent c JOIN account a ON a.no = c.account "
        "WHERE c.purpose <> 'attestation' ORDER BY c.at_ms DESC, c.id LIMIT 8"
    )
    ordered = altered(d.client.order(), amount=d.chance.choice([2, 4, 6, 6, 12]))
    if found:
        reference, account, recipient, purpose = d.chance.choice(found)
        ordered = altered(ordered, consent=reference.hex())
        if d.chance.random() < 0.9:
            address = d.chance.choice(d.client.addresses[recipient])
            ordered = altered(ordered, account=account, address=address, purpose=Purpose[purpose.upper()])
    return d.client.job(ordered)


def penalise(d: Dealer) -> Job:
    """Tell somebody that points will be deducted."""
    return d.say(
        NotifyPenalty(
            **d.key(), account=d.client.account(), category=d.chance.choice(CATEGORIES[:2]), reason="虚报",
            amount=d.chance.choice([1, 3, 50]), by="zhang", appeal_days=d.chance.choice([0, 0, 1, 15]),
        )
    )  # fmt: skip


def go_on_with_penalty(d: Dealer) -> Job | None:
    """Appeal, decide, apply: also what cannot be done any more."""
    found = d.rows("SELECT id FROM penalty ORDER BY no DESC LIMIT 3")
    if not found:
        return None
    id_ = d.chance.choice(found)[0]
    commands = [
        Appeal(id=id_, words="我没有"), DecideAppeal(id=id_, uphold=d.chance.random() < 0.5, by="li"),
        ApplyPenalty(id=id_, by="li"), ApplyPenalty(id=id_, by="li"),
    ]  # fmt: skip
    return d.say(d.chance.choice(commands))


def settle_penalties(d: Dealer) -> None:
    """Nothing delays anybody any more."""
    for id_, state in d.rows("SELECT id, state FROM penalty ORDER BY no"):
        if state == PenaltyState.UPHELD:
            d.say(ApplyPenalty(id=id_, by="li"))
        elif state in (PenaltyState.NOTIFIED, PenaltyState.APPEALED):
            d.say(DecideAppeal(id=id_, uphold=False, by="li"))


ACTS += [(consent, 8), (withdraw, 3), (order, 24), (penalise, 2), (go_on_with_penalty, 4)]
ENDS.append(settle_penalties)
