"""What a benchmark reports: figures over several runs, and the machine they were taken on."""

import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.gates import Gate

RESULTS = Path(__file__).with_name("results.json")

Machine = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity."""

    name: str
    value: float
    """Median over the runs."""
    unit: str
    low: float
    """Smallest run."""
    high: float
    """Largest run."""
    runs: int
    """How many times it was measured."""


def figure(name: str, unit: str, values: Sequence[float]) -> Figure:
    """The figure called `name` over one value a run; at least one run."""
    median = statistics.median(values)
    return Figure(name=name, value=median, unit=unit, low=min(values), high=max(values), runs=len(values))


def machine(directory: Path) -> Machine:
    """What the figures depend on: processor, software, and how long a commit to `directory` takes to be durable."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "fsync_ms": round(_fsync_ms(directory), 3),
        "load_before": round(os.getloadavg()[0], 2),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def print_table(console: Console, where: Machine, figures: Sequence[Figure], gates: Mapping[str, Gate]) -> None:
    """A table of medians with their spread and the bounds they have to keep, under one line about the machine."""
    console.print(", ".join(f"{name} {value}" for name, value in where.items()))
    table = Table()
    table.add_column("figure", overflow="fold", min_width=max((len(row.name) for row in figures), default=0))
    table.add_column("unit")
    for column in ("median", "low", "high", "runs", "gate"):
        table.add_column(column, justify="right")
    for row in figures:
        spread = (_readable(value) for value in (row.value, row.low, row.high))
        table.add_row(row.name, row.unit, *spread, str(row.runs), _judged(row, gates.get(row.name)))
    console.print(table)


def write_results(where: Machine, figures: Sequence[Figure], path: Path = RESULTS) -> None:
    """Replace the file of results: ``{"machine": …, "figures": […]}``."""
    content = {"machine": dict(where), "figures": [asdict(row) for row in figures]}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _judged(row: Figure, gate: Gate | None) -> str:
    if gate is None:
        return ""
    return f"[green]{gate} ✓[/]" if gate.holds(row.value) else f"[bold red]{gate} ✗[/]"


def _readable(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _fsync_ms(directory: Path) -> float:
    """Median milliseconds to make one 4 KiB write durable."""
    taken = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(25):
            begun = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(taken)
