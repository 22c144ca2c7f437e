"""Transfers at their source: order, cancel, and what an answer does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import msgspec

from gateway.protocol import address, codec, limits
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.standing import Matter, objection, successors
from gateway.protocol.transfer import Event, Source, State, Terms, convert, cut_blocks, step
from gateway.protocol.values import Draft, Kind, Offer, Purpose, Reason, Slice
from node.ledger import journal
from node.ledger.accounts import clearing
from node.ledger.lots import Lot, add_days, is_return, provenance_of
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.services import consent, identity, penalty
from node.services.agreement import judging
from node.services.command import freeze, handles
from node.services.cover import Wanted, cover
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.store.batch import Batch, Wishes

GRACE_DAYS = 30
"""How long units that come back to an expired lot can still be spent. Own judgement."""

_pack = msgspec.msgpack.Encoder().encode


class EventKind(IntEnum):
    """What a regional system is told about a transfer."""

    POSTED = 1  # an outgoing one was accepted
    VOIDED = 2  # an outgoing one was refused; the points are back
    ARRIVED = 3  # an incoming one waits for a clerk
    ACCEPTED = 4  # an incoming one was credited
    REFUSED = 5  # an incoming one was refused
    REVERSAL_ASKED = 6  # the source of an accepted one wants it back
    REVERSAL_REFUSED = 7  # the destination will not send it back
    CLAWED_BACK = 8  # what is left of an incoming one was taken back, wholly or in part


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Move points of an account to a receiving address of another region."""

    client: str
    key: str
    account: str
    category: str
    amount: int  # the most that may leave; what is left over after whole blocks stays
    address: str
    purpose: int = Purpose.RELOCATION
    consent: str = ""
    replayed: bool = False  # acknowledged before a restore: while the region recovers, held whatever is there


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer as its source sees it. Amounts in the smallest unit of their categories."""

    id: str
    state: State
    reason: int
    destination: int
    category: str
    leaving: int
    becomes: str
    arriving: int


def placed(transfer: Transfer) -> Placed:
    """The answer to an order, now and whenever it is repeated."""
    return Placed(
        id=transfer.id.hex(),
        state=transfer.state,
        reason=transfer.reason,
        destination=transfer.destination,
        category=transfer.category,
        leaving=transfer.amount,
        becomes=transfer.becomes,
        arriving=transfer.arriving,
    )


def _wishes(command: Order, office: Office, wishes: Wishes) -> None:
    order_id = office.public_id(command.client, command.key)
    wishes.transfers.add(order_id)
    wishes.outcomes.add(order_id)
    wishes.payers.add(command.account)
    wishes.leaving.add(command.account)
    if office.agreements.counting:
        wishes.counted.add(command.account)
    if office.agreements.cooling:
        wishes.cooled.add(command.account)
    if office.agreements.identifying:
        wishes.identified.add(command.account)
    consent.wish(wishes, command.consent)


@handles(Order, _wishes)
def order(command: Order, office: Office, batch: Batch) -> Placed:
    """Hold the points and offer them; or refuse, for ever under this key."""
    transfer_id = office.public_id(command.client, command.key)
    digest = digest_of(
        "order",
        command.account,
        command.category,
        command.amount,
        command.address,
        int(command.purpose),
        command.consent,
    )
    before = batch.transfers.get((transfer_id, office.me))
    if before is not None:
        if before.digest != digest:
            raise _conflict(before, command)
        return placed(before)
    outcome = batch.outcomes.get(transfer_id)
    if outcome is not None:
        if outcome.digest != digest:
            raise Refused(Reason.CONFLICT_DIFFERENT_CONTENT, "this key was used before with other content")
        raise Refused(Reason(outcome.reason), outcome.answer)
    try:
        return placed(_hold(command, transfer_id, digest, office, batch))
    except Refused as refusal:
        # A delay passes, and the same order may then be given again.
        if refusal.reason is Reason.DELAYED or history.forces(batch, command.replayed):
            raise
        freeze(batch, transfer_id, "order", digest, refusal.reason, refusal.detail)
        raise


def _conflict(before: Transfer, command: Order) -> Refused:
    terms_amount = before.amount <= command.amount < before.amount + before.rate_q
    same = terms_amount and before.category == command.category
    reason = Reason.CONFLICT_DIFFERENT_CONTENT if same else Reason.CONFLICT_DIFFERENT_AMOUNT
    return Refused(reason, "this key was used before for another transfer; use a new key")


def check_destination(office: Office, destination: int, today: int) -> None:
    """Whether offers may go there on this business date. Raises Refused."""
    if destination == office.me:
        raise Refused(Reason.REGION_UNKNOWN, f"no other region {destination} in the roster")
    _require_passage(office, destination, Matter.OFFER, today)


def check_status(office: Office, peer: int, matter: Matter) -> None:
    """Whether such a request may be sent to a region that an earlier transfer went to. Raises Refused."""
    _require_passage(office, peer, matter, office.today(office.clock()))


def _require_passage(office: Office, peer: int, matter: Matter, today: int) -> None:
    found = objection(office.roster, office.me, peer, matter, today)
    if found is None:
        return
    region = office.roster.find(found.region)
    if found.reason is Reason.REGION_MOVED:
        heirs = " and ".join(map(str, successors(region, today)))
        where = "an address there" if found.region == peer else "the transfer there, as your own region"
        raise Refused(found.reason, f"region {found.region} has moved: {heirs} answers for it now; ask for {where}")
    if found.region == office.me:
        raise Refused(Reason.REGION_NOT_ACTIVE, "this region itself is not active in the roster")
    if region is None:
        raise Refused(Reason.REGION_UNKNOWN, f"no other region {peer} in the roster")
    raise Refused(found.reason, f"region {peer} is {region.status.name.lower()}")


def agreed_terms(office: Office, destination: int, category: str, purpose: int, day: int | None = None) -> Terms:
    """The terms under which a category leaves for a region on a business date (today). Raises Refused."""
    terms = office.terms_for(office.me, destination, category, day=day)
    if terms is None:
        raise Refused(Reason.CATEGORY_NOT_MAPPED, f"no terms turn {category!r} into a category of {destination}")
    # What an agreement allows is for agreement.judging to say, with everything else it has against it.
    if purpose not in terms.purposes and office.agreements.by(destination) is None:
        raise Refused(Reason.PURPOSE_NOT_ALLOWED, f"the terms with {destination} do not allow this purpose")
    return terms


def _hold(command: Order, transfer_id: bytes, digest: bytes, office: Office, batch: Batch) -> Transfer:
    forced = history.forces(batch, command.replayed)
    history.check_debit(batch, office, 0, forced=forced)
    if not 1 <= command.amount <= limits.AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "between 1 and 2^63-1 units can be transferred")
    try:
        to = address.read(command.address)
    except Malformed as error:
        raise Refused(Reason.ADDRESS_UNKNOWN, str(error)) from None
    # Asked once a batch, not by each of its orders; never of what left before: its destination refuses it, if need be.
    if not forced and batch.passages.get(to.region) is not office.roster:
        check_destination(office, to.region, batch.today)
        batch.passages[to.region] = office.roster
    terms = agreed_terms(office, to.region, command.category, command.purpose, batch.today)
    conversion = convert(command.amount, terms.rate_p, terms.rate_q)
    history.check_debit(batch, office, conversion.leaving, forced=forced)
    wanted = Wanted(command.account, command.category, command.amount, int(command.purpose), bool(command.consent))
    account, category, chosen = cover(wanted, terms, conversion.leaving, office, batch, forced=forced)
    sources = [Source(lot.no, lot.remaining, lot.expires, provenance_of(lot)) for lot in chosen]
    slices, takes = cut_blocks(sources, conversion.blocks, terms.rate_q)
    consented, shown = b"", identity.shown(account.no, transfer_id, to.region, office, batch)
    if not forced:
        if command.consent:
            kinds = ("points", "identity") if shown else ("points",)
            consented = consent.consent_for(
                batch, command.consent, account.no, to.region, command.purpose, batch.today, kinds
            )
        penalty.check_none(batch, account.no)
    transfer = Transfer(
        batch.books.next("transfer"),
        transfer_id,
        office.me,
        to.region,
        State.HELD,
        0,
        digest,
        command.key,
        account.balances[category],
        command.category,
        conversion.leaving,
        terms.becomes,
        conversion.arriving,
        terms.rate_p,
        terms.rate_q,
        int(command.purpose),
        None,
        None,
        None,
        None,
        to.alias,
        batch.now_ms,
        None,
    )
    lots = {lot.no: lot for lot in chosen}
    taken = [(lots[no], units) for no, units in takes]
    hold(
        transfer, tuple(slices), taken, category, account.name, office, batch, version=terms.version,
        consent=command.consent, consent_digest=consented,
        identity=shown,
    )  # fmt: skip
    history.debited(batch, transfer.amount)
    return transfer


class Redo(msgspec.Struct, frozen=True, array_like=True):
    """What the source seals into an offer for itself: whose points, and by which order, so that it can hold them again.

    Names and keys, no numbers: those a restored database may have given to others.
    """

    account: str
    client_key: str
    digest: bytes


def hold(
    transfer: Transfer, slices: tuple[Slice, ...], takes: list[tuple[Lot, int]], category: int, account: str,
    office: Office, batch: Batch, *, version: int = 0, consent: str = "", request: bytes = b"",
    consent_digest: bytes = b"", identity: bytes = b"",
) -> None:  # fmt: skip
    """Hold the units and offer them: posting, lots, journal and message, all in this transaction.

    Raises Refused(TOO_MANY_LOTS), with nothing changed, when the offer would be larger than a body may be.
    """
    balance = transfer.balance or 0
    lots = [(lot.no, units) for lot, units in takes]
    salt = office.salt()
    redo = office.seal_redo(salt, _pack(Redo(account, transfer.client_key or "", transfer.digest)), transfer.id)
    offer = Offer(
        transfer.address or b"", transfer.purpose, transfer.rate_p, transfer.rate_q, version, slices, consent,
        transfer.cites or b"", request, redo, consent_digest, identity,
    )  # fmt: skip
    salted = salt + codec.encode_offer(offer)
    if len(salted) > limits.BODY_BYTES or len(redo) > limits.REDO_BYTES:
        raise Refused(Reason.TOO_MANY_LOTS, "the points come from too many lots for one transfer; send less at a time")
    faces = batch.system_balance(clearing(transfer.destination), category)
    posting = batch.post(Phase.HOLD, balance, faces, transfer.amount, transfer=transfer.no, resident=balance)
    transfer.hold = posting
    for lot, units in takes:
        batch.take(posting, lot, units)
    batch.record(
        journal.Held(
            at=batch.now_ms,
            id=transfer.id.hex(),
            transfer=transfer.no,
            destination=transfer.destination,
            balance=balance,
            category=category,
            amount=transfer.amount,
            arriving=transfer.arriving,
            posting=posting,
            lots=lots,
            request=request.hex(),
        )
    )
    draft = Draft(
        Kind.OFFER,
        False,
        transfer.id,
        salted,
        transfer.category,
        transfer.amount,
        transfer.becomes,
        transfer.arriving,
    )
    transfer.offered = batch.say(transfer.destination, draft, transfer)
    batch.new_transfer(transfer)
    judging.count_held(transfer, office, batch)


def settle(transfer: Transfer, kind: int, reason: int, number: int | None, batch: Batch) -> journal.Decision:
    """The destination has answered: post the hold, or void it and give the units back to the lots they came from.

    `number` of the answer; None where it will never come and the roster, or two people, decide instead.
    """
    accepted = kind == Kind.ACCEPT
    transfer.state = step(transfer.state, Event.ACCEPT if accepted else Event.REFUSE)
    transfer.reason = 0 if accepted else reason
    transfer.answered = number
    transfer.decided_ms = batch.now_ms
    balance, held = transfer.balance or 0, transfer.hold or 0
    category = batch.books.categories[transfer.category]
    faces = batch.system_balance(clearing(transfer.destination), category)
    phase = Phase.POST if accepted else Phase.VOID
    posting = batch.post(phase, balance, faces, transfer.amount, transfer=transfer.no)
    returned, expires = ([], []) if accepted else _give_back(transfer, held, posting, batch)
    batch.changed(transfer)
    judging.count_settled(transfer, accepted, batch)
    batch.event(EventKind.POSTED if accepted else EventKind.VOIDED, transfer)
    return journal.Decision(
        number or 0, transfer.no, int(transfer.state), transfer.reason, posting, balance, transfer.amount, returned,
        expires,
    )  # fmt: skip


def _give_back(transfer: Transfer, held: int, posting: int, batch: Batch) -> tuple[list[tuple[int, int]], list[int]]:
    """Return what a hold took to its lots. Returns (lot, units) by the number of the lot it was taken from, and when
    they expire, 0 for a lot that was there before.

    What is held does not expire: where the lot has expired meanwhile, the units come back as a lot of their own that
    lives for the days of grace, once; a lot that is such a return already is not prolonged again.
    """
    entries = dict(batch.lot_entries([held])[held])
    returned: list[tuple[int, int]] = []
    expires: list[int] = []
    for lot in sorted(batch.load_lots_by_no(transfer.balance or 0, entries), key=lambda lot: lot.no):
        units = entries[lot.no]
        if lot.expires <= batch.today and not is_return(lot):
            until = add_days(batch.today, GRACE_DAYS)
            no = batch.books.next("lot")
            batch.grant(
                replace(lot, no=no, remaining=units, expires=until, transfer=transfer.no, clears_peer=None, clears=None)
            )
            returned.append((no, units))
            expires.append(until)
        else:
            batch.give_back(posting, lot, units)
            returned.append((lot.no, units))
            expires.append(0)
    return returned, expires


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    """Ask the destination to refuse a transfer it has not decided. What it answers is the answer to the transfer."""

    id: bytes


def _cancel_wishes(command: Cancel, office: Office, wishes: Wishes) -> None:
    wishes.transfers.add(command.id)
    wishes.outcomes.add(digest_of("cancel", command.id.hex()))


@handles(Cancel, _cancel_wishes)
def cancel(command: Cancel, office: Office, batch: Batch) -> Placed:
    """Asked once; asking again changes nothing. Raises Refused: TRANSFER_UNKNOWN, or WRONG_STATE once it is decided."""
    transfer = batch.transfers.get((command.id, office.me))
    if transfer is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no outgoing transfer has this id")
    if transfer.state != State.HELD:
        raise Refused(Reason.WRONG_STATE, f"the transfer is {State(transfer.state).name.lower()} already")
    asked = digest_of("cancel", command.id.hex())
    if asked not in batch.outcomes:
        check_status(office, transfer.destination, Matter.CANCEL)
        salt = office.salt()
        redo = office.seal_redo(salt, b"", transfer.id)
        draft = Draft(Kind.CANCEL, False, transfer.id, salt + codec.encode_cancel(redo))
        batch.say(transfer.destination, draft, transfer)
        batch.record(
            journal.Asked(
                at=batch.now_ms, what="cancel", peer=transfer.destination, id=transfer.id.hex(), transfer=transfer.no
            )
        )
        freeze(batch, asked, "cancel", asked, 0, "")
    return placed(transfer)
