"""Five hundred seeded histories in which regions come back from backups: nothing is lost, or done a second time."""

from __future__ import annotations

import pytest

from tests.simulation.replay import play, play_all

SEEDS, CHUNKS = 500, 10

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_restore_breaks_a_promise(chunk: int) -> None:
    failures = play_all(range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS), restores=True)
    assert not failures, "\n".join(map(str, failures))


def test_the_histories_are_not_tame() -> None:
    """What the promises are about does happen: otherwise they would hold for nothing."""
    count = sum((play(seed, restores=True)[0] for seed in range(40)), play(40, restores=True)[0])
    for what, least in {"restore": 30, "pages": 20, "posted": 20, "voided": 5, "crash": 20}.items():
        assert count[what] >= least, (what, count)
