"""Roaming redemption at home 异地兑换: a resident gets a code, and what a counter elsewhere asks for is held.

The code says whose points; it works once, for minutes. The hold ends when the counter captures or releases it, or says
on being asked that it is over: never by the clock here.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gateway.protocol import roaming
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.roaming import Event, Part, State
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Frame, Kind, Reason
from node.errors import BadInput, Recovering
from node.ledger import journal
from node.ledger.accounts import RECOVERY, AccountKind, AccountState, clearing
from node.ledger.lots import Lot
from node.ledger.postings import Phase
from node.services import penalty, topics
from node.services.booking import Booking
from node.services.command import account_of, handles
from node.services.office import Office
from node.services.recovery import history
from node.services.recovery.advance import choose_or_advance
from node.services.roaming import terms as roaming_terms
from node.services.transfer import GRACE_DAYS
from node.store import authorisations as store
from node.store import bulk, schema
from node.store.authorisations import Stored
from node.store.batch import Account, Batch, Wishes

WHAT = "roaming"
"""The noun of the postings."""
_MINUTE_MS = 60_000
_pack = msgspec.msgpack.Encoder().encode
_read_name = msgspec.msgpack.Decoder(str).decode


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCode:
    """A fresh code for one purchase at a counter of another region."""

    account: str
    minutes: int = roaming.CODE_MINUTES


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeAnswer:
    """The code as a resident shows it, and until when it can be used (Unix milliseconds)."""

    code: str
    expires_ms: int


def _wishes(command: NewCode, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.account)


@handles(NewCode, _wishes)
def new_code(command: NewCode, office: Office, batch: Batch) -> CodeAnswer:
    """80 random bits: it says nothing about whose it is. Raises Refused for an unknown, closed or frozen account."""
    if not 1 <= command.minutes <= roaming.CODE_MINUTES_MOST:
        raise BadInput(f"a code can be used for 1 to {roaming.CODE_MINUTES_MOST} minutes")
    account = account_of(batch, command.account)
    if account.state == AccountState.FROZEN:
        raise Refused(Reason.ACCOUNT_FROZEN, f"the account {command.account!r} is frozen")
    code = office.random(roaming.CODE_BYTES)
    expires_ms = batch.now_ms + command.minutes * _MINUTE_MS
    bulk.insert(batch.conn, schema.code, [(code, account.no, expires_ms, batch.now_ms, None)])
    return CodeAnswer(code=roaming.write_code(office.me, code), expires_ms=expires_ms)


# -- what a counter asks ---------------------------------------------------------------------------------------------


def hear_authorise(heard: topics.Heard, office: Office, batch: Batch) -> journal.Decision:
    """Hold, or refuse with the lowest reason; at once in either case."""
    frame, body = heard.frame, heard.parsed
    try:
        roaming.check_authorise(frame, body)
    except Malformed:
        raise Refused(Reason.MALFORMED_BODY) from None
    terms = roaming_terms.agreed(office, office.me, heard.peer, frame.category)
    roaming.check_terms(frame, body, terms)
    if frame.category not in batch.books.categories:
        raise Refused(Reason.CATEGORY_NOT_MAPPED)
    recovering = _recovering(frame.amount, office, batch)
    roaming_terms.check_home(office, heard.peer, frame.category, frame.amount, batch, recovering)
    account = _present(body.code, batch)
    _hold(heard, account, terms, office, batch)
    return topics.accept(heard, office, batch, _pack(account.name))


def _recovering(units: int, office: Office, batch: Batch) -> Refused | None:
    """What a restore has against debiting so much now. A counter is answered at once, and may ask again."""
    try:
        history.check_debit(batch, office, units)
    except Recovering:
        return Refused(Reason.REGION_RECOVERING)
    return None


def _present(code: bytes, batch: Batch) -> Account:
    """Whose code it is. It is used up now, whatever else is found: nobody learns from one code how much there is.

    Unknown, used, expired, and of a closed account are refused alike.
    """
    name = store.account_of_code(batch.conn, code, batch.now_ms)
    if name is not None:
        store.use_code(batch.conn, code, batch.now_ms)
        batch.load(Wishes(payers={name}))
        account = batch.accounts[name]
        if account.state != AccountState.CLOSED:
            return account
    raise Refused(Reason.CODE_NOT_VALID)


def _hold(heard: topics.Heard, account: Account, terms: Terms, office: Office, batch: Batch) -> None:
    frame, body = heard.frame, heard.parsed
    lots = roaming_terms.cover(account, terms, frame.amount, office, batch)
    roaming.check_until(body.until_ms, batch.now_ms)
    penalty.check_none(batch, account.no)
    _book_hold(heard, account, lots, office, batch)
    history.debited(batch, frame.amount)


def _book_hold(heard: topics.Heard, account: Account | None, lots: list[Lot], office: Office, batch: Batch) -> None:
    """`account` None: nobody knows any more whose points they were, and the region stands in."""
    frame, body = heard.frame, heard.parsed
    category = batch.books.categories[frame.category]
    own = batch.system_balance(RECOVERY, category) if account is None else batch.balance_of(account, category)
    faces = batch.system_balance(clearing(heard.peer), category)
    takes, need = [], frame.amount
    for lot in lots:
        takes.append((lot, min(lot.remaining, need)))
        need -= takes[-1][1]
    booking = Booking(batch, WHAT, frame.id, heard.peer)
    resident = own if account is not None else 0
    hold = booking.post(Phase.HOLD, own, faces, frame.amount, resident=resident, taken=takes)
    booking.record()
    state = roaming.step(State.REQUESTED, Event.GRANT)
    found = asked(frame, body, office.me, heard.peer, state, batch)._replace(balance=own, hold=hold)
    roaming_terms.count_held(found, office, batch)
    store.insert(batch.conn, found)


def asked(
    frame: Frame, body: roaming.Authorise, holder: int, counter: int, state: State, batch: Batch
) -> Stored:  # fmt: skip
    """What both regions keep of a request to hold."""
    return Stored(
        frame.id, holder, counter, None, frame.category, frame.amount, frame.becomes, frame.arriving, body.rate_p,
        body.rate_q, state, 0, 0, None, body.reference, body.until_ms, batch.now_ms, None,
    )  # fmt: skip


def hear_capture(heard: topics.Heard, office: Office, batch: Batch) -> journal.Decision:
    """What was spent leaves, and the rest goes back."""
    found = _held_for(heard, batch)
    event, part = roaming.heard_capture(found.plain, heard.frame)
    _end(found, Event.CAPTURE, event, part, batch)
    return topics.accept(heard, office, batch)


def hear_release(heard: topics.Heard, office: Office, batch: Batch) -> journal.Decision:
    """All of it goes back."""
    found = _held_for(heard, batch)
    roaming.check_open(found.plain)
    _end(found, Event.RELEASE, Event.LET_GO, Part(0, 0), batch)
    return topics.accept(heard, office, batch)


def _held_for(heard: topics.Heard, batch: Batch) -> Stored:
    found = store.find(batch.conn, heard.parsed.authorisation, heard.peer)
    if found is None:
        raise Refused(Reason.TRANSFER_UNKNOWN)
    return found


def _end(found: Stored, said: Event | None, event: Event, part: Part, batch: Batch) -> None:
    """The hold ends: `part` goes to the counter's region, first-expiring first, the rest back into the very lots."""
    state = roaming.step(found.state, said) if said is not None else found.state
    _book_end(found, part.amount, batch)
    roaming_terms.count_ended(found, part.amount, batch)
    store.change(
        batch.conn, found._replace(state=roaming.step(state, event), captured=part.amount, ended_ms=batch.now_ms)
    )


def _book_end(found: Stored, spent: int, batch: Batch) -> None:
    balance, hold = found.balance or 0, found.hold or 0
    faces = batch.system_balance(clearing(found.counter), batch.books.categories[found.category])
    booking = Booking(batch, WHAT, found.id, found.counter)
    if spent:
        booking.post(Phase.POST, balance, faces, spent)
    if rest := found.amount - spent:
        back = _what_returns(found, hold, spent, batch)
        resident = balance if back else 0
        booking.post(Phase.VOID, balance, faces, rest, resident=resident, back=back, grace_days=GRACE_DAYS)
    booking.record()


def _what_returns(found: Stored, hold: int, spent: int, batch: Batch) -> list[tuple[Lot, int]]:
    """Of what the hold took, all but the first-expiring units that were spent: (lot, units)."""
    entries = dict(batch.lot_entries([hold])[hold])
    lots = batch.load_lots_by_no(found.balance or 0, entries)
    back = []
    for lot in sorted(lots, key=lambda lot: (lot.expires, lot.no)):
        gone = min(spent, entries[lot.no])
        spent -= gone
        if entries[lot.no] > gone:
            back.append((lot, entries[lot.no] - gone))
    return back


# -- what the counter answers ----------------------------------------------------------------------------------------


def ask_answered(asked: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> None:
    """The counter says that it is over; or that it is not, and then it is asked again later."""
    found = store.find(batch.conn, asked.subject, asked.peer)
    if heard.frame.kind == Kind.ACCEPT and found is not None and found.state is State.AUTHORISED:
        _end(found, None, Event.END, Part(0, 0), batch)


def end_unasked(found: Stored, reason: Reason, batch: Batch) -> None:
    """The counter's region will not answer again, and the keepers of the roster have said where its log ends."""
    _end(found._replace(reason=int(reason)), None, Event.END, Part(0, 0), batch)


# -- again, after a restore ------------------------------------------------------------------------------------------


def authorise_again(heard: topics.Heard, said: topics.Said, office: Office, batch: Batch) -> None:
    """What was held is held again: expired lots count, and what lacks the region advances."""
    store.use_code(batch.conn, heard.parsed.code, batch.now_ms)
    if said.frame.kind != Kind.ACCEPT:
        return
    account = _account_again(said.redo, batch)
    lots: list[Lot] = []
    if account is not None:
        category = batch.books.categories[heard.frame.category]
        lots = choose_or_advance(batch, office, account, category, heard.frame.amount, forced=True)
    _book_hold(heard, account, lots, office, batch)


def _account_again(redo: bytes, batch: Batch) -> Account | None:
    """Whose points they were; an account opened after the backup is opened again."""
    try:
        name = _read_name(redo)
    except msgspec.MsgspecError:
        return None
    batch.load(Wishes(payers={name}))
    account = batch.accounts.get(name)
    if account is None:
        account = batch.open_account(name, AccountKind.RESIDENT)
        batch.record(journal.Opened(at=batch.now_ms, account=account.no, name=name, state=int(account.state)))
    return account


def capture_again(heard: topics.Heard, said: topics.Said, office: Office, batch: Batch) -> None:
    """What was spent leaves again."""
    found = store.find(batch.conn, heard.parsed.authorisation, heard.peer)
    if said.frame.kind == Kind.ACCEPT and found is not None and found.state is State.AUTHORISED:
        part = Part(heard.frame.amount, heard.frame.arriving)
        _end(found, Event.CAPTURE, roaming.taking(found.plain, part), part, batch)


def release_again(heard: topics.Heard, said: topics.Said, office: Office, batch: Batch) -> None:
    """What was released goes back again."""
    found = store.find(batch.conn, heard.parsed.authorisation, heard.peer)
    if said.frame.kind == Kind.ACCEPT and found is not None and found.state is State.AUTHORISED:
        _end(found, Event.RELEASE, Event.LET_GO, Part(0, 0), batch)
