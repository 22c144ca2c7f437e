"""A member that means ill, as a process of its own: ``python -m benchmarks.flooder FOLDER SECONDS``.

It holds a key and a certificate of the roster and says, to every region and as fast as they take it: offers to nobody,
the same envelope over and over, questions, envelopes that do not lead to their root, streams of garbage and requests
for rosters. It is given what the processors have left: in life it has a machine of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc

from benchmarks.children import live_at_most, say, wait_for_parent
from benchmarks.regions import CATEGORY, ENVIRONMENT
from gateway.ports import Peer
from gateway.protocol import channel as channels
from gateway.protocol import codec, handshake, limits
from gateway.protocol.channel import Channel
from gateway.protocol.merkle import Frontier
from gateway.protocol.suite import SUITES, SigningKey
from gateway.protocol.values import (
    Ask,
    Draft,
    Envelope,
    Fenced,
    Gap,
    Head,
    Hello,
    Kind,
    Log,
    Message,
    Offer,
    Provenance,
    Purpose,
    Resume,
    Signed,
    Slice,
    Status,
)
from gateway.transport import client, messages
from gateway.transport.tls import Material, client_credentials, server_names

CODE = 330900
JUNK = 64
"""Offers in one envelope."""
DUPLICATES, QUESTIONS = 8, 4
"""Said after each envelope of junk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who floods whom; written to FOLDER/guest.json by the benchmark."""

    seed: str
    key_pem: str
    cert_pem: str
    federation: str
    targets: list[tuple[int, str, str]]
    """Code, endpoint, certificate (DER, hex)."""


class Flood:
    """One region flooded."""

    def __init__(self, guest: Guest, code: int, endpoint: str, certificate: str, said: Counter[str]) -> None:
        self._key, self._said = SigningKey.from_seed(bytes.fromhex(guest.seed)), said
        self.height = asyncio.Event()  # everything has been said once
        self._material = Material(key_pem=guest.key_pem.encode(), cert_pem=guest.cert_pem.encode())
        self._peer = Peer(
            code=code, endpoint=endpoint, status=Status.ACTIVE, certificates=(bytes.fromhex(certificate),)
        )
        federation = bytes.fromhex(guest.federation)
        log = Log(federation=federation, environment=ENVIRONMENT, source=CODE, destination=code, generation=1)
        self._channel, self._resume = handshake.propose(Channel(out=log), time.time_ns() // 1_000_000, 1)
        self._frontiers: dict[int, Frontier] = {0: Frontier()}
        self._open = asyncio.Event()

    async def run(self) -> None:
        """Flood until cancelled."""
        await asyncio.gather(self._again(self._converse), self._again(self._garbage), self._again(self._rosters))

    async def _again(self, attack: Any) -> None:
        while True:
            try:
                await attack()
            except Exception as e:
                self._said[f"{attack.__name__.strip('_')}: {type(e).__name__}"] += 1
            await asyncio.sleep(0)

    async def _dial(self) -> client.Dialled:
        hello = Hello(
            source=CODE,
            destination=self._peer.code,
            federation=self._channel.out.federation,
            environment=ENVIRONMENT,
            versions=(1,),
            suites=tuple(SUITES),
            roster_version=1,
        )
        stream, _ = await client.dial(self._peer, hello, self._material, attempts=1)
        return stream

    async def _garbage(self) -> None:
        stream = await self._dial_bare()
        try:
            await stream.write(b"\xff" * 100)
            await stream.read()
        finally:
            await stream.close()

    async def _dial_bare(self) -> client.Dialled:
        options = [("grpc.ssl_target_name_override", server_names(self._peer)[0])]
        credentials = client_credentials(self._peer, self._material)
        return client.Dialled(grpc.aio.secure_channel(self._peer.endpoint, credentials, options=options))

    async def _rosters(self) -> None:
        await client.fetch_rosters(self._peer, self._material, 0)

    # -- one conversation -----------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        stream = await self._dial()
        listening = asyncio.create_task(self._listen(stream))
        try:
            if not self._channel.ready:
                await stream.write(self._signed(self._resume))
                await self._open.wait()
            while not listening.done():
                await self._cycle(stream)
            await listening
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await stream.close()

    async def _cycle(self, stream: client.Dialled) -> None:
        envelope = self._junk()
        data = messages.encode(envelope)
        await self._write(stream, "junk", data)
        for _ in range(DUPLICATES):
            await self._write(stream, "duplicates", data)
        question = self._signed(Ask(log=self._channel.out, echo=self._channel.proposal))
        for _ in range(QUESTIONS):
            await self._write(stream, "questions", question)
        wrong = replace(envelope, frames=(*envelope.frames[:-1], envelope.frames[0]))
        await self._write(stream, "malformed", messages.encode(wrong))
        self.height.set()

    async def _write(self, stream: client.Dialled, what: str, data: bytes) -> None:
        await stream.write(data)
        self._said[what] += 1

    def _junk(self) -> Envelope:
        first, root = self._channel.size, self._channel.out_frontier.root()
        self._channel, sealed = channels.seal(self._channel, [_offer_to_nobody() for _ in range(JUNK)])
        self._frontiers[self._channel.size] = self._channel.out_frontier
        head = Head(
            log=self._channel.out,
            epoch=self._channel.epoch,
            first=first,
            first_root=root,
            size=self._channel.size,
            root=self._channel.out_frontier.root(),
            suite=self._key.suite,
            roster_version=1,
            signed_at_ms=time.time_ns() // 1_000_000,
        )
        signed = self._key.sign(codec.HEAD, codec.encode_payload(head))
        return Envelope(head=signed, frames=tuple(sealed.frames), bodies=tuple(sealed.bodies))

    async def _listen(self, stream: client.Dialled) -> None:
        while (data := await stream.read()) is not None:
            message = messages.decode(data)
            if isinstance(message, Gap) and (frontier := self._frontiers.get(message.size)) is not None:
                self._channel = replace(self._channel, out_frontier=frontier)
            if isinstance(message, Signed):
                await self._hear(stream, codec.decode_payload(message.payload_type, message.payload))

    async def _hear(self, stream: client.Dialled, said: Any) -> None:
        """Enough of the handshake to be let in; no credit is given, so that nothing comes back."""
        if isinstance(said, Fenced) and said.echo == self._channel.proposal:
            self._channel = replace(self._channel, ready=True, epoch=self._channel.proposal)
            self._open.set()
        elif isinstance(said, Resume):
            ready = replace(self._channel, ready=True, epoch=self._channel.proposal)
            _, fenced = handshake.hear_resume(ready, said, _Nothing())
            if isinstance(fenced, Fenced):
                await stream.write(self._signed(replace(fenced, credit_size=0)))

    def _signed(self, value: Any) -> bytes:
        message: Message = self._key.sign(codec.payload_type_of(value), codec.encode_payload(value))
        return messages.encode(message)


class _Nothing:
    """The nodes of an empty log."""

    def node(self, level: int, index: int) -> bytes:
        raise IndexError(level, index)


def _offer_to_nobody() -> Draft:
    slices = (Slice(1, 0, (Provenance(CODE, 20260101, 2, ""),)),)
    offer = Offer(os.urandom(10), int(Purpose.RELOCATION), 1, 1, 1, slices, "", b"", b"", b"")
    salted = os.urandom(limits.SALT_BYTES) + codec.encode_offer(offer)
    return Draft(Kind.OFFER, False, os.urandom(16), salted, CATEGORY, 1, CATEGORY, 1)


async def _flood(guest: Guest) -> None:
    said: Counter[str] = Counter()
    floods = [Flood(guest, *target, said) for target in guest.targets]
    flooding = [asyncio.create_task(flood.run()) for flood in floods]
    await asyncio.gather(*(flood.height.wait() for flood in floods))
    say(flooding=True)
    await asyncio.to_thread(wait_for_parent)
    for task in flooding:
        task.cancel()
    await asyncio.gather(*flooding, return_exceptions=True)
    print(dict(said), file=sys.stderr)


def main(folder: str, seconds: str) -> None:
    """Entry point of the process."""
    live_at_most(float(seconds))
    os.nice(19)
    guest = Guest(**json.loads((Path(folder) / "guest.json").read_text(encoding="utf-8")))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_flood(guest))


if __name__ == "__main__":
    main(*sys.argv[1:])
