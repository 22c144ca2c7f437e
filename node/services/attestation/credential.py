"""Credentials: what is known of a resident, given to the resident, for anybody who can check a signature.

A credential is kept like an attestation that was given to nobody in particular, and ends like one: its place in the
region's status list is then set.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.protocol import attestation, codec
from gateway.protocol.attestation import Attestation, FactKind, State
from gateway.protocol.credential import document as credential
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.ledger.lots import add_days
from node.services.attestation.attesting import DAYS
from node.services.command import account_of, handles
from node.services.office import Office
from node.services.recovery import history
from node.store import attestations
from node.store.attestations import AttestationRow
from node.store.batch import Batch, Wishes

STATUS_DAYS = 7
"""How long a status list counts as the newest. Own judgement."""
_DAY_MS = 86_400_000
_PLACES_USED = credential.PLACES * 3 // 4  # beyond that a free place is not found by chance
_DRAWS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class IssueCredential:
    """Give a resident what is known, of these kinds."""

    account: str
    kinds: tuple[int, ...] = tuple(FactKind)


@dataclass(frozen=True, kw_only=True, slots=True)
class CredentialAnswer:
    """The credential itself, and the id under which it can be revoked. `expires`: the first date it does not hold."""

    id: str
    credential: str
    expires: int


def _wishes(command: IssueCredential, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.account)


@handles(IssueCredential, _wishes)
def issue_credential(command: IssueCredential, office: Office, batch: Batch) -> CredentialAnswer:
    """Each time another one, about another subject. Raises Refused(NOT_ATTESTED) where nothing is known."""
    history.check_debit(batch, office, 0)  # what was corrected since a backup may not be known here yet
    account = account_of(batch, command.account)
    known = [k.fact for k in attestations.facts(batch.conn, account.no) if not k.withdrawn]
    facts = attestation.choose(known, command.kinds, batch.today)
    if not facts:
        raise Refused(Reason.NOT_ATTESTED, "nothing of these kinds is known of this account")
    document = Attestation(
        federation=office.roster.federation,
        environment=office.roster.environment,
        id=office.random(16),
        issuer=office.me,
        audience=office.me,
        subject=office.random(16),
        facts=facts,
        issued_at_ms=batch.now_ms,
        expires=attestation.expiry(facts, add_days(batch.today, DAYS)),
        consent_digest=bytes(32),
        roster_version=office.roster.version,
    )
    place = _place(office, batch)
    signed = attestation.sign(document, office.signing_key)
    row = AttestationRow(
        document.id, 0, True, account.no, b"", codec.encode_signed(signed), int(State.GIVEN), 0, document.expires,
        place, batch.now_ms, batch.now_ms,
    )  # fmt: skip
    attestations.add(batch.conn, row)
    made = credential.issue(document, office.roster.region(office.me), office.signing_key, place)
    return CredentialAnswer(id=document.id.hex(), credential=made, expires=document.expires)


def _place(office: Office, batch: Batch) -> int:
    """A place nobody has, drawn by chance: it must not tell how many credentials there are, nor in which order."""
    taken = attestations.places(batch.conn)
    if len(taken) < _PLACES_USED:
        for _ in range(_DRAWS):
            place = int.from_bytes(office.random(4), "big") % credential.PLACES
            if place not in taken:
                return place
    raise Refused(Reason.DELAYED, "the status list has no free places")


def status_list(conn: Connection, office: Office, now_ms: int) -> str:
    """The region's list of revoked credentials, signed now."""
    revoked = [place for place, gone in attestations.places(conn).items() if gone]
    roster = office.roster
    return credential.issue_status_list(
        roster.federation, roster.environment, roster.region(office.me), office.signing_key, revoked, now_ms,
        now_ms + STATUS_DAYS * _DAY_MS,
    )  # fmt: skip
