"""What an open dispute freezes here: the unspent points of a disputed transfer.

They are held on the resident's own balance, so that nothing that spends or moves points has to ask: they are not there.
When the dispute ends the hold is voided, into the very lots; where points have to go back, just before they do.
"""

from __future__ import annotations

from gateway.protocol.dispute import OPEN, Matter
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State as TransferState
from gateway.protocol.values import Reason
from node.ledger.accounts import DISPUTED
from node.ledger.lots import is_clear
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.services.booking import Booking
from node.services.office import Office
from node.store import disputes
from node.store.batch import Batch, Wishes
from node.store.disputes import Stored

WHAT = "dispute"
"""The noun of the postings."""

_GRACE_DAYS = 30
"""As of a transfer that is refused: how long points that come back to an expired lot can still be spent."""


def find_transfer(id_: bytes, source: int, batch: Batch) -> Transfer | None:
    """A transfer of this region, by its id and source."""
    batch.load(Wishes(transfers={id_}))
    return batch.transfers.get((id_, source))


def freeze(row: Stored, office: Office, batch: Batch) -> Stored:
    """Hold what is unspent of a disputed transfer, up to what is claimed of it. All else is frozen by being named."""
    found = find_transfer(row.about, row.whose, batch) if row.about_kind == Matter.TRANSFER else None
    if found is None or found.destination != office.me or found.state != TransferState.ACCEPTED:
        return row
    balance = found.balance or 0
    batch.load_lots([balance])
    need = row.amount // found.rate_q * found.rate_p
    takes = []
    for lot in sorted(batch.lots_of(balance).values(), key=lambda lot: lot.no):
        if lot.transfer == found.no and lot.expires > batch.today and is_clear(lot, batch.final):
            units = min(lot.remaining, need)
            if units:
                takes.append((lot, units))
                need -= units
    total = sum(units for _, units in takes)
    if not total:
        return row
    booking = Booking(batch, WHAT, row.id, row.peer)
    faces = batch.system_balance(DISPUTED, batch.books.categories[found.becomes])
    hold = booking.post(Phase.HOLD, balance, faces, total, resident=balance, taken=takes)
    booking.record()
    return row._replace(hold=hold)


def release(row: Stored, office: Office, batch: Batch) -> Stored:
    """Give what was held back to the very lots. What has expired meanwhile lives for the days of grace."""
    found = find_transfer(row.about, row.whose, batch) if row.hold is not None else None
    if row.hold is None or found is None:
        return row
    balance = found.balance or 0
    entries = dict(batch.lot_entries([row.hold])[row.hold])
    back = [(lot, entries[lot.no]) for lot in batch.load_lots_by_no(balance, sorted(entries))]
    booking = Booking(batch, WHAT, row.id, row.peer)
    faces = batch.system_balance(DISPUTED, batch.books.categories[found.becomes])
    booking.post(
        Phase.VOID, balance, faces, sum(entries.values()), resident=balance, back=back, grace_days=_GRACE_DAYS
    )  # fmt: skip
    booking.record()
    return row._replace(hold=None)


def check_free(found: Transfer, office: Office, batch: Batch) -> None:
    """Raises Refused(DISPUTED) while a transfer is frozen, or waits to be clawed back by what a dispute came to."""
    for row in disputes.about(batch.conn, Matter.TRANSFER, found.id, found.source):
        if row.is_party(office.me) and (row.state in OPEN or row.hold is not None):
            raise Refused(Reason.DISPUTED, "the transfer is disputed")


def make_way(found: Transfer, office: Office, batch: Batch) -> None:
    """A transfer is clawed back. Raises Refused(DISPUTED) while it is disputed; what a decided dispute still holds is
    released for it, in the same transaction."""
    about = disputes.about(batch.conn, Matter.TRANSFER, found.id, found.source)
    if any(row.state in OPEN and row.is_party(office.me) for row in about):
        raise Refused(Reason.DISPUTED, "the transfer is disputed")
    make_way_again(found, office, batch)


def make_way_again(found: Transfer, office: Office, batch: Batch) -> None:
    """The same after a restore: what was done then is done, whatever is known by now."""
    for row in disputes.about(batch.conn, Matter.TRANSFER, found.id, found.source):
        if row.hold is not None and row.is_party(office.me):
            disputes.change(batch.conn, release(row, office, batch))
