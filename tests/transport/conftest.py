"""Towns that are stopped at the end of a test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.transport.regions import Roster, Town


@pytest.fixture
def roster() -> Roster:
    """The roster that all regions of a test read."""
    return Roster()


@pytest.fixture
async def town(roster: Roster, tmp_path: Path) -> AsyncIterator[Callable[[int], Town]]:
    """Makes a region by its code."""
    towns: list[Town] = []

    def make(code: int) -> Town:
        towns.append(Town(code, roster, tmp_path))
        return towns[-1]

    yield make
    for one in towns:
        await one.stop()
