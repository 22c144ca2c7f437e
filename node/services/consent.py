"""Consent (单独同意): without one that covers it, nothing about a resident goes to another region that asks for it.

The record stays here with its salt, for whoever has to be shown it; messages carry its reference and digest. How it is
withdrawn: :mod:`node.services.withdrawal`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from gateway.protocol import limits
from gateway.protocol.consent import KINDS, PURPOSES, Consent, GivenBy, check, digest
from gateway.protocol.errors import Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.values import Purpose, Reason
from node.errors import BadInput
from node.services import identity
from node.services.command import account_of, handles, once, wish_once
from node.services.office import Office, digest_of
from node.store import bulk, schema
from node.store.batch import Batch, Wishes
from node.store.consents import ConsentRow


@dataclass(frozen=True, kw_only=True, slots=True)
class GiveConsent:
    """A resident, or the guardian, has agreed that kinds of data go to one region for one purpose."""

    client: str
    key: str
    account: str
    recipient: int
    contact: str  # of the recipient, as the resident was told
    purpose: str  # one of protocol.consent.PURPOSES
    method: str
    kinds: tuple[str, ...]  # of protocol.consent.KINDS
    expires: int  # first business date on which it no longer holds
    given_by: int = GivenBy.SELF
    under_14: bool = False  # the regional system knows that the resident is


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentGiven:
    """`reference` is what an order names, `digest` what messages show of it."""

    reference: str
    digest: str


def _give_wishes(command: GiveConsent, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))
    wishes.names.add(command.account)


@handles(GiveConsent, _give_wishes)
def give(command: GiveConsent, office: Office, batch: Batch) -> ConsentGiven:
    """Raises BadInput for a record that says too little or too much; Refused, as every keyed command, for ever."""
    _check_words(command)
    id_ = office.public_id(command.client, command.key)
    said = digest_of(
        "consent", command.account, command.recipient, command.contact, command.purpose, command.method,
        command.kinds, command.expires, int(command.given_by), command.under_14,
    )  # fmt: skip
    shown = once(batch, id_, "consent", said, lambda: _keep(command, id_, office, batch))
    return ConsentGiven(reference=id_.hex(), digest=shown)


def _check_words(command: GiveConsent) -> None:
    if command.purpose not in PURPOSES:
        raise BadInput(f"a consent is for one of {', '.join(PURPOSES)}")
    if not command.kinds or not set(command.kinds) <= set(KINDS):
        raise BadInput(f"a consent names kinds of data, of {', '.join(KINDS)}")
    if not command.contact or not command.method:
        raise BadInput("a consent names the recipient's contact and how the data is used")
    if any(mentions_number(text) for text in (command.account, command.contact, command.method)):
        raise BadInput("a consent names nobody by an identity number: leave it out")


def _keep(command: GiveConsent, id_: bytes, office: Office, batch: Batch) -> str:
    if command.recipient == office.me or office.roster.find(command.recipient) is None:
        raise Refused(Reason.REGION_UNKNOWN, f"no other region {command.recipient} in the roster")
    account = account_of(batch, command.account)
    if command.expires <= batch.today:
        raise Refused(Reason.CONSENT_NOT_VALID, "a consent holds until a later date")
    guarded = command.under_14 or identity.is_guarded(account.no, office, batch)
    if guarded and command.given_by != GivenBy.GUARDIAN:
        raise Refused(Reason.CONSENT_NOT_VALID, "the resident is under 14: a guardian consents")
    salt = office.random(limits.SALT_BYTES)
    shown = digest(
        salt,
        Consent(
            reference=id_.hex(), source=office.me, account=account.name, recipient=command.recipient,
            contact=command.contact, purpose=command.purpose, method=command.method, kinds=command.kinds,
            given_by=int(command.given_by), expires=command.expires,
        ),
    )  # fmt: skip
    row = ConsentRow(
        id_, account.no, command.recipient, command.contact, command.purpose, command.method,
        msgspec.json.encode(sorted(command.kinds)).decode(), int(command.given_by), command.expires, salt, shown,
        batch.now_ms, None,
    )  # fmt: skip
    bulk.insert(batch.conn, schema.consent, [row])  # at once: a later command of the batch may withdraw it
    batch.consents[id_] = row
    return shown.hex()


# -- looking --------------------------------------------------------------------------------------------------------


def reference_id(reference: str) -> bytes | None:
    """The id behind a reference; None where it is none of this region's."""
    with suppress(ValueError):
        id_ = bytes.fromhex(reference)
        if len(id_) == 16 and id_.hex() == reference:
            return id_
    return None


def wish(wishes: Wishes, reference: str) -> None:
    """What :func:`consent_for` will look at."""
    if reference and (id_ := reference_id(reference)) is not None:
        wishes.consents.add(id_)


def consent_for(
    batch: Batch, reference: str, account: int, recipient: int, purpose: Purpose | int | str, today: int,
    kinds: Iterable[str] = ("points",),
) -> bytes:  # fmt: skip
    """The digest of the consent under which this may be provided. Changes nothing.

    `account` is its number, `purpose` a Purpose or a word of protocol.consent.PURPOSES. Raises Refused:
    CONSENT_MISSING where none is named, CONSENT_NOT_VALID where it does not cover this.
    """
    if not reference:
        raise Refused(Reason.CONSENT_MISSING, f"region {recipient} needs the resident's consent, and none is named")
    id_ = reference_id(reference)
    row = batch.consent(id_) if id_ is not None else None
    if row is None or row[1] != account:
        raise Refused(Reason.CONSENT_NOT_VALID, "this resident has given no consent of this reference")
    found = ConsentRow._make(row)
    check(
        recipient=found.recipient,
        purpose=found.purpose,
        kinds=found.kinds_of_data,
        expires=found.expires,
        withdrawn=found.withdrawn_ms is not None,
        wanted_by=recipient,
        wanted_for=purpose if isinstance(purpose, str) else Purpose(purpose).name.lower(),
        wanted=kinds,
        today=today,
    )
    return found.digest
