"""What every handler works with: the node behind, and the bounds of what may be under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from node.store import authorisations, events, tokens, transfers
from node.web import limits
from node.web.access import Tokens
from node.web.metrics import Metrics
from node.web.ports import NodeLike
from node.web.problems import Wrong
from node.web.waiting import Bell

P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Belongs to one application and its event loop."""

    def __init__(self, node: NodeLike) -> None:
        self.node = node
        self.metrics = Metrics(node)
        self.tokens = Tokens(self._tokens)
        self._threads = ThreadPoolExecutor(limits.READ_THREADS, "web-read")
        self._reading = 0
        self._commands = 0
        self._bell: Bell | None = None
        self.slow = asyncio.Semaphore(limits.SLOW_IN_FLIGHT)  # for what takes much memory and a processor
        node.on_commit(self._committed)
        node.on_batch(self.metrics.batch)

    @property
    def bell(self) -> Bell:
        """Where callers wait."""
        if self._bell is None:
            self._bell = Bell(self._look)
        return self._bell

    async def close(self) -> None:
        """End what waits, then the threads."""
        if self._bell is not None:
            await self._bell.close()

    def end(self) -> None:
        """Let the threads go; nothing reads any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in a thread, over one committed state. Raises Wrong(too_busy), Unavailable."""
        if self._reading >= limits.READS_IN_FLIGHT:
            raise Wrong("too_busy", f"{limits.READS_IN_FLIGHT} queries wait already")

        def run() -> T:
            with self.node.store.read() as conn:
                return query(conn, *args, **kwargs)

        self._reading += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        finally:
            self._reading -= 1

    async def submit(self, commands: Sequence[Any]) -> list[Any]:
        """Have the writer decide these, together. Raises Wrong(too_busy), Unavailable: then nothing was done."""
        if self._commands + len(commands) > limits.COMMANDS_IN_FLIGHT:
            raise Wrong("too_busy", f"{self._commands} commands are under way already")
        self._commands += len(commands)
        self.metrics.in_flight(self._commands)
        try:
            return await self.node.submit(commands)
        finally:
            self._commands -= len(commands)
            self.metrics.in_flight(self._commands)

    async def one(self, command: Any) -> Any:
        """Have the writer decide one command. Raises what refused it."""
        (answer,) = await self.submit([command])
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _committed(self, _peers: frozenset[int]) -> None:
        if self._bell is not None:
            self._bell.ring()

    async def _look(self, ids: Collection[bytes]) -> tuple[set[tuple[bytes, int]], int]:
        def query(conn: Connection) -> tuple[set[tuple[bytes, int]], int]:
            return transfers.decided(conn, ids) | authorisations.settled(conn, ids), events.last(conn)

        return await self.read(query)

    async def _tokens(self) -> Mapping[bytes, tokens.Token]:
        return await self.read(tokens.live)
