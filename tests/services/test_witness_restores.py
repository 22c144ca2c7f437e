"""Databases that are not the newest: what the witness notices, what it refuses, and what it cannot know."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from node.errors import BadInput, Recovering, WitnessFailed
from node.services.spend import Spend
from node.store import history
from node.witness import WitnessFile
from tests.federation import Pair, TestRegion
from tests.services.delivery import A, B, ends
from tests.services.ledger import address, order, points, resident, rows
from tests.services.restoring import backup, file_of, full_disk, reopen, restore, sound, start, witnessed


@pytest.fixture
def made(tmp_path: Path) -> Pair:
    """Two regions with a witness each, some points in A, and a transfer that both know."""
    found = witnessed(tmp_path)
    a, b = ends(found)
    a.one(order(address(b, "B"), 10))
    found.pump()
    return found


def spend(units: int, key: str = "tea") -> Spend:
    return Spend(client="c", key=key, account="A", category="moral", amount=units)


def stored(region: TestRegion) -> history.History:
    with region.store.read() as conn:
        return history.load(conn)


def test_a_restart_is_no_restore(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    for _ in range(3):
        start(tmp_path, a)
        assert not a.writer.history.recovering
    reopen(made)
    a.one(spend(5))
    assert points(a, "A") == (85, 0, 0)


def test_every_transaction_is_counted_in_the_database_and_then_in_the_witness(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    for n in range(5):
        before = stored(a).commits
        a.do(spend(1, f"key {n}"))
        kept = WitnessFile(file_of(tmp_path, a)).kept
        assert kept is not None
        assert stored(a).commits == kept.commits == a.writer.history.commits == before + 1


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_a_lost_witness_is_taken_for_a_restore_and_durably_so(tmp_path: Path, made: Pair, fault: str) -> None:
    a = made.regions[A]
    lineage = a.writer.history.lineage
    file = file_of(tmp_path, a)
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes(b"\0" * 8192)
    start(tmp_path, a)
    for _ in range(2):
        assert a.writer.history.recovering
        assert a.writer.history.cause == f"the witness is {fault}"
        with pytest.raises(Recovering):
            a.one(spend(5))
        start(tmp_path, a)
    kept = WitnessFile(file).kept
    assert kept is not None
    assert [link.lineage for link in kept.chain] == [lineage, a.writer.history.lineage]


def test_a_database_behind_its_witness_recovers_in_a_new_lineage(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    old, lineage = backup(tmp_path, a), a.writer.history.lineage
    a.one(spend(5))
    restore(tmp_path, a, old)
    found = stored(a)
    assert found.recovering
    assert found.lineage != lineage
    assert "the witness at commit" in found.cause
    assert points(a, "A") == (90, 0, 0)


def test_a_database_that_lacks_one_refusal_is_noticed_too(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    old = backup(tmp_path, a)
    assert isinstance(a.do(spend(10_000))[0], Exception)
    restore(tmp_path, a, old)
    assert a.writer.history.recovering


def test_the_witness_of_another_region_is_refused(tmp_path: Path, made: Pair) -> None:
    a, b = made.regions[A], made.regions[B]
    copyfile(file_of(tmp_path, b), file_of(tmp_path, a))
    before = rows(a)
    with pytest.raises(BadInput, match=f"belongs to region {B}, not {A}"):
        start(tmp_path, a)
    assert rows(a) == before


def test_witness_and_database_rolled_back_together_are_not_noticed_by_the_witness(tmp_path: Path, made: Pair) -> None:
    """Which is why the witness belongs on another disk and into no backup; only a peer's longer copy shows it then."""
    a = made.regions[A]
    old = backup(tmp_path, a)
    copyfile(file_of(tmp_path, a), tmp_path / "witness of the backup")
    a.one(spend(5))
    copyfile(tmp_path / "witness of the backup", file_of(tmp_path, a))
    restore(tmp_path, a, old)
    assert not a.writer.history.recovering


def test_what_a_peer_still_holds_shows_that_witness_and_database_were_rolled_back(tmp_path: Path, made: Pair) -> None:
    a, b = made.regions[A], made.regions[B]
    old, to = backup(tmp_path, a), address(b, "B")
    copyfile(file_of(tmp_path, a), tmp_path / "witness of the backup")
    a.one(order(to, 20))
    made.pump()
    copyfile(tmp_path / "witness of the backup", file_of(tmp_path, a))
    restore(tmp_path, a, old)
    before = stored(a)
    reopen(made)
    after = stored(a)
    assert after.recovering
    assert f"region {B} holds" in after.cause
    kept = WitnessFile(file_of(tmp_path, a)).kept
    assert kept is not None
    assert [link.lineage for link in kept.chain] == [before.lineage, after.lineage]
    assert kept.commits == after.commits
    assert points(a, "A") == (70, 0, 0)
    start(tmp_path, a)
    assert stored(a) == after
    sound(made)


def test_a_witness_rolled_back_alone_misses_a_restore_to_the_same_commit_only(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    copyfile(file_of(tmp_path, a), tmp_path / "old witness")
    a.one(spend(5))
    start(tmp_path, a)
    copyfile(tmp_path / "old witness", file_of(tmp_path, a))
    start(tmp_path, a)
    assert not a.writer.history.recovering  # the database is further: nothing is lost
    a.one(spend(5, "more"))
    kept = WitnessFile(file_of(tmp_path, a)).kept
    assert kept is not None
    assert kept.commits == stored(a).commits


def test_a_backup_of_an_abandoned_history_is_refused_and_the_right_one_is_named(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    early = backup(tmp_path, a, "early")
    until = stored(a).commits
    a.one(spend(5))
    late = backup(tmp_path, a, "late")
    restore(tmp_path, a, early)
    with pytest.raises(BadInput, match=rf"abandoned history.*newest backup of lineage .* up to commit {until}"):
        restore(tmp_path, a, late)
    restore(tmp_path, a, early)
    assert a.writer.history.recovering


def test_a_restore_during_a_restore_begins_anew(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    earliest = backup(tmp_path, a, "earliest")
    a.one(spend(5))
    early = backup(tmp_path, a, "early")
    a.one(spend(5, "more"))
    restore(tmp_path, a, early)
    second = backup(tmp_path, a, "of the recovery")
    resident(a, "new", 3)
    lineages = [a.writer.history.lineage]
    for copy in (second, earliest):
        restore(tmp_path, a, copy)
        assert a.writer.history.recovering
        assert not a.writer.history.replayed
        assert not a.writer.history.merged
        lineages.append(a.writer.history.lineage)
    assert len(set(lineages)) == 3
    for void in (early, second):
        with pytest.raises(BadInput, match="abandoned"):
            restore(tmp_path, a, void)


def test_a_crash_between_the_witness_and_the_database_recovers_all_the_same(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    old = backup(tmp_path, a)
    a.one(spend(5))
    restore(tmp_path, a, old)
    # The witness has the new lineage; the database is as it was before that transaction.
    restore(tmp_path, a, old)
    assert a.writer.history.recovering
    kept = WitnessFile(file_of(tmp_path, a)).kept
    assert kept is not None
    assert kept.lineage == stored(a).lineage
    assert len(kept.chain) == 2


def test_a_standby_that_lagged_and_took_over_is_a_restore(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    lagging = backup(tmp_path, a)
    a.one(spend(5))
    restore(tmp_path, a, lagging, and_start=False)
    a.writer._store = a.store  # the same process, another database behind its connection
    with pytest.raises(Exception, match="another database has taken over"):
        a.one(spend(5, "after"))
    with pytest.raises(Recovering):
        a.one(spend(5, "again"))
    assert stored(a).recovering
    assert not any(channel.ready for channel in a.writer.channels.values())
    reopen(made)
    assert stored(a).merged == {B}
    sound(made)


def test_nobody_is_answered_while_the_witness_has_no_room(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    witness = a.witness
    assert isinstance(witness, WitnessFile)
    with full_disk(file_of(tmp_path, a)):
        witness.close()
        before = stored(a).commits
        for n in range(3):
            with pytest.raises(WitnessFailed, match="Nobody is answered"):
                a.do(spend(5, f"key {n}"))
        assert stored(a).commits == before + 1  # in doubt; no further one is begun
    assert [a.one(spend(5, f"key {n}")).amount for n in range(3)] == [5, 5, 5]
    assert points(a, "A") == (75, 0, 0)
    start(tmp_path, a)
    assert not a.writer.history.recovering


def test_a_proposal_is_above_every_epoch_ever_proposed_however_old_the_database(tmp_path: Path, made: Pair) -> None:
    a = made.regions[A]
    old = backup(tmp_path, a)
    a.clock.now_ms += 1_000_000
    made.restart(A)
    before = a.writer.channels[B].epoch.number
    a.clock.now_ms -= 1_000_000  # its clock is behind as well
    restore(tmp_path, a, old)
    reopen(made)
    assert a.writer.channels[B].epoch.number > before
