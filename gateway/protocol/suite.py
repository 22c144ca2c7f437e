"""Keys, suites and signatures (DSSE, https://github.com/secure-systems-lab/dsse, protocol.md).

A suite fixes the tree hash and the signature together. `ed25519-sha256` is the one spoken today; another is added by
registering it in :data:`SUITES`. A suite that the roster does not list for a key is never tried: no downgrade.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.protocol.errors import Unauthentic
from gateway.protocol.values import Signature, Signed

ED25519_SHA256 = "ed25519-sha256"


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: DSSEv1, lengths in ASCII decimal, single spaces."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(public_key: bytes) -> bytes:
    """The hint that names a key: the first 8 bytes of SHA-256 over the raw public key."""
    return hashlib.sha256(public_key).digest()[:8]


def _verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


SUITES: dict[str, Callable[[bytes, bytes, bytes], bool]] = {ED25519_SHA256: _verify_ed25519}
"""Suite name -> verify(public_key, signature, message)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyKey:
    """A public key and the suite it belongs to."""

    suite: str
    public_key: bytes

    @property
    def id(self) -> bytes:
        """See :func:`key_id`."""
        return key_id(self.public_key)

    def verifies(self, signature: Signature, message: bytes) -> bool:
        """Whether this key made the signature under its own suite. False for anything else; never raises."""
        verify = SUITES.get(self.suite)
        return (
            signature.suite == self.suite
            and verify is not None
            and verify(self.public_key, signature.signature, message)
        )


class SigningKey:
    """A private Ed25519 key. Deterministic: equal content gives equal signature bytes."""

    suite = ED25519_SHA256

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = key_id(self.public_key)

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of 32 secret bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def seed(self) -> bytes:
        """The 32 secret bytes, for storage outside the database."""
        return self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    @property
    def verify_key(self) -> VerifyKey:
        """The public half."""
        return VerifyKey(suite=self.suite, public_key=self.public_key)

    def sign(self, payload_type: str, payload: bytes) -> Signed:
        """Sign bytes of a named type."""
        raw = self._private.sign(pre_authentication_encoding(payload_type, payload))
        return Signed(
            payload_type=payload_type,
            payload=payload,
            signatures=(Signature(key_id=self.id, suite=self.suite, signature=raw),),
        )


def signers(signed: Signed, keys: Iterable[VerifyKey]) -> set[bytes]:
    """The public keys among `keys` that made a valid signature of `signed`, each counted once."""
    message = pre_authentication_encoding(signed.payload_type, signed.payload)
    by_id: dict[bytes, list[VerifyKey]] = {}
    for key in keys:
        by_id.setdefault(key.id, []).append(key)
    return {
        key.public_key
        for signature in signed.signatures
        for key in by_id.get(signature.key_id, ())
        if key.verifies(signature, message)
    }


def verify(signed: Signed, keys: Iterable[VerifyKey], payload_type: str) -> bytes:
    """The payload, if it is of `payload_type` and one of `keys` signed it. Raises Unauthentic otherwise."""
    if signed.payload_type != payload_type:
        raise Unauthentic(f"a {payload_type} was expected, not {signed.payload_type!r}")
    if not signers(signed, keys):
        raise Unauthentic(f"no valid key of the sender signed this {payload_type}")
    return signed.payload
