"""How fast a restored region gets back what it lost: its backup has the accounts, its peers have the rest.

One region and its peers move points in both directions, here in one process and by the code that regions run, so that
heads are signed and redo records sealed as in life. Then the region's database is replaced by the backup, and all run
as processes of their own. The clock runs from the start of the restored one until its API says that no peer is
outstanding.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import regions
from benchmarks.children import ChildError
from benchmarks.client import Connection, get
from benchmarks.long_log import hurry, nobody
from benchmarks.regions import CATEGORY, Pair, Site, resident
from benchmarks.serving import Served, serving, start
from gateway.protocol.values import Message
from gateway.transport import messages as wire
from node import config
from node.services.exchange import Exchange
from node.services.handshake import Begin
from node.services.office import Office
from node.services.transfer import Order
from node.services.writer import Writer
from node.store.engine import Store
from node.witness import WitnessFile

CODES = (330100, 330200, 330300, 330400)
"""The region that is restored, and its peers."""
RESIDENTS = 9_999
"""Of the region that is restored, and of its peers together."""
ORDERS = 1_000
"""In one commit, for one peer."""
PATIENCE_S = 600.0
_LOOK_S = 0.05
_BACKUP = "backup.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """One recovery."""

    messages: int
    """In both logs of all channels, when no peer was outstanding any more: the region's own, given back and done again,
    and those of its peers that these had seen, which came with them and were taken in."""
    seconds: float
    cpu_s: float
    """Of the restored region's process alone."""
    peak_mb: float

    @property
    def messages_per_s(self) -> float:
        """The rate, start of the process included."""
        return self.messages / self.seconds


def run(directory: Path, messages: int, runs: int, told: Callable[[int], None] = nobody) -> list[Recovered]:
    """Lose so many messages and recover, several times from the same backup. `told` hears how many are written.

    Raises `ChildError` when it does not end, or not with the very logs that were lost.
    """
    with tempfile.TemporaryDirectory(prefix="recovery-", dir=directory) as name:
        sites, token, lost = _prepare(Path(name), messages, told)
        with serving(*sites[1:]):
            return [_recover(sites[0], token, lost) for _ in range(runs)]


# -- what is lost -----------------------------------------------------------------------------------------------------


class _Region:
    """A region at work in this process."""

    def __init__(self, store: Store, office: Office, witness: WitnessFile) -> None:
        self.store, self.code = store, office.me
        self.writer = Writer(store, office, witness)
        self.exchange = Exchange(office, store)
        self.writer.on_sealed(self.exchange.sending.sealed)

    def said(self, peer: int, command: object) -> Sequence[Message]:
        """Commit one command; what is answered to the peer."""
        (answer,) = regions.submit(self.writer, [command])
        return self.exchange.answers(self.writer.channels.get(peer), answer)

    def to_send(self, peer: int) -> Sequence[Message]:
        """The next envelope for a peer, if there is one."""
        parcel = self.exchange.parcel(self.writer.channels.get(peer))
        return () if parcel is None else (parcel,)

    def size(self) -> int:
        """Messages in both logs of all channels."""
        return sum(channel.size + channel.held for channel in self.writer.channels.values())


class _Wire:
    """Carries messages, as bytes, until nobody has anything to say."""

    def __init__(self, made: Sequence[_Region]) -> None:
        self._regions = {region.code: region for region in made}
        self._under_way: deque[tuple[int, int, bytes]] = deque()  # from, to

    def put(self, source: int, destination: int, said: Sequence[Message]) -> None:
        """Send."""
        self._under_way.extend((source, destination, wire.encode(message)) for message in said)

    def pump(self) -> None:
        """Deliver everything, and whatever follows from it."""
        while self._under_way or self._collect():
            source, destination, data = self._under_way.popleft()
            message = wire.decode(data)
            if isinstance(message, wire.Unknown):
                raise ChildError(f"a region said something unknown: {message.name}")
            region = self._regions[destination]
            self.put(destination, source, region.said(source, region.exchange.command(source, message)))

    def _collect(self) -> bool:
        for code, region in self._regions.items():
            for peer in self._regions.keys() - {code}:
                self.put(code, peer, region.to_send(peer))
        return bool(self._under_way)


def _prepare(folder: Path, messages: int, told: Callable[[int], None]) -> tuple[list[Site], str, int]:
    """The sites, the first of them with its backup beside the database; a token of its API; how many messages are in
    the logs of its channels, and not in the backup."""
    sites, roster = regions.found(folder, CODES)
    addresses: list[tuple[str, ...]] = []
    token = ""
    for site in sites:
        with regions.opened(site, [roster]) as (store, office):
            writer = Writer(store, office, WitnessFile(config.load(site.directory).witness))
            residents = RESIDENTS if site is sites[0] else RESIDENTS // (len(sites) - 1)
            regions.open_accounts(writer, residents)
            regions.give_points(writer, residents)
            addresses.append(regions.give_addresses(writer, residents))
            if site is sites[0]:
                token = regions.give_token(store)
    shutil.copy(_file(sites[0]), sites[0].directory / _BACKUP)
    with ExitStack() as stack:
        made = []
        for site in sites:
            store, office = stack.enter_context(regions.opened(site, ()))
            hurry(store)
            made.append(_Region(store, office, WitnessFile(config.load(site.directory).witness)))
        _move(made, addresses, messages, told)
        lost = made[0].size()
    return sites, token, lost


def _move(
    made: Sequence[_Region], addresses: Sequence[Sequence[str]], messages: int, told: Callable[[int], None]
) -> None:
    """Points in both directions between the first region and the others, until its logs have so many messages."""
    drawn, wire = random.Random(1), _Wire(made)
    first, others = made[0], made[1:]
    for peer in others:
        for one, other in ((first, peer), (peer, first)):
            wire.put(one.code, other.code, one.said(other.code, Begin(peer=other.code)))
    wire.pump()
    orders = 0
    while first.size() < messages:
        for at, peer in enumerate(others, 1):
            for one, payers, to in ((first, len(addresses[0]), at), (peer, len(addresses[at]), 0)):
                regions.submit(one.writer, _orders(drawn, payers, addresses[to], orders))
                orders += ORDERS
        wire.pump()
        told(first.size())


def _orders(drawn: random.Random, payers: int, addresses: Sequence[str], first: int) -> list[Order]:
    return [
        Order(
            client="benchmark",
            key=f"order-{first + i}",
            account=resident(drawn.randrange(payers)),
            category=CATEGORY,
            amount=drawn.randint(1, 500),
            address=drawn.choice(addresses),
        )
        for i in range(ORDERS)
    ]


# -- recovering it ----------------------------------------------------------------------------------------------------


def _recover(site: Site, token: str, messages: int) -> Recovered:
    file = _file(site)
    for left in site.directory.glob(f"{file.name}*"):
        left.unlink()
    shutil.copy(site.directory / _BACKUP, file)
    begun = time.monotonic()
    served = start(site)
    try:
        served.wait_until_ready()
        recovered = asyncio.run(_recovered(site, token, messages, served, begun))
        served.stop()
    finally:
        served.kill()
    return recovered


async def _recovered(site: Site, token: str, messages: int, served: Served, begun: float) -> Recovered:
    """Wait until every peer has given back what it holds, and then for what they deliver in the ordinary way."""
    connection = await Connection.open(site.http_port)
    asked = Pair(source=site, destination=site, token=token, addresses=())

    async def ask(path: str) -> Any:
        return json.loads(await connection.call(get(asked, path)))

    async def there() -> int:
        return sum(peer["sent"] + peer["held"] for peer in (await ask("/v1/peers"))["peers"])

    try:
        async with asyncio.timeout(PATIENCE_S):
            found = await ask("/v1/recovery")
            while found["outstanding"]:
                await asyncio.sleep(_LOOK_S)
                found = await ask("/v1/recovery")
            recovered = Recovered(
                messages=await there(),
                seconds=time.monotonic() - begun,
                cpu_s=served.cpu_s(),
                peak_mb=served.peak_mb(),
            )
            back = recovered.messages
            while back < messages:
                await asyncio.sleep(_LOOK_S)
                back = await there()
    except TimeoutError:
        raise ChildError(f"no end in {PATIENCE_S:.0f} s: {served.last_words()}") from None
    finally:
        connection.close()
    if sorted(found["merged"]) != sorted(CODES[1:]) or back != messages:
        raise ChildError(f"{messages} messages were lost, {back} are back: {found!r}")
    return recovered


def _file(site: Site) -> Path:
    return site.directory / "region.sqlite"
