"""Whatever is wrong, a command ends with one line that says what and one that says what to do, never in a traceback."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.api import new_key
from tests.cli.commands import Hutong, make_federation, make_region

TERMS = 'version = 1\n[[terms]]\nfrom = "330100"\nto = "330200"\ncategory = "moral"\nbecomes = "moral"\n'
AGAIN = TERMS.partition("\n")[2] + 'rate = "1/2"\n'


@pytest.fixture
def region(hutong: Hutong, tmp_path: Path) -> Path:
    """A region that listens on a port nobody else has."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    directory = tmp_path / "a"
    hutong.done("init", 330100, "--name", "杭州", "--dir", directory, "--http", f"127.0.0.1:{port}")
    return directory


@pytest.mark.parametrize(
    ("fault", "name", "text", "place"),
    [
        ("configuration that is not TOML", "hutong.toml", 'region = 330100\nname_zh = \n', "line 2, column 11"),
        ("key nobody knows", "hutong.toml", 'region = 330100\nname_zh = "x"\ncategories=["a"]\ngrpc_listen="h:1"\n'
         'http_listen="h:2"\nendpiont = "h:1"\n', "line 6, column 12"),
        ("code of no region", "hutong.toml", 'region = 12\n', "line 1, column 10"),
        ("nothing at all", "hutong.toml", "", "hutong.toml"),
        ("missing key", "hutong.toml", "region = 330100\n", "name_zh"),
        ("terms that are not TOML", "terms.toml", "version = 1\n[[terms]\n", "line 2, column"),
        ("rate that is no fraction", "terms.toml", TERMS + 'rate = "0.5"\n', "line 7, column 8"),
        ("rate not in lowest terms", "terms.toml", TERMS + 'rate = "2/4"\n', "line 7, column 8"),
        ("rate of nothing", "terms.toml", TERMS + 'rate = "0/1"\n', "line 7, column 8"),
        ("no rate", "terms.toml", TERMS, "line 2"),
        ("second table for one way", "terms.toml", TERMS + 'rate = "1/2"\n' + AGAIN, "line 11, column 12"),
        ("terms with oneself", "terms.toml", TERMS.replace("330200", "330100") + 'rate = "1/2"\n', "line 4, column 6"),
        ("unknown purpose", "terms.toml", TERMS + 'rate = "1/2"\npurposes = ["gift"]\n', "line 8, column 12"),
        ("secret cut short", "secrets/id.key", "00ff\n", "id.key"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_named_with_line_and_column(
    hutong: Hutong, region: Path, fault: str, name: str, text: str, place: str
) -> None:
    (region / name).write_text(text)
    error = hutong.refused("serve", "--dir", region, code=2)
    assert error["name"] == "bad_file", fault
    assert str(region / name) in error["what"]
    assert place in error["what"] + error["do"]


@pytest.mark.parametrize("name", ["signing.key", "id.key", "redo.key", "tls.key"])
def test_a_secret_that_others_can_read_stops_the_start(hutong: Hutong, tmp_path: Path, region: Path, name: str) -> None:
    hutong.done("federation", "trust", make_federation(hutong, tmp_path / "keepers", region), "--dir", region)
    path = region / "secrets" / name
    path.chmod(0o640)
    error = hutong.refused("serve", "--dir", region, code=2)
    assert str(path) in error["what"]
    assert f"chmod 600 {path}" in error["do"]


def test_a_region_without_a_roster_says_how_to_get_one(hutong: Hutong, region: Path) -> None:
    assert "hutong federation trust" in hutong.refused("serve", "--dir", region, code=2)["do"]


def test_a_directory_that_is_no_region_is_named(hutong: Hutong, tmp_path: Path) -> None:
    for command in (["serve"], ["peers"], ["token", "list"], ["verify"], ["account", "show", "x"]):
        assert str(tmp_path / "nowhere") in hutong.refused(*command, "--dir", tmp_path / "nowhere", code=2)["what"]


@pytest.mark.parametrize(
    "command",
    [
        ["peers"], ["events"], ["sweep"], ["account", "open", "x"], ["account", "history", "x"],
        ["award", "x", "moral", "1"], ["quote", "moral", "10", "330200"], ["transfer", "list"],
        ["transfer", "send", "x", "330200-7Q3M9KXW2T5RBV0C-4H", "moral", "5"],
    ],
)  # fmt: skip
def test_a_node_that_is_not_running_is_unavailable_and_says_how_to_start_it(
    hutong: Hutong, region: Path, command: list[str]
) -> None:
    error = hutong.refused(*command, "--dir", region, code=3)
    assert "serve" in error["do"] or "--key" in error["do"]


@pytest.mark.parametrize(
    ("fault", "header", "line", "place"),
    [
        ("amount of zero", "region,key,account,category,amount,granted,expires,evidence,activity",
         "330100,k,HZ-1,moral,0,2026-01-01,2027-01-01,signed_in,x", "line 2, column amount"),
        ("day that does not exist", "region,key,account,category,amount,granted,expires,evidence,activity",
         "330100,k,HZ-1,moral,5,2026-02-30,2027-01-01,signed_in,x", "line 2, column granted"),
        ("column missing", "region,key,account,category,amount,granted,expires,evidence",
         "330100,k,HZ-1,moral,5,2026-01-01,2027-01-01,signed_in", "column activity"),
    ],
)  # fmt: skip
def test_a_malformed_csv_file_is_refused_before_anything_is_sent(
    hutong: Hutong, tmp_path: Path, region: Path, fault: str, header: str, line: str, place: str
) -> None:
    file = tmp_path / "awards.csv"
    file.write_text(f"{header}\n{line}\n")
    error = hutong.refused("award", "--file", file, "--dir", region, code=2)  # not 3: nobody was asked
    assert place in error["what"], fault


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"], ["init"], ["init", "330100"], ["federation"], ["federation", "sign", "x"], ["--lang", "fr"],
        ["token", "create", "a"], ["account", "open"], ["award", "HZ-1"], ["peers", "a", "b", "c"],
        ["federation", "show"], ["verify", "--no-such-option"],
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2_and_no_traceback(
    hutong: Hutong, region: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(region)
    assert hutong(*arguments).code == 2
    if arguments != ["federation"]:  # that prints its help
        assert hutong.refused(*arguments, code=2)["name"]


def test_an_account_name_with_slashes_cannot_reach_another_path(hutong: Hutong, region: Path) -> None:
    assert hutong("account", "show", "../../healthz", "--dir", region).code == 3  # asked for nothing but an account


def test_a_token_is_shown_once_kept_as_a_digest_and_ends(hutong: Hutong, region: Path) -> None:
    made = hutong.done("token", "create", "mobile", "--scope", "read,transfer", "--dir", region)
    assert made["token"].encode() not in (region / "region.sqlite").read_bytes()
    hutong.refused("token", "create", "mobile", "--scope", "read", "--dir", region, code=2)
    hutong.refused("token", "create", "other", "--scope", "everything", "--dir", region, code=2)
    hutong.refused("token", "revoke", "nobody", "--dir", region, code=2)
    hutong.done("token", "revoke", "mobile", "--dir", region)
    listed = {t["name"]: t for t in hutong.done("token", "list", "--dir", region)["tokens"]}
    assert listed["mobile"]["revoked_ms"] > 0
    assert made["token"] not in json.dumps(listed)


@pytest.mark.parametrize(
    ("environment", "arguments", "words"),
    [
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, [], "错误："),
        ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_TW.UTF-8"}, [], "错误："),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, [], "Error:"),
        ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}, [], "Error:"),
        ({"LC_ALL": "C.UTF-8"}, ["--lang", "zh"], "错误："),
        ({"LC_ALL": "zh_CN.UTF-8"}, ["--lang=en"], "Error:"),
    ],
)
def test_the_locale_or_lang_decides_the_language(
    hutong: Hutong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], arguments: list[str],
    words: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said = hutong("token", "list", "--dir", tmp_path / "none", *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(words)
    assert len(said.err.splitlines()) == 2


def test_the_installed_command_speaks_chinese_where_the_locale_does(tmp_path: Path) -> None:
    environment = {**os.environ, "LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "node.cli", "token", "list", "--dir", str(tmp_path / "none")]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("错误：")


def test_two_keys_are_never_the_same_and_carry_their_time() -> None:
    keys = [new_key() for _ in range(1000)]
    assert len(set(keys)) == 1000
    assert all(len(key) == 36 and key[14] == "7" and key[19] in "89ab" for key in keys)


def test_make_region_listens_nowhere_before_it_is_served(hutong: Hutong, tmp_path: Path) -> None:
    region = make_region(hutong, tmp_path / "b", 330200)
    hutong.refused("peers", "--dir", region, code=3)
