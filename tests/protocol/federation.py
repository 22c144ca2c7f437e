"""A small federation for tests: keys from names, rosters, and two regions' logs with everything signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.protocol import codec, merkle
from gateway.protocol.proof import FrameProof, TransferProof, prove_frame
from gateway.protocol.roster import Key, Region, Roster, genesis, sign
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import Draft, Epoch, Head, Kind, Log, Receipt, Signed

HANGZHOU, NINGBO, STRANGER = 330100, 330200, 999999
NOW = 1_767_225_600_000
EPOCH = Epoch(7, 1234)
SALT = bytes(16)


def key(name: str) -> SigningKey:
    """The same key for the same name."""
    return SigningKey.from_seed(sha256(name.encode()).digest())


def listed(signing: SigningKey, **changes: object) -> Key:
    """A key as a roster lists it."""
    return replace(Key(suite=signing.suite, public_key=signing.public_key), **changes)  # type: ignore[arg-type]


def region(code: int, *keys: Key, **changes: object) -> Region:
    """A region with one key named after its code, unless others are given."""
    made = Region(
        code=code, name_zh="某市", keys=keys or (listed(key(str(code))),), certificates=(b"certificate %d" % code,)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


ROOTS = tuple(key(f"root {number}") for number in range(3))


def first_roster(**changes: object) -> Roster:
    """Version 1: two of three root keys, two regions."""
    made = Roster(
        version=1,
        name_zh="试验联邦",
        environment="test",
        issued_at_ms=NOW,
        grace_s=86_400,
        root_keys=tuple(map(listed, ROOTS)),
        threshold=2,
        regions=(region(HANGZHOU), region(NINGBO)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def following(current: Roster, **changes: object) -> Roster:
    """The next version, otherwise the same."""
    return replace(current, **{"version": current.version + 1, **changes})  # type: ignore[arg-type]


class Tree:
    """A log kept whole in memory, as merkle.Nodes."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.frames = list(frames)

    def node(self, level: int, index: int) -> bytes:
        if level == 0:
            return merkle.leaf_hash(self.frames[index])
        return merkle.node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def root(self, size: int) -> bytes:
        return merkle.root_at(self, size)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One log and the keys of the two regions that sign for it."""

    log: Log
    tree: Tree
    source: SigningKey
    destination: SigningKey

    def head(self, size: int, first: int = 0, **changes: object) -> Signed:
        made = Head(
            log=self.log,
            epoch=EPOCH,
            first=first,
            first_root=self.tree.root(first),
            size=size,
            root=self.tree.root(size),
            suite=self.source.suite,
            roster_version=1,
            signed_at_ms=NOW,
        )
        return self.source.sign(codec.HEAD, codec.encode_payload(replace(made, **changes)))  # type: ignore[arg-type]

    def receipt(self, size: int, **changes: object) -> Signed:
        made = Receipt(log=self.log, epoch=EPOCH, size=size, root=self.tree.root(size), received_at_ms=NOW)
        return self.destination.sign(codec.RECEIPT, codec.encode_payload(replace(made, **changes)))  # type: ignore[arg-type]

    def prove(self, number: int, body: bytes, head: int, receipt: int) -> FrameProof:
        return prove_frame(self.tree, number, self.tree.frames[number], body, self.head(head), self.receipt(receipt))


def frame(kind: int, ident: int, *, reply: bool = False, seen: int = 0, body: bytes = SALT) -> bytes:
    """The bytes of a frame with an id made from a number."""
    amount = {"category": "points", "amount": 30, "becomes": "coins", "arriving": 20} if kind == Kind.OFFER else {}
    draft = Draft(kind=kind, reply=reply, id=ident.to_bytes(16), body=body, **amount)  # type: ignore[arg-type]
    return codec.encode_frame(draft, seen, EPOCH.number)


OFFER_BODY = SALT + b"an offer's body"
ANSWER_BODY = SALT + codec.encode_accept(b"")


@dataclass(frozen=True, kw_only=True)
class World:
    """Two regions; transfer 5 is frame `at` of the log to Ningbo and answered by frame `back` of the other."""

    rosters: tuple[Signed, ...]
    federation: bytes
    there: Side
    here: Side
    at: int
    back: int

    def proof(self, *, head: int = 0, receipt: int = 0) -> TransferProof:
        offer, answer = len(self.there.tree.frames), len(self.here.tree.frames)
        return TransferProof(
            offer=self.there.prove(self.at, OFFER_BODY, head or offer, receipt or offer),
            answer=self.here.prove(self.back, ANSWER_BODY, answer, answer),
            rosters=self.rosters,
        )


def world(at: int = 3, back: int = 2, size: int = 9, roster: Roster | None = None) -> World:
    """Logs of `size` frames, everything signed."""
    signed = sign(roster or first_roster(), ROOTS[:2])
    federation = genesis(signed).federation
    log = Log(federation, "test", HANGZHOU, NINGBO)
    mine, theirs = key(str(HANGZHOU)), key(str(NINGBO))
    offers = [frame(Kind.OFFER, 100 + number) for number in range(size)]
    answers = [frame(Kind.ACCEPT, 100 + number, reply=True, seen=size) for number in range(size)]
    offers[at] = frame(Kind.OFFER, 5, body=OFFER_BODY)
    answers[back] = frame(Kind.ACCEPT, 5, reply=True, seen=size, body=ANSWER_BODY)
    return World(
        rosters=(signed,),
        federation=federation,
        there=Side(log=log, tree=Tree(offers), source=mine, destination=theirs),
        here=Side(log=log.opposite(), tree=Tree(answers), source=theirs, destination=mine),
        at=at,
        back=back,
    )
