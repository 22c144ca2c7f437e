"""Clawbacks after a restore: this region's own requests and answers come back, and are booked as they were.

Nothing is decided again. What a resident lacks for what was taken, because it was earned after the backup, the region
advances.
"""

from __future__ import annotations

from gateway.protocol import codec
from gateway.protocol.bodies import clawback as bodies
from gateway.protocol.clawback import Cause, Clawback, State
from gateway.protocol.errors import PeerFault
from gateway.protocol.values import Kind, Reason
from node.ledger import accounts
from node.ledger.lots import Lot, is_clear
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.services import topics
from node.services.booking import Booking
from node.services.clawback import hop as hops
from node.services.dispute import frozen
from node.services.office import Office
from node.services.recovery.advance import advance
from node.store import clawbacks as store
from node.store.batch import Batch, Wishes
from node.store.clawbacks import Stored

_KEY_BYTES = 20


def asked_again(said: topics.Said, office: Office, batch: Batch) -> None:
    """The request waits for its answer again, and so does what it was asked for."""
    try:
        body = bodies.decode_clawback(said.body)
    except PeerFault:  # erased
        return
    batch.load(Wishes(transfers={body.transfer}))
    original = batch.transfers.get((body.transfer, office.me))
    if original is None or store.find(batch.conn, said.frame.id, said.peer, mine=True) is not None:
        return
    parent = said.redo if len(said.redo) == _KEY_BYTES else None
    store.add(batch.conn, hops.own_row(body, original, said.frame.id, parent, batch))


def answered_again(heard: topics.Heard, said: topics.Said, office: Office, batch: Batch) -> None:
    """What was taken is taken, what came back to the peer goes back, what is owed is owed."""
    body: Clawback = heard.parsed
    batch.load(Wishes(transfers={body.transfer}))
    original = batch.transfers.get((body.transfer, heard.peer))
    if original is None:
        return
    row = store.find(batch.conn, heard.frame.id, heard.peer, mine=False)
    if row is None:
        row = hops.asked_row(heard, body, original, batch)
        store.add(batch.conn, row)
    if row.state is not State.TRACING:
        return
    if said.frame.kind != Kind.CLAWED_BACK:
        hops.refuse(row, _reason(said.body), batch)
        return
    try:
        found = bodies.decode_clawed_back(said.body)
    except PeerFault:  # erased: what it moved is in its header, and was of whoever the points are
        return
    units = found.recovered * original.rate_p - store.taken(batch.conn, row)
    if row.cause != Cause.REVERSAL:
        frozen.make_way_again(original, office, batch)
    if units > 0:
        _take(row, original, units, heard.frame.seen, office, batch)
    hops.book_answer(row, original, found, office, batch)


def _reason(body: bytes) -> int:
    try:
        return codec.decode_refuse(body)
    except PeerFault:
        return int(Reason.MALFORMED_BODY)


def _take(row: Stored, original: Transfer, units: int, seen: int, office: Office, batch: Batch) -> None:
    balance = original.balance or 0
    batch.clear(row.peer, seen)  # whoever asked held all that was said before
    if balance in batch.books.system.values():  # nobody knows any more whose they were
        book = batch.system_balance(accounts.CLAWBACK, batch.books.categories[row.category])
        booking = Booking(batch, hops.WHAT, row.id, row.peer)
        booking.post(Phase.SINGLE, balance, book, units)
        booking.record()
        return
    batch.load_lots([balance])
    lots = [lot for lot in batch.lots_of(balance).values() if lot.remaining and is_clear(lot, batch.final)]
    lots.sort(key=lambda lot: _order(lot, original))
    lacks = units - sum(lot.remaining for lot in lots)
    if lacks > 0:
        lots.append(advance(batch, office, balance, batch.books.categories[row.category], lacks))
    hops.take(row, balance, lots, units, batch)


def _order(lot: Lot, original: Transfer) -> tuple[bool, int, int]:
    """What the transfer brought goes first."""
    return lot.transfer != original.no, lot.expires, lot.no
