"""Sealing: messages get their numbers, in the order in which they were decided.

Only for channels whose peer has fenced this incarnation. The batch that decides a message numbers it, one commit
instead of two, unless older ones still wait in the outbox: then they all go through it, first come first sealed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from sqlalchemy import delete, func, select

from gateway.protocol import channel as channels
from gateway.protocol import codec, limits, merkle
from gateway.protocol.channel import Channel
from gateway.protocol.handshake import unsealed
from gateway.protocol.transfer import State
from gateway.protocol.values import Draft, Frame, Kind, Purpose
from node.ledger.lots import UNSEALED
from node.ledger.transfers import Transfer
from node.store import bulk, logs, schema
from node.store.batch import Batch, Waiting, Wishes
from node.store.books import Uncleared

_FRAME_BYTES = 160
"""What a frame takes without its categories, at most."""

DRAIN_ROWS = 4 * limits.FRAMES_PER_ENVELOPE
"""Rows taken from one outbox per batch: a backlog drains without blocking everybody else."""


def seal(batch: Batch) -> None:
    """Number what this batch has decided, and what older batches could not number."""
    for peer in {*batch.waiting, *(p for p, rows in batch.books.outboxes.items() if rows)}:
        channel = batch.channel(peer)
        waiting = batch.waiting.get(peer, [])
        backlog = batch.books.outboxes.get(peer, 0)
        if backlog or not channel.sealing:
            _put_in_outbox(batch, peer, waiting)
            waiting = []
        if channel.sealing:
            if backlog:
                waiting = _take_from_outbox(batch, peer)
            _number(batch, channel, waiting)


def number_all(batch: Batch, peer: int) -> None:
    """Number whatever waits for a peer that nobody will say anything to again: the log is complete, and ends."""
    while batch.books.outboxes.get(peer):
        waiting = _take_from_outbox(batch, peer)
        _number(batch, batch.channel(peer), waiting)


def _number(batch: Batch, channel: Channel, waiting: Sequence[Waiting]) -> None:
    for chunk in _chunks(waiting):
        first_root = channel.out_frontier.root()
        channel, sealed = channels.seal(channel, [w.draft for w in chunk])
        batch.sealed.append((channel.peer, first_root, _append(batch, channel.peer, sealed)))
        uncleared = batch.books.uncleared.setdefault(channel.peer, deque())
        for number, w in enumerate(chunk, sealed.first):
            draft, transfer = w.draft, w.transfer
            if transfer is None:
                continue
            if w.number != number:
                _tell_number(batch, draft, transfer, number)
            if draft.kind == Kind.ACCEPT:
                held = transfer.hold or 0
                returning = batch.lot_entries([held])[held] if transfer.purpose == Purpose.REVERSAL else []
                uncleared.append(Uncleared(number, transfer.balance or 0, transfer.arriving, returning))
    batch.set_channel(channel)


def _chunks(waiting: Sequence[Waiting]) -> Iterator[Sequence[Waiting]]:
    """Runs that fit one envelope each."""
    start = size = 0
    for i, w in enumerate(waiting):
        cost = len(w.draft.body) + _FRAME_BYTES + len(w.draft.category.encode()) + len(w.draft.becomes.encode())
        if i - start == limits.FRAMES_PER_ENVELOPE or size + cost > limits.ENVELOPE_BYTES:
            yield waiting[start:i]
            start, size = i, 0
        size += cost
    if start < len(waiting):
        yield waiting[start:]


def _tell_number(batch: Batch, draft: Draft, transfer: Transfer, number: int) -> None:
    if draft.kind == Kind.OFFER:
        transfer.offered = number
    elif draft.reply:
        transfer.answered = number
    else:
        return
    batch.changed(transfer)
    if draft.kind == Kind.ACCEPT and transfer.state == State.ACCEPTED:
        tell_lots(batch, transfer, number)


def _put_in_outbox(batch: Batch, peer: int, waiting: Sequence[Waiting]) -> None:
    rows = [
        (
            batch.books.next("outbox"), peer, int(d.kind), d.reply, d.id, d.body, d.category, d.amount, d.becomes,
            d.arriving, t.no if t is not None else None,
        )
        for d, t in ((w.draft, w.transfer) for w in waiting)
    ]  # fmt: skip
    bulk.insert(batch.conn, schema.outbox, rows)
    batch.books.outboxes[peer] = batch.books.outboxes.get(peer, 0) + len(rows)


def _take_from_outbox(batch: Batch, peer: int) -> list[Waiting]:
    o = schema.outbox
    rows = batch.conn.execute(select(o).where(o.c.peer == peer).order_by(o.c.no).limit(DRAIN_ROWS)).all()
    if rows:
        batch.conn.execute(delete(o).where(o.c.peer == peer, o.c.no <= rows[-1].no))
    batch.books.outboxes[peer] -= len(rows)
    transfers = batch.transfers_by_no([r.transfer for r in rows if r.transfer is not None])
    return [
        Waiting(
            Draft(r.kind, bool(r.reply), r.id, r.body, r.category, r.amount, r.becomes, r.arriving),
            transfers.get(r.transfer),
        )
        for r in rows
    ]


def seal_again(batch: Batch, channel: Channel, keep: int) -> None:
    """Take back my frames from number `keep` on, which the peer never held, and number them anew, in the same order.

    Only their epoch and `seen` change, so transfers keep their numbers. One segment at a time: memory stays bounded. A
    segment that `keep` divides keeps its beginning as it was.
    """
    log = batch.books.logs[batch.books.me, channel.peer]
    frontier = merkle.frontier_at(batch.nodes(batch.books.me, channel.peer), keep)
    spans = logs.outline(batch.conn, log, keep)
    end = channel.size
    channel = unsealed(channel, frontier)
    logs.cut(batch.conn, log, keep)
    for span in spans:
        segment = next(logs.segments(batch.conn, log, span.first, 1))
        frames, bodies = codec.unpack_frames(segment.frames), codec.unpack_bodies(segment.bodies or b"")
        kept = max(keep - span.first, 0)
        if kept:
            logs.shorten(batch.conn, log, span.first, frames[:kept], bodies[:kept], frontier.root())
        else:
            logs.remove(batch.conn, log, span.first)
        drafts = []
        for raw, body in zip(frames[kept:], bodies[kept:], strict=True):
            f = codec.decode_frame(raw)
            drafts.append(Draft(f.kind, f.reply, f.id, body, f.category, f.amount, f.becomes, f.arriving))
        channel, sealed = channels.seal(channel, drafts)
        if sealed.first != span.first + kept:
            raise AssertionError(f"frames {span.first + kept} on were taken back, {sealed.first} on were sealed again")
        _append(batch, channel.peer, sealed)
    if channel.size != end:
        raise AssertionError(f"{end - keep} frames were taken back, {channel.size - keep} were sealed again")
    batch.set_channel(channel)


def take_back(batch: Batch, channel: Channel, keep: int) -> Channel:
    """Put my frames from number `keep` on back into the outbox, before what waits there: the peer may hold others.

    They keep their ids and get new numbers later, unless the peer gives the very same messages back.
    """
    peer, me = channel.peer, batch.books.me
    log = batch.books.logs[me, peer]
    frontier = merkle.frontier_at(batch.nodes(me, peer), keep)
    count = channel.size - keep
    o = schema.outbox
    no = min(batch.conn.scalar(select(func.min(o.c.no))) or 1, 1) - count  # before what waits, for whomever it waits
    spans = logs.outline(batch.conn, log, keep)
    logs.cut(batch.conn, log, keep)
    for span in spans:  # one segment at a time: memory stays bounded
        segment = next(logs.segments(batch.conn, log, span.first, 1))
        frames, bodies = codec.unpack_frames(segment.frames), codec.unpack_bodies(segment.bodies or b"")
        kept = max(keep - span.first, 0)
        if kept:
            logs.shorten(batch.conn, log, span.first, frames[:kept], bodies[:kept], frontier.root())
        else:
            logs.remove(batch.conn, log, span.first)
        taken = list(map(codec.decode_frame, frames[kept:]))
        bulk.insert(batch.conn, o, _outbox_rows(batch, peer, no, taken, bodies[kept:]))
        no += len(taken)
    logs.set_end(batch.conn, log, frontier)
    batch.books.outboxes[peer] = batch.books.outboxes.get(peer, 0) + count
    uncleared = batch.books.uncleared.get(peer, deque())
    while uncleared and uncleared[-1].number >= keep:
        uncleared.pop()
    channel = unsealed(channel, frontier)
    batch.set_channel(channel)
    return channel


def _outbox_rows(
    batch: Batch, peer: int, first: int, frames: Sequence[Frame], bodies: Sequence[bytes]
) -> list[bulk.Row]:
    """Frames that lose their numbers, as rows of the outbox from number `first` on."""
    batch.load(Wishes(transfers={frame.id for frame in frames}))
    rows: list[bulk.Row] = []
    for no, (f, body) in enumerate(zip(frames, bodies, strict=True), first):
        transfer = batch.transfers.get((f.id, peer if f.reply else batch.books.me))
        if transfer is not None:
            _forget_number(batch, f, transfer)
        rows.append((
            no, peer, f.kind, f.reply, f.id, body, f.category, f.amount, f.becomes, f.arriving,
            transfer.no if transfer is not None else None,
        ))  # fmt: skip
    return rows


def _forget_number(batch: Batch, frame: Frame, transfer: Transfer) -> None:
    if frame.kind == Kind.OFFER:
        transfer.offered = None
    elif frame.reply:
        transfer.answered = None
        if frame.kind == Kind.ACCEPT:
            tell_lots(batch, transfer, UNSEALED)
    batch.changed(transfer)


def tell_lots(batch: Batch, transfer: Transfer, number: int) -> None:
    """The answer that credited an incoming transfer has this number now."""
    balance = transfer.balance or 0
    batch.load_lots([balance])
    for lot in batch.lots_of(balance).values():
        if lot.transfer == transfer.no and lot.clears is not None:
            batch.seal_lot(lot, number)


def _append(batch: Batch, peer: int, sealed: channels.Sealed) -> logs.Segment:
    return logs.append(
        batch.conn,
        batch.books.logs[batch.books.me, peer],
        first=sealed.first,
        epoch=sealed.epoch,
        frames=sealed.frames,
        bodies=sealed.bodies,
        frontier=sealed.frontier,
        nodes=sealed.nodes,
        head=None,
        at_ms=batch.now_ms,
    )
