"""What follows once a dispute has ended for the claimant: the source of a transfer claws back what was settled, the
issuer of an attestation takes it back.

Not while this region may have done it already and not know: after a restore that waits until it is whole again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from gateway.protocol.attestation import State as Attested
from gateway.protocol.channel import Condition
from gateway.protocol.clawback import State as Asked
from gateway.protocol.dispute import OPEN, Matter, State
from gateway.protocol.standing import Matter as Passage
from gateway.protocol.standing import objection
from gateway.protocol.transfer import State as TransferState
from gateway.protocol.values import Reason
from node.services.attestation import ends as attestation_end
from node.services.clawback import orders as clawing
from node.services.clawback.hop import knows_all
from node.services.command import handles
from node.services.dispute.frozen import find_transfer, release
from node.services.office import Office
from node.store import attestations, clawbacks, disputes
from node.store.batch import Batch, Wishes
from node.store.disputes import Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepDisputes:
    """Ask for what disputes have ended with and nobody has asked for yet."""


def _nothing(command: SweepDisputes, office: Office, wishes: Wishes) -> None:
    """Finds by itself what it looks at."""


@handles(SweepDisputes, _nothing)
def sweep(command: SweepDisputes, office: Office, batch: Batch) -> int:
    """How many were asked for now. What waits for a region that will not answer again is given up."""
    for row in disputes.waiting(batch.conn):
        channel = batch.books.channels.get(row.peer)
        if row.is_party(office.me) and channel is not None and channel.condition is Condition.CLOSED:
            _give_up(row, office, batch)
    rows = disputes.ended(batch.conn, office.me, (State.UPHELD, State.SETTLED))
    return sum(ask_back(row, office, batch) for row in rows)


def _give_up(row: Stored, office: Office, batch: Batch) -> None:
    """The other region is gone, and its channel is closed: nobody can go on, and nothing stays frozen for it."""
    row = release(row, office, batch)
    if row.state in OPEN:
        row = row._replace(
            state=State.REFUSED, reason=int(Reason.REGION_NOT_ACTIVE), pending=None, deadline=0, ended_ms=batch.now_ms
        )
    disputes.change(batch.conn, row)


def ask_back(row: Stored, office: Office, batch: Batch) -> bool:
    """Ask once for what one dispute has ended with. False where that is not for this region to do, or not now."""
    if row.state not in (State.UPHELD, State.SETTLED) or row.whose != office.me or not row.is_party(office.me):
        return False
    if not knows_all(batch):
        return False
    if row.about_kind == Matter.ATTESTATION:
        return _revoke(row, office, batch)
    return row.about_kind == Matter.TRANSFER and _claw_back(row, office, batch)


def _revoke(row: Stored, office: Office, batch: Batch) -> bool:
    found = attestations.find(batch.conn, row.about, row.peer, mine=True)
    if found is None or found.state != Attested.GIVEN:
        return False
    attestation_end.revoke(attestation_end.Revoke(id=row.about, peer=row.peer), office, batch)
    return True


def _claw_back(row: Stored, office: Office, batch: Batch) -> bool:
    if objection(office.roster, office.me, row.peer, Passage.CLAWBACK, batch.today) is not None:
        return False  # asked now it would come to nothing for good, and the points would stay frozen
    id_ = _free_id(row, office, batch)
    if id_ is None:
        return False
    found = find_transfer(row.about, row.whose, batch)
    if found is None or found.state != TransferState.POSTED:
        return False
    return clawing.ask_for_dispute(found, id_, office, batch)


def _free_id(row: Stored, office: Office, batch: Batch) -> bytes | None:
    """The id to ask under; None where that was done. What was refused for the standing of a region is asked anew."""
    for attempt in count():
        id_ = office.public_id("#dispute", f"{row.id.hex()} {attempt}" if attempt else row.id.hex())
        known = clawbacks.find(batch.conn, id_, row.peer, mine=True)
        if known is None:
            return id_
        if known.state is not Asked.REFUSED or known.reason != Reason.REGION_NOT_ACTIVE:
            return None
    return None
