"""Two regions as processes of their own: who may serve, how they stop, and points that move between them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.transport import tls
from node import config, lock
from tests.cli.commands import Hutong, card, make_federation, make_region, serving, sign
from tests.databases import PostgreSQL

pytestmark = pytest.mark.e2e

TERMS = """\
version = 1
[[terms]]
from = "330100"
to = "330200"
category = "moral"
becomes = "moral"
rate = "10/1"
review_from = 5000
[[terms]]
from = "330200"
to = "330100"
category = "moral"
becomes = "moral"
rate = "1/10"
"""


def until(done: Callable[[], bool], within_s: float = 30.0) -> None:
    """Look until it is so."""
    end = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@pytest.fixture
def region(hutong: Hutong, tmp_path: Path) -> Path:
    """A region that may start, alone in its federation."""
    made = make_region(hutong, tmp_path / "a", 330100)
    hutong.done("federation", "trust", make_federation(hutong, tmp_path / "keepers", made), "--dir", made)
    return made


@pytest.fixture
def pair(hutong: Hutong, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two regions that serve; only the first can be dialled."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    source = tmp_path / "a"
    grpc = f"127.0.0.1:{port}"
    listen = ("--listen", grpc, "--endpoint", grpc, "--http", "127.0.0.1:0")
    hutong.done("init", 330100, "--name", "杭州", "--dir", source, *listen)
    destination = make_region(hutong, tmp_path / "b", 330200)
    roster = make_federation(hutong, tmp_path / "keepers", source, destination)
    for directory in (source, destination):
        hutong.done("federation", "trust", roster, "--dir", directory)
        (directory / "terms.toml").write_text(TERMS)
    with serving(source), serving(destination):
        yield source, destination


def test_a_second_serve_is_refused_and_says_who_is_there(hutong: Hutong, region: Path) -> None:
    with serving(region) as (process, ready):
        error = hutong.refused("serve", "--dir", region, code=3)
        assert f"process {process.pid}" in error["what"]
        assert ready["pid"] == process.pid
        assert hutong.done("peers", "--dir", region)["peers"] == []  # the first goes on


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_in_good_order_and_the_next_start_succeeds(region: Path, number: int) -> None:
    with serving(region) as (process, _):
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, ""), err
    with serving(region):
        pass


def test_a_killed_process_keeps_nobody_out(region: Path) -> None:
    with serving(region) as (process, _):
        process.kill()
        process.wait(30)
        with serving(region) as (second, _):
            assert second.poll() is None


def test_logs_are_json_lines_and_the_ready_line_is_alone_on_the_output(hutong: Hutong, region: Path) -> None:
    with serving(region) as (process, _):
        hutong.done("account", "open", "HZ-1", "--dir", region)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert out == ""
    assert all(isinstance(json.loads(line), dict) for line in err.splitlines())


def test_a_port_in_use_is_named(hutong: Hutong, tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = f"127.0.0.1:{held.getsockname()[1]}"
        for option in ("--http", "--listen"):
            made = tmp_path / option
            both = {"--http": "127.0.0.1:0", "--listen": "127.0.0.1:0", option: taken}
            hutong.done("init", 330100, "--name", "x", "--dir", made, *(part for pair in both.items() for part in pair))
            roster = make_federation(hutong, tmp_path / f"keepers{option}", made)
            hutong.done("federation", "trust", roster, "--dir", made)
            said = subprocess.run(
                [sys.executable, "-m", "node.cli", "serve", "--dir", str(made), "--json"],
                capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "GRPC_VERBOSITY": "NONE"},
            )  # fmt: skip
            assert said.returncode == 3, said.stderr
            assert taken in json.loads(said.stdout)["error"]["what"]


@pytest.mark.postgresql
def test_a_second_machine_is_kept_out_by_the_database(
    hutong: Hutong, tmp_path: Path, postgresql_server: PostgreSQL
) -> None:
    name = postgresql_server.new(tables=False)
    try:
        made = make_region(hutong, tmp_path / "a", 330100, "--database", postgresql_server.url(name))
        here = config.load(made)
        copy = tmp_path / "copy"  # what another machine has: the same configuration, another lock file
        copy.mkdir()
        (copy / "hutong.toml").write_bytes((made / "hutong.toml").read_bytes())
        there = config.load(copy)
        with lock.hold(here) as held:
            with pytest.raises(lock.Held, match="backend"), lock.hold(there):
                pass
            assert held.keeps()
            # The connection that held the lock is lost, and nobody else comes: it is taken again.
            postgresql_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hutong serve'"
            )
            assert held.keeps()
            postgresql_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hutong serve'"
            )
            with lock.hold(there), pytest.raises(lock.Held):
                held.keeps()
        with lock.hold(there):
            pass
    finally:
        postgresql_server.drop(name)


def test_points_move_between_two_regions_where_only_one_can_be_dialled(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    a, b = pair
    hutong.done("account", "open", "HZ-1", "--dir", a)
    hutong.done("account", "open", "NB-1", "--dir", b)
    first = hutong.done("award", "HZ-1", "moral", 1000, "--key", "k1", "--expires", "2099-01-01", "--dir", a)
    again = hutong.done("award", "HZ-1", "moral", 1000, "--key", "k1", "--expires", "2099-01-01", "--dir", a)
    assert again == first
    assert hutong.refused("award", "HZ-1", "moral", 999, "--key", "k1", "--dir", a, code=1)["name"].startswith(
        "conflict"
    )
    address = hutong.done("account", "address", "NB-1", "--dir", b)["address"]
    assert hutong.done("quote", "moral", 30, 330200, "--dir", a)["arriving"] == 300
    moved = hutong.done("transfer", "send", "HZ-1", address, "moral", 30, "--wait", 60, "--dir", a)
    assert (moved["state"], moved["leaving"], moved["arriving"]) == ("posted", 30, 300)
    assert _available(hutong, a, "HZ-1") == 970
    until(lambda: _available(hutong, b, "NB-1") == 300)  # once the receipt for the answer is there
    assert [e["kind"] for e in hutong.done("events", "--dir", b)["events"]] == ["accepted"]
    # What cannot be done is refused by name, and nothing moves.
    wrong = address[:-1] + ("A" if address[-1] != "A" else "B")
    hutong.refused("transfer", "send", "HZ-1", wrong, "moral", 30, "--dir", a, code=1)
    assert hutong.refused("transfer", "send", "HZ-1", address, "moral", 5000, "--dir", a, code=1)["name"] == (
        "insufficient_points"
    )
    assert _available(hutong, a, "HZ-1") == 970
    # Both regions prove it; anybody checks.
    _prove(hutong, tmp_path, pair, moved["id"])
    for directory in pair:
        checks = hutong.done("verify", "--dir", directory)["checks"]
        assert len(checks) >= 10
        assert {check["ok"] for check in checks} == {True}
    # And back.
    assert hutong.done("transfer", "reverse", moved["id"], "--wait", 60, "--dir", a)["state"] == "granted"
    until(lambda: _available(hutong, a, "HZ-1") == 1000)
    assert _available(hutong, b, "NB-1") == 0


def test_a_clerk_decides_and_the_other_region_is_seen(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    a, b = pair
    hutong.done("account", "open", "HZ-1", "--dir", a)
    hutong.done("account", "open", "NB-1", "--dir", b)
    hutong.done("award", "HZ-1", "moral", 1000, "--dir", a)
    address = hutong.done("account", "address", "NB-1", "--dir", b)["address"]
    waiting = [
        hutong.done("transfer", "send", "HZ-1", address, "moral", 500, "--wait", 0, "--dir", a)["id"] for _ in range(2)
    ]
    until(lambda: len(hutong.done("transfer", "review", "--dir", b)["transfers"]) == 2)
    decide = ("--source", 330100, "--by", "li.si", "--dir", b)
    hutong.done("transfer", "review", waiting[0], "--accept", *decide)
    hutong.done("transfer", "review", waiting[1], "--refuse", *decide)
    assert hutong.done("transfer", "show", waiting[0], "--wait", 60, "--dir", a)["state"] == "posted"
    refused = hutong.done("transfer", "show", waiting[1], "--wait", 60, "--dir", a)
    assert (refused["state"], refused["reason"]) == ("voided", "review_refused")
    assert len(hutong.done("transfer", "list", "--dir", a)["transfers"]) == 2
    # Either side can be asked how it sees the other, and dialled again.
    until(lambda: hutong.done("peers", 330200, "--dir", a)["backlog"] == 0)
    standing = hutong.done("peers", 330200, "--dir", a)["standing"]
    assert (standing["ready"], standing["backlog"]) == (True, 0)
    hutong.done("peers", "retry", 330100, "--dir", b)
    hutong.done("sweep", "--dir", a)
    hutong.done("account", "freeze", "HZ-1", "--dir", a)
    error = hutong.refused("transfer", "send", "HZ-1", address, "moral", 1, "--dir", a, code=1)
    assert error["name"] == "account_frozen"
    hutong.done("account", "unfreeze", "HZ-1", "--dir", a)
    assert hutong.refused("account", "close", "HZ-1", "--dir", a, code=1)["name"] == "account_not_empty"


def test_a_file_of_awards_is_granted_once_however_often_it_is_sent(
    hutong: Hutong, tmp_path: Path, region: Path
) -> None:
    residents, awards = tmp_path / "residents.csv", tmp_path / "awards.csv"
    residents.write_text("region,account,opened\n" + "".join(f"330100,HZ-{n},2026-01-01\n" for n in range(1500)))
    awards.write_text(
        "region,key,account,category,amount,granted,expires,evidence,activity\n"
        + "".join(f"330100,k{n},HZ-{n},moral,7,2026-01-01,2099-01-01,signed_in,x\n" for n in range(1600))
        + "330200,k1,NB-1,moral,7,2026-01-01,2099-01-01,signed_in,x\n"
    )
    with serving(region):
        assert hutong.done("account", "open", "--file", residents, "--dir", region)["done"] == 1500
        for _ in range(2):
            said = hutong("award", "--file", awards, "--dir", region, "--json")
            assert said.code == 1  # a hundred accounts do not exist
            assert (said.json["ok"], said.json["done"], said.json["others"]) == (False, 1500, 1)
            assert {line["name"] for line in said.json["refused"]} == {"account_unknown"}
        assert _available(hutong, region, "HZ-1499") == 7


def test_a_new_roster_is_in_force_without_a_restart(hutong: Hutong, tmp_path: Path, region: Path) -> None:
    roster = tmp_path / "keepers" / "roster-1.json"
    newcomer = make_region(hutong, tmp_path / "b", 330200)
    with serving(region):
        assert hutong.done("peers", "--dir", region)["peers"] == []
        hutong.done("federation", "add", roster, card(newcomer))
        newer = sign(hutong, roster.with_name("roster-2.json"))
        hutong.done("federation", "trust", newer, "--dir", region)
        until(lambda: [p["code"] for p in hutong.done("peers", "--dir", region)["peers"]] == [330200])


def _available(hutong: Hutong, directory: Path, account: str) -> int:
    found = hutong.done("account", "show", account, "--dir", directory)["balances"]
    return sum(balance["available"] for balance in found)


def _prove(hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path], transfer: str) -> None:
    for number, directory in enumerate(pair):
        file = tmp_path / f"proof{number}.json"
        until(lambda d=directory, f=file: _proved(hutong, d, f, transfer))  # type: ignore[misc]
        federation = hutong.done("federation", "show", "--dir", directory)["federation"]
        checked = subprocess.run(
            [sys.executable, "-m", "gateway", "verify", str(file), "--federation", federation],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stdout


def _proved(hutong: Hutong, directory: Path, file: Path, transfer: str) -> bool:
    """The last receipt may still be under way: that is refused, and says so."""
    return hutong("proof", transfer, "--source", 330100, "--out", file, "--dir", directory).code == 0


def test_a_certificate_near_its_end_is_told_at_the_start_and_among_the_peers(hutong: Hutong, tmp_path: Path) -> None:
    made = make_region(hutong, tmp_path / "a", 330100)
    short = tls.issue(330100, now=datetime.now(UTC), days=10)
    (made / "secrets" / "tls.key").write_bytes(short.key_pem)
    (made / "tls.crt").write_bytes(short.cert_pem)
    hutong.done("card", "--dir", made)
    roster = make_federation(hutong, tmp_path / "keepers", made)
    hutong.done("federation", "trust", roster, "--dir", made)
    assert "days left" in hutong("federation", "show", roster).out
    with serving(made) as (process, _):
        assert 8 <= hutong.done("peers", "--dir", made)["certificate_days_left"] <= 10
        assert "hutong card --new-certificate" in hutong("peers", "--dir", made).err
        process.terminate()
        _, logs = process.communicate(timeout=60)
    assert "certificate_expires" in [json.loads(line)["event"] for line in logs.splitlines()]
