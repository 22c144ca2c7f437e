"""The demonstration's data, and what must become of it whatever the order in which things happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from gateway.protocol.values import Evidence
from node.cli.demo.cast import Cast, cast
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


class Draft(msgspec.Struct, frozen=True):
    """What a pair of regions is to agree on, as the proposer's API takes it."""

    proposer: int
    peer: int
    terms: dict[str, Any]

    def mapped(self) -> set[tuple[int, int, str]]:
        """(source, destination, category) of everything that may move under it."""
        ways = (("out", self.proposer, self.peer), ("into", self.peer, self.proposer))
        return {(a, b, rate["category"]) for way, a, b in ways for rate in self.terms[way]["rates"]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Everything that is loaded and submitted."""

    residents: Sequence[ResidentRow]
    awards: Sequence[AwardRow]
    transfers: Sequence[TransferRow]  # those of the files
    drafts: Sequence[Draft] = ()
    cast: Cast | None = None  # whose awards and residents are among those above
    everything: Sequence[TransferRow] = field(init=False)  # all transfers that are ever asked for

    def __post_init__(self) -> None:
        object.__setattr__(self, "everything", [*self.transfers, *(self.cast.transfers if self.cast else ())])

    def receivers(self) -> list[tuple[int, str, int]]:
        """Every receiving address needed, as (destination, account there, the one region that will use it)."""
        return sorted({(t.destination, t.receiver, t.source) for t in self.everything})

    def fates(self, today: int) -> dict[str, Fate]:
        """Key -> what must become of it, given the business date: each is judged by its account's own awards alone,
        since the data is such that what can be paid can be paid in any order (tests/deploy holds it to that). What the
        cast sends is paid for by what it got before."""
        purses: dict[tuple[int, str, str], int] = defaultdict(int)
        for award in self.awards:
            if award.expires > today and award.evidence >= Evidence.SIGNED_IN:
                purses[award.region, award.account, award.category] += award.amount
        mapped = {way for draft in self.drafts for way in draft.mapped()}
        fates = {t.key: Fate.POSTED for t in self.everything}
        for t in self.transfers:
            if (t.source, t.destination, t.category) not in mapped:
                fates[t.key] = Fate.UNMAPPED
            elif t.amount > purses[t.source, t.account, t.category]:
                fates[t.key] = Fate.SHORT
        return fates


def load() -> Data:
    """Read all files of the demonstration. Raises BadInput, also when they are not installed."""
    found, added = directory(), cast()
    return Data(
        residents=[*load_residents(found / "residents.csv"), *added.residents],
        awards=[*load_awards(found / "awards.csv"), *added.awards],
        transfers=load_transfers(found / "transfers.csv"),
        drafts=msgspec.json.decode((found / "agreements.json").read_bytes(), type=list[Draft]),
        cast=added,
    )


def directory() -> Path:
    """Where the data lies: beside the command where it was installed, else in the clone."""
    here = Path(__file__).resolve()
    places = (here.parents[1] / "demo_data", here.parents[3] / "deploy" / "demo")
    for place in places:
        if (place / "transfers.csv").is_file():
            return place
    raise BadInput(f"the demonstration's data is not at {places[0]}: install the package again")
