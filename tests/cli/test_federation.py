"""Two regions and their keepers, who only ever exchange files; and everything that must not slip through."""

import json
from pathlib import Path

import pytest

from gateway.protocol import documents
from gateway.protocol.members import Key, Region
from gateway.protocol.roster import sign_card
from gateway.protocol.suite import SigningKey
from node import config
from tests.cli.commands import Hutong, card, contents, make_federation, make_region, sign


@pytest.fixture
def pair(hutong: Hutong, tmp_path: Path) -> tuple[Path, Path]:
    """Two regions that nobody lists yet."""
    return make_region(hutong, tmp_path / "a", 330100), make_region(hutong, tmp_path / "b", 330200)


def test_two_regions_trust_one_roster_by_exchanging_files_alone(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    roster = make_federation(hutong, tmp_path / "keepers", *pair)
    taken = [hutong.done("federation", "trust", roster, "--dir", region) for region in pair]
    assert taken[0]["federation"] == taken[1]["federation"]
    assert [[member["code"] for member in answer["regions"]] for answer in taken] == [[330100, 330200]] * 2
    shown = hutong.done("federation", "show", "--dir", pair[0])
    assert (shown["version"], shown["in_force"]) == (1, True)
    # And who has the file checks it with no node at all.
    assert hutong.done("federation", "show", roster)["federation"] == taken[0]["federation"]


def test_a_roster_with_too_few_signatures_is_not_trusted(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    keepers = tmp_path / "keepers"
    hutong.done("federation", "new", "--name", "试验", "--out", keepers)
    roster = keepers / "roster-1.json"
    hutong.done("federation", "add", roster, *map(card, pair))
    hutong.refused("federation", "trust", roster, "--dir", pair[0], code=1)
    sign(hutong, roster, (2,))
    sign(hutong, roster, (2,))  # one keeper counts once
    assert hutong.done("federation", "show", roster)["signatures"] == [{"version": 1, "have": 1, "need": 2}]
    error = hutong.refused("federation", "trust", roster, "--dir", pair[0], code=1)
    assert "1 signatures" in error["what"]
    hutong.refused("federation", "show", "--dir", pair[0], code=2)  # it has none


def test_a_version_nobody_signed_is_still_a_draft(hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    keepers = tmp_path / "keepers"
    made = hutong.done("federation", "new", "--name", "试验", "--out", keepers)
    assert made["federation"] is None  # its id is the hash of what will be signed
    assert [Path(name).name for name in made["root_keys"]] == ["root-1.key", "root-2.key", "root-3.key"]
    for region in pair:
        added = hutong.done("federation", "add", keepers / "roster-1.json", card(region))
    assert (added["version"], len(added["regions"])) == (1, 2)


def test_a_rollback_is_refused_and_the_newer_roster_stays(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    first = make_federation(hutong, tmp_path / "keepers", *pair)
    hutong.done("federation", "add", first, "--suspend", 330200)
    second = sign(hutong, first.with_name("roster-2.json"))
    hutong.done("federation", "trust", second, "--dir", pair[0])  # it brings version 1 along
    error = hutong.refused("federation", "trust", first, "--dir", pair[0], code=1)
    assert "rollback" in error["what"]
    shown = hutong.done("federation", "show", "--dir", pair[0])
    assert [(member["code"], member["status"]) for member in shown["regions"]] == [
        (330100, "active"),
        (330200, "suspended"),
    ]
    hutong.done("federation", "trust", second, "--dir", pair[0])  # the same again changes nothing


def test_another_federation_is_not_taken_for_the_first(hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    mine = make_federation(hutong, tmp_path / "keepers", *pair)
    other = make_federation(hutong, tmp_path / "strangers", *pair)
    known = hutong.done("federation", "show", mine)["federation"]
    hutong.refused("federation", "trust", other, "--dir", pair[0], "--id", known, code=1)
    hutong.done("federation", "trust", mine, "--dir", pair[0], "--id", known)
    hutong.refused("federation", "trust", other, "--dir", pair[0], code=1)
    assert hutong.done("federation", "show", "--dir", pair[0])["federation"] == known
    hutong.refused("federation", "trust", mine, "--dir", pair[1], "--id", "abc", code=2)


def test_a_roster_of_another_environment_is_not_taken(hutong: Hutong, tmp_path: Path) -> None:
    trial = make_region(hutong, tmp_path / "a", 330100, "--environment", "trial")
    roster = make_federation(hutong, tmp_path / "keepers", trial)
    error = hutong.refused("federation", "trust", roster, "--dir", trial, code=1)
    assert "'trial'" in error["what"]


def test_a_changed_roster_file_is_refused(hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    roster = make_federation(hutong, tmp_path / "keepers", *pair)
    sound = json.loads(roster.read_text())
    signature = sound["signatures"][0]
    signature["sig"] = signature["sig"][:8] + ("A" if signature["sig"][8] != "A" else "B") + signature["sig"][9:]
    roster.write_text(json.dumps(sound))
    hutong.refused("federation", "trust", roster, "--dir", pair[0], code=1)
    roster.write_text(json.dumps(sound)[:-20])
    hutong.refused("federation", "trust", roster, "--dir", pair[0], code=2)
    hutong.refused("federation", "trust", card(pair[0]), "--dir", pair[0], code=2)
    hutong.refused("federation", "trust", tmp_path / "missing.json", "--dir", pair[0], code=2)


def test_a_key_that_is_no_root_key_signs_nothing(hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    keepers = tmp_path / "keepers"
    hutong.done("federation", "new", "--name", "试验", "--out", keepers)
    roster = keepers / "roster-1.json"
    hutong.done("federation", "add", roster, card(pair[0]))
    before = roster.read_bytes()
    hutong.refused("federation", "sign", roster, "--key", pair[0] / "secrets" / "signing.key", code=1)
    assert roster.read_bytes() == before


def test_what_is_being_signed_is_not_changed_under_the_keepers(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    keepers = tmp_path / "keepers"
    hutong.done("federation", "new", "--name", "试验", "--out", keepers)
    roster = keepers / "roster-1.json"
    hutong.done("federation", "add", roster, card(pair[0]))
    sign(hutong, roster, (1,))
    hutong.refused("federation", "add", roster, card(pair[1]), code=1)
    assert len(hutong.done("federation", "show", roster)["regions"]) == 1


def test_a_stranger_cannot_put_a_key_of_his_own_into_a_region(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    roster = make_federation(hutong, tmp_path / "keepers", *pair)
    stranger = SigningKey.from_seed(bytes(range(32)))
    listed = (Key(suite=stranger.suite, public_key=stranger.public_key),)
    forged = sign_card(Region(code=330200, name_zh="宁波", keys=listed, certificates=(b"his",)), stranger)
    file = tmp_path / "forged.card.json"
    file.write_text(documents.to_json(forged))
    error = hutong.refused("federation", "add", roster, file, code=1)
    assert "--vouched" in error["do"]
    assert not roster.with_name("roster-2.json").exists()


def test_a_new_key_and_certificate_take_over_only_once_the_roster_lists_them(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    roster = make_federation(hutong, tmp_path / "keepers", *pair)
    region = pair[0]
    hutong.done("federation", "trust", roster, "--dir", region)
    before = config.load_secrets(config.load(region)).signing_key.id.hex()
    hutong.done("card", "--new-key", "--new-certificate", "--dir", region)
    secrets = contents(region / "secrets")
    hutong.refused("card", "--use-new", "--dir", region, code=1)
    assert contents(region / "secrets") == secrets
    hutong.done("federation", "add", roster, card(region))
    hutong.done("federation", "trust", sign(hutong, roster.with_name("roster-2.json")), "--dir", region)
    assert hutong.done("card", "--use-new", "--dir", region)["used"] == ["signing.key", "tls.crt"]
    after = config.load_secrets(config.load(region)).signing_key.id.hex()
    assert after != before
    # The old key can now be revoked; it stays listed, so that old messages verify.
    hutong.done("federation", "add", roster.with_name("roster-2.json"), "--revoke-key", f"330100:{before}")
    revoked = hutong.done("federation", "trust", sign(hutong, roster.with_name("roster-3.json")), "--dir", region)
    keys = {key["id"]: bool(key["revoked_at_ms"]) for key in revoked["regions"][0]["keys"]}
    assert keys == {before: True, after: False}


def test_keys_of_keepers_and_rosters_are_never_overwritten(
    hutong: Hutong, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    roster = make_federation(hutong, tmp_path / "keepers", *pair)
    before = contents(roster.parent)
    hutong.refused("federation", "new", "--name", "又", "--out", roster.parent, code=2)
    hutong.refused("federation", "add", roster, "--suspend", 330100, "--out", roster.parent / "root-1.key", code=2)
    hutong.refused("federation", "add", roster, code=2)
    hutong.refused("federation", "add", roster, "--suspend", 440100, code=2)
    hutong.refused("federation", "new", "--name", "又", "--out", tmp_path / "f", "--threshold", 4, code=2)
    assert contents(roster.parent) == before
    assert not (tmp_path / "f").exists()
    assert all(path.stat().st_mode & 0o077 == 0 for path in roster.parent.glob("*.key"))
