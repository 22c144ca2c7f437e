"""Between bytes and the exhibits that are shown to somebody who was not there (proof.proto)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.protocol import codec
from gateway.protocol.errors import Malformed
from gateway.protocol.exhibits import ForkEvidence, FrameProof, ReceiptEvidence, RepairProof, TransferProof
from gateway.v1 import proof_pb2

TRANSFER_PROOF = "application/vnd.hutong.transfer-proof.v1"
FORK_EVIDENCE = "application/vnd.hutong.fork-evidence.v1"
RECEIPT_EVIDENCE = "application/vnd.hutong.receipt-evidence.v1"
REPAIR_PROOF = "application/vnd.hutong.repair-proof.v1"

Bundle = TransferProof | ForkEvidence | ReceiptEvidence | RepairProof
"""What a file holds that is made of signed parts and not signed as a whole."""


def type_of(bundle: Bundle) -> str:
    """What its file says that it is."""
    match bundle:
        case TransferProof():
            return TRANSFER_PROOF
        case ForkEvidence():
            return FORK_EVIDENCE
        case ReceiptEvidence():
            return RECEIPT_EVIDENCE
        case RepairProof():
            return REPAIR_PROOF


def encode(bundle: Bundle) -> tuple[str, bytes]:
    """Its type and its bytes."""
    match bundle:
        case TransferProof():
            return TRANSFER_PROOF, encode_transfer_proof(bundle)
        case ForkEvidence():
            return FORK_EVIDENCE, encode_fork_evidence(bundle)
        case ReceiptEvidence():
            return RECEIPT_EVIDENCE, encode_receipt_evidence(bundle)
        case RepairProof():
            return REPAIR_PROOF, encode_repair_proof(bundle)


def decode(kind: str, data: bytes) -> Bundle | None:
    """What somebody offers as such a bundle; nothing is verified here. None for a type that is not known.

    Raises Malformed.
    """
    return _DECODERS[kind](data) if kind in _DECODERS else None


def encode_transfer_proof(proof: TransferProof) -> bytes:
    """A transfer proof as bytes."""
    return proof_pb2.TransferProof(
        offer=_frame_proof(proof.offer),
        answer=_frame_proof(proof.answer),
        rosters=map(codec.signed_message, proof.rosters),
    ).SerializeToString(deterministic=True)


def decode_transfer_proof(data: bytes) -> TransferProof:
    """What somebody offers as a proof; nothing is verified here. Raises Malformed."""
    m = codec.parse(proof_pb2.TransferProof, data)
    return TransferProof(
        offer=_unframe_proof(m.offer, "offer"),
        answer=_unframe_proof(m.answer, "answer"),
        rosters=tuple(map(codec.signed_value, m.rosters)),
    )


def encode_fork_evidence(evidence: ForkEvidence) -> bytes:
    """Evidence of a fork as bytes."""
    return proof_pb2.ForkEvidence(
        one=codec.signed_message(evidence.one),
        other=codec.signed_message(evidence.other),
        size=evidence.size,
        root=evidence.root,
        consistency=evidence.consistency,
        rosters=map(codec.signed_message, evidence.rosters),
    ).SerializeToString(deterministic=True)


def decode_fork_evidence(data: bytes) -> ForkEvidence:
    """What somebody offers as evidence; nothing is verified here. Raises Malformed."""
    m = codec.parse(proof_pb2.ForkEvidence, data)
    if not m.HasField("one") or not m.HasField("other"):
        raise Malformed("the evidence lacks one of its two heads: ask for it again")
    return ForkEvidence(
        one=codec.signed_value(m.one),
        other=codec.signed_value(m.other),
        size=m.size,
        root=m.root,
        consistency=tuple(m.consistency),
        rosters=tuple(map(codec.signed_value, m.rosters)),
    )


def encode_receipt_evidence(evidence: ReceiptEvidence) -> bytes:
    """Evidence against a receipt as bytes."""
    return proof_pb2.ReceiptEvidence(
        receipt=codec.signed_message(evidence.receipt),
        head=codec.signed_message(evidence.head),
        root=evidence.root,
        consistency=evidence.consistency,
        rosters=map(codec.signed_message, evidence.rosters),
    ).SerializeToString(deterministic=True)


def decode_receipt_evidence(data: bytes) -> ReceiptEvidence:
    """What somebody offers as evidence; nothing is verified here. Raises Malformed."""
    m = codec.parse(proof_pb2.ReceiptEvidence, data)
    if not m.HasField("receipt") or not m.HasField("head"):
        raise Malformed("the evidence lacks its receipt or its head: ask for it again")
    return ReceiptEvidence(
        receipt=codec.signed_value(m.receipt),
        head=codec.signed_value(m.head),
        root=m.root,
        consistency=tuple(m.consistency),
        rosters=tuple(map(codec.signed_value, m.rosters)),
    )


def encode_repair_proof(proof: RepairProof) -> bytes:
    """A repair with its evidence as bytes."""
    return proof_pb2.RepairProof(
        repair=codec.signed_message(proof.repair),
        evidence=proof.evidence,
        rosters=map(codec.signed_message, proof.rosters),
    ).SerializeToString(deterministic=True)


def decode_repair_proof(data: bytes) -> RepairProof:
    """What somebody offers as a repair; nothing is verified here. Raises Malformed."""
    m = codec.parse(proof_pb2.RepairProof, data)
    if not m.HasField("repair"):
        raise Malformed("the file lacks the repair itself: ask for it again")
    rosters = tuple(map(codec.signed_value, m.rosters))
    return RepairProof(repair=codec.signed_value(m.repair), evidence=m.evidence, rosters=rosters)


def _frame_proof(proof: FrameProof) -> proof_pb2.FrameProof:
    return proof_pb2.FrameProof(
        frame=proof.frame,
        body=proof.body,
        number=proof.number,
        path=proof.path,
        head=codec.signed_message(proof.head),
        receipt=codec.signed_message(proof.receipt),
        consistency=proof.consistency,
    )


def _unframe_proof(m: proof_pb2.FrameProof, name: str) -> FrameProof:
    if not m.HasField("head") or not m.HasField("receipt"):
        raise Malformed(f"the proof of the {name} lacks its head or its receipt: ask for the proof again")
    return FrameProof(
        frame=m.frame,
        body=m.body,
        number=m.number,
        path=tuple(m.path),
        head=codec.signed_value(m.head),
        receipt=codec.signed_value(m.receipt),
        consistency=tuple(m.consistency),
    )


_DECODERS: Mapping[str, Callable[[bytes], Bundle]] = {
    TRANSFER_PROOF: decode_transfer_proof,
    FORK_EVIDENCE: decode_fork_evidence,
    RECEIPT_EVIDENCE: decode_receipt_evidence,
    REPAIR_PROOF: decode_repair_proof,
}
