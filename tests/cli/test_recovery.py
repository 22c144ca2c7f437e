"""A region whose witness was lost, at the terminal: what it says, and how two people and the regional system end it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.commands import Hutong, make_federation, make_region, serving

pytestmark = pytest.mark.e2e


@pytest.fixture
def two(hutong: Hutong, tmp_path: Path) -> tuple[Path, Path]:
    """Two regions that trust one roster; neither has run."""
    made = make_region(hutong, tmp_path / "a", 330100), make_region(hutong, tmp_path / "b", 330200)
    roster = make_federation(hutong, tmp_path / "keepers", *made)
    for region in made:
        hutong.done("federation", "trust", roster, "--dir", region)
    return made


def test_a_new_region_is_whole_and_stays_so(hutong: Hutong, two: tuple[Path, Path]) -> None:
    for _ in range(2):
        with serving(two[0]):
            found = hutong.done("recovery", "show", "--dir", two[0])
            assert (found["recovering"], found["owed"], found["risks"]) == (False, 0, [])
            assert "whole" in hutong("recovery", "show", "--dir", two[0]).out
            assert "完整" in hutong("recovery", "show", "--dir", two[0], "--lang", "zh").out


def test_a_lost_witness_is_made_good_by_the_system_and_two_people(
    hutong: Hutong, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = two
    tokens = [hutong.done("token", "create", name, "--scope", "recovery", "--dir", a)["token"] for name in ("c", "w")]
    (a / "witness").unlink()
    with serving(a):
        found = hutong.done("recovery", "show", "--dir", a)
        assert found["recovering"]
        assert found["outstanding"] == [330200]
        shown = hutong("recovery", "show", "--dir", a).out
        assert "recovering" in shown
        assert "the witness is missing" in shown
        assert hutong.done("recovery", "replayed", "--dir", a)["replayed"]
        accept = ("recovery", "accept-risk", 330200, "--amount", 500, "--dir", a)
        monkeypatch.setenv("HUTONG_TOKEN", tokens[0])
        hutong.done(*accept)
        error = hutong.refused(*accept, code=1)
        assert error["name"] == "same_person"
        monkeypatch.setenv("HUTONG_TOKEN", tokens[1])
        assert not hutong.done(*accept)["recovering"]
        assert "330200" in hutong("recovery", "show", "--dir", a, "--lang", "zh").out
    with serving(a):
        assert not hutong.done("recovery", "show", "--dir", a)["recovering"]


def test_the_witness_of_another_region_stops_the_start(hutong: Hutong, two: tuple[Path, Path]) -> None:
    a, b = two
    shutil.copyfile(b / "witness", a / "witness")
    error = hutong.refused("serve", "--dir", a, code=2)
    assert "belongs to region 330200, not 330100" in error["what"] + error["do"]


def test_a_backup_older_than_the_witness_starts_and_a_later_one_does_not(
    hutong: Hutong, two: tuple[Path, Path]
) -> None:
    a, _ = two
    shutil.copyfile(a / "region.sqlite", a.parent / "early")
    with serving(a):
        pass
    for left in a.glob("region.sqlite*"):
        shutil.move(left, a.parent / left.name)
    shutil.copyfile(a.parent / "early", a / "region.sqlite")
    with serving(a):
        assert hutong.done("recovery", "show", "--dir", a)["recovering"]
    for left in a.glob("region.sqlite*"):
        left.unlink()
    for left in a.parent.glob("region.sqlite*"):
        shutil.copyfile(left, a / left.name)
    error = hutong.refused("serve", "--dir", a, code=2)
    assert "abandoned history" in error["what"]
    assert "Restore the newest backup" in error["do"]


def test_init_writes_over_nobodys_witness(hutong: Hutong, tmp_path: Path) -> None:
    shared = tmp_path / "other disk"
    shared.mkdir()
    first = make_region(hutong, tmp_path / "a", 330100, "--witness", shared / "witness")
    before = (shared / "witness").read_bytes()
    error = hutong.refused(
        "init", 330200, "--name", "乙", "--dir", tmp_path / "b", "--witness", shared / "witness", code=2
    )
    assert "exists already" in error["what"]
    assert (shared / "witness").read_bytes() == before
    assert not (tmp_path / "b").exists()
    assert not (first / "witness").exists()


def test_watching_ends_when_the_time_is_up(hutong: Hutong, two: tuple[Path, Path]) -> None:
    (two[0] / "witness").unlink()
    with serving(two[0]):
        assert hutong.done("recovery", "watch", "--seconds", 0.1, "--dir", two[0])["outstanding"] == [330200]
