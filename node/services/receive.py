"""An envelope arrives: judged, appended and applied in one transaction; every request in it gets its answer.

A well-formed, authentic frame never blocks the log: what cannot be done is refused with a reason, and the log moves on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.protocol import channel as channels
from gateway.protocol import codec, limits, standing
from gateway.protocol.channel import Append, Duplicate, Fork, OutOfStep
from gateway.protocol.errors import PeerFault
from gateway.protocol.handshake import ask
from gateway.protocol.transfer import State
from gateway.protocol.values import Ask, Draft, Frame, Gap, Head, Kind, NotReady, Offer, Reason, Receipt, Stale
from node.ledger import journal
from node.ledger.transfers import Transfer
from node.services import offer, reversal, topics, transfer
from node.services.command import handles
from node.services.forks import evidence
from node.services.office import Office
from node.store import bulk, logs, schema
from node.store.batch import Batch, Wishes

Body = Any
"""What is made of a body: an Offer, the id a reversal asks for, a topic's value, a PeerFault, or None."""

_REQUESTS = frozenset({Kind.OFFER, Kind.CANCEL, Kind.REVERSE_REQUEST, Kind.CUT_OFF})


def knows(kind: int) -> bool:
    """Whether requests of this kind are known here."""
    return kind in _REQUESTS or kind in topics.TOPICS


@dataclass(frozen=True, kw_only=True, slots=True)
class Receive:
    """An authentic envelope from a peer: its head verified, its frames parsed, its bodies parsed where that works."""

    peer: int
    head: Head
    signed: bytes  # the signed head as it came, kept as evidence
    raw: tuple[bytes, ...]
    frames: tuple[Frame, ...]
    bodies: tuple[bytes, ...]
    parsed: tuple[Body, ...]


def parse_body(frame: Frame, body: bytes) -> Body:
    """What a service needs of a body; a fault is a value here, since it must not block the log."""
    try:
        if frame.kind == Kind.OFFER and not frame.reply:
            return codec.decode_offer(body)
        if frame.kind == Kind.REVERSE_REQUEST and not frame.reply:
            return codec.decode_reverse_request(body)
        if frame.kind in topics.TOPICS and not frame.reply:
            return topics.parse(frame, body)
    except PeerFault as fault:
        return fault
    return None


def _wishes(command: Receive, office: Office, wishes: Wishes) -> None:
    wishes.transfers.update(frame.id for frame in command.frames)
    for frame, body in zip(command.frames, command.parsed, strict=True):
        if isinstance(body, Offer):
            wishes.aliases.add(body.address)
            if body.identity:
                wishes.identified_by.add(body.address)
            if body.cites:
                wishes.transfers |= {body.cites, body.request}
        elif isinstance(body, bytes):
            wishes.transfers |= {body, reversal.return_id(frame.id, office)}
    if office.agreements.counting:
        wishes.settling.update(f.id for f in command.frames if f.reply and f.kind == Kind.REFUSE)


Answer = Receipt | Gap | Stale | NotReady | Ask
"""What goes back to the peer once this is committed."""


@handles(Receive, _wishes)
def receive(command: Receive, office: Office, batch: Batch) -> Answer:
    """See SPEC section 4. Raises Malformed or TooLarge: nothing of the envelope is committed."""
    peer, head = command.peer, command.head
    channel = batch.channel(peer)
    verdict = channels.judge(
        channel, head, command.raw, command.frames, command.bodies, batch.nodes(peer, batch.books.me)
    )
    if isinstance(verdict, Append):
        return _append(command, channel, verdict, office, batch)
    if isinstance(verdict, Duplicate):
        return channel.receipt or Gap(size=channel.held)
    if isinstance(verdict, Fork):
        evidence.quarantine(command, channel, verdict, batch)
        return NotReady()
    if isinstance(verdict, OutOfStep):
        return ask(channel)
    return verdict


def _append(command: Receive, channel: channels.Channel, verdict: Append, office: Office, batch: Batch) -> Receipt:
    skip, first = verdict.skip, channel.held
    frames = command.frames[skip:]
    log = batch.books.logs[command.peer, batch.books.me]
    channel = channels.append(channel, verdict, command.head, frames, batch.now_ms)
    logs.append(
        batch.conn,
        log,
        first=first,
        epoch=command.head.epoch.number,
        frames=list(command.raw[skip:]),
        bodies=list(command.bodies[skip:]),
        frontier=verdict.frontier,
        nodes=verdict.nodes,
        head=command.signed,
        at_ms=batch.now_ms,
    )
    receipt = channel.receipt
    assert receipt is not None
    keep_receipt(receipt, log, batch)
    batch.set_channel(channel)
    decisions = _apply(command, skip, first, frames, office, batch)
    batch.refused[command.peer] += sum(map(is_in_vain, frames, decisions))
    return receipt


def keep_receipt(receipt: Receipt, log: int, batch: Batch) -> None:
    """The content of a receipt of mine commits with what it is for; the signature follows from it."""
    nonce = receipt.epoch.nonce.to_bytes(8, "big")
    row = (log, receipt.size, receipt.epoch.number, nonce, receipt.root, receipt.received_at_ms, None)
    bulk.insert(batch.conn, schema.receipt, [row])


def is_in_vain(frame: Frame, decision: journal.Decision) -> bool:
    """Whether the frame was refused or changed nothing: an honest peer says few of these."""
    if frame.reply:
        return decision.transfer == 0
    return decision.reason != 0 or not (decision.transfer or decision.said or frame.kind == Kind.REVERSE_REQUEST)


def _apply(
    command: Receive, skip: int, first: int, frames: Sequence[Frame], office: Office, batch: Batch
) -> list[journal.Decision]:
    """Apply frames in order, and write what became of them into the journal."""
    objects = standing.receiving(office.roster, command.peer, office.me, batch.today)
    decisions: list[journal.Decision] = []
    record = Recording(command.peer, first, office, batch)
    for i, frame in enumerate(frames):
        number, body, parsed = first + i, command.bodies[skip + i], command.parsed[skip + i]
        if frame.reply:
            decision = hear_reply(command.peer, frame, body, number, record, office, batch)
        else:
            if frame.kind in topics.TOPICS:
                record.write()
            decision = decide_request(command.peer, frame, body, parsed, number, objects, office, batch)
        record.add(decision)
        decisions.append(decision)
    record.write()
    return decisions


class Recording:
    """The decisions about the frames of one envelope or page, on their way into the journal.

    They are written before whatever else follows from a frame, so that the journal has everything in the order in which
    it was said and booked. A decision with transfer 0 and nothing said flags a frame that changed nothing.
    """

    def __init__(self, peer: int, first: int, office: Office, batch: Batch, *, recovered: bool = False) -> None:
        self._peer, self._first, self._office, self._batch, self._recovered = peer, first, office, batch, recovered
        self._decisions: list[journal.Decision] = []
        self._then: Callable[[], None] | None = None

    def add(self, decision: journal.Decision) -> None:
        """The decision about the next frame."""
        self._decisions.append(decision)
        if self._then is not None:
            self.write()
            then, self._then = self._then, None
            then()

    def then(self, do: Callable[[], None]) -> None:
        """Do this once the decision about the frame at hand is written."""
        self._then = do

    def write(self) -> None:
        """Write what was added since the last time."""
        if not self._decisions:
            return
        size = self._first + len(self._decisions)
        self._batch.record(
            journal.Applied(
                at=self._batch.now_ms, peer=self._peer, first=self._first, size=size, decisions=self._decisions,
                recovered=self._recovered,
            )
        )  # fmt: skip
        self._first, self._decisions = size, []


def decide_request(
    peer: int, frame: Frame, body: bytes, parsed: Body, number: int, objects: standing.Judge, office: Office,
    batch: Batch,
) -> journal.Decision:  # fmt: skip
    """Answer a request in the other log. `objects`: what the standing of the two regions has against it."""
    if not knows(frame.kind):
        return refuse(peer, frame, number, Reason.UNKNOWN_KIND, office, batch)
    if isinstance(parsed, PeerFault):
        return refuse(peer, frame, number, Reason.MALFORMED_BODY, office, batch)
    if objection := objects(frame.kind, frame.reply, parsed):
        decision = refuse(peer, frame, number, objection.reason, office, batch, objection.successor)
        if isinstance(parsed, Offer) and parsed.request:
            reversal.hear_refusal(peer, parsed.request, decision.reason, batch)
        return decision
    if frame.kind in topics.TOPICS:
        if _under_review(peer, frame, batch):
            return refuse(peer, frame, number, Reason.CONFLICT_DIFFERENT_CONTENT, office, batch)
        return topics.hear_request(topics.Heard(peer, frame, body, parsed, number), office, batch)
    if frame.kind == Kind.OFFER and isinstance(parsed, Offer):
        return offer.hear_offer(peer, frame, parsed, number, office, batch)
    if frame.kind == Kind.CANCEL:
        return offer.hear_cancel(peer, frame, number, office, batch)
    if frame.kind == Kind.REVERSE_REQUEST and _under_review(peer, frame, batch):
        return refuse(peer, frame, number, Reason.CONFLICT_DIFFERENT_CONTENT, office, batch)
    if frame.kind == Kind.REVERSE_REQUEST and isinstance(parsed, bytes):
        return reversal.hear_request(peer, frame, parsed, number, office, batch)
    return journal.Decision(number, 0, 0)  # a cut-off


def hear_reply(
    peer: int, frame: Frame, body: bytes, number: int, record: Recording, office: Office, batch: Batch
) -> journal.Decision:
    """A reply is never answered: one that fits nothing held is kept and flagged."""
    mine = batch.transfers.get((frame.id, batch.books.me))
    reason = 0
    if frame.kind == Kind.REFUSE:
        try:
            reason = codec.decode_refuse(body)
        except PeerFault:
            reason = -1
        if not 0 <= reason <= limits.ENUM_MAX:
            reason = int(Reason.MALFORMED_BODY)  # the header decides; a reason that cannot be read is no reason to wait
    if mine is not None and is_waiting_for(mine, peer) and frame.kind in (Kind.ACCEPT, Kind.REFUSE):
        return transfer.settle(mine, frame.kind, reason, number, batch)
    if frame.kind == Kind.REFUSE and reversal.hear_refusal(peer, frame.id, reason, batch):
        return journal.Decision(number, 0, 0, reason)
    heard = topics.Heard(peer, frame, body, None, number)
    then = topics.hear_reply(heard, reason, office, batch)
    if then is not None:
        record.then(then)
        return journal.Decision(number, 0, 0, reason, said=journal.ENDS)
    return journal.Decision(number, 0, 0, reason)


def is_waiting_for(mine: Transfer, peer: int) -> bool:
    """Whether an answer from this peer decides the transfer: only the first one does."""
    return mine.destination == peer and mine.state == State.HELD


def _under_review(peer: int, frame: Frame, batch: Batch) -> Transfer | None:
    """The transfer that is before a clerk under the very id this request has."""
    known = batch.transfers.get((frame.id, peer))
    return known if known is not None and known.state == State.IN_REVIEW else None


def refuse(
    peer: int, frame: Frame, number: int, reason: Reason, office: Office, batch: Batch, successor: int = 0
) -> journal.Decision:
    """Refuse a request. An id has one answer: a transfer under review with the same id is refused with it, and while
    another request waits under it, the answer to that is the only one."""
    known = _under_review(peer, frame, batch)
    if known is not None:
        return offer.refuse(known, reason, number, office, batch)
    if topics.is_open(peer, frame.id, number, batch):
        return journal.Decision(number, 0, 0, said=journal.LATER)
    topics.end_refused(peer, frame.id, number, int(reason), batch)
    salt = office.salt()
    body = salt + codec.encode_refuse(reason, b"", successor)
    batch.say(peer, Draft(Kind.REFUSE, True, frame.id, body), None)
    return journal.Decision(number, 0, 0, int(reason))
