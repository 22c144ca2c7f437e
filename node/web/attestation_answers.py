"""What callers send and get about facts, attestations and credentials; see :mod:`node.web.attestations`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta

from gateway.protocol.limits import AMOUNT_MAX
from node.services.attestation.share import MINUTES, MINUTES_MOST
from node.web.answers import Answer
from node.web.requests import Address, Key, Name, Region, Request, Text
from node.web.words import EvidenceWord

KindWord = Literal["service_hours", "star_level", "honour", "certificate", "qualification"]
CauseWord = Literal["corrected", "withdrawn", "consent", "mistake"]
StandingWord = Literal[
    "given", "withdrawn", "taken_back", "asked", "recognised", "refused", "unfit", "revoked"
]  # fmt: skip

Kinds = Annotated[list[KindWord], Meta(min_length=1, max_length=16, description="Which kinds of facts.")]
Hex32 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$(?!\n)", description="As it came with the code.")]


# -- what is sent -----------------------------------------------------------------------------------------------------


class NewFact(Request, frozen=True):
    """What is known of a resident, in place of what was known in the same words. No personal data.

    `value`: minutes of service, or stars. `as_of` null: today; `expires`: the first date on which it no longer holds.
    """

    account: Name
    kind: KindWord
    words: Annotated[Text, Meta(description="Which of its kind: the name of an honour.")] = ""
    value: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)] = 0
    evidence: EvidenceWord = "signed_in"
    as_of: date | None = None
    expires: date | None = None
    reference: Text = ""


class OldFact(Request, frozen=True):
    """What is known no more: whatever was attested of it is revoked."""

    account: Name
    kind: KindWord
    words: Text = ""


class NewShareOrder(Request, frozen=True):
    """A code of a resident for one region, under a consent to attest to that region."""

    account: Name
    audience: Region
    consent: Text
    minutes: Annotated[int, Meta(ge=1, le=MINUTES_MOST)] = MINUTES


class NewAttestation(Request, frozen=True):
    """Ask the region that made the code; `consent` and `consent_digest` came with it."""

    account: Name
    code: Address
    consent: Text
    consent_digest: Hex32
    kinds: Kinds | None = None  # all of them
    key: Key = ""


class Revocation(Request, frozen=True):
    """Take an attestation back from the region `peer`; null: a credential, from everybody."""

    peer: Region | None = None
    because: CauseWord = "mistake"


class NewCredential(Request, frozen=True):
    """What a resident takes along, for anybody to check."""

    account: Name
    kinds: Kinds | None = None  # all of them


class Which(Request, frozen=True):
    """Whose."""

    account: Name


# -- what is answered -------------------------------------------------------------------------------------------------


class FactKept(Answer, frozen=True):
    """The fact as it stands; `revoked` attestations no longer hold because of it."""

    account: str
    kind: str
    words: str
    value: int
    withdrawn: bool
    revoked: int


class FactLine(FactKept, frozen=True, kw_only=True):
    """See FactKept."""

    line: int
    ok: Literal[True] = True


class Shared(Answer, frozen=True):
    """What the resident takes to the other region; the code can be used once."""

    code: str
    consent: str
    consent_digest: str
    expires: datetime


class Asked(Answer, frozen=True):
    """The request was sent; its answer is at /v1/attestations/{id}."""

    id: str
    peer: int


class KnownFact(Answer, frozen=True):
    """One fact. `holds`: neither withdrawn nor expired."""

    kind: str
    words: str
    value: int
    evidence: str
    as_of: date | None
    expires: date | None
    reference: str
    holds: bool


class RecognisedFact(Answer, frozen=True):
    """What a fact attested by `peer` counts for here; `there` is its value there.

    `disputed`: an open dispute about the attestation suspends it. `holds`: not revoked, nor expired, nor suspended.
    """

    kind: str
    words: str
    value: int
    there: int
    peer: int
    attestation: str
    expires: date | None
    revoked: datetime | None
    disputed: bool
    holds: bool


class AccountStanding(Answer, frozen=True):
    """What an account is eligible by: `own` facts of this region, and what it `recognised` from others. Not points."""

    account: str
    own: list[KnownFact]
    recognised: list[RecognisedFact]


class AttestationShown(Answer, frozen=True):
    """One attestation: `given` by this region, or asked of `peer` (null: a credential, for anybody)."""

    id: str
    given: bool
    peer: int | None
    account: str
    state: StandingWord
    reason: str | None
    expires: date | None
    facts: list[KnownFact]
    at: datetime
    decided: datetime | None


class AttestationsShown(Answer, frozen=True):
    """Oldest first."""

    attestations: list[AttestationShown]


class Ended(Answer, frozen=True):
    """The attestation as it stands."""

    id: str
    peer: int | None
    state: StandingWord


class CredentialMade(Answer, frozen=True):
    """A W3C Verifiable Credential, as a compact JWS of type vc+jwt. `id` is that under which it can be revoked."""

    id: str
    credential: str
    expires: date | None


class StatusList(Answer, frozen=True):
    """The credentials of this region that were revoked: a Bitstring Status List, as a credential of its own."""

    credential: str
