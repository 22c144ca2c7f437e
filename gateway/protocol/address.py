"""Receiving addresses: what a resident obtains at the destination and gives to the source.

    330200-7Q3M9KXW2T5RBV0C-NI
    region  alias             check

The region's six digits, 80 random bits in Crockford's base 32, and two check characters over both (ISO/IEC 7064,
MOD 1271-36), which catch every single wrong character, every swap of neighbours and nearly all other slips. An
address says nothing about the person; no ID-card number crosses a border.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.protocol.errors import Malformed

ALIAS_BYTES = 10
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECK = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Crockford's digits as those that int() reads in base 32.
_BASE_32 = str.maketrans(_CROCKFORD, "0123456789abcdefghijklmnopqrstuv")
_SHAPE = re.compile(r"[0-9]{6}[0-9A-Z]{18}", re.ASCII)
_MISREAD = re.compile(r"[ILOU]")
_MODULUS, _RADIX = 1271, 36


class Address(NamedTuple):
    """A region's code and an alias of 10 bytes that only that region can resolve."""

    region: int
    alias: bytes


def check_characters(text: str) -> str:
    """The two characters that follow `text` (digits and capital letters), ISO/IEC 7064 MOD 1271-36."""
    # The recursion of the standard, r = (r + a) * 36 mod 1271 for each character, is the number in base 36, times 36.
    remainder = int(text, _RADIX) * _RADIX % _MODULUS
    value = (_MODULUS + 1 - remainder * _RADIX % _MODULUS) % _MODULUS
    return _CHECK[value // _RADIX] + _CHECK[value % _RADIX]


def write(address: Address) -> str:
    """The address as a person reads it."""
    number = int.from_bytes(address.alias, "big")
    alias = "".join(_CROCKFORD[number >> shift & 31] for shift in range(75, -1, -5))
    return f"{address.region:06d}-{alias}-{check_characters(f'{address.region:06d}{alias}')}"


def read(text: str) -> Address:
    """The address a person typed: spaces and small letters are forgiven, wrong check characters are not.

    Raises Malformed, saying which part is wrong.
    """
    plain = text.replace("-", "")
    if _SHAPE.fullmatch(plain) is None:
        plain = plain.upper().replace(" ", "").strip()
    if _SHAPE.fullmatch(plain) is None:
        raise Malformed("a receiving address has 6 digits, 16 letters or digits and 2 check characters")
    if _MISREAD.search(plain, 6, 22):
        raise Malformed("a receiving address never contains I, L, O or U; use 1 for I or L, 0 for O")
    if check_characters(plain[:22]) != plain[22:]:
        raise Malformed("the check characters do not fit: a character of the address is wrong or two are swapped")
    return Address(int(plain[:6]), int(plain[6:22].translate(_BASE_32), 32).to_bytes(ALIAS_BYTES, "big"))
