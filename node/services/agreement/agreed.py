"""What this region has agreed with others, in memory: read from its tables at the start, changed with every message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.protocol.agreement.document import Agreement, CapScope
from gateway.protocol.agreement.in_force import InForce, Way, in_force
from gateway.protocol.agreement.life import Dealings, State, state_on

_NOTHING = Dealings()
_UNLIMITED = 1 << 63
_LAID_OUT = 4096
_RESIDENT = frozenset({CapScope.RESIDENT_DAY, CapScope.RESIDENT_MONTH, CapScope.RESIDENT_YEAR, CapScope.RESIDENT_EVER})


class Agreements:
    """Changed by the writer's thread alone; others may look at it meanwhile."""

    def __init__(self, today: Callable[[], int]) -> None:
        """`today`: the business date now."""
        self._today = today
        self._dealings: dict[int, Dealings] = {}
        self._public: tuple[Agreement, ...] = ()
        self.load({})

    def load(self, dealings: Mapping[int, Dealings]) -> None:
        """All there is, as the tables have it."""
        # In this order: whoever finds the new dictionaries lays out the new dealings.
        self._dealings = dict(dealings)
        self._laid_out: dict[tuple[int, int], InForce | None] = {}  # by peer and business date
        self._counts: dict[tuple[int, int], bool] = {}
        ways = [d for said in dealings.values() for v in said.agreed() for _, _, d in v.agreement.directions()]
        self._counting = any(d.relocation_months or _RESIDENT & {cap.scope for cap in d.caps} for d in ways)
        self._cooling = any(d.cooling_off_hours for d in ways)
        self._identifying = any(v.agreement.identity_required for said in dealings.values() for v in said.agreed())

    def put(self, peer: int, dealings: Dealings) -> None:
        """What there is with a peer, after one more message."""
        self.load({**self._dealings, peer: dealings})

    def publish(self, others: tuple[Agreement, ...]) -> None:
        """What other regions have agreed with each other, as far as its terms are public here."""
        self._public = others

    def dealings(self, peer: int) -> Dealings:
        """All that was said with a peer."""
        return self._dealings.get(peer, _NOTHING)

    @property
    def peers(self) -> list[int]:
        """With whom anything was ever said about agreements."""
        return sorted(self._dealings)

    def by(self, peer: int, day: int | None = None) -> InForce | None:
        """What counts with a peer on a business date (today); None where the two never agreed on anything."""
        day = self._today() if day is None else day
        laid_out, key = self._laid_out, (peer, day)
        try:
            return laid_out[key]
        except KeyError:
            dealings = self._dealings.get(peer)
            if len(laid_out) >= _LAID_OUT:
                laid_out.clear()  # of days that are over
            found = laid_out[key] = in_force(dealings, day) if dealings is not None else None
            return found

    def known(self) -> Iterator[Agreement]:
        """Every agreement whose rates count now or will: with anybody, and those of others that are public."""
        day = self._today()
        for dealings in self._dealings.values():
            for version in dealings.agreed():
                if state_on(dealings, version, day) in (State.AGREED, State.IN_FORCE, State.SUSPENDED):
                    yield version.agreement
        yield from self._public

    # -- what has to be counted --------------------------------------------------------------------------------------

    def counts(self, source: int, peer: int, day: int) -> bool:
        """Whether what each resident of this region, the source, sends to a peer is counted on a business date."""
        counted, key = self._counts, (peer, day)
        if key in counted:  # asked twice for every transfer
            return counted[key]
        found = self.by(peer, day)
        way = found.now.get(source) if found is not None else None
        if len(counted) >= _LAID_OUT:
            counted.clear()
        known = counted[key] = way is not None and counts(way)
        return known

    @property
    def counting(self) -> bool:
        """Whether any agreement, on whatever date, bounds what one resident sends or how often one relocates."""
        return self._counting

    @property
    def cooling(self) -> bool:
        """Whether any agreement lets points that arrived rest before they go on."""
        return self._cooling

    @property
    def identifying(self) -> bool:
        """Whether any agreement lets residents be compared."""
        return self._identifying


def counts(way: Way) -> bool:
    """Whether this direction bounds what one resident sends, or how often one relocates."""
    least = min(way.resident_day, way.resident_month, way.resident_year, way.resident_ever)
    return least < _UNLIMITED or way.relocation_months > 0
