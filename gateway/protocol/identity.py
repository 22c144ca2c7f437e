"""Identity numbers: found where they must not be, and compared between two regions without being shown.

A region never keeps a number. It keeps a root, made slowly from it, which is the same in every region of a federation.
Two regions that have agreed on it prove the root of one resident to each other, for one transfer at a time, under a key
that only the two can make: the proof is good for comparing with one known account, never for looking somebody up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from datetime import date
from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ROOT_BYTES = 32
PROOF_BYTES = 32
GUARDED_UNDER_YEARS = 14
"""Under this age a guardian consents (PIPL 31)."""

_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 64 << 20}  # some 0.1 s and 32 MiB
_LABEL = b"hutong identity v1"


class Doubt(StrEnum):
    """Why no root can be made of what was given: such residents are matched by a clerk."""

    FIFTEEN_DIGITS = "fifteen_digits"  # of the first generation: one number for several people
    FOREIGN = "foreign"  # another kind of document
    MALFORMED = "malformed"


# -- numbers ----------------------------------------------------------------------------------------------------------

# GB 11643-1999: province, city, county, birthday, order, check character. 81-83: residence permits of residents of
# Hong Kong, Macau and Taiwan. 15 digits: GB 11643-1989, the century left out.
_PROVINCE = r"(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|9[1-9])"
_EIGHTEEN = re.compile(rf"(?<!\d){_PROVINCE}\d{{4}}(?:18|19|20)\d{{9}}(?:\d(?!\d)|[Xx])", re.ASCII)
_FIFTEEN = re.compile(rf"(?<!\d){_PROVINCE}\d{{13}}(?!\d)", re.ASCII)
# Ids and digests: by chance one in some ten thousand of them would have 15 digits in a row that say a birthday.
_MADE_BY_MACHINE = re.compile(r"[0-9a-f]{32,}", re.ASCII)
_FOREIGN = re.compile(r"(?=(?:[A-Z]*[0-9]){5})[A-Z]{1,3}[0-9A-Z]{5,14}|9[0-9]{16}[0-9X]", re.ASCII)
_NARROW = {0xFF10 + digit: 0x30 + digit for digit in range(10)} | {0xFF38: "X", 0xFF58: "x"}  # full-width characters
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


def _checks(number: str) -> bool:
    """ISO 7064, MOD 11-2."""
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return _CHECK[total % 11] == number[17].upper()


def _born(digits: str) -> date | None:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def mentions_number(text: str) -> bool:
    """Whether a text has something in it that is an identity number: 18 characters that check, or 15 digits."""
    if len(text) < 15:
        return False
    if not text.isascii():
        text = text.translate(_NARROW)
    text = _MADE_BY_MACHINE.sub(" ", text)
    eighteen = _EIGHTEEN.finditer(text)
    if any(_checks(found[0]) and _born(found[0][6:14]) for found in eighteen):
        return True
    return any(_born("19" + found[0][6:12]) for found in _FIFTEEN.finditer(text))


_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


def bytes_mention_number(data: bytes) -> bool:
    """The same of a JSON text, before it is parsed. Costs next to nothing where there is no long run of digits."""
    plain = b"\\u" not in data and b"\xef\xbc" not in data  # neither escapes nor full-width digits
    if plain and b"0" * 15 not in data.translate(_DIGITS):
        return False
    text = data.decode("utf-8", "replace")
    return mentions_number(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))


def _plain(number: str) -> str:
    return unicodedata.normalize("NFKC", number).strip().upper()


def doubt(number: str) -> Doubt | None:
    """Why no root is made of a number; None where one is."""
    number = _plain(number)
    if re.fullmatch(r"[0-9]{15}", number):
        return Doubt.FIFTEEN_DIGITS if _born("19" + number[6:12]) else Doubt.MALFORMED
    if _FOREIGN.fullmatch(number):
        return Doubt.FOREIGN
    sound = re.fullmatch(r"[0-9]{17}[0-9X]", number) and _checks(number) and _born(number[6:14])
    return None if sound and _EIGHTEEN.fullmatch(number) else Doubt.MALFORMED


def guarded_until(number: str) -> int:
    """The business date yyyymmdd on which whoever has this number turns 14; of a number without doubt."""
    born = int(_plain(number)[6:14])
    turned = born + GUARDED_UNDER_YEARS * 10_000
    # Born on 29 February: 1 March, where that year has none.
    return turned if _born(str(turned)) else turned // 10_000 * 10_000 + 301


# -- comparing --------------------------------------------------------------------------------------------------------


def root(number: str, federation: bytes) -> bytes:
    """What a region keeps instead of a number without doubt: 32 bytes, the same in every region of the federation.

    Slow on purpose: there are few enough numbers to try them all.
    """
    return hashlib.scrypt(_plain(number).encode("ascii"), salt=_LABEL + federation, dklen=ROOT_BYTES, **_SCRYPT)


def public_key(private: bytes) -> bytes:
    """The X25519 public key, as an agreement names it."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def pair_key(private: bytes, public: bytes, agreement: bytes) -> bytes:
    """The key that two regions have in common under an agreement: from one's private and the other's public key.

    Raises ValueError for a public key that is none.
    """
    shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=agreement, info=_LABEL).derive(shared)


def proof(key: bytes, transfer: bytes, root: bytes) -> bytes:
    """What an offer shows of a resident: HMAC-SHA256 under the pair's key, good for this transfer alone."""
    return hmac.digest(key, transfer + root, "sha256")


def matches(key: bytes, transfer: bytes, root: bytes, shown: bytes) -> bool:
    """Whether an offer shows this resident."""
    return hmac.compare_digest(proof(key, transfer, root), shown)
