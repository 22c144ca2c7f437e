"""Two regions as separate processes, set up by exchanging files: what a newcomer does, and what may happen to them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.transport.tls import dns_name
from tests.e2e.processes import A, B, Pair, Served, address, balance, fund, hutong, serving, set_up, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two regions as they were set up, of which only one can be dialled; copied by every test, never started."""
    return set_up(tmp_path_factory.mktemp("made"))


@pytest.fixture
def pair(made: Pair, tmp_path: Path) -> Pair:
    """Two fresh regions."""
    return made.copied(tmp_path)


@contextmanager
def both(pair: Pair) -> Iterator[tuple[Served, Served]]:
    """Both regions, running and talking with each other."""
    with serving(pair.a) as a, serving(pair.b) as b:
        until(lambda: a.linked() and b.linked(), "the two regions talk with each other")
        yield a, b


def orders(count: int, to: str, *, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"key": f"order-{n}", "account": "HZ-1", "category": "moral", "amount": 1, "address": to}
        for n in range(first, first + count)
    ]


def test_points_move_and_are_proved_with_the_commands_a_newcomer_types(pair: Pair, tmp_path: Path) -> None:
    with both(pair) as (a, b):
        hutong("account", "open", "HZ-1", "--dir", pair.a)
        hutong("award", "HZ-1", "moral", "500", "--dir", pair.a)
        hutong("account", "open", "NB-1", "--dir", pair.b)
        to = hutong("account", "address", "NB-1", "--dir", pair.b)["address"]
        sent = hutong("transfer", "send", "HZ-1", to, "moral", "120", "--wait", "30", "--dir", pair.a)
        assert sent["state"] == "posted"
        until(lambda: balance(b, "NB-1") == 1200, "the points have arrived at 10/1")
        assert balance(a, "HZ-1") == 380
        file = tmp_path / "proof.json"
        hutong("proof", sent["id"], "--out", file, "--dir", pair.a)
        for directory in (pair.a, pair.b):
            assert hutong("verify", "--dir", directory)["holds"]
    federation = hutong("federation", "show", pair.roster)["federation"]
    check = [sys.executable, "-m", "gateway", "verify", "--federation", federation, str(file)]
    assert subprocess.run(check, timeout=60, check=False, capture_output=True).returncode == 0
    altered = json.loads(file.read_text())
    payload = bytearray(b64decode(altered["payload"]))
    payload[15] ^= 1  # within the id of the transfer
    file.write_text(json.dumps(altered | {"payload": b64encode(payload).decode()}))
    assert subprocess.run(check, timeout=60, check=False, capture_output=True).returncode != 0


def test_a_region_that_nobody_can_dial_sends_and_receives(pair: Pair) -> None:
    with both(pair) as (a, b):
        assert [peer["endpoint"] for peer in a.get("/v1/peers")["peers"]] == [""]
        fund(a, ["HZ-1"], 100)
        fund(b, ["NB-1"], 1000)
        there, back = address(b, "NB-2"), address(a, "HZ-2")
        order = {"key": "k", "account": "HZ-1", "category": "moral", "amount": 7, "address": there}
        assert a.call("POST", "/v1/transfers", order)[0] == 202
        order = {"key": "k", "account": "NB-1", "category": "moral", "amount": 500, "address": back}
        assert b.call("POST", "/v1/transfers", order)[0] == 202
        until(lambda: (balance(b, "NB-2"), balance(a, "HZ-2")) == (70, 50), "both transfers have arrived")


def test_sigterm_under_load_ends_with_0_and_loses_nothing_it_has_answered(pair: Pair) -> None:
    answered: dict[str, str] = {}
    total, at_once = 6_000, 50
    with serving(pair.b) as b:
        to = address(b, "NB-1")
        with serving(pair.a) as a:
            fund(a, ["HZ-1"], total)
            enough = threading.Event()

            def submit() -> None:
                for first in range(0, total, at_once):
                    try:
                        status, lines = a.call("POST", "/v1/transfers", orders(at_once, to, first=first))
                    except OSError:
                        return
                    if status == 200:
                        answered.update(
                            (f"order-{first + line['line'] - 1}", line["id"]) for line in lines if line["ok"]
                        )
                    if len(answered) >= 500:
                        enough.set()

            load = threading.Thread(target=submit)
            load.start()
            assert enough.wait(45)
            assert a.stop() == 0
            load.join(45)
            assert not load.is_alive()
        assert 500 <= len(answered) < total
        with serving(pair.a) as a:
            status, lines = a.call("POST", "/v1/transfers", orders(1_000, to))
            assert status == 200
            now = {f"order-{n}": line["id"] for n, line in enumerate(lines)}
            assert {key: now[key] for key in answered if key in now} == {k: v for k, v in answered.items() if k in now}
            until(lambda: a.idle() and b.idle(), "everything is decided")
            taken = sum(t["count"] for t in a.get("/v1/counts")["transfers"])
            assert taken >= max(len(answered), 1_000)
            assert balance(a, "HZ-1") == total - taken
            assert balance(b, "NB-1") == 10 * taken
    assert hutong("verify", "--dir", pair.a)["holds"]


@pytest.mark.parametrize("killed", ["source", "destination"])
def test_kill_9_amid_messages_and_a_restart_finish_what_was_under_way(pair: Pair, killed: str) -> None:
    with serving(pair.a) as a, serving(pair.b) as b:
        fund(a, ["HZ-1"], 2_000)
        to = address(b, "NB-1")
        for first in (0, 1_000):
            assert a.call("POST", "/v1/transfers", orders(1_000, to, first=first))[0] == 200
        victim = a if killed == "source" else b
        assert victim.stop(signal.SIGKILL) == -signal.SIGKILL
        with serving(victim.directory) as again:
            source, destination = (again, b) if killed == "source" else (a, again)
            until(lambda: source.idle() and destination.idle(), "everything is decided")
            assert (balance(source, "HZ-1"), balance(destination, "NB-1")) == (0, 20_000)
            states = {(t["direction"], t["state"]): t["count"] for t in source.get("/v1/counts")["transfers"]}
            assert states == {("outgoing", "posted"): 2_000}
    assert hutong("verify", "--dir", victim.directory)["holds"]


def test_a_second_serve_on_the_same_directory_is_refused_and_says_who_serves(pair: Pair) -> None:
    with serving(pair.a) as a:
        refused = hutong("serve", "--dir", pair.a, fails=True)
        assert refused["exit"] == 3
        assert str(a.process.pid) in refused["error"]["what"]
        assert a.get("/healthz")["ok"]


def test_a_new_roster_is_taken_up_by_running_regions(pair: Pair) -> None:
    with serving(pair.b) as b, serving(pair.a) as a:
        assert (a.get("/v1/roster")["version"], b.get("/v1/roster")["version"]) == (1, 1)
        second = pair.roster.with_name("roster-2.json")
        hutong("federation", "add", pair.roster, "--suspend", B)
        for key in pair.root_keys[:2]:
            hutong("federation", "sign", second, "--key", key)
        hutong("federation", "trust", second, "--dir", pair.a)
        until(lambda: a.get("/v1/roster")["version"] == 2, "the region that was given the roster has it in force")
        fund(a, ["HZ-1"], 10)
        order = {**orders(1, "330200-7Q3M9KXW2T5RBV0C-4H")[0]}
        status, problem = a.call("POST", "/v1/transfers", order)
        assert status == 422
        assert a.stop() == 0
        with serving(pair.a):
            until(lambda: b.get("/v1/roster")["version"] == 2, "the other hears of it when they talk again")
        assert problem["reason"] in ("region_not_active", "address_unknown")


def test_health_and_reflection_answer_members_and_nobody_else(pair: Pair) -> None:
    with serving(pair.a) as a:
        server = (pair.a / "tls.crt").read_bytes()
        member = grpc.ssl_channel_credentials(
            server, (pair.b / "secrets" / "tls.key").read_bytes(), (pair.b / "tls.crt").read_bytes()
        )
        named = [("grpc.ssl_target_name_override", dns_name(A))]
        with grpc.secure_channel(a.grpc, member, named) as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
            (found,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(asked, timeout=20)
            services = {service.name for service in found.list_services_response.service}
            assert "gateway.v1.GatewayService" in services
        with grpc.secure_channel(a.grpc, grpc.ssl_channel_credentials(server), named) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
