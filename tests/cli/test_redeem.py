"""A visitor at a counter of another region, by the command line of both: two processes that talk with each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Hutong
from tests.cli.test_serve import pair

__all__ = ["pair"]

pytestmark = pytest.mark.e2e


def test_a_visitor_redeems_away_from_home(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    """Ten points of Ningbo are one of Hangzhou: the visitor is from Ningbo, the counter in Hangzhou."""
    counter, home = pair
    hutong.done("account", "open", "NB-1", "--dir", home)
    hutong.done("award", "NB-1", "moral", 1_000, "--dir", home)
    code = hutong.done("redeem", "code", "NB-1", "--dir", home)["code"]
    held = hutong.done("redeem", "authorise", code, "moral", 40, "--reference", "R-17", "--wait", 30, "--dir", counter)
    assert (held["state"], held["amount"], held["arriving"], held["home"]) == ("authorised", 400, 40, 330200)
    error = hutong.refused("redeem", "capture", held["id"], 41, "--dir", counter, code=1)
    assert "40 units were authorised" in error["what"]
    taken = hutong.done("redeem", "capture", held["id"], 25, "--wait", 30, "--dir", counter)
    assert (taken["state"], taken["captured"], taken["captured_arriving"]) == ("part_captured", 250, 25)
    for directory in (home, counter):
        shown = hutong.done("redeem", "show", held["id"], "--dir", directory)
        assert (shown["state"], shown["reference"]) == ("part_captured", "R-17")
        assert [a["id"] for a in hutong.done("redeem", "show", "--dir", directory)["authorisations"]] == [held["id"]]
    balances = hutong.done("account", "show", "NB-1", "--dir", home)["balances"]
    assert [(b["available"], b["held"]) for b in balances] == [(750, 0)]
    again = hutong("redeem", "authorise", code, "moral", 1, "--wait", 30, "--dir", counter, "--json")
    assert (again.code, again.json["state"], again.json["reason"]) == (1, "refused", "code_not_valid")


def test_a_release_gives_everything_back_and_a_screen_shows_it_in_both_languages(
    hutong: Hutong, pair: tuple[Path, Path]
) -> None:
    counter, home = pair
    hutong.done("account", "open", "NB-1", "--dir", home)
    hutong.done("award", "NB-1", "moral", 100, "--dir", home)
    code = hutong.done("redeem", "code", "NB-1", "--dir", home)["code"]
    held = hutong.done("redeem", "authorise", code, "moral", 10, "--wait", 30, "--dir", counter)
    said = hutong("redeem", "release", held["id"], "--wait", 30, "--lang", "zh", "--dir", counter)
    assert said.code == 0
    assert "已解除" in said.out
    assert "released" in hutong("redeem", "show", "--dir", home).out
    history = hutong("account", "history", "NB-1", "--lang", "zh", "--dir", home).out
    assert "异地兑换" in history
