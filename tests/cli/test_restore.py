"""Backups put back: the right one, at once or not at all, and nothing of what is there is ever removed."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.witness import WitnessFile
from tests.cli.commands import Hutong, contents, make_region
from tests.cli.regions import at_work, files, transfers
from tests.e2e.processes import Pair, balance, serving, set_up, until


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return set_up(tmp_path_factory.mktemp("made"))


@pytest.fixture
def pair(made: Pair, tmp_path: Path) -> Pair:
    return made.copied(tmp_path / "pair")


@pytest.fixture
def region(hutong: Hutong, tmp_path: Path) -> Path:
    return make_region(hutong, tmp_path / "a", 330100)


@pytest.fixture
def taken(hutong: Hutong, region: Path, tmp_path: Path) -> Path:
    """A backup of the region, beside which nothing else lies."""
    (tmp_path / "kept").mkdir()
    return Path(hutong.done("backup", tmp_path / "kept" / "one.sqlite", "--dir", region)["file"])


@pytest.mark.e2e
def test_a_restored_region_gets_back_from_its_peer_what_its_backup_lacks(hutong: Hutong, pair: Pair) -> None:
    with at_work(pair) as (a, b, to):
        transfers(a, b, to, 5, tag="before")
        taken = hutong.done("backup", "--dir", pair.a)["file"]
        transfers(a, b, to, 40, tag="after")
        assert "another `hutong serve` runs" in hutong.refused("restore", taken, "--dir", pair.a, code=3)["what"]
        had = {name: balance(a, name) for name in (f"r{n}" for n in range(10))}
        a.stop(signal.SIGKILL)
        said = hutong.done("restore", taken, "--dir", pair.a)
        assert said["recovers"]
        assert hutong.done("verify", said["before"])["holds"]  # what was in the write-ahead log, too
        with serving(pair.a) as again:
            found = hutong.done("recovery", "watch", "--seconds", 60, "--dir", pair.a)
            assert (found["recovering"], found["outstanding"], found["coming_back"]) == (True, [], [])
            hutong.done("recovery", "replayed", "--dir", pair.a)
            until(lambda: not again.get("/v1/recovery")["recovering"], "the region is whole")
            assert {name: balance(again, name) for name in had} == had
            transfers(again, b, to, 5, tag="then")
            assert hutong.done("verify", "--dir", pair.a)["holds"]


@pytest.mark.e2e
def test_a_backup_of_an_abandoned_history_is_refused_and_the_newest_good_one_named(hutong: Hutong, pair: Pair) -> None:
    with at_work(pair) as (a, b, to):
        first = hutong.done("backup", pair.root / "first.sqlite", "--dir", pair.a)["file"]
        transfers(a, b, to, 5, tag="lost")
        later = hutong.done("backup", pair.root / "later.sqlite", "--dir", pair.a)["file"]
    hutong.done("restore", first, "--dir", pair.a)
    with serving(pair.a), serving(pair.b):
        pass  # the region goes on from the first one; the later one is void
    before = contents(pair.a)
    error = hutong.refused("restore", later, "--dir", pair.a, code=2)
    assert error["name"] == "abandoned"
    assert "abandoned history" in error["what"]
    assert str(first) in error["do"]
    after = contents(pair.a)
    assert {name: after[name] for name in before if name != "serve.lock"} == {
        name: data for name, data in before.items() if name != "serve.lock"
    }
    hutong.done("restore", first, "--dir", pair.a)


def test_a_backup_that_was_cut_short_is_refused(hutong: Hutong, region: Path, taken: Path) -> None:
    before = contents(region)
    whole = taken.read_bytes()
    manifest = taken.with_name(taken.name + ".json")
    kept = manifest.read_bytes()
    for damage, words in (
        (whole[: len(whole) // 2], "bytes"),
        (whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "SHA-256"),
    ):
        taken.write_bytes(damage)
        assert words in hutong.refused("restore", taken, "--dir", region, code=2)["what"]
    taken.write_bytes(whole)
    for content in (b"", b"{}", kept[: len(kept) // 2], kept.replace(b'"hutong_backup": 1', b'"hutong_backup": 2')):
        manifest.write_bytes(content)
        hutong.refused("restore", taken, "--dir", region, code=2)
    manifest.unlink()
    assert "cut short" in hutong.refused("restore", taken, "--dir", region, code=2)["what"]
    after = contents(region)
    assert {name for name in after if after[name] != before.get(name)} <= {"serve.lock"}
    manifest.write_bytes(kept)
    hutong.done("restore", taken, "--dir", region)


def test_a_file_that_is_no_sound_database_is_refused_though_its_hash_is_right(
    hutong: Hutong, region: Path, taken: Path
) -> None:
    import hashlib

    data = bytearray(taken.read_bytes())
    data[8192:12288] = os.urandom(4096)  # a page in the middle, damaged before the backup was made
    taken.write_bytes(data)
    manifest = taken.with_name(taken.name + ".json")
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(said | {"sha256": hashlib.sha256(data).hexdigest()}))
    before = (region / "region.sqlite").read_bytes()
    hutong.refused("restore", taken, "--dir", region, code=2)
    assert (region / "region.sqlite").read_bytes() == before


def test_a_backup_of_another_region_is_refused(hutong: Hutong, taken: Path, tmp_path: Path) -> None:
    other = make_region(hutong, tmp_path / "b", 330200)
    before = (other / "region.sqlite").read_bytes()
    assert "330100" in hutong.refused("restore", taken, "--dir", other, code=2)["what"]
    manifest = taken.with_name(taken.name + ".json")
    manifest.write_text(manifest.read_text().replace("330100", "330200"))  # somebody helps it along
    hutong.refused("restore", taken, "--dir", other, code=2)
    assert (other / "region.sqlite").read_bytes() == before


def test_the_same_backup_again_loses_nothing_and_puts_the_present_one_aside(
    hutong: Hutong, region: Path, taken: Path
) -> None:
    present = (region / "region.sqlite").read_bytes()
    said = hutong.done("restore", taken, "--dir", region)
    assert not said["recovers"]
    assert Path(said["before"]).read_bytes() == present
    hutong.done("backup", region / "again", "--dir", region)
    (region / "region.sqlite").unlink()
    assert hutong.done("restore", taken, "--dir", region)["before"] is None


def test_without_a_witness_the_region_recovers_and_the_operator_is_told(
    hutong: Hutong, region: Path, taken: Path
) -> None:
    (region / "witness").unlink()
    shown = hutong("restore", taken, "--dir", region)
    assert shown.code == 0
    assert "cannot be told" in shown.err
    assert "hutong recovery replayed" in shown.out
    assert not (region / "witness").exists()  # the start finds that, too
    assert WitnessFile(region / "witness").fault == "missing"


def test_a_disk_full_during_the_restore_leaves_the_present_database(hutong: Hutong, region: Path, taken: Path) -> None:
    before = contents(region)
    names = files(region)
    full = 64 << 10
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", "restore", str(taken), "--dir", str(region), "--json"],
        capture_output=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
    )
    assert done.returncode == 3, done.stdout
    assert files(region) - names <= {"serve.lock"}
    assert (region / "region.sqlite").read_bytes() == before["region.sqlite"]
