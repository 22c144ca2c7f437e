"""``python -m benchmarks``: measure, print the table, write ``results.json``."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks import floor, ordinary
from benchmarks.children import Result
from benchmarks.figures import RESULTS, Figure, figure, machine, print_table, write_results


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--yardsticks", action="store_true", help="only the two yardsticks; write no results")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, the same figures")
    parser.add_argument("--postgres", default=os.environ.get("HUTONG_TEST_POSTGRES"), help="DSN of a PostgreSQL server")
    parser.add_argument("--directory", type=Path, default=durable_directory(), help="where the databases are put")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results are written")
    chosen = parser.parse_args(arguments)
    runs, seconds = (3, 2.0) if chosen.quick else (5, 5.0)

    console = Console() if sys.stdout.isatty() else Console(width=120)
    where = machine(chosen.directory)
    yardsticks = measure_yardsticks(console, runs, seconds, chosen.directory, chosen.postgres)
    figures = yardstick_figures(yardsticks)
    print_table(console, where, figures)
    if not chosen.yardsticks:
        write_results(where, figures, chosen.output)


def durable_directory() -> Path:
    """A temporary folder that is on a disk: what is in /tmp may live in memory, where a commit costs nothing."""
    on_disk = Path("/var/tmp")
    return on_disk if on_disk.is_dir() else Path(tempfile.gettempdir())


def measure_yardsticks(
    console: Console, runs: int, seconds: float, directory: Path, dsn: str | None
) -> dict[str, list[Result]]:
    """Every yardstick `runs` times, in turns so that a slow spell of the machine meets them all.

    Keyed ``floor_sqlite``, ``ordinary_sqlite`` and, given a `dsn`, ``ordinary_postgresql``; one result a run.
    """
    yardsticks: dict[str, Callable[[], Result]] = {
        "floor_sqlite": lambda: floor.run(seconds, directory),
        "ordinary_sqlite": lambda: ordinary.run(seconds, directory),
    }
    if dsn:
        yardsticks["ordinary_postgresql"] = lambda: ordinary.run(seconds, directory, dsn)
    results: dict[str, list[Result]] = {name: [] for name in yardsticks}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("yardsticks", total=runs * len(yardsticks))
        for _ in range(runs):
            for name, measure in yardsticks.items():
                results[name].append(measure())
                progress.advance(task)
    return results


def yardstick_figures(results: dict[str, list[Result]]) -> list[Figure]:
    """Throughput and CPU of every yardstick measured."""
    figures = []
    for name, measured in results.items():
        yardstick, _, database = name.partition("_")
        rates = [result.transfers_per_s for result in measured]
        costs = [result.cpu_us_per_transfer for result in measured]
        figures.append(figure(f"{yardstick}_transfers_per_s_{database}", "transfers/s", rates))
        figures.append(figure(f"{yardstick}_cpu_us_per_transfer_{database}", "µs", costs))
    return figures


if __name__ == "__main__":
    main()
