"""How long a region takes to greet a whole federation in which nothing happens.

The clock runs from the start of the region's process until each of 333 idle peers, in a process of their own, has
opened its channel with it: connected, authenticated, both epochs fenced and durable, and both sides told so.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

from benchmarks import regions
from benchmarks.children import Child, ChildError, child
from benchmarks.neighbours import GUESTS, Guests
from benchmarks.regions import ENVIRONMENT, SOURCE, Site, new_key
from benchmarks.serving import start
from gateway.protocol.members import Key, Region
from gateway.transport.tls import Material, issue
from node.services import founding
from node.store.engine import open_store

PEERS = 333
_FIRST = 400_000
"""Code of the first of them."""
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """One start."""

    seconds: float
    cpu_s: float
    """Of the region's process."""
    peak_mb: float


def run(directory: Path) -> Greeted:
    """Measure once. Raises `ChildError` when a handshake does not end."""
    with tempfile.TemporaryDirectory(prefix="greeting-", dir=directory) as name:
        folder = Path(name)
        site = _prepare(folder)
        with child("neighbours", folder, PATIENCE_S) as neighbours:
            neighbours.hear(PATIENCE_S)
            return _greet(site, neighbours)


def _greet(site: Site, neighbours: Child) -> Greeted:
    begun = time.monotonic()
    served = start(site)
    try:
        served.wait_until_ready()
        try:
            opened_at = neighbours.hear(PATIENCE_S)["opened_at"]
        except ChildError as silence:
            raise ChildError(f"not every handshake ended: {served.last_words()}") from silence
        greeted = Greeted(seconds=opened_at - begun, cpu_s=served.cpu_s(), peak_mb=served.peak_mb())
        served.stop()
    finally:
        served.kill()
    return greeted


def _prepare(folder: Path) -> Site:
    """The region, and what its neighbours have to know."""
    now = datetime.now(UTC)
    codes = range(_FIRST, _FIRST + PEERS)
    keys = {code: new_key() for code in codes}
    materials = {code: issue(code, now=now) for code in codes}
    ports = dict(zip(codes, regions.free_ports(PEERS), strict=True))
    members = [
        Region(
            code=code,
            name_zh=str(code),
            name_en=str(code),
            endpoint=f"127.0.0.1:{ports[code]}",
            keys=(Key(suite=keys[code].suite, public_key=keys[code].public_key),),
            certificates=(materials[code].der,),
        )
        for code in codes
    ]
    (site,), roster = regions.found(folder, (SOURCE,), guests=members)
    with regions.opened(site, [roster]) as (_, office):
        host_key = office.signing_key
    for code, material in materials.items():
        _write(folder, code, material)
    with closing(open_store(site.database)) as store, store.write() as conn:
        federation = founding.trust(conn, ()).federation
    guests = Guests(
        federation=federation.hex(),
        environment=ENVIRONMENT,
        host=site.code,
        host_certificate=PEM_cert_to_DER_cert((site.directory / "tls.crt").read_text(encoding="ascii")).hex(),
        host_key=(host_key.suite, host_key.public_key.hex()),
        seeds={str(code): key.seed().hex() for code, key in keys.items()},
        ports={str(code): port for code, port in ports.items()},
    )
    (folder / GUESTS).write_text(json.dumps(asdict(guests)), encoding="utf-8")
    return site


def _write(folder: Path, code: int, material: Material) -> None:
    (folder / f"{code}.key").write_bytes(material.key_pem)
    (folder / f"{code}.crt").write_bytes(material.cert_pem)
