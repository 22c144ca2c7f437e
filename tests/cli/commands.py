"""Runs commands as a person or a program would, and sets up regions and a federation by them."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from node.cli import words
from node.cli.run import run


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        assert self.out.count("\n") == 1
        return value


class Hutong:
    """`hutong ARGUMENTS` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Said:
        self._capsys.readouterr()
        code = run(words.choose([str(argument) for argument in arguments]))
        said = self._capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Said(code=code, out=said.out, err=said.err)

    def done(self, *arguments: object) -> dict[str, Any]:
        """A command that must succeed, and what it answers to a program."""
        said = self(*arguments, "--json")
        assert said.code == 0, said.out + said.err
        assert said.json["ok"] is True
        return said.json

    def refused(self, *arguments: object, code: int) -> dict[str, str]:
        """A command that must fail with this exit status, and what it says is wrong."""
        said = self(*arguments, "--json")
        assert said.code == code, said.out + said.err
        error = said.json["error"]
        assert said.json["ok"] is False
        assert error["what"]
        assert error["do"]
        return dict(error)


@pytest.fixture
def hutong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hutong]:
    """The command line, in English."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("HUTONG_DIR", raising=False)
    yield Hutong(capsys)
    # What `serve` sets up is meant for a whole process.
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.getLogger().handlers.clear()


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def make_region(hutong: Hutong, directory: Path, code: int, *options: object) -> Path:
    """A region of its own directory, listening on ports of its own choice."""
    listen = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    hutong.done("init", code, "--name", f"区{code}", "--dir", directory, *listen, *options)
    return directory


def make_federation(hutong: Hutong, directory: Path, *regions: Path) -> Path:
    """A roster in force that lists the regions; two of three keepers signed it. Nobody has taken it yet."""
    hutong.done("federation", "new", "--name", "试验", "--name-en", "Trial", "--out", directory)
    roster = directory / "roster-1.json"
    hutong.done("federation", "add", roster, *(card(region) for region in regions))
    return sign(hutong, roster)


def sign(hutong: Hutong, roster: Path, keys: tuple[int, ...] = (1, 3)) -> Path:
    """Let keepers sign the version under way."""
    for number in keys:
        hutong.done("federation", "sign", roster, "--key", roster.parent / f"root-{number}.key")
    return roster


def card(region: Path) -> Path:
    """The card a region has made."""
    (found,) = region.glob("region-*.card.json")
    return found


@contextmanager
def serving(directory: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`hutong serve` as a process of its own, once it is ready; it is gone at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "node.cli", "serve", "--dir", str(directory), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            _, told = process.communicate(timeout=30)
            pytest.fail(f"serve ended with {process.returncode}: {told}", pytrace=False)
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
