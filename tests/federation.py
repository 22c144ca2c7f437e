"""Whole regions for tests: real keys, rosters, databases and services, under a clock and chance the test controls."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from gateway.protocol import roster
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.suite import SigningKey
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Message, Signed
from gateway.transport import messages as wire
from node.services import founding
from node.services.exchange import Exchange
from node.services.handshake import Begin
from node.services.office import Office
from node.services.writer import Writer
from node.store.create import create
from node.store.engine import Store, open_store
from node.witness import Witness

NOW_MS = 1_795_000_000_000
"""November 2026."""

CATEGORIES = ("moral", "public_welfare", "culture")


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms
        self.skew_ms = 0

    def __call__(self) -> int:
        return self.now_ms + self.skew_ms


def signing_key(name: object) -> SigningKey:
    """A key that is the same whenever it is asked for."""
    return SigningKey.from_seed(random.Random(f"key {name}").randbytes(32))


def found_federation(codes: Sequence[int], change: Callable[[Region], Region] = lambda r: r) -> Signed:
    """A first roster that lists these regions, signed by two of three root keys."""
    roots = [signing_key(f"root {i}") for i in range(3)]
    listing = Roster(
        version=1,
        federation=b"",
        name_zh="试验",
        name_en="Trial",
        environment="test",
        issued_at_ms=NOW_MS - 1000,
        grace_s=86_400,
        root_keys=tuple(Key(suite=k.suite, public_key=k.public_key) for k in roots),
        threshold=2,
        regions=tuple(
            change(
                Region(
                    code=code,
                    name_zh=f"区{code}",
                    name_en=f"Region {code}",
                    keys=(Key(suite=signing_key(code).suite, public_key=signing_key(code).public_key),),
                    certificates=(b"certificate of %d" % code,),
                )
            )
            for code in codes
        ),
    )
    return roster.sign(listing, roots[:2])


def plain_terms(codes: Sequence[int], rate: tuple[int, int] = (1, 1), **more: Any) -> dict[tuple[int, int, str], Terms]:
    """Every category stays what it is, between all regions; one way at the rate, the other at its inverse."""
    terms = {}
    for a in codes:
        for b in codes:
            for c in CATEGORIES if a != b else ():
                p, q = rate if a < b else rate[::-1]
                terms[a, b, c] = Terms(
                    source=a, destination=b, category=c, becomes=c, rate_p=p, rate_q=q, version=1, **more
                )
    return terms


class TestRegion:
    """One region: its database, its writer, and a way to say and hear messages."""

    __test__ = False

    def __init__(
        self, code: int, signed_roster: Signed, terms: dict[tuple[int, int, str], Terms], *, store: Store | None = None,
        clock: Clock | None = None, seed: object = 0,
    ) -> None:  # fmt: skip
        self.witness: Witness | None = None  # given to the next process that starts
        self.code, self.clock = code, clock or Clock()
        self.chance = random.Random(f"{seed} {code}")
        self.store = store or open_store("sqlite://")
        if store is None:
            create(self.store)
        with self.store.write() as conn:
            founding.found(conn, code, CATEGORIES)
            current = founding.trust(conn, [signed_roster])
        self.office = Office(
            me=code,
            signing_key=signing_key(code),
            id_secret=b"i" * 32,
            redo_secret=b"r" * 32,
            roster=current,
            terms=terms,
            clock=self.clock,
            random=self.chance.randbytes,
        )
        self.start()

    def start(self) -> None:
        """A new process over the same database."""
        self.office.doubled = False
        self.writer = Writer(self.store, self.office, self.witness)
        self.exchange = Exchange(self.office, self.store)
        self.writer.on_sealed(self.exchange.sending.sealed)

    def do(self, *commands: Any) -> list[Any]:
        """Commit commands; an error is the answer."""
        return self.writer.commit(commands)

    def one(self, command: Any) -> Any:
        """Commit one command; a refusal is raised."""
        answer = self.writer.commit([command])[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hear(self, peer: int, message: Message) -> list[Message]:
        """Take a message in, return what is answered."""
        result = self.writer.commit([self.exchange.command(peer, message)])[0]
        return self.exchange.answers(self.writer.channels.get(peer), result)

    def say(self, peer: int, command: Any) -> list[Message]:
        """What a command of the handshake sends."""
        return self.exchange.answers(self.writer.channels.get(peer), self.one(command))


class Pair:
    """Two regions (or more) and the wire between them: every message travels as bytes, when the test says so."""

    def __init__(self, *regions: TestRegion) -> None:
        self.regions = {region.code: region for region in regions}
        self.wire: deque[tuple[int, int, bytes]] = deque()  # (from, to, message)

    def open(self) -> None:
        """Every node starts: the handshake in both directions, and what waits to be sent."""
        for region in self.regions.values():
            for peer in self.regions:
                if peer != region.code:
                    self.send(region.code, peer, region.say(peer, Begin(peer=peer)))
        self.pump()

    def restart(self, code: int) -> None:
        """The node's process dies, with what it has under way, and starts again."""
        self.wire = deque(item for item in self.wire if code not in item[:2])
        self.regions[code].start()
        self.open()

    def send(self, source: int, destination: int, messages: Sequence[Message]) -> None:
        """Put messages on the wire."""
        self.wire.extend((source, destination, wire.encode(message)) for message in messages)

    def collect(self) -> None:
        """Put on the wire what every region has to send now."""
        for source, region in self.regions.items():
            for peer in self.regions:
                while peer != source and (parcel := region.exchange.parcel(region.writer.channels.get(peer))):
                    self.send(source, peer, [parcel])

    def deliver(self) -> None:
        """Hand over the oldest message on the wire and put on it what is answered."""
        source, destination, message = self.wire.popleft()
        heard = wire.decode(message)
        assert not isinstance(heard, wire.Unknown)
        self.send(destination, source, self.regions[destination].hear(source, heard))

    def pump(self, *, at_most: int = 10_000) -> None:
        """Send and deliver until nobody has anything to say."""
        for _ in range(at_most):
            if not self.wire:
                self.collect()
            if not self.wire:
                return
            self.deliver()
        raise AssertionError(f"still talking after {at_most} messages")


def pair(
    codes: Sequence[int] = (330100, 330200), *, stores: Sequence[Store | None] = (), open_now: bool = True, **terms: Any
) -> Pair:
    """Regions that trust each other, their channels open; `terms` as for :func:`plain_terms`."""
    signed, agreed, clock = found_federation(codes), plain_terms(codes, **terms), Clock()
    given = [*stores, *[None] * (len(codes) - len(stores))]
    made = Pair(
        *(TestRegion(code, signed, agreed, store=store, clock=clock) for code, store in zip(codes, given, strict=True))
    )
    if open_now:
        made.open()
    return made
