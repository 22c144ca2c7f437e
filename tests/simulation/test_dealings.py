"""Five hundred seeded histories in which regions agree, visitors buy, fraud is taken back and disputes are fought out.

In every other one regions come back from backups.
"""

from __future__ import annotations

import pytest

from tests.simulation.replay import play_all

SEEDS, CHUNKS = 500, 10

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_dealing_breaks_a_promise(chunk: int) -> None:
    seeds = range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS)
    failures = play_all((s for s in seeds if s % 2 == 0), dealings=True)
    failures += play_all((s for s in seeds if s % 2), dealings=True, restores=True)
    assert not failures, "\n".join(map(str, failures))
