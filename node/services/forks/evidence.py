"""A peer contradicted itself, or me: the proof is stored, and its channel, no other, is put in quarantine."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import Connection, select

from gateway.protocol import codec, contradictions, documents
from gateway.protocol.channel import Channel, Condition, Fork
from gateway.protocol.contradictions import Evidence
from gateway.protocol.errors import Malformed
from gateway.protocol.exhibits import ForkEvidence, ReceiptEvidence
from gateway.protocol.values import Head, Signed
from node.services.office import Office
from node.store import logs, schema
from node.store.batch import Batch

if TYPE_CHECKING:
    from node.services.receive import Receive

log = structlog.get_logger(__name__)


class Stored(NamedTuple):
    """One file of evidence."""

    digest: bytes  # SHA-256 of the file: what a repair names
    peer: int
    at_ms: int
    file: bytes


def quarantine(command: Receive, channel: Channel, fork: Fork, batch: Batch) -> None:
    """Keep both signed heads and what connects them, and stop this channel until both regions sign a repair."""
    stored = logs.last_head(batch.conn, batch.books.logs[command.peer, batch.books.me])
    found = contradictions.fork_evidence(
        fork,
        codec.decode_signed(command.signed),
        codec.decode_signed(stored) if stored is not None else None,
        batch.nodes(command.peer, batch.books.me),
        rosters(batch.conn),
    )
    keep(command.peer, documents.write(found).encode(), batch)
    stop(channel, batch)


def deny(channel: Channel, receipt: bytes, office: Office, batch: Batch) -> None:
    """Keep a signed receipt that is not for a prefix of my log, with a head of mine over it, and stop this channel."""
    head = Head(
        log=channel.out,
        epoch=channel.epoch,
        first=channel.size,
        first_root=channel.out_frontier.root(),
        size=channel.size,
        root=channel.out_frontier.root(),
        suite=office.signing_key.suite,
        roster_version=office.roster.version,
        signed_at_ms=batch.now_ms,
    )
    found = contradictions.receipt_evidence(
        codec.decode_signed(receipt),
        office.signing_key.sign(codec.HEAD, codec.encode_payload(head)),
        batch.nodes(batch.books.me, channel.peer),
        rosters(batch.conn),
    )
    keep(channel.peer, documents.write(found).encode(), batch)
    stop(channel, batch)


def stop(channel: Channel, batch: Batch) -> None:
    """Seal and apply nothing more on this channel. What waits for it waits in the outbox."""
    batch.set_channel(replace(channel, condition=Condition.QUARANTINED, ready=False, peer_open=False))


def keep(peer: int, file: bytes, batch: Batch) -> bytes:
    """Store a file of evidence; its digest."""
    digest = sha256(file).digest()
    log.error("evidence_kept", peer=peer, evidence=digest.hex())
    batch.insert(schema.evidence, (batch.books.next("evidence"), peer, batch.now_ms, file))
    return digest


def rosters(conn: Connection) -> list[Signed]:
    """Every roster since version 1: what a stranger needs to check a signature."""
    query = select(schema.roster.c.signed).order_by(schema.roster.c.version)
    return [codec.decode_signed(signed) for signed in conn.scalars(query)]


def listing(conn: Connection, peer: int | None = None) -> list[Stored]:
    """The stored evidence, oldest first. There is little: a channel in quarantine is not judged any more."""
    e = schema.evidence
    query = select(e.c.peer, e.c.at_ms, e.c.file).order_by(e.c.no)
    if peer is not None:
        query = query.where(e.c.peer == peer)
    return [Stored(sha256(r.file).digest(), r.peer, r.at_ms, r.file) for r in conn.execute(query)]


def digests(conn: Connection) -> dict[int, list[str]]:
    """Per peer, the digests of what is stored, oldest first."""
    found: dict[int, list[str]] = {}
    for stored in listing(conn):
        found.setdefault(stored.peer, []).append(stored.digest.hex())
    return found


def find(conn: Connection, digest: bytes, peer: int | None = None) -> Stored | None:
    """The evidence with this digest."""
    return next((found for found in listing(conn, peer) if found.digest == digest), None)


def read(file: bytes) -> Evidence:
    """A file of evidence as a value; nothing is verified here. Raises Malformed or TooLarge."""
    document = documents.read(file.decode("utf-8", "replace"))
    if not isinstance(document, ForkEvidence | ReceiptEvidence):
        raise Malformed("a document of the federation, but no evidence of a contradiction")
    return document
