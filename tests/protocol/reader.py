"""A second reading of SPEC.md, from its text and not from our code: what another team would write first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VECTORS = Path(__file__).parents[2] / "proto" / "vectors"


def vectors(name: str) -> dict[str, Any]:
    """One file of vectors."""
    loaded: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    return loaded


# -- 1.1 ---------------------------------------------------------------------------------------------------------------


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed."""
    name = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(name)).encode(), name, str(len(payload)).encode(), payload])


def is_signed(public_key: bytes, payload_type: str, payload: bytes, signature: bytes) -> bool:
    """Whether this key signed that."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, pae(payload_type, payload))
    except InvalidSignature:
        return False
    return True


def key_id(public_key: bytes) -> bytes:
    """The hint."""
    return sha256(public_key).digest()[:8]


# -- 1.3, 1.4 ----------------------------------------------------------------------------------------------------------


def leaf(frame: bytes) -> bytes:
    """Hash of a frame."""
    return sha256(b"\x00" + frame).digest()


def inner(left: bytes, right: bytes) -> bytes:
    """Hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def cut(count: int) -> int:
    """The largest power of two below the count."""
    k = 1
    while 2 * k < count:
        k *= 2
    return k


def root(leaves: Sequence[bytes]) -> bytes:
    """Root of a tree, straight from its definition."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = cut(len(leaves))
    return inner(root(leaves[:k]), root(leaves[k:]))


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Inclusion proof, straight from RFC 9162, 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = cut(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), root(leaves[k:])]
    return [*path(index - k, leaves[k:]), root(leaves[:k])]


def growth(first: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Consistency proof, straight from RFC 9162, 2.1.4.1."""
    return _growth(first, leaves, True) if first else []


def _growth(first: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root(leaves)]
    k = cut(len(leaves))
    if first <= k:
        return [*_growth(first, leaves[:k], whole), root(leaves[k:])]
    return [*_growth(first - k, leaves[k:], False), root(leaves[:k])]


# -- protobuf ----------------------------------------------------------------------------------------------------------


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values of a serialised message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 1:
            yield number, int.from_bytes(data[at : at + 8], "little")
            at += 8
        else:
            assert wire == 2
            length, at = _varint(data, at)
            yield number, data[at : at + length]
            at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def one(data: bytes, number: int, default: Any = b"") -> Any:
    """The last value of a field that stands once."""
    return dict(fields(data)).get(number, default)


def many(data: bytes, number: int) -> list[Any]:
    """All values of a repeated field."""
    return [value for found, value in fields(data) if found == number]


# -- 6.6 ---------------------------------------------------------------------------------------------------------------


def slices(lots: Sequence[dict[str, Any]], blocks: int, q: int) -> list[dict[str, Any]]:
    """Lots laid in a row, unit by unit, cut into blocks; runs of blocks of one lot together."""
    row = [at for at, lot in enumerate(lots) for _ in range(int(lot["units"]))][: blocks * q]
    runs: list[tuple[list[int], int]] = []
    for start in range(0, blocks * q, q):
        of = sorted(set(row[start : start + q]))
        if runs and len(of) == 1 and runs[-1][0] == of:
            runs[-1] = (of, runs[-1][1] + 1)
        else:
            runs.append((of, 1))
    made = []
    for of, count in runs:
        expires = min(lots[at]["expires"] for at in of)
        provenance: list[Any] = []
        for entry in [p for at in of for p in lots[at]["provenance"]]:
            if entry not in provenance:
                provenance.append(entry)
        made.append({"blocks": str(count), "expires": 0 if expires == 99991231 else expires, "provenance": provenance})
    return made


# -- 7 -----------------------------------------------------------------------------------------------------------------

BASE_32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE_36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def why_no_address(text: str) -> str:
    """What is wrong with an address first; "" if nothing is."""
    plain = "".join(c for c in text.upper() if c not in " -")
    if len(plain) != 24:
        return "length"
    if any(c not in "0123456789" for c in plain[:6]):
        return "region"
    if any(c not in BASE_32 for c in plain[6:22]) or any(c not in BASE_36 for c in plain[22:]):
        return "alphabet"
    total = sum(BASE_36.index(c) * 36**i for i, c in enumerate(reversed(plain)))
    return "" if total % 1271 == 1 else "check"


def alias(text: str) -> bytes:
    """The alias of a good address."""
    plain = "".join(c for c in text.upper() if c not in " -")
    number = 0
    for c in plain[6:22]:
        number = number * 32 + BASE_32.index(c)
    return number.to_bytes(10, "big")
