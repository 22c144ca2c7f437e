"""Who may still ask what of whom: the status of a region, and codes that were given up for others.

One table decides, at both ends: a sender asks it before anything is held or numbered, a receiver before it decides
what came. What the table leaves out, kinds of later versions included, passes between active regions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NamedTuple

from gateway.protocol.members import FinalLog, Region, Roster
from gateway.protocol.values import Kind, Offer, Purpose, Reason, Status


class Matter(IntEnum):
    """What a message is about, as far as standing matters. The first are requests, numbered as their kinds."""

    OFFER = Kind.OFFER
    CANCEL = Kind.CANCEL
    REVERSE_REQUEST = Kind.REVERSE_REQUEST
    CUT_OFF = Kind.CUT_OFF
    PROPOSE = Kind.PROPOSE
    NOTICE = Kind.NOTICE
    ATTEST_REQUEST = Kind.ATTEST_REQUEST
    ATTEST_REVOKE = Kind.ATTEST_REVOKE
    AUTHORISE = Kind.AUTHORISE
    CAPTURE = Kind.CAPTURE
    RELEASE = Kind.RELEASE
    AUTHORISATION_ASK = Kind.AUTHORISATION_ASK
    CLAWBACK = Kind.CLAWBACK
    DISPUTE = Kind.DISPUTE
    DISPUTE_STEP = Kind.DISPUTE_STEP
    RETURN = 101  # an offer that answers a request to reverse
    ANSWER = 102  # any reply


class Way(IntEnum):
    """On which end of the message the region with the status stands."""

    FROM = 1
    TO = 2


_ENDING = frozenset(  # ends what has begun, counts it, or argues about it
    {
        Matter.CANCEL, Matter.CUT_OFF, Matter.ANSWER, Matter.NOTICE, Matter.ATTEST_REVOKE, Matter.RELEASE,
        Matter.AUTHORISATION_ASK, Matter.DISPUTE, Matter.DISPUTE_STEP,
    }
)  # fmt: skip
_CLOSING = _ENDING | {  # and makes what is owed smaller, or final
    Matter.REVERSE_REQUEST, Matter.RETURN, Matter.CAPTURE, Matter.CLAWBACK,
}  # fmt: skip

PASSES: dict[tuple[Status, Way], frozenset[Matter]] = {
    (Status.ACTIVE, Way.FROM): frozenset(Matter),
    (Status.ACTIVE, Way.TO): frozenset(Matter),
    (Status.SUSPENDED, Way.FROM): _ENDING,
    (Status.SUSPENDED, Way.TO): _ENDING,
    (Status.WINDING_DOWN, Way.FROM): _CLOSING,
    (Status.WINDING_DOWN, Way.TO): _CLOSING,
    (Status.WITHDRAWN, Way.FROM): frozenset({Matter.ANSWER}),
    (Status.WITHDRAWN, Way.TO): frozenset(),
}
"""What may pass from, and to, a region of each status.

An answer from a withdrawn region is in its log already if it is heard at all: to leave it out would make two ledgers
differ. Streams with a withdrawn region are refused, so that nothing new is heard of it.
"""

STREAMS = frozenset({Status.ACTIVE, Status.SUSPENDED, Status.WINDING_DOWN})
"""With whom there is a stream: handshake, receipts, recovery. Pages of rosters go to every certificate listed."""

_BY_KIND = {int(matter): matter for matter in Matter if matter < Matter.RETURN}


def matter_of(kind: int, reply: bool, returns: bool = False) -> Matter | None:
    """What a message is about; None for a request of a kind this version does not know."""
    if reply:
        return Matter.ANSWER
    return Matter.RETURN if returns and kind == Kind.OFFER else _BY_KIND.get(kind)


def passes(status: Status, way: Way, matter: Matter | None) -> bool:
    """Whether such a message may go from, or to, a region of this status."""
    return matter in PASSES[status, way] if matter is not None else status is Status.ACTIVE


def may(status: Status, kind: int, reply: bool) -> bool:
    """Whether a message of this kind that grants no request may go to a region of this status, or is heard from it."""
    return passes(status, Way.FROM if reply else Way.TO, matter_of(kind, reply))


# -- codes that were given up ----------------------------------------------------------------------------------------


def successors(region: Region | None, today: int) -> tuple[int, ...]:
    """Who answers for a code on this business date (yyyymmdd), the one that keeps its channels first; nobody while
    the code itself is in use."""
    listed = region.successions if region is not None else ()
    return tuple(s.successor for s in listed if s.date <= today)


def status_of(region: Region, today: int) -> Status:
    """Its status on this business date; one whose successor answers for its final logs has withdrawn with them."""
    gone = any(s.assumed is not None and s.date <= today for s in region.successions)
    return Status.WITHDRAWN if gone else region.status


class Objection(NamedTuple):
    """Why a message may not pass, and which code to use instead, if one is known."""

    reason: Reason
    region: int  # whose standing it is
    successor: int = 0


def objection(roster: Roster, source: int, destination: int, matter: Matter | None, today: int) -> Objection | None:
    """Why this may not pass from one region to another; None if it may.

    From the date of a succession on, the old code takes no new offers: its successor does. It makes none either but to
    its successors, which is how its residents' points go over. What began before ends on the old code's channels.
    """
    for code, way in ((source, Way.FROM), (destination, Way.TO)):
        region = roster.find(code)
        if region is None:
            return Objection(Reason.REGION_UNKNOWN, code)
        if not passes(status_of(region, today), way, matter):
            # A code that was merged away and withdrawn is looked for where it went.
            heirs = successors(region, today) if way is Way.TO and matter is Matter.OFFER else ()
            return Objection(Reason.REGION_MOVED if heirs else Reason.REGION_NOT_ACTIVE, code, *heirs[:1])
        heirs = successors(region, today) if matter is Matter.OFFER else ()
        if heirs and (way is Way.TO or destination not in heirs):
            return Objection(Reason.REGION_MOVED, code, heirs[0])
    return None


Judge = Callable[[int, bool, object], Objection | None]
"""(kind, reply, body) -> what a receiver objects to."""


def _nothing(_kind: int, _reply: bool, _body: object) -> None:
    return None


def receiving(roster: Roster, peer: int, me: int, today: int) -> Judge:
    """What this region objects to in the log of a peer. Made once per envelope: between two active regions it costs
    nothing. A request from a region that is not listed is refused as from one that is not active."""
    theirs, mine = roster.find(peer), roster.find(me)
    here = mine is None or (mine.status is Status.ACTIVE and not successors(mine, today))
    if here and theirs is not None and status_of(theirs, today) is Status.ACTIVE:
        return _nothing

    def judge(kind: int, reply: bool, body: object) -> Objection | None:
        matter = matter_of(kind, reply, isinstance(body, Offer) and body.purpose == Purpose.REVERSAL)
        if matter is Matter.ANSWER:
            return None  # it is in the log, and it ends what was asked
        if theirs is None or not passes(status_of(theirs, today), Way.FROM, matter):
            return Objection(Reason.REGION_NOT_ACTIVE, peer)
        # Whether the peer should have offered at all once its code was given up is its own affair: when it decided to
        # cannot be told from here.
        if mine is None:
            return None
        heirs = successors(mine, today) if matter is Matter.OFFER else ()
        if heirs:
            return Objection(Reason.REGION_MOVED, me, heirs[0])
        return None if passes(mine.status, Way.TO, matter) else Objection(Reason.REGION_NOT_ACTIVE, me)

    return judge


# -- regions that will not answer again ------------------------------------------------------------------------------


class Ending(NamedTuple):
    """The final prefixes of the logs of a region that will not answer again, and who answers for it; 0 = nobody."""

    region: int
    logs: tuple[FinalLog, ...]
    heir: int

    def log(self, source: int, destination: int) -> FinalLog | None:
        """The final prefix of one of them, where it is listed."""
        return next((f for f in self.logs if (f.source, f.destination) == (source, destination)), None)


def endings(roster: Roster, today: int) -> Iterator[Ending]:
    """What the roster resolves by this business date: by a Resolution of its keepers, or by an Assume in which a
    successor answers for its predecessor's final logs."""
    for resolution in roster.resolutions:
        heirs = successors(roster.find(resolution.region), today)
        yield Ending(resolution.region, resolution.logs, heirs[0] if heirs else 0)
    resolved = {resolution.region for resolution in roster.resolutions}
    for region in roster.regions:
        for succession in region.successions:
            assumed = succession.assumed
            if assumed is not None and succession.date <= today and region.code not in resolved:
                yield Ending(region.code, assumed.logs, succession.successor)
                break


__all__ = [
    "PASSES", "STREAMS", "Ending", "Judge", "Matter", "Objection", "Way",
    "endings", "matter_of", "may", "objection", "passes", "receiving", "status_of", "successors",
]  # fmt: skip
