"""Doing again what this region said before a restore: its messages come back from a peer and are booked as they were.

Nothing is decided again and nothing refused: what happened is posted. What a resident lacks for it, because its awards
came after the backup, the region advances. The redo record sealed into each body says whose it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import update

from gateway.protocol import codec, limits
from gateway.protocol.errors import PeerFault
from gateway.protocol.transfer import Event, State, step
from gateway.protocol.values import Draft, Frame, Kind, Offer, Purpose, Reason
from node.ledger import journal
from node.ledger.accounts import RECOVERY, AccountKind, clearing
from node.ledger.lots import Lot, is_clear
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.services import offer as offers
from node.services import reversal, seal, topics
from node.services.agreement import judging
from node.services.command import freeze
from node.services.office import Office, digest_of
from node.services.recovery.advance import advance
from node.services.transfer import EventKind, Redo
from node.store import bulk, logs, schema
from node.store.batch import Account, Batch, Wishes
from node.store.books import Uncleared

BY = "#recovery"
"""Who the journal says has decided what came back."""

_read_offer = msgspec.msgpack.Decoder(Redo).decode
_read_name = msgspec.msgpack.Decoder(str).decode
_by_expiry = attrgetter("expires", "no")


class Record(NamedTuple):
    """What a body says to its own region only."""

    account: str = ""  # whose points they are
    client_key: str = ""
    digest: bytes = b""  # of the order
    command: bytes = b""  # the outcome under which asking is remembered
    cites: bytes = b""  # the transfer a reversal is asked of, or grants
    sealed: bytes = b""  # of a message that is about no transfer: what it says, as its topic packed it

    def wish(self, wishes: Wishes) -> None:
        """What doing it again will look at."""
        if self.account:  # only an offer has a digest: it takes from lots, an acceptance brings some
            (wishes.payers if self.digest else wishes.names).add(self.account)
        if self.command:
            wishes.outcomes.add(self.command)
        if self.cites:
            wishes.transfers.add(self.cites)


def read(office: Office, frame: Frame, body: bytes) -> Record | None:
    """Open the record of one of this region's own bodies; None where there is none that can be opened."""
    try:
        if frame.kind == Kind.CANCEL:
            return Record(command=digest_of("cancel", frame.id.hex()))
        if frame.kind == Kind.REVERSE_REQUEST and not frame.reply:
            return Record(command=frame.id, cites=codec.decode_reverse_request(body))
        if frame.kind in topics.TOPICS or (frame.reply and frame.kind not in (Kind.ACCEPT, Kind.REFUSE)):
            return Record(sealed=_open(office, frame, body))
        if frame.kind not in (Kind.OFFER, Kind.ACCEPT) or not body:
            return None
        sealed = codec.decode_redo(frame.kind == Kind.OFFER, body)
        plain = office.open_redo(body[: limits.SALT_BYTES], sealed, frame.id)
        if frame.kind == Kind.ACCEPT:
            try:
                return Record(account=_read_name(plain), sealed=plain)
            except msgspec.MsgspecError:  # it accepts a request that is no transfer
                return Record(sealed=plain)
        kept = _read_offer(plain)
        cites = b"" if kept.client_key else codec.decode_offer(body).cites
        return Record(account=kept.account, client_key=kept.client_key, digest=kept.digest, cites=cites)
    except (PeerFault, InvalidTag, msgspec.MsgspecError):
        return None  # sealed under another secret: the region itself stands in for the resident


def _open(office: Office, frame: Frame, body: bytes) -> bytes:
    return office.open_redo(body[: limits.SALT_BYTES], codec.redo_of(body), frame.id) if body else b""


class Message(NamedTuple):
    """One of this region's own messages, as it comes back."""

    number: int
    frame: Frame
    body: bytes
    record: Record
    known: bool  # the backup has it, in its outbox


def _name(said: Frame | Draft) -> tuple[int, bool, bytes]:
    """What tells the messages of one region apart."""
    return said.kind, bool(said.reply), said.id


class Doing:
    """The own messages of one page, in their order."""

    def __init__(
        self, peer: int, office: Office, batch: Batch, offered: dict[int, Offer], said: Sequence[Frame]
    ) -> None:
        """`offered`: the offers that came back in the same page, by number; `said`: the own messages in it."""
        self._peer, self._office, self._batch, self._offered = peer, office, batch, offered
        self._waiting: dict[tuple[int, bool, bytes], int] = {}
        self._dropped: list[int] = []
        self._decided = {_name(waits.draft) for waits in batch.waiting.get(peer, ())}  # by this batch, before the page
        self._taken: set[tuple[int, bool, bytes]] = set()
        self._into = logs.Reader(batch.conn, batch.books.logs[peer, office.me])
        self.answered: list[tuple[bytes, int | None]] = []  # ids of requests, and their numbers where those are known
        if batch.books.outboxes.get(peer):
            ids = [frame.id for frame in said]
            columns = ("kind", "reply", "id", "no")
            rows = bulk.select_in(batch.conn, schema.outbox, columns, "id", ids, where=f"peer = {peer:d}")
            self._waiting = {(kind, bool(reply), id_): no for kind, reply, id_, no in sorted(rows, key=itemgetter(3))}

    def again(self, number: int, frame: Frame, body: bytes, record: Record | None) -> None:
        """Do message `number` again. What the backup knows already only gets its number back."""
        name = _name(frame)
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            self._dropped.append(waiting)
        elif name in self._decided:
            self._taken.add(name)
        m = Message(number, frame, body, record or Record(), waiting is not None or name in self._taken)
        match frame.kind, frame.reply:
            case Kind.OFFER, False:
                self._offer(m)
            case Kind.CANCEL, False if not m.known:
                self._cancel(m)
            case Kind.REVERSE_REQUEST, False if not m.known:
                self._ask(m)
            case Kind.ACCEPT, True:
                self._accept(m)
            case Kind.REFUSE, True:
                self._refuse(m)
            case _, True:
                self._answer(m, 0)
            case _ if m.frame.kind in topics.TOPICS and not m.known:
                topics.ask_again(self._said(m), self._office, self._batch)

    def finish(self) -> None:
        """Take out of the outbox, and of what is to be put there, what has been done again."""
        batch = self._batch
        if self._taken:
            waiting = batch.waiting[self._peer]
            batch.waiting[self._peer] = [waits for waits in waiting if _name(waits.draft) not in self._taken]
        if self._dropped:
            bulk.delete_in(batch.conn, schema.outbox, "no", self._dropped)
            batch.books.outboxes[self._peer] -= len(self._dropped)

    # -- what was asked ----------------------------------------------------------------------------------------------

    def _offer(self, m: Message) -> None:
        batch, office = self._batch, self._office
        before = batch.transfers.get((m.frame.id, office.me))
        if before is not None:
            before.offered = m.number
            batch.changed(before)
            return
        try:
            said = codec.decode_offer(m.body)
        except PeerFault:
            # Erased: the header has the rest.
            said = Offer(b"", int(Purpose.RELOCATION), 1, 1, 0, (), "", b"", b"", b"")
        category = batch.books.categories[m.frame.category]
        account = self._account(m.record.account)
        if account is not None:
            balance = batch.balance_of(account, category)
        else:
            balance = batch.system_balance(RECOVERY, category)
        batch.clear(self._peer, m.number)  # whoever says this holds what was said before
        original = batch.transfers.get((said.cites, self._peer)) if said.cites else None
        takes = self._cover(balance, category, m.frame.amount, original) if account is not None else []
        transfer = Transfer(
            batch.books.next("transfer"), m.frame.id, office.me, self._peer, State.HELD, 0,
            said.request or m.record.digest,
            m.record.client_key or None, balance, m.frame.category, m.frame.amount, m.frame.becomes, m.frame.arriving,
            said.rate_p, said.rate_q, said.purpose, said.cites or None, None, m.number, None, said.address or None,
            batch.now_ms, None,
        )  # fmt: skip
        faces = batch.system_balance(clearing(self._peer), category)
        posting = batch.post(
            Phase.HOLD, balance, faces, m.frame.amount, transfer=transfer.no,
            resident=balance if account is not None else None,
        )  # fmt: skip
        transfer.hold = posting
        for lot, units in takes:
            batch.take(posting, lot, units)
        batch.record(
            journal.Held(
                at=batch.now_ms, id=m.frame.id.hex(), transfer=transfer.no, destination=self._peer, balance=balance,
                category=category, amount=m.frame.amount, arriving=m.frame.arriving, posting=posting,
                lots=[(lot.no, units) for lot, units in takes], request=said.request.hex(),
            )
        )  # fmt: skip
        batch.new_transfer(transfer)
        judging.count_held(transfer, office, batch)
        if said.request:
            self.answered.append((said.request, None))

    def _account(self, name: str) -> Account | None:
        """Whose points they were; an account opened after the backup is opened again."""
        if not name:
            return None
        batch = self._batch
        account = batch.accounts.get(name)
        if account is None:
            account = batch.open_account(name, AccountKind.RESIDENT)
            batch.record(journal.Opened(at=batch.now_ms, account=account.no, name=name, state=int(account.state)))
        return account

    def _cover(self, balance: int, category: int, amount: int, original: Transfer | None) -> list[tuple[Lot, int]]:
        """Lots for so many units, first-expiring first, expired ones too; what lacks is advanced.

        What `original` brought goes back first: it is not there to be sent back again.
        """
        batch = self._batch
        batch.load_lots([balance])
        takes, need = [], amount
        final = batch.final
        left = [lot for lot in batch.lots_of(balance).values() if lot.remaining and is_clear(lot, final)]
        left.sort(key=_by_expiry)
        if original is not None:
            left.sort(key=lambda lot: lot.transfer != original.no)
        for lot in left:
            units = min(lot.remaining, need)
            takes.append((lot, units))
            need -= units
            if not need:
                break
        if need:
            takes.append((advance(batch, self._office, balance, category, need), need))
        return takes

    def _cancel(self, m: Message) -> None:
        batch = self._batch
        transfer = batch.transfers.get((m.frame.id, self._office.me))
        if m.record.command not in batch.outcomes:
            freeze(batch, m.record.command, "cancel", m.record.command, 0, "")
        self._asked("cancel", m.frame, transfer)

    def _ask(self, m: Message) -> None:
        batch = self._batch
        original = batch.transfers.get((m.record.cites, self._office.me))
        if original is not None and m.frame.id not in batch.outcomes:
            digest = digest_of("reversal", m.record.cites.hex())
            freeze(batch, m.frame.id, "reversal", digest, 0, "")
            state = int(reversal.ReversalState.ASKED)
            row = (m.frame.id, original.no, self._peer, True, digest, state, 0, batch.now_ms)
            bulk.insert(batch.conn, schema.reversal, [row])  # at once: its answer may be in the same page
        self._asked("reversal", m.frame, original)

    def _asked(self, what: str, frame: Frame, transfer: Transfer | None) -> None:
        no = transfer.no if transfer is not None else 0
        self._batch.record(
            journal.Asked(at=self._batch.now_ms, what=what, peer=self._peer, id=frame.id.hex(), transfer=no)
        )

    # -- what was answered -------------------------------------------------------------------------------------------

    def _accept(self, m: Message) -> None:
        batch = self._batch
        transfer = batch.transfers.get((m.frame.id, self._peer))
        if transfer is None:
            self._answer(m, 0)
            return
        returning: list[tuple[int, int]] = []
        if transfer.state == State.IN_REVIEW:
            to = transfer.balance
            decision = self._credit(m, transfer)
            if to is None:  # it came with an earlier page, to an address that was forgotten
                t = schema.transfer
                batch.conn.execute(update(t).where(t.c.no == transfer.no).values(balance=transfer.balance))
            self.answered.append((m.frame.id, transfer.offered))
            batch.record(journal.Reviewed(at=batch.now_ms, peer=self._peer, by=BY, decision=decision))
        transfer.answered = m.number
        batch.changed(transfer)
        if m.known:
            seal.tell_lots(batch, transfer, m.number)
        if transfer.purpose == Purpose.REVERSAL:
            held = transfer.hold or 0
            returning = batch.lot_entries([held])[held]
        uncleared = batch.books.uncleared.setdefault(self._peer, deque())
        uncleared.append(Uncleared(m.number, transfer.balance or 0, transfer.arriving, returning))

    def _credit(self, m: Message, transfer: Transfer) -> journal.Decision:
        batch, office = self._batch, self._office
        at = transfer.offered or 0
        said = self._offered.get(at)
        if said is None:
            said = codec.decode_offer(self._into.body(at))
            # It came with an earlier page, and so did what it is about.
            batch.load(Wishes(aliases={said.address}, transfers={said.cites, said.request} - {b""}))
        transfer.state = State.OFFERED
        if transfer.purpose == Purpose.REVERSAL:
            original = batch.transfers[said.cites, office.me]
            return reversal.book_return(transfer, original, said, at, m.number, batch)
        way = (self._peer, office.me, transfer.category)
        terms = office.terms_for(*way, said.terms_version) or office.terms_for(*way)
        account = self._account(m.record.account)
        if account is None:
            account = offers.receiver(self._peer, said, batch)
        return offers.credit(transfer, said, account, terms, at, m.number, batch)

    def _refuse(self, m: Message) -> None:
        batch = self._batch
        try:
            reason = codec.decode_refuse(m.body)
        except PeerFault:
            reason = int(Reason.MALFORMED_BODY)
        transfer = batch.transfers.get((m.frame.id, self._peer))
        if transfer is not None and transfer.state == State.IN_REVIEW:
            transfer.state = step(transfer.state, Event.REFUSE)
            transfer.reason, transfer.decided_ms, transfer.answered = reason, batch.now_ms, m.number
            batch.changed(transfer)
            batch.event(EventKind.REFUSED, transfer)
            at = transfer.offered or 0
            self.answered.append((m.frame.id, at))
            decision = journal.Decision(at, transfer.no, int(transfer.state), reason)
            batch.record(journal.Reviewed(at=batch.now_ms, peer=self._peer, by=BY, decision=decision))
            return
        if transfer is not None and transfer.state == State.REFUSED and transfer.answered is None:
            transfer.answered = m.number
            batch.changed(transfer)
        if not m.known and not self._answer(m, reason):
            self.answered.append((m.frame.id, None))
            batch.record(journal.Answered(at=batch.now_ms, peer=self._peer, id=m.frame.id.hex(), reason=reason))

    # -- what is about no transfer -----------------------------------------------------------------------------------

    def _said(self, m: Message) -> topics.Said:
        return topics.Said(self._peer, m.frame, m.body, m.record.sealed, m.number)

    def _answer(self, m: Message, reason: int) -> bool:
        if m.known or not topics.answer_again(self._said(m), reason, self._office, self._batch):
            return False
        self.answered.append((m.frame.id, None))
        return True
