"""The processes of a yardstick: started, listened to, measured, and always stopped."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[1]
_GRACE_S = 60
"""How long past its measured seconds a child may live, whatever happens to its parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run of a yardstick, over its measured window only."""

    transfers: int
    """Transfers whose outcome the source had verified within the window."""
    seconds: float
    cpu_s: float
    """CPU of both sides in user and system mode, and of the database server where there is one on this machine."""

    @property
    def transfers_per_s(self) -> float:
        """Throughput."""
        return self.transfers / self.seconds

    @property
    def cpu_us_per_transfer(self) -> float:
        """CPU microseconds a transfer costs, all processes together; infinite when none went through."""
        return self.cpu_s * 1e6 / self.transfers if self.transfers else float("inf")


class ChildError(RuntimeError):
    """A child process ended, fell silent, or found that points were lost."""


class Child:
    """One child process that speaks JSON lines on its standard output."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def hear(self, timeout_s: float) -> dict[str, Any]:
        """The next line it says; `ChildError` when it ends or says nothing for `timeout_s`."""
        output = self._process.stdout
        if output is None or not select.select([output], [], [], timeout_s)[0]:
            raise ChildError(f"no word from {self._process.args!r} in {timeout_s:.0f} s")
        line = output.readline()
        if not line:
            raise ChildError(f"{self._process.args!r} ended with status {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def stop(self) -> None:
        """Ask it to end by closing its standard input; kill it if it has not after 10 s."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def child(module: str, *arguments: str | Path | float) -> Iterator[Child]:
    """Run ``python -m benchmarks.MODULE ARGUMENTS`` for the length of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
    )
    running = Child(process)
    try:
        yield running
    finally:
        running.stop()


def say(**fields: object) -> None:
    """In a child: one line to the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def live_at_most(seconds: float) -> None:
    """In a child: be ended by the system a while after `seconds`, so that no orphan outlives its parent for long."""
    signal.alarm(int(seconds) + _GRACE_S)


def wait_for_parent() -> None:
    """In a child: return when the parent closes the pipe or dies."""
    sys.stdin.buffer.read()


def own_cpu_s() -> float:
    """CPU seconds of this process, all its threads, user and system."""
    return time.process_time()


def postgres_cpu_s(dsn: str | None) -> float:
    """CPU seconds of the PostgreSQL server's living processes; 0 without one, or when it is on another machine."""
    if dsn is None:
        return 0.0
    with psycopg.connect(dsn.replace("+psycopg", "", 1)) as connection:
        pids = [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL")]
    ticks = 0
    for pid in pids:
        try:
            name, fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        if "(postgres" in name:
            user, system = fields.split()[11:13]
            ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")
