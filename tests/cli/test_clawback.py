"""Fraud is taken back by the command line of two regions whose processes talk with each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.cli.api import Api
from tests.cli.commands import Hutong
from tests.cli.test_serve import pair
from tests.e2e.processes import until

__all__ = ["pair"]

pytestmark = pytest.mark.e2e

FRAUD = "fake clean-up day"
PEOPLE = ("--by", "Li", "--checked-by", "Wang")


def moved(hutong: Hutong, hangzhou: Path, ningbo: Path) -> str:
    """Ningbo awarded points for it; 400 went to Hangzhou, where they are 40, and 15 of these were spent."""
    hutong.done("account", "open", "NB-1", "--dir", ningbo)
    hutong.done("award", "NB-1", "moral", 1_000, "--because", FRAUD, "--dir", ningbo)
    hutong.done("account", "open", "HZ-1", "--dir", hangzhou)
    to = hutong.done("account", "address", "HZ-1", "--dir", hangzhou)["address"]
    sent = hutong.done("transfer", "send", "NB-1", to, "moral", 400, "--wait", 30, "--dir", ningbo)
    until(lambda: spendable(hutong, hangzhou) == 40, "the points can be spent")
    Api(hangzhou).post("spends", account="HZ-1", category="moral", amount=15, key="gift")
    return str(sent["id"])


def spendable(hutong: Hutong, directory: Path) -> int:
    balances = hutong.done("account", "show", "HZ-1", "--dir", directory)["balances"]
    return sum(balance["available"] for balance in balances)


def done(hutong: Hutong, directory: Path, id_: str) -> dict[str, Any]:
    """Wait until nothing of it is awaited any more."""

    def look() -> dict[str, Any] | None:
        found = hutong.done("clawback", "show", id_, "--dir", directory)
        return found if found["clawback"]["answered"] else None

    shown: dict[str, Any] = until(look, "the clawback is answered")
    return shown


def test_fraud_is_taken_back_and_what_was_spent_is_owed(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    hangzhou, ningbo = pair
    transfer = moved(hutong, hangzhou, ningbo)
    begun = hutong.done("clawback", "start", FRAUD, "moral", *PEOPLE, "--key", "k", "--dir", ningbo)
    assert begun["amount"] == 1_000
    assert hutong.done("clawback", "start", FRAUD, "moral", *PEOPLE, "--key", "k", "--dir", ningbo)["id"] == begun["id"]
    one = done(hutong, ningbo, begun["id"])["clawback"]
    assert [one[part] for part in ("recovered", "further", "owed", "lost")] == [600, 250, 150, 0]
    assert spendable(hutong, hangzhou) == 0
    (there,) = hutong.done("clawback", "list", "--dir", hangzhou)["clawbacks"]
    residents = hutong.done("clawback", "show", there["id"], "--dir", hangzhou)["residents"]
    assert residents == [{"account": "HZ-1", "category": "moral", "amount": 25}]
    (mine,) = hutong.done("claims", "--dir", hangzhou)["claims"]
    (theirs,) = hutong.done("claims", "--dir", ningbo)["claims"]
    assert [(c["mine"], c["amount"]) for c in (mine, theirs)] == [(True, 15), (False, 150)]
    assert hutong.done("clawback", "list", "--open", "--dir", ningbo)["clawbacks"] == []
    error = hutong.refused("clawback", "claim", transfer, *PEOPLE, "--dir", ningbo, code=1)
    assert error["name"] == "wrong_state"
    assert hutong.refused(
        "clawback", "start", FRAUD, "moral", "--by", "Li", "--checked-by", "Li", "--dir", ningbo, code=2
    )


def test_a_screen_shows_a_clawback_in_both_languages(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    hangzhou, ningbo = pair
    moved(hutong, hangzhou, ningbo)
    id_ = hutong.done("clawback", "start", FRAUD, "moral", *PEOPLE, "--dir", ningbo)["id"]
    done(hutong, ningbo, id_)
    assert "已完成" in hutong("clawback", "show", id_, "--lang", "zh", "--dir", ningbo).out
    assert "activity" in hutong("clawback", "list", "--dir", ningbo).out
    assert "追回" in hutong("account", "history", "HZ-1", "--lang", "zh", "--dir", hangzhou).out
    assert "owes us" in hutong("claims", "--dir", hangzhou).out
    assert "没有追回" not in hutong("clawback", "list", "--lang", "zh", "--dir", hangzhou).out
