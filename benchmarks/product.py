"""The product end to end: two ``hutong serve`` processes over mutual TLS, from HTTP bulk call to outcome read.

Nothing is switched off: every commit is durable before it is answered, every batch is signed and verified. A run
saturates the pair, then loads it with a tenth of what it managed, stops both regions and counts in their databases.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from benchmarks import agreeing, regions
from benchmarks.children import ChildError, postgres_cpu_s
from benchmarks.cost import Cost, cost_so_far
from benchmarks.load import Journey, Load
from benchmarks.regions import OPENING, RESIDENTS, Pair, Site
from benchmarks.serving import Served, serving
from gateway.protocol.transfer import State
from node.store import schema
from node.store.engine import open_store

WARM_UP_S = 1.5
CALLS_PER_S = 20
"""Bulk calls made beforehand per second of saturation; more are made while measuring when these do not do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. Latencies are from HTTP submission to the accepted outcome read at the source."""

    transfers_per_s: float
    cpu_us_per_transfer: float
    """User and system mode of both regions' processes, and of a PostgreSQL on this machine; not the load's."""
    load_cpu_us_per_transfer: float
    """The same of the process that submits and reads, which shares the processors."""
    others_cores: float
    """How many processors were busy with something else meanwhile: what disturbs the figures."""
    saturated_ms: Sequence[float]
    """In order of size."""
    light_ms: Sequence[float]
    """The same at a tenth of the load."""
    source_mb: float
    destination_mb: float
    bytes_per_transfer: float
    """How much both databases grew."""


def run(
    seconds: float,
    directory: Path,
    databases: Sequence[str | None] = (None, None),
    dsn: str | None = None,
    *,
    light: bool = True,
    agreed: bool = False,
) -> Run:
    """Measure once, in a fresh folder under `directory`. Raises `ChildError` when points or transfers are missing.

    `databases`: store URLs of two empty databases, of the PostgreSQL at `dsn`; None: files in the folder.
    `light` false: at saturation only. `agreed`: under an agreement that both sign first, not under a file of terms.
    """
    with tempfile.TemporaryDirectory(prefix="product-", dir=directory) as name:
        pair = regions.build(Path(name), databases)
        before = sum(map(database_bytes, pair.sites))
        load = Load(pair)
        load.lay_in(round(CALLS_PER_S * (WARM_UP_S + seconds)))
        tokens = agreeing.make_tokens(pair) if agreed else None
        with serving(*pair.sites) as served:
            if tokens is not None:
                agreeing.sign(pair, tokens)
            found = asyncio.run(_measure(load, served, seconds, dsn, light))
            source_mb, destination_mb = (one.peak_mb() for one in served)
        verify(pair, found.journeys)
        grown = sum(map(database_bytes, pair.sites)) - before
    return Run(
        transfers_per_s=found.transfers / found.seconds,
        cpu_us_per_transfer=found.cost.regions_s * 1e6 / found.transfers,
        load_cpu_us_per_transfer=found.cost.load_s * 1e6 / found.transfers,
        others_cores=found.cost.others_s / found.seconds,
        saturated_ms=found.saturated_ms,
        light_ms=found.light_ms,
        source_mb=source_mb,
        destination_mb=destination_mb,
        bytes_per_transfer=grown / sum(journey.submitted for journey in found.journeys),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    transfers: int
    seconds: float
    cost: Cost
    saturated_ms: Sequence[float]
    light_ms: Sequence[float]
    journeys: Sequence[Journey]


async def _measure(load: Load, served: Sequence[Served], seconds: float, dsn: str | None, light: bool) -> _Found:
    loop = asyncio.get_running_loop()
    marks: list[tuple[float, int, Cost]] = []

    def mark() -> None:
        regions_s = sum(one.cpu_s() for one in served) + postgres_cpu_s(dsn)
        marks.append((loop.time(), load.seen, cost_so_far(regions_s)))

    async def watch() -> None:
        await load.warm(WARM_UP_S)
        mark()
        await asyncio.sleep(seconds)
        mark()

    saturated = await load.saturate(watch)
    (start, seen_before, before), (end, seen_after, after) = marks
    transfers = seen_after - seen_before
    rate = transfers / (end - start)
    journeys, light_ms = [saturated], []
    if light:
        journeys.append(await load.trickle(rate / 10, WARM_UP_S + seconds))
        begun = journeys[1].calls[0].sent_at + WARM_UP_S
        light_ms = journeys[1].latencies_ms(begun, begun + seconds)
    return _Found(
        transfers=transfers,
        seconds=end - start,
        cost=after.since(before),
        saturated_ms=saturated.latencies_ms(start, end),
        light_ms=light_ms,
        journeys=journeys,
    )


def database_bytes(site: Site) -> int:
    """How large the site's database is: its files, or what PostgreSQL says."""
    store = open_store(site.database)
    try:
        if store.is_sqlite:
            return sum(path.stat().st_size for path in site.directory.glob("region.sqlite*"))
        with store.read() as conn:
            return int(conn.scalar(select(func.pg_database_size(func.current_database()))) or 0)
    finally:
        store.close()


def verify(pair: Pair, journeys: Sequence[Journey]) -> None:
    """Count in both databases what was done. Raises `ChildError` when one transfer or point is not where it must."""
    count, points = sum(j.submitted for j in journeys), sum(j.points for j in journeys)
    told = sum(len(keys) for journey in journeys for _, keys in journey.pages)
    sides = [_standing(site, state) for site, state in zip(pair.sites, (State.POSTED, State.ACCEPTED), strict=True)]
    expected = [(count, count, RESIDENTS * OPENING - points), (count, count, points)]
    if sides != expected or told != count:
        raise ChildError(f"lost or made: (transfers, settled, points) {sides}, not {expected}; {told} outcomes read")


def _standing(site: Site, settled: State) -> tuple[int, int, int]:
    """Transfers, those of them that are settled, and the points of all residents, none of them held."""
    t, b = schema.transfer, schema.balance
    store = open_store(site.database)
    try:
        with store.read() as conn:
            transfers = conn.scalar(select(func.count()).select_from(t)) or 0
            done = conn.scalar(select(func.count()).select_from(t).where(t.c.state == settled)) or 0
            free = b.c.credits_posted - b.c.debits_posted - b.c.debits_pending
            points = conn.scalar(select(func.sum(free)).where(b.c.resident)) or 0
    finally:
        store.close()
    return transfers, done, int(points)
