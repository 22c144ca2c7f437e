"""A region's own process, ``hutong serve``, seen from outside: when it is ready, what it costs, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.children import ROOT, ChildError
from benchmarks.regions import Site

LIFE_S = 900
"""No region outlives this, whatever happens to the benchmark."""
READY_S = 60.0
STOP_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Served:
    """A running region."""

    def __init__(self, process: subprocess.Popen[bytes], site: Site, log: Path) -> None:
        self._process, self._site, self._log = process, site, log

    @property
    def pid(self) -> int:
        """Of the process, for a profiler."""
        return self._process.pid

    def cpu_s(self) -> float:
        """CPU seconds so far: all threads, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_mb(self) -> float:
        """The most resident memory it has had, MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise ChildError("the system does not tell peak memory")

    def wait_until_ready(self) -> None:
        """Return as soon as ``/readyz`` says yes: the books are open."""
        until = time.monotonic() + READY_S
        while not _ready(self._site.http_port):
            if self._process.poll() is not None or time.monotonic() > until:
                raise ChildError(f"region {self._site.code} did not become ready: {self.last_words()}")
            time.sleep(0.005)

    def last_words(self) -> str:
        """The end of what it logged."""
        return self._log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """SIGTERM and wait; `ChildError` unless it ends with 0."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise ChildError(f"region {self._site.code} did not end in {STOP_S:.0f} s") from None
        if status:
            raise ChildError(f"region {self._site.code} ended with status {status}: {self.last_words()}")

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def command(site: Site) -> Sequence[str]:
    """``hutong serve`` under an alarm clock."""
    serve = f"import signal; signal.alarm({LIFE_S}); from node.cli import main; main()"
    return [sys.executable, "-c", serve, "serve", "--dir", str(site.directory)]


def start(site: Site) -> Served:
    """Start the region's process. Whoever starts it stops or kills it."""
    log = site.directory / "serve.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command(site),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
        )
    return Served(process, site, log)


@contextmanager
def serving(*sites: Site) -> Iterator[list[Served]]:
    """The regions' processes, ready, for the length of the block; at its end they have stopped by themselves."""
    running: list[Served] = []
    try:
        running.extend(map(start, sites))
        for served in running:
            served.wait_until_ready()
        yield running
        for served in running:
            served.stop()
    finally:
        for served in running:
            served.kill()


def _ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
