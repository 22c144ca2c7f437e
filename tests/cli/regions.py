"""Two regions at work as real processes, for tests of what an operator does to their databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.processes import Pair, Served, address, fund, serving, until


@contextmanager
def both(pair: Pair) -> Iterator[tuple[Served, Served]]:
    """Both regions, running and talking with each other."""
    with serving(pair.a) as a, serving(pair.b) as b:
        until(lambda: a.linked() and b.linked(), "the two regions talk with each other")
        yield a, b


@contextmanager
def at_work(pair: Pair) -> Iterator[tuple[Served, Served, str]]:
    """Both, and an address at the second: the first has 1,000 points for each of ten residents."""
    with both(pair) as (a, b):
        fund(a, [f"r{n}" for n in range(10)], 1_000)
        yield a, b, address(b, "NB-1")


def transfers(a: Served, b: Served, to: str, count: int, *, tag: str, amount: int = 10) -> None:
    """So many transfers, done on both sides."""
    orders = [
        {"key": f"{tag}-{n}", "account": f"r{n % 10}", "category": "moral", "amount": amount, "address": to}
        for n in range(count)
    ]
    status, lines = a.call("POST", "/v1/transfers", orders)
    assert status == 200, lines
    assert all(line["ok"] for line in lines), [line for line in lines if not line["ok"]][:2]
    until(lambda: a.idle() and b.idle(), "everything is done on both sides")


def files(directory: Path) -> set[str]:
    """The names of what lies in a directory."""
    return {path.name for path in directory.iterdir()}
