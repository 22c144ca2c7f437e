"""The chain of a dispute as this region keeps it: heard from the other party, said to it, told to a third region.

A step takes effect at the region asked when it accepts it, and at the one that said it when the acceptance comes, so
that both append the same steps in the same order. Of two steps said at once the claimant's goes first. An opinion or a
ruling comes from the third region to both parties; each carries it to the other, and the first to be accepted counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count

import msgspec

from gateway.protocol import dispute as rules
from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.dispute import Act, Record, State, Step
from gateway.protocol.errors import Refused
from gateway.protocol.standing import Matter as Passage
from gateway.protocol.standing import objection
from gateway.protocol.values import Kind, Reason, Signed
from node.ledger import journal
from node.services import topics
from node.services.command import freeze
from node.services.dispute import disputed, frozen
from node.services.dispute import ends as dispute_ends
from node.services.dispute.rules import Rules, rules_with
from node.services.office import Office
from node.store import disputes
from node.store.batch import Batch, Wishes
from node.store.disputes import Stored

Parsed = tuple[Signed, Step]

_pack = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode


def record_of(row: Stored, batch: Batch) -> Record | None:
    """What the steps come to; None before the first is taken."""
    steps = disputes.steps(batch.conn, row.id)
    return rules.fold((bodies.decode_statement(s), s.payload) for s in steps) if steps else None


def _holds(row: Stored, payload: bytes, batch: Batch) -> bool:
    return any(signed.payload == payload for signed in disputes.steps(batch.conn, row.id))


def request_id(payload: bytes, peer: int, attempt: int = 0) -> bytes:
    """The id of the request that carries a step to a region. What was refused may be said again, as another attempt."""
    return sha256(b"dispute step %d %d " % (peer, attempt) + payload).digest()[:16]


def _attempts(payload: bytes, peer: int, batch: Batch) -> Iterator[bytes]:
    """The ids under which a step was carried to a region so far."""
    for attempt in count():
        id_ = request_id(payload, peer, attempt)
        if topics.find(batch, id_, peer, mine=True) is None:
            return
        yield id_


def sealed(command: bytes, digest: bytes) -> bytes:
    """What a region seals for itself beside a step: by which command it was said."""
    return _pack((command, digest))


# -- saying ----------------------------------------------------------------------------------------------------------


def open_with(row: Stored, signed: Signed, redo: bytes, office: Office, batch: Batch) -> None:
    """Keep a dispute that this region opens, freeze what it names, and say so."""
    row = frozen.freeze(row, office, batch)
    disputes.add(batch.conn, row._replace(pending=disputes.encode(signed)))
    _ask(row.peer, Kind.DISPUTE, row.id, row.id, signed, redo, office, batch)


def say(row: Stored, signed: Signed, redo: bytes, office: Office, batch: Batch) -> None:
    """Say a step to the other party; it takes effect when that accepts it."""
    disputes.change(batch.conn, row._replace(pending=disputes.encode(signed), reason=0))
    attempts = sum(1 for _ in _attempts(signed.payload, row.peer, batch))
    id_ = request_id(signed.payload, row.peer, attempts)
    _ask(row.peer, Kind.DISPUTE_STEP, id_, row.id, signed, redo, office, batch)


def _ask(
    peer: int, kind: Kind, id_: bytes, subject: bytes, signed: Signed, redo: bytes, office: Office, batch: Batch
) -> None:
    encode: Callable[[Signed, bytes], bytes] = bodies.encode_dispute
    if kind == Kind.DISPUTE_STEP:
        encode = bodies.encode_step
    topics.ask(peer, kind, id_, lambda own: encode(signed, own), office, batch, subject=subject, redo=redo)


def tell(row: Stored, third: int, office: Office, batch: Batch) -> None:
    """Give a third region what it lacks of the chain."""
    if objection(office.roster, office.me, third, Passage.DISPUTE_STEP, batch.today) is not None:
        return
    for number, signed in enumerate(disputes.steps(batch.conn, row.id)):
        kind = Kind.DISPUTE_STEP if number else Kind.DISPUTE
        id_ = request_id(signed.payload, third) if number else row.id
        theirs = bodies.decode_statement(signed).by == third
        if not theirs and topics.find(batch, id_, third, mine=True) is None:
            _ask(third, kind, id_, row.id, signed, b"", office, batch)


# -- taking ----------------------------------------------------------------------------------------------------------


def take(row: Stored, signed: Signed, step: Step, office: Office, batch: Batch) -> Stored:
    """Append a step that both parties have taken, and do what follows from it."""
    before = record_of(row, batch)
    record = rules.begin(step, signed.payload) if before is None else rules.follow(before, step, signed.payload)
    disputes.add_step(batch.conn, row.id, record.number, signed, batch.now_ms)
    mine = row.pending is not None and disputes.decode(row.pending).payload == signed.payload
    row = row._replace(
        state=record.state, last=record.last, steps=record.number + 1, deadline=record.due, settled=record.settled,
        pending=None if mine else row.pending, ended_ms=None if record.open else batch.now_ms,
    )  # fmt: skip
    if not record.open and row.is_party(office.me):
        row = disputed.conclude(row, record, office, batch)
    disputes.change(batch.conn, row)
    if row.is_party(office.me):
        _tell_thirds(row, record, step, office, batch)
    return row


def _tell_thirds(row: Stored, record: Record, step: Step, office: Office, batch: Batch) -> None:
    asked = {Act.MEDIATE: record.opening.mediator, Act.ARBITRATE: record.opening.arbitrator}.get(Act(step.act), 0)
    for third in sorted({record.opening.mediator, record.opening.arbitrator} - {0}):
        told = topics.find(batch, row.id, third, mine=True) is not None
        if told or (third == asked and step.by == office.me):
            tell(row, third, office, batch)


def opened(signed: Signed, step: Step, peer: int, office: Office, batch: Batch) -> Stored:
    """Keep a dispute that another region opened."""
    row = row_of(step, peer, State.OPENED, batch)
    if row.is_party(office.me):
        row = frozen.freeze(row, office, batch)
    disputes.add(batch.conn, row)
    return take(row, signed, step, office, batch)


def row_of(step: Step, peer: int, state: State, batch: Batch) -> Stored:
    """A dispute of which nothing has been taken yet."""
    opening = step.opening
    assert opening is not None
    return Stored(
        step.dispute, peer, step.by, opening.respondent, opening.matter, opening.id, opening.region, opening.category,
        opening.amount, state, 0, b"", 0, rules.add_working_days(step.date, opening.answer_days), 0, None, None,
        batch.now_ms, None,
    )  # fmt: skip


# -- hearing ---------------------------------------------------------------------------------------------------------


def _lowest(*checks: Callable[[], None]) -> None:
    """Make every check, and refuse for the reason with the lowest number."""
    refusals = []
    for make in checks:
        try:
            make()
        except Refused as refusal:
            refusals.append(refusal)
    if refusals:
        raise min(refusals, key=lambda refusal: refusal.reason)


def _require(condition: bool, otherwise: str, reason: Reason = Reason.DOCUMENT_INVALID) -> None:
    if not condition:
        raise Refused(reason, otherwise)


def hear_dispute(heard: topics.Heard, office: Office, batch: Batch) -> journal.Decision:
    """A dispute is opened with this region, or told to it as the third."""
    signed, step = heard.parsed
    opening = step.opening
    known = disputes.find(batch.conn, step.dispute)
    if known is not None and not known.is_party(office.me) and heard.peer in (known.opened_by, known.respondent):
        _require(_holds(known, signed.payload, batch), "another dispute has this id", Reason.CONFLICT_DIFFERENT_CONTENT)
        return topics.accept(heard, office, batch)
    _require(opening is not None, "a dispute begins with what it is about")
    _lowest(
        lambda: _require(known is None, "another dispute has this id", Reason.CONFLICT_DIFFERENT_CONTENT),
        lambda: _check_opening(heard.peer, step, office, batch),
        lambda: rules.judge_opening(step, batch.today),
        lambda: rules.check_signed(signed, step, office.roster),
        lambda: _require(heard.frame.id == step.dispute, "the message is of another id"),
    )
    opened(signed, step, heard.peer, office, batch)
    return topics.accept(heard, office, batch)


def _check_opening(peer: int, step: Step, office: Office, batch: Batch) -> None:
    opening = step.opening
    assert opening is not None
    if office.me in (opening.mediator, opening.arbitrator):
        _require(peer in (step.by, opening.respondent), "only a party tells of its dispute")
        return
    _require((step.by, opening.respondent) == (peer, office.me), "the dispute is with somebody else")
    agreed = rules_with(office, peer, batch)
    disputed.check(opening, step.by, peer, agreed.window_days, office, batch)
    named = Rules(
        agreed.window_days, opening.answer_days, opening.decide_days, opening.mediator, opening.arbitrator
    )  # fmt: skip
    _require(named == agreed, "other days or other third regions are agreed", Reason.TERMS_DIFFER)


def hear_step(heard: topics.Heard, office: Office, batch: Batch) -> journal.Decision:
    """The next step of a dispute: from the other party, or from the third region, or told to this one as the third."""
    signed, step = heard.parsed
    row = disputes.find(batch.conn, step.dispute)
    if row is None or row.state == State.ASKED or row.state == State.REFUSED:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no such dispute is open here")
    record = record_of(row, batch)
    assert record is not None
    from_party = heard.peer in (row.opened_by, row.respondent)
    told = (not row.is_party(office.me) and from_party) or step.act in rules.THIRD
    if told and _holds(row, signed.payload, batch):
        return topics.accept(heard, office, batch)  # the other party was quicker
    _lowest(
        lambda: rules.judge(record, step, batch.today),
        lambda: rules.check_signed(signed, step, office.roster),
        lambda: _check_sender(row, step, heard.peer, office),
        lambda: _check_turn(row, signed, heard.peer, office),
    )
    if row.is_party(office.me) and not from_party:
        if row.pending is None:  # otherwise it is being carried already
            say(row, signed, b"", office, batch)
    else:
        take(row, signed, step, office, batch)
    return topics.accept(heard, office, batch)


def _check_sender(row: Stored, step: Step, peer: int, office: Office) -> None:
    """A party says its own steps and carries those of third regions; a third region says its own."""
    third = step.act in rules.THIRD
    if not row.is_party(office.me):
        ok = peer in (row.opened_by, row.respondent)
    elif peer == row.peer:
        ok = step.by == peer or third
    else:
        ok = step.by == peer and third
    _require(ok, "whoever signed it has no say here, or sends it by somebody else")


def _check_turn(row: Stored, signed: Signed, peer: int, office: Office) -> None:
    """Of two steps said at once the claimant's goes first; a third region waits for both."""
    if row.pending is None or not row.is_party(office.me) or disputes.decode(row.pending).payload == signed.payload:
        return
    if row.opened_by == office.me or peer != row.peer:
        raise Refused(Reason.WRONG_STATE, "another step is under way")


# -- answers ---------------------------------------------------------------------------------------------------------


def _answered_dispute(asked: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> None:
    row = disputes.find(batch.conn, asked.id)
    if row is None or row.state != State.ASKED or row.peer != asked.peer or row.pending is None:
        return
    if heard.frame.kind == Kind.ACCEPT:
        signed = disputes.decode(row.pending)
        take(row, signed, bodies.decode_statement(signed), office, batch)
        return
    row = frozen.release(row, office, batch)
    ended = row._replace(state=State.REFUSED, reason=asked.reason, pending=None, deadline=0, ended_ms=batch.now_ms)
    disputes.change(batch.conn, ended)


def _answered_step(asked: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> None:
    row = disputes.find(batch.conn, asked.subject)
    if row is None or not row.is_party(office.me) or asked.peer != row.peer or row.pending is None:
        return
    signed = disputes.decode(row.pending)
    if asked.id not in _attempts(signed.payload, row.peer, batch):
        return
    if heard.frame.kind == Kind.ACCEPT:
        dispute_ends.ask_back(take(row, signed, bodies.decode_statement(signed), office, batch), office, batch)
    else:
        disputes.change(batch.conn, row._replace(pending=None, reason=asked.reason))


# -- again, after a restore ------------------------------------------------------------------------------------------


def _frozen_again(said: topics.Said, batch: Batch) -> None:
    """The command that said it is answered as it was."""
    try:
        command, digest = _read(said.redo)
    except msgspec.MsgspecError:
        return
    batch.load(Wishes(outcomes={command}))
    if command not in batch.outcomes:
        freeze(batch, command, "dispute", digest, 0, "")


def _asked_dispute_again(said: topics.Said, office: Office, batch: Batch) -> None:
    signed, step = bodies.decode_dispute(said.body)
    _frozen_again(said, batch)
    if step.opening is not None and step.opening.respondent == said.peer and step.by == office.me:
        row = frozen.freeze(row_of(step, said.peer, State.ASKED, batch), office, batch)
        disputes.add(batch.conn, row._replace(pending=disputes.encode(signed)))


def _asked_step_again(said: topics.Said, office: Office, batch: Batch) -> None:
    signed, step = bodies.decode_step(said.body)
    _frozen_again(said, batch)
    row = disputes.find(batch.conn, step.dispute)
    if row is None or _holds(row, signed.payload, batch):
        return
    if row.is_party(office.me) and said.peer == row.peer:
        disputes.change(batch.conn, row._replace(pending=disputes.encode(signed)))
    elif not row.is_party(office.me) and step.by == office.me and step.number == row.steps:
        take(row, signed, step, office, batch)


def _accepted_again(heard: topics.Heard, said: topics.Said, office: Office, batch: Batch) -> None:
    """What this region accepted before takes effect again; nothing is judged."""
    signed, step = heard.parsed
    row = disputes.find(batch.conn, step.dispute)
    if said.frame.kind != Kind.ACCEPT:
        return
    if row is None:
        if step.opening is not None:
            opened(signed, step, heard.peer, office, batch)
    elif heard.peer in (row.opened_by, row.respondent) and step.number == row.steps:
        take(row, signed, step, office, batch)


topics.register(
    Kind.DISPUTE,
    topics.Topic(
        parse=bodies.decode_dispute, hear=hear_dispute, answered=_answered_dispute, asked_again=_asked_dispute_again,
        answered_again=_accepted_again, subject=lambda _frame, parsed: parsed[1].dispute,
    ),
)  # fmt: skip
topics.register(
    Kind.DISPUTE_STEP,
    topics.Topic(
        parse=bodies.decode_step, hear=hear_step, answered=_answered_step, asked_again=_asked_step_again,
        answered_again=_accepted_again, subject=lambda _frame, parsed: parsed[1].dispute,
    ),
)  # fmt: skip
