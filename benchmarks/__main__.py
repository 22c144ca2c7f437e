"""``python -m benchmarks``: measure, print the table, write ``results.json``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks import postgresql, summary
from benchmarks.figures import RESULTS, machine, print_table, write_results
from benchmarks.gates import GATES
from benchmarks.session import FULL, QUICK, Session


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--yardsticks", action="store_true", help="only the two yardsticks; write no results")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, the same figures")
    parser.add_argument("--postgres", default=os.environ.get("HUTONG_TEST_POSTGRES"), help="URL of a PostgreSQL server")
    parser.add_argument("--directory", type=Path, default=durable_directory(), help="where the databases are put")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results are written")
    chosen = parser.parse_args(arguments)

    console = Console() if sys.stdout.isatty() else Console(width=120)
    where = machine(chosen.directory)
    with postgresql.server(chosen.postgres, chosen.directory) as dsn, Progress(console=console, transient=True) as bars:
        session = Session(QUICK if chosen.quick else FULL, chosen.directory, dsn, bars)
        if chosen.yardsticks:
            session.yardsticks()
        else:
            session.everything()
    where = {**where, "load_after": round(os.getloadavg()[0], 2)}
    if chosen.yardsticks:
        print_table(console, where, summary.yardsticks(session.found), {})
        return
    figures = summary.figures(session.found)
    print_table(console, where, figures, GATES)
    write_results(where, figures, chosen.output)


def durable_directory() -> Path:
    """A temporary folder that is on a disk: what is in /tmp may live in memory, where a commit costs nothing."""
    on_disk = Path("/var/tmp")
    return on_disk if on_disk.is_dir() else Path(tempfile.gettempdir())


if __name__ == "__main__":
    main()
