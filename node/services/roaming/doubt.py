"""What a frame of a peer has moved of a purchase away from home: for claims, where the frame turns out not to count."""

from __future__ import annotations

from typing import NamedTuple

from gateway.protocol.roaming import State
from gateway.protocol.values import Frame, Kind
from node.services import topics
from node.store import authorisations as store
from node.store.batch import Batch

_CAPTURED = (State.CAPTURED, State.PART_CAPTURED)


class Moved(NamedTuple):
    """So much of one authorisation, as this region's books show it."""

    id: bytes
    category: str
    amount: int


def moved(peer: int, frame: Frame, number: int, batch: Batch) -> Moved | None:
    """What left because of this very capture, or was redeemed because of this acceptance of one."""
    me = batch.books.me
    if frame.kind == Kind.CAPTURE and not frame.reply:
        asked = topics.find(batch, frame.id, peer, mine=False)
        if asked is not None and asked.number == number and asked.state == topics.RequestState.ACCEPTED:
            found = store.find(batch.conn, asked.subject, peer)
            return Moved(found.id, found.category, found.captured) if found is not None else None
    if frame.kind == Kind.ACCEPT and frame.reply:
        asked = topics.find(batch, frame.id, peer, mine=True)
        if asked is not None and asked.kind == Kind.CAPTURE and asked.state == topics.RequestState.ACCEPTED:
            found = store.find(batch.conn, asked.subject, me)
            if found is not None and found.state in _CAPTURED:
                return Moved(found.id, found.becomes, found.captured // found.rate_q * found.rate_p)
    return None
