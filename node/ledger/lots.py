"""Points are granted in lots and spent first-expiring first.

A lot is spendable when something remains of it, it has not expired by the business date, and, if it arrived from
another region, the answer that accepted it is known to have reached that region.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

import msgspec

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import NEVER
from gateway.protocol.values import Provenance, Reason

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[tuple[int, int, int, str]]).decode

UNSEALED = 1 << 62
"""The number of an answer that has none yet: no prefix the peer could hold reaches it."""

RECOVERED = "recovery"
"""What a lot was granted for that the region advanced."""


@dataclass(slots=True, eq=False)
class Lot:
    """A lot as it stands in the database; `remaining` and `clears` move with the batch under way."""

    no: int
    balance: int
    remaining: int
    granted: int
    expires: int  # first business date on which it is no longer spendable
    issuer: int
    evidence: int
    because: str
    further: bytes | None  # more provenances, where a block spanned lots
    transfer: int | None
    clears_peer: int | None
    clears: int | None


def provenance_of(lot: Lot) -> tuple[Provenance, ...]:
    """Every provenance of a lot: as a rule one."""
    first = Provenance(lot.issuer, lot.granted, lot.evidence, lot.because)
    return (first,) if lot.further is None else (first, *(Provenance(*p) for p in _unpack(lot.further)))


def pack_further(provenance: Sequence[Provenance]) -> bytes | None:
    """What a lot keeps of all provenances but the first."""
    return _pack(list(provenance[1:])) if len(provenance) > 1 else None


def is_clear(lot: Lot, final: Mapping[int, int]) -> bool:
    """Whether the lot is no longer provisional. `final` is, per peer, the prefix of my log it is known to hold."""
    return lot.clears is None or lot.clears < final.get(lot.clears_peer or 0, 0)


def is_return(lot: Lot) -> bool:
    """Whether the lot holds units that came back from a refused transfer after their own lot had expired."""
    return lot.transfer is not None and lot.clears_peer is None


def choose(lots: Iterable[Lot], need: int, *, today: int, final: Mapping[int, int], min_evidence: int = 0) -> list[Lot]:
    """The spendable lots, first-expiring first, that together have at least `need`.

    Raises Refused: INSUFFICIENT_POINTS if there are not so many at all, POINTS_EXPIRED if only expired ones would
    make up for it, EVIDENCE_TOO_LOW if only weakly recorded ones would.
    """
    everything = unexpired = 0
    chosen: list[Lot] = []
    have = 0
    for lot in sorted(lots, key=_by_expiry):
        if not lot.remaining or (lot.clears is not None and not is_clear(lot, final)):
            continue
        everything += lot.remaining
        if lot.expires <= today:
            continue
        unexpired += lot.remaining
        if lot.evidence < min_evidence:
            continue
        if have < need:
            chosen.append(lot)
        have += lot.remaining
    if have >= need:
        return chosen
    if everything < need:
        raise Refused(Reason.INSUFFICIENT_POINTS)
    raise Refused(Reason.POINTS_EXPIRED if unexpired < need else Reason.EVIDENCE_TOO_LOW)


def _by_expiry(lot: Lot) -> tuple[int, int]:
    return lot.expires, lot.no


def arriving_expiry(expires: int, today: int, grace_days: int) -> int:
    """Expiry of a lot that arrives: as at the source, but never before the days of grace. 0 becomes NEVER."""
    if expires in (0, NEVER):
        return NEVER
    return max(expires, add_days(today, grace_days))


def expiry_id(lot: int, expires: int) -> bytes:
    """The id of an expiry follows from the lot, so that booking it again is recognisable."""
    return sha256(b"expiry %d %d" % (lot, expires)).digest()[:16]


def add_days(day: int, days: int) -> int:
    """A date yyyymmdd, so many days later."""
    moved = date(day // 10000, day // 100 % 100, day % 100) + timedelta(days=days)
    return moved.year * 10000 + moved.month * 100 + moved.day
