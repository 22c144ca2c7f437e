"""Consents, identities and penalties by the command line of running regions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Hutong
from tests.cli.test_serve import pair

__all__ = ["pair"]

pytestmark = pytest.mark.e2e

NUMBER, OLD = "330106199003071236", "330106900307123"


def identify(directory: Path, name: str, number: str) -> subprocess.CompletedProcess[str]:
    """The number goes in by standard input: a list of processes would show an argument."""
    line = [sys.executable, "-m", "node.cli", "account", "identify", name, "--dir", str(directory), "--lang", "en"]
    return subprocess.run(line, input=f"{number}\n", capture_output=True, text=True, timeout=60, check=False)


def test_a_resident_consents_moves_and_withdraws(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    there, home = pair
    hutong.done("account", "open", "NB-1", "--dir", home)
    hutong.done("award", "NB-1", "moral", 1_000, "--dir", home)
    hutong.done("account", "open", "HZ-1", "--dir", there)
    to = hutong.done("account", "address", "HZ-1", "--dir", there)["address"]
    given = ["consent", "give", "NB-1", "330100", "--contact", "杭州市", "--dir", home]
    assert hutong.refused(*given, "--under-14", code=1)["name"] == "consent_not_valid"
    made = hutong.done(*given, "--under-14", "--guardian")
    moved = ["transfer", "send", "NB-1", to, "moral", 100, "--consent", made["reference"], "--dir", home]
    assert hutong.done(*moved, "--wait", 30)["state"] == "posted"
    assert hutong.done("consent", "withdraw", made["reference"], "--dir", home)["taken_back"] == []
    assert hutong.refused(*moved, "--wait", 30, code=1)["name"] == "consent_not_valid"
    shown = hutong.done("consent", "show", made["reference"], "--dir", home)
    assert (shown["given_by"], shown["digest"]) == ("guardian", made["digest"])
    (listed,) = hutong.done("consent", "list", "NB-1", "--dir", home)["consents"]
    assert listed == {key: value for key, value in shown.items() if key != "ok"}
    for words, name in (
        (["--contact", NUMBER], "identity_number"),
        (["--contact", "x", "--purpose", "any"], "bad_field"),
    ):
        error = hutong.refused("consent", "give", "NB-1", "330100", *words, "--dir", home, code=2)
        assert error["name"] == name
        assert NUMBER not in str(error)


def test_a_penalty_takes_two_people(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    _there, home = pair
    hutong.done("account", "open", "NB-1", "--dir", home)
    hutong.done("award", "NB-1", "moral", 20, "--dir", home)
    told = ["penalty", "notify", "NB-1", "moral", 50, "--because", "虚报", "--by", "zhang", "--key", "p", "--dir", home]
    made = hutong.done(*told)
    assert hutong.done(*told)["id"] == made["id"]
    assert hutong.refused("penalty", "apply", made["id"], "--by", "li", "--dir", home, code=1)["name"] == "wrong_state"
    hutong.done("penalty", "appeal", made["id"], "--words", "确有其事", "--dir", home)
    decided = ["penalty", "decide", made["id"], "--uphold", "--dir", home, "--by"]
    assert hutong.refused(*decided, "zhang", code=1)["name"] == "same_person"
    hutong.done(*decided, "li")
    applied = hutong.done("penalty", "apply", made["id"], "--by", "li", "--dir", home)
    assert (applied["state"], applied["taken"]) == ("short", 20)
    (listed,) = hutong.done("penalty", "list", "--state", "short", "--dir", home)["penalties"]
    assert (listed["id"], listed["appeal"]) == (made["id"], "确有其事")
    assert "余额不足" in hutong("penalty", "show", made["id"], "--lang", "zh", "--dir", home).out
    assert "扣分" in hutong("account", "history", "NB-1", "--lang", "zh", "--dir", home).out


def test_a_number_is_read_from_standard_input_and_shown_nowhere(hutong: Hutong, pair: tuple[Path, Path]) -> None:
    _there, home = pair
    hutong.done("account", "open", "NB-1", "--dir", home)
    for number, words in ((NUMBER, "kept; the number is not"), (OLD, "15 digits"), ("nonsense", "not a sound number")):
        done = identify(home, "NB-1", number)
        assert done.returncode == 0
        assert words in done.stdout
        assert number not in done.stdout + done.stderr
    assert hutong.done("account", "identify", "NB-1", "--forget", "--dir", home)["kept"] is False
    error = hutong.refused("account", "open", NUMBER, "--dir", home, code=2)
    assert error["name"] == "identity_number"
    assert NUMBER not in str(error)
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert NUMBER.encode() not in data, path
            assert OLD.encode() not in data, path
