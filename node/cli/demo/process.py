"""One region's operating-system process, seen from outside: started, asked whether it is ready, killed, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from node.cli.demo.data import Member
from node.errors import Unavailable

STOP_S = 15.0
"""How long a process may take to stop in good order before it is killed."""


class RegionDied(Unavailable):
    """A region's process ended when it should not have."""


@dataclass(kw_only=True, slots=True)
class RegionProcess:
    """Where a region lives and how to reach it. A context in which its process is always ended."""

    member: Member
    directory: Path
    http: str  # host:port
    grpc: str  # host:port
    outlives: bool  # the process may outlive this one
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def code(self) -> int:
        """The region's code."""
        return self.member.code

    @property
    def url(self) -> str:
        """Base of its HTTP API."""
        return f"http://{self.http}"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.directory / "region.sqlite"

    @property
    def token_file(self) -> Path:
        """Where the token for its HTTP API is kept."""
        return self.directory / "secrets" / "operator.token"

    @property
    def log_file(self) -> Path:
        """What the process says."""
        return self.directory / "serve.log"

    @property
    def pid(self) -> int:
        """Number of its process; 0 when none runs."""
        return self.process.pid if self.process is not None else 0

    def start(self) -> None:
        """Start `hutong serve` for its directory. It keeps out of the way of the terminal's Ctrl-C: the demonstration
        stops it in order."""
        serve = ["serve", "--dir", str(self.directory)]
        way = ["-m", "node.cli"] if self.outlives else ["-m", "node.cli.demo.child", str(os.getpid())]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *way, *serve],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
            )

    def check(self) -> None:
        """Raises RegionDied, with the last thing it said, when the process is gone."""
        if self.process is not None and self.process.poll() is not None:
            said = self.log_file.read_text(errors="replace").strip().splitlines()[-3:]
            raise RegionDied(f"{self.code} ended with status {self.process.returncode}: {' | '.join(said)}")

    def kill(self) -> float:
        """`kill -9`: no warning, no clean-up. Returns when, on the monotonic clock."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        at = time.monotonic()
        self.process.wait()
        self.process = None
        return at

    def ask_to_stop(self) -> None:
        """SIGTERM: finish the batch in hand, then end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, within_s: float = STOP_S) -> int | None:
        """See that the process is gone. Returns its exit status; None when it never ran or had to be killed."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for s in held:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()


def stop_all(regions: list[RegionProcess]) -> None:
    """End every process: all are asked first, so that they stop side by side."""
    for region in regions:
        region.ask_to_stop()
    for region in regions:
        region.end()


async def run(arguments: list[str], *, module: str = "node.cli", within_s: float = 120.0) -> tuple[int, bytes]:
    """Run `python -m MODULE ARGUMENTS` to its end: exit status and standard output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out
