"""Share codes: what a resident obtains at home and shows to another region, so that it may ask once what is known.

A code is for one region and one consent, and says nothing about whose it is. It is written like a receiving address and
is none: neither can be used for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol import address
from gateway.protocol.address import ALIAS_BYTES, Address
from gateway.protocol.consent import ATTESTATION
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.errors import BadInput
from node.services.command import account_of, handles
from node.services.consent import consent_for
from node.services.office import Office
from node.store import attestations
from node.store.attestations import Share
from node.store.batch import Batch, Wishes

MINUTES = 30
MINUTES_MOST = 7 * 24 * 60
_MINUTE_MS = 60_000


@dataclass(frozen=True, kw_only=True, slots=True)
class NewShare:
    """A fresh code of an account for one region, under a consent to attest to that region."""

    account: str
    audience: int
    consent: str  # its reference
    minutes: int = MINUTES


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareAnswer:
    """What the resident takes along: the code, the consent and the digest of its record."""

    code: str
    consent: str
    consent_digest: str  # hexadecimal
    expires_ms: int


def _wishes(command: NewShare, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.account)


@handles(NewShare, _wishes)
def new_share(command: NewShare, office: Office, batch: Batch) -> ShareAnswer:
    """Raises Refused: ACCOUNT_UNKNOWN, REGION_UNKNOWN, CONSENT_MISSING, CONSENT_NOT_VALID."""
    if not 1 <= command.minutes <= MINUTES_MOST:
        raise BadInput(f"a code can be used for 1 to {MINUTES_MOST} minutes")
    account = account_of(batch, command.account)
    if command.audience == office.me or office.roster.find(command.audience) is None:
        raise Refused(Reason.REGION_UNKNOWN, f"no other region {command.audience} in the roster")
    digest = consent_for(batch, command.consent, account.no, command.audience, ATTESTATION, batch.today, ())
    code = office.random(ALIAS_BYTES)
    expires_ms = batch.now_ms + command.minutes * _MINUTE_MS
    attestations.add_share(
        batch.conn, Share(code, account.no, command.audience, command.consent, expires_ms, batch.now_ms, None)
    )
    return ShareAnswer(
        code=address.write(Address(office.me, code)),
        consent=command.consent,
        consent_digest=digest.hex(),
        expires_ms=expires_ms,
    )
