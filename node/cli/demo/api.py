"""The HTTP API of one region, as a regional system calls it: in bulk, and again under the same keys after silence."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from node.cli.demo.process import RegionProcess
from node.errors import Unavailable

LINES_PER_CALL = 1_000
CALL_S = 30.0
"""A call that takes longer counts as unanswered."""
AGAIN_S = 0.1
"""Between two attempts."""
ATTEMPTS_S = 90.0
"""A region that answers nothing for so long has failed the demonstration."""
EVENTS_PER_PAGE = 1_000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class NoAnswer(Unavailable):
    """A call was not answered: what it asked for may or may not have been done."""


class Refusing(Unavailable):
    """A region refused what the demonstration needs."""


class Api:
    """One region's API. `calls_again` counts the calls made again because one was not answered."""

    def __init__(self, region: RegionProcess) -> None:
        self.region = region
        self.calls_again = 0
        self._token = ""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Api:
        self._token = self.region.token_file.read_text(encoding="ascii").strip()
        self._session = aiohttp.ClientSession(
            self.region.url,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=aiohttp.ClientTimeout(total=CALL_S),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    # -- one call ------------------------------------------------------------------------------------------------------

    async def _call(self, method: str, path: str, **how: Any) -> tuple[int, bytes]:
        """Status and body. Raises NoAnswer; an answer of 429 or 503 says that nothing was done, and is one too."""
        assert self._session is not None
        try:
            async with self._session.request(method, path, **how) as response:
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswer(f"{self.region.code} {path}: {type(error).__name__}") from error
        if status in (429, 503):
            raise NoAnswer(f"{self.region.code} {path}: status {status}")
        return status, body

    async def get(self, path: str, **query: str | int) -> Any:
        """What a page says. Raises NoAnswer, and Refusing for anything but a success."""
        status, body = await self._call("GET", path, params=query)
        return self._read(path, status, body)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a single command is answered. Raises as `get` does."""
        status, answer = await self._call("POST", path, json=body)
        return self._read(path, status, answer)

    async def bulk(
        self, path: str, lines: Sequence[Mapping[str, Any]], *, replayed: bool = False
    ) -> list[dict[str, Any]]:
        """One call with up to 1,000 lines; the answer to each, in order. Raises NoAnswer or Refusing."""
        data = b"".join(_encode(line) + b"\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"} | ({"Hutong-Replayed": "true"} if replayed else {})
        status, body = await self._call("POST", path, data=data, headers=headers)
        if status != 200:
            self._read(path, status, body)
        answers = [_decode(line) for line in body.splitlines()]
        if [answer["line"] for answer in answers] != list(range(1, len(lines) + 1)):
            raise Refusing(f"{self.region.code} {path}: {len(answers)} answers to {len(lines)} lines")
        return answers

    @asynccontextmanager
    async def unheard(self, path: str, lines: Sequence[Mapping[str, Any]]) -> AsyncIterator[None]:
        """One call whose answer nobody reads: for its sender the network has lost it."""
        data = b"".join(_encode(line) + b"\n" for line in lines)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.region.http}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        )
        host, _, port = self.region.http.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(head.encode() + data)
            await writer.drain()
            yield
        finally:
            writer.transport.abort()

    def _read(self, path: str, status: int, body: bytes) -> Any:
        if not 200 <= status < 300:
            raise Refusing(f"{self.region.code} {path}: status {status}: {body[:300].decode(errors='replace')}")
        return _decode(body)

    # -- until it is answered ------------------------------------------------------------------------------------------

    async def insist(
        self,
        path: str,
        lines: Sequence[Mapping[str, Any]],
        unanswered: Callable[[Sequence[Mapping[str, Any]]], None] | None = None,
        *,
        replayed: bool = False,
    ) -> list[dict[str, Any]]:
        """As `bulk`, sent again with the same keys as often as it is not answered. `unanswered` hears of each time.

        A line that failed for the moment (429, 503) is sent again by itself.
        """
        answers: dict[int, dict[str, Any]] = {}
        left = list(range(len(lines)))
        end = time.monotonic() + ATTEMPTS_S
        while True:
            try:
                answers |= zip(left, await self.bulk(path, [lines[n] for n in left], replayed=replayed), strict=True)
                left = [n for n in left if answers[n].get("status") in (429, 503)]
            except NoAnswer:
                self.region.check()
                if time.monotonic() > end:
                    raise
                if unanswered is not None:
                    unanswered([lines[n] for n in left])
            if not left:
                return [answers[n] for n in range(len(lines))]
            self.calls_again += 1
            await asyncio.sleep(AGAIN_S)

    async def ready(self) -> bool:
        """Whether the region says that it can serve."""
        try:
            status, _ = await self._call("GET", "/readyz")
        except NoAnswer:
            return False
        return status == 200

    async def linked(self) -> bool:
        """Whether it is ready and talks with every other region."""
        if not await self.ready():
            return False
        try:
            peers = (await self.get("/v1/peers"))["peers"]
        except NoAnswer:
            return False
        return bool(peers) and all(peer["connected"] and peer["channel"] == "open" for peer in peers)

    async def given_back(self) -> bool:
        """Whether every peer has given back what it holds."""
        found = await self.get("/v1/recovery")
        return bool(found["recovering"]) and not found["outstanding"]

    async def whole(self) -> bool:
        """Whether residents may spend."""
        return not (await self.get("/v1/recovery"))["recovering"]

    async def settled(self) -> bool:
        """Whether nothing of this region is under way: it awaits no answer, and its peers hold all it said."""
        peers = (await self.get("/v1/peers"))["peers"]
        if any(peer["backlog"] or peer["outbox"] for peer in peers):
            return False
        counts = await self.get("/v1/counts")
        return all(t["state"] in ("posted", "voided", "accepted", "refused") for t in counts["transfers"])

    async def told(self) -> Counter[str]:
        """How many events of each kind the region reports, read with a cursor from the first on."""
        kinds: Counter[str] = Counter()
        after = 0
        while True:
            page = await self.get("/v1/events", after=after, limit=EVENTS_PER_PAGE)
            kinds.update(event["kind"] for event in page["events"])
            if not page["events"]:
                return kinds
            after = page["next"]
