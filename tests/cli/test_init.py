"""A region comes into being whole or not at all, its secrets open to nobody else."""

import stat
from pathlib import Path

import pytest

from gateway.protocol import documents, roster
from gateway.protocol.suite import SigningKey
from node import config
from node.store import tokens
from node.store.engine import open_store
from tests.cli.commands import Hutong, card, contents, make_region
from tests.databases import PostgreSQL


def test_a_new_region_holds_everything_a_start_needs(hutong: Hutong, tmp_path: Path) -> None:
    region = make_region(hutong, tmp_path / "a", 330100, "--name-en", "Hangzhou", "--endpoint", "a.example:7443")
    found = config.load(region)
    secrets = config.load_secrets(found)
    listed = roster.read_card(documents.from_json(card(region).read_text()))
    assert (listed.code, listed.name_en, listed.endpoint) == (330100, "Hangzhou", "a.example:7443")
    assert [key.public_key for key in listed.keys] == [secrets.signing_key.public_key]
    assert len({secrets.id_secret, secrets.redo_secret, secrets.signing_key.seed()}) == 3
    assert config.load_terms(found.terms) == {}
    store = open_store(found.database)
    with store.read() as conn:
        (token,) = tokens.listed(conn)
    store.close()
    assert token.allows("admin")
    assert token.digest == tokens.digest(found.operator_token.read_text().strip())


def test_secrets_are_open_to_their_owner_alone(hutong: Hutong, tmp_path: Path) -> None:
    region = make_region(hutong, tmp_path / "a", 330100)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (region / "secrets").iterdir()}
    assert modes == dict.fromkeys(("signing.key", "id.key", "redo.key", "tls.key", "operator.token"), 0o600)
    assert stat.S_IMODE(region.stat().st_mode) == stat.S_IMODE((region / "secrets").stat().st_mode) == 0o700


def test_no_two_regions_share_a_secret(hutong: Hutong, tmp_path: Path) -> None:
    one, other = (make_region(hutong, tmp_path / name, 330100) for name in "ab")
    assert not set(contents(one / "secrets").values()) & set(contents(other / "secrets").values())


def test_an_existing_directory_is_left_as_it_is(hutong: Hutong, tmp_path: Path) -> None:
    region = make_region(hutong, tmp_path / "a", 330100)
    before = contents(region)
    error = hutong.refused("init", 330200, "--name", "宁波", "--dir", region, code=2)
    assert str(region) in error["what"]
    assert contents(region) == before


@pytest.mark.parametrize(
    ("fault", "options", "names"),
    [
        ("code of five digits", ["33010", "--name", "x"], "CODE"),
        ("code of no region", ["009999", "--name", "x"], "CODE"),
        ("code that closes the line", ['330100"\nregion = 1', "--name", "x"], "CODE"),
        ("listen without a port", ["330100", "--name", "x", "--listen", "localhost"], "--listen"),
        ("port out of range", ["330100", "--name", "x", "--http", "127.0.0.1:70000"], "--http"),
        ("endpoint that nobody can dial", ["330100", "--name", "x", "--endpoint", "a.example:0"], "--endpoint"),
        ("category that is no code", ["330100", "--name", "x", "--categories", "moral,Öffentlich"], "--categories"),
        ("category named twice", ["330100", "--name", "x", "--categories", "moral,moral"], "--categories"),
        ("environment in capitals", ["330100", "--name", "x", "--environment", "Production"], "--environment"),
        ("name with a control character", ["330100", "--name", "x\x07"], "--name"),
        ("database of no kind", ["330100", "--name", "x", "--database", "region.sqlite"], "--database"),
        ("database that forgets", ["330100", "--name", "x", "--database", "sqlite://"], "--database"),
        ("database of another kind", ["330100", "--name", "x", "--database", "mysql://host/name"], "mysql"),
        ("database nobody answers at", ["330100", "--name", "x", "--database", "postgresql://127.0.0.1:1/x"], ""),
    ],
)
def test_a_wrong_option_is_named_and_leaves_nothing_behind(
    hutong: Hutong, tmp_path: Path, fault: str, options: list[str], names: str
) -> None:
    said = hutong("init", *options, "--dir", tmp_path / "parent" / "a", "--json")
    assert said.code in (2, 3), fault
    assert names in said.json["error"]["what"]
    assert list((tmp_path / "parent").iterdir()) == []


def test_a_database_of_another_region_is_not_taken(hutong: Hutong, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    make_region(hutong, tmp_path / "a", 330100, "--database", url)
    before = (tmp_path / "shared.sqlite").read_bytes()
    hutong.refused("init", 330200, "--name", "宁波", "--dir", tmp_path / "b", "--database", url, code=2)
    assert not (tmp_path / "b").exists()
    assert (tmp_path / "shared.sqlite").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "shared.sqlite"]


@pytest.mark.postgresql
def test_a_region_on_postgresql_is_founded_once(hutong: Hutong, tmp_path: Path, postgresql_server: PostgreSQL) -> None:
    name = postgresql_server.new(tables=False)
    try:
        url = postgresql_server.url(name)
        region = make_region(hutong, tmp_path / "a", 330100, "--database", url)
        assert config.load(region).database == url
        assert "certificate" not in hutong.done("token", "list", "--dir", region)
        hutong.refused("init", 330200, "--name", "宁波", "--dir", tmp_path / "b", "--database", url, code=2)
        assert not (tmp_path / "b").exists()
    finally:
        postgresql_server.drop(name)


def test_a_moved_directory_is_still_the_region(hutong: Hutong, tmp_path: Path) -> None:
    region = make_region(hutong, tmp_path / "a", 330100)
    moved = region.rename(tmp_path / "elsewhere")
    assert [token["name"] for token in hutong.done("token", "list", "--dir", moved)["tokens"]] == ["operator"]


def test_a_new_card_lists_the_new_key_beside_the_old_until_it_is_in_use(hutong: Hutong, tmp_path: Path) -> None:
    region = make_region(hutong, tmp_path / "a", 330100)
    old = config.load_secrets(config.load(region)).signing_key
    hutong.done("card", "--new-key", "--new-certificate", "--dir", region)
    listed = roster.read_card(documents.from_json(card(region).read_text()))
    new = SigningKey.from_seed(config.read_secret(region / "secrets" / "signing.next.key"))
    assert [key.public_key for key in listed.keys] == [old.public_key, new.public_key]
    assert len(set(listed.certificates)) == 2
    assert config.load_secrets(config.load(region)).signing_key.public_key == old.public_key
