"""What regions ask of each other besides transfers: every kind of request has one topic, and all go the same way.

A request is a message in the asker's log and is remembered on both sides (table `request`). The region asked answers at
once, or later when a person has decided. What follows from a message is told in one place for both sides and for both
times: when it is first said or heard, and when it comes back after a restore. Nothing is decided the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Row, select

from gateway.protocol import codec, limits
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.values import Draft, Frame, Kind, Reason
from node.ledger import journal
from node.services.office import Office
from node.store import bulk, logs, schema
from node.store.batch import Batch


class RequestState(IntEnum):
    """What became of a request."""

    OPEN = 1
    ACCEPTED = 2  # by an accept, or a reply of the topic's own kind
    REFUSED = 3


class Asked(NamedTuple):
    """A request as both sides remember it."""

    id: bytes
    peer: int
    mine: bool
    kind: int
    subject: bytes
    number: int | None  # of the peer's frame; None = mine
    state: int
    reason: int
    at_ms: int
    answered_ms: int | None


class Heard(NamedTuple):
    """A message of a peer's log: a request, or the reply to one."""

    peer: int
    frame: Frame
    body: bytes  # salt and serialised body
    parsed: Any  # what the topic made of the body of a request; of a reply: None
    number: int


class Said(NamedTuple):
    """A message of this region's own log that comes back after a restore."""

    peer: int
    frame: Frame
    body: bytes
    redo: bytes  # what this region sealed for itself; empty where it cannot be opened any more
    number: int


def _nothing(*_what: Any) -> None:
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """How one kind of request is dealt with.

    hear: at the region asked. Says its answer and returns the decision (:func:`accept`, :func:`answer`, :func:`later`),
        or raises Refused, having changed nothing. What it asks the same peer in turn it asks before it answers.
    answered: at the region that asked, when the reply comes: `Asked` as it was, the reply.
    asked_again: at the region that asked: its own request comes back after a restore.
    answered_again: at the region asked: its own reply comes back, to the request it answers. A refusal needs nothing
        as a rule, and comes here too.
    subject: the id of what the request is about, by which it can be found again; its own id unless told otherwise.
    """

    parse: Callable[[bytes], Any]  # anything but bytes and an Offer
    hear: Callable[[Heard, Office, Batch], journal.Decision]
    answered: Callable[[Asked, Heard, Office, Batch], None] = _nothing
    asked_again: Callable[[Said, Office, Batch], None] = _nothing
    answered_again: Callable[[Heard, Said, Office, Batch], None] = _nothing
    subject: Callable[[Frame, Any], bytes] = lambda frame, _parsed: frame.id


TOPICS: dict[int, Topic] = {}
"""Kind of request -> how it is dealt with; filled when the service modules are imported by the writer."""


def register(kind: Kind, topic: Topic) -> None:
    """From now on this kind is known here."""
    TOPICS[int(kind)] = topic


# -- asking ----------------------------------------------------------------------------------------------------------


def ask(
    peer: int, kind: Kind, request: bytes, body: Callable[[bytes], bytes], office: Office, batch: Batch, *,
    subject: bytes = b"", redo: bytes = b"", category: str = "", amount: int = 0, becomes: str = "", arriving: int = 0,
) -> None:  # fmt: skip
    """Say a request and remember it. `body` serialises it around the sealed redo record it is given.

    Whoever calls has asked :func:`gateway.protocol.standing.objection` first. Raises Refused(DOCUMENT_INVALID), with
    nothing changed, when the body would be larger than one may be.
    """
    salt = office.salt()
    salted = salt + body(office.seal_redo(salt, redo, request))
    if len(salted) > limits.BODY_BYTES:
        raise Refused(Reason.DOCUMENT_INVALID, f"the message would be longer than {limits.BODY_BYTES} bytes")
    _remember(batch, request, peer, True, kind, subject or request, None)
    batch.say(peer, Draft(kind, False, request, salted, category, amount, becomes, arriving), None)
    what = kind.name.lower()
    batch.record(journal.Asked(at=batch.now_ms, what=what, peer=peer, id=request.hex(), transfer=0))


def _remember(
    batch: Batch, id_: bytes, peer: int, mine: bool, kind: int, subject: bytes, number: int | None
) -> None:  # fmt: skip
    row = (id_, peer, mine, int(kind), subject, number, int(RequestState.OPEN), 0, batch.now_ms, None)
    bulk.insert(batch.conn, schema.request, [row])  # at once: the next message of this batch looks here


def find(batch: Batch, id_: bytes, peer: int, *, mine: bool) -> Asked | None:
    """The request of this id that I asked the peer (`mine`), or that it asked me."""
    r = schema.request
    row = batch.conn.execute(select(r).where(r.c.id == id_, r.c.peer == peer, r.c.mine == mine)).first()
    return None if row is None else _asked(row)


def about(batch: Batch, subject: bytes, kind: Kind) -> list[Asked]:
    """Every request of this kind about a subject, oldest first."""
    r = schema.request
    query = select(r).where(r.c.subject == subject, r.c.kind == int(kind)).order_by(r.c.at_ms, r.c.id)
    return [_asked(row) for row in batch.conn.execute(query)]


def _asked(row: Row[Any]) -> Asked:
    return Asked._make(row)._replace(mine=bool(row.mine))


def _close(batch: Batch, asked: Asked, accepted: bool, reason: int) -> None:
    r = schema.request
    state = RequestState.ACCEPTED if accepted else RequestState.REFUSED
    batch.conn.execute(
        r.update()
        .where(r.c.id == asked.id, r.c.peer == asked.peer, r.c.mine == asked.mine)
        .values(state=int(state), reason=reason, answered_ms=batch.now_ms)
    )


# -- answering -------------------------------------------------------------------------------------------------------


def accept(heard: Heard, office: Office, batch: Batch, redo: bytes = b"") -> journal.Decision:
    """Accept a request at once."""
    return answer(heard, Kind.ACCEPT, codec.encode_accept, office, batch, redo=redo)


def answer(
    heard: Heard, kind: Kind, body: Callable[[bytes], bytes], office: Office, batch: Batch, *, redo: bytes = b"",
    category: str = "", amount: int = 0, becomes: str = "", arriving: int = 0,
) -> journal.Decision:  # fmt: skip
    """Answer a request at once with a reply of this kind; `body` as in :func:`ask`."""
    draft = _reply(heard.frame.id, kind, body, redo, office)
    draft = draft._replace(category=category, amount=amount, becomes=becomes, arriving=arriving)
    batch.say(heard.peer, draft, None)
    asked = find(batch, heard.frame.id, heard.peer, mine=False)
    assert asked is not None
    _close(batch, asked, True, 0)
    return journal.Decision(heard.number, 0, 0, said=int(kind))


def later(heard: Heard) -> journal.Decision:
    """The request stays open; :func:`answer_later` or :func:`refuse_later` ends it."""
    return journal.Decision(heard.number, 0, 0, said=journal.LATER)


def answer_later(
    asked: Asked, kind: Kind, body: Callable[[bytes], bytes], office: Office, batch: Batch, *, redo: bytes = b"",
    category: str = "", amount: int = 0, becomes: str = "", arriving: int = 0,
) -> None:  # fmt: skip
    """Answer a request that was left open."""
    _require_open(asked)
    draft = _reply(asked.id, kind, body, redo, office)
    draft = draft._replace(category=category, amount=amount, becomes=becomes, arriving=arriving)
    batch.say(asked.peer, draft, None)
    _close(batch, asked, True, 0)
    batch.record(journal.Answered(at=batch.now_ms, peer=asked.peer, id=asked.id.hex(), reason=0, kind=int(kind)))


def refuse_later(asked: Asked, reason: Reason, office: Office, batch: Batch) -> None:
    """Refuse a request that was left open."""
    _require_open(asked)
    batch.say(asked.peer, _refusal(asked.id, reason, office), None)
    _close(batch, asked, False, int(reason))
    batch.record(journal.Answered(at=batch.now_ms, peer=asked.peer, id=asked.id.hex(), reason=int(reason)))


def _require_open(asked: Asked) -> None:
    if asked.mine or asked.state != RequestState.OPEN:
        raise Refused(Reason.WRONG_STATE, "this request was answered before")


def _reply(id_: bytes, kind: Kind, body: Callable[[bytes], bytes], redo: bytes, office: Office) -> Draft:
    salt = office.salt()
    return Draft(kind, True, id_, salt + body(office.seal_redo(salt, redo, id_)))


def _refusal(id_: bytes, reason: Reason, office: Office) -> Draft:
    return _reply(id_, Kind.REFUSE, lambda sealed: codec.encode_refuse(reason, sealed), b"", office)


# -- hearing ---------------------------------------------------------------------------------------------------------


def parse(frame: Frame, body: bytes) -> Any:
    """What the topic makes of a request's body. Raises PeerFault."""
    return TOPICS[frame.kind].parse(body)


def hear_request(heard: Heard, office: Office, batch: Batch) -> journal.Decision:
    """Decide a request, once: an id that was used before is refused, whatever it says now.

    While its first use waits for an answer the id gets no other: whoever reads this log would take that for the answer.
    """
    topic = TOPICS[heard.frame.kind]
    before = find(batch, heard.frame.id, heard.peer, mine=False)
    if before is not None and (before.number != heard.number or before.state != RequestState.OPEN):
        if before.state == RequestState.OPEN:
            return later(heard)
        return _refuse(heard, Reason.CONFLICT_DIFFERENT_CONTENT, office, batch)
    if before is None:
        keep(heard, batch)
    try:
        return topic.hear(heard, office, batch)
    except Refused as refusal:
        asked = find(batch, heard.frame.id, heard.peer, mine=False)
        assert asked is not None
        _close(batch, asked, False, int(refusal.reason))
        return _refuse(heard, refusal.reason, office, batch)


def _refuse(heard: Heard, reason: Reason, office: Office, batch: Batch) -> journal.Decision:
    batch.say(heard.peer, _refusal(heard.frame.id, reason, office), None)
    return journal.Decision(heard.number, 0, 0, int(reason))


def is_open(peer: int, id_: bytes, number: int, batch: Batch) -> bool:
    """Whether another frame of the peer has asked under this id, and waits for the answer."""
    before = find(batch, id_, peer, mine=False)
    return before is not None and before.number != number and before.state == RequestState.OPEN


def end_refused(peer: int, id_: bytes, number: int, reason: int, batch: Batch) -> None:
    """A request that was kept is refused by what stands above its topic: it waits no longer."""
    kept = find(batch, id_, peer, mine=False)
    if kept is not None and kept.number == number and kept.state == RequestState.OPEN:
        _close(batch, kept, False, reason)


def keep(heard: Heard, batch: Batch) -> None:
    """Remember a request of a peer, unanswered."""
    subject = TOPICS[heard.frame.kind].subject(heard.frame, heard.parsed)
    _remember(batch, heard.frame.id, heard.peer, False, heard.frame.kind, subject, heard.number)


def hear_reply(heard: Heard, reason: int, office: Office, batch: Batch) -> Callable[[], None] | None:
    """The reply to a request of this region; the first one counts. Returns what follows; None if it fits none."""
    asked = find(batch, heard.frame.id, heard.peer, mine=True)
    if asked is None or asked.state != RequestState.OPEN or asked.kind not in TOPICS:
        return None
    refused = heard.frame.kind == Kind.REFUSE
    _close(batch, asked, not refused, reason if refused else 0)
    return partial(TOPICS[asked.kind].answered, asked._replace(reason=reason), heard, office, batch)


# -- again, after a restore -------------------------------------------------------------------------------------------


def ask_again(said: Said, office: Office, batch: Batch) -> None:
    """This region's own request comes back."""
    what = Kind(said.frame.kind).name.lower()
    batch.record(journal.Asked(at=batch.now_ms, what=what, peer=said.peer, id=said.frame.id.hex(), transfer=0))
    if find(batch, said.frame.id, said.peer, mine=True) is not None:
        return
    topic = TOPICS[said.frame.kind]
    try:
        subject = topic.subject(said.frame, topic.parse(said.body))
    except PeerFault:  # erased
        subject = said.frame.id
    _remember(batch, said.frame.id, said.peer, True, said.frame.kind, subject, None)
    with suppress(PeerFault):  # a topic that needs the body learns nothing from one that was erased
        topic.asked_again(said, office, batch)


def answer_again(said: Said, reason: int, office: Office, batch: Batch) -> bool:
    """This region's own reply comes back, to a request that came back before it. False if it answers none of these."""
    asked = find(batch, said.frame.id, said.peer, mine=False)
    if asked is None or asked.state != RequestState.OPEN or asked.kind not in TOPICS or asked.number is None:
        return False
    into = logs.Reader(batch.conn, batch.books.logs[said.peer, office.me])
    frame, body = codec.decode_frame(into.frame(asked.number)), into.body(asked.number)
    try:
        parsed = parse(frame, body)
    except PeerFault:
        parsed = None
    refused = said.frame.kind == Kind.REFUSE
    _close(batch, asked, not refused, reason)
    if parsed is not None:
        heard = Heard(said.peer, frame, body, parsed, asked.number)
        TOPICS[asked.kind].answered_again(heard, said, office, batch)
    batch.record(
        journal.Answered(
            at=batch.now_ms, peer=said.peer, id=said.frame.id.hex(), reason=reason, kind=int(said.frame.kind)
        )
    )
    return True
