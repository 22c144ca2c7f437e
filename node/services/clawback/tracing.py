"""Where points of certain lots went: what of them is still there, which transfers took them, what is not settled yet.

Read from the residents' own histories, which are short, and not from tables of everybody's postings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from gateway.protocol import codec
from gateway.protocol.clawback import Take
from gateway.protocol.transfer import Source, State, cut_blocks
from gateway.protocol.values import Purpose
from node.ledger.accounts import RECOVERY
from node.ledger.lots import RECOVERED, Lot, is_clear, is_return, provenance_of
from node.ledger.postings import Phase
from node.ledger.transfers import Transfer
from node.store import bulk, clawbacks, logs, schema
from node.store.batch import Batch


class View(NamedTuple):
    """Everything that ever happened to the lots of some balances."""

    lots: dict[int, Lot]
    entries: dict[int, list[tuple[int, int]]]  # posting -> (lot, units)
    holds: list[clawbacks.Posted]
    repaid: list[clawbacks.Posted]  # what went back to the region that had advanced it after a restore
    transfers: dict[int, Transfer]  # those that took from these balances, by number


class Moved(NamedTuple):
    """An accepted outgoing transfer, and what it took from each lot, in the order in which its offer was cut."""

    transfer: Transfer
    takes: list[Take]


class Traced(NamedTuple):
    """Where the units of some lots are now."""

    here: list[Lot]  # with something left, first-expiring first
    moved: list[Moved]
    settled: bool  # False: something is held or on its way back, and may be here or gone later


def view(batch: Batch, balances: Collection[int]) -> View:
    """Look at these balances."""
    batch.load_lots(balances)
    postings = clawbacks.histories(batch, balances)
    entries = batch.lot_entries([posted.no for posted in postings])
    touched: dict[int, set[int]] = {balance: set() for balance in balances}
    for posted in postings:
        touched[posted.balance].update(lot for lot, _ in entries[posted.no])
    lots: dict[int, Lot] = {}
    for balance, numbers in touched.items():
        batch.load_lots_by_no(balance, sorted(numbers))
        lots |= batch.lots_of(balance)
    holds = [posted for posted in postings if posted.phase == Phase.HOLD]
    advanced = {no for (name, _), no in batch.books.system.items() if name == RECOVERY}
    repaid = [posted for posted in postings if posted.credit in advanced]
    transfers = batch.transfers_by_no({posted.transfer for posted in holds if posted.transfer is not None})
    return View(lots, entries, holds, repaid, transfers)


def brought(seen: View, transfer: Transfer) -> list[Lot]:
    """The lots an incoming transfer brought, in the order of the slices of its offer."""
    own = [lot for lot in seen.lots.values() if lot.transfer == transfer.no and lot.clears_peer is not None]
    return sorted(own, key=lambda lot: lot.no)


def trace(seen: View, tainted: Iterable[int], batch: Batch) -> Traced:
    """Follow the units of these lots."""
    marked = _with_returns(seen, set(tainted))
    left = [seen.lots[no] for no in marked if seen.lots[no].remaining]
    here = [lot for lot in left if is_clear(lot, batch.final)]
    settled = len(here) == len(left) and not _is_returning(marked, batch)
    stood_in = _stood_in(seen, marked)
    took = [
        posted for posted in seen.holds if any(lot in marked or lot in stood_in for lot, _ in seen.entries[posted.no])
    ]
    if clawbacks.still_held(batch.conn, [posted.no for posted in took if posted.transfer is None]):
        settled = False
    out = [seen.transfers[posted.transfer] for posted in took if posted.transfer is not None]
    back = _sent_back([transfer for transfer in out if transfer.state == State.POSTED], batch)
    moved = []
    for transfer in sorted(out, key=lambda transfer: transfer.no):
        if transfer.state == State.HELD:
            settled = False
        elif transfer.state == State.POSTED and transfer.purpose != Purpose.REVERSAL and transfer.id not in back:
            moved.append(Moved(transfer, _takes(seen, transfer, marked, stood_in)))
    return Traced(sorted(here, key=lambda lot: (lot.expires, lot.no)), moved, settled)


def _with_returns(seen: View, marked: set[int]) -> set[int]:
    """Also what came back from a hold as a lot of its own, its own lot having expired meanwhile."""
    returns = [lot for lot in seen.lots.values() if is_return(lot) and lot.no not in marked]
    while True:
        more = {lot.no for lot in returns if any(_is_of(seen, lot, seen.lots[no]) for no in marked)} - marked
        if not more:
            return marked
        marked |= more


def _is_of(seen: View, came: Lot, from_: Lot) -> bool:
    if came.balance != from_.balance or provenance_of(came) != provenance_of(from_):
        return False
    transfer = seen.transfers.get(came.transfer or 0)  # no hold of a transfer: its provenance tells
    return transfer is None or any(no == from_.no for no, _ in seen.entries.get(transfer.hold or 0, ()))


def _is_returning(marked: set[int], batch: Batch) -> bool:
    """Whether a reversal brings units back into one of these lots, and its source is not known to hold that yet."""
    waiting = (credit.returning for run in batch.books.uncleared.values() for credit in run)
    return any(lot in marked for returning in waiting for lot, _ in returning)


def _sent_back(transfers: list[Transfer], batch: Batch) -> set[bytes]:
    """Which of these were reversed."""
    ids = {transfer.id for transfer in transfers}
    return {back.cites for back in _citing(ids, batch) if back.state == State.ACCEPTED and back.cites is not None}


def return_of(original: Transfer, batch: Batch) -> Transfer | None:
    """The transfer by which this region sends an incoming one back, unless that was refused."""
    for back in _citing({original.id}, batch):
        if back.source == batch.books.me and back.state in (State.HELD, State.POSTED):
            return back
    return None


def _citing(ids: set[bytes], batch: Batch) -> list[Transfer]:
    """The transfers that take one of these back, whatever became of them."""
    numbers = bulk.select_in(batch.conn, schema.transfer, ("no",), "cites", ids, where="cites IS NOT NULL")
    batch.transfers_by_no([no for (no,) in numbers])
    return [back for back in batch.transfers.values() if back.cites in ids]


def _stood_in(seen: View, marked: set[int]) -> dict[int, int]:
    """After a restore the region may have advanced what these lots then repaid: what was done with it was done with
    them. Advanced lot -> how many of its units stand for such."""
    held: dict[int, int] = {}  # advanced lot -> what holds took from it and did not give to others yet
    for posted in seen.holds if seen.repaid else ():
        for no, units in seen.entries[posted.no]:
            if seen.lots[no].because == RECOVERED and seen.lots[no].transfer is None:
                held[no] = held.get(no, 0) + units
    found: dict[int, int] = {}
    for posted in seen.repaid:
        units = sum(units for lot, units in seen.entries[posted.no] if lot in marked)
        for no in sorted(held):
            if seen.lots[no].balance == posted.balance and (part := min(units, held[no])):
                found[no] = found.get(no, 0) + part
                held[no] -= part
                units -= part
    return found


def _takes(seen: View, transfer: Transfer, marked: set[int], stood_in: dict[int, int]) -> list[Take]:
    entries = [(seen.lots[no], units) for no, units in seen.entries[transfer.hold or 0]]
    entries.sort(key=lambda entry: (entry[0].expires, entry[0].no))
    takes = []
    for lot, units in entries:
        tainted = units if lot.no in marked else min(units, stood_in.get(lot.no, 0))
        if lot.no in stood_in:
            stood_in[lot.no] -= tainted
        takes.append(Take(units, tainted))
    return takes


def slices_of(seen: View, transfer: Transfer, reader: logs.Reader) -> list[int]:
    """The blocks of each slice of an offer of this region: as it was said, or, where that was erased, as it was cut."""
    body = reader.body(transfer.offered) if transfer.offered is not None else b""
    if body:
        return [each.blocks for each in codec.decode_offer(body).slices]
    entries = sorted(seen.entries[transfer.hold or 0], key=lambda entry: (seen.lots[entry[0]].expires, entry[0]))
    sources = [Source(no, units, seen.lots[no].expires, provenance_of(seen.lots[no])) for no, units in entries]
    slices, _ = cut_blocks(sources, transfer.amount // transfer.rate_q, transfer.rate_q)
    return [each.blocks for each in slices]
