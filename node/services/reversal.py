"""Reversal 冲正: the source of an accepted transfer asks for it back; the destination sends it while it is unspent.

What comes back is a new, opposite transfer that cites the original, block for block at the pinned rate, and goes into
the very lots it once left. Nobody's account ever goes below zero: what is spent is refused ALREADY_SPENT.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import msgspec
from sqlalchemy import select

from gateway.protocol import codec
from gateway.protocol.errors import Refused
from gateway.protocol.standing import Matter
from gateway.protocol.transfer import NEVER, Event, State, step
from gateway.protocol.values import Draft, Frame, Kind, Offer, Purpose, Reason, Slice
from node.errors import Recovering
from node.ledger import journal
from node.ledger.accounts import AccountState, clearing
from node.ledger.lots import Lot, is_clear, provenance_of
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.services import reply
from node.services.agreement import judging
from node.services.command import handles, once, wish_once
from node.services.dispute.frozen import check_free
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.services.transfer import EventKind, check_status, hold
from node.store import bulk, clawbacks, schema
from node.store.batch import Batch, Wishes

_DAY_MS = 86_400_000
_REVERSAL_DAYS = 30  # where the terms of the transfer are no longer there
_pack = msgspec.msgpack.Encoder().encode


class ReversalState(IntEnum):
    """Where a request to reverse stands, at the region that asked."""

    ASKED = 1
    GRANTED = 2
    REFUSED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class AskReversal:
    """Ask for an accepted outgoing transfer back."""

    client: str
    key: str
    transfer: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class ReversalAsked:
    """The request was sent; its answer comes as an event."""

    id: str
    transfer: str


def _wishes(command: AskReversal, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))
    wishes.transfers.add(command.transfer)


@handles(AskReversal, _wishes)
def ask_reversal(command: AskReversal, office: Office, batch: Batch) -> ReversalAsked:
    """Raises Refused: TRANSFER_UNKNOWN, WRONG_STATE, or TOO_LATE after the agreed window."""
    request = office.public_id(command.client, command.key)
    digest = digest_of("reversal", command.transfer.hex())
    once(batch, request, "reversal", digest, lambda: _ask(command, request, digest, office, batch))
    return ReversalAsked(id=request.hex(), transfer=command.transfer.hex())


def _ask(command: AskReversal, request: bytes, digest: bytes, office: Office, batch: Batch) -> str:
    original = batch.transfers.get((command.transfer, office.me))
    history.check_known(batch, original.destination if original is not None else None)
    if original is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no outgoing transfer has this id")
    if original.state != State.POSTED or original.purpose == Purpose.REVERSAL:
        raise Refused(Reason.WRONG_STATE, "only an accepted transfer that is no reversal itself can be reversed")
    if clawbacks.of_transfer(batch.conn, original.id, original.destination, mine=True):
        raise Refused(Reason.WRONG_STATE, "the transfer was clawed back, or is claimed: it is not reversed besides")
    check_status(office, original.destination, Matter.REVERSE_REQUEST)
    check_free(original, office, batch)
    _check_window(original, office, batch)
    row = (request, original.no, original.destination, True, digest, int(ReversalState.ASKED), 0, batch.now_ms)
    batch.insert(schema.reversal, row)
    salt = office.salt()
    redo = office.seal_redo(salt, command.key.encode(), request)
    body = salt + codec.encode_reverse_request(original.id, redo)
    batch.say(original.destination, Draft(Kind.REVERSE_REQUEST, False, request, body), original)
    batch.record(
        journal.Asked(
            at=batch.now_ms, what="reversal", peer=original.destination, id=request.hex(), transfer=original.no
        )
    )
    return ""


def _check_window(original: Transfer, office: Office, batch: Batch) -> None:
    """Both sides hold to the agreed days, each from when it booked the acceptance. Raises Refused(TOO_LATE)."""
    terms = office.terms_for(original.source, original.destination, original.category)
    days = terms.reversal_days if terms is not None else _REVERSAL_DAYS
    if batch.now_ms > (original.decided_ms or 0) + days * _DAY_MS:
        raise Refused(Reason.TOO_LATE, f"a transfer can be reversed for {days} days")


def check_past(original: Transfer, office: Office, batch: Batch) -> None:
    """Whether a transfer cannot be reversed any more. Raises Refused(WRONG_STATE) where it can, or is."""
    r = schema.reversal
    asked = select(r.c.state).where(r.c.transfer == original.no, r.c.asked_by_me.is_(True))
    states = set(batch.conn.scalars(asked))
    if states & {int(ReversalState.ASKED), int(ReversalState.GRANTED)}:
        raise Refused(Reason.WRONG_STATE, "it was asked to come back: wait for the answer")
    if int(ReversalState.REFUSED) in states:
        return
    try:
        _check_window(original, office, batch)
    except Refused:
        return
    raise Refused(Reason.WRONG_STATE, "it can still be reversed: ask for that first")


def hear_request(peer: int, frame: Frame, cites: bytes, number: int, office: Office, batch: Batch) -> journal.Decision:
    """At the destination of the original: offer all of it back, or refuse."""
    original = batch.transfers.get((cites, peer))
    try:
        if original is None or original.destination != office.me:
            raise Refused(Reason.TRANSFER_UNKNOWN)
        if original.state != State.ACCEPTED:
            raise Refused(Reason.WRONG_STATE)
        if clawbacks.of_transfer(batch.conn, original.id, peer, mine=False):
            raise Refused(Reason.WRONG_STATE)
        _check_window(original, office, batch)
        check_free(original, office, batch)
        _check_whole(original.arriving, office, batch)
        lots = unspent(original, batch)
        _send_back(original, lots, frame.id, office, batch)
        history.debited(batch, original.arriving)
    except Refused as refusal:
        reply.answer(peer, frame.id, refusal.reason, b"", office, batch, None)
        return journal.Decision(number, 0, 0, int(refusal.reason))
    batch.event(EventKind.REVERSAL_ASKED, original)
    return journal.Decision(number, 0, 0)


def _check_whole(units: int, office: Office, batch: Batch) -> None:
    """A peer is answered at once, and may ask again under a new id. Raises Refused(REGION_RECOVERING)."""
    try:
        history.check_debit(batch, office, units)
    except Recovering:
        raise Refused(Reason.REGION_RECOVERING) from None


def unspent(original: Transfer, batch: Batch) -> list[Lot]:
    """The lots an incoming transfer brought. Raises Refused(ALREADY_SPENT) unless all of it is still there."""
    balance = original.balance or 0
    batch.load_lots([balance])
    lots = [
        lot
        for lot in sorted(batch.lots_of(balance).values(), key=lambda lot: lot.no)
        if lot.transfer == original.no and lot.expires > batch.today and is_clear(lot, batch.final)
    ]
    if sum(lot.remaining for lot in lots) != original.arriving:
        raise Refused(Reason.ALREADY_SPENT)
    return lots


def return_id(request: bytes, office: Office) -> bytes:
    """The id of the transfer that grants a request to reverse."""
    return office.public_id("#reversal", request.hex())


def _send_back(original: Transfer, lots: list[Lot], request: bytes, office: Office, batch: Batch) -> Transfer:
    blocks = [lot.remaining // original.rate_p for lot in lots]
    slices = tuple(
        Slice(n, 0 if lot.expires == NEVER else lot.expires, provenance_of(lot))
        for n, lot in zip(blocks, lots, strict=True)
    )
    transfer_id = return_id(request, office)
    if (transfer_id, office.me) in batch.transfers:
        raise Refused(Reason.WRONG_STATE)
    back = Transfer(
        batch.books.next("transfer"), transfer_id, office.me, original.source, State.HELD, 0, request, None,
        original.balance, original.becomes, original.arriving, original.category, original.amount, original.rate_q,
        original.rate_p, int(Purpose.REVERSAL), original.id, None, None, None, None, batch.now_ms, None,
    )  # fmt: skip
    category = batch.books.categories[original.becomes]
    holder = batch.holder(original.balance or 0).name
    hold(back, slices, [(lot, lot.remaining) for lot in lots], category, holder, office, batch, request=request)
    return back


def hear_return(back: Transfer, offer: Offer, number: int, office: Office, batch: Batch) -> journal.Decision:
    """At the source of the original: what was asked for comes back, into the lots it left. Raises Refused otherwise."""
    r = schema.reversal
    asked = batch.conn.execute(select(r).where(r.c.id == offer.request)).first()
    original = batch.transfers.get((offer.cites, office.me))
    if asked is None or original is None or asked.transfer != original.no or original.destination != back.source:
        raise Refused(Reason.TRANSFER_UNKNOWN)
    if asked.state != ReversalState.ASKED:
        raise Refused(Reason.WRONG_STATE)
    try:
        return _take_back(back, original, offer, number, office, batch)
    except Refused as refusal:
        hear_refusal(back.source, offer.request, int(refusal.reason), batch)
        raise


def _take_back(
    back: Transfer, original: Transfer, offer: Offer, number: int, office: Office, batch: Batch
) -> journal.Decision:
    if batch.holder(original.balance or 0).state == AccountState.CLOSED:
        raise Refused(Reason.ACCOUNT_CLOSED)
    given = (back.category, back.amount, back.becomes, back.arriving)
    if given != (original.becomes, original.arriving, original.category, original.amount):
        raise Refused(Reason.TERMS_DIFFER)
    category = batch.books.categories[back.becomes]
    if not batch.books.has_room(category, back.arriving):
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE)
    answered = reply.answer(back.source, back.id, None, _pack(""), office, batch, back)
    return book_return(back, original, offer, number, answered, batch)


def book_return(
    back: Transfer, original: Transfer, offer: Offer, number: int, answered: int | None, batch: Batch
) -> journal.Decision:
    """Credit what comes back provisionally, into the lots it once left. `answered`: as :func:`offer.credit` has it."""
    category = batch.books.categories[back.becomes]
    batch.books.take_in(category, back.arriving)
    balance = back.balance = original.balance or 0
    faces = batch.system_balance(clearing(back.source), category)
    back.state = step(back.state, Event.ACCEPT)
    back.decided_ms = batch.now_ms
    back.hold = batch.post(Phase.PROVISIONAL, faces, balance, back.arriving, transfer=back.no, resident=balance)
    held = original.hold or 0
    lots = batch.lot_entries([held])[held]
    for lot, units in lots:
        batch.insert(schema.lot_entry, (back.hold, lot, units))
    back.answered = answered
    set_state(batch, offer.request, ReversalState.GRANTED, 0)
    batch.event(EventKind.ACCEPTED, back)
    judging.count_credited(back, batch)
    return journal.Decision(number, back.no, int(back.state), 0, back.hold, balance, back.arriving, lots)


def hear_refusal(peer: int, request: bytes, reason: int, batch: Batch) -> bool:
    """The request has come to nothing, be it that the destination will not send it back or that it cannot be taken.

    False if nothing of the kind was asked of this peer.
    """
    r = schema.reversal
    asked = batch.conn.execute(select(r).where(r.c.id == request, r.c.peer == peer)).first()
    if asked is None or asked.state != ReversalState.ASKED:
        return False
    set_state(batch, request, ReversalState.REFUSED, reason)
    batch.event(EventKind.REVERSAL_REFUSED, batch.transfers_by_no([asked.transfer])[asked.transfer])
    return True


def set_state(batch: Batch, request: bytes, state: ReversalState, reason: int) -> None:
    """What became of a request."""
    bulk.put(batch.conn, schema.reversal, ("id",), ("state", "reason"), [(request, int(state), reason)])
