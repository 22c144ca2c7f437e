"""Whom the demonstration adds to its 2,100 residents, and what they do. Nobody is real, every number is chosen.

Amounts are smallest units: a reference hour is 1,000 at 330100, 100 at 330200 and 330400, 50 at 330600.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.protocol.values import Evidence, Purpose
from node.services.csv_file import AwardRow, ResidentRow, TransferRow

HANGZHOU, NINGBO, SHAOXING, JIAXING = 330100, 330200, 330600, 330400
OPENED, GRANTED = 20250601, 20260901
EXPIRES = {HANGZHOU: 20320101, NINGBO: 20290901, SHAOXING: 20300101, JIAXING: 20290901}

SWINDLERS = 200
ACTIVITY = "330100-2026-V200"
"""What never took place: two hours for each of them."""
FAKED, ON, FURTHER = 2_000, 1_500, 100
"""What each was awarded at 330100, sent on to 330200 (where 150 arrive), and from there to 330600 (50)."""

MOVERS = 3
MOVED = 20_000
"""Of culture: 950 arrive, of which a clerk has to approve; 1,000 under the amendment."""


class Spent(NamedTuple):
    """Somebody redeems at home."""

    region: int
    key: str
    account: str
    category: str
    amount: int


class Trip(NamedTuple):
    """Somebody of `home` redeems at a counter elsewhere: what it costs there, and what of it is captured."""

    home: int
    counter: int
    account: str
    key: str
    price: int
    captured: int
    held: int  # at home, for the price
    taken: int  # at home, for what was captured


TRIPS = (
    Trip(SHAOXING, NINGBO, "SX-T0001", "trip-1", 60, 40, 30, 20),
    Trip(JIAXING, HANGZHOU, "JX-T0001", "trip-2", 500, 500, 50, 50),
    Trip(HANGZHOU, SHAOXING, "HZ-T0001", "trip-3", 20, 10, 400, 200),
    Trip(NINGBO, JIAXING, "NB-T0001", "trip-4", 70, 0, 70, 0),
)

ATTESTED, KNOWN_AS = "JX-S0001", "HZ-S0001"
"""Of 330400 and, the same person, of 330100."""
STARS, WORTH = 4, 3
MINUTES = 18_720


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """Everybody that is added, and the transfers they make beside the 5,000."""

    residents: Sequence[ResidentRow]
    awards: Sequence[AwardRow]
    movers: Sequence[TransferRow]
    swindle: Sequence[TransferRow]  # 330100 to 330200
    before: Sequence[TransferRow]  # 330200 to 330600, before that one is put back to its backup
    after: Sequence[TransferRow]  # the same of the others, afterwards
    spent: Sequence[Spent] = ()
    trips: Sequence[Trip] = ()

    @property
    def transfers(self) -> list[TransferRow]:
        """All of them."""
        return [*self.movers, *self.swindle, *self.before, *self.after]


def cast() -> Cast:
    """The same every time."""
    swindlers = range(1, SWINDLERS + 1)
    fraud = [_award(HANGZHOU, f"v{n}", f"HZ-V{n:04}", "moral", FAKED, ACTIVITY) for n in swindlers]
    saved = [
        _award(HANGZHOU, f"r{n}-{m}", f"HZ-R{n:04}", "culture", 2_000, f"330100-2026-R{m:03}")
        for n in range(1, MOVERS + 1)
        for m in range(1, 11)
    ]
    homes = {trip.account: trip.home for trip in TRIPS}
    for_trips = [_award(home, f"t{home}", name, "moral", 1_000, f"{home}-2026-T001") for name, home in homes.items()]
    names = [(region, f"{prefix}-V{n:04}") for region, prefix in _PREFIXES[:3] for n in swindlers]
    names += [(region, f"{prefix}-R{n:04}") for region, prefix in _RELOCATED for n in range(1, MOVERS + 1)]
    names += [(home, name) for name, home in homes.items()]
    names += [(JIAXING, ATTESTED), (HANGZHOU, KNOWN_AS)]
    half = SWINDLERS // 2
    return Cast(
        trips=TRIPS,
        residents=[ResidentRow(region=region, account=name, opened=OPENED) for region, name in names],
        awards=[*fraud, *saved, *for_trips],
        movers=[_moves(f"mover-{n}", n) for n in range(1, MOVERS + 1)],
        swindle=[_sends(f"hop1-{n}", HANGZHOU, NINGBO, n, ON) for n in swindlers],
        before=[_sends(f"hop2-{n}", NINGBO, SHAOXING, n, FURTHER) for n in swindlers if n <= half],
        after=[_sends(f"hop2-{n}", NINGBO, SHAOXING, n, FURTHER) for n in swindlers if n > half],
        spent=[
            *(Spent(HANGZHOU, f"hz-{n}", f"HZ-V{n:04}", "moral", 300) for n in swindlers if n % 4 == 0),
            *(Spent(NINGBO, f"nb-{n}", f"NB-V{n:04}", "moral", 20) for n in swindlers if n % 5 == 0),
            *(Spent(SHAOXING, f"sx-{n}", f"SX-V{n:04}", "moral", 30) for n in swindlers if n % 5 < 2),
        ],
    )  # fmt: skip


_PREFIXES = ((HANGZHOU, "HZ"), (NINGBO, "NB"), (SHAOXING, "SX"), (JIAXING, "JX"))
_RELOCATED = ((HANGZHOU, "HZ"), (SHAOXING, "SX"))


def _award(region: int, key: str, account: str, category: str, amount: int, activity: str) -> AwardRow:
    return AwardRow(
        region=region, key=f"cast-{key}", account=account, category=category, amount=amount, granted=GRANTED,
        expires=EXPIRES[region], evidence=Evidence.SIGNED_IN, activity=activity,
    )  # fmt: skip


def _sends(key: str, source: int, destination: int, n: int, amount: int) -> TransferRow:
    prefixes = dict(_PREFIXES)
    return TransferRow(
        key=key, source=source, account=f"{prefixes[source]}-V{n:04}", destination=destination,
        receiver=f"{prefixes[destination]}-V{n:04}", category="moral", amount=amount, purpose=Purpose.RELOCATION,
    )  # fmt: skip


def _moves(key: str, n: int) -> TransferRow:
    return TransferRow(
        key=key, source=HANGZHOU, account=f"HZ-R{n:04}", destination=SHAOXING, receiver=f"SX-R{n:04}",
        category="culture", amount=MOVED, purpose=Purpose.RELOCATION,
    )  # fmt: skip
