"""Two regions on this machine, made as an operator would make them: directories, keys, a federation of two, residents.

Every run gets a fresh copy, so that no run pays for the rows of another.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.protocol import roster
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import Signed
from gateway.transport.tls import Material, issue
from node import config
from node.services import founding
from node.services.account import OpenAccount
from node.services.address import NewAddress
from node.services.award import Award
from node.services.office import Office
from node.services.writer import Writer
from node.store import tokens
from node.store.engine import Store, open_store
from node.store.migrate import migrate
from node.witness import LINEAGE_BYTES, WitnessFile, begin

SOURCE, DESTINATION = 330100, 330200
RESIDENTS = 10_000
OPENING = 10**12
CATEGORY = "moral"
ENVIRONMENT = "benchmark"
_COMMANDS = 2_000
_PORTS = range(15_000, 32_000)
"""Below those that systems give to outgoing connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One region's directory and where its process listens."""

    code: int
    directory: Path
    database: str
    """The store's URL."""
    grpc_port: int
    http_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two regions that trust each other, not running."""

    source: Site
    destination: Site
    token: str
    """What the source's HTTP API takes as a bearer token."""
    addresses: tuple[str, ...]
    """A receiving address of every resident of the destination."""

    @property
    def sites(self) -> tuple[Site, Site]:
        """Source, destination."""
        return self.source, self.destination


def resident(number: int) -> str:
    """The account name of a resident."""
    return f"resident-{number:07d}"


def build(
    folder: Path,
    databases: Sequence[str | None] = (None, None),
    *,
    residents: int = RESIDENTS,
    guests: Sequence[Region] = (),
) -> Pair:
    """Make both regions below `folder`; every resident of the source gets one lot of `OPENING` units.

    `guests`: further members of the roster, with whom no terms are agreed.

    `databases`: store URLs of two empty databases; None is a file in the region's directory.
    """
    sites, signed = found(folder, (SOURCE, DESTINATION), databases, guests=guests)
    token = ""
    addresses: tuple[str, ...] = ()
    for site in sites:
        with opened(site, [signed]) as (store, office):
            writer = Writer(store, office)
            open_accounts(writer, residents)
            if site.code == SOURCE:
                give_points(writer, residents)
                token = give_token(store)
            else:
                addresses = give_addresses(writer, residents)
    return Pair(source=sites[0], destination=sites[1], token=token, addresses=addresses)


def found(
    folder: Path, codes: Sequence[int], databases: Sequence[str | None] = (), *, guests: Sequence[Region] = ()
) -> tuple[list[Site], Signed]:
    """Directories of regions that trust each other, below `folder`, and their roster. Their databases are not made."""
    ports = iter(free_ports(2 * len(codes)))
    sites = []
    for code, url in zip(codes, databases or [None] * len(codes), strict=True):
        directory = folder / str(code)
        database = url or f"sqlite:///{directory / 'region.sqlite'}"
        sites.append(
            Site(code=code, directory=directory, database=database, grpc_port=next(ports), http_port=next(ports))
        )
    return sites, _write_directories(sites, guests)


def copy(pair: Pair, folder: Path) -> Pair:
    """A pair in files as :func:`build` left it, below `folder`, on the same ports: only one copy can run at a time."""
    sites = []
    for site in pair.sites:
        directory = folder / str(site.code)
        shutil.copytree(site.directory, directory)
        database = f"sqlite:///{directory / 'region.sqlite'}"
        sites.append(
            Site(
                code=site.code,
                directory=directory,
                database=database,
                grpc_port=site.grpc_port,
                http_port=site.http_port,
            )
        )
    return Pair(source=sites[0], destination=sites[1], token=pair.token, addresses=pair.addresses)


# --- parts ---------------------------------------------------------------------------------------------------------


@contextmanager
def opened(site: Site, rosters: Sequence[Signed]) -> Iterator[tuple[Store, Office]]:
    """The site's database, made where it is new, and what its services know, without starting a node."""
    settings = config.load(site.directory)
    secrets = config.load_secrets(settings)
    store = open_store(settings.database)
    try:
        migrate(store)
        with store.write() as conn:
            if rosters:
                lineage = os.urandom(LINEAGE_BYTES)
                founding.found(conn, site.code, settings.categories, lineage)
                WitnessFile(settings.witness).write(begin(site.code, lineage))
            trusted = founding.trust(conn, rosters)
        yield (
            store,
            Office(
                me=site.code,
                signing_key=secrets.signing_key,
                id_secret=secrets.id_secret,
                redo_secret=secrets.redo_secret,
                roster=trusted,
                terms=config.load_terms(settings.terms),
                clock=_now_ms,
                random=os.urandom,
            ),
        )
    finally:
        store.close()


def open_accounts(writer: Writer, residents: int) -> None:
    """Accounts of so many residents."""
    submit(writer, [OpenAccount(name=resident(number)) for number in range(residents)])


def give_points(writer: Writer, residents: int) -> None:
    """One lot of `OPENING` units to each."""
    submit(
        writer,
        [
            Award(client="benchmark", key=f"award-{n}", account=resident(n), category=CATEGORY, amount=OPENING)
            for n in range(residents)
        ],
    )


def give_addresses(writer: Writer, residents: int) -> tuple[str, ...]:
    """A receiving address of each."""
    return tuple(a.address for a in submit(writer, [NewAddress(account=resident(n)) for n in range(residents)]))


def give_token(store: Store) -> str:
    """A token that may do everything."""
    with store.write() as conn:
        return tokens.create(conn, "benchmark", ["admin"], _now_ms())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def submit(writer: Writer, commands: Sequence[Any]) -> list[Any]:
    """Commit commands in batches; their answers. Raises the first refusal."""
    answers: list[Any] = []
    for start in range(0, len(commands), _COMMANDS):
        answers += writer.commit(commands[start : start + _COMMANDS])
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def new_key() -> SigningKey:
    """A key nobody has had."""
    return SigningKey.from_seed(os.urandom(32))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, and that no outgoing connection will be given before they are used."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"fewer than {count} ports are free")


def _write_directories(sites: Sequence[Site], guests: Sequence[Region]) -> Signed:
    """Keys, certificates and configuration of every region; the roster they trust, signed by two of three."""
    now = datetime.now(UTC)
    members = []
    for site in sites:
        secrets = site.directory / "secrets"
        secrets.mkdir(parents=True)
        key, material = new_key(), issue(site.code, now=now)
        _write_secrets(secrets, key, material)
        (site.directory / "tls.crt").write_bytes(material.cert_pem)
        (site.directory / config.CONFIG_FILE).write_text(_configuration(site), encoding="utf-8")
        (site.directory / config.TERMS_FILE).write_text(_terms(sites), encoding="utf-8")
        members.append(
            Region(
                code=site.code,
                name_zh=str(site.code),
                name_en=str(site.code),
                endpoint=f"127.0.0.1:{site.grpc_port}",
                keys=(Key(suite=key.suite, public_key=key.public_key),),
                certificates=(material.der,),
            )
        )
    roots = [new_key() for _ in range(3)]
    listing = Roster(
        version=1,
        name_zh="测试",
        name_en="Benchmark",
        environment=ENVIRONMENT,
        issued_at_ms=int(now.timestamp() * 1000),
        grace_s=86_400,
        root_keys=tuple(Key(suite=root.suite, public_key=root.public_key) for root in roots),
        threshold=2,
        regions=(*members, *guests),
    )
    return roster.sign(listing, roots[:2])


def _write_secrets(directory: Path, key: SigningKey, material: Material) -> None:
    directory.chmod(0o700)
    for name, content in {
        "signing.key": key.seed().hex(),
        "id.key": os.urandom(config.SECRET_BYTES).hex(),
        "redo.key": os.urandom(config.SECRET_BYTES).hex(),
        "tls.key": material.key_pem.decode(),
    }.items():
        path = directory / name
        path.write_text(content, encoding="ascii")
        path.chmod(0o600)


def _configuration(site: Site) -> str:
    return f"""\
region = "{site.code}"
name_zh = "{site.code}"
environment = "{ENVIRONMENT}"
categories = ["{CATEGORY}", "public_welfare", "culture"]
database = "{site.database}"
grpc_listen = "127.0.0.1:{site.grpc_port}"
http_listen = "127.0.0.1:{site.http_port}"
endpoint = "127.0.0.1:{site.grpc_port}"
"""


def _terms(sites: Sequence[Site]) -> str:
    text = "version = 1\n"
    for a in sites:
        for b in sites:
            if a is not b:
                text += f"""
[[terms]]
from = "{a.code}"
to = "{b.code}"
category = "{CATEGORY}"
becomes = "{CATEGORY}"
rate = "1/1"
"""
    return text
