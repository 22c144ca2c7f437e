"""A whole federation of idle regions as one process: ``python -m benchmarks.neighbours FOLDER SECONDS``.

Each has a port, a certificate and a key of its own and the transport that regions run; of a region's insides it has
the handshake alone, over logs that are empty. The process tells its parent when every one of them has opened its
channel with the region that starts: it has fenced that region's epoch, that region has fenced its, and both know.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from benchmarks.children import live_at_most, say, wait_for_parent
from gateway.ports import BackOff, Peer
from gateway.protocol import channel as channels
from gateway.protocol import codec, handshake, suite
from gateway.protocol.buckets import Allowance
from gateway.protocol.channel import Channel
from gateway.protocol.suite import SUITES, SigningKey, VerifyKey
from gateway.protocol.values import Ask, Fenced, Hello, Log, Message, Resume, Signed, Standing, Status
from gateway.transport.courier import Courier
from gateway.transport.tls import MaterialFiles

GUESTS = "guests.json"
"""Written to FOLDER by the benchmark, see :class:`Guests`; the key and certificate of each are beside it, as PEM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """Who they are, and whom they meet."""

    federation: str
    environment: str
    host: int
    host_certificate: str
    """DER, hex."""
    host_key: tuple[str, str]
    """Suite and public key (hex)."""
    seeds: Mapping[str, str]
    """Code -> seed of the signing key, hex."""
    ports: Mapping[str, int]


class Idle:
    """One region that has nothing to say; implements :class:`gateway.ports.Region`."""

    def __init__(self, code: int, guests: Guests, opened: Callable[[int], None]) -> None:
        self._code, self._guests, self._opened = code, guests, opened
        self._key = SigningKey.from_seed(bytes.fromhex(guests.seeds[str(code)]))
        self._host_keys = [VerifyKey(suite=guests.host_key[0], public_key=bytes.fromhex(guests.host_key[1]))]
        self._peer = Peer(
            code=guests.host,
            endpoint="",
            status=Status.ACTIVE,
            certificates=(bytes.fromhex(guests.host_certificate),),
        )
        log = Log(
            federation=bytes.fromhex(guests.federation),
            environment=guests.environment,
            source=code,
            destination=guests.host,
            generation=1,
        )
        self._channel, self._resume = handshake.propose(Channel(out=log), _now_ms(), code)
        self._allowance = Allowance(time.monotonic)

    def hello(self, peer: int) -> Hello:
        return Hello(
            source=self._code,
            destination=peer,
            federation=self._channel.out.federation,
            environment=self._channel.out.environment,
            versions=(1,),
            suites=tuple(SUITES),
            roster_version=1,
        )

    def peers(self) -> Mapping[int, Peer]:
        return {self._peer.code: self._peer}

    def allowance(self, _peer: int) -> Allowance:
        return self._allowance

    async def opened(self, _peer: int) -> Sequence[Message]:
        return [self._signed(self._resume)]

    async def hear(self, _peer: int, message: Message) -> Sequence[Message]:
        if not isinstance(message, Signed):
            return ()
        said = codec.decode_payload(message.payload_type, suite.verify(message, self._host_keys, message.payload_type))
        answers = [self._signed(answer) for answer in self._heard(said)]
        if channels.is_open(self._channel):
            self._opened(self._code)
        return answers

    def _heard(self, said: Any) -> Sequence[Any]:
        channel, none = self._channel, _Nothing()
        match said:
            case Resume():
                self._channel, answer = handshake.hear_resume(channel, said, none)
                return (answer,)
            case Fenced():
                self._channel, _ = handshake.hear_fenced(channel, said, none, none)
                return (handshake.ask(self._channel),) if self._channel.ready else ()
            case Ask():
                self._channel = handshake.hear_asker(channel, said)
                return (handshake.hear_ask(channel, said, back_off_ms=0, status="active"),)
            case Standing():
                self._channel = handshake.hear_standing(channel, said, none)
        return ()

    def _signed(self, value: Any) -> Signed:
        return self._key.sign(codec.payload_type_of(value), codec.encode_payload(value))

    async def next(self, _peer: int) -> Message | None:
        return None

    async def tick(self, _peer: int) -> Sequence[Message]:
        return ()

    def on_work(self, _wake: Callable[[int], None]) -> None:
        """There is never any."""

    def back_off(self, _peer: int) -> BackOff:
        return BackOff()

    async def keep_back_off(self, _peer: int, _back_off: BackOff) -> None:
        """Nobody is dialled."""

    async def rosters_after(self, _have: int) -> tuple[Sequence[Signed], bool]:
        return (), False

    async def hear_rosters(self, _rosters: Sequence[Signed]) -> None:
        """The one there is is known."""


class _Nothing:
    """The nodes of an empty log."""

    def node(self, level: int, index: int) -> bytes:
        raise IndexError(level, index)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _host(folder: Path, guests: Guests) -> None:
    missing, done = set(map(int, guests.seeds)), asyncio.Event()

    def opened(code: int) -> None:
        missing.discard(code)
        if not missing:
            done.set()

    couriers = []
    for code in list(missing):
        files = MaterialFiles(folder / f"{code}.key", folder / f"{code}.crt")
        listen = f"127.0.0.1:{guests.ports[str(code)]}"
        couriers.append(Courier(Idle(code, guests, opened), files, listen))
    await asyncio.gather(*(courier.start() for courier in couriers))
    say(listening=True)
    await done.wait()
    say(opened_at=time.monotonic())
    await asyncio.to_thread(wait_for_parent)
    os._exit(0)  # nothing is kept; to part from hundreds of streams in good order takes longer than to meet


def main(folder: str, seconds: str) -> None:
    """Entry point of the process."""
    live_at_most(float(seconds))
    guests = Guests(**json.loads((Path(folder) / GUESTS).read_text(encoding="utf-8")))
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_host(Path(folder), guests))


if __name__ == "__main__":
    main(*sys.argv[1:])
