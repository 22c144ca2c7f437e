"""A peer that contradicts itself or this region: what is kept of it, and what everybody else sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol import codec, contradictions, documents, merkle
from gateway.protocol.channel import Condition
from gateway.protocol.errors import Malformed
from gateway.protocol.exhibits import ForkEvidence, ReceiptEvidence
from gateway.protocol.values import Delivered, Epoch, Fault, NotReady, Receipt
from node.services.forks import evidence
from tests.federation import TestRegion, signing_key
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C, alias_of, ends
from tests.services.ledger import address, forge, ledger, offer, order, points, resident, rows
from tests.services.test_contradictions import checked, condition


def stored(region: TestRegion, peer: int) -> list[evidence.Stored]:
    with region.store.read() as conn:
        return evidence.listing(conn, peer)


def shown(region: TestRegion, peer: int, tmp_path: Path) -> dict[str, Any]:
    """What a stranger who knows the federation's id is told of the one file that was kept."""
    (kept,) = stored(region, peer)
    file = tmp_path / "evidence.json"
    file.write_bytes(kept.file)
    return checked(file, "--federation", region.office.roster.federation.hex())


def receipt(a: TestRegion, signer: Any, size: int, root: bytes, epoch: Epoch | None = None) -> Delivered:
    """B's receipt over A's log, whatever B holds."""
    channel = a.writer.channels[B]
    value = Receipt(log=channel.out, epoch=epoch or channel.epoch, size=size, root=root, received_at_ms=a.clock())
    return Delivered(receipt=signer.sign(codec.RECEIPT, codec.encode_payload(value)), credit_size=1)


# -- heads ------------------------------------------------------------------------------------------------------------


def test_a_beginning_that_no_log_can_have_convicts_its_signer_by_one_head(regions: Regions, tmp_path: Path) -> None:
    """`first` counts as a size, and the root of no frames is known to everybody."""
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    assert b.hear(A, forge(a, B, [offer(to, 10)], first_root=b"\x01" * 32)) == [NotReady()]
    assert condition(b, A) is Condition.QUARANTINED
    said = shown(b, A, tmp_path)
    assert said["holds"]
    assert f"{A}" in said["en"]
    assert "contradicted itself" in said["en"]


def test_held_frames_that_were_altered_under_a_good_head_are_no_fork(regions: Regions) -> None:
    """The signed root covers what an envelope repeats, too: somebody on the way altered it, and it is not taken."""
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    first, second = offer(to, 10), offer(to, 11, id_=b"another transfer")
    b.hear(A, forge(a, B, [first]))
    both = forge(a, B, [first, second])
    lie = forge(a, B, [offer(to, 90, id_=b"never said by it")])
    before = rows(b)
    (fault,) = b.hear(A, replace(both, frames=(lie.frames[0], both.frames[1]), bodies=(lie.bodies[0], both.bodies[1])))
    assert isinstance(fault, Fault)
    assert "do not lead to the signed root" in fault.what
    assert rows(b) == before
    b.hear(A, both)
    assert points(b, "B") == (0, 0, 21)


def test_a_fork_across_a_fence_stops_the_channel_and_accuses_nobody(regions: Regions, tmp_path: Path) -> None:
    """Heads of two epochs may differ where the fence took frames back; only the two regions know what it left."""
    made = regions()
    a, b = ends(made)
    to = alias_of(address(b, "B"))
    b.hear(A, forge(a, B, [offer(to, 10)]))
    b.writer._books.channels[A] = replace(b.writer._books.channels[A], peer_epoch=Epoch(2**60, 7))
    b.hear(A, forge(a, B, [offer(to, 90, id_=b"a lie, later on.")], epoch=Epoch(2**60, 7)))
    assert condition(b, A) is Condition.QUARANTINED
    said = shown(b, A, tmp_path)
    assert not said["holds"]
    assert [check["code"] for check in said["checks"] if not check["ok"]] == ["same"]


# -- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_for_another_root_is_kept_and_stops_that_channel_only(regions: Regions, tmp_path: Path) -> None:
    made = regions((A, B, C))
    a, b = ends(made)
    resident(made.regions[C], "C")
    a.do(order(address(b, "B"), 10), order(address(b, "B"), 20))
    before = ledger(a)
    a.hear(B, receipt(a, b.office.signing_key, 1, b"\x02" * 32))
    assert condition(a, B) is Condition.QUARANTINED
    assert ledger(a) == before
    said = shown(a, B, tmp_path)
    assert said["holds"]
    assert f"{B}" in said["en"]
    assert "other first 1 frames" in said["en"]
    assert isinstance(evidence.read(stored(a, B)[0].file), ReceiptEvidence)

    a.start()
    assert condition(a, B) is Condition.QUARANTINED
    made.restart(A)
    a.one(order(address(made.regions[C], "C"), 30))
    made.pump()
    assert points(made.regions[C], "C") == (30, 0, 0)
    assert points(b, "B") == (0, 0, 0)


def test_a_receipt_for_a_size_never_sealed_makes_nothing_final_and_proves_nothing(regions: Regions) -> None:
    """It may be this region that has forgotten: it asks its peer anew instead of accusing it."""
    made = regions()
    a, b = ends(made)
    a.one(order(address(b, "B"), 10))
    before = ledger(a)
    a.hear(B, receipt(a, b.office.signing_key, 9, b"\x02" * 32))
    assert ledger(a) == before
    assert a.writer.channels[B].final == 0
    assert stored(a, B) == []
    assert condition(a, B) is not Condition.QUARANTINED


def test_a_receipt_of_an_older_epoch_accuses_nobody(regions: Regions) -> None:
    """It may be for what the fence took back."""
    made = regions()
    a, b = ends(made)
    old = a.writer.channels[B].epoch
    made.restart(A)
    a.one(order(address(b, "B"), 10))
    a.hear(B, receipt(a, b.office.signing_key, 1, b"\x02" * 32, old))
    assert stored(a, B) == []
    made.pump()
    assert points(b, "B") == (10, 0, 0)


def test_a_receipt_that_another_region_signed_is_not_heard(regions: Regions) -> None:
    made = regions((A, B, C))
    a, b = ends(made)
    a.one(order(address(b, "B"), 10))
    with pytest.raises(Exception, match="no valid key"):
        a.hear(B, receipt(a, signing_key(C), 1, b"\x02" * 32))
    assert condition(a, B) is Condition.OPEN


# -- false accusations ------------------------------------------------------------------------------------------------


def true_evidence(regions: Regions) -> tuple[TestRegion, ForkEvidence]:
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    b.hear(A, forge(a, B, [offer(to, 10)]))
    b.hear(A, forge(a, B, [offer(to, 90, id_=b"a lie, later on.")]))
    found = evidence.read(stored(b, A)[0].file)
    assert isinstance(found, ForkEvidence)
    return b, found


def test_a_false_accusation_does_not_hold(regions: Regions, tmp_path: Path) -> None:
    """Nobody can be accused with one true head and one of the accuser's own making."""
    b, true = true_evidence(regions)
    forged = b.office.signing_key.sign(codec.HEAD, true.one.payload)
    for false in (
        replace(true, one=forged),
        replace(true, other=true.one),
        replace(true, size=true.size + 1),
        replace(true, rosters=()),
    ):
        assert not all(check.ok for check in contradictions.verify(false, b.office.roster.federation))
        assert contradictions.in_words(false, contradictions.verify(false)) is None
        file = tmp_path / "false.json"
        file.write_text(documents.write(false), "utf-8")
        assert not checked(file)["holds"]


def test_a_true_receipt_accuses_nobody(regions: Regions) -> None:
    """A region that makes a file of its peer's good receipt and its own head shows that both agree."""
    made = regions()
    a, b = ends(made)
    a.one(order(address(b, "B"), 10))
    made.pump()
    channel = a.writer.channels[B]
    signed = receipt(a, b.office.signing_key, channel.size, channel.out_frontier.root()).receipt
    with a.store.read() as conn:
        rosters = evidence.rosters(conn)
    head = forge(a, B, [offer(b"x" * 10)]).head
    false = contradictions.receipt_evidence(signed, head, _Both(a), rosters)
    failing = [check.code for check in contradictions.verify(false, a.office.roster.federation) if not check.ok]
    assert failing == ["denied"]
    with pytest.raises(Malformed):
        evidence.read(b'{"type": "x", "payload": ""}')


class _Both:
    """The tree of A's log and one frame more, whose leaves are all that is asked for."""

    def __init__(self, a: TestRegion) -> None:
        frames = [*rows(a, "segment")["segment"]]
        mine = a.writer._books.logs[A, B]
        self._leaves = [
            codec.unpack_frames(packed)[0] for log, _, _, _, _, packed, *_ in sorted(frames) if log == mine
        ] + [*forge(a, B, [offer(b"x" * 10)]).frames]

    def node(self, level: int, index: int) -> bytes:
        first = index << level
        return merkle.Frontier().extend(merkle.leaf_hashes(self._leaves[first : first + (1 << level)])).root()
