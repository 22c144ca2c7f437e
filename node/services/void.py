"""An operator takes back an offer that was never delivered: two people, and only while it waits to be numbered."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select

from gateway.protocol import codec
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Kind, Purpose, Reason
from node.errors import BadInput
from node.ledger import journal
from node.ledger.transfers import Transfer
from node.services.command import handles
from node.services.office import Office
from node.services.transfer import Placed, placed, settle
from node.store import bulk, schema
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class VoidUndelivered:
    """Give the points of an undelivered offer back to the resident. `by` made the decision, `checked_by` agreed."""

    id: bytes
    by: str
    checked_by: str


def _wishes(command: VoidUndelivered, office: Office, wishes: Wishes) -> None:
    wishes.transfers.add(command.id)


@handles(VoidUndelivered, _wishes)
def void_undelivered(command: VoidUndelivered, office: Office, batch: Batch) -> Placed:
    """Raises BadInput unless two people did it, Refused: TRANSFER_UNKNOWN, or WRONG_STATE where it may be delivered.

    What waits in the outbox has never left, unless this database is older than what this region has said since.
    """
    if not command.by or not command.checked_by or command.by == command.checked_by:
        raise BadInput("two people void a transfer: name who decided it and who checked it")
    transfer = batch.transfers.get((command.id, office.me))
    if transfer is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no outgoing transfer has this id")
    if transfer.state == State.VOIDED and transfer.reason == Reason.CANCELLED and transfer.answered is None:
        return placed(transfer)
    if transfer.state != State.HELD:
        raise Refused(Reason.WRONG_STATE, f"the transfer is {State(transfer.state).name.lower()} already")
    row = undelivered(transfer, batch)
    if row is None:
        raise Refused(Reason.WRONG_STATE, "the offer may have been delivered: ask to cancel it, or wait for its answer")
    if batch.conn.scalar(select(schema.history.c.recovering)):
        raise Refused(Reason.WRONG_STATE, "this region was restored: it cannot know yet what was delivered")
    take_back(row, transfer, Reason.CANCELLED, command.by, office, batch)
    about = json.dumps({"transfer": transfer.id.hex(), "peer": transfer.destination, "amount": transfer.amount})
    act = (batch.books.next("act"), "void", about, command.by, command.checked_by, batch.now_ms)
    batch.insert(schema.act, act)
    return placed(transfer)


def undelivered(transfer: Transfer, batch: Batch) -> int | None:
    """The row of the outbox in which the offer of a hold waits; None where it may have left, or grants a reversal."""
    if transfer.offered is not None or transfer.purpose == Purpose.REVERSAL:
        return None
    o = schema.outbox
    return batch.conn.scalar(
        select(o.c.no).where(o.c.peer == transfer.destination, o.c.kind == int(Kind.OFFER), o.c.id == transfer.id)
    )


def take_back(row: int, transfer: Transfer, reason: Reason, by: str, office: Office, batch: Batch) -> None:
    """Give the points of an offer back that waits in this row of the outbox, and can therefore never arrive.

    Not while the region recovers: what it has said since the backup it does not know.
    """
    _leave_a_cancel(row, transfer.id, office, batch)
    decision = settle(transfer, Kind.REFUSE, int(reason), None, batch)
    peer = transfer.destination
    batch.record(journal.Voided(at=batch.now_ms, peer=peer, by=by, decisions=[decision], undelivered=True))


def _leave_a_cancel(row: int, id_: bytes, office: Office, batch: Batch) -> None:
    """A cancel takes the offer's place: the order of what is said stays, and nobody answers a cancel of nothing."""
    salt = office.salt()
    body = salt + codec.encode_cancel(office.seal_redo(salt, b"", id_))
    columns = ("kind", "body", "category", "amount", "becomes", "arriving")
    bulk.put(batch.conn, schema.outbox, ("no",), columns, [(row, int(Kind.CANCEL), body, "", 0, "", 0)])
