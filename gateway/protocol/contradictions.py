"""Evidence that two signed statements cannot both be true, and the repair that two regions sign after it.

Made here and checked offline (SPEC section 9.2 to 9.4). A false accusation does not hold: whoever makes one cannot
forge the signature of the accused.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from gateway.protocol import merkle
from gateway.protocol.channel import Fork
from gateway.protocol.checks import (
    Check,
    Trust,
    check,
    head_of,
    holds,
    named_log,
    named_region,
    receipt_of,
    repair_of,
    require,
)
from gateway.protocol.exhibits import ForkEvidence, ReceiptEvidence, RepairProof
from gateway.protocol.values import Epoch, Head, Log, Signed

Evidence = ForkEvidence | ReceiptEvidence
"""What a channel is put in quarantine for."""

# -- forks ------------------------------------------------------------------------------------------------------------


def verify_fork(evidence: ForkEvidence, federation: bytes | None = None) -> list[Check]:
    """Whether the source of a log has signed two heads that cannot both be true. `federation` is the id that the
    reader knows; without it the first check names the one found."""
    trust = Trust(evidence.rosters, federation)

    def first() -> str:
        require(bool(_named(head_of(evidence.one), evidence.size)), f"it names no root for size {evidence.size}")
        return f"size {evidence.size}"

    def second() -> str:
        other = head_of(evidence.other)
        _require_led(other, evidence.size, evidence.root, evidence.consistency)
        roots = _named(head_of(evidence.one), evidence.size)
        require(bool(roots - {evidence.root}), "both make the same root of it: they do not contradict each other")
        return f"{evidence.root.hex()} instead of {min(roots - {evidence.root}).hex()}"

    def same() -> str:
        one, other = head_of(evidence.one), head_of(evidence.other)
        return _require_same(one.log, one.epoch, other.log, other.epoch)

    return [
        trust.check(),
        check("one", lambda: trust.signed_head(evidence.one)),
        check("other", lambda: trust.signed_head(evidence.other)),
        check("domain", lambda: trust.domain(head_of(evidence.one).log)),
        check("same", same),
        check("first", first),
        check("second", second),
    ]


def fork_evidence(
    fork: Fork, new: Signed, stored: Signed | None, nodes: merkle.Nodes, rosters: Sequence[Signed]
) -> ForkEvidence:
    """The evidence for a fork found in the peer's head `new`, against the last one `stored` with my copy of its log.

    `nodes` are of that copy. A head that names a root of its own for size 0 stands against itself, whatever is stored.
    Raises Malformed when a head does not parse.
    """
    path: tuple[bytes, ...] = ()
    if fork.size == 0 or stored is None:
        stored = new
    elif _named(head_of(new), fork.size):
        path = tuple(merkle.consistency_proof(nodes, fork.size, head_of(stored).size))
    else:
        return _evidence(stored, new, fork.size, fork.theirs, fork.consistency, rosters)
    return _evidence(new, stored, fork.size, fork.mine, path, rosters)


def _evidence(
    one: Signed, other: Signed, size: int, root: bytes, consistency: tuple[bytes, ...], rosters: Sequence[Signed]
) -> ForkEvidence:
    return ForkEvidence(one=one, other=other, size=size, root=root, consistency=consistency, rosters=tuple(rosters))


def _named(head: Head, size: int) -> set[bytes]:
    """The roots that a head itself names for a size."""
    return {root for at, root in ((head.first, head.first_root), (head.size, head.root)) if at == size}


def _require_led(head: Head, size: int, root: bytes, consistency: Sequence[bytes]) -> None:
    led_to = root in _named(head, size) or merkle.verify_consistency(size, root, head.size, head.root, consistency)
    require(led_to, f"it is not shown to make {root.hex()} of size {size}")


def _require_same(one: Log, epoch: Epoch, other: Log, other_epoch: Epoch) -> str:
    require(one == other, f"{named_log(one)} and {named_log(other)} are different logs")
    require(epoch == other_epoch, f"epochs {epoch.number} and {other_epoch.number}: the fence decides")
    return f"{named_log(one)}, epoch {epoch.number}"


# -- receipts that deny a log -----------------------------------------------------------------------------------------


def verify_receipt(evidence: ReceiptEvidence, federation: bytes | None = None) -> list[Check]:
    """Whether a receipt of a log's destination and a head of its source, of one epoch, cannot both be true."""
    trust = Trust(evidence.rosters, federation)

    def same() -> str:
        receipt, head = receipt_of(evidence.receipt), head_of(evidence.head)
        return _require_same(receipt.log, receipt.epoch, head.log, head.epoch)

    def denied() -> str:
        receipt, head = receipt_of(evidence.receipt), head_of(evidence.head)
        require(
            receipt.size <= head.size,
            f"the head ends at {head.size}, so it says nothing about the {receipt.size} frames of the receipt: "
            f"region {receipt.log.destination} has to show the head that brought them",
        )
        _require_led(head, receipt.size, evidence.root, evidence.consistency)
        require(evidence.root != receipt.root, "both make the same root of it: they do not contradict each other")
        return f"{receipt.root.hex()} instead of {evidence.root.hex()} for size {receipt.size}"

    return [
        trust.check(),
        check("receipt", lambda: trust.signed_receipt(evidence.receipt)),
        check("head", lambda: trust.signed_head(evidence.head)),
        check("domain", lambda: trust.domain(receipt_of(evidence.receipt).log)),
        check("same", same),
        check("denied", denied),
    ]


def receipt_evidence(receipt: Signed, head: Signed, nodes: merkle.Nodes, rosters: Sequence[Signed]) -> ReceiptEvidence:
    """The evidence that a peer's receipt denies my log, against a head of mine of the same epoch. `nodes` are mine.

    A receipt for more than the head covers is kept with it, and proves nothing by itself. Raises Malformed.
    """
    size, mine = receipt_of(receipt).size, head_of(head)
    if size > mine.size:
        root, path = mine.root, tuple[bytes, ...]()
    else:
        root = mine.root if size == mine.size else merkle.root_at(nodes, size)
        path = tuple(merkle.consistency_proof(nodes, size, mine.size))
    return ReceiptEvidence(receipt=receipt, head=head, root=root, consistency=path, rosters=tuple(rosters))


# -- repairs ----------------------------------------------------------------------------------------------------------


def verify_repair(proof: RepairProof, federation: bytes | None = None) -> list[Check]:
    """Whether both regions of a log have signed how it goes on, and the evidence shown is what they signed about."""
    trust = Trust(proof.rosters, federation)

    def prefix() -> str:
        repair = repair_of(proof.repair)
        require(repair.size <= repair.holds_size, f"{repair.size} frames of {repair.holds_size} that are held")
        require(repair.size < repair.holds_size or repair.root == repair.holds_root, "two roots are named for one size")
        disowned = repair.holds_size - repair.size
        return f"both stand by {repair.size} frames; the log goes on at {repair.holds_size}; disowned: {disowned}"

    def evidence() -> str:
        repair = repair_of(proof.repair)
        if not proof.evidence:
            return f"withheld; it has the SHA-256 {repair.evidence.hex()}"
        found = sha256(proof.evidence).digest()
        require(found == repair.evidence, f"the file has the SHA-256 {found.hex()}, not {repair.evidence.hex()}")
        return f"SHA-256 {found.hex()}"

    return [
        trust.check(),
        check("source", lambda: trust.signed_repair(proof.repair, repair_of(proof.repair).log.source)),
        check("destination", lambda: trust.signed_repair(proof.repair, repair_of(proof.repair).log.destination)),
        check("domain", lambda: trust.domain(repair_of(proof.repair).log)),
        check("prefix", prefix),
        check("evidence", evidence),
    ]


# -- in words ---------------------------------------------------------------------------------------------------------


def verify(document: Evidence | RepairProof, federation: bytes | None = None) -> list[Check]:
    """The checks of any of them."""
    match document:
        case ForkEvidence():
            return verify_fork(document, federation)
        case ReceiptEvidence():
            return verify_receipt(document, federation)
        case RepairProof():
            return verify_repair(document, federation)


def log_of(evidence: Evidence) -> Log:
    """The log about which it is. Raises Malformed."""
    return head_of(evidence.one).log if isinstance(evidence, ForkEvidence) else receipt_of(evidence.receipt).log


def in_words(document: Evidence | RepairProof, checks: Sequence[Check]) -> tuple[str, str] | None:
    """What a document that holds says, in Chinese and in English: who contradicted whom about what. None otherwise."""
    if not holds(checks):
        return None
    roster = Trust(document.rosters, None).roster()
    log = repair_of(document.repair).log if isinstance(document, RepairProof) else log_of(document)
    source, destination = (named_region(roster.region(code)) for code in (log.source, log.destination))
    match document:
        case ForkEvidence(size=size):
            epoch = head_of(document.one).epoch.number
            return (
                f"{source} 自相矛盾：在纪元 {epoch} 对其发往 {destination} 的日志，"
                f"就同一长度 {size} 签署了两个不同的根。",
                f"{source} contradicted itself: in epoch {epoch} it signed two different roots for the first {size} "
                f"frames of its log to {destination}.",
            )
        case ReceiptEvidence():
            receipt = receipt_of(document.receipt)
            return (
                f"{destination} 与 {source} 相矛盾：对 {source} 在纪元 {receipt.epoch.number} 的日志，前者签收的前 "
                f"{receipt.size} 条与后者签署的不同。前者应出示后者签署该内容的日志头，否则其收据不实。",
                f"{destination} contradicts {source}: for epoch {receipt.epoch.number} it receipted other first "
                f"{receipt.size} frames than {source} signed. Unless {destination} shows a head by {source} over what "
                "it receipted, which would be evidence of a fork, its receipt is false.",
            )
        case RepairProof():
            repair = repair_of(document.repair)
            return (
                f"{source} 与 {destination} 一致同意：前 {repair.size} 条有效，日志从第 {repair.holds_size} 条续写。",
                f"{source} and {destination} agree: the first {repair.size} frames stand, and the log goes on at "
                f"{repair.holds_size}.",
            )
