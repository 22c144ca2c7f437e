"""Who a resident is, for comparing with one account of another region: a root is kept, sealed, and never a number.

Where an agreement requires it, an offer shows the resident under a key of the two regions, and the destination compares
that with the one account whose address was given. No match, or nothing to compare, is a matter for a clerk.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, select

from gateway.protocol import codec, identity
from gateway.protocol.agreement.in_force import InForce
from gateway.protocol.transfer import State
from node.services.office import Office
from node.store import logs, schema
from node.store.batch import Batch

_NONCE_BYTES = 12


@lru_cache(maxsize=64)
def _keys(secret: bytes, me: int) -> tuple[AESGCM, bytes]:
    """What a region's secret is good for here: the key that seals roots, and the private key for its pairs."""
    private = hmac.digest(secret, b"identity pairs of %d" % me, "sha256")
    return AESGCM(hmac.digest(secret, b"identity at rest of %d" % me, "sha256")), private


def _about(account: int) -> bytes:
    return b"identity of account %d" % account


def seal(account: int, root: bytes, guarded_until: int, office: Office) -> bytes:
    """What is kept of an account's resident."""
    nonce = office.random(_NONCE_BYTES)
    plain = root + guarded_until.to_bytes(4, "big")
    return nonce + _keys(office.redo_secret, office.me)[0].encrypt(nonce, plain, _about(account))


def _open(account: int, sealed: bytes | None, office: Office) -> tuple[bytes, int]:
    """Root and guarded-until of an account; nothing and 0 where nothing is kept, or under a secret that is gone."""
    if sealed is None:
        return b"", 0
    opens, _ = _keys(office.redo_secret, office.me)
    try:
        plain = opens.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _about(account))
    except InvalidTag:
        return b"", 0
    return plain[: identity.ROOT_BYTES], int.from_bytes(plain[identity.ROOT_BYTES :], "big")


def is_guarded(account: int, office: Office, batch: Batch) -> bool:
    """Whether the resident is known to be under 14."""
    return _open(account, batch.identity(account), office)[1] > batch.today


def public_key(office: Office) -> bytes:
    """This region's X25519 key for agreements: 32 bytes, the same as long as its redo secret is."""
    return identity.public_key(_keys(office.redo_secret, office.me)[1])


@lru_cache(maxsize=4096)
def _pair_key(private: bytes, public: bytes, agreement: bytes) -> bytes:
    try:
        return identity.pair_key(private, public, agreement)
    except ValueError:
        return b""  # a key that is none: nothing can be compared


def _key_with(found: InForce | None, peer: int, office: Office) -> bytes | None:
    """The key in common with a peer; None where their agreement does not ask for it, empty where there is none."""
    if found is None or not found.agreement.identity_required:
        return None
    public = found.agreement.pseudonym_key(peer)
    return _pair_key(_keys(office.redo_secret, office.me)[1], public, found.agreement.id)


def shown(account: int, transfer: bytes, destination: int, office: Office, batch: Batch) -> bytes:
    """What an offer shows of the resident; empty where nobody asks for it, or there is nothing to show."""
    key = _key_with(office.agreements.by(destination, batch.today), destination, office)
    if not key:
        return b""
    root = _open(account, batch.identity(account), office)[0]
    return identity.proof(key, transfer, root) if root else b""


def is_same(account: int, transfer: bytes, proof: bytes, source: int, office: Office, batch: Batch) -> bool | None:
    """Whether an offer is for the resident of this account; None where the agreement does not ask for it."""
    key = _key_with(office.agreements.by(source, batch.today), source, office)
    if key is None:
        return None
    return not _doubt(account, batch.identity(account), transfer, proof, key, office)


class Doubt(StrEnum):
    """What a clerk has to clear up."""

    NOTHING_SHOWN = "nothing_shown"  # the source knows no identity, or compares none
    NOTHING_KNOWN = "nothing_known"  # this region knows none of the account
    ANOTHER = "another"  # the resident at the source is somebody else


def _doubt(
    account: int, sealed: bytes | None, transfer: bytes, proof: bytes, key: bytes, office: Office
) -> Doubt | None:
    if not proof or not key:
        return Doubt.NOTHING_SHOWN
    root = _open(account, sealed, office)[0]
    if not root:
        return Doubt.NOTHING_KNOWN
    return None if identity.matches(key, transfer, root, proof) else Doubt.ANOTHER


def doubts(conn: Connection, transfers: Iterable[bytes], office: Office) -> dict[bytes, Doubt]:
    """Of incoming transfers that wait for a clerk, by their ids: whose receiver may be somebody else."""
    t, b, i, log = schema.transfer, schema.balance, schema.identity, schema.log
    query = (
        select(t.c.id, t.c.source, t.c.offered, b.c.account, i.c.sealed, log.c.no)
        .join(b, b.c.no == t.c.balance)
        .outerjoin(i, i.c.account == b.c.account)
        .join(log, (log.c.source == t.c.source) & (log.c.destination == office.me))
        .where(t.c.id.in_(list(transfers)), t.c.state == int(State.IN_REVIEW))
    )
    found = {}
    for row in conn.execute(query):
        key = _key_with(office.agreements.by(row.source), row.source, office)
        if key is None or row.offered is None:
            continue
        body = logs.body_at(conn, row.no, row.offered)
        proof = codec.decode_offer(body).identity if body else b""
        doubt = _doubt(row.account, row.sealed, bytes(row.id), proof, key, office)
        if doubt is not None:
            found[bytes(row.id)] = doubt
    return found
