"""What callers get who ask about the region itself: where it stands, with whom, and how well it is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from node.web.answers import Answer
from node.web.words import AnyCondition, AnyState


class Position(Answer, frozen=True):
    """What went to a peer and came from there, in the smallest unit of a category of this region."""

    peer: int
    category: str
    sent: int
    received: int
    in_transit: int
    net: int


class Positions(Answer, frozen=True):
    """Per peer and category."""

    region: int
    positions: list[Position]


class Books(Answer, frozen=True):
    """One category: issued + advanced - redeemed - expired - clawed_back - sent + received = available + held +
    provisional, and available + provisional = lots (a reversal on its way back is provisional and not yet in its
    lots)."""

    category: str
    issued: int
    advanced: int
    redeemed: int
    expired: int
    clawed_back: int
    sent: int
    received: int
    available: int
    held: int
    provisional: int
    lots: int


class Risk(Answer, frozen=True):
    """What residents may spend before a region has given back what it holds; it counts once two people accept it."""

    peer: int
    amount: int
    used: int
    maker: str
    checker: str
    accepted: bool


class ComingBack(Answer, frozen=True):
    """A region that gives back what was lost: messages of this region's log that are `here`, and that it holds."""

    peer: int
    here: int
    there: int


class Recovery(Answer, frozen=True):
    """Where the region stands after a restore. While `recovering` no resident is debited; all else goes on.

    `outstanding`: regions that have not given back what they hold. `replayed`: the regional system has said that it
    repeated its acknowledged commands. `owed`: what the region advanced where residents lacked points for these.
    """

    recovering: bool
    cause: str
    since: datetime | None
    lineage: str
    commits: int
    replayed: bool
    merged: list[int]
    outstanding: list[int]
    coming_back: list[ComingBack]
    missing: str
    risks: list[Risk]
    owed: int


class TransferCount(Answer, frozen=True):
    """Transfers of one direction, peer and state."""

    direction: Literal["outgoing", "incoming"]
    peer: int
    state: AnyState
    count: int
    leaving: int
    arriving: int


class Counts(Answer, frozen=True):
    """Everything added up. Reads every row: for checks, not for every second."""

    region: int
    accounts: int
    books: list[Books]
    transfers: list[TransferCount]
    last_event: int


class Throttled(Answer, frozen=True):
    """A peer that costs more than it may: what it says is read slowly, and it is granted less credit."""

    since: datetime
    kinds: list[str]  # of cost: streams, handshakes, repeats, malformed, refused, pages, rosters


class Peer(Answer, frozen=True):
    """Another region, and how messages with it stand. Sizes count messages. `over`: of each kind of cost, how much it
    had too much since this process began."""

    code: int
    name_zh: str
    name_en: str
    status: str
    endpoint: str
    channel: AnyCondition
    sent: int
    receipted: int
    held: int
    backlog: int
    outbox: int
    oldest_unreceipted: datetime | None
    last_receipt: datetime | None
    connected: bool
    connected_since: datetime | None
    dialling: bool
    failures: int
    next_dial: datetime | None
    last_contact: datetime | None
    last_error: str
    evidence: list[str]  # digests of what proves that it contradicted itself or this region
    throttled: Throttled | None
    over: dict[str, int]


class Peers(Answer, frozen=True):
    """All other regions of the roster. `doubled`: another instance runs as this region, and this one has stopped.

    `seals`: this process numbers messages and talks with peers; where several serve the region one does, the `sealer`.
    """

    peers: list[Peer]
    doubled: bool
    seals: bool
    sealer: str


class Standing(Answer, frozen=True):
    """How the peer sees this region: asked now."""

    peer: int
    ready: bool
    holds: int
    backlog: int
    back_off_ms: int
    verified: int
    status: str
    channel: str


class Dialled(Answer, frozen=True):
    """The peer is dialled now."""

    peer: int


class Member(Answer, frozen=True):
    """A region of the federation."""

    code: int
    name_zh: str
    name_en: str
    status: str
    endpoint: str
    roles: list[str]


class Roster(Answer, frozen=True):
    """The roster in force."""

    region: int
    version: int
    federation: str
    name_zh: str
    name_en: str
    environment: str
    issued: datetime | None
    regions: list[Member]


class Health(Answer, frozen=True):
    """The process runs."""

    ok: Literal[True] = True


class Checked(Answer, frozen=True):
    """One check; one that is not vital does not make the region unready."""

    name: str
    ok: bool
    vital: bool
    detail: str


class Readiness(Answer, frozen=True):
    """Whether the region can serve."""

    ready: bool
    checks: list[Checked]
