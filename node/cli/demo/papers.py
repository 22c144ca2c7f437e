"""What a region's SQLite file holds besides points: read from outside, as :mod:`node.cli.demo.books` does it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.protocol import codec
from gateway.protocol.agreement.document import Agreement
from gateway.protocol.bodies.agreement import decode_agreement
from gateway.protocol.values import Frame, Kind, Offer, Signed
from node.cli.demo.books import opened


class Paper(NamedTuple):
    """A version that both have signed."""

    digest: bytes
    peer: int
    signed: Signed
    agreement: Agreement


class Authorisation(NamedTuple):
    """Points held at `holder` for a purchase at `counter`."""

    id: bytes
    holder: int
    counter: int
    category: str
    amount: int
    becomes: str
    arriving: int
    rate_p: int
    rate_q: int
    state: int
    reason: int
    captured: int


class Hop(NamedTuple):
    """One request of a clawback, or, where `peer` is the region itself, where it began."""

    id: bytes
    peer: int
    mine: bool
    root: bytes
    transfer: bytes
    category: str
    blocks: int
    recovered: int
    further: int
    owed: int
    state: int


class Claim(NamedTuple):
    """What one owes the other. `mine`: the peer owes it."""

    id: bytes
    peer: int
    cause: int
    category: str
    amount: int
    mine: bool


class Facing(NamedTuple):
    """The book of one category that faces a peer: what left for it, and what came from it."""

    peer: int
    category: str
    left: int
    came: int


class Request(NamedTuple):
    """One request that is no transfer, as one of the two regions keeps it."""

    id: bytes
    peer: int
    mine: bool
    kind: int
    state: int
    reason: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Papers:
    """See the module."""

    region: int
    agreements: list[Paper]
    authorisations: list[Authorisation]
    hops: list[Hop]
    taken: dict[tuple[str, str], int]  # (account, category) -> units that a clawback debited
    redeemed: dict[tuple[str, str], int]  # the same, spent at home
    claims: list[Claim]
    facing: list[Facing]
    requests: list[Request]
    offers: dict[int, list[tuple[Frame, Offer]]]  # by peer: all it was sent
    facts: list[tuple[bytes, int, int, int, int]]  # attestation, peer, kind, value here, value there: recognised
    attested: dict[tuple[bytes, int, bool], int]  # (id, peer, whether it was given here) -> state
    holders: dict[bytes, str]  # authorisation -> whose points they are


def read(region: int, path: Path) -> Papers:
    """All of it, as one committed state."""
    with opened(path) as connection:
        return Papers(
            region=region,
            agreements=_agreements(connection),
            authorisations=[Authorisation(*row) for row in connection.execute(_AUTHORISATIONS)],
            hops=[Hop(*row) for row in connection.execute(_HOPS)],
            taken=_by_account(connection, _TAKEN),
            redeemed=_by_account(connection, _REDEEMED),
            claims=[Claim(*row) for row in connection.execute(_CLAIMS)],
            facing=[Facing(int(name.partition(":")[2]), *row) for name, *row in connection.execute(_FACING)],
            offers=_offers(connection, region),
            requests=[Request(*row) for row in connection.execute(_REQUESTS)],
            facts=list(
                connection.execute("SELECT attestation, peer, kind, value, there FROM recognition ORDER BY kind")
            ),
            attested={(i, p, bool(m)): s for i, p, m, s in connection.execute(_ATTESTED)},
            holders=dict(connection.execute(_HOLDERS).fetchall()),
        )


_AUTHORISATIONS = """
    SELECT id, holder, counter, category, amount, becomes, arriving, rate_p, rate_q, state, reason, captured
    FROM authorisation ORDER BY id"""
_HOPS = """
    SELECT id, peer, mine, root, transfer, category, blocks, recovered, further, owed, state FROM clawback"""
_TAKEN = """
    SELECT a.name, c.code, sum(d.amount) FROM clawback_debit d JOIN balance b ON b.no = d.balance
    JOIN account a ON a.no = b.account JOIN category c ON c.no = b.category GROUP BY 1, 2"""
_REDEEMED = """
    SELECT a.name, c.code, sum(p.amount)
    FROM posting p JOIN balance d ON d.no = p.debit JOIN account a ON a.no = d.account
    JOIN balance k ON k.no = p.credit JOIN account b ON b.no = k.account JOIN category c ON c.no = d.category
    WHERE b.kind = 4 AND a.kind = 1 GROUP BY 1, 2"""
_CLAIMS = "SELECT id, peer, cause, category, amount, mine FROM claim ORDER BY id"
_FACING = """
    SELECT a.name, c.code, b.credits_posted, b.debits_posted
    FROM balance b JOIN category c ON c.no = b.category JOIN account a ON a.no = b.account WHERE a.kind = 3"""
_REQUESTS = "SELECT id, peer, mine, kind, state, reason FROM request"
_FACTS = "SELECT attestation, peer, kind, value, there FROM recognition ORDER BY kind"
_ATTESTED = "SELECT id, peer, mine, state FROM attestation"
_HOLDERS = """
    SELECT u.id, a.name FROM authorisation u JOIN balance b ON b.no = u.balance JOIN account a ON a.no = b.account"""


def _agreements(connection: sqlite3.Connection) -> list[Paper]:
    found = []
    query = "SELECT digest, peer, countersigned FROM agreement WHERE countersigned IS NOT NULL ORDER BY no"
    for digest, peer, both in connection.execute(query):
        signed = codec.decode_signed(both)
        found.append(Paper(digest, peer, signed, decode_agreement(signed.payload)))
    return found


def _by_account(connection: sqlite3.Connection, query: str) -> dict[tuple[str, str], int]:
    return {(name, code): units for name, code, units in connection.execute(query)}


def _offers(connection: sqlite3.Connection, region: int) -> dict[int, list[tuple[Frame, Offer]]]:
    found: dict[int, list[tuple[Frame, Offer]]] = {}
    query = """
        SELECT g.destination, s.frames, b.bodies FROM segment s JOIN log g ON g.no = s.log
        JOIN body b ON b.log = s.log AND b.first = s.first
        WHERE g.source = ? AND g.destination <> 0 ORDER BY g.no, s.first"""
    for peer, frames, bodies in connection.execute(query, (region,)):
        for raw, body in zip(codec.unpack_frames(frames), codec.unpack_bodies(bodies), strict=True):
            frame = codec.decode_frame(raw)
            if frame.kind == Kind.OFFER and body:
                found.setdefault(peer, []).append((frame, codec.decode_offer(body)))
    return found
