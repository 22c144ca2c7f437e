"""Clawback 追回, hop by hop: take back what is unspent, ask where the rest moved on to, answer once, owe what is left.

A clawback is worked on until nothing of it is on its way any more: whatever is held, in review or frozen meanwhile is
looked at again when that is decided (:mod:`.orders`). Residents are debited only what is there: what they
have spent is owed between the regions, and never by them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gateway.protocol import clawback
from gateway.protocol.bodies import clawback as bodies
from gateway.protocol.clawback import ISSUER_BEARS, OPEN, Cause, Clawback, ClawedBack, Event, State, Take, step
from gateway.protocol.dispute import Matter as Disputed
from gateway.protocol.dispute import State as DisputeState
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.standing import Matter, objection
from gateway.protocol.transfer import State as TransferState
from gateway.protocol.values import Kind, Purpose, Reason, Slice
from node.ledger import accounts, journal
from node.ledger.lots import Lot, provenance_of
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.services import claim, topics
from node.services.booking import Booking
from node.services.clawback import tracing
from node.services.dispute import frozen
from node.services.office import Office
from node.services.recovery import history
from node.services.transfer import EventKind
from node.store import clawbacks as store
from node.store import disputes, logs
from node.store.batch import Batch, Wishes
from node.store.clawbacks import Stored

WHAT = "clawback"
"""The noun of the postings."""

CLAIMS = {
    Cause.ACTIVITY: claim.Cause.CLAWBACK,
    Cause.REVERSAL: claim.Cause.REVERSAL,
    Cause.DISPUTE: claim.Cause.DISPUTE,
}
"""What is owed is claimed for this."""

_pack = msgspec.msgpack.Encoder().encode


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What the region asked seals into its answer for itself: how much it debited. Whom, the transfer tells."""

    units: int


class Refusal(NamedTuple):
    """There is nothing to take back any more."""

    reason: Reason


def transfer_of(row: Stored, office: Office, batch: Batch) -> Transfer | None:
    """The transfer a request is about."""
    batch.load(Wishes(transfers={row.transfer}))
    return batch.transfers.get((row.transfer, office.me if row.mine else row.peer))


# -- at the region asked ---------------------------------------------------------------------------------------------


def hear(heard: topics.Heard, office: Office, batch: Batch) -> journal.Decision:
    """Take the request up, and answer at once where nothing has to be waited for.

    Raises Refused: TRANSFER_UNKNOWN, WRONG_STATE for what was not accepted, is a reversal or was reversed,
    AMOUNT_OUT_OF_RANGE beyond what is left of a slice, DOCUMENT_INVALID where the points come from elsewhere, DISPUTED
    for what is claimed while it is frozen.
    """
    body: Clawback = heard.parsed
    batch.load(Wishes(transfers={body.transfer}))
    original = batch.transfers.get((body.transfer, heard.peer))
    _check(body, heard.peer, original, office, batch)
    assert original is not None
    row = asked_row(heard, body, original, batch)
    store.add(batch.conn, row)
    found = pursue(row, original, office, batch)
    if isinstance(found, Refusal):
        refuse(row, int(found.reason), batch)
        raise Refused(found.reason)
    if found is None:
        return topics.later(heard)
    redo = book_answer(row, original, found, office, batch)
    return topics.answer(
        heard, Kind.CLAWED_BACK, lambda sealed: bodies.encode_clawed_back(found, sealed), office, batch, redo=redo,
        **_header(original, found),
    )  # fmt: skip


def _check(body: Clawback, peer: int, original: Transfer | None, office: Office, batch: Batch) -> None:
    if original is None or original.destination != office.me:
        raise Refused(Reason.TRANSFER_UNKNOWN)
    if original.state != TransferState.ACCEPTED or original.purpose == Purpose.REVERSAL:
        raise Refused(Reason.WRONG_STATE)
    back = tracing.return_of(original, batch)
    if back is not None and back.state == TransferState.POSTED:
        raise Refused(Reason.WRONG_STATE)
    before = store.of_transfer(batch.conn, original.id, peer, mine=False)
    slices = [
        Slice(lot.amount // original.rate_p, 0, provenance_of(lot.lot)) for lot in _brought(original, batch)
    ]  # fmt: skip
    clawback.check_shares(body, slices, clawback.summed(row.shares for row in before))
    if body.cause == Cause.REVERSAL:  # it would be answered at once, and what is frozen has to stay until that ends
        frozen.check_free(original, office, batch)


class _Brought(NamedTuple):
    lot: Lot
    amount: int  # that it had at first


def _brought(original: Transfer, batch: Batch) -> list[_Brought]:
    """What a transfer brought, in the order of its slices. It is asked for by the balance's own, short history."""
    lots = tracing.brought(tracing.view(batch, [original.balance or 0]), original)
    amounts = store.amounts(batch, [lot.no for lot in lots])
    return [_Brought(lot, amounts[lot.no]) for lot in lots]


def _is_settled(row: Stored, original: Transfer, batch: Batch) -> bool:
    """Only what a dispute about this transfer has ended with goes back for it."""
    ended = disputes.about(batch.conn, Disputed.TRANSFER, original.id, row.peer)
    settled = sum(each.settled for each in ended if each.state in (DisputeState.UPHELD, DisputeState.SETTLED))
    others = store.of_transfer(batch.conn, original.id, row.peer, mine=False)
    asked = sum(each.blocks for each in others if each.cause == Cause.DISPUTE and each.id != row.id)
    return asked + row.blocks <= settled // original.rate_q


def asked_row(heard: topics.Heard, body: Clawback, original: Transfer, batch: Batch) -> Stored:
    """A request of a peer as it is kept first."""
    return Stored(
        heard.frame.id, heard.peer, False, body.root, None, original.id, body.cause, body.issuer, body.because,
        original.becomes, store.pack(body.shares), body.blocks, 0, 0, 0, State.TRACING, 0, batch.now_ms, None,
    )  # fmt: skip


def pursue(row: Stored, original: Transfer, office: Office, batch: Batch) -> ClawedBack | Refusal | None:
    """Do what can be done now for a request of a peer. None: something has to be waited for."""
    back = tracing.return_of(original, batch)
    if back is not None:
        return Refusal(Reason.WRONG_STATE) if back.state == TransferState.POSTED else None
    if row.cause == Cause.REVERSAL:  # too late to take anything back
        return ClawedBack(0, 0, row.blocks)
    if not _may_take(original, office, batch):
        return None
    if row.cause == Cause.DISPUTE and not _is_settled(row, original, batch):
        return Refusal(Reason.DOCUMENT_INVALID)
    balance = original.balance or 0
    seen = tracing.view(batch, [balance])
    lots = tracing.brought(seen, original)
    traced = tracing.trace(seen, {lots[share.slice].no for share in row.shares}, batch)
    taken, budget = store.taken(batch.conn, row), row.blocks * original.rate_p
    there = sum(lot.remaining for lot in traced.here)
    if units := clawback.to_take(there, taken, budget, original.rate_p):
        take(row, balance, traced.here, units, batch)
        batch.event(EventKind.CLAWED_BACK, original)
        taken += units
        there -= units
    ask_further(row, seen, _within(traced.moved, budget - taken - there), office, batch)
    further = further_on(row, office, batch)
    if further.waiting or not traced.settled:
        store.change(batch.conn, row._replace(settled=traced.settled))
        return None
    return clawback.result(row.blocks, original.rate_p, taken, further.came_back)


def _may_take(original: Transfer, office: Office, batch: Batch) -> bool:
    """Not while this region does not know what it did, nor while a dispute freezes the transfer."""
    if not knows_all(batch):
        return False
    try:
        frozen.make_way(original, office, batch)
    except Refused:
        return False
    return True


def knows_all(batch: Batch) -> bool:
    """Whether nothing is missing here that a peer or the regional system has still to give back after a restore."""
    return not (batch.books.history.recovering or batch.books.history.risks)


def _within(moved: list[tracing.Moved], budget: int) -> list[tracing.Moved]:
    """Where only a part is asked for: of what moved on, no more than is not unspent. Earlier transfers first."""
    found = []
    for each in moved:
        takes = []
        for units, tainted in each.takes:
            marked = max(0, min(tainted, budget))
            budget -= marked
            takes.append(Take(units, marked))
        found.append(each._replace(takes=takes))
    return found


def book_answer(row: Stored, original: Transfer, found: ClawedBack, office: Office, batch: Batch) -> bytes:
    """What comes back goes from the book of clawbacks to the one that faces the peer. Returns the redo record."""
    book = batch.system_balance(accounts.CLAWBACK, batch.books.categories[row.category])
    faces = batch.system_balance(accounts.clearing(row.peer), batch.books.categories[row.category])
    _move(row, book, faces, found.returned * original.rate_p, batch)
    _count(row, original, found, batch)
    _owe(row, found.owed * original.rate_p, batch)
    close(row, found, batch)
    return _pack(Told(found.recovered * original.rate_p))


def _move(row: Stored, debit: int, credit: int, units: int, batch: Batch) -> None:
    if units:
        batch.books.take_in(batch.books.categories[row.category], units)  # as all that leaves one of these books counts
        booking = Booking(batch, WHAT, row.id, row.peer)
        booking.post(Phase.SINGLE, debit, credit, units)
        booking.record()


def _count(row: Stored, original: Transfer, found: ClawedBack, batch: Batch) -> None:
    """What came back is owed no more by the source, in what caps of agreements count."""
    batch.usage.touch_pair(row.peer, not row.mine, original.category).net -= found.returned * original.rate_q
    batch.usage.touch_pair(row.peer, row.mine, original.becomes).net += found.returned * original.rate_p


def _owe(row: Stored, units: int, batch: Batch) -> None:
    """The same claim on both sides. Who owes follows from the cause, and from who asked."""
    if units:
        cause = Cause(row.cause)
        mine = row.mine != (cause in ISSUER_BEARS)
        because = f"{cause.name.lower()}: {row.because}" if row.because else cause.name.lower()
        claim.keep(batch, row.peer, CLAIMS[cause], row.id, row.category, units, because, mine=mine)


def close(row: Stored, found: ClawedBack, batch: Batch) -> None:
    """It is answered."""
    changed = row._replace(
        recovered=found.recovered, further=found.further, owed=found.owed, state=step(row.state, Event.ANSWER),
        answered_ms=batch.now_ms,
    )  # fmt: skip
    store.change(batch.conn, changed)


def refuse(row: Stored, reason: int, batch: Batch) -> None:
    """It comes to nothing."""
    changed = row._replace(state=step(row.state, Event.REFUSE), reason=reason, answered_ms=batch.now_ms)
    store.change(batch.conn, changed)


def _header(original: Transfer, found: ClawedBack) -> dict[str, Any]:
    """What comes back across the pair, as the header of the answer has it."""
    if not found.returned:
        return {}
    return {
        "category": original.becomes, "amount": found.returned * original.rate_p,
        "becomes": original.category, "arriving": found.returned * original.rate_q,
    }  # fmt: skip


def answer(row: Stored, found: ClawedBack | Refusal, original: Transfer, office: Office, batch: Batch) -> None:
    """Answer a request that was left open."""
    asked = topics.find(batch, row.id, row.peer, mine=False)
    if asked is None or asked.state != topics.RequestState.OPEN:
        return
    if isinstance(found, Refusal):
        refuse(row, int(found.reason), batch)
        topics.refuse_later(asked, found.reason, office, batch)
        return
    redo = book_answer(row, original, found, office, batch)
    topics.answer_later(
        asked, Kind.CLAWED_BACK, lambda sealed: bodies.encode_clawed_back(found, sealed), office, batch, redo=redo,
        **_header(original, found),
    )  # fmt: skip


# -- taking back, and asking further on: the same wherever it began ----------------------------------------------------


def take(row: Stored, balance: int, lots: list[Lot], units: int, batch: Batch) -> None:
    """Debit a resident what is there, from these lots."""
    takes, need = [], units
    for lot in lots:
        part = min(lot.remaining, need)
        if part:
            takes.append((lot, part))
            need -= part
    book = batch.system_balance(accounts.CLAWBACK, batch.books.categories[row.category])
    booking = Booking(batch, WHAT, row.id, row.peer)
    posting = booking.post(Phase.SINGLE, balance, book, units, resident=balance, taken=takes)
    booking.record()
    store.keep_debit(batch.conn, posting, row, balance, units)
    history.debited(batch, units)


def ask_further(row: Stored, seen: tracing.View, moved: list[tracing.Moved], office: Office, batch: Batch) -> int:
    """Ask every region to which the units moved on, once for each transfer. Returns the units asked for now."""
    asked = 0
    known = {own.transfer for own in store.of_parent(batch.conn, row.key)}
    for transfer, takes in moved:
        if transfer.id in known or not any(tainted for _, tainted in takes):
            continue
        id_ = office.public_id("#clawback", f"{row.key.hex()} {transfer.id.hex()}")
        reader = logs.Reader(batch.conn, batch.books.logs[office.me, transfer.destination])
        shares = clawback.shares_of(tracing.slices_of(seen, transfer, reader), transfer.rate_q, takes)
        before = store.of_transfer(batch.conn, transfer.id, transfer.destination, mine=True)
        shares = clawback.less(shares, clawback.summed(other.shares for other in before))
        if shares:
            body = Clawback(transfer.id, row.cause, row.issuer, row.because, row.root, shares)
            ask(body, transfer, id_, row.key, office, batch)
            asked += body.blocks * transfer.rate_q
    return asked


def ask(body: Clawback, transfer: Transfer, id_: bytes, parent: bytes | None, office: Office, batch: Batch) -> None:
    """Ask the destination of a transfer; where its standing forbids that, it counts as refused."""
    peer = transfer.destination
    row = own_row(body, transfer, id_, parent, batch)
    store.add(batch.conn, row)
    found = objection(office.roster, office.me, peer, Matter.CLAWBACK, batch.today)
    if found is not None:
        refuse(row, int(found.reason), batch)
        return
    topics.ask(
        peer, Kind.CLAWBACK, id_, lambda sealed: bodies.encode_clawback(body, sealed), office, batch,
        subject=transfer.id, redo=parent or b"",
    )  # fmt: skip


def own_row(body: Clawback, transfer: Transfer, id_: bytes, parent: bytes | None, batch: Batch) -> Stored:
    """A request of this region as it is kept first."""
    return Stored(
        id_, transfer.destination, True, body.root, parent, transfer.id, body.cause, body.issuer, body.because,
        transfer.category, store.pack(body.shares), body.blocks, 0, 0, 0, State.ASKED, 0, batch.now_ms, None,
    )  # fmt: skip


class Further(NamedTuple):
    """What became of everything that was asked further on, in this region's units."""

    came_back: int
    owed: int
    waiting: bool  # an answer is missing


def further_on(row: Stored, office: Office, batch: Batch) -> Further:
    """Add up what was answered so far."""
    came_back = owed = 0
    rows = store.of_parent(batch.conn, row.key)
    for own in rows:
        transfer = transfer_of(own, office, batch)
        if own.state is State.CLAWED_BACK and transfer is not None:
            came_back += (own.recovered + own.further) * transfer.rate_q
            owed += own.owed * transfer.rate_q
    return Further(came_back, owed, any(own.state is State.ASKED for own in rows))


# -- at the region that asked -----------------------------------------------------------------------------------------


def hear_answer(asked: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> Stored | None:
    """Book what came back and what is owed. Returns the row for which it was asked, where nothing else is awaited."""
    row = store.find(batch.conn, asked.id, asked.peer, mine=True)
    if row is None or row.state is not State.ASKED:
        return None
    original = transfer_of(row, office, batch)
    found = _read_answer(heard, row, original)
    if found is None or original is None:
        refuse(row, asked.reason or int(Reason.MALFORMED_BODY), batch)
    else:
        book = batch.system_balance(accounts.CLAWBACK, batch.books.categories[row.category])
        faces = batch.system_balance(accounts.clearing(row.peer), batch.books.categories[row.category])
        _move(row, faces, book, found.returned * original.rate_q, batch)
        _count(row, original, found, batch)
        _owe(row, found.owed * original.rate_q, batch)
        close(row, found, batch)
    parent = store.by_key(batch.conn, row.parent) if row.parent is not None else None
    if parent is None or parent.state not in OPEN or store.awaits(batch.conn, parent.key):
        return None
    return parent


def _read_answer(heard: topics.Heard, row: Stored, original: Transfer | None) -> ClawedBack | None:
    """None where it was refused, or where the answer is none to what was asked."""
    if heard.frame.kind != Kind.CLAWED_BACK or original is None:
        return None
    try:
        found = bodies.decode_clawed_back(heard.body)
        clawback.check_answer(row.blocks, found)
    except PeerFault:
        return None
    header = _header(original, found)
    frame = heard.frame
    said = (frame.category, frame.amount, frame.becomes, frame.arriving)
    return found if said == tuple(header.values() or ("", 0, "", 0)) else None
