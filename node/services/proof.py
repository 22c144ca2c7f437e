"""One file that proves a transfer: offer and answer in the logs of both regions, both signed, both received.

Made from the tables alone, in logarithmic time; checked offline by `python -m gateway verify`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from gateway.protocol import codec, merkle
from gateway.protocol.errors import Refused
from gateway.protocol.exhibits import FrameProof, TransferProof
from gateway.protocol.proof import prove_frame
from gateway.protocol.transfer import State
from gateway.protocol.values import Epoch, Head, Log, Reason, Receipt, Signed
from node.services.office import Office
from node.store import logs, schema
from node.store.engine import Store
from node.store.logs import StoredNodes

DECIDED = (State.POSTED, State.VOIDED, State.ACCEPTED, State.REFUSED)


def transfer_proof(store: Store, office: Office, transfer_id: bytes, source: int) -> TransferProof:
    """The proof of the transfer with this id from region `source`, of which this region is one end.

    Raises Refused: TRANSFER_UNKNOWN, or WRONG_STATE, saying what to wait for, while it cannot be proved yet.
    """
    t = schema.transfer
    with store.read() as conn:
        row = conn.execute(select(t).where(t.c.id == transfer_id, t.c.source == source)).first()
        if row is None:
            raise Refused(Reason.TRANSFER_UNKNOWN, f"no transfer from region {source} has this id")
        if row.state not in DECIDED:
            raise Refused(Reason.WRONG_STATE, _undecided(row))
        if row.offered is None or row.answered is None:
            raise _wait_for(row.source, "the answer is decided and has no number yet; wait until it is connected")
        side = _Side(conn, office, row.destination if row.source == office.me else row.source)
        offer = side.frame(row.offered, mine=row.source == office.me)
        answer = side.frame(row.answered, mine=row.source != office.me)
        signed = conn.scalars(select(schema.roster.c.signed).order_by(schema.roster.c.version)).all()
    return TransferProof(offer=offer, answer=answer, rosters=tuple(map(codec.decode_signed, signed)))


def _undecided(row: Any) -> str:
    if row.state == State.IN_REVIEW:
        return "a clerk of this region has not decided the transfer yet; prove it afterwards"
    return f"region {row.destination} has not answered yet; a transfer is proved by its offer and its answer"


def _wait_for(region: int, what: str) -> Refused:
    return Refused(Reason.WRONG_STATE, f"region {region}: {what}")


class _Side:
    """The two logs of the channel with a peer."""

    def __init__(self, conn: Connection, office: Office, peer: int) -> None:
        self._conn, self._office, self._peer = conn, office, peer
        c = schema.channel
        self._channel = conn.execute(select(c).where(c.c.peer == peer)).one()

    def frame(self, number: int, *, mine: bool) -> FrameProof:
        """The proof of one frame. Raises Refused(WRONG_STATE) while the receipt for an own frame has not come."""
        log = self._channel.out_log if mine else self._channel.in_log
        segment = next(logs.segments(self._conn, log, number, 1))
        nodes = StoredNodes(self._conn, log)
        if mine:
            receipt = self._received(log, number)
            said = codec.decode_payload(codec.RECEIPT, receipt.payload)
            assert isinstance(said, Receipt)
            head = self._head(said.size, said.root)
        else:
            receipt, head = self._receipt(log, number), codec.decode_signed(segment.head or b"")
        at = number - segment.first
        bodies = codec.unpack_bodies(segment.bodies or b"")
        body = bodies[at] if at < len(bodies) else b""
        return prove_frame(nodes, number, codec.unpack_frames(segment.frames)[at], body, head, receipt)

    def _head(self, size: int, root: bytes) -> Signed:
        """An own head over a prefix that the peer has receipted: that is final and was never another."""
        office, channel = self._office, self._channel
        head = Head(
            log=office.log_to(self._peer),
            epoch=Epoch(channel.epoch, int.from_bytes(channel.epoch_nonce, "big")),
            first=0,
            first_root=merkle.EMPTY_ROOT,
            size=size,
            root=root,
            suite=office.signing_key.suite,
            roster_version=office.roster.version,
            signed_at_ms=office.clock(),
        )
        return office.signing_key.sign(codec.HEAD, codec.encode_payload(head))

    def _received(self, log: int, number: int) -> Signed:
        """The peer's first receipt over an own frame."""
        row = self._first_receipt(log, number)
        if row is None:
            raise _wait_for(self._peer, "its receipt has not come yet; try again once it is connected")
        return codec.decode_signed(row.signed)

    def _receipt(self, log: int, number: int) -> Signed:
        """The own receipt over a frame of the peer, signed again: equal content gives an equal signature."""
        row = self._first_receipt(log, number)
        assert row is not None, "an own receipt is committed with the frames it is for"
        out: Log = self._office.log_to(self._peer)
        receipt = Receipt(
            log=out.opposite(),
            epoch=Epoch(row.epoch, int.from_bytes(row.nonce, "big")),
            size=row.size,
            root=row.root,
            received_at_ms=row.received_ms,
        )
        return self._office.signing_key.sign(codec.RECEIPT, codec.encode_payload(receipt))

    def _first_receipt(self, log: int, number: int) -> Any:
        r = schema.receipt
        covering = select(r).where(r.c.log == log, r.c.size > number)
        return self._conn.execute(covering.order_by(r.c.size, r.c.epoch).limit(1)).first()
