"""`python -m tests.simulation`: more histories than the tests run, or one of them with all that happened."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.replay import Failure, play

SHOWN = 5
"""Failures after which a run gives up."""


def main() -> int:
    """Returns the exit status: 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many histories (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--restores", action="store_true", help="histories in which regions come back from backups")
    parser.add_argument("--dealings", action="store_true", help="histories in which regions agree, redeem and dispute")
    parser.add_argument("--trace", action="store_true", help="with --seed: print everything that happened")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    options = parser.parse_args()
    _be_quiet()
    if options.seed is not None:
        return _one(options.seed, trace=options.trace, restores=options.restores, dealings=options.dealings)
    seeds = range(options.first, options.first + options.seeds)
    return _many(seeds, options.jobs, restores=options.restores, dealings=options.dealings)


def _be_quiet() -> None:
    """Regions log what they refuse; thousands of histories refuse a lot."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())


def _one(seed: int, *, trace: bool, restores: bool, dealings: bool) -> int:
    count, failure, world = play(seed, restores=restores, dealings=dealings)
    if trace:
        sys.stdout.write("\n".join(world.log) + "\n")
    sys.stdout.write(f"seed {seed}: {failure.what if failure else 'every promise held'}\n{_told(count)}\n")
    return 1 if failure else 0


def _chunk(seeds: range, restores: bool, dealings: bool) -> tuple[int, Counter[str], list[Failure]]:
    count: Counter[str] = Counter()
    failures = []
    for seed in seeds:
        counted, failure, _ = play(seed, restores=restores, dealings=dealings)
        count += counted
        if failure is not None:
            failures.append(failure)
    return len(seeds), count, failures


def _many(seeds: range, jobs: int, *, restores: bool, dealings: bool) -> int:
    console = Console(stderr=True)
    count: Counter[str] = Counter()
    failures: list[Failure] = []
    chunks = [seeds[i : i + 20] for i in range(0, len(seeds), 20)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console) as progress,
        ProcessPoolExecutor(max_workers=max(1, jobs), initializer=_be_quiet) as pool,
    ):
        task = progress.add_task("histories", total=len(seeds))
        for done, counted, failed in pool.map(_chunk, chunks, repeat(restores), repeat(dealings)):
            progress.advance(task, done)
            count += counted
            failures += failed
            for failure in failed:
                progress.console.print(str(failure), markup=False, highlight=False, soft_wrap=True)
            if len(failures) >= SHOWN:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    sys.stdout.write(f"{len(seeds)} histories, {len(failures)} broke a promise\n{_told(count)}\n")
    return 1 if failures else 0


def _told(count: Counter[str]) -> str:
    return ", ".join(f"{what} {number}" for what, number in sorted(count.items()))


if __name__ == "__main__":
    sys.exit(main())
