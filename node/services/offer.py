"""Transfers at their destination: an offer is accepted, refused, or put before a clerk."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gateway.protocol import codec
from gateway.protocol.agreement.in_force import InForce, arriving_expiry
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.standing import Matter, objection
from gateway.protocol.transfer import (
    NEVER,
    Event,
    State,
    Terms,
    check_evidence,
    check_offer,
    check_terms,
    evidence_of,
    step,
)
from gateway.protocol.values import Frame, Offer, Purpose, Reason
from node.ledger import journal
from node.ledger.accounts import AccountState, clearing
from node.ledger.lots import UNSEALED, Lot, pack_further
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.services import identity, reply, reversal
from node.services.agreement import judging
from node.services.command import handles
from node.services.dispute.frozen import check_free
from node.services.office import Office
from node.services.recovery import history
from node.services.transfer import EventKind, Placed, placed
from node.store import logs
from node.store.batch import Account, Batch, Wishes

_pack = msgspec.msgpack.Encoder().encode


def hear_offer(peer: int, frame: Frame, offer: Offer, number: int, office: Office, batch: Batch) -> journal.Decision:
    """Decide an offer. What is wrong with it is refused with the reason of the lowest number."""
    known = batch.transfers.get((frame.id, peer))
    if known is not None:
        return _conflict(known, frame, number, office, batch)
    try:
        check_offer(frame, offer)
    except Malformed:
        reply.answer(peer, frame.id, Reason.MALFORMED_BODY, b"", office, batch, None)
        return journal.Decision(number, 0, 0, int(Reason.MALFORMED_BODY))
    transfer = offered(peer, frame, offer, number, office, batch)
    return decide(transfer, frame, offer, number, office, batch)


def offered(peer: int, frame: Frame, offer: Offer, number: int, office: Office, batch: Batch) -> Transfer:
    """The transfer an offer is kept as, undecided."""
    transfer = Transfer(
        batch.books.next("transfer"), frame.id, peer, office.me, State.OFFERED, 0, frame.commitment, None, None,
        frame.category, frame.amount, frame.becomes, frame.arriving, offer.rate_p, offer.rate_q, offer.purpose,
        offer.cites or None, None, number, None, offer.address, batch.now_ms, None,
    )  # fmt: skip
    batch.new_transfer(transfer)
    return transfer


def decide(
    transfer: Transfer, frame: Frame, offer: Offer, number: int, office: Office, batch: Batch
) -> journal.Decision:
    """Accept an offer, refuse it, or put it before a clerk."""
    try:
        if offer.purpose == Purpose.REVERSAL:
            return reversal.hear_return(transfer, offer, number, office, batch)
        terms, account, review = _check(frame, offer, transfer.source, office, batch)
    except Refused as refusal:
        return refuse(transfer, refusal.reason, number, office, batch)
    if review:
        transfer.state = step(transfer.state, Event.REVIEW)
        transfer.balance = batch.balance_of(account, batch.books.categories[frame.becomes])
        batch.event(EventKind.ARRIVED, transfer)
        return journal.Decision(number, transfer.no, int(transfer.state), 0, 0, transfer.balance)
    return accept(transfer, offer, account, terms, number, office, batch)


def _conflict(known: Transfer, frame: Frame, number: int, office: Office, batch: Batch) -> journal.Decision:
    """An id offered twice. What was decided stays; what was not is refused, so that one answer closes both."""
    differs = (known.amount, known.arriving) != (frame.amount, frame.arriving)
    reason = Reason.CONFLICT_DIFFERENT_AMOUNT if differs else Reason.CONFLICT_DIFFERENT_CONTENT
    if known.state == State.IN_REVIEW:
        return refuse(known, reason, number, office, batch)
    reply.answer(known.source, frame.id, reason, b"", office, batch, None)
    return journal.Decision(number, 0, 0, int(reason))


def _check(frame: Frame, offer: Offer, peer: int, office: Office, batch: Batch) -> tuple[Terms, Account, bool]:
    """Under which terms, for whom, and whether a clerk has to look at it. Raises Refused."""
    found = office.agreements.by(peer, batch.today)
    if found is not None:
        return _check_agreed(found, frame, offer, peer, office, batch)
    terms = office.terms_for(peer, office.me, frame.category, day=batch.today)
    check_terms(frame, offer, terms)
    assert terms is not None
    if frame.becomes not in batch.books.categories:
        raise Refused(Reason.CATEGORY_NOT_MAPPED)
    check_room(frame.becomes, frame.arriving, batch)
    account = receiver(peer, offer, batch)
    if account.state == AccountState.FROZEN:
        raise Refused(Reason.ACCOUNT_FROZEN)
    check_evidence(offer, terms)
    return terms, account, bool(terms.review_from and frame.arriving >= terms.review_from)


def _check_agreed(
    found: InForce, frame: Frame, offer: Offer, peer: int, office: Office, batch: Batch
) -> tuple[Terms, Account, bool]:
    """As the agreement has it, together with what the books have against it: the lowest reason is given."""
    account = refusal = same = None
    try:
        if frame.becomes not in batch.books.categories:
            raise Refused(Reason.CATEGORY_NOT_MAPPED)
        check_room(frame.becomes, frame.arriving, batch)
        account = receiver(peer, offer, batch)
        if account.state == AccountState.FROZEN:
            raise Refused(Reason.ACCOUNT_FROZEN)
        same = identity.is_same(account.no, frame.id, offer.identity, peer, office, batch)
    except Refused as found_here:
        refusal = found_here
    verdict = judging.arriving(found, frame, offer, peer, office, batch, same, refusal)
    assert account is not None
    return verdict.terms, account, verdict.review


def check_room(becomes: str, arriving: int, batch: Batch) -> None:
    """Raises Refused(AMOUNT_OUT_OF_RANGE) where the books could not count what arrives."""
    if not batch.books.has_room(batch.books.categories[becomes], arriving):
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE)


def receiver(peer: int, offer: Offer, batch: Batch) -> Account:
    """Whose address it is. Unknown, expired, closed and not for this sender are refused alike."""
    found = batch.addresses.get(offer.address)
    if found is not None:
        _alias, account_no, sender, purpose, expires_ms = found
        account = batch.accounts_by_no[account_no]
        usable = sender in (0, peer) and purpose in (0, offer.purpose) and batch.now_ms < expires_ms
        if usable and account.state != AccountState.CLOSED:
            return account
    raise Refused(Reason.ADDRESS_UNKNOWN)


def accept(
    transfer: Transfer, offer: Offer, account: Account, terms: Terms, number: int, office: Office, batch: Batch
) -> journal.Decision:
    """Credit the points provisionally and say so. They are spendable once the source holds that."""
    redo = _pack(account.name)
    answered = reply.answer(transfer.source, transfer.id, None, redo, office, batch, transfer)
    return credit(transfer, offer, account, terms, number, answered, batch)


def credit(
    transfer: Transfer, offer: Offer, account: Account, terms: Terms | None, number: int, answered: int | None,
    batch: Batch,
) -> journal.Decision:  # fmt: skip
    """Credit what frame `number` offered, one lot per slice. `answered`: number of the answer, where it has one."""
    category = batch.books.categories[transfer.becomes]
    balance = transfer.balance = batch.balance_of(account, category)
    faces = batch.system_balance(clearing(transfer.source), category)
    batch.books.take_in(category, transfer.arriving)
    transfer.state = step(transfer.state, Event.ACCEPT)
    transfer.decided_ms = batch.now_ms
    posting = transfer.hold = batch.post(
        Phase.PROVISIONAL, faces, balance, transfer.arriving, transfer=transfer.no, resident=balance
    )
    transfer.answered = answered
    clears = UNSEALED if answered is None else answered
    lots, expires = [], []
    for s in offer.slices:
        no = batch.books.next("lot")
        units = s.blocks * offer.rate_p
        first = s.provenance[0]
        lot = Lot(
            no, balance, units, first.granted, expiry_of(s.expires, terms, batch.today), first.issuer,
            evidence_of(s.provenance), first.because, pack_further(s.provenance), transfer.no, transfer.source, clears,
        )  # fmt: skip
        batch.grant(lot)
        lots.append((no, units))
        expires.append(lot.expires)
    batch.event(EventKind.ACCEPTED, transfer)
    judging.count_credited(transfer, batch)
    return journal.Decision(
        number, transfer.no, int(transfer.state), 0, posting, balance, transfer.arriving, lots, expires
    )


def expiry_of(expires: int, terms: Terms | None, day: int) -> int:
    """When points expire that arrive today; where the terms are no longer there, as at their source."""
    return arriving_expiry(terms, expires, day) if terms is not None else expires or NEVER


def refuse(transfer: Transfer, reason: Reason, number: int, office: Office, batch: Batch) -> journal.Decision:
    """Refuse an offer that is kept as a transfer."""
    transfer.state = step(transfer.state, Event.REFUSE)
    transfer.reason = int(reason)
    transfer.decided_ms = batch.now_ms
    transfer.answered = reply.answer(transfer.source, transfer.id, reason, b"", office, batch, transfer)
    batch.changed(transfer)
    batch.event(EventKind.REFUSED, transfer)
    return journal.Decision(number, transfer.no, int(transfer.state), int(reason))


def hear_cancel(peer: int, frame: Frame, number: int, office: Office, batch: Batch) -> journal.Decision:
    """A cancel wins only if it comes before the decision; otherwise the answer is in the log already."""
    transfer = batch.transfers.get((frame.id, peer))
    if transfer is not None and transfer.state == State.IN_REVIEW:
        return refuse(transfer, Reason.CANCELLED, number, office, batch)
    return journal.Decision(number, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """A clerk's decision about an incoming transfer."""

    source: int
    id: bytes
    accept: bool
    by: str


def _review_wishes(command: Review, office: Office, wishes: Wishes) -> None:
    wishes.transfers.add(command.id)


@handles(Review, _review_wishes)
def review(command: Review, office: Office, batch: Batch) -> Placed:
    """Decide what waits. Deciding again alike is answered alike. Raises Refused: TRANSFER_UNKNOWN or WRONG_STATE.

    An account frozen or closed since the offer came refuses it whatever the clerk says, and so does a region that has
    withdrawn since.
    """
    transfer = batch.transfers.get((command.id, command.source))
    if transfer is None or transfer.destination != office.me:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no incoming transfer has this id")
    wanted = State.ACCEPTED if command.accept else State.REFUSED
    if transfer.state == wanted:
        return placed(transfer)
    if transfer.state != State.IN_REVIEW:
        raise Refused(Reason.WRONG_STATE, f"the transfer is {State(transfer.state).name.lower()} already")
    history.check_known(batch, command.source)
    check_free(transfer, office, batch)
    number = transfer.offered or 0
    decision = _decide(command, transfer, number, office, batch)
    batch.changed(transfer)
    batch.record(journal.Reviewed(at=batch.now_ms, peer=command.source, by=command.by, decision=decision))
    return placed(transfer)


def _decide(command: Review, transfer: Transfer, number: int, office: Office, batch: Batch) -> journal.Decision:
    if not command.accept:
        return refuse(transfer, Reason.REVIEW_REFUSED, number, office, batch)
    offer = codec.decode_offer(logs.body_at(batch.conn, batch.books.logs[transfer.source, office.me], number))
    batch.load(Wishes(aliases={offer.address}))
    way = (transfer.source, office.me, transfer.category)
    terms = office.terms_for(*way, version=offer.terms_version) or office.terms_for(*way)
    try:
        if objection(office.roster, office.me, transfer.source, Matter.ANSWER, batch.today):
            raise Refused(Reason.REGION_NOT_ACTIVE)  # nobody would ever hear of the acceptance
        account = receiver(transfer.source, offer, batch)
        if account.state == AccountState.FROZEN:
            raise Refused(Reason.ACCOUNT_FROZEN)
        if terms is None:
            raise Refused(Reason.CATEGORY_NOT_MAPPED)
        check_room(transfer.becomes, transfer.arriving, batch)
    except Refused as refusal:
        return refuse(transfer, refusal.reason, number, office, batch)
    return accept(transfer, offer, account, terms, number, office, batch)
