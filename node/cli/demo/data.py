"""The demonstration's data, and what must become of it whatever the order in which things happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from gateway.protocol.transfer import Terms
from node.config import load_terms
from node.errors import BadInput
from node.services.csv_file import AwardRow, ResidentRow, TransferRow, load_awards, load_residents, load_transfers


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One region of the demonstration."""

    code: int
    name_zh: str
    name_en: str


MEMBERS = (
    Member(code=330100, name_zh="杭州", name_en="Hangzhou"),
    Member(code=330200, name_zh="宁波", name_en="Ningbo"),
    Member(code=330600, name_zh="绍兴", name_en="Shaoxing"),
    Member(code=330400, name_zh="嘉兴", name_en="Jiaxing"),
)
CATEGORIES = ("moral", "public_welfare", "culture")
CATEGORY_NAMES = {
    "moral": ("道德", "moral"),
    "public_welfare": ("公益", "public welfare"),
    "culture": ("文化", "culture"),
}


class Fate(Enum):
    """What must become of a transfer."""

    POSTED = "posted"
    SHORT = "short"  # the account has too few points that can be converted
    UNMAPPED = "unmapped"  # the destination does not recognise the category


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Everything that is loaded and submitted."""

    residents: Sequence[ResidentRow]
    awards: Sequence[AwardRow]
    transfers: Sequence[TransferRow]
    terms: dict[tuple[int, int, str], Terms]
    terms_file: Path

    def receivers(self) -> list[tuple[int, str, int]]:
        """Every receiving address needed, as (destination, account there, the one region that will use it)."""
        return sorted({(t.destination, t.receiver, t.source) for t in self.transfers})

    def fates(self, today: int) -> dict[str, Fate]:
        """Key -> what must become of it, given the business date: each is judged by its account's own awards alone,
        since the data is such that what can be paid can be paid in any order (tests/deploy holds it to that)."""
        purses: dict[tuple[int, str, str], int] = defaultdict(int)
        for award in self.awards:
            if award.expires > today:
                purses[award.region, award.account, award.category] += award.amount * self._converts(award)
        fates = {}
        for t in self.transfers:
            if (t.source, t.destination, t.category) not in self.terms:
                fates[t.key] = Fate.UNMAPPED
            elif t.amount > purses[t.source, t.account, t.category]:
                fates[t.key] = Fate.SHORT
            else:
                fates[t.key] = Fate.POSTED
        return fates

    def _converts(self, award: AwardRow) -> bool:
        """Whether a lot's evidence is good enough to leave its region."""
        return award.evidence >= min(
            (t.min_evidence for t in self.terms.values() if t.source == award.region), default=0
        )


def load() -> Data:
    """Read all files of the demonstration. Raises BadInput, also when they are not installed."""
    found = directory()
    return Data(
        residents=load_residents(found / "residents.csv"),
        awards=load_awards(found / "awards.csv"),
        transfers=load_transfers(found / "transfers.csv"),
        terms=load_terms(found / "terms.toml"),
        terms_file=found / "terms.toml",
    )


def directory() -> Path:
    """Where the data lies: beside the command where it was installed, else in the clone."""
    here = Path(__file__).resolve()
    places = (here.parents[1] / "demo_data", here.parents[3] / "deploy" / "demo")
    for place in places:
        if (place / "transfers.csv").is_file():
            return place
    raise BadInput(f"the demonstration's data is not at {places[0]}: install the package again")
