"""A peer contradicted itself: the proof is stored, and its channel, no other, is put in quarantine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from gateway.protocol import codec, documents, proof
from gateway.protocol.channel import Channel, Condition, Fork
from node.store import logs, schema
from node.store.batch import Batch

if TYPE_CHECKING:
    from node.services.receive import Receive


def quarantine(command: Receive, channel: Channel, fork: Fork, batch: Batch) -> None:
    """Keep both signed heads and what connects them, and stop this channel until both regions sign a repair."""
    nodes = batch.nodes(command.peer, batch.books.me)
    log = batch.books.logs[command.peer, batch.books.me]
    stored = logs.last_head(batch.conn, log)
    query = select(schema.roster.c.signed).order_by(schema.roster.c.version)
    rosters = [codec.decode_signed(s) for s in batch.conn.scalars(query)]
    if stored is not None:
        found = proof.fork_evidence(
            fork, codec.decode_signed(command.signed), codec.decode_signed(stored), nodes, rosters
        )
        row = (batch.books.next("evidence"), command.peer, batch.now_ms, documents.write(found).encode())
        batch.insert(schema.evidence, row)
    batch.set_channel(replace(channel, condition=Condition.QUARANTINED))
