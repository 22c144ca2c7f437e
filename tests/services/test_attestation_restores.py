"""Attestations after a restore: what was asked, attested and revoked is so again; and what an examination finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.attestation import State as Stands
from gateway.protocol.values import Reason
from node.errors import Recovering
from node.services.attestation.credential import IssueCredential
from node.services.attestation.ends import Revoke
from node.services.recovery.history import Replayed
from node.services.verify.run import verify
from node.store import schema
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair
from tests.services.attesting import (
    HONOUR,
    HOURS,
    STARS,
    asked,
    furnish,
    know,
    question,
    recognised,
    row,
    shared,
    sign_up,
    states,
    worth,
)
from tests.services.backups import backup, heads, restore
from tests.services.delivery import A, B

OVER = (Stands.TAKEN_BACK, Stands.REVOKED)


@pytest.fixture
def stored(new_database: Any) -> Iterator[Pair]:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)])
    sign_up(made)
    furnish(made)
    yield made
    for region in made.regions.values():
        region.store.close()


KEPT = ("attestation", "recognition", "request")


def kept(made: Pair) -> dict[str, Any]:
    """Everything both regions know of attestations, but for when they learnt it."""
    found: dict[str, Any] = {}
    for code, region in made.regions.items():
        with region.store.read() as conn:
            for name in KEPT:
                table = schema.metadata.tables[name]
                columns = [c for c in table.c if not c.name.endswith("_ms") and c.name not in ("account", "number")]
                found[f"{code} {name}"] = sorted(map(tuple, conn.execute(table.select().with_only_columns(*columns))))
    return found


@pytest.mark.parametrize("lost", [A, B])
def test_a_restored_region_knows_again_what_was_asked_attested_and_revoked(
    stored: Pair, tmp_path: Path, lost: int
) -> None:
    before = asked(stored, kinds=(HOURS,))
    shown = shared(stored.regions[A])
    copy = backup(stored.regions[lost], tmp_path / "backup.sqlite")
    used = shared(stored.regions[A])
    gone, late = asked(stored, shown, kinds=(STARS,)), asked(stored, used, kinds=(HONOUR,))
    stored.regions[A].one(Revoke(id=gone, peer=B))
    stored.regions[A].one(Revoke(id=before, peer=B))
    stored.pump()
    assert asked(stored, used) != late  # a code used twice
    whole, logs = kept(stored), heads(stored.regions[lost])
    restore(stored.regions[lost], copy)
    stored.open()
    assert kept(stored) == whole
    assert {log: size for log, (size, _) in heads(stored.regions[lost]).items()} == {
        log: size for log, (size, _) in logs.items()
    }
    assert (states(stored, before), states(stored, gone)) == (OVER, OVER)
    for region in stored.regions.values():
        assert [check for check in verify(region.store) if not check.ok] == [], region.code
    assert worth(stored.regions[B]) == {(HONOUR, "年度优秀志愿者"): 0}


def test_a_code_that_was_used_after_the_backup_is_used_up_all_the_same(stored: Pair, tmp_path: Path) -> None:
    shown = shared(stored.regions[A])
    copy = backup(stored.regions[A], tmp_path / "backup.sqlite")
    asked(stored, shown)
    restore(stored.regions[A], copy)
    stored.open()
    stored.regions[A].one(Replayed(by="system"))
    assert refusal(stored, asked(stored, shown)) is Reason.CODE_NOT_VALID


def test_a_region_that_may_not_know_yet_what_was_corrected_attests_nothing(stored: Pair, tmp_path: Path) -> None:
    copy = backup(stored.regions[A], tmp_path / "backup.sqlite")
    know(stored.regions[A], STARS, value=2)
    asked(stored)
    restore(stored.regions[A], copy)
    stored.open()
    shown = shared(stored.regions[A])
    assert refusal(stored, asked(stored, shown)) is Reason.REGION_RECOVERING
    with pytest.raises(Recovering):
        stored.regions[A].one(IssueCredential(account="A"))
    know(stored.regions[A], STARS, value=2)
    stored.regions[A].one(Replayed(by="system"))
    asked(stored, shown, kinds=(STARS,))
    assert worth(stored.regions[B])[STARS, ""] == 1


def refusal(made: Pair, id_: bytes) -> Reason:
    """Why B was refused."""
    kept = row(made.regions[B], id_, A, mine=False)
    assert kept is not None
    assert kept.state == Stands.REFUSED
    return Reason(kept.reason)


def test_a_question_repeated_after_a_restore_is_the_same_question(stored: Pair, tmp_path: Path) -> None:
    copy = backup(stored.regions[B], tmp_path / "backup.sqlite")
    once = question(shared(stored.regions[A]), key="once")
    first = stored.regions[B].one(once)
    stored.pump()
    restore(stored.regions[B], copy)
    stored.open()
    assert stored.regions[B].one(once) == first
    stored.pump()
    assert len(recognised(stored.regions[B])) == 3


@pytest.mark.parametrize("lost", [A, B])
def test_an_agreement_lost_with_what_was_recognised_by_it_comes_back_before_it(
    new_database: Any, tmp_path: Path, lost: int
) -> None:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)])
    copy = backup(made.regions[lost], tmp_path / "backup.sqlite")
    sign_up(made)
    furnish(made)
    id_ = asked(made)
    assert states(made, id_) == (Stands.GIVEN, Stands.RECOGNISED)
    whole = kept(made)
    restore(made.regions[lost], copy)
    made.open()
    assert kept(made) == whole
    assert worth(made.regions[B]) == {(HOURS, ""): 7200, (STARS, ""): 3, (HONOUR, "年度优秀志愿者"): 0}


# -- verify ----------------------------------------------------------------------------------------------------------

TAMPERED = {
    "another star": (B, "UPDATE recognition SET value = 5 WHERE kind = 2"),
    "an honour nobody attested": (B, "UPDATE recognition SET words = '全国劳动模范' WHERE kind = 3"),
    "hours that never expire": (B, "UPDATE recognition SET expires = 99991231 WHERE kind = 1"),
    "counted on after it was taken back": (B, "UPDATE recognition SET revoked_ms = NULL"),
    "taken back by nobody": (B, "UPDATE recognition SET revoked_ms = 1"),
    "a revocation forgotten": (A, "UPDATE attestation SET state = 1 WHERE state = 3"),
    "an attestation nobody gave": (A, "UPDATE attestation SET id = x'00'"),
    "another document": (A, "UPDATE attestation SET signed = x'00'"),
    "recognised what was revoked": (B, "UPDATE attestation SET state = 12"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_database_that_was_changed_is_found_out(stored: Pair, name: str) -> None:
    asked(stored)
    gone = asked(stored)
    stored.regions[A].one(Revoke(id=gone, peer=B))
    stored.pump()
    code, statement = TAMPERED[name]
    region = stored.regions[code]
    assert failing(region) == set()
    with region.store.write() as conn:
        for (trigger,) in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            conn.exec_driver_sql(f"DROP TRIGGER {trigger}")
        if name == "an attestation nobody gave":
            conn.exec_driver_sql("DELETE FROM attestation WHERE state = 3")
        conn.exec_driver_sql(statement)
    assert failing(region) == {"attestations"}


def failing(region: TestRegion) -> set[str]:
    """The checks of the examination that fail."""
    return {check.code for check in verify(region.store) if not check.ok}
