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
    o = schema.outbox
    found = batch.conn.execute(
        select(o.c.no).where(o.c.peer == transfer.destination, o.c.kind == int(Kind.OFFER), o.c.id == command.id)
    ).first()
    if found is None or transfer.offered is not None or transfer.purpose == Purpose.REVERSAL:
        raise Refused(Reason.WRONG_STATE, "the offer may have been delivered: ask to cancel it, or wait for its answer")
    if batch.conn.scalar(select(schema.history.c.recovering)):
        raise Refused(Reason.WRONG_STATE, "this region was restored: it cannot know yet what was delivered")
    _leave_a_cancel(found.no, transfer.id, office, batch)
    decision = settle(transfer, Kind.REFUSE, int(Reason.CANCELLED), None, batch)
    peer = transfer.destination
    batch.record(journal.Voided(at=batch.now_ms, peer=peer, by=command.by, decisions=[decision], undelivered=True))
    about = json.dumps({"transfer": transfer.id.hex(), "peer": peer, "amount": transfer.amount})
    row = (batch.books.next("act"), "void", about, command.by, command.checked_by, batch.now_ms)
    batch.insert(schema.act, row)
    return placed(transfer)


def _leave_a_cancel(row: int, id_: bytes, office: Office, batch: Batch) -> None:
    """A cancel takes the offer's place: the order of what is said stays, and nobody answers a cancel of nothing."""
    salt = office.salt()
    body = salt + codec.encode_cancel(office.seal_redo(salt, b"", id_))
    columns = ("kind", "body", "category", "amount", "becomes", "arriving")
    bulk.put(batch.conn, schema.outbox, ("no",), columns, [(row, int(Kind.CANCEL), body, "", 0, "", 0)])
