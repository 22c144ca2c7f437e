"""What a dispute names, as this region holds it: whether it is there, and what follows from the end.

What has to go back goes back by a clawback, and what is not there any more becomes a claim on both sides.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from gateway.protocol.attestation import State as Attested
from gateway.protocol.dispute import Matter, Opening, Record, State
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State as TransferState
from gateway.protocol.values import Purpose, Reason
from node.ledger import journal
from node.ledger.transfers import Transfer
from node.services import claim, offer
from node.services.dispute.frozen import find_transfer, release
from node.services.office import Office
from node.store import attestations, authorisations, clawbacks, disputes, schema
from node.store.batch import Batch
from node.store.disputes import Stored

WINDOW_DAYS = 30
"""How long after it happened something can be disputed, where no agreement says otherwise."""
_DAY_MS = 86_400_000


class Known(NamedTuple):
    """What there is to dispute. Amounts in the smallest unit of a category of the region whose it is."""

    category: str
    amount: int  # at most
    block: int  # only multiples of it
    since_ms: int | None  # when it happened; None = it is still under way


def look(opening: Opening, by: int, peer: int, office: Office, batch: Batch) -> Known:
    """What a first step names. Raises Refused: TRANSFER_UNKNOWN, WRONG_STATE for what is settled."""
    if opening.region not in (office.me, peer):
        raise Refused(Reason.TRANSFER_UNKNOWN, "it belongs to neither of the two regions")
    match opening.matter:
        case Matter.TRANSFER:
            return _transfer(opening, peer, office, batch)
        case Matter.AUTHORISATION:
            return _authorisation(opening, peer, office, batch)
        case Matter.ATTESTATION:
            return _attestation(opening, peer, office, batch)
        case Matter.CLAIM:
            return _claim(opening, by, peer, office, batch)
        case Matter.CLAWBACK:
            return _clawback(opening, peer, office, batch)
    raise Refused(Reason.TRANSFER_UNKNOWN, "nothing of this kind is disputed here")


def check(opening: Opening, by: int, peer: int, days: int, office: Office, batch: Batch) -> None:
    """Whether it can be disputed now, so. `days`: the window. Raises Refused, lowest reason first."""
    known = look(opening, by, peer, office, batch)
    if opening.amount > known.amount or opening.amount % known.block:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, f"at most {known.amount}, in multiples of {known.block}")
    if opening.category != known.category:
        raise Refused(Reason.TERMS_DIFFER, f"it is of {known.category!r}")
    before = disputes.about(batch.conn, Matter(opening.matter), opening.id, opening.region)
    before = [row for row in before if row.is_party(office.me)]
    if any(row.state in (State.UPHELD, State.REJECTED, State.SETTLED) for row in before):
        raise Refused(Reason.WRONG_STATE, "it was disputed before, and that is decided")
    if known.since_ms is not None and batch.now_ms > known.since_ms + days * _DAY_MS:
        raise Refused(Reason.TOO_LATE, f"it can be disputed for {days} days")
    if any(row.state < State.UPHELD for row in before):
        raise Refused(Reason.DISPUTED, "it is disputed already")


def _transfer(opening: Opening, peer: int, office: Office, batch: Batch) -> Known:
    found = find_transfer(opening.id, opening.region, batch)
    if found is None or {found.source, found.destination} != {office.me, peer}:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no transfer between the two has this id")
    if found.state in (TransferState.VOIDED, TransferState.REFUSED) or found.purpose == Purpose.REVERSAL:
        raise Refused(Reason.WRONG_STATE, "the transfer came to nothing, or takes another back")
    if _came_back(opening.id, batch):
        raise Refused(Reason.WRONG_STATE, "the transfer was reversed already")
    if found.state == TransferState.ACCEPTED and not _is_final(found, batch):
        raise Refused(Reason.WRONG_STATE, "its source does not know yet that it was accepted: open it again")
    asked = clawbacks.of_transfer(batch.conn, found.id, peer, mine=found.source == office.me)
    left = found.amount - sum(row.blocks for row in asked) * found.rate_q
    if not left:
        raise Refused(Reason.WRONG_STATE, "all of the transfer was clawed back already, or is claimed")
    return Known(found.category, left, found.rate_q, found.decided_ms)


def _came_back(id_: bytes, batch: Batch) -> bool:
    t = schema.transfer
    gone = (TransferState.HELD, TransferState.POSTED, TransferState.ACCEPTED, TransferState.IN_REVIEW)
    query = select(t.c.no).where(t.c.cites == id_, t.c.state.in_([int(state) for state in gone]))
    return batch.conn.scalar(query) is not None or any(
        other.cites == id_ and other.state in gone for other in batch.transfers.values()
    )


def _is_final(found: Transfer, batch: Batch) -> bool:
    """Whether the source is known to hold the acceptance: until then the credit is provisional."""
    return found.answered is not None and found.answered < batch.final.get(found.source, 0)


def _authorisation(opening: Opening, peer: int, office: Office, batch: Batch) -> Known:
    counter = peer if opening.region == office.me else office.me
    found = authorisations.find(batch.conn, opening.id, counter)
    if found is None or found.holder != opening.region:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no authorisation between the two has this id")
    if not found.captured or found.ended_ms is None:
        raise Refused(Reason.WRONG_STATE, "nothing was captured of it")
    return Known(found.category, found.captured, 1, found.ended_ms)


def _attestation(opening: Opening, peer: int, office: Office, batch: Batch) -> Known:
    found = attestations.find(batch.conn, opening.id, peer, mine=opening.region == office.me)
    if found is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no attestation between the two has this id")
    if found.state not in (Attested.GIVEN, Attested.RECOGNISED) or found.expires <= batch.today:
        raise Refused(Reason.WRONG_STATE, "nothing is attested, or not any more")
    return Known("", 0, 1, None)


def _claim(opening: Opening, by: int, peer: int, office: Office, batch: Batch) -> Known:
    found = claim.find(batch, peer, opening.cause, opening.id)
    if found is None or (office.me if found.mine else peer) != opening.region:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no claim between the two has this cause and id")
    if found.state != claim.ClaimState.OPEN:
        raise Refused(Reason.WRONG_STATE, "the claim is settled, or was withdrawn")
    if by == opening.region:
        raise Refused(Reason.WRONG_STATE, "whoever is owed withdraws a claim, and does not dispute it")
    return Known(found.category, found.amount, 1, None)


def _clawback(opening: Opening, peer: int, office: Office, batch: Batch) -> Known:
    c = schema.clawback
    asked = (c.c.id == opening.id, c.c.peer == peer, c.c.mine == (opening.region == office.me))
    found = batch.conn.execute(select(c).where(*asked)).first()
    back = find_transfer(bytes(found.transfer), opening.region, batch) if found is not None else None
    if found is None or back is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no clawback between the two has this id")
    if found.answered_ms is None or found.reason:
        raise Refused(Reason.WRONG_STATE, "the clawback is under way, or came to nothing")
    blocks = found.recovered + found.further + found.owed
    return Known(back.category, blocks * back.rate_q, back.rate_q, found.answered_ms)


# -- what follows ----------------------------------------------------------------------------------------------------


def conclude(row: Stored, record: Record, office: Office, batch: Batch) -> Stored:
    """A dispute in which this region is a party has ended. Returns the row as it is kept.

    What then has to be asked of the other party, the one whose it is asks for: :mod:`node.services.dispute.ends`.
    """
    if not record.settled and not (record.state is State.UPHELD and row.about_kind == Matter.ATTESTATION):
        return release(row, office, batch)
    match row.about_kind:
        case Matter.TRANSFER:
            return _send_back(row, record, office, batch)
        case Matter.CLAIM:
            _reduce(row, record, batch)
        case Matter.AUTHORISATION | Matter.CLAWBACK:
            owed_here = record.claimant == office.me
            claim.keep(
                batch, row.peer, claim.Cause.DISPUTE, row.id, row.category, record.settled, "dispute", mine=owed_here
            )
    return row


def _send_back(row: Stored, record: Record, office: Office, batch: Batch) -> Stored:
    """The source claws back as many blocks as were settled for (:mod:`node.services.dispute.ends`); until it does, the
    destination keeps them frozen. What was not accepted yet is refused, all of it."""
    found = find_transfer(row.about, row.whose, batch)
    if found is None:
        return row
    if found.state == TransferState.IN_REVIEW:
        decision = offer.refuse(found, Reason.DISPUTED, found.offered or 0, office, batch)
        batch.record(journal.Reviewed(at=batch.now_ms, peer=found.source, by="#dispute", decision=decision))
        return row
    # Less than a block cannot go back: nobody would ever ask for it.
    return row if record.settled >= found.rate_q else release(row, office, batch)


def _reduce(row: Stored, record: Record, batch: Batch) -> None:
    """The debtor was right about so much: the claim is withdrawn, and what is left of it stands in its place."""
    opening = record.opening
    found = claim.find(batch, row.peer, opening.cause, opening.id)
    if found is None or found.state != claim.ClaimState.OPEN:
        return
    claim.end(batch, found.no, claim.ClaimState.WITHDRAWN)
    if left := found.amount - record.settled:
        claim.keep(batch, row.peer, claim.Cause.DISPUTE, row.id, found.category, left, "dispute", mine=found.mine)
