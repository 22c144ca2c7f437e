"""Attestations: facts known and corrected at home, codes taken elsewhere, questions, and what is taken back."""

from __future__ import annotations

from typing import Any

from gateway.protocol.attestation import FactKind
from node.services.attestation.attesting import AskAttestation
from node.services.attestation.ends import Revoke
from node.services.attestation.fact import PutFact, WithdrawFact
from node.services.attestation.share import NewShare, ShareAnswer
from tests.simulation.dealers import ACTS, Dealer
from tests.simulation.region import Job

KINDS = (FactKind.SERVICE_HOURS, FactKind.STAR_LEVEL)


def know(d: Dealer) -> Job:
    """Better, or worse, or not at all."""
    kind = d.chance.choice(KINDS)
    if d.chance.random() < 0.2:
        return d.say(WithdrawFact(account=d.client.account(), kind=kind))
    return d.say(PutFact(account=d.client.account(), kind=kind, value=d.chance.choice([2, 4, 600])))


def share(d: Dealer) -> Job | None:
    """A resident takes a code along."""
    found = d.rows(
        "SELECT c.id, a.name, c.recipient FROM consent c JOIN account a ON a.no = c.account "
        "WHERE c.purpose = 'attestation' ORDER BY c.at_ms DESC, c.id LIMIT 4"
    )
    if not found:
        return None
    reference, account, recipient = d.chance.choice(found)

    def told(answer: Any) -> None:
        if isinstance(answer, ShareAnswer):
            d.shares.append((recipient, answer))
            if d.chance.random() < 0.7:
                _ask(d.fellows[recipient], answer)

    return d.say(NewShare(account=account, audience=recipient, consent=reference.hex()), told)


def ask(d: Dealer) -> Job | None:
    """With a code that was shown here, mostly; also again."""
    found = [answer for recipient, answer in d.shares if recipient == d.region.code or d.chance.random() < 0.1]
    if not found:
        return None
    return _ask(d, d.chance.choice(found[-3:]))


def _ask(d: Dealer, shown: ShareAnswer) -> Job:
    return d.say(
        AskAttestation(
            **d.key(), account=d.client.account(), code=shown.code, kinds=KINDS, consent=shown.consent,
            consent_digest=bytes.fromhex(shown.consent_digest),
        )
    )  # fmt: skip


def revoke(d: Dealer) -> Job | None:
    """What was attested holds no more."""
    found = d.rows("SELECT id, peer FROM attestation WHERE mine ORDER BY id")
    return d.say(Revoke(id=(one := d.chance.choice(found))[0], peer=one[1])) if found else None


ACTS += [(know, 5), (share, 5), (ask, 3), (revoke, 2)]
