"""Who a resident is, for comparing with one account of another region: a root is kept, sealed, and never a number.

Where an agreement requires it, an offer shows the resident under a key of the two regions, and the destination compares
that with the one account whose address was given. No match, or nothing to compare, is a matter for a clerk.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.protocol import identity
from node.services.office import Office
from node.store.batch import Batch

_NONCE_BYTES = 12


@lru_cache(maxsize=8)
def _keys(secret: bytes) -> tuple[AESGCM, bytes]:
    """What the region's secret is good for here: the key that seals roots, and the private key for its pairs."""
    return AESGCM(hmac.digest(secret, b"identity at rest", "sha256")), hmac.digest(secret, b"identity pairs", "sha256")


def _about(account: int) -> bytes:
    return b"identity of account %d" % account


def seal(account: int, root: bytes, guarded_until: int, office: Office) -> bytes:
    """What is kept of an account's resident."""
    nonce = office.random(_NONCE_BYTES)
    plain = root + guarded_until.to_bytes(4, "big")
    return nonce + _keys(office.redo_secret)[0].encrypt(nonce, plain, _about(account))


def _open(account: int, office: Office, batch: Batch) -> tuple[bytes, int]:
    """Root and guarded-until of an account; nothing and 0 where nothing is kept, or under a secret that is gone."""
    sealed = batch.identity(account)
    if sealed is None:
        return b"", 0
    try:
        plain = _keys(office.redo_secret)[0].decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _about(account))
    except InvalidTag:
        return b"", 0
    return plain[: identity.ROOT_BYTES], int.from_bytes(plain[identity.ROOT_BYTES :], "big")


def is_guarded(account: int, office: Office, batch: Batch) -> bool:
    """Whether the resident is known to be under 14."""
    return _open(account, office, batch)[1] > batch.today


def public_key(office: Office) -> bytes:
    """This region's X25519 key for agreements: 32 bytes, the same as long as its redo secret is."""
    return identity.public_key(_keys(office.redo_secret)[1])


@lru_cache(maxsize=4096)
def _pair_key(private: bytes, public: bytes, agreement: bytes) -> bytes:
    try:
        return identity.pair_key(private, public, agreement)
    except ValueError:
        return b""  # a key that is none: nothing can be compared


def pair_key(office: Office, public: bytes, agreement: bytes) -> bytes:
    """The key in common with the region that has this public key, under an agreement; empty where there is none."""
    return _pair_key(_keys(office.redo_secret)[1], public, agreement)


def shown(account: int, transfer: bytes, key: bytes, office: Office, batch: Batch) -> bytes:
    """What an offer shows of the resident, under the pair's key; empty where there is nothing to show."""
    root = _open(account, office, batch)[0]
    return identity.proof(key, transfer, root) if root and key else b""


def doubted(account: int, transfer: bytes, proof: bytes, key: bytes, office: Office, batch: Batch) -> str:
    """Why a clerk has to look at an offer to this account; empty where it is for the same person."""
    if not proof or not key:
        return "the source shows nothing to compare"
    root = _open(account, office, batch)[0]
    if not root:
        return "no identity is known of this account"
    return "" if identity.matches(key, transfer, root, proof) else "the resident is another at the source"
