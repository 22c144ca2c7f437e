"""The life of agreements: signed by one region, by both, in force by date, suspended, ending; and which counts today.

What two regions have said to each other about agreements is a value, :class:`Dealings`, made by one function,
:func:`hear`, from the messages of both logs. In which order the messages of one log fall between those of the other
makes no difference to it, so both regions, and a restored one, come to the same. On what day a version is in which
state follows from that by the table below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple

from gateway.protocol.agreement.document import Agreement, Notice, NoticeKind
from gateway.protocol.bodies.agreement import (
    AGREEMENT,
    NOTICE,
    decode_agreement,
    decode_notice,
    encode_agreement,
    encode_notice,
)
from gateway.protocol.errors import Malformed, OwnFault, PeerFault, Unauthentic
from gateway.protocol.suite import SigningKey, VerifyKey, signers
from gateway.protocol.values import Kind, Reason, Signature, Signed

Keys = Callable[[int], Iterable[VerifyKey]]
"""The keys of a region: those that may sign now where something new is judged, all there ever were for what is old."""


class State(IntEnum):
    """Where a version of an agreement stands."""

    PROPOSED = 1  # signed by one region
    REFUSED = 2
    AGREED = 3  # signed by both, its first day is still to come
    IN_FORCE = 4
    SUSPENDED = 5  # by one region or both, until each of them resumes
    TERMINATING = 6  # nothing new; what is held finishes
    REPLACED = 7  # a later version is in force; what was held under this one finishes
    ENDED = 8


class Event(IntEnum):
    """What moves a version: words of the two regions, and dates both read in the documents."""

    COUNTERSIGN = 1
    REFUSE = 2
    BEGIN = 3  # its first day
    SUSPEND = 4
    RESUME = 5  # the last region that suspended it resumes
    TERMINATE = 6  # the day from which a notice ends it
    REPLACE = 7  # the first day of a later version
    END = 8  # its last day, or the last of its wind-down, is over


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PROPOSED, Event.COUNTERSIGN): State.AGREED,
    (State.PROPOSED, Event.REFUSE): State.REFUSED,
    (State.AGREED, Event.BEGIN): State.IN_FORCE,
    (State.AGREED, Event.TERMINATE): State.TERMINATING,
    (State.IN_FORCE, Event.SUSPEND): State.SUSPENDED,
    (State.IN_FORCE, Event.REPLACE): State.REPLACED,
    (State.IN_FORCE, Event.TERMINATE): State.TERMINATING,
    (State.IN_FORCE, Event.END): State.ENDED,
    (State.SUSPENDED, Event.RESUME): State.IN_FORCE,
    (State.SUSPENDED, Event.REPLACE): State.REPLACED,
    (State.SUSPENDED, Event.TERMINATE): State.TERMINATING,
    (State.SUSPENDED, Event.END): State.ENDED,
    (State.TERMINATING, Event.END): State.ENDED,
}


def step(state: State, event: Event) -> State:
    """The next state. Raises OwnFault where the table has no row."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise OwnFault(f"an agreement that is {state.name} cannot {event.name}")
    return after


# -- signed papers ---------------------------------------------------------------------------------------------------


def sign(agreement: Agreement, key: SigningKey) -> Signed:
    """A version, signed by the region that proposes it. Raises Malformed or TooLarge."""
    return key.sign(AGREEMENT, encode_agreement(agreement))


def countersign(signed: Signed, key: SigningKey) -> Signature:
    """The other region's signature over the very same payload."""
    return key.sign(AGREEMENT, signed.payload).signatures[0]


def sign_notice(notice: Notice, key: SigningKey) -> Signed:
    """A notice, signed by the region that says it."""
    return key.sign(NOTICE, encode_notice(notice))


def digest_of(signed: Signed) -> bytes:
    """How a version is referred to: SHA-256 of its payload, whoever has signed it."""
    return sha256(signed.payload).digest()


def read(signed: Signed, by: Iterable[int], keys: Keys) -> Agreement:
    """The agreement, signed by each of `by`. Raises Malformed, TooLarge, or Unauthentic naming who did not sign."""
    if signed.payload_type != AGREEMENT:
        raise Malformed(f"a {AGREEMENT} was expected, not {signed.payload_type!r}")
    for region in by:
        if not signers(signed, keys(region)):
            raise Unauthentic(f"no key of region {region} signed this agreement")
    return decode_agreement(signed.payload)


def read_notice(signed: Signed, keys: Keys) -> Notice:
    """The notice, signed by the region that it says says it. Raises Malformed or Unauthentic."""
    if signed.payload_type != NOTICE:
        raise Malformed(f"a {NOTICE} was expected, not {signed.payload_type!r}")
    notice = decode_notice(signed.payload)
    if not signers(signed, keys(notice.region)):
        raise Unauthentic(f"no key of region {notice.region} signed this notice")
    return notice


# -- what two regions have said --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version that was proposed, and what was answered."""

    request: bytes  # the id under which it was proposed
    proposer: int
    signed: Signed  # by its proposer; by both once it is agreed
    agreement: Agreement
    digest: bytes
    state: State = State.PROPOSED  # or AGREED or REFUSED: what comes later follows from dates and notices
    reason: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """One notice. `refused`: the other region found it to be about nothing."""

    request: bytes
    by: int
    notice: Notice
    signed: Signed
    refused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Dealings:
    """All that two regions have said to each other about agreements."""

    versions: tuple[Version, ...] = ()
    notices: tuple[Noted, ...] = ()

    def version(self, digest: bytes) -> Version | None:
        """The version with this digest; one that is agreed before one that is not."""
        return max(
            (v for v in self.versions if v.digest == digest), key=lambda v: v.state == State.AGREED, default=None
        )

    def agreed(self, agreement: bytes | None = None) -> list[Version]:
        """The versions signed by both, of one agreement or of all, in the order of their numbers."""
        found = [v for v in self.versions if v.state == State.AGREED and agreement in (None, v.agreement.id)]
        return sorted(found, key=lambda v: v.agreement.version)

    def open(self) -> Iterator[Version]:
        """The versions that wait for an answer."""
        return (v for v in self.versions if v.state == State.PROPOSED)


class Said(NamedTuple):
    """One message about agreements: PROPOSE, COUNTERSIGN, NOTICE, or the REFUSE of a proposal or notice."""

    kind: int
    by: int  # who said it
    id: bytes  # of the request: its own, or the one it answers
    paper: Signed | Signature | None = None  # what the body carries; None where it could not be read
    reason: int = 0


def hear(dealings: Dealings, said: Said, keys: Keys) -> Dealings:
    """What is known after one more message, my own or the peer's.

    Never refuses: a proposal that keeps no rules waits for its answer, and a second answer, or one about nothing, is
    without effect. A countersignature that does not verify makes nothing agreed (DOCUMENT_INVALID). `keys`: all there
    ever were, so that a later roster changes nothing.
    """
    if said.kind == Kind.PROPOSE:
        return _propose(dealings, said)
    if said.kind == Kind.NOTICE:
        return _notice(dealings, said, keys)
    if said.kind == Kind.COUNTERSIGN:
        return _answer(dealings, said, lambda version: _countersign(version, said, keys))
    if said.kind == Kind.REFUSE:
        notices = tuple(replace(n, refused=True) if _answers(said, n.request, n.by) else n for n in dealings.notices)
        refused = _answer(dealings, said, lambda v: _to(v, Event.REFUSE, reason=said.reason))
        return replace(refused, notices=notices)
    return dealings


def _propose(dealings: Dealings, said: Said) -> Dealings:
    if not isinstance(said.paper, Signed) or any(
        v.request == said.id for v in dealings.versions if v.proposer == said.by
    ):
        return dealings
    try:
        agreement = decode_agreement(said.paper.payload)
    except PeerFault:
        return dealings
    version = Version(
        request=said.id, proposer=said.by, signed=said.paper, agreement=agreement, digest=digest_of(said.paper)
    )
    return replace(dealings, versions=(*dealings.versions, version))


def _countersign(version: Version, said: Said, keys: Keys) -> Version:
    invalid = _to(version, Event.REFUSE, reason=int(Reason.DOCUMENT_INVALID))
    if not isinstance(said.paper, Signature) or said.by not in version.agreement.regions:
        return invalid
    both = replace(version.signed, signatures=(*version.signed.signatures, said.paper))
    try:
        read(both, version.agreement.regions, keys)
    except PeerFault:
        return invalid
    return replace(_to(version, Event.COUNTERSIGN), signed=both)


def _to(version: Version, event: Event, reason: int = 0) -> Version:
    return replace(version, state=step(version.state, event), reason=reason)


def _answers(said: Said, request: bytes, by: int) -> bool:
    return request == said.id and by != said.by


def _answer(dealings: Dealings, said: Said, answered: Callable[[Version], Version]) -> Dealings:
    versions = tuple(
        answered(v) if v.state == State.PROPOSED and _answers(said, v.request, v.proposer) else v
        for v in dealings.versions
    )
    return replace(dealings, versions=versions)


def _notice(dealings: Dealings, said: Said, keys: Keys) -> Dealings:
    if not isinstance(said.paper, Signed) or any(n.request == said.id for n in dealings.notices if n.by == said.by):
        return dealings
    try:
        notice = read_notice(said.paper, keys)
    except PeerFault:
        return dealings
    if notice.region != said.by:
        return dealings
    noted = Noted(request=said.id, by=said.by, notice=notice, signed=said.paper)
    return replace(dealings, notices=(*dealings.notices, noted))


# -- by date ---------------------------------------------------------------------------------------------------------


class Ending(NamedTuple):
    """From which day an agreement ends by notice, and the last day of its wind-down."""

    effective: int
    until: int


def ending(dealings: Dealings, agreement: bytes) -> Ending | None:
    """How an agreement ends by notice: from the first day that either region names, until the last one."""
    said = [n.notice for n in _valid(dealings, agreement) if n.notice.what == NoticeKind.TERMINATE]
    if not said:
        return None
    effective = min(n.effective for n in said)
    return Ending(effective, max(effective, *(n.wind_down_until for n in said)))


def suspended_by(dealings: Dealings, agreement: bytes, day: int) -> tuple[int, ...]:
    """Which regions keep an agreement suspended on this business date."""
    last: dict[int, int] = {}
    for noted in _valid(dealings, agreement):
        if noted.notice.what != NoticeKind.TERMINATE and noted.notice.effective <= day:
            last[noted.by] = noted.notice.what
    return tuple(sorted(region for region, what in last.items() if what == NoticeKind.SUSPEND))


def _valid(dealings: Dealings, agreement: bytes) -> Iterator[Noted]:
    return (n for n in dealings.notices if n.notice.agreement == agreement and not n.refused)


def state_on(dealings: Dealings, version: Version, day: int) -> State:
    """Where a version stands on a business date."""
    if version.state != State.AGREED:
        return version.state
    state, agreement = State.AGREED, version.agreement
    over = ending(dealings, agreement.id)
    terminated = over is not None and over.effective <= day
    if agreement.valid_from <= day:
        state = step(state, Event.BEGIN)
        if any(agreement.version < v.agreement.version and v.agreement.valid_from <= day
               for v in dealings.agreed(agreement.id)):  # fmt: skip
            return step(state, Event.REPLACE)
        if agreement.valid_until and agreement.valid_until < day:
            return step(state, Event.END)
        if not terminated and suspended_by(dealings, agreement.id, day):
            state = step(state, Event.SUSPEND)
    if over is not None and terminated:
        state = step(state, Event.TERMINATE)
        if over.until < day:
            state = step(state, Event.END)
    return state
