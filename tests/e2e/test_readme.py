"""Every command and every output of both READMEs, run as a newcomer runs them.

The blocks marked ``console`` are one session in an empty directory. What differs from run to run (ids, keys, addresses,
times, process numbers) is compared by its shape, and where a later command uses such a value it gets the real one. The
ports are exchanged for free ones. A block that follows ``<!-- file: NAME -->`` is the content of that file.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n+)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
_VARIABLE = re.compile(
    r"\d{6}-[0-9A-Z]{16}-[0-9A-Z]{2}"  # receiving address
    r"|\b[0-9a-f]{16,64}\b"  # ids, keys, roots
    r"|\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2})?"  # dates and times
    r"|(?<=PID )\d+"
)
READY_S = 60.0


@dataclass
class Session:
    """A terminal in an empty directory."""

    where: Path
    language: str
    real: dict[str, str] = field(default_factory=dict)  # as printed in the README -> as it is here
    servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """As a newcomer's, with the command on the path and a terminal 100 columns wide."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "LC_ALL": self.language, "COLUMNS": "100", "HUTONG_DIR": ""}

    def run(self, command: str) -> list[str]:
        """What a command prints. A server is left running; what it prints is its first line."""
        for printed, real in self.real.items():
            command = command.replace(printed, real)
        if command.endswith("&"):
            return [self.serve(command.removesuffix("&").strip())]
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.where, env=self.environment(), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout.splitlines()

    def serve(self, command: str) -> str:
        """Start a server and wait for its first line."""
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.where, env=self.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.servers.append(server)
        assert server.stdout is not None
        started = time.monotonic()
        line = server.stdout.readline().rstrip("\n")
        assert time.monotonic() - started < READY_S
        return line

    def close(self) -> None:
        """End the servers; each ends with 0."""
        for server in self.servers:
            server.send_signal(signal.SIGTERM)
        assert [server.wait(30) for server in self.servers] == [0] * len(self.servers)

    def compare(self, command: str, printed: list[str], got: list[str]) -> None:
        """The shapes must be equal; the values are remembered."""
        back = {real: name for name, real in self.real.items() if name.isdigit()}
        got = [_replaced(line, back) for line in got]
        shape = [_shape(line) for line in printed]
        assert [_shape(line) for line in got if line.strip()] == [s for s in shape if s], f"$ {command}"
        for mine, theirs in zip(
            (v for line in printed for v in _VARIABLE.findall(line)),
            (v for line in got for v in _VARIABLE.findall(line)),
            strict=True,
        ):
            self.real[mine] = theirs


def _replaced(line: str, back: dict[str, str]) -> str:
    for real, name in back.items():
        line = line.replace(f":{real}", f":{name}")
    return line


def _shape(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"─+", "─", _VARIABLE.sub("▯", line))).strip()


def _free_ports(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [str(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of a block, each with what is printed after it."""
    command, printed = "", []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, printed
            command, printed = line[2:], []
        else:
            printed.append(line)
    if command:
        yield command, printed


@pytest.mark.e2e
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("name", "language"), [("README.md", "C.UTF-8"), ("README.zh-CN.md", "zh_CN.UTF-8")], ids=["en", "zh"]
)
def test_every_command_of_the_readme_prints_what_it_says(name: str, language: str, tmp_path: Path) -> None:
    session = Session(tmp_path, language)
    session.real.update(zip(("7101", "7102", "8101", "8102"), _free_ports(4), strict=True))
    steps = 0
    try:
        for block in _BLOCK.finditer((ROOT / name).read_text()):
            if block["file"]:
                (tmp_path / block["file"]).write_text(block["text"])
            elif block["kind"] == "console":
                for command, printed in _steps(block["text"]):
                    session.compare(command, printed, session.run(command))
                    steps += 1
    finally:
        for server in session.servers:
            if sys.exc_info()[0] is not None:
                server.kill()
    session.close()
    assert steps >= 12


def test_the_readmes_begin_with_the_same_two_commands() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        commands = re.findall(r"^make \w+$", (ROOT / name).read_text(), re.MULTILINE)
        assert commands[:2] == ["make demo", "make test"], name
