"""Five hundred seeded histories of two to four regions: no promise is broken by any of them."""

from __future__ import annotations

import pytest

from tests.simulation.replay import play, play_all

SEEDS, CHUNKS = 500, 10

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_history_breaks_a_promise(chunk: int) -> None:
    failures = play_all(range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS))
    assert not failures, "\n".join(map(str, failures))


def test_a_seed_replays_step_by_step() -> None:
    traces = [play(7)[2].log for _ in range(2)]
    assert traces[0] == traces[1]
    assert len(traces[0]) > 50


def test_the_histories_are_not_tame() -> None:
    """What the promises are about does happen: otherwise they would hold for nothing."""
    count = sum((play(seed)[0] for seed in range(40)), play(40)[0])
    for what in ("posted", "voided", "refused", "crash", "oddities", "forgeries"):
        assert count[what] > 20, (what, count)
