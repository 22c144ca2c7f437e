"""What is shown to somebody who was not there: the values of proof.proto. Made and checked in proof.py."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.values import Signed


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameProof:
    """One frame of a log, with what proves that its source put it there and its destination holds it."""

    frame: bytes
    body: bytes  # salted; empty when withheld or erased
    number: int
    path: tuple[bytes, ...]  # from the frame's leaf to the root of `head`
    head: Signed
    receipt: Signed
    consistency: tuple[bytes, ...]  # from the smaller to the larger of the sizes of head and receipt


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferProof:
    """A transfer in the logs of both regions: its offer in one, its answer in the other."""

    offer: FrameProof
    answer: FrameProof
    rosters: tuple[Signed, ...]  # from version 1 to the one that lists the keys used


@dataclass(frozen=True, kw_only=True, slots=True)
class ForkEvidence:
    """Two signed heads of one log and epoch that cannot both be true: they make different roots of one size."""

    one: Signed  # names a root for `size`: as its `first` or as its `size`
    other: Signed
    size: int
    root: bytes  # what `other` makes of `size`: named by it, or led to it by `consistency`
    consistency: tuple[bytes, ...]
    rosters: tuple[Signed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiptEvidence:
    """A receipt and a head of one log and epoch that cannot both be true: they make different roots of one size."""

    receipt: Signed  # by the log's destination
    head: Signed  # by its source
    root: bytes  # what `head` makes of the receipt's size: named by it, or led to it by `consistency`
    consistency: tuple[bytes, ...]
    rosters: tuple[Signed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RepairProof:
    """What both regions signed to leave a quarantine, and the evidence file that it names."""

    repair: Signed  # with a signature of each
    evidence: bytes  # the file; empty when it is not shown
    rosters: tuple[Signed, ...]
