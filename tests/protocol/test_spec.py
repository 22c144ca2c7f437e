"""The specification says what the code does, where it can be compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.protocol import address, attestation, codec, documents, limits, transfer
from gateway.protocol.agreement import life as agreement_life
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.standing import Matter
from gateway.protocol.values import Kind, Purpose, Reason, Status

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "proto" / "SPEC.md").read_text("utf-8")


def test_its_tables_are_those_of_the_code() -> None:
    command = [sys.executable, "proto/spec_tables.py", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def table(name: str) -> str:
    begin = SPEC.index(f"<!-- table {name} -->")
    return SPEC[begin : SPEC.index("<!-- end -->", begin)]


def test_every_move_of_a_transfer_is_drawn() -> None:
    drawn = re.findall(r"(\w+) --> (\w+): (\w+)", table("states"))
    assert sorted(drawn) == sorted(
        (a.name.lower(), b.name.lower(), e.name.lower()) for (a, e), b in transfer.TRANSITIONS.items()
    )


def test_every_move_of_an_attestation_is_drawn() -> None:
    drawn = re.findall(r"(\w+) --> (\w+): (\w+)", table("attestations"))
    assert sorted(drawn) == sorted(
        (a.name.lower(), b.name.lower(), e.name.lower()) for (a, e), b in attestation.TRANSITIONS.items()
    )


def test_every_move_of_an_agreement_is_drawn() -> None:
    drawn = re.findall(r"(\w+) --> (\w+): (\w+)", table("agreement_states"))
    moves = agreement_life.TRANSITIONS.items()
    assert sorted(drawn) == sorted((a.name.lower(), b.name.lower(), e.name.lower()) for (a, e), b in moves)


def test_every_rule_of_a_document_stands_there() -> None:
    text = (ROOT / "gateway" / "protocol" / "agreement" / "rules.py").read_text("utf-8")
    broken = text[: text.index("def check_next(")]
    assert [name for name in re.findall(r'Fault\("(\w+)"', broken) if f"`{name}`" not in SPEC] == []


def test_every_reason_stands_there_in_its_order_with_a_meaning() -> None:
    rows = [line.split(" | ") for line in table("reasons").splitlines()[3:]]
    assert [(int(row[0].strip("| ")), row[1].strip("`")) for row in rows] == [(int(r), r.name) for r in sorted(Reason)]
    assert all(len(row[2].strip(" |")) > 10 for row in rows)


def test_every_limit_stands_there() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", table("limits"), re.MULTILINE))
    assert named == {name for name in vars(limits) if name.isupper()}


def test_every_status_stands_there() -> None:
    assert re.findall(r"`(\w+)`", table("statuses").splitlines()[1]) == [status.name for status in Status]
    assert re.findall(r"^\| `(\w+)` \|", table("statuses"), re.MULTILINE) == [matter.name for matter in Matter]


@pytest.mark.parametrize(
    "payload_type",
    [codec.HEAD, codec.RECEIPT, codec.RESUME, codec.FENCED, codec.BEHIND, codec.STALE, codec.ASK, codec.STANDING,
     documents.ROSTER, documents.CARD, documents.TRANSFER_PROOF, documents.FORK_EVIDENCE, bodies.AGREEMENT,
     bodies.NOTICE],
)  # fmt: skip
def test_every_payload_type_stands_there(payload_type: str) -> None:
    assert payload_type in SPEC


def test_every_kind_of_frame_and_the_one_purpose_it_speaks_of_are_named() -> None:
    assert [kind.name for kind in Kind if f"`{kind.name}`" not in SPEC] == []
    assert f"`{Purpose.REVERSAL.name}`" in SPEC


def test_the_address_it_shows_is_an_address() -> None:
    (shown,) = re.findall(r"^    (\d{6}-\w{16}-\w{2})$", SPEC, re.MULTILINE)
    assert address.write(address.read(shown)) == shown


def test_its_references_lead_somewhere() -> None:
    headings = set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)", SPEC, re.MULTILINE))
    referred = set(re.findall(r"\((?:see )?(\d+\.\d+)(?:[,)])", SPEC)) | set(re.findall(r"as in (\d+\.\d+)", SPEC))
    assert referred - headings == set()
    anchors = set(re.findall(r"\]\(#(\d+)-", SPEC))
    assert anchors == {heading for heading in headings if "." not in heading}


def test_it_is_short_enough_to_be_read() -> None:
    assert len(SPEC.splitlines()) < 1850
