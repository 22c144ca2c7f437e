"""One session: product and yardsticks in turns, so that a slow spell of the machine meets them all; then the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.progress import Progress

from benchmarks import (
    backlog,
    deciding,
    flooding,
    floor,
    idle_peers,
    large,
    opening,
    ordinary,
    postgresql,
    product,
    proofs,
    recovery,
    roaming,
)
from benchmarks.backlog import Outage
from benchmarks.children import Result
from benchmarks.figures import Figure
from benchmarks.flooding import Flooded
from benchmarks.idle_peers import Greeted
from benchmarks.opening import Opened
from benchmarks.product import Run
from benchmarks.recovery import Recovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured."""

    rounds: int
    seconds: float
    """Of every measured window."""
    outages: int
    floods: int
    openings: int
    proofs: int
    recoveries: int
    lost: int
    """Messages of each recovery."""
    greetings: int
    decisions: int
    purchases: int


FULL = Extent(
    rounds=5,
    seconds=5.0,
    outages=2,
    floods=3,
    openings=5,
    proofs=50,
    recoveries=2,
    lost=1_000_000,
    greetings=3,
    decisions=50,
    purchases=200,
)
QUICK = Extent(
    rounds=2,
    seconds=2.0,
    outages=1,
    floods=1,
    openings=3,
    proofs=25,
    recoveries=1,
    lost=60_000,
    greetings=1,
    decisions=10,
    purchases=50,
)


@dataclass(slots=True)
class Measured:
    """Everything a session has found; one entry a run."""

    yardsticks: dict[str, list[Result]] = field(default_factory=dict)
    """Keyed ``floor_sqlite``, ``ordinary_sqlite``, ``ordinary_postgresql``."""
    product: dict[str, list[Run]] = field(default_factory=dict)
    """Keyed ``sqlite``, ``postgresql``."""
    agreed: list[Run] = field(default_factory=list)
    """On SQLite, under an agreement; the others are under a file of terms."""
    outages: list[Outage] = field(default_factory=list)
    floods: list[Flooded] = field(default_factory=list)
    recoveries: list[Recovered] = field(default_factory=list)
    greetings: list[Greeted] = field(default_factory=list)
    openings: list[Opened] = field(default_factory=list)
    proofs: list[Figure] = field(default_factory=list)
    decisions: list[Figure] = field(default_factory=list)
    purchases: list[Figure] = field(default_factory=list)


class Session:
    """Measures into `found`, showing how far it is."""

    def __init__(self, extent: Extent, directory: Path, dsn: str | None, progress: Progress) -> None:
        self._extent, self._directory, self._dsn, self._progress = extent, directory, dsn, progress
        self.found = Measured()

    def yardsticks(self) -> None:
        """The yardsticks alone."""
        self._in_turns(self._yardsticks())

    def everything(self) -> None:
        """All there is."""
        extent, found, directory = self._extent, self.found, self._directory
        self._in_turns({**self._yardsticks(), **self._products()})
        with self._bar("backlog after an outage", extent.outages) as told:
            for done in range(1, extent.outages + 1):
                found.outages.append(backlog.run(extent.seconds, directory))
                told(done)
        with self._bar("beside a flooding peer", extent.floods) as told:
            for done in range(1, extent.floods + 1):
                found.floods.append(flooding.run(extent.seconds, directory))
                told(done)
        with self._bar("greeting idle peers", extent.greetings) as told:
            for done in range(1, extent.greetings + 1):
                found.greetings.append(idle_peers.run(directory))
                told(done)
        with self._bar("recovering from a backup", extent.lost) as told:
            found.recoveries += recovery.run(directory, extent.lost, extent.recoveries, told)
        with self._bar("opening a large region", large.MESSAGES) as told:
            found.openings += opening.run(directory, extent.openings, told)
        with self._bar("proofs over a long log", proofs.MESSAGES) as told:
            found.proofs += proofs.measure(directory, runs=extent.proofs, told=told)
        with self._bar("deciding under an agreement", extent.decisions) as told:
            found.decisions += deciding.measure(extent.decisions)
            told(extent.decisions)
        with self._bar("authorising purchases", extent.purchases) as told:
            found.purchases += roaming.measure(directory, extent.purchases, told)

    def _in_turns(self, steps: Mapping[str, Callable[[], None]]) -> None:
        with self._bar("", self._extent.rounds * len(steps)) as told:
            done = 0
            for turn in range(self._extent.rounds):
                for label, step in steps.items():
                    told(done, f"round {turn + 1}: {label}")
                    step()
                    done += 1

    def _yardsticks(self) -> dict[str, Callable[[], None]]:
        seconds, directory, dsn = self._extent.seconds, self._directory, self._dsn
        measures: dict[str, Callable[[], Result]] = {
            "floor_sqlite": lambda: floor.run(seconds, directory),
            "ordinary_sqlite": lambda: ordinary.run(seconds, directory),
        }
        if dsn:
            measures["ordinary_postgresql"] = lambda: ordinary.run(seconds, directory, dsn)
        return {name: partial(self._yardstick, name, measure) for name, measure in measures.items()}

    def _yardstick(self, name: str, measure: Callable[[], Result]) -> None:
        self.found.yardsticks.setdefault(name, []).append(measure())

    def _products(self) -> dict[str, Callable[[], None]]:
        steps = {"product_sqlite": self._product_on_sqlite, "agreements_sqlite": self._agreed_on_sqlite}
        return {**steps, "product_postgresql": self._product_on_postgresql} if self._dsn else steps

    def _product_on_sqlite(self) -> None:
        self.found.product.setdefault("sqlite", []).append(product.run(self._extent.seconds, self._directory))

    def _agreed_on_sqlite(self) -> None:
        self.found.agreed.append(product.run(self._extent.seconds, self._directory, light=False, agreed=True))

    def _product_on_postgresql(self) -> None:
        assert self._dsn is not None
        with postgresql.databases(self._dsn, 2) as urls:
            run = product.run(self._extent.seconds, self._directory, urls, self._dsn, light=False)
        self.found.product.setdefault("postgresql", []).append(run)

    @contextmanager
    def _bar(self, label: str, total: int) -> Iterator[Callable[..., None]]:
        """A bar for the length of the block; call what is yielded with how much is done and, perhaps, a new label."""
        task = self._progress.add_task(label, total=total)

        def told(done: int, label: str | None = None) -> None:
            self._progress.update(task, completed=done, description=label)

        yield told
        self._progress.remove_task(task)
