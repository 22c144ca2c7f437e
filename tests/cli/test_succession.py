"""Keepers resolve a region that is gone, or let others answer for its code, by exchanging files alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from node import config
from node.services import founding
from node.services.handshake import Begin
from node.services.office import Office
from node.services.writer import Writer
from node.store.engine import open_store
from tests.cli.commands import Hutong, make_federation, make_region, sign

A, B, C = 330100, 330104, 330102


@pytest.fixture
def three(hutong: Hutong, tmp_path: Path) -> tuple[Path, dict[int, Path]]:
    """A roster in force, and three regions of it that have spoken with each other."""
    made = {code: make_region(hutong, tmp_path / str(code), code) for code in (A, B, C)}
    roster = make_federation(hutong, tmp_path / "keepers", *made.values())
    for code, directory in made.items():
        hutong.done("federation", "trust", roster, "--dir", directory)
        speak(directory, [peer for peer in made if peer != code])
    return roster, made


def speak(directory: Path, peers: list[int]) -> None:
    """The region begins the handshake with these peers."""
    known = config.load(directory)
    secrets = config.load_secrets(known)
    store = open_store(known.database)
    with store.write() as conn:
        roster = founding.trust(conn, ())
    office = Office(
        me=known.region, signing_key=secrets.signing_key, id_secret=secrets.id_secret, redo_secret=secrets.redo_secret,
        roster=roster, terms={}, clock=lambda: time.time_ns() // 1_000_000, random=os.urandom,
    )  # fmt: skip
    Writer(store, office).commit([Begin(peer=peer) for peer in peers])
    store.close()


def copies(hutong: Hutong, directory: Path, code: int) -> Path:
    return Path(hutong.done("federation", "copies", code, "--dir", directory)["file"])


def test_keepers_resolve_a_region_from_what_members_hand_in(
    hutong: Hutong, three: tuple[Path, dict[int, Path]]
) -> None:
    roster, made = three
    files = [copies(hutong, made[code], B) for code in (A, C)]
    drafted = hutong.done("federation", "resolve", roster, B, *files)
    assert [(r["code"], r["status"]) for r in drafted["regions"] if r["code"] == B] == [(B, "withdrawn")]
    second = sign(hutong, Path(drafted["file"]))
    for code in (A, C):
        hutong.done("federation", "trust", second, "--dir", made[code])
    with_resolution = hutong.done("federation", "show", "--dir", made[A])
    assert (with_resolution["version"], with_resolution["resolved"]) == (2, [B])


def test_copies_that_somebody_changed_or_that_are_of_another_region_are_not_used(
    hutong: Hutong, three: tuple[Path, dict[int, Path]], tmp_path: Path
) -> None:
    roster, made = three
    good = copies(hutong, made[A], B)
    changed = tmp_path / "changed.json"
    text = good.read_text("utf-8")
    at = text.index('"payload": "') + 12
    changed.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :], "utf-8")
    for file in (changed, copies(hutong, made[A], C), roster, tmp_path / "absent.json"):
        said = hutong("federation", "resolve", roster, B, file, "--json")
        assert said.code != 0
        assert not roster.with_name("roster-2.json").exists()


def test_a_split_is_dated_and_names_who_keeps_the_channels_first(
    hutong: Hutong, three: tuple[Path, dict[int, Path]]
) -> None:
    roster, made = three
    drafted = hutong.done("federation", "succeed", roster, B, "--by", C, "--by", A, "--from", "20210409")
    second = sign(hutong, Path(drafted["file"]))
    shown = hutong.done("federation", "trust", second, "--dir", made[A])
    (old,) = [region for region in shown["regions"] if region["code"] == B]
    assert old["successors"] == [{"code": C, "from": 20210409}, {"code": A, "from": 20210409}]
    hutong.refused("federation", "succeed", second, B, "--by", C, "--from", "9 April", code=2)
    hutong.refused("federation", "succeed", second, B, "--from", "20210409", code=2)
    hutong.refused("federation", "succeed", second, 999999, "--by", C, "--from", "20210409", code=2)


def test_a_successor_signs_for_what_it_takes_over(hutong: Hutong, three: tuple[Path, dict[int, Path]]) -> None:
    roster, made = three
    files = [copies(hutong, made[code], B) for code in (A, C)]
    path = config.load(made[B]).database.removeprefix("sqlite:///")
    signed = hutong.done("federation", "assume", B, *files, "--from", "20210409", "--books", path, "--dir", made[C])
    assert signed["holds"] == 0
    assert {(log["source"], log["destination"]) for log in signed["logs"]} == {(A, B), (B, A), (C, B), (B, C)}
    hutong.refused("federation", "succeed", roster, B, "--from", "20210410", "--assume", signed["file"], code=1)
    drafted = hutong.done("federation", "succeed", roster, B, "--from", "20210409", "--assume", signed["file"])
    second = sign(hutong, Path(drafted["file"]))
    hutong.done("federation", "trust", second, "--dir", made[A])
