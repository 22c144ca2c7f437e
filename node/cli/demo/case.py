"""What is checked when all is done, and what a check says: how many things it looked at, and what contradicts it.

Everything is looked at from outside: the regions' files, opened read-only, and what their APIs said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.protocol.members import Roster
from node.cli.demo.books import Books, LogKey, Transfer
from node.cli.demo.data import Data, Fate
from node.cli.demo.papers import Papers

if TYPE_CHECKING:
    from node.cli.demo.story import Story


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One promise: how many things were looked at, and what contradicts it."""

    name: str
    zh: str
    en: str
    counted: int
    against: Sequence[str] = ()  # what does not hold, in words

    @property
    def ok(self) -> bool:
        """Whether it holds for everything, and there was something."""
        return self.counted > 0 and not self.against


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a region's API said to an order at last: a transfer's id and state, or the reason of a refusal."""

    id: str = ""
    state: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Everything the checks look at."""

    data: Data
    fates: Mapping[str, Fate]
    books: Mapping[int, Books]
    roster: Roster
    answers: Mapping[str, Answer]  # key -> what the order was answered when it was submitted
    again: Mapping[str, Answer]  # key -> the answer to the same order, submitted once more at the end
    fingerprints_before: Mapping[int, str]  # of the files, before everything was submitted again
    heads_at_kill: Mapping[int, Mapping[LogKey, tuple[int, bytes]]]  # as every region's file held them
    told: Mapping[int, Counter[str]]  # region -> kind of event -> how often its API reported it
    papers: Mapping[int, Papers] = field(default_factory=dict)  # what their files hold besides
    in_force: Mapping[LogKey, str] = field(default_factory=dict)  # (region, peer) -> digest of what its API says counts
    story: Story | None = None
    outgoing: dict[bytes, Transfer] = field(init=False)
    incoming: dict[bytes, Transfer] = field(init=False)

    def __post_init__(self) -> None:
        everything = [(books.region, t) for books in self.books.values() for t in books.transfers]
        object.__setattr__(self, "outgoing", {t.id: t for region, t in everything if t.source == region})
        object.__setattr__(self, "incoming", {t.id: t for region, t in everything if t.destination == region})

    def pairs(self) -> list[LogKey]:
        """Every ordered pair of regions."""
        return [(a, b) for a in self.books for b in self.books if a != b]


def check(name: str, zh: str, en: str, found: Iterator[str | None]) -> Check:
    """Counts what a generator looked at: it yields None for what holds, and otherwise why it does not."""
    results = list(found)
    return Check(name=name, zh=zh, en=en, counted=len(results), against=[r for r in results if r is not None])


def unless(holds: bool, otherwise: str) -> str | None:
    return None if holds else otherwise
