"""A consent is withdrawn, or ends: that stops what is new, and leaves what is done.

An offer that has not left is taken back; one that has, and is undecided, is asked to be refused.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select, update

from gateway.protocol import codec, limits
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Kind, Reason
from node.ledger.transfers import Transfer
from node.services.command import handles
from node.services.office import Office, digest_of
from node.services.transfer import Cancel, cancel
from node.services.void import take_back, undelivered
from node.store import consents, logs, schema
from node.store.batch import Batch, Wishes
from node.store.consents import ConsentRow

BY = "#consent"
"""Who the journal says has taken an offer back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WithdrawConsent:
    """The resident no longer agrees."""

    id: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawn:
    """From when it no longer holds, and what became of transfers under way: taken back, or asked to be refused."""

    reference: str
    withdrawn_ms: int
    taken_back: tuple[str, ...] = ()
    cancelling: tuple[str, ...] = ()


def _withdraw_wishes(command: WithdrawConsent, office: Office, wishes: Wishes) -> None:
    wishes.consents.add(command.id)


@handles(WithdrawConsent, _withdraw_wishes)
def withdraw(command: WithdrawConsent, office: Office, batch: Batch) -> Withdrawn:
    """Again is answered alike, with nothing more to do. Raises Refused(CONSENT_NOT_VALID) for one that is not here."""
    row = batch.consent(command.id)
    if row is None:
        raise Refused(Reason.CONSENT_NOT_VALID, "no consent has this reference")
    found = ConsentRow._make(row)
    if found.withdrawn_ms is not None:
        return Withdrawn(reference=command.id.hex(), withdrawn_ms=found.withdrawn_ms)
    return end(found, office, batch)


def end(found: ConsentRow, office: Office, batch: Batch) -> Withdrawn:
    """It no longer holds from now on."""
    c = schema.consent
    batch.conn.execute(update(c).where(c.c.id == found.id).values(withdrawn_ms=batch.now_ms))
    batch.consents[found.id] = found._replace(withdrawn_ms=batch.now_ms)
    taken_back, cancelling = [], []
    recovering = batch.conn.scalar(select(schema.history.c.recovering))
    for transfer in _under_way(found, office, batch):
        waits = None if recovering else undelivered(transfer, batch)
        if waits is not None:
            take_back(waits, transfer, Reason.CONSENT_NOT_VALID, BY, office, batch)
            taken_back.append(transfer.id.hex())
            continue
        with suppress(Refused):  # a region that hears nothing any more
            cancel(Cancel(id=transfer.id), office, batch)
            cancelling.append(transfer.id.hex())
    return Withdrawn(
        reference=found.id.hex(), withdrawn_ms=batch.now_ms, taken_back=tuple(taken_back), cancelling=tuple(cancelling)
    )


def _under_way(found: ConsentRow, office: Office, batch: Batch) -> list[Transfer]:
    """The transfers under this consent that wait for an answer, those of this very batch included."""
    since = found.at_ms - limits.CLOCK_SKEW_MS  # a clock may have been set back
    ids = consents.held_since(batch.conn, office.me, found.account, found.recipient, since)
    ids += [w.draft.id for w in batch.waiting.get(found.recipient, ()) if w.draft.kind == Kind.OFFER]
    asked = {digest_of("cancel", id_.hex()) for id_ in ids}
    batch.load(Wishes(transfers=set(ids), outcomes=asked))
    transfers = [batch.transfers[id_, office.me] for id_ in dict.fromkeys(ids)]
    reference = found.id.hex()
    return [t for t in transfers if t.state == State.HELD and _named(t, office, batch) == reference]


def _named(transfer: Transfer, office: Office, batch: Batch) -> str:
    """The consent that the offer of a hold names; empty where it cannot be read any more."""
    body = next((w.draft.body for w in batch.waiting.get(transfer.destination, ()) if w.draft.id == transfer.id), b"")
    o = schema.outbox
    if not body and transfer.offered is not None:
        body = logs.body_at(batch.conn, batch.books.logs[office.me, transfer.destination], transfer.offered)
    elif not body:
        kept = select(o.c.body).where(
            o.c.peer == transfer.destination, o.c.kind == int(Kind.OFFER), o.c.id == transfer.id
        )
        body = batch.conn.scalar(kept) or b""
    try:
        return codec.decode_offer(body).consent if body else ""
    except Malformed:
        return ""
