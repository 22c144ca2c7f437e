"""Two regions at work while a third member floods both: does one bad peer slow the others?

The same pair of processes is saturated twice, alone and then beside the flood; what counts is the ratio of the rates.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import regions
from benchmarks.children import ChildError, child
from benchmarks.flooder import CODE, Guest
from benchmarks.load import Journey, Load
from benchmarks.product import CALLS_PER_S, WARM_UP_S
from benchmarks.regions import Pair, new_key
from benchmarks.serving import serving
from gateway.protocol.members import Key, Region
from gateway.transport.tls import issue
from node.services import founding
from node.store.engine import open_store

FLOODED_BY_S = 30.0
"""The flood is at its height when a malformed envelope has got through; it has so long for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooded:
    """One run."""

    alone_per_s: float
    beside_per_s: float
    """The rate beside the flood."""


def run(seconds: float, directory: Path) -> Flooded:
    """Measure once. Raises `ChildError` when an outcome is missing or the flood does not come about."""
    with tempfile.TemporaryDirectory(prefix="flooding-", dir=directory) as name:
        folder = Path(name)
        key, material = new_key(), issue(CODE, now=datetime.now(UTC))
        member = Region(
            code=CODE,
            name_zh=str(CODE),
            name_en=str(CODE),
            keys=(Key(suite=key.suite, public_key=key.public_key),),
            certificates=(material.der,),
        )
        pair = regions.build(folder, guests=[member])
        load = Load(pair)
        load.lay_in(round(2 * CALLS_PER_S * (WARM_UP_S + seconds)))
        guest = Guest(
            seed=key.seed().hex(),
            key_pem=material.key_pem.decode(),
            cert_pem=material.cert_pem.decode(),
            federation=_federation(pair).hex(),
            targets=[(site.code, f"127.0.0.1:{site.grpc_port}", _certificate(site.directory)) for site in pair.sites],
        )
        (folder / "guest.json").write_text(json.dumps(asdict(guest)), encoding="utf-8")
        with serving(*pair.sites):
            alone, alone_per_s = asyncio.run(_steady(load, seconds))
            with child("flooder", folder, 4 * (seconds + FLOODED_BY_S)) as flooder:
                flooder.hear(FLOODED_BY_S)
                beside, beside_per_s = asyncio.run(_steady(load, seconds))
    for journey in (alone, beside):
        if journey.submitted != sum(len(keys) for _, keys in journey.pages):
            raise ChildError("outcomes are missing")
    return Flooded(alone_per_s=alone_per_s, beside_per_s=beside_per_s)


def _certificate(directory: Path) -> str:
    import ssl

    return ssl.PEM_cert_to_DER_cert((directory / "tls.crt").read_text(encoding="ascii")).hex()


def _federation(pair: Pair) -> bytes:
    with closing(open_store(pair.source.database)) as store, store.write() as conn:
        return founding.trust(conn, ()).federation


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
