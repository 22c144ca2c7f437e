"""`hutong attest` at a running region, and what a stranger makes of the files it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.__main__ import main as offline
from tests.cli.commands import Hutong, make_federation, make_region, serving
from tests.cli.test_agreement import TWO, known, served
from tests.cli.test_serve import until

__all__ = ["served"]

pytestmark = pytest.mark.e2e


@pytest.fixture
def region(hutong: Hutong, tmp_path: Path) -> Iterator[Path]:
    made = make_region(hutong, tmp_path / "a", 330100)
    other = make_region(hutong, tmp_path / "b", 330200)
    hutong.done("federation", "trust", make_federation(hutong, tmp_path / "keepers", made, other), "--dir", made)
    with serving(made):
        hutong.done("account", "open", "HZ-1", "--dir", made)
        yield made


def test_a_resident_takes_a_credential_along_that_anybody_can_check(
    hutong: Hutong, region: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--dir", region)
    hutong.done("attest", "put", "HZ-1", "star_level", "--value", 4, "--as-of", "2026-01-31", *here)
    hutong.done("attest", "put", "HZ-1", "service_hours", "--value", 7200, *here)
    standing = hutong.done("attest", "facts", "HZ-1", *here)
    assert {f["kind"]: f["value"] for f in standing["own"]} == {"service_hours": 7200, "star_level": 4}
    token, rosters = tmp_path / "stars.jwt", tmp_path / "rosters.json"
    made = hutong.done("attest", "export", "HZ-1", "--kind", "star_level", "--out", token, "--rosters", rosters, *here)
    before, after = tmp_path / "status-1.jwt", tmp_path / "status-2.jwt"
    hutong.done("attest", "status", "--out", before, *here)
    federation = json.loads(rosters.read_text())
    assert federation, "every version of the roster, for whoever checks it"
    check = ["verify", str(token), "--roster", str(rosters)]
    assert offline([*check, "--status", str(before)]) == 0
    assert "All" in capsys.readouterr().out
    assert offline(check) == 0
    assert "--status" in capsys.readouterr().out, "without the list it says what was not checked"
    hutong.done("attest", "withdraw", "HZ-1", "star_level", *here)
    hutong.done("attest", "status", "--out", after, *here)
    assert offline([*check, "--status", str(after)]) == 1
    (shown,) = hutong.done("attest", "show", made["id"], *here)["attestations"]
    assert (shown["state"], shown["reason"]) == ("taken_back", "withdrawn")


def test_a_stranger_cannot_check_a_credential_without_rosters_or_with_those_of_others(
    hutong: Hutong, region: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--dir", region)
    hutong.done("attest", "put", "HZ-1", "honour", "--words", "年度优秀志愿者", *here)
    token, rosters = tmp_path / "honour.jwt", tmp_path / "rosters.json"
    hutong.done("attest", "export", "HZ-1", "--out", token, "--rosters", rosters, *here)
    assert offline(["verify", str(token)]) == 2
    assert "--roster" in capsys.readouterr().err
    assert offline(["verify", str(token), "--roster", str(rosters), "--federation", "ab" * 32]) == 1
    assert offline(["verify", str(token), "--roster", str(token)]) == 2
    assert offline(["inspect", str(token)]) == 0
    assert "年度优秀志愿者" in capsys.readouterr().out
    assert offline(["verify", "--json", str(token), "--roster", str(rosters)]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_what_is_refused_has_an_exit_status_and_says_what_to_do(hutong: Hutong, region: Path) -> None:
    here = ("--dir", region)
    for arguments, name, code in (
        (("export", "HZ-1"), "not_attested", 1),
        (("share", "HZ-1", "330200", "--consent", "0" * 32), "consent_not_valid", 1),
        (("put", "HZ-1", "wealth"), "bad_field", 2),
        (("put", "HZ-1", "honour"), "refused_input", 2),
        (("revoke", "0" * 32, "--peer", "330200"), "not_attested", 1),
        (("show", "0" * 32), "not_found", 2),
        (
            ("ask", "HZ-1", "330200-7Q3M9KXW2T5RBV0C-NI", "--consent", "x", "--digest", "0" * 64),
            "agreement_not_in_force", 1,
        ),
    ):  # fmt: skip
        assert hutong.refused("attest", *arguments, *here, code=code)["name"] == name, arguments


def test_a_file_that_is_there_is_left_alone(hutong: Hutong, region: Path, tmp_path: Path) -> None:
    hutong.done("attest", "put", "HZ-1", "star_level", "--value", 4, "--dir", region)
    there = tmp_path / "there"
    there.write_text("mine")
    hutong.refused("attest", "status", "--out", there, "--dir", region, code=2)
    assert there.read_text() == "mine"


def test_four_stars_there_are_three_here_from_agreement_to_revocation(
    hutong: Hutong, served: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = served
    file = tmp_path / "draft.toml"
    hutong.done(
        "agreement", "draft", 330200, "--ours", "moral=10/1", "--theirs", "moral=1/1", "--out", file, "--dir", a
    )
    honoured = '\n[[out.honoured]]\nkind = "star_level"\nvalues = [{ there = 4, here = 3 }]\n'
    file.write_text(file.read_text("utf-8") + honoured, "utf-8")
    proposed = hutong.done("agreement", "propose", file, *TWO, "--dir", a)
    until(lambda: known(hutong, b, "proposed"))
    hutong.done("agreement", "countersign", proposed["digest"], *TWO, "--dir", b)
    until(lambda: known(hutong, a, "in_force"))

    hutong.done("account", "open", "HZ-1", "--dir", a)
    hutong.done("account", "open", "NB-1", "--dir", b)
    hutong.done("attest", "put", "HZ-1", "star_level", "--value", 4, "--dir", a)
    consent = hutong.done(
        "consent", "give", "HZ-1", 330200, "--contact", "0574-12345", "--purpose", "attestation",
        "--kinds", "star_level", "--dir", a,
    )  # fmt: skip
    shown = hutong.done("attest", "share", "HZ-1", 330200, "--consent", consent["reference"], "--dir", a)
    carried = ("--consent", shown["consent"], "--digest", shown["consent_digest"], "--dir", b)
    asked = hutong.done("attest", "ask", "NB-1", shown["code"], *carried)
    ((recognised,),) = [asked["standing"]["recognised"]]
    assert (recognised["value"], recognised["there"], recognised["peer"]) == (3, 4, 330100)
    again = hutong("attest", "ask", "NB-1", shown["code"], *carried, "--json")
    assert (again.code, again.json["attestations"][0]["reason"]) == (1, "code_not_valid")
    text = hutong("attest", "facts", "NB-1", "--dir", b, "--lang", "zh").out
    assert "由其他地区证明" in text

    (given,) = hutong.done("attest", "show", recognised["attestation"], "--dir", a)["attestations"]
    assert given["state"] == "given"
    hutong.done("attest", "revoke", given["id"], "--peer", 330200, "--because", "consent", "--dir", a)
    until(lambda: not any(r["holds"] for r in hutong.done("attest", "facts", "NB-1", "--dir", b)["recognised"]))
    (taken,) = hutong.done("attest", "show", given["id"], "--dir", b)["attestations"]
    assert (taken["state"], taken["reason"]) == ("revoked", "consent")
    until(lambda: hutong.done("attest", "show", given["id"], "--dir", a)["attestations"][0]["state"] == "taken_back")
