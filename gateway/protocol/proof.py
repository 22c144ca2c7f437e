"""Proofs that need nobody's word: made from a log, checked offline by anyone who knows the federation's id.

A proof holds when all its checks do. The rules are those of proto/SPEC.md; the tree's are RFC 9162, section 2.1.3 and
2.1.4.
"""

from __future__ import annotations

from gateway.protocol import codec, merkle
from gateway.protocol.checks import Check, Trust, check, head_of, holds, named_log, receipt_of, require
from gateway.protocol.exhibits import FrameProof, TransferProof
from gateway.protocol.values import Frame, Kind, Log, Signed

__all__ = ["Check", "holds", "verify_transfer", "prove_frame"]


# -- transfers --------------------------------------------------------------------------------------------------------


def verify_transfer(proof: TransferProof, federation: bytes | None = None) -> list[Check]:
    """Whether both regions' logs show the transfer and its answer, and both regions signed for it.

    `federation` is the id that the reader knows; without it the first check names the one found, for the reader to
    compare: a stranger's federation proves whatever the stranger likes.
    """
    trust = Trust(proof.rosters, federation)
    offer, answer = _Side("offer", proof.offer, trust), _Side("answer", proof.answer, trust)

    def channel() -> str:
        mine, theirs = offer.log(), answer.log()
        require(theirs == mine.opposite(), f"{named_log(theirs)} is not the log opposite to {named_log(mine)}")
        return f"{named_log(mine)}; {named_log(theirs)}"

    def same_id() -> str:
        mine, theirs = offer.frame().id, answer.frame().id
        require(mine == theirs, f"the offer is {mine.hex()}, the answer is to {theirs.hex()}")
        return mine.hex()

    def kinds() -> str:
        asked, answered = offer.frame(), answer.frame()
        require(asked.kind == Kind.OFFER, f"kind {asked.kind} is not an offer")
        require(answered.reply and answered.kind in (Kind.ACCEPT, Kind.REFUSE), f"kind {answered.kind} is no answer")
        return Kind(answered.kind).name

    def order() -> str:
        require(
            answer.frame().seen > proof.offer.number >= 0 and offer.frame().seen <= proof.answer.number,
            f"frame {proof.answer.number} had seen {answer.frame().seen} frames of the log whose frame "
            f"{proof.offer.number} it would answer",
        )
        return ""

    return [
        trust.check(),
        *offer.checks(),
        *answer.checks(),
        check("channel", channel),
        check("id", same_id),
        check("kinds", kinds),
        check("order", order),
    ]


class _Side:
    """One frame of a transfer proof."""

    def __init__(self, name: str, proof: FrameProof, trust: Trust) -> None:
        self._name, self._proof, self._trust = name, proof, trust

    def frame(self) -> Frame:
        """The frame. Raises Malformed."""
        return codec.decode_frame(self._proof.frame)

    def log(self) -> Log:
        """The log that the head speaks of. Raises Malformed."""
        return head_of(self._proof.head).log

    def checks(self) -> list[Check]:
        """Everything that can be said about this frame alone."""
        tests = {
            "head": lambda: self._trust.signed_head(self._proof.head),
            "domain": lambda: self._trust.domain(self.log()),
            "inclusion": self._inclusion,
            "body": self._body,
            "receipt": self._receipt,
            "received": self._received,
            "consistency": self._consistency,
        }
        return [check(code, test, self._name) for code, test in tests.items()]

    def _inclusion(self) -> str:
        head, proof = head_of(self._proof.head), self._proof
        leaf = merkle.leaf_hash(proof.frame)
        require(
            merkle.verify_inclusion(leaf, proof.number, head.size, proof.path, head.root),
            f"the path does not lead from this frame as number {proof.number} to the root of {head.size} frames",
        )
        return f"number {proof.number} of {head.size}"

    def _body(self) -> str:
        frame = self.frame()
        if not self._proof.body:
            return "withheld or erased; the frame itself is proved all the same"
        require(codec.commitment(self._proof.body) == frame.commitment, "another body than the frame commits to")
        return f"{len(self._proof.body)} bytes"

    def _receipt(self) -> str:
        log = receipt_of(self._proof.receipt).log
        require(log == self.log(), f"a receipt for {named_log(log)}, not for {named_log(self.log())}")
        return self._trust.signed_receipt(self._proof.receipt)

    def _received(self) -> str:
        size = receipt_of(self._proof.receipt).size
        require(size > self._proof.number, f"the receipt ends before frame {self._proof.number}, at {size}")
        return f"number {self._proof.number} of {size}"

    def _consistency(self) -> str:
        head, receipt = head_of(self._proof.head), receipt_of(self._proof.receipt)
        smaller, larger = sorted([(head.size, head.root), (receipt.size, receipt.root)], key=lambda named: named[0])
        require(
            merkle.verify_consistency(*smaller, *larger, self._proof.consistency),
            f"the log of {larger[0]} frames is not shown to have grown from the one of {smaller[0]}",
        )
        return f"{smaller[0]} .. {larger[0]}"


# -- making -----------------------------------------------------------------------------------------------------------


def prove_frame(
    nodes: merkle.Nodes, number: int, frame: bytes, body: bytes, head: Signed, receipt: Signed
) -> FrameProof:
    """The proof of frame `number` of the log that `nodes` holds, under one of the log's heads and receipts.

    Any pair of sizes above `number` will do. Raises ValueError when head or receipt ends before the frame, Malformed
    when they do not parse.
    """
    size, received = head_of(head).size, receipt_of(receipt).size
    if received <= number:
        raise ValueError(f"the receipt ends at {received}, before frame {number}: wait for the next one")
    return FrameProof(
        frame=frame,
        body=body,
        number=number,
        path=tuple(merkle.inclusion_proof(nodes, number, size)),
        head=head,
        receipt=receipt,
        consistency=tuple(merkle.consistency_proof(nodes, min(size, received), max(size, received))),
    )
