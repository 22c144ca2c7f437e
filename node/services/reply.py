"""Answers: what a region says in its own log about a request in the other."""

from __future__ import annotations

from gateway.protocol import codec
from gateway.protocol.values import Draft, Kind, Reason
from node.ledger.transfers import Transfer
from node.services.office import Office
from node.store.batch import Batch


def answer(
    peer: int, message_id: bytes, reason: Reason | None, redo: bytes, office: Office, batch: Batch,
    transfer: Transfer | None,
) -> int | None:  # fmt: skip
    """Accept (no reason) or refuse in the other log. Returns the answer's number where it is certain already."""
    salt = office.salt()
    sealed = office.seal_redo(salt, redo, message_id)
    if reason is None:
        draft = Draft(Kind.ACCEPT, True, message_id, salt + codec.encode_accept(sealed))
    else:
        draft = Draft(Kind.REFUSE, True, message_id, salt + codec.encode_refuse(reason, sealed))
    return batch.say(peer, draft, transfer)
