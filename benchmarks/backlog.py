"""A peer that was away: 100,000 transfers wait for it, and go out when it is back.

The rate at which their outcomes come back is compared with the steady rate of the same pair, measured just before.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import regions
from benchmarks.children import ChildError
from benchmarks.client import LINES
from benchmarks.load import Journey, Load
from benchmarks.product import CALLS_PER_S, WARM_UP_S, verify
from benchmarks.regions import Pair
from benchmarks.serving import serving

TRANSFERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What an outage cost."""

    steady_per_s: float
    drain_per_s: float
    """From the peer's readiness after its outage to the last outcome."""
    source_before_mb: float
    """Peak resident memory of the source before the outage."""
    source_mb: float
    """Peak resident memory of the source after it."""
    destination_mb: float
    """Peak resident memory of the peer's new process, which drained the backlog."""


def run(seconds: float, directory: Path, transfers: int = TRANSFERS) -> Outage:
    """Measure once. Raises `ChildError` when a message is lost, done twice, or does not come."""
    with tempfile.TemporaryDirectory(prefix="backlog-", dir=directory) as name:
        pair = regions.build(Path(name))
        load = Load(pair)
        load.lay_in(round(CALLS_PER_S * (WARM_UP_S + seconds)))
        with serving(pair.source) as (source,):
            with serving(pair.destination):
                steady, rate = asyncio.run(_steady(load, seconds))
            before_mb = source.peak_mb()
            queued = asyncio.run(load.queue(transfers // LINES))
            drained, ready_at, destination_mb = _drain(pair, load)
            after_mb = source.peak_mb()
        verify(pair, (steady, queued, drained))
    _expect(queued.submitted == transfers == sum(len(keys) for _, keys in drained.pages), "messages are missing")
    return Outage(
        steady_per_s=rate,
        drain_per_s=transfers / (drained.pages[-1][0] - ready_at),
        source_before_mb=before_mb,
        source_mb=after_mb,
        destination_mb=destination_mb,
    )


async def _steady(load: Load, seconds: float) -> tuple[Journey, float]:
    marks: list[tuple[float, int]] = []

    async def watch() -> None:
        await load.warm(WARM_UP_S)
        marks.append((time.monotonic(), load.seen))
        await asyncio.sleep(seconds)
        marks.append((time.monotonic(), load.seen))

    journey = await load.saturate(watch)
    (begun, before), (ended, after) = marks
    return journey, (after - before) / (ended - begun)


def _drain(pair: Pair, load: Load) -> tuple[Journey, float, float]:
    """Bring the peer back; what was read until all is settled, when it was ready, and its peak memory."""
    with serving(pair.destination) as (destination,):
        ready_at = time.monotonic()
        journey = asyncio.run(load.watch())
        return journey, ready_at, destination.peak_mb()


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ChildError(otherwise)
