"""Signing keys from the command line: a new one beside the old, an end on a day, a revocation with its anchors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node import config
from tests.cli.commands import Hutong, card, make_federation, make_region, sign


@pytest.fixture
def region(hutong: Hutong, tmp_path: Path) -> Path:
    return make_region(hutong, tmp_path / "a", 330100)


@pytest.fixture
def roster(hutong: Hutong, tmp_path: Path, region: Path) -> Path:
    return make_federation(hutong, tmp_path / "keepers", region)


def listed(hutong: Hutong, roster: Path) -> dict[str, dict[str, object]]:
    return {key["id"]: key for key in hutong.done("federation", "show", roster)["regions"][0]["keys"]}


def test_a_prepared_key_lies_beside_the_one_in_use_and_tells_when_it_begins(
    hutong: Hutong, region: Path, roster: Path
) -> None:
    before = config.load_secrets(config.load(region))
    assert before.next_key is None
    hutong.done("card", "--new-key", "--starts", "2026-12-01", "--dir", region)
    held = config.load_secrets(config.load(region))
    assert held.signing_key.id == before.signing_key.id
    assert held.next_key is not None
    hutong.done("federation", "add", roster, card(region))
    second = sign(hutong, roster.with_name("roster-2.json"))
    begins = {key: found["not_before_ms"] for key, found in listed(hutong, second).items()}
    assert begins == {held.signing_key.id.hex(): 0, held.next_key.id.hex(): 1_796_054_400_000}


def test_a_key_ends_on_a_day_and_stays_listed(hutong: Hutong, region: Path, roster: Path) -> None:
    (old,) = listed(hutong, roster)
    hutong.done("federation", "add", roster, "--end-key", f"330100:{old}:2027-01-31T08:00")
    second = sign(hutong, roster.with_name("roster-2.json"))
    assert listed(hutong, second)[old]["not_after_ms"] == 1_801_353_600_000
    error = hutong.refused("federation", "add", second, "--end-key", f"330100:{old}:soon", code=2)
    assert "2026-11-30" in error["do"]


def test_a_revocation_carries_where_the_logs_were_last_good(
    hutong: Hutong, tmp_path: Path, region: Path, roster: Path
) -> None:
    hutong.done("federation", "trust", roster, "--dir", region)
    exported = hutong.done("anchors", "--dir", region)
    assert exported["anchors"] == []  # it has spoken to nobody yet
    file = Path(exported["file"])
    content = json.loads(file.read_text())
    content["anchors"] = [{"destination": 330200, "epoch": 7, "size": 3, "root": "ab" * 32}]
    file.write_text(json.dumps(content))
    (old,) = listed(hutong, roster)
    hutong.done(
        "federation", "add", roster, "--revoke-key", f"330100:{old}", "--anchors", file, "--revoked-at", "2026-11-20"
    )
    second = sign(hutong, roster.with_name("roster-2.json"))
    found = listed(hutong, second)[old]
    assert (found["revoked_at_ms"], found["anchors"]) == (1_795_104_000_000, 1)
    assert hutong.done("federation", "trust", second, "--dir", region)["version"] == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"type": "hutong.anchors.v1", "region": 1, "anchors": [{}]}'])
def test_a_file_that_holds_no_anchors_is_refused(
    hutong: Hutong, tmp_path: Path, region: Path, roster: Path, content: str
) -> None:
    file = tmp_path / "anchors.json"
    file.write_text(content)
    (old,) = listed(hutong, roster)
    error = hutong.refused("federation", "add", roster, "--revoke-key", f"330100:{old}", "--anchors", file, code=2)
    assert "anchors" in error["what"]
    assert not roster.with_name("roster-2.json").exists()
