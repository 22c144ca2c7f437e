"""Two regions agree from the command line: draft, propose, sign, quote, amend, suspend, end."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.cli import agreement_draft
from tests.cli.commands import Hutong, make_federation, make_region, serving
from tests.cli.test_serve import until

pytestmark = pytest.mark.e2e

A, B = 330100, 330200
TWO = ("--by", "张三", "--checked-by", "李四")


@pytest.fixture
def served(hutong: Hutong, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two regions that trust each other, both serving; one of them can be dialled."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        grpc = f"127.0.0.1:{held.getsockname()[1]}"
    a, b = tmp_path / "a", make_region(hutong, tmp_path / "b", B)
    hutong.done("init", A, "--name", "杭州", "--dir", a, "--listen", grpc, "--endpoint", grpc, "--http", "127.0.0.1:0")
    roster = make_federation(hutong, tmp_path / "keepers", a, b)
    for directory in (a, b):
        hutong.done("federation", "trust", roster, "--dir", directory)
    with serving(a), serving(b):
        yield a, b


def state(hutong: Hutong, directory: Path, which: str) -> str:
    found: str = hutong.done("agreement", "show", which, "--dir", directory)["agreement"]["state"]
    return found


def known(hutong: Hutong, directory: Path, state: str) -> bool:
    listed = hutong.done("agreement", "list", "--all", "--dir", directory)["agreements"]
    return any(a["state"] == state for a in listed)


def test_two_regions_agree_and_end_it_from_the_command_line(
    hutong: Hutong, served: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = served
    file = tmp_path / "draft.toml"
    hutong.done("agreement", "draft", B, "--ours", "moral=10/1", "--theirs", "moral=1/1", "--out", file, "--dir", a)
    assert "两地每日" in file.read_text("utf-8")
    file.write_text(file.read_text("utf-8").replace("# resident_day =", "resident_day = 500"), "utf-8")
    proposed = hutong.done("agreement", "propose", file, *TWO, "--dir", a)
    assert proposed["terms"]["out"]["rates"][0]["rate"] == "1/10"
    until(lambda: known(hutong, b, "proposed"))
    text = hutong("agreement", "show", proposed["id"], "--dir", b, "--lang", "zh").out
    assert "待签署" in text
    hutong.refused(
        "agreement", "countersign", proposed["id"], "--by", "王五", "--checked-by", "王五", "--dir", b, code=2
    )
    hutong.done("agreement", "countersign", proposed["digest"][:12], "--by", "王五", "--checked-by", "赵六", "--dir", b)
    until(lambda: state(hutong, a, proposed["id"]) == "in_force")

    hutong.done("account", "open", "resident", "--dir", a)
    hutong.done("award", "resident", "moral", 455, "--dir", a)
    quoted = hutong.done("quote", "moral", 455, B, "--account", "resident", "--dir", a)
    assert (quoted["leaving"], quoted["arriving"], quoted["remaining"]) == (450, 45, 5)
    assert len(quoted["lots"]) == 1
    capped = hutong.refused("quote", "moral", 600, B, "--account", "resident", "--dir", a, code=1)
    assert capped["name"] == "resident_cap_reached"

    amended = tmp_path / "amended.toml"
    hutong.done("agreement", "draft", B, "--amends", proposed["id"], "--out", amended, "--dir", a)
    assert tomllib.loads(amended.read_text("utf-8"))["out"]["caps"] == {"resident_day": 500}
    second = hutong.done("agreement", "propose", amended, *TWO, "--dir", a)
    assert second["version"] == 2
    until(lambda: known(hutong, b, "proposed"))
    hutong.done("agreement", "decline", second["digest"], "--by", "王五", "--dir", b)
    hutong.done("agreement", "suspend", proposed["id"], *TWO, "--because", "盘点", "--dir", b)
    until(lambda: state(hutong, a, proposed["id"]) == "suspended")
    hutong.done("agreement", "resume", proposed["id"], *TWO, "--dir", b)
    until(lambda: state(hutong, a, proposed["id"]) == "in_force")
    hutong.done("agreement", "terminate", proposed["id"], *TWO, "--until", "2099-12-31", "--dir", a)
    until(lambda: state(hutong, b, proposed["id"]) == "terminating")
    signed = tmp_path / "signed.json"
    hutong.done("agreement", "show", proposed["id"], "--out", signed, "--dir", b)
    assert signed.read_text("utf-8").count('"keyid"') == 2


def test_rates_that_multiply_points_are_shown_as_a_cycle_before_anybody_signs(
    hutong: Hutong, served: tuple[Path, Path], tmp_path: Path
) -> None:
    a, _ = served
    file = tmp_path / "draft.toml"
    hutong.done("agreement", "draft", B, "--ours", "moral=10/1", "--theirs", "moral=1/1", "--out", file, "--dir", a)
    file.write_text(file.read_text("utf-8").replace("# rate =", 'rate = "1/5"', 1), "utf-8")
    said = hutong.refused("agreement", "propose", file, *TWO, "--dir", a, code=1)
    assert "×1/5" in said["what"]
    assert "×2" in said["what"]
    assert hutong.done("agreement", "list", "--all", "--dir", a)["agreements"] == []


def test_a_draft_says_what_is_wrong_and_replaces_no_file(
    hutong: Hutong, served: tuple[Path, Path], tmp_path: Path
) -> None:
    a, _ = served
    file = tmp_path / "draft.toml"
    ask = ("agreement", "draft", B, "--ours", "moral=10/1", "--out", file, "--dir", a)
    hutong.refused(*ask, code=2)
    hutong.refused(*ask, "--theirs", "moral=ten", code=2)
    hutong.done(*ask, "--theirs", "moral=1/1")
    hutong.refused(*ask, "--theirs", "moral=1/1", code=2)
    file.write_text(file.read_text("utf-8") + "\nunknown = 1\n", "utf-8")
    assert "unknown" in hutong.refused("agreement", "propose", file, *TWO, "--dir", a, code=2)["what"]
    hutong.refused("agreement", "countersign", "abc", *TWO, "--dir", a, code=2)


def test_what_is_written_is_read_back_alike(tmp_path: Path) -> None:
    terms = agreement_draft.first([agreement_draft.published("moral=10/1")], [agreement_draft.published("moral=1/2")])
    terms["valid_from"] = "2026-12-01"
    terms["into"] = {
        **terms["into"],
        "caps": {"net_debit": 5},
        "honoured": [{"kind": "star_level", "values": [{"there": 4, "here": 3}]}],
    }
    file = tmp_path / "draft.toml"
    file.write_text(agreement_draft.write(B, terms), "utf-8")
    found = agreement_draft.read(file)
    assert (found["peer"], found["amends"], found["terms"]["valid_from"]) == (str(B), None, "2026-12-01")
    assert found["terms"]["into"]["honoured"] == terms["into"]["honoured"]
    assert found["terms"]["into"]["caps"] == {"net_debit": 5}
    assert found["terms"]["ours"] == terms["ours"]
