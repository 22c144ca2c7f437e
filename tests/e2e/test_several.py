"""Two processes over one PostgreSQL, killed and stopped while both are given work: nothing is lost or doubled."""

from __future__ import annotations

import random
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from node.config import load
from tests.databases import PostgreSQL
from tests.e2e.processes import Pair, Served, address, balance, fund, hutong, serving, set_up, until

pytestmark = [pytest.mark.e2e, pytest.mark.postgresql, pytest.mark.timeout(240)]


class Region:
    """Region B with two directories over one PostgreSQL, and region A, which it dials."""

    def __init__(self, pair: Pair, database: str) -> None:
        self.a, self.east = pair.a, pair.b
        config = pair.b / "hutong.toml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace(load(pair.b).database, database), encoding="utf-8")
        self.west = pair.b.with_name("ningbo-west")
        shutil.copytree(self.east, self.west)
        (self.west / "witness").unlink()
        for directory in (self.east, self.west):
            config = directory / "hutong.toml"
            text = f'process = "{directory.name}"\n' + config.read_text(encoding="utf-8")
            listen = next(line for line in text.splitlines() if line.startswith("grpc_listen"))
            config.write_text(text.replace(listen, 'grpc_listen = "127.0.0.1:0"'), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgreSQL) -> Iterator[tuple[Pair, str]]:
    """Two regions as they were set up, and the database of the second; copied by every test, never started."""
    database = postgresql_server.new(tables=False)
    yield set_up(tmp_path_factory.mktemp("made"), postgresql_server.url(database)), database
    postgresql_server.drop(database)


@pytest.fixture
def region(made: tuple[Pair, str], tmp_path: Path, postgresql_server: PostgreSQL) -> Iterator[Region]:
    """Nothing runs yet."""
    pair, founded = made
    database = f"{founded}_{tmp_path.name[-24:]}".lower().replace("-", "_")
    postgresql_server.execute("CREATE DATABASE {} TEMPLATE {}", database, founded)
    yield Region(pair.copied(tmp_path), postgresql_server.url(database))
    postgresql_server.drop(database)


@contextmanager
def all_three(region: Region) -> Iterator[tuple[Served, Served, Served]]:
    """A, and the processes of B of which the first talks with A."""
    with serving(region.a) as a, serving(region.east) as east:
        until(lambda: east.linked() and a.linked(), "the region talks with the other")
        with serving(region.west) as west:
            yield a, east, west


def seals(served: Served) -> bool:
    """Whether it is the one that talks with peers."""
    checks = {check["name"]: check["ok"] for check in served.call("GET", "/readyz")[1]["checks"]}
    return bool(checks["sealer"])


def heads(served: Served) -> tuple[int, int]:
    """Messages to and from the only peer."""
    (peer,) = served.get("/v1/peers")["peers"]
    return peer["sent"], peer["held"]


class Load:
    """Orders, one key each, at a process or the other, again until they are taken."""

    def __init__(self, to: str, name: str) -> None:
        self.to, self.name = to, name
        self.at: list[Served] = []
        self.answered: dict[str, str] = {}
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        chance, n = random.Random(self.name), 0
        while not self._enough.is_set():
            keys = [f"{self.name}-{i}" for i in range(n, n + 20)]
            lines = [
                {"key": key, "account": "NB-1", "category": "moral", "amount": 10, "address": self.to} for key in keys
            ]
            try:
                status, found = chance.choice(self.at).call("POST", "/v1/transfers", lines)
            except (OSError, IndexError):
                self._enough.wait(0.1)
                continue
            if status == 200 and all(line["ok"] for line in found):
                self.answered.update((key, line["id"]) for key, line in zip(keys, found, strict=True))
                n += 20

    def end(self) -> int:
        """How many orders were taken."""
        self._enough.set()
        self._thread.join(45)
        assert not self._thread.is_alive()
        return len(self.answered)


def check(region: Region, a: Served, b: Served, funded: int, orders: int) -> None:
    """Every order that was answered has moved its points, once, and both sides hold the same."""
    until(lambda: a.idle() and b.idle(), "everything is decided")
    states = {(t["direction"], t["state"]): t["count"] for t in b.get("/v1/counts")["transfers"]}
    assert set(states) == {("outgoing", "posted")}
    assert states["outgoing", "posted"] >= orders
    moved = states["outgoing", "posted"]
    assert (balance(b, "NB-1"), balance(a, "HZ-1")) == (funded - 10 * moved, moved)
    assert heads(a) == heads(b)[::-1]
    for directory in (region.a, region.east):
        assert hutong("verify", "--dir", directory)["holds"]


def _have_taken(loads: list[Load], orders: int) -> bool:
    return sum(len(load.answered) for load in loads) >= orders


def test_either_process_killed_at_random_under_load_loses_and_doubles_nothing(region: Region) -> None:
    chance = random.Random("several")
    with ExitStack() as served:
        a, east, west = served.enter_context(all_three(region))
        fund(east, ["NB-1"], 1_000_000)
        loads = [Load(address(a, "HZ-1"), name) for name in ("one", "two")]
        at = [east, west]
        try:
            for load in loads:
                load.at = at
            for round_ in range(1, 5):
                until(partial(_have_taken, loads, 200 * round_), "orders are taken")
                victim = chance.randrange(2)
                directory = at[victim].directory
                at[victim].stop(signal.SIGKILL)
                at[victim] = served.enter_context(serving(directory))
        finally:
            orders = sum(load.end() for load in loads)
        assert orders >= 800
        until(lambda: any(map(seals, at)), "one of the two talks with the other region")
        check(region, a, at[0], 1_000_000, orders)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_the_other_process_takes_over_when_the_sealer_ends(region: Region, by: signal.Signals) -> None:
    with all_three(region) as (a, east, west):
        assert (seals(east), seals(west)) == (True, False)
        fund(west, ["NB-1"], 1_000)
        to = address(a, "HZ-1")
        assert east.stop(by) == (0 if by is signal.SIGTERM else -by)
        order = {"key": "k", "account": "NB-1", "category": "moral", "amount": 500, "address": to}
        assert west.call("POST", "/v1/transfers", order)[0] == 202
        until(lambda: balance(a, "HZ-1") == 50, "the points arrive by the process that is left")
        assert seals(west)


def test_a_sealer_that_was_stopped_does_no_harm_when_it_wakes(region: Region) -> None:
    with all_three(region) as (a, east, west):
        fund(east, ["NB-1"], 10_000)
        to = address(a, "HZ-1")

        def order(at: Served, key: str) -> None:
            body = {"key": key, "account": "NB-1", "category": "moral", "amount": 10, "address": to}
            assert at.call("POST", "/v1/transfers", body)[0] == 202

        order(east, "before")
        until(lambda: balance(a, "HZ-1") == 1, "the first has arrived")
        east.process.send_signal(signal.SIGSTOP)
        until(lambda: seals(west), "the database has ended the session of the stopped one, and the other took over")
        for n in range(10):
            order(west, f"meanwhile-{n}")
        until(lambda: balance(a, "HZ-1") == 11, "those have arrived")
        east.process.send_signal(signal.SIGCONT)
        for n in range(10):
            order(east, f"after-{n}")
        until(lambda: balance(a, "HZ-1") == 21, "what the woken one takes is sent by the other")
        until(lambda: not seals(east), "it knows that it has been replaced")
        assert seals(west)
        until(lambda: a.idle() and west.idle(), "everything is decided")
        assert heads(a) == heads(west)[::-1] == heads(east)[::-1]
        assert not west.get("/v1/peers")["doubled"]
        assert not east.get("/v1/peers")["doubled"]
    assert hutong("verify", "--dir", region.east)["holds"]


def test_a_caller_who_waits_at_one_process_hears_what_the_other_commits(region: Region) -> None:
    with all_three(region) as (a, east, west):
        fund(east, ["NB-1"], 1_000)
        order = {"key": "k", "account": "NB-1", "category": "moral", "amount": 500, "address": address(a, "HZ-1")}
        status, placed = west.call("POST", "/v1/transfers", order)
        assert status == 202, placed
        assert west.get(f"/v1/transfers/{placed['id']}?wait=15")["state"] == "posted"
        last = west.get("/v1/events")["events"][-1]["no"]
        heard = ThreadPoolExecutor(1).submit(west.get, f"/v1/events?after={last}&wait=15")
        assert east.call("POST", "/v1/transfers", {**order, "key": "k2"})[0] == 202
        assert heard.result()["events"]


def test_a_process_without_a_name_or_with_the_same_is_refused_and_told_why(region: Region) -> None:
    with serving(region.east):
        config = region.west / "hutong.toml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace('process = "ningbo-west"', 'process = "ningbo"'), encoding="utf-8")
        refused = hutong("serve", "--dir", region.west, fails=True)
        assert (refused["exit"], "'ningbo'" in str(refused["error"])) == (3, True)
        config.write_text(text.replace('process = "ningbo-west"\n', ""), encoding="utf-8")
        refused = hutong("serve", "--dir", region.west, fails=True)
        assert (refused["exit"], "process" in str(refused["error"])) == (3, True)


def test_several_processes_over_sqlite_are_refused_at_the_line_that_says_so(region: Region) -> None:
    config = region.a / "hutong.toml"
    config.write_text('process = "east"\n' + config.read_text(encoding="utf-8"), encoding="utf-8")
    refused = hutong("serve", "--dir", region.a, fails=True)
    assert "PostgreSQL" in str(refused["error"])
    assert "line 1" in str(refused["error"])
