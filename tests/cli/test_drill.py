"""Drills: a restore practised beside a node at work, which notices nothing of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.services.backup.drill import Extent, compare
from tests.cli.commands import Hutong
from tests.cli.regions import at_work, files, transfers
from tests.e2e.processes import A, B, Pair, fund, set_up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return set_up(tmp_path_factory.mktemp("made"))


@pytest.fixture
def pair(made: Pair, tmp_path: Path) -> Pair:
    return made.copied(tmp_path / "pair")


def test_nothing_acknowledged_would_be_lost_and_nobody_notices_the_drill(hutong: Hutong, pair: Pair) -> None:
    with at_work(pair) as (a, b, to):
        transfers(a, b, to, 10, tag="before")
        old = hutong.done("backup", "--dir", pair.a)["file"]
        transfers(a, b, to, 300, tag="after", amount=10)
        fund(a, ["late"], 70)
        names, log = files(pair.a), len((pair.a / "serve.log").read_bytes())
        peer_log = len((pair.b / "serve.log").read_bytes())
        found = hutong.done("drill", "--from", old, "--dir", pair.a)
        (verdict,) = found["peers"]
        assert (found["lost_for_good"], found["verified"]) == (0, True)
        assert (verdict["lost"], verdict["given_back"], verdict["acknowledged"]) == (300, 300, 300)
        assert found["transfers_again"] == 300
        assert found["local_only"]["award"] == {"entries": 1, "amount": 70}
        assert found["local_only"]["open"]["entries"] == 1
        assert files(pair.a) == names
        assert (pair.a / "serve.log").read_bytes()[log:] == b""
        assert (pair.b / "serve.log").read_bytes()[peer_log:] == b""
        for served in (a, b):
            assert not served.get("/v1/recovery")["recovering"]
            assert served.linked()
        transfers(a, b, to, 10, tag="then")
        shown = hutong("drill", "--dir", pair.a, "--lang", "zh")
        assert shown.code == 0, shown.out + shown.err
        assert "一条也不会丢失" in shown.out


def test_what_the_region_would_advance_is_told(hutong: Hutong, pair: Pair) -> None:
    with at_work(pair) as (a, b, to):
        old = hutong.done("backup", "--dir", pair.a)["file"]
        fund(a, ["new"], 500)  # neither the account nor its points are in the backup
        status, placed = a.call(
            "POST", "/v1/transfers", {"key": "k", "account": "new", "category": "moral", "amount": 400, "address": to}
        )
        assert status in (200, 202), placed
        transfers(a, b, to, 1, tag="then")
        found = hutong.done("drill", "--from", old, "--dir", pair.a)
        assert found["advanced"] == {"moral": 400}
        assert found["local_only"]["award"]["amount"] == 500


def test_a_drill_while_the_node_works_on_recovers_to_what_was_acknowledged(hutong: Hutong, pair: Pair) -> None:
    import threading

    with at_work(pair) as (a, _b, to):
        orders = [
            {"key": f"w-{n}", "account": f"r{n % 10}", "category": "moral", "amount": 10, "address": to}
            for n in range(400)
        ]
        working = threading.Thread(
            target=lambda: [a.call("POST", "/v1/transfers", orders[n : n + 10]) for n in range(0, 400, 10)]
        )
        working.start()
        try:
            found = hutong.done("drill", "--work", 1, "--dir", pair.a)
        finally:
            working.join()
        assert found["lost_for_good"] == 0
        assert found["peers"][0]["given_back"] >= found["peers"][0]["acknowledged"] > 0


def test_a_peer_that_cannot_be_reached_is_named_and_the_drill_is_no_success(hutong: Hutong, pair: Pair) -> None:
    with at_work(pair) as (_a, b, _to):
        b.stop()
        said = hutong("drill", "--dir", pair.a, "--json")
        assert said.code == 3, said.out + said.err
        found = json.loads(said.out)
        assert not found["ok"]
        assert (found["peers"][0]["peer"], found["peers"][0]["fault"]) == (B, "cannot be reached")
        assert not [name for name in files(pair.a) if name.startswith("drill-")]


def test_without_a_running_node_there_is_nobody_to_ask(hutong: Hutong, pair: Pair) -> None:
    assert "not running" in hutong.refused("drill", "--dir", pair.a, code=3)["what"]
    assert not [name for name in files(pair.a) if name.startswith("drill-")]


def test_a_backup_of_another_region_is_not_drilled(hutong: Hutong, pair: Pair) -> None:
    with at_work(pair):
        other = hutong.done("backup", "--dir", pair.b)["file"]
        assert str(A) in hutong.refused("drill", "--from", other, "--dir", pair.a, code=2)["what"]


def test_an_acknowledged_message_that_does_not_come_back_counts_as_lost() -> None:
    def lost(before: int, live: Extent, after: Extent) -> int:
        return compare(B, Extent(said=before), live, after, live.said, "").lost_for_good

    live = Extent(said=12, receipted=10, root=b"x")
    assert lost(4, live, Extent(said=12, root=b"x")) == 0
    assert lost(4, live, Extent(said=10, root=b"x")) == 0  # what was not acknowledged may be said again
    assert lost(4, live, Extent(said=7, root=b"y")) == 3
    assert lost(4, live, Extent(said=12, root=b"y")) == 6  # others than those that were said
