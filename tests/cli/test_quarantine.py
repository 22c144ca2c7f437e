"""A region whose key somebody else has used: its peer's operators, its own, and the way back, over real streams."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.protocol.channel import Condition
from node import config
from node.app import Node
from tests.cli.commands import Hutong, make_federation, make_region, serving
from tests.cli.test_serve import TERMS, until
from tests.federation import Pair, TestRegion
from tests.services.ledger import forge, offer

pytestmark = pytest.mark.e2e

A, B = 330100, 330200


class Standing(TestRegion):
    """The region of a directory in this process, without its streams."""

    def __init__(self, node: Node) -> None:
        self.code, self.store, self.office = node.config.region, node.store, node.office
        self.writer, self.exchange = node.writer.writer, node.exchange


@contextmanager
def opened(directory: Path) -> Iterator[Standing]:
    """The region, with nobody serving it."""
    node = Node(config.load(directory))
    try:
        yield Standing(node)
    finally:
        node.writer.stop()
        node.store.close()
        node.witness.close()


@pytest.fixture
def pair(hutong: Hutong, tmp_path: Path) -> tuple[Path, Path]:
    """B was told two histories under A's key, of which A knows neither. Nobody serves."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        grpc = f"127.0.0.1:{held.getsockname()[1]}"
    a, b = tmp_path / "a", make_region(hutong, tmp_path / "b", B)
    listen = ("--listen", grpc, "--endpoint", grpc, "--http", "127.0.0.1:0")
    hutong.done("init", A, "--name", "杭州", "--dir", a, *listen)
    roster = make_federation(hutong, tmp_path / "keepers", a, b)
    for directory in (a, b):
        hutong.done("federation", "trust", roster, "--dir", directory)
        (directory / "terms.toml").write_text(TERMS)
    with opened(a) as thief, opened(b) as told:
        Pair(thief, told).open()
        told.hear(A, forge(thief, B, [offer(b"x" * 10, 10, id_=b"the truth, first")]))
        told.hear(A, forge(thief, B, [offer(b"x" * 10, 90, id_=b"a lie, later on.")]))
        assert told.writer.channels[A].condition is Condition.QUARANTINED
    return a, b


def channel(hutong: Hutong, directory: Path) -> str:
    (peer,) = hutong.done("peers", "--dir", directory)["peers"]
    return str(peer["channel"])


def test_evidence_is_saved_and_two_people_on_each_side_end_the_quarantine(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = pair
    file = tmp_path / "evidence.json"
    with serving(a), serving(b):
        assert channel(hutong, b) == "quarantined"
        said = hutong.done("peers", "evidence", A, "--out", file, "--dir", b)
        assert said["holds"]
        assert "contradicted itself" in said["en"]
        assert hutong.done("peers", A, "--dir", b)["evidence"] == [said["digest"]]
        assert main(["verify", str(file)]) == 0
        assert "contradicted itself" in capsys.readouterr().out
        assert "already" in hutong.refused("peers", "evidence", A, "--out", file, "--dir", b, code=2)["what"]

        two = ("--size", 0, "--maker", "张三", "--checker", "李四")
        assert "missing" in hutong.refused("peers", "repair", A, "--size", 0, "--dir", b, code=2)["what"]
        alone = ("--size", 0, "--maker", "张三", "--checker", "张三")
        assert "second person" in str(hutong("peers", "repair", A, *alone, "--dir", b, "--json").json["error"])
        agreed = hutong.done("peers", "repair", A, *two, "--dir", b)
        assert (agreed["evidence"], agreed["holds"], agreed["signed_here"]) == (said["digest"], 1, True)
        hutong.done("peers", "repair", B, "--evidence", file, *two, "--dir", a)
        until(lambda: (channel(hutong, a), channel(hutong, b)) == ("open", "open"))

        hutong.done("account", "open", "HZ-1", "--dir", a)
        hutong.done("account", "open", "NB-1", "--dir", b)
        hutong.done("award", "HZ-1", "moral", 1000, "--key", "k1", "--expires", "2099-01-01", "--dir", a)
        address = hutong.done("account", "address", "NB-1", "--dir", b)["address"]
        hutong.done("transfer", "send", "HZ-1", address, "moral", 30, "--wait", 60, "--dir", a)
        until(lambda: hutong.done("account", "show", "NB-1", "--dir", b)["balances"][0]["available"] == 300)

        both = tmp_path / "both.json"
        hutong.done("peers", "evidence", B, "--out", both, "--dir", a)
        assert main(["verify", str(tmp_path / "both.repair.json")]) == 0
        assert "agree" in capsys.readouterr().out
    for directory in (a, b):
        hutong.done("verify", "--dir", directory)


def test_a_region_of_which_nothing_is_kept_has_no_evidence(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    a, _ = pair
    with serving(a):
        assert "no evidence" in hutong.refused("peers", "evidence", B, "--dir", a, code=2)["what"]
        strange = hutong.refused(
            "peers", "repair", B, "--evidence", "no such file", "--size", 0, "--maker", "x", "--checker", "y",
            "--dir", a, code=2,
        )  # fmt: skip
        assert "nor a file of evidence" in strange["what"]
