"""Consent (单独同意): what a resident agreed to before data about him goes to another region (PIPL 23, 29, 31).

The record stays in the region that asked for it. What travels is a digest over a salt and the record: it tells nothing,
and whoever is shown salt and record later can check that they are what the message spoke of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from gateway.protocol.errors import Refused
from gateway.protocol.values import Purpose, Reason

DIGEST_BYTES = 32


class GivenBy(IntEnum):
    """Who agreed. A guardian's name is nobody's business but the regional system's."""

    SELF = 1
    GUARDIAN = 2  # required under 14


ATTESTATION, ROAMING = "attestation", "roaming"
PURPOSES = (*(purpose.name.lower() for purpose in Purpose if purpose is not Purpose.REVERSAL), ATTESTATION, ROAMING)
"""What data may be provided for; each consent is for one."""

KINDS = ("points", "identity", "service_hours", "star_level", "honour", "certificate", "qualification")
"""Kinds of data. Points: amounts, expiry and provenance. Identity: whether the resident is the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """What was agreed to. `expires` is the first business date on which it no longer holds."""

    reference: str  # 32 hexadecimal digits, as messages name it
    source: int  # the region that provides
    account: str  # the resident, by the source's own name
    recipient: int  # the region that receives
    contact: str  # of the recipient, as the resident was told
    purpose: str
    method: str  # how the data is provided and used
    kinds: tuple[str, ...]
    given_by: int
    expires: int


def canonical(consent: Consent) -> bytes:
    """The record as bytes: JSON with sorted keys and no white space, in UTF-8 (RFC 8785)."""
    record = {
        "account": consent.account,
        "contact": consent.contact,
        "expires": consent.expires,
        "given_by": GivenBy(consent.given_by).name.lower(),
        "kinds": sorted(consent.kinds),
        "method": consent.method,
        "purpose": consent.purpose,
        "recipient": consent.recipient,
        "reference": consent.reference,
        "source": consent.source,
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def digest(salt: bytes, consent: Consent) -> bytes:
    """What messages show of it: SHA-256 over 16 bytes of salt and the record."""
    return hashlib.sha256(salt + canonical(consent)).digest()


def check(
    *, recipient: int, purpose: str, kinds: Iterable[str], expires: int, withdrawn: bool, wanted_by: int,
    wanted_for: str, wanted: Iterable[str], today: int,
) -> None:  # fmt: skip
    """Whether a consent covers what is about to be provided. Raises Refused(CONSENT_NOT_VALID), saying why."""
    lacking = sorted(set(wanted) - set(kinds))
    if withdrawn:
        why = "it was withdrawn"
    elif recipient != wanted_by:
        why = f"it is for region {recipient}, not {wanted_by}"
    elif purpose != wanted_for:
        why = f"it is for the purpose {purpose}, not {wanted_for}"
    elif expires <= today:
        why = f"it held until {expires}"
    elif lacking:
        why = f"it does not speak of {', '.join(lacking)}"
    else:
        return
    raise Refused(Reason.CONSENT_NOT_VALID, f"the consent does not cover this: {why}")
