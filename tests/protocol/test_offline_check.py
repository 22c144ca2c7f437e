"""`python -m gateway`: what an auditor sees of true files, false files and files that are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.__main__ import main
from gateway.protocol import bundles, codec, documents
from gateway.protocol.channel import Fork
from gateway.protocol.contradictions import fork_evidence, receipt_evidence
from gateway.protocol.documents import Document
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.exhibits import RepairProof
from gateway.protocol.roster import genesis, sign, sign_card
from gateway.protocol.values import Draft, Kind, Offer, Provenance, Repair, Signed, Slice
from tests.protocol.federation import (
    HANGZHOU,
    NINGBO,
    ROOTS,
    SALT,
    Tree,
    first_roster,
    following,
    frame,
    key,
    listed,
    region,
    world,
)

WORLD = world()
PROOF = WORLD.proof()
FEDERATION = WORLD.federation.hex()
LIE = replace(WORLD.there, tree=Tree([frame(Kind.OFFER, 900 + number) for number in range(9)]))
EVIDENCE = fork_evidence(
    Fork(size=9, theirs=LIE.tree.root(9), mine=WORLD.there.tree.root(9), consistency=()),
    LIE.head(9),
    WORLD.there.head(9),
    WORLD.there.tree,
    WORLD.rosters,
)
FIRST = WORLD.rosters[0]
SECOND = sign(following(genesis(FIRST)), ROOTS)
CARD = sign_card(region(HANGZHOU, name_en="Hangzhou", endpoint="hz.example:7000"), key(str(HANGZHOU)))


def both_sign(value: Repair) -> Signed:
    """As two regions leave it behind: one payload, a signature of each."""
    mine, theirs = (
        k.sign(codec.REPAIR, codec.encode_payload(value)) for k in (WORLD.there.source, WORLD.there.destination)
    )
    return replace(mine, signatures=mine.signatures + theirs.signatures)


DENIAL = receipt_evidence(LIE.receipt(6), WORLD.there.head(9), WORLD.there.tree, WORLD.rosters)
_AGREED = Repair(
    log=WORLD.there.log,
    size=4,
    root=WORLD.there.tree.root(4),
    evidence=sha256(documents.write(DENIAL).encode()).digest(),
    holds_size=6,
    holds_root=LIE.tree.root(6),
)
REPAIR = RepairProof(repair=both_sign(_AGREED), evidence=documents.write(DENIAL).encode(), rosters=tuple(WORLD.rosters))
TRUE: dict[str, Document] = {
    "transfer proof 转移证明": PROOF,
    "evidence of a fork 分叉证据": EVIDENCE,
    "evidence that a receipt contradicts a log 收据矛盾证据": DENIAL,
    "repair signed by both regions 修复协议": REPAIR,
    "roster 成员名册": FIRST,
    "history of rosters": (FIRST, SECOND),
    "card 地区名片": CARD,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "文件.json"


@pytest.mark.parametrize("name", TRUE)
def test_a_true_file_holds(name: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(documents.write(TRUE[name]), "utf-8")
    assert main(["verify", str(file), "--federation", FEDERATION]) == 0
    shown = capsys.readouterr().out
    assert "✓ 成立 holds" in shown
    assert "FAILS" not in shown
    assert "All " in shown.splitlines()[-1]
    assert main(["verify", str(file)]) == 0, "without the id it says which federation it found"


WORDS = {
    "evidence of a fork 分叉证据": (f"{HANGZHOU}", "contradicted itself", "the first 9 frames"),
    "evidence that a receipt contradicts a log 收据矛盾证据": (f"{NINGBO}", "contradicts", "first 6 frames"),
    "repair signed by both regions 修复协议": ("agree", "first 4 frames stand", "goes on at 6"),
}


@pytest.mark.parametrize("name", WORDS)
def test_it_says_in_words_who_contradicted_whom_about_what(
    name: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(documents.write(TRUE[name]), "utf-8")
    main(["verify", str(file), "--federation", FEDERATION])
    shown = capsys.readouterr().out
    main(["verify", "--json", str(file)])
    said = json.loads(capsys.readouterr().out)
    assert said["en"] in shown
    assert said["zh"] in shown
    assert all(words in said["en"] for words in WORDS[name])
    main(["inspect", str(file)])
    assert name.split(" ")[0] in capsys.readouterr().out


FALSE: dict[str, tuple[Document, str]] = {
    "another body": (replace(PROOF, offer=replace(PROOF.offer, body=b"x" * 20)), "another body than the frame"),
    "heads that agree": (replace(EVIDENCE, one=EVIDENCE.other), "do not contradict each other"),
    "a receipt that agrees": (replace(DENIAL, receipt=WORLD.there.receipt(6)), "do not contradict each other"),
    "a repair by one": (
        replace(REPAIR, repair=replace(REPAIR.repair, signatures=REPAIR.repair.signatures[1:])),
        "no key that the roster lists",
    ),
    "a repair about something else": (replace(REPAIR, evidence=b"{}"), "the file has the SHA-256"),
    "too few root keys": (sign(first_roster(), ROOTS[:1]), "1 of 2 root keys"),
    "a version alone": (SECOND, "version 1 and those after it are needed too"),
    "a version missing": ((FIRST, sign(following(genesis(FIRST), version=3), ROOTS)), "fetch the versions between"),
    "a rollback": ((FIRST, SECOND, FIRST), "a rollback"),
    "somebody else's card": (replace(CARD, signatures=FIRST.signatures), "make the card again"),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_file_does_not_hold_and_says_why(name: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, why = FALSE[name]
    file.write_text(documents.write(document), "utf-8")
    assert main(["verify", str(file)]) == 1
    shown = capsys.readouterr().out
    assert "✗ 不成立 FAILS" in shown
    assert why in shown
    assert main(["verify", "--json", str(file)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["holds"] is False
    assert any(why in check["detail"] for check in said["checks"] if not check["ok"])


def test_another_federation_than_the_one_known_does_not_hold(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(documents.write(PROOF), "utf-8")
    assert main(["verify", str(file), "--federation", "00" * 32]) == 1
    assert "check the id with the federation's keepers" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["verify", str(file), "--federation", "abc"])
    assert stopped.value.code == 2
    assert "64 hexadecimal digits" in capsys.readouterr().err


SIGNED: dict[str, Any] = json.loads(documents.to_json(CARD))
GARBAGE: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "no JSON"),
    "prose": ("你好", "no JSON"),
    "binary": (b"\xff\xfe\x00", "not a text file"),
    "protobuf": (bundles.encode_transfer_proof(PROOF), "not a text file"),
    "half a file": (documents.write(PROOF)[:500], "copy it whole"),
    "a deep hole": ("[" * 100_000, "no JSON"),
    "a number": ("17", "neither payloadType nor type"),
    "an empty object": ("{}", "neither payloadType nor type"),
    "an empty list": ("[]", "an empty list"),
    "a list of something else": ("[1]", "a signed document has"),
    "an unknown type": ('{"type": "a", "payload": ""}', "a newer one may read it"),
    "a proof of nothing": (json.dumps({"type": documents.TRANSFER_PROOF, "payload": ""}), "ask for the proof again"),
    "no base64": (json.dumps({"type": documents.TRANSFER_PROOF, "payload": "*"}), "payload must be base64"),
    "no payload": (json.dumps({"type": documents.TRANSFER_PROOF}), "payload must be there"),
    "two payloads": ('{"payloadType": "a", "payload": "", "payload": "Yg=="}', "is there twice"),
    "no signatures": (json.dumps({**SIGNED, "signatures": None}), "a list of signatures"),
    "an empty signature list": (json.dumps({**SIGNED, "signatures": []}), "Signed"),
    "a signature of text": (json.dumps({**SIGNED, "signatures": ["x"]}), "a signature has keyid"),
    "a bad key id": (json.dumps({**SIGNED, "signatures": [{"keyid": "zz"}]}), "hexadecimal"),
    "a short key id": (json.dumps({**SIGNED, "signatures": [{"keyid": "00", "suite": "", "sig": ""}]}), "key_id"),
    "half a character": (json.dumps({**SIGNED, "payloadType": "\ud800"}), "not Unicode"),
    "a head alone": (documents.write(WORLD.there.head(9)), "ask for the proof"),
    "a card full of noise": (json.dumps({**SIGNED, "payload": "////"}), "protobuf"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused_with_advice(name: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, advice = GARBAGE[name]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    status = main(["verify", str(file)])
    shown = capsys.readouterr()
    assert status == (1 if name == "a card full of noise" else 2)
    assert advice in shown.out + shown.err
    assert "无法读取 cannot be read" in shown.err or status == 1


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        assert main(["inspect", str(path)]) == 2
        assert "check the name and the permissions" in capsys.readouterr().err


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["payloadType", "payload", "signatures", "type", "keyid", "suite", "sig"]), inner
)))  # fmt: skip
def test_any_json_is_a_document_or_malformed(found: object) -> None:
    try:
        documents.read(json.dumps(found))
    except Malformed as e:
        message = str(e)
    else:
        message = "read"
    assert message


def test_a_file_beyond_all_bounds_is_not_parsed() -> None:
    with pytest.raises(TooLarge):
        documents.read("[" + " " * documents.FILE_CHARACTERS)
    with pytest.raises(Malformed, match="one signed document"):
        documents.from_json(documents.write(PROOF))


@given(st.text(min_size=1, max_size=128), st.binary(max_size=100))
def test_a_signed_document_comes_back_from_its_file_as_it_was(payload_type: str, payload: bytes) -> None:
    signed: Signed = ROOTS[0].sign(payload_type, payload)
    assert documents.from_json(documents.to_json(signed)) == signed
    assert set(json.loads(documents.to_json(signed))) == {"payloadType", "payload", "signatures"}


def test_inspect_shows_what_is_inside(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offer = Offer(b"", 1, 2, 3, 4, (Slice(10, 20271231, (Provenance(HANGZHOU, 20260101, 2, "x"),)),), "", b"", b"", b"")
    bodies = {"offer": SALT + codec.encode_offer(offer), "answer": SALT + codec.encode_refuse(61, b"")}
    refused = codec.encode_frame(Draft(Kind.REFUSE, True, bytes(16), bodies["answer"]), 9, 7)
    proof = replace(
        PROOF,
        offer=replace(PROOF.offer, body=bodies["offer"]),
        answer=replace(PROOF.answer, frame=refused, body=bodies["answer"]),
    )
    spoiled = first_roster(regions=(region(HANGZHOU, listed(key("a"), revoked_at_ms=1)),))
    wanted = {
        proof: ["未经核验 unchecked", "OFFER", "RELOCATION", "2/3", "20271231", "POINTS_EXPIRED", "330100 -> 330200"],
        replace(PROOF, offer=replace(PROOF.offer, body=b"")): ["withheld or erased", "2026-01-01T08:00:00+08:00"],
        PROOF: ["the body breaks a rule: a body is not a protobuf Offer", "ACCEPT", "第 number 3 条"],
        EVIDENCE: ["分叉证据", EVIDENCE.root.hex()],
        CARD: ["Hangzhou", "hz.example:7000", key(str(HANGZHOU)).id.hex()],
        sign(spoiled, ROOTS): ["已吊销 revoked 1970", "threshold 2", "dials out only", "环境 environment test"],
        (FIRST, SECOND): ["第 1 版", "第 2 版", FEDERATION],
    }
    for document, words in wanted.items():
        file.write_text(documents.write(document), "utf-8")
        assert main(["inspect", str(file)]) == 0
        shown = capsys.readouterr().out
        assert [word for word in words if word not in shown] == []


def test_a_strangers_text_cannot_move_the_cursor(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = sign_card(region(HANGZHOU, name_zh="\x1b[2J\n\u202e"), key(str(HANGZHOU)))
    file.write_text(documents.write(card), "utf-8")
    for command in ("verify", "inspect"):
        assert main([command, str(file)]) == 0
        shown = capsys.readouterr().out
        assert "\x1b" not in shown
        assert "\\u001b[2J\\u000a\\u202e" in shown


@pytest.mark.e2e
def test_the_check_needs_no_node_database_or_network(file: Path) -> None:
    file.write_text(documents.write(PROOF), "utf-8")
    script = "import sys, runpy; sys.argv[0] = 'gateway'; " + (
        "sys.modules.update(dict.fromkeys(['grpc', 'sqlalchemy', 'aiohttp', 'node', 'socket']));"
        "runpy.run_module('gateway', run_name='__main__', alter_sys=True)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, "verify", str(file), "--federation", FEDERATION],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert "全部 19 项成立" in ran.stdout.decode("utf-8")


@pytest.mark.e2e
def test_a_reader_who_has_seen_enough_gets_the_answer_and_no_traceback(file: Path) -> None:
    for document, status in ((PROOF, 0), (FALSE["another body"][0], 1)):
        file.write_text(documents.write(document), "utf-8")
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "gateway", "verify", str(file)]
        ran = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, cwd=Path(__file__).parents[2])
        os.close(writer)
        assert (ran.returncode, ran.stderr) == (status, b"")
