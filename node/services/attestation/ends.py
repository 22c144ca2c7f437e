"""Attestations that no longer hold: every region that got one is told, and takes back what it recognised."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.protocol import codec
from gateway.protocol.attestation import Event, Fact, RevocationCause, State, contradicts, step
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.standing import Matter, objection
from gateway.protocol.values import Kind, Reason
from node.ledger import journal
from node.services import topics
from node.services.command import handles
from node.services.office import Office
from node.services.recovery import history
from node.services.topics import Asked, Heard, Said, Topic
from node.store import attestations
from node.store.attestations import AttestationRow
from node.store.batch import Batch, Wishes

_CAUSES = frozenset(RevocationCause)

# -- at the region that attested -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Revoke:
    """Take an attestation back. `peer`: whom it was given to; 0 = anybody, a credential."""

    id: bytes
    peer: int
    because: int = RevocationCause.MISTAKE


@dataclass(frozen=True, kw_only=True, slots=True)
class RevokeAnswer:
    """The attestation as it stands."""

    id: str
    peer: int
    state: State


def _no_wishes(command: Revoke, office: Office, wishes: Wishes) -> None:
    pass


@handles(Revoke, _no_wishes)
def revoke(command: Revoke, office: Office, batch: Batch) -> RevokeAnswer:
    """Once; again changes nothing. Raises Refused(NOT_ATTESTED) where this region gave no such attestation."""
    row = attestations.find(batch.conn, command.id, command.peer, mine=True)
    if row is None:
        history.check_known(batch, command.peer or None)
        raise Refused(Reason.NOT_ATTESTED, "this region gave no attestation of this id")
    if row.state == State.GIVEN:
        _end(row, int(command.because), office, batch)
        row = attestations.find(batch.conn, command.id, command.peer, mine=True) or row
    return RevokeAnswer(id=row.id.hex(), peer=row.peer, state=State(row.state))


def take_back(batch: Batch, office: Office, account: int, now: Fact, because: RevocationCause) -> int:
    """Revoke whatever was attested of this account that `now` contradicts. Returns how many attestations that were."""
    ended = 0
    for row in attestations.of_account(batch.conn, account, given=True):
        if any((f.kind, f.words) == (now.kind, now.words) and contradicts(f, now) for f in attested(row)):
            _end(row, int(because), office, batch)
            ended += 1
    return ended


def attested(row: AttestationRow) -> tuple[Fact, ...]:
    """The facts of an attestation that this region gave, or got."""
    if row.signed is None:
        return ()
    return bodies.decode_attestation(codec.decode_signed(row.signed).payload).facts


def _end(row: AttestationRow, because: int, office: Office, batch: Batch) -> None:
    """Who cannot be told, since the roster lets nothing pass, finds the attestation expired some day."""
    state = step(State(row.state), Event.REVOKE)
    if not row.peer:  # a credential: whoever reads it looks at the list of those that were revoked
        state = step(state, Event.CONFIRM)
    attestations.change(batch.conn, row, state=int(state), reason=because, decided_ms=batch.now_ms)
    if row.peer and objection(office.roster, office.me, row.peer, Matter.ATTEST_REVOKE, batch.today) is None:
        request = office.public_id("#revocation", f"{row.peer} {row.id.hex()}")
        body = partial(_body, row.id, because)
        topics.ask(row.peer, Kind.ATTEST_REVOKE, request, body, office, batch, subject=row.id)


def _body(attestation: bytes, because: int, redo: bytes) -> bytes:
    return bodies.encode_revoked(bodies.Revoked(attestation, because, redo))


def _answered(asked: Asked, heard: Heard, office: Office, batch: Batch) -> None:
    """The other region has taken it back, or never had it."""
    row = attestations.find(batch.conn, asked.subject, asked.peer, mine=True)
    if row is not None and row.state == State.WITHDRAWN:
        attestations.change(batch.conn, row, state=int(step(State.WITHDRAWN, Event.CONFIRM)))


def _asked_again(said: Said, office: Office, batch: Batch) -> None:
    try:
        revoked = bodies.decode_revoked(said.body)
    except PeerFault:  # erased
        return
    row = attestations.find(batch.conn, revoked.attestation, said.peer, mine=True)
    if row is not None and row.state == State.GIVEN:
        state = step(State.GIVEN, Event.REVOKE)
        attestations.change(batch.conn, row, state=int(state), reason=revoked.because, decided_ms=batch.now_ms)


# -- at the region that recognised it --------------------------------------------------------------------------------


def _hear(heard: Heard, office: Office, batch: Batch) -> journal.Decision:
    row = attestations.find(batch.conn, heard.parsed.attestation, heard.peer, mine=False)
    if row is None or row.state in (State.ASKED, State.REFUSED):
        raise Refused(Reason.NOT_ATTESTED)
    _forget(row, heard.parsed.because, batch)
    return topics.accept(heard, office, batch)


def _answered_again(heard: Heard, said: Said, office: Office, batch: Batch) -> None:
    row = attestations.find(batch.conn, heard.parsed.attestation, heard.peer, mine=False)
    if row is not None and said.frame.kind == Kind.ACCEPT:
        _forget(row, heard.parsed.because, batch)


def _forget(row: AttestationRow, because: int, batch: Batch) -> None:
    if row.state != State.RECOGNISED:
        return  # it counted for nothing, or does so no more
    state = step(State.RECOGNISED, Event.REVOKE)
    if because not in _CAUSES:  # a later version may know more
        because = 0
    attestations.change(batch.conn, row, state=int(state), reason=because, decided_ms=batch.now_ms)
    attestations.take_back(batch.conn, row.id, row.peer, batch.now_ms)


topics.register(
    Kind.ATTEST_REVOKE,
    Topic(
        parse=bodies.decode_revoked,
        hear=_hear,
        answered=_answered,
        asked_again=_asked_again,
        answered_again=_answered_again,
        subject=lambda _frame, parsed: parsed.attestation,
    ),
)
