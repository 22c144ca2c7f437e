"""Proofs that need nobody's word: made from a log, checked offline by anyone who knows the federation's id.

Checking never raises on what a stranger wrote: each named check says whether it holds and why not. A proof holds when
all its checks do. The rules are those of proto/SPEC.md; the tree's are RFC 9162, section 2.1.3 and 2.1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.protocol import codec, merkle
from gateway.protocol.channel import Fork
from gateway.protocol.errors import Malformed, ProtocolError, Unauthentic
from gateway.protocol.exhibits import ForkEvidence, FrameProof, TransferProof
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.roster import accept_chain
from gateway.protocol.suite import signers
from gateway.protocol.values import Frame, Head, Kind, Log, Receipt, Signed

__all__ = [
    "Check", "holds", "verify_transfer", "verify_fork", "prove_frame", "fork_evidence",
    "ForkEvidence", "FrameProof", "TransferProof",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that must hold, and whether it does."""

    code: str  # stable, for programs: "offer.inclusion"
    zh: str
    en: str
    ok: bool
    detail: str = ""  # what was found; where the check fails, why


def holds(checks: Sequence[Check]) -> bool:
    """Whether everything was checked and all of it holds."""
    return bool(checks) and all(check.ok for check in checks)


_SIDES = {"offer": ("转移报文：", "offer: "), "answer": ("答复报文：", "answer: "), "": ("", "")}
_NAMES = {
    "roster": ("成员名册自第一版起逐版可信", "the rosters follow from version 1"),
    "head": ("发送方以其密钥签署日志头", "a key of the log's source signed the head"),
    "domain": ("同一联邦、同一环境", "of this federation and environment"),
    "inclusion": ("报文确在该日志中", "the frame is in the log under the head"),
    "body": ("正文与承诺一致", "the body is the one the frame commits to"),
    "receipt": ("接收方以其密钥签署收据", "a key of the log's destination signed the receipt"),
    "received": ("收据涵盖该报文", "the receipt covers the frame"),
    "consistency": ("日志头与收据属同一份日志", "head and receipt are of one and the same log"),
    "channel": ("答复在反向日志中", "the answer is in the opposite log"),
    "id": ("两条报文的业务编号相同", "both frames bear the same id"),
    "kinds": ("一为转移，一为对它的答复", "one offers, the other answers"),
    "order": ("答复在收到转移之后作出", "the answer was given after the offer was held"),
    "one": ("第一个日志头由该地区签署", "a key of the source signed the first head"),
    "other": ("第二个日志头由该地区签署", "a key of the source signed the second head"),
    "same": ("两者属同一日志、同一纪元", "both are of one log and epoch"),
    "first": ("第一个日志头写明该长度的根", "the first head names a root for the size"),
    "second": ("第二个日志头对该长度得出另一个根", "the second head makes another root of that size"),
}


def _check(code: str, test: Callable[[], str], side: str = "") -> Check:
    zh, en = _NAMES[code]
    before_zh, before_en = _SIDES[side]
    try:
        ok, detail = True, test()
    except ProtocolError as e:
        ok, detail = False, str(e)
    return Check(code=f"{side}.{code}" if side else code, zh=before_zh + zh, en=before_en + en, ok=ok, detail=detail)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Malformed(otherwise)


# -- transfers --------------------------------------------------------------------------------------------------------


def verify_transfer(proof: TransferProof, federation: bytes | None = None) -> list[Check]:
    """Whether both regions' logs show the transfer and its answer, and both regions signed for it.

    `federation` is the id that the reader knows; without it the first check names the one found, for the reader to
    compare: a stranger's federation proves whatever the stranger likes.
    """
    trust = _Trust(proof.rosters, federation)
    offer, answer = _Side("offer", proof.offer, trust), _Side("answer", proof.answer, trust)

    def channel() -> str:
        mine, theirs = offer.log(), answer.log()
        _require(theirs == mine.opposite(), f"{_name(theirs)} is not the log opposite to {_name(mine)}")
        return f"{_name(mine)}; {_name(theirs)}"

    def same_id() -> str:
        mine, theirs = offer.frame().id, answer.frame().id
        _require(mine == theirs, f"the offer is {mine.hex()}, the answer is to {theirs.hex()}")
        return mine.hex()

    def kinds() -> str:
        asked, answered = offer.frame(), answer.frame()
        _require(asked.kind == Kind.OFFER, f"kind {asked.kind} is not an offer")
        _require(answered.reply and answered.kind in (Kind.ACCEPT, Kind.REFUSE), f"kind {answered.kind} is no answer")
        return Kind(answered.kind).name

    def order() -> str:
        _require(
            answer.frame().seen > proof.offer.number >= 0 and offer.frame().seen <= proof.answer.number,
            f"frame {proof.answer.number} had seen {answer.frame().seen} frames of the log whose frame "
            f"{proof.offer.number} it would answer",
        )
        return ""

    return [
        trust.check(),
        *offer.checks(),
        *answer.checks(),
        _check("channel", channel),
        _check("id", same_id),
        _check("kinds", kinds),
        _check("order", order),
    ]


class _Trust:
    """The rosters of a proof, verified once; what failed is said wherever they are needed."""

    def __init__(self, history: Sequence[Signed], federation: bytes | None) -> None:
        self._stated = federation is not None
        self._roster: Roster | None = None
        self._fault = ""
        try:
            self._roster = accept_chain(history, federation)
        except ProtocolError as e:
            self._fault = str(e)

    def roster(self) -> Roster:
        """The newest roster. Raises Unauthentic."""
        if self._roster is None:
            raise Unauthentic(f"no roster to check it by: {self._fault}")
        return self._roster

    def check(self) -> Check:
        """The check named "roster"."""

        def test() -> str:
            if self._roster is None:
                raise Unauthentic(self._fault)
            known = "as given" if self._stated else "compare it with the id you know"
            return f"version {self._roster.version}, federation {self._roster.federation.hex()} ({known})"

        return _check("roster", test)

    def domain(self, log: Log) -> str:
        """Refuse a log of another federation or environment, or between regions that cannot have one."""
        roster = self.roster()
        _require(log.federation == roster.federation, f"of federation {log.federation.hex()}")
        _require(
            log.environment == roster.environment, f"of environment {log.environment!r}, not {roster.environment!r}"
        )
        _require(log.source != log.destination, "a region keeps no log to itself")
        return _name(log)

    def signed_head(self, signed: Signed) -> str:
        """Refuse a head that its source did not sign, or signed with a key that was revoked before it."""
        head = _head(signed)
        region = self.roster().region(head.log.source)
        revoked = _signed_by(region, signed)
        if not revoked:
            return f"{_region(region)}, size {head.size}"
        anchors = [anchor for key in revoked for anchor in key.anchors if anchor.destination == head.log.destination]
        for anchor in anchors:
            if head.size < anchor.size or (head.size == anchor.size and head.root == anchor.root):
                return f"{_region(region)}, size {head.size}; the key is revoked, {anchor.size} is its last good size"
        raise Unauthentic(f"the key of region {region.code} is revoked and this head is beyond its last good prefix")

    def signed_receipt(self, signed: Signed) -> str:
        """Refuse a receipt that the destination did not sign, or dated after its key was revoked."""
        receipt = _receipt(signed)
        region = self.roster().region(receipt.log.destination)
        revoked = _signed_by(region, signed)
        if revoked and receipt.received_at_ms >= max(key.revoked_at_ms for key in revoked):
            raise Unauthentic(f"the key of region {region.code} was revoked before this receipt")
        return f"{_region(region)}, size {receipt.size}"


class _Side:
    """One frame of a transfer proof."""

    def __init__(self, name: str, proof: FrameProof, trust: _Trust) -> None:
        self._name, self._proof, self._trust = name, proof, trust

    def frame(self) -> Frame:
        """The frame. Raises Malformed."""
        return codec.decode_frame(self._proof.frame)

    def log(self) -> Log:
        """The log that the head speaks of. Raises Malformed."""
        return _head(self._proof.head).log

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
        return [_check(code, test, self._name) for code, test in tests.items()]

    def _inclusion(self) -> str:
        head, proof = _head(self._proof.head), self._proof
        leaf = merkle.leaf_hash(proof.frame)
        _require(
            merkle.verify_inclusion(leaf, proof.number, head.size, proof.path, head.root),
            f"the path does not lead from this frame as number {proof.number} to the root of {head.size} frames",
        )
        return f"number {proof.number} of {head.size}"

    def _body(self) -> str:
        frame = self.frame()
        if not self._proof.body:
            return "withheld or erased; the frame itself is proved all the same"
        _require(codec.commitment(self._proof.body) == frame.commitment, "another body than the frame commits to")
        return f"{len(self._proof.body)} bytes"

    def _receipt(self) -> str:
        log = _receipt(self._proof.receipt).log
        _require(log == self.log(), f"a receipt for {_name(log)}, not for {_name(self.log())}")
        return self._trust.signed_receipt(self._proof.receipt)

    def _received(self) -> str:
        size = _receipt(self._proof.receipt).size
        _require(size > self._proof.number, f"the receipt ends before frame {self._proof.number}, at {size}")
        return f"number {self._proof.number} of {size}"

    def _consistency(self) -> str:
        head, receipt = _head(self._proof.head), _receipt(self._proof.receipt)
        smaller, larger = sorted([(head.size, head.root), (receipt.size, receipt.root)], key=lambda named: named[0])
        _require(
            merkle.verify_consistency(*smaller, *larger, self._proof.consistency),
            f"the log of {larger[0]} frames is not shown to have grown from the one of {smaller[0]}",
        )
        return f"{smaller[0]} .. {larger[0]}"


def _head(signed: Signed) -> Head:
    value = codec.decode_payload(codec.HEAD, _payload(signed, codec.HEAD))
    assert isinstance(value, Head)
    return value


def _receipt(signed: Signed) -> Receipt:
    value = codec.decode_payload(codec.RECEIPT, _payload(signed, codec.RECEIPT))
    assert isinstance(value, Receipt)
    return value


def _payload(signed: Signed, payload_type: str) -> bytes:
    _require(signed.payload_type == payload_type, f"a {payload_type} was expected, not {signed.payload_type!r}")
    return signed.payload


def _signed_by(region: Region, signed: Signed) -> list[Key]:
    """The revoked keys that made the signature; none when a key that is not revoked did. Raises Unauthentic."""
    made = signers(signed, region.all_keys())
    if not made:
        raise Unauthentic(f"no key that the roster lists for region {region.code} made this signature")
    used = [key for key in region.keys if key.public_key in made]
    return used if all(key.revoked_at_ms for key in used) else []


def _region(region: Region) -> str:
    return f"{region.code} {region.name_zh} {region.name_en}".rstrip()


def _name(log: Log) -> str:
    return f"{log.source} -> {log.destination}, generation {log.generation}"


# -- forks ------------------------------------------------------------------------------------------------------------


def verify_fork(evidence: ForkEvidence, federation: bytes | None = None) -> list[Check]:
    """Whether the source of a log has signed two heads that cannot both be true. `federation` as above."""
    trust = _Trust(evidence.rosters, federation)

    def same() -> str:
        one, other = _head(evidence.one), _head(evidence.other)
        _require(one.log == other.log, f"{_name(one.log)} and {_name(other.log)} are different logs")
        _require(one.epoch == other.epoch, f"epochs {one.epoch.number} and {other.epoch.number}: the fence decides")
        return f"{_name(one.log)}, epoch {one.epoch.number}"

    def first() -> str:
        _require(bool(_named(_head(evidence.one), evidence.size)), f"it names no root for size {evidence.size}")
        return f"size {evidence.size}"

    def second() -> str:
        other = _head(evidence.other)
        led_to = evidence.root in _named(other, evidence.size) or merkle.verify_consistency(
            evidence.size, evidence.root, other.size, other.root, evidence.consistency
        )
        _require(led_to, f"it is not shown to make {evidence.root.hex()} of size {evidence.size}")
        roots = _named(_head(evidence.one), evidence.size)
        _require(bool(roots - {evidence.root}), "both make the same root of it: they do not contradict each other")
        return f"{evidence.root.hex()} instead of {min(roots - {evidence.root}).hex()}"

    return [
        trust.check(),
        _check("one", lambda: trust.signed_head(evidence.one)),
        _check("other", lambda: trust.signed_head(evidence.other)),
        _check("domain", lambda: trust.domain(_head(evidence.one).log)),
        _check("same", same),
        _check("first", first),
        _check("second", second),
    ]


def _named(head: Head, size: int) -> set[bytes]:
    """The roots that a head itself names for a size."""
    return {root for at, root in ((head.first, head.first_root), (head.size, head.root)) if at == size}


# -- making -----------------------------------------------------------------------------------------------------------


def prove_frame(
    nodes: merkle.Nodes, number: int, frame: bytes, body: bytes, head: Signed, receipt: Signed
) -> FrameProof:
    """The proof of frame `number` of the log that `nodes` holds, under one of the log's heads and receipts.

    Any pair of sizes above `number` will do. Raises ValueError when head or receipt ends before the frame, Malformed
    when they do not parse.
    """
    size, received = _head(head).size, _receipt(receipt).size
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


def fork_evidence(
    fork: Fork, new: Signed, stored: Signed, nodes: merkle.Nodes, rosters: Sequence[Signed]
) -> ForkEvidence:
    """The evidence for a fork found in the peer's head `new`, against the last one `stored` with my copy of its log.

    `nodes` are of that copy. Raises Malformed when a head does not parse.
    """
    if _named(_head(new), fork.size):
        path = merkle.consistency_proof(nodes, fork.size, _head(stored).size)
        one, other, root, consistency = new, stored, fork.mine, tuple(path)
    else:
        one, other, root, consistency = stored, new, fork.theirs, fork.consistency
    return ForkEvidence(
        one=one, other=other, size=fork.size, root=root, consistency=consistency, rosters=tuple(rosters)
    )
