"""Regions as people run them: directories made by the command line, processes started by it, calls over HTTP."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WITHIN_S = 45.0
"""How long anything here may take: far more than it needs on a busy machine."""


def hutong(*arguments: object, fails: bool = False) -> dict[str, Any]:
    """Run a command with --json; what it printed. `fails`: it must end badly, and say so as one object."""
    line = [sys.executable, "-m", "node.cli", *map(str, arguments), "--json"]
    done = subprocess.run(line, capture_output=True, timeout=WITHIN_S, check=False)
    said = json.loads(done.stdout)
    assert (done.returncode != 0) == fails, (line, done.returncode, said, done.stderr.decode()[-2000:])
    return said | {"exit": done.returncode}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def until(holds: Callable[[], Any], what: str) -> Any:
    """Look again and again until it holds; what it gave."""
    end = time.monotonic() + WITHIN_S
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(0.02)
    return found


@dataclass(frozen=True, slots=True)
class Served:
    """A running `hutong serve`."""

    directory: Path
    process: subprocess.Popen[bytes]
    http: str
    grpc: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body. Raises OSError when there is no answer."""
        token = (self.directory / "secrets" / "operator.token").read_text().strip()
        data, kind = None, "application/json"
        if isinstance(body, list):
            data, kind = b"".join(json.dumps(line).encode() + b"\n" for line in body), "application/x-ndjson"
        elif body is not None:
            data = json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.http}{path}", data=data, method=method)
        for name, value in {"Authorization": f"Bearer {token}", "Content-Type": kind, **headers}.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except http_errors as error:
            raise OSError(str(error)) from error
        if isinstance(body, list) and status == 200:
            return status, [json.loads(line) for line in text.splitlines()]
        return status, json.loads(text)

    def get(self, path: str) -> Any:
        """What a page says; it must be a success."""
        status, found = self.call("GET", path)
        assert status == 200, found
        return found

    def linked(self) -> bool:
        """Whether it talks with every other region of its roster."""
        return all(peer["connected"] for peer in self.get("/v1/peers")["peers"])

    def idle(self) -> bool:
        """Whether nothing of it is under way."""
        peers = self.get("/v1/peers")["peers"]
        states = {t["state"] for t in self.get("/v1/counts")["transfers"]}
        return all(not p["backlog"] and not p["outbox"] for p in peers) and not states & {"held", "in_review"}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(WITHIN_S)


http_errors = (urllib.error.URLError, TimeoutError, ConnectionError)


@contextmanager
def serving(directory: Path) -> Iterator[Served]:
    """`hutong serve` until the end of the block, killed then if it still runs."""
    with (directory / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "node.cli", "serve", "--dir", str(directory), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
        )
    try:
        ready = json.loads(_line(process, directory))
        assert ready["ok"], ready
        yield Served(directory, process, ready["http"], ready["grpc"])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _line(process: subprocess.Popen[bytes], directory: Path) -> bytes:
    """The first line it says. It must say one."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(WITHIN_S), f"nothing was said; {(directory / 'serve.log').read_text()[-2000:]}"
    line = process.stdout.readline()
    assert line, f"it ended with {process.wait()}: {(directory / 'serve.log').read_text()[-2000:]}"
    return line


@dataclass(frozen=True, slots=True)
class Pair:
    """Two regions and their federation as directories; nothing runs."""

    root: Path
    a: Path
    b: Path

    @property
    def roster(self) -> Path:
        """The roster file both took."""
        return self.root / "federation" / "roster-1.json"

    @property
    def root_keys(self) -> list[Path]:
        """Of the federation."""
        return sorted((self.root / "federation").glob("root-*.key"))

    def copied(self, to: Path) -> Pair:
        """The same pair somewhere else."""
        shutil.copytree(self.root, to, dirs_exist_ok=True)
        return Pair(to, to / self.a.name, to / self.b.name)


A, B = 330100, 330200

TERMS = """\
version = 1

[[terms]]
from = "330100"
to = "330200"
category = "moral"
becomes = "moral"
rate = "10/1"

[[terms]]
from = "330200"
to = "330100"
category = "moral"
becomes = "moral"
rate = "1/10"
"""


def set_up(root: Path, database: str = "sqlite:///region.sqlite") -> Pair:
    """Two regions and a federation, by exchanging the files that the commands name. Nobody can dial the second.

    `database`: of the second region.
    """
    pair = Pair(root, root / "hangzhou", root / "ningbo")
    cards: list[str] = []
    for code, name, directory, dialled in (
        (A, "杭州", pair.a, True),
        (B, "宁波", pair.b, False),
    ):
        grpc = f"127.0.0.1:{free_port()}"
        endpoint = ("--endpoint", grpc) if dialled else ()
        made = hutong(
            "init",
            code,
            "--name",
            name,
            "--dir",
            directory,
            "--listen",
            grpc,
            "--http",
            "127.0.0.1:0",
            *endpoint,
            "--database",
            database if code == B else "sqlite:///region.sqlite",
        )
        cards.append(made["card"])
        (directory / "terms.toml").write_text(TERMS, encoding="utf-8")
    made = hutong("federation", "new", "--name", "试点", "--out", root / "federation")
    hutong("federation", "add", pair.roster, *cards)
    for key in made["root_keys"][:2]:
        hutong("federation", "sign", pair.roster, "--key", key)
    for directory in (pair.a, pair.b):
        hutong("federation", "trust", pair.roster, "--dir", directory)
    return pair


def fund(served: Served, names: Sequence[str], amount: int) -> None:
    """Open accounts and grant each points."""
    _all_fine(served.call("POST", "/v1/accounts", [{"name": name} for name in names]))
    awards = [{"key": f"fund-{name}", "account": name, "category": "moral", "amount": amount} for name in names]
    _all_fine(served.call("POST", "/v1/awards", awards))


def address(served: Served, name: str) -> str:
    """A receiving address of a new account."""
    _all_fine(served.call("POST", "/v1/accounts", [{"name": name}]))
    status, made = served.call("POST", "/v1/addresses", {"account": name})
    assert status == 201, made
    found: str = made["address"]
    return found


def balance(served: Served, name: str) -> int:
    """What an account can spend."""
    found = served.get(f"/v1/accounts/{name}")["balances"]
    return sum(b["available"] for b in found)


def _all_fine(answer: tuple[int, Sequence[Mapping[str, Any]]]) -> None:
    status, lines = answer
    assert status == 200, lines
    assert all(line["ok"] for line in lines), [line for line in lines if not line["ok"]][:3]
