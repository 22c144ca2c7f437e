"""Roaming redemption at the counter 异地兑换: ask a visitor's home region to hold points, then capture or release them.

What is captured goes from the book that faces the home region to what was redeemed here: the home region owes it. The
answer to a capture is what books it; until that comes nothing has moved here.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gateway.protocol import roaming
from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.roaming import About, Authorise, Event, Part, State
from gateway.protocol.standing import Matter
from gateway.protocol.values import Kind, Reason
from node.ledger import journal
from node.ledger.accounts import REDEEMED, clearing
from node.ledger.postings import Phase
from node.services import topics
from node.services.booking import Booking
from node.services.command import handles, once, wish_once
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.services.roaming import terms as roaming_terms
from node.services.roaming.home import WHAT
from node.services.transfer import check_status
from node.store import authorisations as store
from node.store.authorisations import Stored
from node.store.batch import Batch, Wishes

MINUTES = 30
"""How long an authorisation lasts unless the counter says otherwise. Own judgement."""
MINUTES_MOST = roaming.LASTS_MOST_MS // 60_000
_pack = msgspec.msgpack.Encoder().encode
_read_digest = msgspec.msgpack.Decoder(bytes).decode


@dataclass(frozen=True, kw_only=True, slots=True)
class AskToHold:
    """Hold points of whoever shows this code, for a purchase here."""

    client: str
    key: str
    code: str
    category: str  # of the home region: which of the visitor's points
    amount: int  # what the purchase costs here, in units of what those become
    reference: str = ""  # the merchant's own; no personal data
    minutes: int = MINUTES


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """All or part of what was authorised was spent. One capture ends it: what it leaves goes back."""

    client: str
    key: str
    authorisation: bytes
    amount: int = 0  # in this region's units; 0 = all


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """Nothing was bought."""

    client: str
    key: str
    authorisation: bytes


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An authorisation as either region sees it. Amounts in the smallest unit of their categories."""

    id: str
    state: State
    reason: int
    home: int
    counter: int
    category: str
    amount: int
    becomes: str
    arriving: int
    captured: int  # of `amount`
    captured_arriving: int  # of `arriving`
    rate_p: int
    rate_q: int
    reference: str
    until_ms: int
    at_ms: int
    ended_ms: int | None
    changed: int


def shown(row: Stored) -> Shown:
    """The answer to every command about it, now and whenever it is repeated."""
    return Shown(
        id=row.id.hex(),
        state=row.state,
        reason=row.reason,
        home=row.holder,
        counter=row.counter,
        category=row.category,
        amount=row.amount,
        becomes=row.becomes,
        arriving=row.arriving,
        captured=row.captured,
        captured_arriving=row.captured // row.rate_q * row.rate_p,
        rate_p=row.rate_p,
        rate_q=row.rate_q,
        reference=row.reference,
        until_ms=row.until_ms,
        at_ms=row.at_ms,
        ended_ms=row.ended_ms,
        changed=row.changed,
    )


# -- what a merchant asks --------------------------------------------------------------------------------------------


def _wishes(command: AskToHold | Capture | Release, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))


@handles(AskToHold, _wishes)
def ask_to_hold(command: AskToHold, office: Office, batch: Batch) -> Shown:
    """Ask the home region, once. A refusal before that is kept under the key; the home region's is in the answer."""
    id_ = office.public_id(command.client, command.key)
    digest = digest_of(
        "authorise", command.code, command.category, command.amount, command.reference, command.minutes
    )  # fmt: skip
    once(batch, id_, "authorise", digest, lambda: _ask(command, id_, digest, office, batch))
    return _shown(id_, office, batch)


def _ask(command: AskToHold, id_: bytes, digest: bytes, office: Office, batch: Batch) -> str:
    roaming.check_reference(command.reference)
    try:
        code = roaming.read_code(command.code)
    except Malformed as error:
        raise Refused(Reason.CODE_NOT_VALID, str(error)) from None
    holder = code.region
    if holder == office.me:
        raise Refused(Reason.REGION_UNKNOWN, "the code is of this region: redeem at home")
    history.check_known(batch, holder)
    check_status(office, holder, Matter.AUTHORISE)
    terms = roaming_terms.agreed(office, holder, office.me, command.category)
    if terms.becomes not in batch.books.categories:
        raise Refused(Reason.CATEGORY_NOT_MAPPED, f"this region has no category {terms.becomes!r}")
    part = roaming.blocks_of(command.amount, terms.rate_p, terms.rate_q)
    _check_room(terms.becomes, part.arriving, batch)
    roaming_terms.check_away(office, holder, command.category, part.amount)
    if not 1 <= command.minutes <= MINUTES_MOST:
        raise Refused(Reason.TOO_LATE, f"an authorisation lasts 1 to {MINUTES_MOST} minutes")
    until_ms = batch.now_ms + command.minutes * 60_000
    body = Authorise(code.alias, terms.rate_p, terms.rate_q, terms.version, until_ms, command.reference)
    row = Stored(
        id_, holder, office.me, None, command.category, part.amount, terms.becomes, part.arriving, terms.rate_p,
        terms.rate_q, State.REQUESTED, 0, 0, None, command.reference, until_ms, batch.now_ms, None,
    )  # fmt: skip
    store.insert(batch.conn, row)
    topics.ask(
        holder, Kind.AUTHORISE, id_, lambda redo: bodies.encode_authorise(body, redo), office, batch,
        redo=_pack(digest), category=command.category, amount=part.amount, becomes=terms.becomes,
        arriving=part.arriving,
    )  # fmt: skip
    return ""


def _check_room(becomes: str, arriving: int, batch: Batch) -> None:
    if not batch.books.has_room(batch.books.categories[becomes], arriving):
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "all points ever redeemed of one category stay below 2^63")


@handles(Capture, _wishes)
def capture(command: Capture, office: Office, batch: Batch) -> Shown:
    """Raises Refused: TRANSFER_UNKNOWN, ABOVE_AUTHORISED, AUTHORISATION_ENDED, or WRONG_STATE while it is under way."""
    id_ = office.public_id(command.client, command.key)
    digest = digest_of("capture", command.authorisation.hex(), command.amount)
    once(batch, id_, "capture", digest, lambda: _capture(command, id_, digest, office, batch))
    return _shown(command.authorisation, office, batch)


def _capture(command: Capture, id_: bytes, digest: bytes, office: Office, batch: Batch) -> str:
    found = _open_here(command.authorisation, Matter.CAPTURE, office, batch)
    part = roaming.part_of(found.plain, command.amount or found.arriving)
    _require_open(found, batch)
    _check_room(found.becomes, part.arriving, batch)
    store.change(batch.conn, found._replace(state=roaming.step(found.state, Event.CAPTURE), captured=part.amount))
    _say(Kind.CAPTURE, found, id_, _pack(digest), office, batch, part)
    return ""


@handles(Release, _wishes)
def release(command: Release, office: Office, batch: Batch) -> Shown:
    """Raises Refused as :func:`capture` does."""
    id_ = office.public_id(command.client, command.key)
    digest = digest_of("release", command.authorisation.hex())
    once(batch, id_, "release", digest, lambda: _release(command, id_, digest, office, batch))
    return _shown(command.authorisation, office, batch)


def _release(command: Release, id_: bytes, digest: bytes, office: Office, batch: Batch) -> str:
    found = _open_here(command.authorisation, Matter.RELEASE, office, batch)
    roaming.check_open(found.plain)
    let_go(found, id_, _pack(digest), office, batch)
    return ""


def let_go(found: Stored, id_: bytes, redo: bytes, office: Office, batch: Batch) -> None:
    """Release one that is open. `redo`: empty where no command of a caller's asks for it."""
    store.change(batch.conn, found._replace(state=roaming.step(found.state, Event.RELEASE)))
    _say(Kind.RELEASE, found, id_, redo, office, batch)


def _open_here(id_: bytes, matter: Matter, office: Office, batch: Batch) -> Stored:
    found = store.find(batch.conn, id_, office.me)
    history.check_known(batch, found.holder if found is not None else None)
    if found is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no authorisation of a counter here has this id")
    check_status(office, found.holder, matter)
    return found


def _require_open(found: Stored, batch: Batch) -> None:
    roaming.check_open(found.plain)
    if found.until_ms <= batch.now_ms:
        raise Refused(Reason.AUTHORISATION_ENDED, "its time is over: it is being released")


def _say(
    kind: Kind, found: Stored, id_: bytes, redo: bytes, office: Office, batch: Batch, part: Part | None = None
) -> None:  # fmt: skip
    about, spent = About(found.id), part or Part(0, 0)
    topics.ask(
        found.holder, kind, id_, lambda sealed: bodies.encode_about(kind, about, sealed), office, batch,
        subject=found.id, redo=redo,
        category=found.category if part else "", amount=spent.amount,
        becomes=found.becomes if part else "", arriving=spent.arriving,
    )  # fmt: skip


def _shown(id_: bytes, office: Office, batch: Batch) -> Shown:
    found = store.find(batch.conn, id_, office.me)
    if found is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no authorisation of a counter here has this id")
    return shown(found)


# -- what the home region answers ------------------------------------------------------------------------------------


def move(found: Stored, event: Event, batch: Batch, *, reason: int = 0) -> None:
    """One step, where the table has one: after a restore a message may come for what is over already."""
    after = roaming.TRANSITIONS.get((found.state, event))
    if after is None:
        return
    if after not in (State.CAPTURING, State.CAPTURED, State.PART_CAPTURED):
        found = found._replace(captured=0)
    ended_ms = batch.now_ms if roaming.is_over(after) else None
    store.change(batch.conn, found._replace(state=after, reason=reason, ended_ms=ended_ms))


def authorise_answered(request: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> None:
    """The points are held, or they are not."""
    found = store.find(batch.conn, request.id, office.me)
    if found is not None:
        granted = heard.frame.kind == Kind.ACCEPT
        move(found, Event.GRANT if granted else Event.DENY, batch, reason=0 if granted else request.reason)


def capture_answered(request: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> None:
    """Accepted, the captured points are redeemed here, and the home region owes them."""
    found = store.find(batch.conn, request.subject, office.me)
    if found is None or found.state is not State.CAPTURING:
        return
    if heard.frame.kind != Kind.ACCEPT:
        move(found, Event.STAND, batch, reason=request.reason)
        return
    arriving = found.captured // found.rate_q * found.rate_p
    category = batch.books.categories[found.becomes]
    batch.books.take_in(category, arriving)
    booking = Booking(batch, WHAT, found.id, found.holder)
    faces = batch.system_balance(clearing(found.holder), category)
    booking.post(Phase.SINGLE, faces, batch.system_balance(REDEEMED, category), arriving)
    booking.record()
    roaming_terms.count_redeemed(found, batch)
    move(found, roaming.taking(found.plain, Part(found.captured, arriving)), batch)


def release_answered(request: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> None:
    """Nothing is held any more; or, refused, it still is."""
    found = store.find(batch.conn, request.subject, office.me)
    if found is not None:
        done = heard.frame.kind == Kind.ACCEPT
        move(found, Event.LET_GO if done else Event.STAND, batch, reason=0 if done else request.reason)


def give_up(found: Stored, reason: Reason, batch: Batch) -> None:
    """The home region will not answer again."""
    if found.state is State.REQUESTED:
        move(found, Event.DENY, batch, reason=int(reason))
        return
    if found.state is not State.AUTHORISED:
        found = found._replace(state=roaming.step(found.state, Event.STAND))
    move(found, Event.END, batch, reason=int(reason))


# -- what the home region asks ---------------------------------------------------------------------------------------


def hear_ask(heard: topics.Heard, office: Office, batch: Batch) -> journal.Decision:
    """Say that it is over, and so make it be; or that its end will come. Nobody else's are spoken of."""
    found = asked_by(heard, office, batch)
    state = found.state if found is not None else None
    event = roaming.answer_to_ask(state, found.until_ms if found is not None else 0, batch.now_ms)
    if found is not None and event is not None:
        move(found, event, batch)
    return topics.accept(heard, office, batch)


def asked_by(heard: topics.Heard, office: Office, batch: Batch) -> Stored | None:
    """What a home region asks about; None where it is not held there."""
    found = store.find(batch.conn, heard.parsed.authorisation, office.me)
    return found if found is not None and found.holder == heard.peer else None
