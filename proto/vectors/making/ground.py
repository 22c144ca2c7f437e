"""The ground all vectors stand on: two regions, their keys, their rosters, their logs, and how values become JSON.

Everything follows from names by SHA-256: no clock and no chance, so the same files come out every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from gateway.protocol import codec, merkle, roster
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import (
    Draft,
    Envelope,
    Epoch,
    Head,
    Kind,
    Log,
    Offer,
    Provenance,
    Purpose,
    Receipt,
    Signed,
    Slice,
)

HANGZHOU, NINGBO = 330100, 330200
NOW = 1_795_000_000_000  # 18 November 2026, 19:06:40 in Shanghai
ENVIRONMENT = "vectors"


def octets(name: str, count: int) -> bytes:
    """So many bytes that are the same whenever they are asked for by this name."""
    return b"".join(sha256(f"hutong vectors: {name} {i}".encode()).digest() for i in range(count // 32 + 1))[:count]


def key(name: object) -> SigningKey:
    """The key of that name."""
    return SigningKey.from_seed(octets(f"key of {name}", 32))


ROOTS = tuple(key(f"root {number}") for number in range(3))
EPOCH_OF = {HANGZHOU: Epoch(NOW - 5000, 0x0123456789ABCDEF), NINGBO: Epoch(NOW - 4000, 0xFEDCBA9876543210)}


def listed(signing: SigningKey, **changes: Any) -> Key:
    """A key as a roster lists it."""
    return replace(Key(suite=signing.suite, public_key=signing.public_key), **changes)


def region(code: int, zh: str, en: str, **changes: Any) -> Region:
    """A region as a roster lists it. Its certificate is a stand-in: what counts here is that the bytes are listed."""
    made = Region(
        code=code,
        name_zh=zh,
        name_en=en,
        endpoint=f"{code}.example:7443",
        keys=(listed(key(code)),),
        certificates=(b"the certificate of %d" % code,),
        suites=(key(code).suite,),
    )
    return replace(made, **changes)


def first_roster() -> Roster:
    """Version 1: two regions, two of three root keys."""
    return Roster(
        version=1,
        name_zh="向量联邦",
        name_en="Federation of the vectors",
        environment=ENVIRONMENT,
        issued_at_ms=NOW - 86_400_000,
        grace_s=604_800,
        root_keys=tuple(map(listed, ROOTS)),
        threshold=2,
        regions=(region(HANGZHOU, "杭州市", "Hangzhou"), region(NINGBO, "宁波市", "Ningbo")),
    )


ROSTER_1 = roster.sign(first_roster(), ROOTS[:2])
MEMBERS = roster.genesis(ROSTER_1)


def log(source: int, destination: int) -> Log:
    """The log between two regions of the federation."""
    return Log(MEMBERS.federation, ENVIRONMENT, source, destination)


# -- logs -------------------------------------------------------------------------------------------------------------


class Tree:
    """A log kept whole in memory, as merkle.Nodes."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.frames = list(frames)

    def node(self, level: int, index: int) -> bytes:
        """See merkle.Nodes."""
        if level == 0:
            return merkle.leaf_hash(self.frames[index])
        return merkle.node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def frontier(self, size: int | None = None) -> merkle.Frontier:
        """The frontier at a size; of the whole log if none is given."""
        return merkle.frontier_at(self, len(self.frames) if size is None else size)

    def root(self, size: int) -> bytes:
        """The root at a size."""
        return merkle.root_at(self, size)


PROVENANCE = Provenance(HANGZHOU, 20260301, 2, "community service 2026-03")


def offer_of(blocks: int = 10, *, name: str = "offer", **changes: Any) -> Offer:
    """An offer at 2/3, to an address named after it."""
    made = Offer(
        octets(f"alias of {name}", 10),
        int(Purpose.RELOCATION),
        2,
        3,
        1,
        (Slice(blocks, 20271231, (PROVENANCE,)),),
        "consent-1",
        b"",
        b"",
        octets(f"redo of {name}", 40),
    )
    return made._replace(**changes)


def salted(name: str, body: bytes) -> bytes:
    """A body behind its salt."""
    return octets(f"salt of {name}", 16) + body


def draft(kind: int, name: str, body: bytes, **changes: Any) -> Draft:
    """A message that has no number yet. Messages about one transfer bear one name, and so one id."""
    reply = kind in (Kind.ACCEPT, Kind.REFUSE)
    made = Draft(int(kind), reply, octets(f"id of {name}", 16), salted(f"{name} {kind}", body))
    if kind == Kind.OFFER:
        made = made._replace(category="moral", amount=30, becomes="public_welfare", arriving=20)
    return made._replace(**changes)


@dataclass(kw_only=True)
class Book:
    """One log with its bodies, and what its two regions sign about it."""

    log: Log
    epoch: Epoch
    frames: list[bytes]
    bodies: list[bytes]

    @property
    def tree(self) -> Tree:
        """The log as a tree."""
        return Tree(self.frames)

    def add(self, message: Draft, seen: int, epoch: int | None = None) -> None:
        """Number one more message."""
        self.frames.append(codec.encode_frame(message, seen, self.epoch.number if epoch is None else epoch))
        self.bodies.append(message.body)

    def head(self, first: int, size: int, **changes: Any) -> Head:
        """A head of the log, unsigned."""
        made = Head(
            log=self.log,
            epoch=self.epoch,
            first=first,
            first_root=self.tree.root(first),
            size=size,
            root=self.tree.root(size),
            suite=key(self.log.source).suite,
            roster_version=1,
            signed_at_ms=NOW,
        )
        return replace(made, **changes)

    def envelope(self, first: int, size: int, **changes: Any) -> Envelope:
        """Frames of the log under a head signed by its source."""
        head = sign(self.log.source, self.head(first, size, **changes))
        return Envelope(head=head, frames=tuple(self.frames[first:size]), bodies=tuple(self.bodies[first:size]))

    def receipt(self, size: int, **changes: Any) -> Receipt:
        """A receipt over the log, unsigned."""
        made = Receipt(log=self.log, epoch=self.epoch, size=size, root=self.tree.root(size), received_at_ms=NOW + 7)
        return replace(made, **changes)


def book(source: int, destination: int, count: int = 8) -> Book:
    """A log of offers; every second one has seen one more message of the other log."""
    made = Book(log=log(source, destination), epoch=EPOCH_OF[source], frames=[], bodies=[])
    for number in range(count):
        name = f"transfer {source} {number}"
        made.add(draft(Kind.OFFER, name, codec.encode_offer(offer_of(name=name))), seen=number // 2)
    return made


def sign(code: int, value: Any) -> Signed:
    """A value signed by a region."""
    return key(code).sign(codec.payload_type_of(value), codec.encode_payload(value))


# -- JSON -------------------------------------------------------------------------------------------------------------

_WIDE = frozenset({
    "number", "nonce", "seen", "epoch", "amount", "arriving", "blocks", "rate_p", "rate_q", "terms_version", "first",
    "size", "roster_version", "signed_at_ms", "received_at_ms", "holds_size", "holds_epoch", "credit_size", "backlog",
    "back_off_ms", "last_verified_size", "final", "in_epoch", "in_seen", "receipted", "cursor", "credit", "units",
    "issued_at_ms", "expires_ms", "review_from", "clock_ms", "leaving", "remainder", "held", "pair_day", "pair_month",
    "net", "sent_day", "sent_month", "sent_year", "sent_ever",
})  # fmt: skip


def plain(value: Any, name: str = "") -> Any:
    """A value as JSON: bytes in hexadecimal, integers that are 64 bits wide on the wire as decimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(int(value)) if name in _WIDE else int(value)
    if isinstance(value, dict):
        return {k: plain(v, k) for k, v in value.items()}
    if hasattr(value, "_fields"):
        return {k: plain(getattr(value, k), k) for k in value._fields}
    if hasattr(value, "__dataclass_fields__"):
        return {k: plain(getattr(value, k), k) for k in value.__dataclass_fields__}
    if isinstance(value, frozenset):
        return sorted(map(int, value))
    if isinstance(value, Sequence):
        return [plain(v, name) for v in value]
    raise TypeError(f"{type(value).__name__} has no place in a vector")


def message(value: Any) -> str:
    """A signed message as it travels: a serialised Signed."""
    return codec.encode_signed(value).hex()
