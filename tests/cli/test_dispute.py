"""Two regions argue about a transfer, by the command line of both: two processes that talk with each other."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Hutong
from tests.cli.test_serve import pair
from tests.e2e.processes import until

__all__ = ["pair"]

pytestmark = pytest.mark.e2e


def moved(hutong: Hutong, hangzhou: Path, ningbo: Path) -> str:
    """A transfer from Ningbo to Hangzhou that was accepted: ten points are one."""
    hutong.done("account", "open", "NB-1", "--dir", ningbo)
    hutong.done("award", "NB-1", "moral", 1_000, "--dir", ningbo)
    hutong.done("account", "open", "HZ-1", "--dir", hangzhou)
    to = hutong.done("account", "address", "HZ-1", "--dir", hangzhou)["address"]
    sent = hutong.done("transfer", "send", "NB-1", to, "moral", 400, "--wait", 30, "--dir", ningbo)
    return str(sent["id"])


def holds(hutong: Hutong, directory: Path) -> tuple[int, int]:
    """What Hangzhou's resident can spend, and what is frozen."""
    (balance,) = hutong.done("account", "show", "HZ-1", "--dir", directory)["balances"]
    return balance["available"], balance["held"]


def becomes(hutong: Hutong, directory: Path, dispute: str, state: str, steps: int) -> dict[str, Any]:
    """Wait until a region shows the dispute like this."""

    def look() -> dict[str, Any] | None:
        found = hutong("dispute", "show", dispute, "--dir", directory, "--json")
        there = found.code == 0 and (found.json["dispute"]["state"], len(found.json["chain"])) == (state, steps)
        return found.json if there and not found.json["dispute"]["waiting"] else None

    shown: dict[str, Any] = until(look, f"the dispute is {state} after {steps} steps")
    return shown


def test_a_dispute_is_opened_answered_and_settled(hutong: Hutong, pair: tuple[Path, Path], tmp_path: Path) -> None:
    hangzhou, ningbo = pair
    about = moved(hutong, hangzhou, ningbo)
    opened = hutong.done("dispute", "open", 330100, "transfer", about, "--reference", "case 17", "--dir", ningbo)
    id_ = opened["id"]
    becomes(hutong, ningbo, id_, "opened", 1)
    assert holds(hutong, hangzhou) == (0, 40)
    hutong.done("dispute", "answer", id_, "contest", "--dir", hangzhou)
    becomes(hutong, hangzhou, id_, "answered", 2)
    file = tmp_path / "list.csv"
    file.write_text("who signed in")
    hutong.done("dispute", "evidence", id_, file, "--dir", ningbo)
    shown = becomes(hutong, ningbo, id_, "answered", 3)
    step = shown["chain"][2]
    assert (step["evidence"], step["reference"]) == (sha256(b"who signed in").hexdigest(), "list.csv")
    error = hutong.refused("dispute", "escalate", id_, "mediator", "--dir", ningbo, code=1)
    assert error["name"] == "wrong_state"
    hutong.done("dispute", "settle", id_, 100, "--dir", ningbo)
    becomes(hutong, ningbo, id_, "answered", 4)
    hutong.done("dispute", "accept", id_, "--dir", hangzhou)
    mine, theirs = (becomes(hutong, each, id_, "settled", 5) for each in (hangzhou, ningbo))
    assert mine["chain"] == theirs["chain"]
    assert mine["dispute"]["settled"] == 100
    listed = hutong.done("dispute", "list", "--peer", 330200, "--dir", hangzhou)["disputes"]
    assert [d["id"] for d in listed] == [id_]
    assert hutong.done("dispute", "list", "--open", "--dir", ningbo)["disputes"] == []


def test_a_screen_shows_a_dispute_in_both_languages(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    hangzhou, ningbo = pair
    id_ = hutong.done("dispute", "open", 330200, "transfer", moved(hutong, hangzhou, ningbo), "--dir", hangzhou)["id"]
    becomes(hutong, hangzhou, id_, "opened", 1)
    said = hutong("dispute", "show", id_, "--lang", "zh", "--dir", hangzhou)
    assert "已受理" in said.out
    assert "opened" in hutong("dispute", "list", "--dir", hangzhou).out
    assert "异议冻结" in hutong("account", "history", "HZ-1", "--lang", "zh", "--dir", hangzhou).out
    assert hutong.refused("dispute", "answer", id_, "maybe", "--dir", ningbo, code=2)
    hutong.done("dispute", "withdraw", id_, "--dir", hangzhou)
    becomes(hutong, ningbo, id_, "withdrawn", 2)
    assert holds(hutong, hangzhou) == (40, 0)
