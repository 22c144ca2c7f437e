"""Disputes 异议, as an operator opens them, answers them, and has a third region decide them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from gateway.protocol import dispute as rules
from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.dispute import PAYLOAD_TYPE, THIRD, Act, Matter, Opening, Record, State, Step
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.standing import Matter as Passage
from gateway.protocol.values import Kind, Reason, Signed
from node.errors import BadInput
from node.services import topics
from node.services.command import handles, once, wish_once
from node.services.dispute import chain, disputed
from node.services.dispute.rules import rules_with
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.services.transfer import check_status
from node.store import disputes
from node.store.batch import Batch, Wishes
from node.store.disputes import Stored

_REFERENCE_BYTES = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Open:
    """Dispute something that this region and another both hold."""

    client: str
    key: str
    peer: int
    matter: Matter
    id: bytes
    region: int = 0  # whose it is: gateway.protocol.dispute.Opening; 0 = whichever of the two it is known as
    amount: int = 0  # smallest units of that region's category; 0 = all of it
    cause: int = 0  # of a claim
    reference: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Say:
    """The next step, by this region."""

    client: str
    key: str
    dispute: bytes
    act: Act
    amount: int = 0  # PROPOSE, OPINION, AWARD; AGREE: 0 = what was proposed
    evidence: bytes = b""  # SHA-256
    reference: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Carry:
    """A step that a third region signed and handed over as a file goes to the other party."""

    client: str
    key: str
    step: Signed


def _wishes(command: Open | Say | Carry, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))
    if isinstance(command, Open):
        wishes.transfers.add(command.id)


def _once(batch: Batch, id_: bytes, digest: bytes, decide: Callable[[], None], dispute: bytes) -> Stored:
    def run() -> str:
        decide()
        return ""

    once(batch, id_, "dispute", digest, run)
    found = disputes.find(batch.conn, dispute)
    if found is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no dispute has this id")
    return found


@handles(Open, _wishes)
def open_(command: Open, office: Office, batch: Batch) -> Stored:
    """Freeze it here and say so. Raises BadInput, Refused as :func:`node.services.dispute.disputed.check` has it."""
    _check_reference(command.reference)
    id_ = office.public_id(command.client, command.key)
    said = (command.peer, int(command.matter), command.id.hex(), command.region, command.amount, command.cause)
    digest = digest_of("dispute", *said, command.reference)
    return _once(batch, id_, digest, partial(_open, command, id_, digest, office, batch), id_)


def _open(command: Open, id_: bytes, digest: bytes, office: Office, batch: Batch) -> None:
    history.check_known(batch, command.peer)
    check_status(office, command.peer, Passage.DISPUTE)
    agreed = rules_with(office, command.peer, batch)
    opening = Opening(
        int(command.matter), command.id, command.region, command.cause, "", command.amount, command.peer,
        agreed.mediator, agreed.arbitrator, agreed.answer_days, agreed.decide_days,
    )  # fmt: skip
    opening = _found(opening, office, batch)
    disputed.check(opening, office.me, command.peer, agreed.window_days, office, batch)
    step = _step(office, batch, id_, Act.OPEN, number=0, previous=b"", reference=command.reference, opening=opening)
    rules.judge_opening(step, batch.today)
    row = chain.row_of(step, command.peer, State.ASKED, batch)
    chain.open_with(row, _sign(step, office), chain.sealed(id_, digest), office, batch)


def _found(opening: Opening, office: Office, batch: Batch) -> Opening:
    """The same, with what the command leaves out: whose it is, its category, and all of it."""
    regions = (opening.region,) if opening.region else (office.me, opening.respondent)
    for region in regions:
        named = opening._replace(region=region)
        try:
            known = disputed.look(named, office.me, opening.respondent, office, batch)
        except Refused as refusal:
            if refusal.reason is not Reason.TRANSFER_UNKNOWN or region == regions[-1]:
                raise
            continue
        return named._replace(category=known.category, amount=opening.amount or known.amount)
    raise Refused(Reason.TRANSFER_UNKNOWN)


@handles(Say, _wishes)
def say(command: Say, office: Office, batch: Batch) -> Stored:
    """Sign the step and say it. Raises BadInput, Refused: TRANSFER_UNKNOWN, or as gateway.protocol.dispute.judge."""
    _check_reference(command.reference)
    id_ = office.public_id(command.client, command.key)
    said = (command.dispute.hex(), int(command.act), command.amount, command.evidence.hex(), command.reference)
    digest = digest_of("dispute step", *said)
    return _once(batch, id_, digest, partial(_say, command, id_, digest, office, batch), command.dispute)


def _say(command: Say, id_: bytes, digest: bytes, office: Office, batch: Batch) -> None:
    row, record = _under_way(command.dispute, office, batch)
    amount = command.amount
    if command.act is Act.AGREE and not amount:
        amount = record.proposed
    step = _step(
        office, batch, row.id, command.act, number=record.number + 1, previous=record.last, amount=amount,
        evidence=command.evidence, reference=command.reference,
    )  # fmt: skip
    step = replace(step, date=max(step.date, record.said))  # the other side's clock may be ahead around midnight
    rules.judge(record, step, batch.today)
    signed, redo = _sign(step, office), chain.sealed(id_, digest)
    if row.is_party(office.me):
        check_status(office, row.peer, Passage.DISPUTE_STEP)
        chain.say(row, signed, redo, office, batch)
        return
    for party in (row.opened_by, row.respondent):
        request = chain.request_id(signed.payload, party)
        topics.ask(
            party, Kind.DISPUTE_STEP, request, partial(bodies.encode_step, signed), office, batch, subject=row.id,
            redo=redo,
        )  # fmt: skip
    chain.take(row, signed, step, office, batch)


@handles(Carry, _wishes)
def carry(command: Carry, office: Office, batch: Batch) -> Stored:
    """Carry an opinion or a ruling to the other party. Raises BadInput, Refused as a step of this region's own."""
    try:
        step = bodies.decode_statement(command.step)
    except Malformed as fault:
        raise BadInput(f"this is no step of a dispute: {fault}") from fault
    if step.act not in THIRD:
        raise BadInput("a party says its own steps itself; only an opinion or a ruling is carried")
    id_ = office.public_id(command.client, command.key)
    digest = digest_of("dispute carried", command.step.payload.hex())
    return _once(batch, id_, digest, partial(_carry, command.step, step, id_, digest, office, batch), step.dispute)


def _carry(signed: Signed, step: Step, id_: bytes, digest: bytes, office: Office, batch: Batch) -> None:
    row, record = _under_way(step.dispute, office, batch)
    if not row.is_party(office.me):
        raise Refused(Reason.DOCUMENT_INVALID, "only a party carries it to the other")
    rules.judge(record, step, batch.today)
    rules.check_signed(signed, step, office.roster)
    check_status(office, row.peer, Passage.DISPUTE_STEP)
    chain.say(row, signed, chain.sealed(id_, digest), office, batch)


def _under_way(id_: bytes, office: Office, batch: Batch) -> tuple[Stored, Record]:
    row = disputes.find(batch.conn, id_)
    if row is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no dispute has this id")
    history.check_known(batch, row.peer)
    record = chain.record_of(row, batch)
    if record is None:
        raise Refused(Reason.WRONG_STATE, "the other region has not taken the dispute")
    if row.pending is not None:
        raise Refused(Reason.WRONG_STATE, "the other region has not answered the last step")
    return row, record


def _step(office: Office, batch: Batch, dispute: bytes, act: Act, **more: object) -> Step:
    return Step(
        federation=office.roster.federation, environment=office.roster.environment, dispute=dispute, by=office.me,
        date=batch.today, act=int(act), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _sign(step: Step, office: Office) -> Signed:
    return office.signing_key.sign(PAYLOAD_TYPE, bodies.encode_statement(step))


def _check_reference(reference: str) -> None:
    """Other regions read it for ever."""
    if len(reference.encode()) > _REFERENCE_BYTES:
        raise BadInput(f"a reference has at most {_REFERENCE_BYTES} bytes")
    if mentions_number(reference):
        raise BadInput("a reference names a file or a case, and nobody by a number")
