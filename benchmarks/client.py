"""The regional system's side of the HTTP API, as cheap as can be: it shares two cores with the regions it measures.

Requests are bytes made beforehand, answers are kept as they came and read after the measured window.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.children import ChildError
from benchmarks.regions import CATEGORY, Pair, resident

LINES = 1_000
"""Transfers in one bulk call, the most the API takes."""
ANSWER_WAIT_S = 60.0
_ORDERS_PATH = "/v1/transfers"


class Connection:
    """One keep-alive HTTP/1.1 connection; one call at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to loopback."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    async def call(self, request: bytes) -> bytes:
        """Send a request, return the body of its answer. Raises `ChildError` unless the status is 2xx."""
        async with asyncio.timeout(ANSWER_WAIT_S):
            self._writer.write(request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            fields = head.lower()
            if b"\r\ntransfer-encoding: chunked\r\n" in fields:
                body = await self._chunks()
            else:
                length = fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
                body = await self._reader.readexactly(int(length or 0))
        if head[9:10] != b"2":
            raise ChildError(f"{head.splitlines()[0].decode()}: {body[:500].decode(errors='replace')}")
        return body

    async def _chunks(self) -> bytes:
        parts = []
        while size := int((await self._reader.readline()).partition(b";")[0], 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def get(pair: Pair, path: str) -> bytes:
    """A GET to the source's API."""
    return _request(pair, "GET", path, b"", "application/json")


@dataclass(slots=True, kw_only=True)
class Call:
    """One bulk call: made beforehand, then what became of it. Times are of the monotonic clock, in seconds."""

    request: bytes
    keys: Sequence[str]
    points: int
    sent_at: float = 0.0
    """When it was sent; at a fixed rate, when it was due."""
    answer: bytes = b""


def bulk_call(pair: Pair, drawn: random.Random, lines: int) -> Call:
    """A call of `lines` transfers between random residents. Keys are UUIDv7 of now."""
    keys = _uuid7(lines)
    count = len(pair.addresses)
    text, points = [], 0
    for key in keys:
        amount = drawn.randint(1, 500)
        points += amount
        text.append(
            f'{{"key":"{key}","account":"{resident(drawn.randrange(count))}","category":"{CATEGORY}",'
            f'"amount":{amount},"address":"{pair.addresses[drawn.randrange(count)]}"}}'
        )
    request = _request(pair, "POST", _ORDERS_PATH, "\n".join(text).encode(), "application/x-ndjson")
    return Call(request=request, keys=keys, points=points)


def _request(pair: Pair, verb: str, path: str, body: bytes, content: str) -> bytes:
    head = (
        f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1:{pair.source.http_port}\r\n"
        f"Authorization: Bearer {pair.token}\r\nContent-Type: {content}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _uuid7(count: int) -> Sequence[str]:
    """RFC 9562 version 7, in order of time and then at random."""
    stamp = f"{time.time_ns() // 1_000_000:012x}"
    chance = os.urandom(9 * count).hex()
    return [
        f"{stamp[:8]}-{stamp[8:]}-7{r[:3]}-8{r[3:6]}-{r[6:18]}"
        for r in (chance[at : at + 18] for at in range(0, len(chance), 18))
    ]
