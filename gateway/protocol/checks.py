"""What the checks of every exhibit share: what a check is, the rosters it trusts, and who signed what.

Checking never raises on what a stranger wrote: each named check says whether it holds and why not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.protocol import codec
from gateway.protocol.errors import Malformed, ProtocolError, Unauthentic
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.roster import accept_chain
from gateway.protocol.suite import signers
from gateway.protocol.values import Head, Log, Receipt, Repair, Signed


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
    "denied": ("收据与日志头对该长度得出不同的根", "receipt and head make different roots of one size"),
    "source": ("日志来源地区签署了修复协议", "a key of the log's source signed the repair"),
    "destination": ("日志接收地区签署了修复协议", "a key of the log's destination signed the repair"),
    "prefix": ("双方认可的前缀不长于接收方所持", "what both stand by is no longer than what the destination holds"),
    "evidence": ("所附证据正是协议所指", "the evidence shown is the one that the repair names"),
    "second": ("第二个日志头对该长度得出另一个根", "the second head makes another root of that size"),
}


def check(code: str, test: Callable[[], str], side: str = "") -> Check:
    """The check of this name: it fails where `test` raises, saying why; otherwise `test` says what it found."""
    zh, en = _NAMES[code]
    before_zh, before_en = _SIDES[side]
    try:
        ok, detail = True, test()
    except ProtocolError as e:
        ok, detail = False, str(e)
    return Check(code=f"{side}.{code}" if side else code, zh=before_zh + zh, en=before_en + en, ok=ok, detail=detail)


def require(condition: bool, otherwise: str) -> None:
    """Raise Malformed, saying `otherwise`, unless the condition holds."""
    if not condition:
        raise Malformed(otherwise)


class Trust:
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

        return check("roster", test)

    def domain(self, log: Log) -> str:
        """Refuse a log of another federation or environment, or between regions that cannot have one."""
        roster = self.roster()
        require(log.federation == roster.federation, f"of federation {log.federation.hex()}")
        require(
            log.environment == roster.environment, f"of environment {log.environment!r}, not {roster.environment!r}"
        )
        require(log.source != log.destination, "a region keeps no log to itself")
        return named_log(log)

    def signed_head(self, signed: Signed) -> str:
        """Refuse a head that its source did not sign, or signed with a key that was revoked before it."""
        head = head_of(signed)
        region = self.roster().region(head.log.source)
        revoked = signed_by(region, signed)
        if not revoked:
            return f"{named_region(region)}, size {head.size}"
        anchors = [anchor for key in revoked for anchor in key.anchors if anchor.destination == head.log.destination]
        for anchor in anchors:
            if head.size < anchor.size or (head.size == anchor.size and head.root == anchor.root):
                good = f"the key is revoked, {anchor.size} is its last good size"
                return f"{named_region(region)}, size {head.size}; {good}"
        raise Unauthentic(f"the key of region {region.code} is revoked and this head is beyond its last good prefix")

    def signed_repair(self, signed: Signed, code: int) -> str:
        """Refuse a repair that a region did not sign, or with nothing but revoked keys: it bears no date."""
        region = self.roster().region(code)
        if signed_by(region, signed):
            raise Unauthentic(f"the key of region {code} that signed it is revoked")
        return named_region(region)

    def signed_receipt(self, signed: Signed) -> str:
        """Refuse a receipt that the destination did not sign, or dated after its key was revoked."""
        receipt = receipt_of(signed)
        region = self.roster().region(receipt.log.destination)
        revoked = signed_by(region, signed)
        if revoked and receipt.received_at_ms >= max(key.revoked_at_ms for key in revoked):
            raise Unauthentic(f"the key of region {region.code} was revoked before this receipt")
        return f"{named_region(region)}, size {receipt.size}"


def head_of(signed: Signed) -> Head:
    """What was signed, as a head. Raises Malformed."""
    value = codec.decode_payload(codec.HEAD, payload_of(signed, codec.HEAD))
    assert isinstance(value, Head)
    return value


def receipt_of(signed: Signed) -> Receipt:
    """What was signed, as a receipt. Raises Malformed."""
    value = codec.decode_payload(codec.RECEIPT, payload_of(signed, codec.RECEIPT))
    assert isinstance(value, Receipt)
    return value


def repair_of(signed: Signed) -> Repair:
    """What was signed, as a repair. Raises Malformed."""
    value = codec.decode_payload(codec.REPAIR, payload_of(signed, codec.REPAIR))
    assert isinstance(value, Repair)
    return value


def payload_of(signed: Signed, payload_type: str) -> bytes:
    """The payload, where it is of this type. Raises Malformed otherwise."""
    require(signed.payload_type == payload_type, f"a {payload_type} was expected, not {signed.payload_type!r}")
    return signed.payload


def signed_by(region: Region, signed: Signed) -> list[Key]:
    """The revoked keys that made the signature; none when a key that is not revoked did. Raises Unauthentic."""
    made = signers(signed, region.all_keys())
    if not made:
        raise Unauthentic(f"no key that the roster lists for region {region.code} made this signature")
    used = [key for key in region.keys if key.public_key in made]
    return used if all(key.revoked_at_ms for key in used) else []


def named_region(region: Region) -> str:
    """A region as a reader knows it."""
    return f"{region.code} {region.name_zh} {region.name_en}".rstrip()


def named_log(log: Log) -> str:
    """A log as a reader knows it."""
    return f"{log.source} -> {log.destination}, generation {log.generation}"
