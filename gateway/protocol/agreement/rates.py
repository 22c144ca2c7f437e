"""Rates between categories: derived from what regions publish, and cycles along which points would multiply.

What a region publishes is how many points it gives for so many reference hours (标准志愿时). A derived rate turns
points into points for the same hours, less a haircut, so that no cycle of derived rates gains; a rate agreed by hand
may, alone or together with others, and is looked at before anybody signs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

from gateway.protocol import limits
from gateway.protocol.agreement.document import Agreement, Category

HAIRCUT_WHOLE = 10_000
"""What a haircut is a part of."""


def derive(source: Category, destination: Category, haircut: int = 0) -> tuple[int, int] | None:
    """The rate p/q in lowest terms by which points of one category become points for the same hours in another, less
    `haircut`/10000. None where a side publishes nothing or the rate has no place within the limits."""
    if 0 in (source.points, source.hours, destination.points, destination.hours):
        return None
    if not 0 <= haircut < HAIRCUT_WHOLE:
        return None
    rate = Fraction(destination.points * source.hours, destination.hours * source.points)
    rate *= Fraction(HAIRCUT_WHOLE - haircut, HAIRCUT_WHOLE)
    p, q = rate.numerator, rate.denominator
    return (p, q) if max(p, q) <= limits.RATE_MAX else None


class Place(NamedTuple):
    """A category of a region."""

    region: int
    category: str

    def __str__(self) -> str:
        return f"{self.region} {self.category}"


class Edge(NamedTuple):
    """What turns points of one place into points of another: p units for q."""

    source: Place
    destination: Place
    p: int
    q: int


class Cycle(NamedTuple):
    """A way back to where it began on which points grow: what one unit becomes is above 1."""

    edges: tuple[Edge, ...]
    gain: Fraction

    def __str__(self) -> str:
        way = " ".join(f"{edge.source} ×{edge.p}/{edge.q} →" for edge in self.edges)
        return f"{way} {self.edges[0].source}: ×{self.gain}"


def edges_of(agreements: Iterable[Agreement]) -> Iterator[Edge]:
    """Every rate of every direction that is on. Rates that are no rates are left out: they are refused elsewhere."""
    for agreement in agreements:
        for source, destination, direction in agreement.directions():
            for rate in direction.rates if direction.on else ():
                if rate.p > 0 and rate.q > 0:
                    yield Edge(Place(source, rate.category), Place(destination, rate.becomes), rate.p, rate.q)


def profitable_cycle(edges: Iterable[Edge]) -> Cycle | None:
    """A cycle on which points would multiply, over any number of regions, or None where there is none.

    Exact: Bellman and Ford's algorithm over fractions (product for sum), from everywhere at once. A cycle among the
    edges by which places were reached best is one that gains (Cormen et al., lemma 24.16).
    """
    known = sorted(set(edges))
    best: dict[Place, Fraction] = {}
    by: dict[Place, Edge] = {}
    rates = [(edge, Fraction(edge.p, edge.q)) for edge in known]
    one = Fraction(1)
    for _ in range(len({place for edge in known for place in edge[:2]}) + 1):
        changed = False
        for edge, rate in rates:
            reached = best.get(edge.source, one) * rate
            if reached > best.get(edge.destination, one):
                best[edge.destination] = reached
                by[edge.destination] = edge
                changed = True
        if not changed:
            return None
        found = _closed(by)
        if found is not None:
            return found
    raise AssertionError("a place that is reached better for ever is reached along a cycle")


def _closed(by: dict[Place, Edge]) -> Cycle | None:
    done: set[Place] = set()
    for start in sorted(by):
        path: list[Place] = []
        place: Place = start
        while place in by and place not in done:
            done.add(place)
            path.append(place)
            place = by[place].source
        if place in path:
            # Walked backwards; begun at the smallest place, so that one cycle always looks alike.
            around = [by[p] for p in path[path.index(place) :]][::-1]
            first = min(range(len(around)), key=lambda i: around[i].source)
            return cycle_of((*around[first:], *around[:first]))
    return None


def cycle_of(edges: tuple[Edge, ...]) -> Cycle:
    """Edges that close, with what one unit becomes along them."""
    gain = Fraction(1)
    for edge in edges:
        gain *= Fraction(edge.p, edge.q)
    return Cycle(edges, gain)


def cycle_with(agreement: Agreement, known: Iterable[Agreement]) -> Cycle | None:
    """The cycle that an agreement would close, by itself or with what others are known to have agreed.

    Of `known`, other versions of the same agreement do not count.
    """
    others = (other for other in known if other.id != agreement.id)
    return profitable_cycle(edges_of((agreement, *others)))
