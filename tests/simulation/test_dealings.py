"""Five hundred seeded histories in which regions agree, visitors buy, fraud is taken back and disputes are fought out.

In every other one regions come back from backups.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.replay import play

SEEDS, CHUNKS = 500, 10
LEAST = {
    "posted": 80, "voided": 4, "restore": 3, "crash": 10, "odd dealings": 4, "agreement AGREED": 20,
    "agreement refused": 5, "purchase captured": 2, "purchase part_captured": 1, "purchase released": 20,
    "purchase refused": 30, "clawback told": 1, "dispute 11": 1, "attestation 12": 1,
}  # fmt: skip
"""What the promises are about does happen in so many histories: otherwise they would hold for nothing."""

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_dealing_breaks_a_promise(chunk: int) -> None:
    count: Counter[str] = Counter()
    failures = []
    for seed in range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS):
        counted, failure, _ = play(seed, dealings=True, restores=seed % 2 > 0)
        count += counted
        failures += [failure] if failure is not None else []
    assert not failures, "\n".join(map(str, failures))
    assert {what: count[what] for what, least in LEAST.items() if count[what] < least} == {}
