"""A quote: what will leave, what will arrive and until when, and what stays, before anything is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.protocol.agreement.in_force import arriving_expiry
from gateway.protocol.transfer import Source, Terms, convert, cut_blocks


class LotLine(NamedTuple):
    """What becomes of one lot. Units in the smallest unit of the source's category."""

    lot: int
    expires: int  # at the source
    leaves: int
    stays: int


class Arrival(NamedTuple):
    """One lot that arrives. Units in the smallest unit of what the category becomes."""

    units: int
    expires: int
    lots: tuple[int, ...]  # what it was made of: several where a block spans them


class Quote(NamedTuple):
    """All of it. `leaving` + `stays` is what was asked for."""

    terms: Terms
    leaving: int
    arriving: int
    stays: int
    lots: tuple[LotLine, ...]
    arrivals: tuple[Arrival, ...]


def quote(terms: Terms, amount: int, lots: Sequence[Source], day: int) -> Quote:
    """What a transfer of at most `amount` units does, accepted on this business date, out of these lots in their order
    (first expiring first).

    Raises Refused like the transfer itself: AMOUNT_OUT_OF_RANGE, INSUFFICIENT_POINTS, TOO_MANY_LOTS.
    """
    conversion = convert(amount, terms.rate_p, terms.rate_q)
    slices, takes = cut_blocks(lots, conversion.blocks, terms.rate_q)
    taken = dict(takes)
    lines = tuple(LotLine(s.lot, s.expires, taken.get(s.lot, 0), s.units - taken.get(s.lot, 0)) for s in lots)
    arrivals = []
    begins = 0
    for part in slices:
        ends = begins + part.blocks * terms.rate_q
        expires = arriving_expiry(terms, part.expires, day)
        arrivals.append(Arrival(part.blocks * terms.rate_p, expires, _between(takes, begins, ends)))
        begins = ends
    return Quote(
        terms, conversion.leaving, conversion.arriving, conversion.remainder, lines, tuple(arrivals)
    )  # fmt: skip


def _between(takes: Sequence[tuple[int, int]], begins: int, ends: int) -> tuple[int, ...]:
    """The lots that gave the units from `begins` to before `ends` of all that leave."""
    found, at = [], 0
    for lot, units in takes:
        if at < ends and at + units > begins:
            found.append(lot)
        at += units
    return tuple(found)
