"""A small honest region: keeps what it sends and hears, and resumes from what the peer says it holds.

Its signatures are empty and its heads say no more than where the frames begin: signatures, trees and epochs are the
region's business, and the transport must carry them without looking.
"""

import asyncio
import datetime
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gateway.ports import BackOff, Peer
from gateway.protocol import codec
from gateway.protocol.buckets import Allowance, Episode, What
from gateway.protocol.values import (
    Delivered,
    Envelope,
    Fault,
    Gap,
    Hello,
    Message,
    Parcel,
    Signature,
    Signed,
    Status,
)
from gateway.transport.client import Dialled, dial
from gateway.transport.courier import Courier
from gateway.transport.tls import Material, MaterialFiles, issue

HANGZHOU, NINGBO, SHAOXING, JIAXING = 330100, 330200, 330600, 330400
DEADLINE_S = 20.0
FRAMES = 3  # per envelope
WINDOW = 12  # frames without a receipt
NOW = datetime.datetime.now(datetime.UTC)


def signed(kind: str, payload: bytes) -> Signed:
    """Looks like something signed."""
    return Signed(
        payload_type=kind, payload=payload, signatures=(Signature(key_id=bytes(8), suite="none", signature=b""),)
    )


class Roster:
    """What all regions of a test hold true of each other; changing it is a new version."""

    def __init__(self) -> None:
        self.version = 1
        self.peers: dict[int, Peer] = {}

    def put(self, peer: Peer) -> None:
        self.peers = {**self.peers, peer.code: peer}
        self.version += 1

    def change(self, code: int, **fields: object) -> None:
        self.put(replace(self.peers[code], **fields))


class TestRegion:
    """One region: logs to each peer, copies of theirs, and the durable back-off."""

    __test__ = False

    def __init__(self, code: int, roster: Roster) -> None:
        self.code, self.roster = code, roster
        self.federation, self.environment = bytes(32), "test"
        self.versions: tuple[int, ...] = (1,)
        self.suites: tuple[str, ...] = ("ed25519-sha256",)
        self.sent: dict[int, list[bytes]] = defaultdict(list)
        self.held: dict[int, list[bytes]] = defaultdict(list)
        self.receipted: dict[int, int] = defaultdict(int)
        self.cursor: dict[int, int] = {}
        self.opened_count: dict[int, int] = defaultdict(int)
        self.faults: list[str] = []
        self.back_offs: dict[int, BackOff] = {}
        self.kept: list[tuple[int, BackOff]] = []
        self.broken: Exception | None = None
        self.gates: dict[int, asyncio.Event] = {}  # hearing an envelope of this peer waits for its gate
        self.hearing: dict[int, int] = defaultdict(int)
        self.most_hearing: dict[int, int] = defaultdict(int)
        self.rosters: list[Signed] = []
        self.seconds: Callable[[], float] = time.monotonic
        self.allowances: dict[int, Allowance] = {}
        self.episodes: list[tuple[int, What, bool]] = []  # peer, kind, whether it began
        self.wake: Callable[[int], None] = lambda _: None
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that only changes when this region is called."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def send(self, peer: int, *frames: bytes) -> None:
        self.sent[peer].extend(frames)
        self.wake(peer)

    # -- what the transport calls ---------------------------------------------------------------------------------

    def hello(self, peer: int) -> Hello:
        return Hello(
            source=self.code,
            destination=peer,
            federation=self.federation,
            environment=self.environment,
            versions=self.versions,
            suites=self.suites,
            roster_version=self.roster.version,
        )

    def peers(self) -> Mapping[int, Peer]:
        return {code: peer for code, peer in self.roster.peers.items() if code != self.code}

    def allowance(self, peer: int) -> Allowance:
        def told(episode: Episode, begins: bool) -> None:
            self.episodes.append((peer, episode.what, begins))
            self._changed.set()

        return self.allowances.setdefault(peer, Allowance(lambda: self.seconds(), told))

    async def opened(self, peer: int) -> Sequence[Message]:
        self.cursor.pop(peer, None)
        self.opened_count[peer] += 1
        self._changed.set()
        return [Gap(size=len(self.held[peer]))]

    async def hear(self, peer: int, message: Message) -> Sequence[Message]:
        try:
            return await self._hear(peer, message)
        finally:
            self._changed.set()

    async def _hear(self, peer: int, message: Message) -> Sequence[Message]:
        match message:
            case Gap(size=size):
                self.cursor[peer] = size
                self.receipted[peer] = max(self.receipted[peer], size)
            case Delivered():
                self.receipted[peer] = max(self.receipted[peer], message.credit_size)
            case Fault(what=what):
                self.faults.append(what)
            case Envelope():
                return await self._hear_envelope(peer, message)
        return []

    async def _hear_envelope(self, peer: int, envelope: Envelope) -> Sequence[Message]:
        self.hearing[peer] += 1
        self.most_hearing[peer] = max(self.most_hearing[peer], self.hearing[peer])
        self._changed.set()
        if peer in self.gates:
            await self.gates[peer].wait()
        self.hearing[peer] -= 1
        if self.broken is not None:
            raise self.broken
        first, held = int(envelope.head.payload), self.held[peer]
        if first > len(held):
            return [Gap(size=len(held))]
        held.extend(envelope.frames[len(held) - first :])
        return [Delivered(receipt=signed(codec.RECEIPT, b"%d" % len(held)), credit_size=len(held))]

    async def next(self, peer: int) -> Parcel | None:
        first = self.cursor.get(peer)
        if first is None or first >= len(self.sent[peer]) or first - self.receipted[peer] >= WINDOW:
            return None
        frames = self.sent[peer][first : first + FRAMES]
        self.cursor[peer] = first + len(frames)
        packed = codec.pack_frames(frames) + codec.pack_bodies(frames)
        return Parcel(head=signed(codec.HEAD, b"%d" % first), packed=packed)

    async def tick(self, peer: int) -> Sequence[Message]:
        self._changed.set()
        return []

    def on_work(self, wake: Callable[[int], None]) -> None:
        self.wake = wake

    def back_off(self, peer: int) -> BackOff:
        return self.back_offs.get(peer, BackOff())

    async def keep_back_off(self, peer: int, back_off: BackOff) -> None:
        self.back_offs[peer] = back_off
        self.kept.append((peer, back_off))
        self._changed.set()

    async def rosters_after(self, have: int) -> tuple[Sequence[Signed], bool]:
        return self.rosters[have : have + 2], len(self.rosters) > have + 2

    async def hear_rosters(self, rosters: Sequence[Signed]) -> None:
        self.rosters.extend(rosters)
        self.roster.version = len(self.rosters)
        self._changed.set()


class Town:
    """A region, its key and certificate on disk, and its courier."""

    def __init__(self, code: int, roster: Roster, directory: Path) -> None:
        self.code, self.roster, self.directory = code, roster, directory
        self.region = TestRegion(code, roster)
        self.key_path, self.cert_path = directory / f"{code}.key.pem", directory / f"{code}.cert.pem"
        self.material = issue(code, now=NOW)
        self.write(self.material)
        roster.put(Peer(code=code, endpoint="", status=Status.ACTIVE, certificates=(self.material.der,)))
        self.courier: Courier | None = None

    def write(self, material: Material) -> None:
        """Replace the files, as an operator does."""
        self.material = material
        self.key_path.write_bytes(material.key_pem)
        self.cert_path.write_bytes(material.cert_pem)

    async def dial(self, other: "Town", hello: Hello | None = None, material: Material | None = None) -> Dialled:
        """A stream to another town by hand, past one's own courier, with Hello said both ways."""
        peer = self.region.peers()[other.code]
        stream, _ = await dial(peer, hello or self.region.hello(other.code), material or self.material, attempts=1)
        return stream

    async def start(self, *, dialable: bool = True, **options: object) -> Courier:
        """Start a courier; `dialable` puts its address into the roster."""
        courier = Courier(self.region, MaterialFiles(self.key_path, self.cert_path), **options)
        await courier.start()
        self.courier = courier
        if dialable:
            self.publish()
        return courier

    def publish(self) -> None:
        """Let the others dial."""
        assert self.courier is not None
        self.roster.change(self.code, endpoint=f"127.0.0.1:{self.courier.port}")

    async def stop(self) -> None:
        if self.courier is not None:
            courier, self.courier = self.courier, None
            await courier.stop()

    def restart(self) -> None:
        """What is durable, in a new region object: the process has died."""
        old, self.region = self.region, TestRegion(self.code, self.roster)
        self.region.sent, self.region.held = old.sent, old.held
        self.region.back_offs = old.back_offs
