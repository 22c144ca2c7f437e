"""The network between regions of one machine: a TCP relay before each region's endpoint, which can cut and stall.

Which region dials is read from the kernel's table of connections (proc(5), /proc/net/tcp): what passes is encrypted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

CHUNK = 1 << 16
LISTENS_S = 2.0
"""A stalled region still accepts connections: its kernel does. A dead one refuses at once."""


class Link:
    """What lies between two regions, in both directions."""

    def __init__(self) -> None:
        self._open = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._carried: set[asyncio.StreamWriter] = set()

    @property
    def is_open(self) -> bool:
        """Whether connections can be made."""
        return self._open

    def cut(self) -> None:
        """Break every connection, and let none be made."""
        self._open = False
        for writer in self._carried:
            writer.transport.abort()

    def stall(self) -> None:
        """Carry nothing on, and say nothing about it."""
        self._flows.clear()

    def heal(self) -> None:
        """As if nothing had been: what was stalled goes on."""
        self._open = True
        self._flows.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction of one connection, until either side ends it."""
        self._carried.add(writer)
        try:
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._carried.discard(writer)
            writer.transport.abort()


class Relay:
    """Stands before one region's endpoint. A context in which it listens."""

    def __init__(
        self, *, code: int, port: int, to: str, links: Mapping[frozenset[int], Link], pids: Callable[[], dict[int, int]]
    ) -> None:
        """`to`: host:port of the region itself; `pids`: the process of each region that runs, by its code."""
        self.code, self.port, self.refused, self.carried = code, port, 0, 0
        self._host, _, self._to = to.rpartition(":")
        self._links, self._pids = links, pids
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._join(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = who(writer.get_extra_info("peername")[1], self.port, self._pids())
        link = self._links.get(frozenset({caller, self.code}))
        if link is None or not link.is_open:
            self.refused += 1
            return
        try:
            there = asyncio.open_connection(self._host, int(self._to))
            other_reader, other_writer = await asyncio.wait_for(there, LISTENS_S)
        except OSError:
            return
        self.carried += 1
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(link.carry(reader, other_writer))
                both.create_task(link.carry(other_reader, writer))
        finally:
            other_writer.transport.abort()


def who(port: int, to: int, pids: Mapping[int, int]) -> int:
    """The region whose process has the connection from `port` to `to`; 0 when none has."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            row = line.split()
            if (_port(row[1]), _port(row[2])) == (port, to):
                inodes.add(f"socket:[{row[9]}]")
    return next((code for code, pid in pids.items() if inodes & _opened(pid)), 0)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _opened(pid: int) -> set[str]:
    """What the descriptors of a process refer to."""
    found = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.add(str(entry.readlink()))
            except OSError:
                continue
    except OSError:
        pass  # it is gone
    return found
