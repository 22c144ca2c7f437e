"""The file that proves a transfer: made by either region, believed by anyone, and by nobody once it was touched."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.protocol import codec, documents, proof
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.exhibits import TransferProof
from gateway.protocol.transfer import State
from gateway.protocol.values import Kind
from node.ledger.accounts import AccountState
from node.services.offer import Review
from node.services.proof import transfer_proof
from node.store import logs, schema
from tests.federation import Pair, TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, B, ends
from tests.services.history import eventful
from tests.services.ledger import address, order, set_state

ROOT = Path(__file__).resolve().parents[2]


def checked(file: Path, *more: str) -> int:
    """The exit status of the offline check."""
    command = [sys.executable, "-m", "gateway", "verify", *more, str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def decided(made: Pair, *, accepted: bool = True, others: int = 5) -> tuple[TestRegion, TestRegion, bytes]:
    """A transfer among others, with its answer and all receipts."""
    a, b = ends(made)
    to, nowhere = address(b, "B"), address(b, "B")
    a.do(*(order(to, 1) for _ in range(others)))
    if not accepted:
        set_state(b, "B", AccountState.FROZEN)
    placed = a.one(order(nowhere, 40))
    a.do(*(order(to, 1) for _ in range(others)))
    made.pump()
    return a, b, bytes.fromhex(placed.id)


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "refused"])
@pytest.mark.parametrize("maker", [A, B])
def test_either_region_can_prove_it_to_anyone(regions: Regions, tmp_path: Path, maker: int, accepted: bool) -> None:
    made = regions()
    _, _, id_ = decided(made, accepted=accepted)
    region = made.regions[maker]
    found = transfer_proof(region.store, region.office, id_, A)
    assert codec.decode_frame(found.answer.frame).kind == (Kind.ACCEPT if accepted else Kind.REFUSE)
    file = tmp_path / "transfer.json"
    file.write_text(documents.write(found), encoding="utf-8")
    federation = region.office.roster.federation.hex()
    assert checked(file) == checked(file, "--federation", federation) == 0
    assert checked(file, "--federation", "ab" * 32) == 1


def test_a_proof_with_any_bit_flipped_is_refused(regions: Regions, tmp_path: Path) -> None:
    made = regions()
    a, _, id_ = decided(made)
    text = documents.write(transfer_proof(a.store, a.office, id_, A))
    original = json.loads(text)
    payload = b64decode(original["payload"])
    chance = random.Random(2)
    for at in chance.sample(range(len(payload)), 500):
        damaged = bytearray(payload)
        damaged[at] ^= 1 << chance.randrange(8)
        try:
            found = documents.read(json.dumps({**original, "payload": b64encode(damaged).decode()}))
        except Malformed:
            continue
        assert isinstance(found, TransferProof)
        if not found.offer.body or not found.answer.body:
            continue  # the field's own number was hit: a body that is withheld takes nothing from a proof
        assert not proof.holds(proof.verify_transfer(found)), f"byte {at}"
    file = tmp_path / "transfer.json"
    damaged = bytearray(payload)
    damaged[len(payload) // 2] ^= 1
    file.write_text(json.dumps({**original, "payload": b64encode(damaged).decode()}), encoding="utf-8")
    assert checked(file) in (1, 2)


@pytest.mark.parametrize("maker", [A, B])
def test_every_decided_transfer_of_an_eventful_history_is_proved(maker: int) -> None:
    made = eventful(transfers=300)
    for code in made.regions:
        made.restart(code)
    region = made.regions[maker]
    t = schema.transfer
    with region.store.read() as conn:
        transfers = conn.execute(select(t.c.id, t.c.source, t.c.state, t.c.offered)).all()
    proved = 0
    for transfer in transfers:
        if transfer.state in (State.HELD, State.IN_REVIEW):
            continue
        found = transfer_proof(region.store, region.office, transfer.id, transfer.source)
        wrong = [check for check in proof.verify_transfer(found, region.office.roster.federation) if not check.ok]
        assert wrong == [], transfer
        proved += 1
    assert proved > 300


def test_an_erased_body_takes_nothing_from_the_proof(regions: Regions, tmp_path: Path) -> None:
    made = regions()
    a, _, id_ = decided(made)
    with a.store.write() as conn:
        number = conn.scalar(select(schema.transfer.c.offered).where(schema.transfer.c.id == id_))
        logs.erase_body(conn, logs.number_of(conn, A, B, 1), number or 0)
    found = transfer_proof(a.store, a.office, id_, A)
    assert found.offer.body == b""
    assert proof.holds(proof.verify_transfer(found))


# -- not yet ----------------------------------------------------------------------------------------------------------


def refused(region: TestRegion, id_: bytes, match: str, source: int = A) -> None:
    with pytest.raises(Refused, match=match):
        transfer_proof(region.store, region.office, id_, source)


def test_what_is_not_there(regions: Regions) -> None:
    made = regions()
    a, b, id_ = decided(made)
    refused(a, bytes(16), "TRANSFER_UNKNOWN")
    refused(a, id_, "TRANSFER_UNKNOWN", source=B)
    refused(b, id_, "TRANSFER_UNKNOWN", source=B)


def test_what_is_not_answered_yet(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b = ends(made)
    id_ = bytes.fromhex(a.one(order(address(b, "B"), 40)).id)
    refused(a, id_, "region 330200 has not answered yet")
    made.pump()
    refused(a, id_, "region 330200 has not answered yet")
    refused(b, id_, "a clerk of this region has not decided")


def test_what_the_peer_has_not_receipted_yet(regions: Regions) -> None:
    """B has answered; that A holds the answer it knows only by A's receipt."""
    made = regions()
    a, b = ends(made)
    id_ = bytes.fromhex(a.one(order(address(b, "B"), 40)).id)
    made.collect()
    made.deliver()
    refused(b, id_, "region 330100: its receipt has not come yet")
    made.pump()
    for region in (a, b):
        assert proof.holds(proof.verify_transfer(transfer_proof(region.store, region.office, id_, A)))


def test_what_is_decided_and_not_numbered_yet(regions: Regions) -> None:
    made = regions(review_from=40)
    a, b = ends(made)
    id_ = bytes.fromhex(a.one(order(address(b, "B"), 40)).id)
    made.pump()
    b.start()
    b.one(Review(source=A, id=id_, accept=True, by="clerk"))
    refused(b, id_, "has no number yet")
    made.restart(B)
    assert proof.holds(proof.verify_transfer(transfer_proof(b.store, b.office, id_, A)))


def test_after_a_restart_under_another_epoch(regions: Regions) -> None:
    """An own head is signed anew, over what the peer has receipted: that was never another."""
    made = regions()
    a, b, id_ = decided(made)
    made.restart(A)
    made.restart(B)
    for region in (a, b):
        assert proof.holds(proof.verify_transfer(transfer_proof(region.store, region.office, id_, A)))
