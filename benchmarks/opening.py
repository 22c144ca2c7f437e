"""How long a large region takes to open: from the start of its process until points move.

The clock runs from the start of the process (the interpreter and its imports included) until a first transfer has been
ordered over HTTP, carried to the peer under the new epoch, and its accepted outcome read: nothing less shows that the
handshake is over.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.children import ChildError
from benchmarks.client import Connection, bulk_call, get
from benchmarks.large import large
from benchmarks.long_log import nobody
from benchmarks.regions import Pair
from benchmarks.serving import serving, start
from node.store import schema
from node.store.engine import open_store

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One start."""

    seconds: float
    listening_s: float
    """Until the HTTP API answered that the region is ready."""
    peak_mb: float
    """Peak resident memory until the transfer was through."""


def run(directory: Path, runs: int, told: Callable[[int], None] = nobody) -> list[Opened]:
    """Open the large region so many times, while its peer keeps running."""
    pair = large(directory, told)
    with serving(pair.destination):
        return [_open(pair) for _ in range(runs)]


def _open(pair: Pair) -> Opened:
    last = _last_event(pair)
    begun = time.monotonic()
    source = start(pair.source)
    try:
        source.wait_until_ready()
        listening = time.monotonic()
        asyncio.run(_one_transfer(pair, last))
        ended = time.monotonic()
        peak_mb = source.peak_mb()
        source.stop()
    finally:
        source.kill()
    return Opened(seconds=ended - begun, listening_s=listening - begun, peak_mb=peak_mb)


def _last_event(pair: Pair) -> int:
    with closing(open_store(pair.source.database)) as store, store.read() as conn:
        return conn.scalar(select(func.max(schema.event.c.no))) or 0


async def _one_transfer(pair: Pair, after: int) -> None:
    connection = await Connection.open(pair.source.http_port)
    await connection.call(bulk_call(pair, random.Random(), 1).request)
    async with asyncio.timeout(PATIENCE_S):
        while b'"posted"' not in (body := await connection.call(get(pair, f"/v1/events?after={after}&wait=5"))):
            if b'"kind"' in body:
                raise ChildError(f"the first transfer was not accepted: {body!r}")
    connection.close()
