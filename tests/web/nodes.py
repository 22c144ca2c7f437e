"""A node for tests of the HTTP API: a whole region with a real writer thread, reached over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from gateway.protocol.channel import Channel
from gateway.protocol.values import Standing
from node.services.office import Office
from node.services.writer import WriterThread
from node.store import tokens
from node.store.engine import Store
from node.store.history import History
from node.web import application
from node.web.ports import Check, PeerStatus
from tests.federation import NOW_MS, Pair, TestRegion

NDJSON = "application/x-ndjson"


class RunningNode:
    """What :class:`node.web.ports.NodeLike` asks for, over a region of a test."""

    def __init__(self, region: TestRegion) -> None:
        self.region = region
        self.thread = WriterThread(region.writer)
        self.statuses: dict[int, PeerStatus] = {}
        self.retried: list[int] = []
        self.seen: dict[int, Standing] = {}
        self.pages: dict[tuple[int, int, int], bytes] = {}
        self.own_checks: list[Check] = []

    @property
    def store(self) -> Store:
        return self.region.store

    @property
    def office(self) -> Office:
        return self.region.office

    @property
    def history(self) -> History:
        return self.region.writer.history

    @property
    def channels(self) -> Mapping[int, Channel]:
        return self.region.writer.channels

    @property
    def seals(self) -> bool:
        return self.region.writer.seals

    @property
    def sealer(self) -> str:
        return self.region.writer.sealer

    async def submit(self, commands: Sequence[Any]) -> list[Any]:
        return await asyncio.wrap_future(self.thread.submit(commands))

    def on_commit(self, listen: Callable[[frozenset[int]], None]) -> None:
        self.region.writer.on_commit(listen)

    def on_batch(self, listen: Callable[[int, float], None]) -> None:
        self.thread.on_batch(listen)

    def courier_status(self) -> dict[int, PeerStatus]:
        return self.statuses

    async def retry(self, peer: int) -> None:
        self.retried.append(peer)

    async def standing(self, peer: int) -> Standing | None:
        return self.seen.get(peer)

    async def give_back(self, peer: int, first: int, holds: int) -> bytes | None:
        return self.pages.get((peer, first, holds))

    def readiness(self) -> list[Check]:
        return self.own_checks


class Caller:
    """A regional system that calls one region's API."""

    def __init__(self, client: TestClient[Any, Any], node: RunningNode, pair: Pair) -> None:
        self.client, self.node, self.pair = client, node, pair
        self.token = self.make_token("system", "admin")
        self._keys = itertools.count()

    @property
    def region(self) -> TestRegion:
        """The region behind."""
        return self.node.region

    def make_token(self, name: str, *scopes: str) -> str:
        """A token, written to the database as the command does."""
        with self.node.store.write() as conn:
            return tokens.create(conn, name, scopes, NOW_MS)

    async def send(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        """One request as it is; with the token, unless other headers say otherwise."""
        headers = {"Authorization": f"Bearer {more.pop('token', self.token)}", **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, path: str, status: int = 200, **more: Any) -> Any:
        """Ask. The answer must have this status."""
        return await self._json(await self.send("GET", path, **more), status)

    async def post(self, path: str, body: Any = None, status: int = 0, **more: Any) -> Any:
        """Command. The answer must have this status (0: any success)."""
        return await self._json(await self.send("POST", path, json=body, **more), status)

    async def patch(self, path: str, body: Any, status: int = 200, **more: Any) -> Any:
        """Change."""
        return await self._json(await self.send("PATCH", path, json=body, **more), status)

    async def lines(self, path: str, lines: Sequence[Any], **more: Any) -> list[Any]:
        """Many at once; a line is a value, or bytes as they are."""
        data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines) + b"\n"
        response = await self.send("POST", path, data=data, headers={"Content-Type": NDJSON}, **more)
        assert response.status == 200, await response.text()
        assert response.content_type == NDJSON
        return [json.loads(line) for line in (await response.read()).splitlines()]

    async def _json(self, response: aiohttp.ClientResponse, status: int) -> Any:
        text = await response.text()
        assert response.status == status or (status == 0 and response.ok), f"{response.status} {text}"
        if response.status >= 400 and "/readyz" not in str(response.url):
            assert response.content_type == "application/problem+json", text
        return json.loads(text)

    def key(self) -> str:
        """A key that was not used yet."""
        return f"key-{next(self._keys)}"

    async def resident(self, name: str, points: int = 0, category: str = "moral", **award: Any) -> None:
        """An account with points."""
        await self.post("/v1/accounts", {"name": name})
        if points:
            body = {"account": name, "category": category, "amount": points, "key": self.key(), **award}
            await self.post("/v1/awards", body)

    async def address_at(self, other: Caller, name: str) -> str:
        """An address of a resident of another region, who gets an account there."""
        await other.resident(name)
        return str((await other.post("/v1/addresses", {"account": name}))["address"])

    async def transfer(self, account: str, address: str, amount: int, **more: Any) -> Any:
        """Order a transfer."""
        body = {"account": account, "category": "moral", "amount": amount, "address": address, "key": self.key()}
        return await self.post("/v1/transfers", {**body, **more})

    async def pump(self) -> None:
        """Let the regions talk until nobody has anything to say."""
        await asyncio.to_thread(self.pair.pump)


async def serve(node: RunningNode, pair: Pair) -> Caller:
    """Serve a node; close what it returns with :func:`stop`."""
    client: TestClient[Any, Any] = TestClient(TestServer(application(node), access_log=None))
    await client.start_server()
    return Caller(client, node, pair)


async def stop(caller: Caller) -> None:
    """Stop serving, then the writer."""
    await caller.client.close()
    await asyncio.to_thread(caller.node.thread.stop)
