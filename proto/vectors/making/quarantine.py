"""Receipts that deny a log, heads that stand against themselves, and repairs: what holds, and what must not."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

from gateway.protocol import contradictions, documents, merkle
from gateway.protocol.exhibits import ForkEvidence, ReceiptEvidence, RepairProof
from gateway.protocol.values import Repair, Signed
from making.ground import EPOCH_OF, HANGZHOU, NINGBO, ROSTER_1, book, sign

_LATER = EPOCH_OF[HANGZHOU]._replace(number=EPOCH_OF[HANGZHOU].number + 1)


def _receipt(**changes: Any) -> Signed:
    """Ningbo's, over the first six frames, with another root than Hangzhou's."""
    true = book(HANGZHOU, NINGBO).receipt(6)
    return sign(NINGBO, replace(true, root=b"\x06" * 32, **changes))


def denial(receipt: Signed | None = None, **head: Any) -> ReceiptEvidence:
    """Ningbo receipts six frames that are not those of Hangzhou's log of eight."""
    there = book(HANGZHOU, NINGBO)
    return contradictions.receipt_evidence(
        receipt or _receipt(), sign(HANGZHOU, there.head(0, 8, **head)), there.tree, [ROSTER_1]
    )


def beginning() -> ForkEvidence:
    """One head that names a root of its own for no frames at all: it stands against itself."""
    there = book(HANGZHOU, NINGBO)
    head = sign(HANGZHOU, there.head(0, 4, first_root=b"\x01" * 32))
    return ForkEvidence(one=head, other=head, size=0, root=merkle.EMPTY_ROOT, consistency=(), rosters=(ROSTER_1,))


def _repair(**changes: Any) -> RepairProof:
    """Both stand by four frames; Ningbo holds six; about the denial above."""
    there, about = book(HANGZHOU, NINGBO), documents.write(denial()).encode()
    value = Repair(
        log=there.log,
        size=4,
        root=there.tree.root(4),
        evidence=sha256(about).digest(),
        holds_size=6,
        holds_root=b"\x06" * 32,
    )
    value = replace(value, **changes)
    mine, theirs = sign(HANGZHOU, value), sign(NINGBO, value)
    return RepairProof(
        repair=replace(mine, signatures=mine.signatures + theirs.signatures), evidence=about, rosters=(ROSTER_1,)
    )


def exhibits() -> list[tuple[str, ForkEvidence | ReceiptEvidence | RepairProof]]:
    """All of them by name."""
    there, true, signed = book(HANGZHOU, NINGBO), denial(), _repair()
    alone = replace(signed.repair, signatures=signed.repair.signatures[:1])
    return [
        ("a head whose log begins with something before nothing", beginning()),
        ("a receipt that denies a log", true),
        ("a receipt that denies the very size of the head", denial(_receipt(size=8))),
        ("a true receipt", denial(sign(NINGBO, there.receipt(6)))),
        ("a receipt for more than the head covers", denial(_receipt(size=9))),
        ("a receipt of another epoch", denial(_receipt(epoch=_LATER))),
        ("a receipt that the accuser signed", replace(true, receipt=sign(HANGZHOU, there.receipt(6, root=bytes(32))))),
        ("a root that the head is not shown to make of the receipt's size", replace(true, root=bytes(32))),
        ("a repair that both have signed", signed),
        ("the same, without the evidence", replace(signed, evidence=b"")),
        ("a repair that the source alone has signed", replace(signed, repair=alone)),
        ("a repair shown with other evidence", replace(signed, evidence=b"{}")),
        ("a repair by which more stands than is held", _repair(size=7)),
        ("a repair with two roots for one size", _repair(size=6)),
    ]
