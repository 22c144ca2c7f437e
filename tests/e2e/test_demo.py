"""The demonstration, run as anybody runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PROMISES = {
    "conservation_per_category_at_pinned_rates", "every_balance_follows_from_awards_and_transfers", "nothing_negative",
    "no_hold_unresolved", "nothing_in_transit", "lots_equal_balances", "source_posted_iff_destination_accepted",
    "one_outcome_per_key", "repetition_changes_nothing", "outcomes_as_the_files_foretell", "every_decision_told_once",
    "equal_heads", "same_messages", "offered_once_answered_once", "outboxes_empty", "receipts_cover_all_logs",
    "nothing_forgotten_in_the_kill", "ledger_rederived_from_journal_and_logs", "transfer_proof_verifies_offline",
    "altered_transfer_proof_is_refused", "killed_region_recovered", "restored_region_got_everything_back",
    "restored_region_is_whole_and_owes_nothing", "agreements_in_force_on_both_sides",
    "every_transfer_under_a_version_both_signed", "held_before_the_amendment_finishes_on_the_old_version",
    "every_request_answered_the_same_on_both_sides", "captured_value_equal_on_both_sides",
    "positions_follow_from_what_both_sides_hold", "claims_mirror_each_other",
    "clawed_back_and_owed_and_lost_is_what_was_awarded", "attested_facts_recognised_as_agreed",
}  # fmt: skip


def demo(where: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the demonstration; its regions live below `where`."""
    line = [sys.executable, "-m", "node.cli", "demo", *arguments]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(where)}
    )


def processes(where: Path) -> list[str]:
    """Command lines of processes that were started for a directory below `where`."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"serve --dir {where}" in line:
            found.append(line)
    return found


def test_every_promise_is_kept_through_five_thousand_transfers_and_a_kill(tmp_path: Path) -> None:
    out, error = demo(tmp_path, "--json").communicate(timeout=200)
    found = json.loads(out)
    checks = {check["name"]: check for check in found["checks"]}
    assert [check for check in found["checks"] if not check["ok"]] == [], error.decode()[-2000:]
    assert found["ok"] is True
    assert set(checks) == PROMISES
    assert all(check["counted"] > 0 for check in checks.values())
    assert checks["equal_heads"]["counted"] == 12
    assert checks["repetition_changes_nothing"]["counted"] == 5_403
    assert found["transfers"] == {"submitted": 5_403, "posted": 5_243, "voided": 160, "in_flight": 0}
    assert len(found["agreements"]) == 7
    assert found["amended"]["before_a_clerk"] == 3
    assert [one["captured"] for one in found["redeemed"]] == [40, 500, 10, 0]
    clawback = found["clawback"]
    assert (clawback["recovered"], clawback["further"], clawback["owed"], clawback["lost"]) == (
        85_000, 244_000, 56_000, 15_000,
    )  # fmt: skip
    assert found["killed"]["region"] == 330200
    assert found["restored"]["region"] == 330600
    assert found["restored"]["messages_lost"] > 2_000
    assert found["killed"]["recovered_s"] > 0
    assert [region["region"] for region in found["regions"]] == [330100, 330200, 330600, 330400]
    assert list(tmp_path.iterdir()) == []
    assert processes(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demonstration_that_is_ended_early_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    running = demo(tmp_path)
    try:
        until(lambda: len(processes(tmp_path)) == 4, "four regions run")
        running.send_signal(number)
        running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode != 0
    until(lambda: not processes(tmp_path), "none of them runs any more")
    if number is not signal.SIGKILL:  # whoever is killed tidies nothing up
        assert list(tmp_path.iterdir()) == []


def test_regions_that_are_kept_can_be_reached_and_stopped_as_was_said(tmp_path: Path) -> None:
    out, error = demo(tmp_path, "--json", "--keep").communicate(timeout=200)
    found = json.loads(out)
    try:
        assert found["ok"] is True, error.decode()[-2000:]
        assert len(processes(tmp_path)) == 4
        directory = found["running"]["regions"][0]["directory"]
        line = [sys.executable, "-m", "node.cli", "peers", "--dir", directory, "--json"]
        peers = json.loads(subprocess.run(line, capture_output=True, timeout=60, check=True).stdout)
        assert len(peers["peers"]) == 3
    finally:
        subprocess.run(found["running"]["stop"], check=True)
    until(lambda: not processes(tmp_path), "all four have stopped")
