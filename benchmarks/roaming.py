"""How long a merchant waits for an authorisation: one after another, over HTTP, between two regions on this machine.

The clock runs from the request at the counter's region until its answer says `authorised`: the request was numbered,
carried, decided and held at the visitor's home region, and the answer carried back, each durably.

python -m benchmarks.roaming --runs 200
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import regions
from benchmarks.children import ChildError
from benchmarks.figures import Figure, figure, machine, print_table
from benchmarks.gates import GATES
from benchmarks.long_log import nobody
from benchmarks.regions import CATEGORY, DESTINATION, SOURCE, Site, resident
from benchmarks.serving import serving
from node.services.writer import Writer

RUNS = 200
WARM_UP = 20
"""Purchases before the first that counts: both regions have greeted each other by then."""
RESIDENTS = 100
WAIT_S = 10.0
"""Longer than this no answer is waited for: the run has failed."""
LIFE_S = 120.0
"""Longer than this nothing is measured, whatever is missing."""


class _Caller:
    """A regional system with one connection to its region."""

    def __init__(self, site: Site, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", site.http_port, timeout=WAIT_S + 5)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, **body: object) -> dict[str, Any]:
        self._connection.request("POST", path, json.dumps(body).encode(), self._headers)
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status >= 300:
            raise ChildError(f"{path}: {answer}")
        return answer

    def close(self) -> None:
        self._connection.close()


def measure(directory: Path, runs: int = RUNS, told: Callable[[int], None] = nobody) -> list[Figure]:
    """Milliseconds from asking to authorised, the median of `runs`; every second one is captured in between."""
    taken: list[float] = []
    with tempfile.TemporaryDirectory(prefix="roaming-", dir=directory) as name:
        home, counter, tokens = _build(Path(name))
        with serving(home, counter):
            until = time.monotonic() + LIFE_S
            with closing(_Caller(home, tokens[0])) as resident_, closing(_Caller(counter, tokens[1])) as till:
                for number in range(WARM_UP + runs):
                    seconds = _purchase(resident_, till, number)
                    if number >= WARM_UP:
                        taken.append(seconds * 1e3)
                        told(len(taken))
                    if time.monotonic() > until:
                        raise ChildError(f"{number + 1} purchases took longer than {LIFE_S:.0f} s")
    return [figure("authorise_p50_ms", "ms", taken)]


def _purchase(home: _Caller, till: _Caller, number: int) -> float:
    code = home.post("/v1/codes", account=resident(number % RESIDENTS))["code"]
    begun = time.perf_counter()
    found = till.post(
        f"/v1/authorisations?wait={WAIT_S}", code=code, category=CATEGORY, amount=25, key=f"purchase-{number}",
        reference=f"receipt {number}",
    )  # fmt: skip
    taken = time.perf_counter() - begun
    if found["state"] != "authorised":
        raise ChildError(f"purchase {number} was not authorised: {found}")
    if number % 2:
        till.post(f"/v1/authorisations/{found['id']}/capture", key=f"capture-{number}", amount=20)
    return taken


def _build(folder: Path) -> tuple[Site, Site, tuple[str, str]]:
    """Two regions, residents with points in the first, and a token of each."""
    (home, counter), signed = regions.found(folder, (SOURCE, DESTINATION))
    tokens = []
    for site in (home, counter):
        with regions.opened(site, [signed]) as (store, office):
            if site is home:
                writer = Writer(store, office)
                regions.open_accounts(writer, RESIDENTS)
                regions.give_points(writer, RESIDENTS)
            tokens.append(regions.give_token(store))
    return home, counter, (tokens[0], tokens[1])


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roaming", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="how many purchases are timed")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where the databases are put")
    chosen = parser.parse_args()
    print_table(Console(), machine(chosen.directory), measure(chosen.directory, chosen.runs), GATES)


if __name__ == "__main__":
    main()
