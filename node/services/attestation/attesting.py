"""Attestations: a region asks what another knows of a resident, is told once, and recognises it for its own account.

Nothing here moves points. What is recognised counts as long as the attestation holds and is not revoked
(:mod:`node.services.attestation.ends`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import msgspec
from sqlalchemy import select

from gateway.protocol import address, attestation, codec
from gateway.protocol.agreement.document import Agreement
from gateway.protocol.agreement.life import State as Life
from gateway.protocol.agreement.life import state_on
from gateway.protocol.attestation import Attestation, Event, FactKind, Question, State, Wanted, step
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.consent import ATTESTATION
from gateway.protocol.errors import Malformed, PeerFault, Refused
from gateway.protocol.standing import Matter
from gateway.protocol.values import Kind, Reason, Signed
from node.errors import Recovering
from node.ledger import journal
from node.ledger.accounts import AccountKind, AccountState
from node.ledger.lots import add_days
from node.services import topics
from node.services.command import account_of, freeze, handles, once, wish_once
from node.services.consent import consent_for
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.services.topics import Asked, Heard, Said, Topic
from node.services.transfer import check_status
from node.store import attestations, schema
from node.store.attestations import AttestationRow, RecognitionRow, Share
from node.store.batch import Account, Batch, Wishes

DAYS = 365
"""How long an attestation holds at the longest. Own judgement."""

_pack = msgspec.msgpack.Encoder().encode


class Redo(msgspec.Struct, frozen=True, array_like=True):
    """What a region seals for itself: whose account it is and, where it asked, under which command."""

    account: str
    digest: bytes = b""


_read_redo = msgspec.msgpack.Decoder(Redo).decode


# -- what the two regions agreed -------------------------------------------------------------------------------------


def _in_force(office: Office, peer: int, today: int) -> Agreement:
    """The agreement by which attestations are recognised. Raises Refused: AGREEMENT_NOT_IN_FORCE, .._SUSPENDED."""
    dealings = office.agreements.dealings(peer)
    states = [(state_on(dealings, version, today), version.agreement) for version in dealings.agreed()]
    for state, agreement in states:
        if state is Life.IN_FORCE:
            return agreement
    if any(state is Life.SUSPENDED for state, _ in states):
        raise Refused(Reason.AGREEMENT_SUSPENDED, f"the agreement with {peer} is suspended")
    raise Refused(Reason.AGREEMENT_NOT_IN_FORCE, f"no agreement with {peer} is in force")


def _version(office: Office, peer: int, asked: bodies.Asked) -> Agreement | None:
    """The version that a request names; None where the two never agreed on it."""
    agreed = office.agreements.dealings(peer).agreed(asked.agreement)
    return next((v.agreement for v in agreed if v.agreement.version == asked.agreement_version), None)


# -- asking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class AskAttestation:
    """Ask the region that made a share code what it knows of the resident who holds an account here."""

    client: str
    key: str
    account: str
    code: str
    kinds: tuple[int, ...] = tuple(FactKind)
    consent: str = ""
    consent_digest: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttestationAsked:
    """The request was sent; what came of it is found under its id."""

    id: str
    peer: int


def _wishes(command: AskAttestation, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))
    wishes.names.add(command.account)


@handles(AskAttestation, _wishes)
def ask(command: AskAttestation, office: Office, batch: Batch) -> AttestationAsked:
    """Only kinds that the agreement honours are asked for: what is not recognised need not be known.

    Raises Refused: the standing of the region, its agreement, CODE_NOT_VALID, CONSENT_MISSING, NOT_ATTESTED.
    """
    request = office.public_id(command.client, command.key)
    digest = digest_of(
        "attestation", command.account, command.code, sorted(command.kinds), command.consent, command.consent_digest
    )
    peer = once(batch, request, "attestation", digest, lambda: str(_ask(command, request, digest, office, batch)))
    return AttestationAsked(id=request.hex(), peer=int(peer))


def _ask(command: AskAttestation, request: bytes, digest: bytes, office: Office, batch: Batch) -> int:
    account = account_of(batch, command.account)
    try:
        code = address.read(command.code)
    except Malformed as error:
        raise Refused(Reason.CODE_NOT_VALID, str(error)) from None
    if code.region == office.me:
        raise Refused(Reason.REGION_UNKNOWN, "the code is of this region itself; another one has to be asked")
    check_status(office, code.region, Matter.ATTEST_REQUEST)
    history.check_known(batch, code.region)
    agreed = _in_force(office, code.region, batch.today)
    kinds = attestation.honoured(agreed, code.region, set(command.kinds))
    if not command.consent or len(command.consent_digest) != 32:
        raise Refused(Reason.CONSENT_MISSING, "give the consent's reference and digest, as they came with the code")
    asked = bodies.Asked(
        code.alias, tuple(sorted(kinds)), command.consent, command.consent_digest, agreed.id, agreed.version, b""
    )
    redo = _pack(Redo(account.name, digest))
    body = partial(_request_body, asked)
    topics.ask(code.region, Kind.ATTEST_REQUEST, request, body, office, batch, redo=redo)
    _remember(batch, request, code.region, account.no, asked)
    return code.region


def _request_body(asked: bodies.Asked, redo: bytes) -> bytes:
    return bodies.encode_request(asked._replace(redo=redo))


def _remember(batch: Batch, request: bytes, peer: int, account: int, asked: bodies.Asked) -> None:
    state = int(State.ASKED)
    body = bodies.encode_request(asked._replace(redo=b""))
    attestations.add(
        batch.conn,
        AttestationRow(request, peer, False, account, body, None, state, 0, 0, None, batch.now_ms, None),
    )


def _asked_again(said: Said, office: Office, batch: Batch) -> None:
    """This region's own request comes back after a restore."""
    try:
        asked = bodies.decode_request(said.body)
        redo = _read_redo(said.redo)
    except (PeerFault, msgspec.MsgspecError):  # erased, or sealed under another secret: nobody knows for whom it was
        return
    account = _opened(redo.account, batch)
    _remember(batch, said.frame.id, said.peer, account.no, asked)
    batch.load(Wishes(outcomes={said.frame.id}))
    if said.frame.id not in batch.outcomes:
        freeze(batch, said.frame.id, "attestation", redo.digest, 0, str(said.peer))


def _opened(name: str, batch: Batch) -> Account:
    """The account; one that was opened after the backup is opened again."""
    batch.load(Wishes(names={name}))
    account = batch.accounts.get(name)
    if account is None:
        account = batch.open_account(name, AccountKind.RESIDENT)
        batch.record(journal.Opened(at=batch.now_ms, account=account.no, name=name, state=int(account.state)))
    return account


# -- answering -------------------------------------------------------------------------------------------------------


def _hear(heard: Heard, office: Office, batch: Batch) -> journal.Decision:
    """At the home region: attest, or refuse with the lowest reason. Either way it is decided at once."""
    asked: bodies.Asked = heard.parsed
    _check_whole(office, batch)
    share = _usable(asked, heard.peer, batch)
    known = [k.fact for k in attestations.facts(batch.conn, share.account) if not k.withdrawn] if share else []
    facts = attestation.choose(known, asked.kinds, batch.today)
    attestation.check_question(
        Question(
            agreement=_agreed(asked, heard.peer, office, batch),
            code=share is not None,
            consent=_consented(asked, heard.peer, share, batch),
            facts=len(facts),
        )
    )
    assert share is not None
    document = Attestation(
        federation=office.roster.federation,
        environment=office.roster.environment,
        id=heard.frame.id,
        issuer=office.me,
        audience=heard.peer,
        subject=office.random(16),
        facts=facts,
        issued_at_ms=batch.now_ms,
        expires=attestation.expiry(facts, add_days(batch.today, DAYS)),
        consent_digest=asked.consent_digest,
        roster_version=office.roster.version,
    )
    signed = attestation.sign(document, office.signing_key)
    redo = _pack(Redo(_name(share.account, batch)))
    decision = topics.answer(heard, Kind.ATTEST, partial(_answer_body, signed), office, batch, redo=redo)
    _give(document, signed, heard.peer, share.account, batch)
    attestations.use_share(batch.conn, share.code, batch.now_ms)
    return decision


def _answer_body(signed: Signed, redo: bytes) -> bytes:
    return bodies.encode_attested(bodies.Attested(signed, redo))


def _check_whole(office: Office, batch: Batch) -> None:
    """What was corrected since the backup may not be known here yet. Raises Refused(REGION_RECOVERING)."""
    try:
        history.check_debit(batch, office, 0)
    except Recovering:
        raise Refused(Reason.REGION_RECOVERING) from None


def _usable(asked: bodies.Asked, peer: int, batch: Batch) -> Share | None:
    share = attestations.share(batch.conn, asked.code)
    if share is None or share.used_ms is not None or share.expires_ms <= batch.now_ms or share.audience != peer:
        return None
    a = schema.account
    account = batch.accounts_by_no.get(share.account)
    state = account.state if account else batch.conn.scalar(select(a.c.state).where(a.c.no == share.account))
    return None if state in (None, AccountState.CLOSED) else share


def _name(account: int, batch: Batch) -> str:
    known = batch.accounts_by_no.get(account)
    return known.name if known is not None else attestations.name_of(batch.conn, account)


def _agreed(asked: bodies.Asked, peer: int, office: Office, batch: Batch) -> Reason | None:
    """What the agreement that the request names has against it."""
    try:
        _in_force(office, peer, batch.today)
        named = _version(office, peer, asked)
        if named is None:
            return Reason.TERMS_DIFFER
        wanted = frozenset(asked.kinds)
        return None if attestation.honoured(named, office.me, wanted) == wanted else Reason.NOT_ATTESTED
    except Refused as refusal:
        return refusal.reason


def _consented(asked: bodies.Asked, peer: int, share: Share | None, batch: Batch) -> Reason | None:
    """What the consent has against it: it is the one the code was made under, and covers every kind asked for."""
    if not asked.consent or not asked.consent_digest:
        return Reason.CONSENT_MISSING
    if share is None or share.consent != asked.consent:
        return Reason.CONSENT_NOT_VALID
    kinds = [FactKind(k).name.lower() if k in set(FactKind) else str(k) for k in asked.kinds]
    try:
        digest = consent_for(batch, asked.consent, share.account, peer, ATTESTATION, batch.today, kinds)
    except Refused as refusal:
        return refusal.reason
    return None if digest == asked.consent_digest else Reason.CONSENT_NOT_VALID


def _give(document: Attestation, signed: Signed, peer: int, account: int, batch: Batch) -> None:
    row = AttestationRow(
        document.id, peer, True, account, b"", codec.encode_signed(signed), int(State.GIVEN), 0, document.expires,
        None, batch.now_ms, batch.now_ms,
    )  # fmt: skip
    attestations.add(batch.conn, row)


def _answered_again(heard: Heard, said: Said, office: Office, batch: Batch) -> None:
    """This region's own answer comes back after a restore."""
    if said.frame.kind != Kind.ATTEST:
        return
    try:
        signed = bodies.decode_attested(said.body).attestation
        document = bodies.decode_attestation(signed.payload)
        account = _opened(_read_redo(said.redo).account, batch)
    except (PeerFault, msgspec.MsgspecError):
        return
    code: bytes = heard.parsed.code
    if attestations.share(batch.conn, code) is None:  # made after the backup, and used
        known: bodies.Asked = heard.parsed
        share = Share(code, account.no, heard.peer, known.consent, batch.now_ms, batch.now_ms, None)
        attestations.add_share(batch.conn, share)
    attestations.use_share(batch.conn, code, batch.now_ms)
    _give(document, signed, heard.peer, account.no, batch)


# -- what was answered -----------------------------------------------------------------------------------------------


def _answered(asked: Asked, heard: Heard, office: Office, batch: Batch) -> None:
    """At the region that asked: recognise what is attested, as the agreement named in the request has it."""
    row = attestations.find(batch.conn, asked.id, asked.peer, mine=False)
    if row is None or row.state != State.ASKED:
        return
    if heard.frame.kind == Kind.REFUSE:
        state = step(State.ASKED, Event.REFUSE)
        attestations.change(batch.conn, row, state=int(state), reason=asked.reason, decided_ms=batch.now_ms)
        return
    try:
        signed, document = _read(row, heard, office)
    except PeerFault:
        state = step(State.ASKED, Event.DOUBT)
        reason = int(Reason.DOCUMENT_INVALID)
        attestations.change(batch.conn, row, state=int(state), reason=reason, decided_ms=batch.now_ms)
        return
    agreed = _version(office, row.peer, bodies.parse_request(row.request))
    found = attestation.recognise(document, agreed.direction(asked.peer)) if agreed is not None else ()
    attestations.change(
        batch.conn, row, state=int(step(State.ASKED, Event.ATTEST)), signed=codec.encode_signed(signed),
        expires=document.expires, decided_ms=batch.now_ms,
    )  # fmt: skip
    rows = [
        RecognitionRow(
            row.id, row.peer, r.kind, r.words, row.account, r.value, r.fact.value, r.expires, None, batch.now_ms
        )
        for r in {(r.kind, r.words): r for r in found}.values()
    ]
    attestations.recognise(batch.conn, rows)


def _read(row: AttestationRow, heard: Heard, office: Office) -> tuple[Signed, Attestation]:
    """What the peer attests. Raises PeerFault for what proves nothing, or is about something else.

    Any key the region ever had counts: the frame itself is under a head that was judged when it came.
    """
    if heard.frame.kind != Kind.ATTEST:
        raise Malformed("a request to attest is answered by an attestation or a refusal")
    signed = bodies.decode_attested(heard.body).attestation
    asked = bodies.parse_request(row.request)
    wanted = Wanted(
        federation=office.roster.federation,
        environment=office.roster.environment,
        id=row.id,
        issuer=row.peer,
        audience=office.me,
        kinds=frozenset(asked.kinds),
        consent_digest=asked.consent_digest,
    )
    return signed, attestation.read(signed, office.roster.all_keys(row.peer), wanted)


topics.register(
    Kind.ATTEST_REQUEST,
    Topic(
        parse=bodies.decode_request,
        hear=_hear,
        answered=_answered,
        asked_again=_asked_again,
        answered_again=_answered_again,
    ),
)
