"""The witness's file and its verdicts: torn writes, somebody else's file, and histories that were given up."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import witness
from node.errors import BadInput, WitnessFailed
from node.witness import OPEN, Kept, Link, WitnessFile, begin, branch, judge
from tests.services.restoring import full_disk

ONE, TWO, THREE, FOUR = (bytes([n]) * 16 for n in range(1, 5))
FEDERATION = bytes(range(32))
KEPT = Kept(region=330100, federation=FEDERATION, chain=(Link(ONE, 70), Link(TWO, OPEN)), commits=90, epoch=7)


def verdict(kept: Kept | None, lineage: bytes, commits: int, **other: Any) -> str:
    said = {"region": 330100, "federation": FEDERATION, "lineage": lineage, "commits": commits, **other}
    return judge(kept, "missing", **said)


def written(path: Path, *states: Kept) -> WitnessFile:
    file = WitnessFile(path)
    for state in states:
        file.write(state)
    file.close()
    return file


# -- the file ---------------------------------------------------------------------------------------------------------


chains = st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, OPEN)), min_size=1, max_size=128)


@given(chain=chains, commits=st.integers(0, OPEN), epoch=st.integers(0, OPEN))
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, chain: list[tuple[bytes, int]], commits: int, epoch: int
) -> None:
    path = tmp_path_factory.mktemp("witness") / "witness"
    kept = replace(KEPT, chain=tuple(Link(*link) for link in chain), commits=commits, epoch=epoch)
    written(path, KEPT, kept)
    assert WitnessFile(path).kept == kept


@pytest.mark.parametrize("writes", [1, 2, 3, 8])
def test_a_torn_write_leaves_what_was_kept_before(tmp_path: Path, writes: int) -> None:
    path = tmp_path / "witness"
    states = [replace(KEPT, commits=90 + n) for n in range(writes + 1)]
    written(path, *states[:-1])
    before = path.read_bytes()
    written(path, states[-1])
    after = path.read_bytes()
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    for torn in range(changed[0], changed[-1] + 1):
        path.write_bytes(after[:torn] + before[torn:])
        assert WitnessFile(path).kept == states[-2]
    path.write_bytes(after)
    assert WitnessFile(path).kept == states[-1]


def test_a_file_of_something_else_is_no_witness_and_not_a_whole_database(tmp_path: Path) -> None:
    path = tmp_path / "witness"
    for content in (b"", b"hutong witness 1", os.urandom(8192), bytes(8192)):
        path.write_bytes(content)
        file = WitnessFile(path)
        assert file.kept is None
        assert judge(None, file.fault, region=1, federation=b"", lineage=ONE, commits=0) == "the witness is damaged"


def test_a_disk_that_is_not_mounted_is_no_lost_witness(tmp_path: Path) -> None:
    with pytest.raises(WitnessFailed, match="cannot be read or written"):
        WitnessFile(tmp_path / "not mounted" / "witness")


def test_a_full_disk_keeps_what_was_there_and_the_next_write_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "witness"
    written(path, KEPT)
    file = WitnessFile(path)
    with full_disk(path):
        with pytest.raises(WitnessFailed, match="cannot be read or written"):
            file.write(replace(KEPT, commits=91))
        assert file.kept == KEPT
    file.write(replace(KEPT, commits=92))
    assert WitnessFile(path).kept == replace(KEPT, commits=92)


# -- verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("commits", [90, 91, 5000])
def test_a_database_that_is_as_far_or_further_is_whole(commits: int) -> None:
    assert verdict(KEPT, TWO, commits) == ""


@pytest.mark.parametrize(("lineage", "commits"), [(TWO, 89), (TWO, 0), (ONE, 70), (ONE, 3)])
def test_a_database_that_is_behind_was_restored(lineage: bytes, commits: int) -> None:
    assert "the witness at commit 90" in verdict(KEPT, lineage, commits)


def test_without_a_witness_nobody_knows() -> None:
    assert verdict(None, ONE, 5) == "the witness is missing"


@pytest.mark.parametrize(("lineage", "commits"), [(ONE, 71), (THREE, 1)])
def test_an_abandoned_history_is_refused_and_the_right_backup_is_named(lineage: bytes, commits: int) -> None:
    with pytest.raises(
        BadInput, match=r"abandoned history.*newest backup of lineage 02020202.*01010101 up to commit 70"
    ):
        verdict(KEPT, lineage, commits)


def test_the_witness_of_another_region_or_federation_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="belongs to region 330100, not 330200"):
        verdict(KEPT, TWO, 90, region=330200)
    with pytest.raises(BadInput, match="belongs to federation"):
        verdict(KEPT, TWO, 90, federation=bytes(32))


def test_a_restore_cuts_off_what_came_after_the_backup() -> None:
    third = branch(KEPT, region=330100, federation=FEDERATION, lineage=TWO, commits=80, new=THREE)
    assert third.chain == (Link(ONE, 70), Link(TWO, 80), Link(THREE, OPEN))
    # An even older backup of the first lineage: everything since is void, the third lineage too.
    fourth = branch(third, region=330100, federation=FEDERATION, lineage=ONE, commits=60, new=FOUR)
    assert fourth.chain == (Link(ONE, 60), Link(FOUR, OPEN))
    assert fourth.epoch == KEPT.epoch
    for lineage, commits in ((TWO, 1), (THREE, 61), (ONE, 61)):
        with pytest.raises(BadInput, match="abandoned"):
            verdict(fourth, lineage, commits)


def test_so_many_restores_are_remembered() -> None:
    kept = begin(330100, ONE)
    for n in range(witness.LINEAGES + 40):
        kept = branch(
            kept, region=330100, federation=b"", lineage=kept.lineage, commits=n, new=n.to_bytes(2) + bytes(14)
        )
    assert len(kept.chain) == witness.LINEAGES
    assert verdict(kept, kept.lineage, OPEN - 1) == ""
