"""JOSE's compact signatures with Ed25519, for credentials that anybody's software can check (RFC 7515, RFC 8037)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from gateway.protocol.errors import Malformed, Unauthentic
from gateway.protocol.suite import SigningKey

_ALGORITHMS = ("EdDSA", "Ed25519")  # one signature under its older and its newer name (RFC 8037, RFC 9864)


class _Registry(jws.JWSRegistry):
    """Ed25519 alone. It is signed under its older name, which more verifiers know; the library would warn of that."""

    def get_alg(self, name: str) -> Any:
        if name not in _ALGORITHMS:
            raise Unauthentic(f"the algorithm {name!r} is not used here")
        return self.algorithms[name]


def sign(header: Mapping[str, Any], payload: bytes, key: SigningKey) -> str:
    """The payload in compact form; the header's `alg` is filled in."""
    private = OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "x": _base64(key.public_key), "d": _base64(key.seed())}
    )
    return jws.serialize_compact({"alg": _ALGORITHMS[0], **header}, payload, private, registry=_Registry())


def read(token: str) -> tuple[Mapping[str, Any], bytes]:
    """Header and payload, unverified. Raises Malformed."""
    try:
        opened = jws.extract_compact(token.encode(), registry=_Registry())
    except (JoseError, ValueError, RecursionError) as e:
        raise Malformed(f"not a credential in JOSE's compact form: {e}") from e
    return opened.protected, opened.payload or b""


def check(token: str, public_key: bytes) -> None:
    """Raises Unauthentic unless this key signed it."""
    public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _base64(public_key)})
    try:
        jws.deserialize_compact(token, public, registry=_Registry())
    except (JoseError, ValueError) as e:
        raise Unauthentic("the signature does not hold: the credential was changed, or never was one") from e


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
