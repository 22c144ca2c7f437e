"""Recovering a channel after a restore: what the peer gives back is taken in, in its true order, and done again.

A page is one transaction. Inbound requests wait, undecided, for the answer this region once gave: it comes back too,
and is done again, never decided again. What had got no answer before the loss is decided at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog
from sqlalchemy import delete, select

from gateway.protocol import channel as channels
from gateway.protocol import codec, recovery, standing
from gateway.protocol.channel import Append, Channel, Condition
from gateway.protocol.errors import Abandoned, PeerFault
from gateway.protocol.recovery import Extended, Run
from gateway.protocol.transfer import Event, State, check_offer, step
from gateway.protocol.values import Frame, Kind, Offer, Receipt
from node.ledger import journal
from node.services import offer, receive, reversal, seal, topics
from node.services.forks import repair
from node.services.office import Office
from node.services.recovery import history, redo
from node.store import bulk, logs, schema
from node.store.batch import Batch, Wishes

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Returned:
    """A page whose heads are verified: `mine` by a key of this region, `seen` by one of the peer's."""

    peer: int
    first: int
    mine: Run | None
    seen_first: int | None
    seen: Run | None
    seen_signed: bytes = b""
    parsed: tuple[receive.Body, ...] = ()  # the bodies of `seen`
    records: tuple[redo.Record | None, ...] = ()  # what this region sealed for itself into `mine`


def wishes(command: Returned, office: Office, wishes: Wishes) -> None:
    """Everything one page may look at."""
    for run in (command.mine, command.seen):
        wishes.transfers.update(frame.id for frame in run.frames) if run is not None else None
    for body in command.parsed:
        if isinstance(body, Offer):
            wishes.aliases.add(body.address)
            if body.cites:
                wishes.transfers |= {body.cites, body.request}
        elif isinstance(body, bytes):
            wishes.transfers.add(body)
    for record in command.records:
        if record is not None:
            record.wish(wishes)


def begin(channel: Channel, office: Office, batch: Batch) -> Channel:
    """The peer says that it holds more of my log than I do: it is asked for that, and nothing is said to it meanwhile.

    Only what it gives back proves it, under a head of this region's own: no peer can stop a region by a claim.
    """
    assert channel.fenced is not None
    batch.set_channel(channel)
    log.warning("peer_holds_more", peer=channel.peer, here=channel.size, there=channel.fenced.holds_size)
    return seal.take_back(batch, channel, channel.final)


def _notice(channel: Channel, office: Office, batch: Batch) -> None:
    """This region did say what it does not know: this database came from a backup."""
    assert channel.fenced is not None
    if repair.explains(batch.conn, channel, channel.fenced.holds_size):
        return
    cause = f"region {channel.peer} holds {channel.fenced.holds_size} frames of this region's log"
    # Two people who bear the risk of this very peer knew that it would come: the region stays as whole as they made it.
    if channel.peer not in (risk.peer for risk in batch.books.history.open_risks):
        history.enter(batch, office, cause)
    for other in batch.books.channels.values():
        if other.ready:  # it was asked when this process started, and had nothing to give back
            history.mark_merged(batch, other.peer)


def abandon(channel: Channel, fault: Abandoned, batch: Batch) -> None:
    """Stop the channel for good."""
    log.critical("history_abandoned", peer=channel.peer, error=str(fault))
    batch.set_channel(replace(channel, condition=Condition.ABANDONED, ready=False, peer_open=False, fenced=None))


def take_in(command: Returned, channel: Channel, office: Office, batch: Batch) -> bool:
    """Append and do again what a page brings; False for one that is late or empty.

    Raises Malformed, or Abandoned where the histories differ: nothing was changed.
    """
    mine, seen = command.mine, command.seen
    if not recovery.fits(channel, command.first, command.seen_first) or (mine is None and seen is None):
        return False
    ours = recovery.extend(channel.out_frontier, mine) if mine is not None else None
    theirs = recovery.extend(channel.in_frontier, seen) if seen is not None else None
    said, heard = mine.frames if mine else (), seen.frames if seen else ()
    order = list(recovery.true_order(channel.size, said, channel.held, heard))
    first_said, first_heard = channel.size, channel.held
    if mine is not None and ours is not None:
        _notice(channel, office, batch)
        channel = _append_mine(command, channel, mine, ours, batch)
    if seen is not None and theirs is not None:
        channel = _append_seen(command, channel, seen, theirs, batch)
    batch.set_channel(channel)
    doing = redo.Doing(command.peer, office, batch, _offered(command, first_heard), said)
    disowned = repair.disowned(batch.conn, command.peer, channel.out)
    hearing = _Hearing(command, first_heard, office, batch)
    for is_mine, at in order:
        if is_mine:
            assert mine is not None
            hearing.record()
            number = first_said + at
            if any(number in others for others in disowned):
                continue  # kept for the proofs over it, and never said by this region
            doing.again(number, said[at], mine.bodies[at], command.records[at])
        else:
            hearing.hear(at)
    hearing.record()
    doing.finish()
    _keep_undecided(command.peer, hearing.requests, doing.answered, batch)
    batch.clear(command.peer, channel.final)
    return True


def _offered(command: Returned, first: int) -> dict[int, Offer]:
    """By number: a peer may offer the same id twice."""
    return {number: body for number, body in enumerate(command.parsed, first) if isinstance(body, Offer)}


def _append_mine(command: Returned, channel: Channel, run: Run, extended: Extended, batch: Batch) -> Channel:
    _store(batch, batch.books.logs[batch.books.me, command.peer], run, extended, channel.size, None)
    channel = replace(channel, out_frontier=extended.frontier)
    return channels.raise_final(channel, extended.frontier.size)


def _append_seen(command: Returned, channel: Channel, run: Run, extended: Extended, batch: Batch) -> Channel:
    into = batch.books.logs[command.peer, batch.books.me]
    _store(batch, into, run, extended, channel.held, command.seen_signed)
    verdict = Append(skip=0, frontier=extended.frontier, nodes=extended.nodes)
    channel = channels.append(channel, verdict, run.head, run.frames, batch.now_ms)
    assert isinstance(channel.receipt, Receipt)
    receive.keep_receipt(channel.receipt, into, batch)
    return channel


def _store(batch: Batch, number: int, run: Run, extended: Extended, first: int, signed: bytes | None) -> None:
    logs.append(
        batch.conn,
        number,
        first=first,
        epoch=run.frames[-1].epoch if signed is None else run.head.epoch.number,
        frames=list(run.raw),
        bodies=list(run.bodies),
        frontier=extended.frontier,
        nodes=extended.nodes,
        head=signed,
        at_ms=batch.now_ms,
    )


class _Hearing:
    """Applies inbound frames that come back: answers are booked, requests wait for the answer that comes back."""

    def __init__(self, command: Returned, first: int, office: Office, batch: Batch) -> None:
        self._command, self._first, self._office, self._batch = command, first, office, batch
        self._recording = receive.Recording(command.peer, first, office, batch, recovered=True)
        self.requests: dict[int, Frame] = {}  # by number: what waits for its answer

    def hear(self, at: int) -> None:
        assert self._command.seen is not None
        frame, body = self._command.seen.frames[at], self._command.seen.bodies[at]
        number = self._first + at
        if frame.reply:
            decision = receive.hear_reply(
                self._command.peer, frame, body, number, self._recording, self._office, self._batch
            )
        else:
            decision = self._keep(frame, body, self._command.parsed[at], number)
        self._recording.add(decision)

    def _keep(self, frame: Frame, body: bytes, parsed: receive.Body, number: int) -> journal.Decision:
        peer, batch = self._command.peer, self._batch
        if frame.kind != Kind.CUT_OFF:
            self.requests[number] = frame
        if frame.kind in topics.TOPICS and not isinstance(parsed, PeerFault):
            heard = topics.Heard(peer, frame, body, parsed, number)
            if topics.find(batch, frame.id, peer, mine=False) is None:
                topics.keep(heard, batch)
        if not isinstance(parsed, Offer) or (frame.id, peer) in batch.transfers:
            return journal.Decision(number, 0, 0)
        try:
            check_offer(frame, parsed)
        except PeerFault:
            return journal.Decision(number, 0, 0)
        transfer = offer.offered(peer, frame, parsed, number, self._office, batch)
        transfer.state = step(transfer.state, Event.REVIEW)
        category = batch.books.categories.get(frame.becomes)
        known = batch.addresses.get(parsed.address)
        if known is not None and category is not None and not parsed.cites:
            transfer.balance = batch.balance_of(batch.accounts_by_no[known[1]], category)
        return journal.Decision(number, transfer.no, int(transfer.state), 0, 0, transfer.balance or 0)

    def record(self) -> None:
        """Write what was heard since the last time into the journal."""
        self._recording.write()


def _keep_undecided(
    peer: int, requests: dict[int, Frame], answered: list[tuple[bytes, int | None]], batch: Batch
) -> None:
    """Remember the requests whose answer has not come back; forget those whose answer has."""
    u, of_peer = schema.undecided, f"peer = {peer:d}"
    numbers: dict[bytes, list[int]] = {}
    for no, frame in requests.items():
        numbers.setdefault(frame.id, []).append(no)
    done: list[int] = []  # numbers that came in an earlier page
    earlier: list[bytes] = []  # ids of which one such number is to be found
    for message_id, number in answered:
        mine = [no for no in numbers.get(message_id, ()) if no in requests and number in (None, no)]
        if mine:
            del requests[mine[0]]
        elif number is not None:
            done.append(number)
        else:
            earlier.append(message_id)
    if earlier:
        stored, known = dict[bytes, list[int]](), set(done)
        for no, message_id in sorted(bulk.select_in(batch.conn, u, ("number", "id"), "id", earlier, where=of_peer)):
            if no not in known:
                stored.setdefault(message_id, []).append(no)
        for message_id in earlier:
            done += stored.get(message_id, [])[:1]
            del stored.get(message_id, [])[:1]
    bulk.delete_in(batch.conn, u, "number", done, where=of_peer)
    bulk.insert(batch.conn, u, [(peer, no, frame.id, frame.kind) for no, frame in requests.items()])


def end(peer: int, office: Office, batch: Batch) -> None:
    """All the peer held is here again: decide what has got no answer, now that answers can be numbered."""
    history.mark_merged(batch, peer)
    u = schema.undecided
    waiting = batch.conn.execute(select(u).where(u.c.peer == peer).order_by(u.c.number)).all()
    if not waiting:
        return
    batch.conn.execute(delete(u).where(u.c.peer == peer))
    objects = standing.receiving(office.roster, peer, office.me, batch.today)
    into = logs.Reader(batch.conn, batch.books.logs[peer, office.me])
    for row in waiting:
        frame = codec.decode_frame(into.frame(row.number))
        body = into.body(row.number)
        parsed = receive.parse_body(frame, body)
        more = Wishes(transfers={frame.id})
        if isinstance(parsed, Offer):
            more.aliases.add(parsed.address)
            more.transfers |= {parsed.cites, parsed.request}
        elif isinstance(parsed, bytes):
            more.transfers |= {parsed, reversal.return_id(frame.id, office)}
        batch.load(more)
        _decide(peer, frame, body, parsed, row.number, objects, office, batch)


def _decide(
    peer: int, frame: Frame, body: bytes, parsed: receive.Body, number: int, objects: standing.Judge, office: Office,
    batch: Batch,
) -> None:  # fmt: skip
    transfer = batch.transfers.get((frame.id, peer))
    decision = None
    if transfer is None:
        answer = receive.decide_request(peer, frame, body, parsed, number, objects, office, batch)
        kind = answer.said if answer.said > 0 else Kind.REFUSE
        if answer.reason or answer.said > 0:
            batch.record(
                journal.Answered(at=batch.now_ms, peer=peer, id=frame.id.hex(), reason=answer.reason, kind=int(kind))
            )
    elif transfer.state != State.IN_REVIEW:
        pass  # an id has one answer, and it has it
    elif frame.kind == Kind.CANCEL:
        decision = offer.hear_cancel(peer, frame, number, office, batch)
    elif isinstance(parsed, Offer) and transfer.offered == number:
        objection = objects(frame.kind, frame.reply, parsed)
        if objection is not None:
            decision = offer.refuse(transfer, objection.reason, number, office, batch)
        else:
            transfer.state = State.OFFERED
            decision = offer.decide(transfer, frame, parsed, number, office, batch)
        batch.changed(transfer)
    if decision is not None and decision.state != State.IN_REVIEW:
        batch.record(journal.Reviewed(at=batch.now_ms, peer=peer, by=redo.BY, decision=decision))
