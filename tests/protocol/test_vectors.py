"""The published vectors, read as another team would read them, and then by production code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol import address, codec, merkle, suite
from gateway.protocol.errors import Malformed, PeerFault, Refused, Unauthentic
from gateway.protocol.merkle import Frontier
from gateway.protocol.transfer import Source, convert, cut_blocks
from gateway.protocol.values import Provenance, Signature, Signed
from tests.protocol import reader
from tests.protocol.reader import VECTORS, vectors

ROOT = Path(__file__).parents[2]

FRAMES, BODIES, SIGNED, TREES = (vectors(name) for name in ("frames", "bodies", "signed", "merkle"))
KEYS = {key["name"]: key for key in SIGNED["keys"]}


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"].replace(" ", "_") for case in cases])


def test_todays_code_makes_the_published_files_byte_for_byte() -> None:
    made = subprocess.run(
        [sys.executable, "proto/vectors/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_the_specification_names_every_file_and_every_file_its_section() -> None:
    text = (ROOT / "proto" / "SPEC.md").read_text("utf-8")
    files = sorted(VECTORS.glob("*.json"))
    assert files
    assert [path.name for path in files if f"`{path.name}`" not in text] == []
    assert all(vectors(path.stem)["about"].startswith("SPEC ") for path in files)


# -- frames and bodies ------------------------------------------------------------------------------------------------

NUMBERS = {
    "kind": 1, "reply": 2, "id": 3, "seen": 4, "epoch": 5, "category": 6, "amount": 7, "becomes": 8, "arriving": 9,
    "commitment": 15,
}  # fmt: skip


@named(FRAMES["frames"])
def test_a_frame_has_these_fields_and_this_leaf(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    found = dict(reader.fields(data))
    for name, number in NUMBERS.items():
        wanted = case["fields"][name]
        value: Any = found.get(number, b"" if name in ("id", "category", "becomes", "commitment") else 0)
        if name in ("category", "becomes"):
            assert value.decode() == wanted
        elif name in ("id", "commitment"):
            assert value.hex() == wanted
        else:
            assert value == int(wanted)
    assert reader.leaf(data).hex() == merkle.leaf_hash(data).hex() == case["leaf"]
    assert codec.decode_frame(data).id.hex() == case["fields"]["id"]


@named(FRAMES["refused"])
def test_these_bytes_are_no_frame(case: dict[str, Any]) -> None:
    with pytest.raises(PeerFault):
        codec.decode_frame(bytes.fromhex(case["bytes"]))


@named(BODIES["bodies"])
def test_a_body_has_this_commitment_and_these_fields(case: dict[str, Any]) -> None:
    salted = bytes.fromhex(case["salted"])
    assert reader.sha256(salted).hexdigest() == codec.commitment(salted).hex() == case["commitment"]
    body, fields = salted[16:], case["fields"]
    assert reader.one(body, 15).hex() == fields["redo"]
    if case["message"] == "Offer":
        assert reader.one(body, 1).hex() == fields["address"]
        assert [reader.one(body, n, 0) for n in (2, 3, 4, 5)] == [
            int(fields[name]) for name in ("purpose", "rate_p", "rate_q", "terms_version")
        ]
        assert [reader.one(s, 1, 0) for s in reader.many(body, 6)] == [int(s["blocks"]) for s in fields["slices"]]
        assert [len(reader.many(s, 3)) for s in reader.many(body, 6)] == [
            len(s["provenance"]) for s in fields["slices"]
        ]
        assert codec.decode_offer(salted).address.hex() == fields["address"]
    if case["message"] == "Refuse":
        assert reader.one(body, 1, 0) == codec.decode_refuse(salted) == fields["reason"]
    if case["message"] == "ReverseRequest":
        assert reader.one(body, 1) == codec.decode_reverse_request(salted) == bytes.fromhex(fields["transfer"])


@named(BODIES["refused"])
def test_this_body_is_no_offer(case: dict[str, Any]) -> None:
    with pytest.raises(PeerFault):
        codec.decode_offer(bytes.fromhex(case["salted"]))


# -- signed messages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYS)
def test_a_key_follows_from_its_seed_and_its_hint_from_the_key(name: str) -> None:
    given = KEYS[name]
    made = suite.SigningKey.from_seed(bytes.fromhex(given["seed"]))
    assert (made.public_key.hex(), made.id.hex()) == (given["public_key"], given["key_id"])
    assert reader.key_id(made.public_key).hex() == given["key_id"]


@named(SIGNED["signed"])
def test_a_signed_message_verifies_over_these_bytes(case: dict[str, Any]) -> None:
    key, payload = KEYS[case["signer"]], bytes.fromhex(case["payload"])
    public_key = bytes.fromhex(key["public_key"])
    assert reader.pae(case["payload_type"], payload).hex() == case["pae"]
    assert reader.is_signed(public_key, case["payload_type"], payload, bytes.fromhex(case["signature"]))
    whole = bytes.fromhex(case["bytes"])
    assert reader.one(whole, 1).decode() == case["payload_type"]
    assert reader.one(whole, 2) == payload
    (signature,) = reader.many(whole, 3)
    assert [reader.one(signature, n) for n in (1, 2, 3)] == [
        bytes.fromhex(key["key_id"]), key["suite"].encode(), bytes.fromhex(case["signature"]),
    ]  # fmt: skip
    log = case["fields"]["log"]
    of_log = reader.one(payload, 1)
    assert (reader.one(of_log, 1).hex(), reader.one(of_log, 2).decode()) == (log["federation"], log["environment"])
    assert [reader.one(of_log, n) for n in (3, 4, 5)] == [log["source"], log["destination"], log["generation"]]
    signed = codec.decode_signed(whole)
    verify_key = suite.VerifyKey(suite=key["suite"], public_key=public_key)
    assert suite.verify(signed, [verify_key], case["payload_type"]) == payload
    value = codec.decode_payload(signed.payload_type, payload)
    assert codec.encode_payload(value) == payload


@named(SIGNED["must_not_verify"])
def test_a_changed_message_does_not_verify(case: dict[str, Any]) -> None:
    signature = Signature(
        key_id=bytes.fromhex(case["key_id"]), suite=case["suite"], signature=bytes.fromhex(case["signature"])
    )
    signed = Signed(payload_type=case["payload_type"], payload=bytes.fromhex(case["payload"]), signatures=(signature,))
    key = KEYS[case["signer"]]
    verify_key = suite.VerifyKey(suite=key["suite"], public_key=bytes.fromhex(key["public_key"]))
    with pytest.raises(Unauthentic):
        suite.verify(signed, [verify_key], codec.HEAD)


def test_the_federations_id_is_the_hash_of_its_first_roster() -> None:
    federation = reader.sha256(bytes.fromhex(SIGNED["first_roster"]["payload"])).hexdigest()
    assert {case["fields"]["log"]["federation"] for case in SIGNED["signed"]} == {federation}


# -- trees ------------------------------------------------------------------------------------------------------------

LEAVES = [bytes.fromhex(value) for value in TREES["leaves"]]
ROOTS = [bytes.fromhex(value) for value in TREES["roots"]]


def hashes(values: list[str]) -> list[bytes]:
    return list(map(bytes.fromhex, values))


def test_roots_follow_from_their_definition() -> None:
    assert [reader.leaf(b"frame %d" % n) for n in range(len(LEAVES))] == LEAVES
    assert [reader.root(LEAVES[:size]) for size in range(len(ROOTS))] == ROOTS
    assert ROOTS[0] == merkle.EMPTY_ROOT


def test_a_log_grown_in_batches_has_these_peaks_and_roots() -> None:
    frontier = Frontier()
    for batch in TREES["batches"]:
        frontier = frontier.extend(LEAVES[frontier.size : frontier.size + batch["count"]])
        assert (frontier.size, frontier.root()) == (batch["size"], ROOTS[batch["size"]])
        assert list(frontier.peaks) == hashes(batch["peaks"])
        assert frontier.root().hex() == batch["root"]


def test_proofs_are_those_of_the_rfc_and_verify() -> None:
    for case in TREES["inclusion"]:
        index, size, path = case["index"], case["size"], hashes(case["path"])
        assert reader.path(index, LEAVES[:size]) == path
        assert merkle.verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])
    for case in TREES["consistency"]:
        first, second, path = case["first"], case["second"], hashes(case["path"])
        assert reader.growth(first, LEAVES[:second]) == path
        assert merkle.verify_consistency(first, ROOTS[first], second, ROOTS[second], path)


@named(TREES["must_not_verify"])
def test_a_false_proof_does_not_verify(case: dict[str, Any]) -> None:
    path = hashes(case["path"])
    if "index" in case:
        leaf, root = hashes([case["leaf"], case["root"]])
        assert not merkle.verify_inclusion(leaf, case["index"], case["size"], path, root)
    else:
        first_root, second_root = hashes([case["first_root"], case["second_root"]])
        assert not merkle.verify_consistency(case["first"], first_root, case["second"], second_root, path)


# -- points -----------------------------------------------------------------------------------------------------------

CONVERSION, BLOCKS, ADDRESSES = vectors("conversion"), vectors("blocks"), vectors("addresses")


@pytest.mark.parametrize("case", CONVERSION["conversions"])
def test_so_much_leaves_and_so_much_arrives(case: dict[str, Any]) -> None:
    x, p, q = int(case["amount"]), int(case["rate_p"]), int(case["rate_q"])
    k = x // q
    if "refused" in case:
        assert k < 1 or x >= 2**63 or k * p >= 2**63
        with pytest.raises(Refused) as refusal:
            convert(x, p, q)
        assert refusal.value.reason.name == case["refused"]
    else:
        wanted = {name: int(value) for name, value in case["gives"].items()}
        assert wanted == {"blocks": k, "leaving": k * q, "arriving": k * p, "remainder": x - k * q}
        assert convert(x, p, q)._asdict() == wanted


@named(BLOCKS["cases"])
def test_lots_give_these_slices(case: dict[str, Any]) -> None:
    lots = [
        Source(lot["lot"], int(lot["units"]), lot["expires"], tuple(Provenance(**p) for p in lot["provenance"]))
        for lot in case["lots"]
    ]
    blocks, q = int(case["blocks"]), int(case["rate_q"])
    if "refused" in case:
        with pytest.raises(Refused) as refusal:
            cut_blocks(lots, blocks, q)
        assert refusal.value.reason.name == case["refused"]
        return
    assert reader.slices(case["lots"], blocks, q) == case["slices"]
    made, takes = cut_blocks(lots, blocks, q)
    assert [(s.blocks, s.expires) for s in made] == [(int(s["blocks"]), s["expires"]) for s in case["slices"]]
    assert takes == [(take["lot"], int(take["units"])) for take in case["takes"]]
    assert sum(units for _, units in takes) == blocks * q


@pytest.mark.parametrize("case", [*ADDRESSES["valid"], *ADDRESSES["forgiven"]], ids=lambda case: case["text"])
def test_an_address_names_a_region_and_an_alias(case: dict[str, Any]) -> None:
    assert reader.why_no_address(case["text"]) == ""
    assert reader.alias(case["text"]).hex() == case["alias"]
    assert address.read(case["text"]) == (case["region"], bytes.fromhex(case["alias"]))


@pytest.mark.parametrize("case", ADDRESSES["valid"], ids=lambda case: case["text"])
def test_an_address_is_written_like_this(case: dict[str, Any]) -> None:
    assert address.write(address.Address(case["region"], bytes.fromhex(case["alias"]))) == case["text"]


@pytest.mark.parametrize("case", ADDRESSES["invalid"], ids=lambda case: f"{case['why']}: {case['text']}")
def test_a_wrong_address_is_refused(case: dict[str, Any]) -> None:
    assert reader.why_no_address(case["text"]) == case["why"]
    with pytest.raises(Malformed):
        address.read(case["text"])
