"""Agreements (互认) between regions: proposed by one, countersigned or declined by the other, suspended and ended.

A person decides, and a second one checks; the rules are asked before anybody signs. What is heard, and what follows:
:mod:`node.services.agreement.heard`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial

from gateway.protocol.agreement import life, rules
from gateway.protocol.agreement.document import Agreement, Notice
from gateway.protocol.agreement.life import State, Version
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.standing import Matter
from gateway.protocol.values import Kind, Reason, Signed
from node.errors import BadInput
from node.services import identity, topics
from node.services.agreement.heard import check_next, hear, judge_open
from node.services.command import handles, once, wish_once
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.services.topics import Asked
from node.services.transfer import check_status
from node.store import schema
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class Propose:
    """Sign a version and send it to the other region. `by` drew it up, `checked_by` agreed.

    Of `agreement` the federation, version, predecessor and this region's key for pseudonyms are filled in; without an
    id it begins a new agreement, otherwise it amends that one.
    """

    client: str
    key: str
    agreement: Agreement
    by: str
    checked_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Countersign:
    """Sign what a peer proposes: from now on it is agreed. `digest` names the very document that was read."""

    peer: int
    digest: bytes
    by: str
    checked_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decline:
    """Refuse what a peer proposes."""

    peer: int
    digest: bytes
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GiveNotice:
    """Suspend, resume or terminate an agreement from a business date on; 0 = today.

    `wind_down_until`: of a termination, the last day on which what is held finishes.
    """

    client: str
    key: str
    agreement: bytes
    what: int
    by: str
    checked_by: str
    effective: int = 0
    wind_down_until: int = 0
    because: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A version, with whom, and where it stands today."""

    peer: int
    version: Version
    state: State


def shown(office: Office, peer: int, version: Version, day: int) -> Shown:
    """How a version stands on a business date."""
    return Shown(peer=peer, version=version, state=life.state_on(office.agreements.dealings(peer), version, day))


# -- commands --------------------------------------------------------------------------------------------------------


def _wishes(command: Propose | GiveNotice, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Looks at no account."""


@handles(Propose, _wishes)
def propose(command: Propose, office: Office, batch: Batch) -> Shown:
    """Raises BadInput unless two people did it; Refused as the rules of agreements have it, the cycle named."""
    _check_two(command.by, command.checked_by)
    request = office.public_id(command.client, command.key)
    digest = digest_of("propose", command.agreement)
    once(batch, request, "propose", digest, lambda: _propose(command, request, office, batch), keep_refusal=False)
    for peer in office.agreements.peers:
        for version in office.agreements.dealings(peer).versions:
            if (version.request, version.proposer) == (request, office.me):
                return shown(office, peer, version, batch.today)
    raise Refused(Reason.TRANSFER_UNKNOWN, "this proposal is not known any more")


def _propose(command: Propose, request: bytes, office: Office, batch: Batch) -> str:
    agreement, peer = drawn_up(command.agreement, request, office), other(command.agreement, office)
    history.check_known(batch, peer)
    check_status(office, peer, Matter.PROPOSE)
    signed = checked(agreement, peer, office, batch.today)
    topics.ask(peer, Kind.PROPOSE, request, partial(bodies.encode_propose, signed), office, batch)
    hear(peer, life.Said(Kind.PROPOSE, office.me, request, signed), office, batch)
    _act(batch, "propose", command.by, command.checked_by, peer, agreement)
    return ""


def other(agreement: Agreement, office: Office) -> int:
    """With whom it is. Raises Refused(DOCUMENT_INVALID) where this region is no part of it."""
    if office.me not in agreement.regions:
        raise Refused(Reason.DOCUMENT_INVALID, f"OTHER_REGIONS: it is not between {office.me} and another region")
    return agreement.other(office.me)


def drawn_up(agreement: Agreement, request: bytes, office: Office) -> Agreement:
    """The agreement with what this region fills in."""
    peer = other(agreement, office)
    before = office.agreements.dealings(peer).agreed(agreement.id) if agreement.id else []
    newest = before[-1] if before else None
    if agreement.id and newest is None:
        raise Refused(Reason.PREDECESSOR_UNKNOWN, f"no agreement {agreement.id.hex()} with {peer} is known here")
    filled = replace(
        agreement,
        federation=office.roster.federation,
        environment=office.roster.environment,
        id=agreement.id or request,
        version=newest.agreement.version + 1 if newest is not None else 1,
        predecessor=newest.digest if newest is not None else b"",
    )
    own = identity.public_key(office) if agreement.identity_required else agreement.pseudonym_key(office.me)
    if office.me == filled.region_a:
        return replace(filled, pseudonym_key_a=own)
    return replace(filled, pseudonym_key_b=own)


def checked(agreement: Agreement, peer: int, office: Office, today: int) -> Signed:
    """The agreement, signed, when nothing speaks against proposing it. Raises Refused, the cycle named."""
    rules.check(agreement, office.roster.federation, office.roster.environment)
    try:
        signed = life.sign(agreement, office.signing_key)
    except PeerFault as fault:
        raise Refused(Reason.DOCUMENT_INVALID, str(fault)) from None
    check_next(agreement, life.digest_of(signed), office.agreements.dealings(peer), office, today)
    return signed


@handles(Countersign, _nothing)
def countersign(command: Countersign, office: Office, batch: Batch) -> Shown:
    """Raises BadInput unless two people did it; Refused as for :func:`propose`, or WRONG_STATE once it is answered."""
    _check_two(command.by, command.checked_by)
    version = _proposed(command, office)
    if version.state == State.AGREED:
        return shown(office, command.peer, version, batch.today)
    asked = _open_request(version, command.peer, batch)
    judge_open(version, office, batch.today)
    signature = life.countersign(version.signed, office.signing_key)
    body = partial(bodies.encode_countersign, signature)
    topics.answer_later(asked, Kind.COUNTERSIGN, body, office, batch)
    hear(command.peer, life.Said(Kind.COUNTERSIGN, office.me, version.request, signature), office, batch)
    _act(batch, "countersign", command.by, command.checked_by, command.peer, version.agreement)
    return shown(office, command.peer, _proposed(command, office), batch.today)


@handles(Decline, _nothing)
def decline(command: Decline, office: Office, batch: Batch) -> Shown:
    """Declining again changes nothing. Raises Refused: PREDECESSOR_UNKNOWN, or WRONG_STATE where it is agreed."""
    version = _proposed(command, office)
    if version.state == State.REFUSED:
        return shown(office, command.peer, version, batch.today)
    topics.refuse_later(_open_request(version, command.peer, batch), Reason.DECLINED, office, batch)
    refusal = life.Said(Kind.REFUSE, office.me, version.request, reason=int(Reason.DECLINED))
    hear(command.peer, refusal, office, batch)
    _act(batch, "decline", command.by, "", command.peer, version.agreement)
    return shown(office, command.peer, _proposed(command, office), batch.today)


def _proposed(command: Countersign | Decline, office: Office) -> Version:
    """What the peer proposes under this digest: what is open first, then what is agreed."""
    dealings = office.agreements.dealings(command.peer)
    theirs = [v for v in dealings.versions if v.digest == command.digest and v.proposer == command.peer]
    if not theirs:
        raise Refused(Reason.PREDECESSOR_UNKNOWN, f"region {command.peer} proposes nothing with this digest")
    return min(theirs, key=lambda v: (State.PROPOSED, State.AGREED, State.REFUSED).index(v.state))


def _open_request(version: Version, peer: int, batch: Batch) -> Asked:
    history.check_known(batch, peer)
    asked = topics.find(batch, version.request, peer, mine=False)
    if version.state != State.PROPOSED or asked is None:
        raise Refused(Reason.WRONG_STATE, "this proposal was answered before")
    return asked


@handles(GiveNotice, _wishes)
def give_notice(command: GiveNotice, office: Office, batch: Batch) -> Shown:
    """Raises BadInput unless two people did it; Refused as :func:`gateway.protocol.agreement.rules.check_notice`."""
    _check_two(command.by, command.checked_by)
    request = office.public_id(command.client, command.key)
    said = (command.agreement.hex(), command.what, command.effective, command.wind_down_until, command.because)
    peer, version = _newest(command.agreement, office)
    once(batch, request, "notice", digest_of("notice", *said),
         lambda: _give(command, request, peer, version, office, batch), keep_refusal=False)  # fmt: skip
    return shown(office, peer, version, batch.today)


def _newest(agreement: bytes, office: Office) -> tuple[int, Version]:
    for peer in office.agreements.peers:
        agreed = office.agreements.dealings(peer).agreed(agreement)
        if agreed:
            day = office.today(office.clock())
            begun = [v for v in agreed if v.agreement.valid_from <= day]
            return peer, (begun or agreed)[-1]
    raise Refused(Reason.PREDECESSOR_UNKNOWN, f"no agreement {agreement.hex()} is known here")


def _give(command: GiveNotice, request: bytes, peer: int, version: Version, office: Office, batch: Batch) -> str:
    history.check_known(batch, peer)
    check_status(office, peer, Matter.NOTICE)
    dealings = office.agreements.dealings(peer)
    notice = Notice(
        federation=office.roster.federation,
        environment=office.roster.environment,
        agreement=command.agreement,
        version=dealings.agreed(command.agreement)[-1].agreement.version,
        region=office.me,
        what=command.what,
        effective=command.effective or batch.today,
        wind_down_until=command.wind_down_until,
        because=command.because,
    )
    rules.check_notice(notice, dealings, office.roster.federation, office.roster.environment, batch.today)
    signed = life.sign_notice(notice, office.signing_key)
    topics.ask(
        peer, Kind.NOTICE, request, partial(bodies.encode_notice_body, signed), office, batch, subject=notice.agreement
    )
    hear(peer, life.Said(Kind.NOTICE, office.me, request, signed), office, batch)
    _act(batch, "notice", command.by, command.checked_by, peer, version.agreement, says=command.what)
    return ""


def _check_two(by: str, checked_by: str) -> None:
    if not by or not checked_by or by == checked_by:
        raise BadInput("two people act for a region: name who decided it and who checked it")


def _act(
    batch: Batch, what: str, maker: str, checker: str, peer: int, agreement: Agreement, **more: int
) -> None:  # fmt: skip
    about = json.dumps({"peer": peer, "agreement": agreement.id.hex(), "version": agreement.version, **more})
    batch.insert(schema.act, (batch.books.next("act"), what, about, maker, checker, batch.now_ms))
