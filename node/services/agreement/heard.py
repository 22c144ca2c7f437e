"""What regions say about agreements, heard: by one function for both logs, the first time and after a restore.

What counts follows from the messages of both logs by :func:`gateway.protocol.agreement.life.hear`. A proposal waits for
a person; what keeps no rule is refused by name at once, and so is a notice about nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from gateway.protocol.agreement import life, rules
from gateway.protocol.agreement.document import Agreement
from gateway.protocol.agreement.life import Dealings, State, Version
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.suite import VerifyKey
from gateway.protocol.values import Frame, Kind, Reason, Signed
from node.ledger import journal
from node.services import topics
from node.services.office import Office
from node.services.topics import Asked, Heard, Said, Topic
from node.store import agreements as store
from node.store.batch import Batch


def hear(peer: int, said: life.Said, office: Office, batch: Batch) -> None:
    """One more message of either log: the rows and the memory follow."""
    before = office.agreements.dealings(peer)
    after = life.hear(before, said, partial(keys, office))
    if after is not before:
        store.put(batch.conn, peer, before, after, batch.now_ms)
        office.agreements.put(peer, after)


def keys(office: Office, region: int) -> Iterable[VerifyKey]:
    """All keys a region ever had: what was agreed stays agreed."""
    listed = office.roster.find(region)
    return listed.all_keys() if listed is not None else ()


def _current_keys(office: Office, region: int) -> Iterable[VerifyKey]:
    listed = office.roster.find(region)
    return listed.signing_keys(office.clock()) if listed is not None else ()


def _refuse(heard: Heard, refusal: Refused, office: Office, batch: Batch) -> Refused:
    """Both sides keep also what was refused at once."""
    reason = int(refusal.reason)
    hear(heard.peer, life.Said(Kind.REFUSE, office.me, heard.frame.id, reason=reason), office, batch)
    return refusal


def _hear_proposal(heard: Heard, office: Office, batch: Batch) -> journal.Decision:
    """It waits for a person; what keeps no rule is refused by name at once."""
    peer, signed = heard.peer, heard.parsed
    before = office.agreements.dealings(peer)
    hear(peer, life.Said(Kind.PROPOSE, peer, heard.frame.id, signed), office, batch)
    try:
        _judge_proposal(signed, heard.frame, peer, before, office, batch.today)
    except Refused as refusal:
        raise _refuse(heard, refusal, office, batch) from None
    return topics.later(heard)


def check_next(
    agreement: Agreement, digest: bytes, dealings: Dealings, office: Office, today: int, request: bytes | None = None
) -> None:
    """Whether it can follow what was agreed, here and elsewhere. Raises Refused, the cycle named."""
    rules.check_next(agreement, digest, dealings, today, known=office.agreements.known(), request=request)


def judge_open(version: Version, office: Office, today: int) -> None:
    """Whether what a peer proposes can be signed here now. Raises Refused, the cycle named."""
    rules.check(version.agreement, office.roster.federation, office.roster.environment)
    dealings = without_own(office.agreements.dealings(version.proposer), version.agreement, office)
    check_next(version.agreement, version.digest, dealings, office, today, version.request)


def _judge_proposal(signed: Signed, frame: Frame, peer: int, before: Dealings, office: Office, today: int) -> None:
    try:
        agreement = life.read(signed, (peer,), partial(_current_keys, office))
    except PeerFault as fault:
        raise Refused(Reason.DOCUMENT_INVALID, str(fault)) from None
    rules.check(agreement, office.roster.federation, office.roster.environment)
    if sorted(agreement.regions) != sorted((office.me, peer)):
        raise Refused(Reason.DOCUMENT_INVALID, "OTHER_REGIONS: it is not between the two")
    dealings = without_own(before, agreement, office)
    check_next(agreement, life.digest_of(signed), dealings, office, today, frame.id)


def without_own(dealings: Dealings, agreement: Agreement, office: Office) -> Dealings:
    """Of two proposals that crossed, that of the lower code goes first: the other region leaves its own aside, which
    the first one refuses. Neither waits for the other, and not both can be agreed."""
    if office.me != agreement.region_b:
        return dealings
    kept = (v for v in dealings.versions if v.state != State.PROPOSED or v.proposer != office.me)
    return replace(dealings, versions=tuple(kept))


def _hear_notice(heard: Heard, office: Office, batch: Batch) -> journal.Decision:
    peer, signed = heard.peer, heard.parsed
    before = office.agreements.dealings(peer)
    hear(peer, life.Said(Kind.NOTICE, peer, heard.frame.id, signed), office, batch)
    try:
        _judge_notice(signed, peer, before, office)
    except Refused as refusal:
        raise _refuse(heard, refusal, office, batch) from None
    return topics.accept(heard, office, batch)


def _judge_notice(signed: Signed, peer: int, before: Dealings, office: Office) -> None:
    try:
        notice = life.read_notice(signed, partial(_current_keys, office))
    except PeerFault as fault:
        raise Refused(Reason.DOCUMENT_INVALID, str(fault)) from None
    if notice.region != peer:
        raise Refused(Reason.DOCUMENT_INVALID, "OTHER_REGIONS: somebody else says it")
    # Without a date: the two may not have spoken since it was said.
    rules.check_notice(notice, before, office.roster.federation, office.roster.environment)


def _answered(asked: Asked, heard: Heard, office: Office, batch: Batch) -> None:
    hear(heard.peer, _reply(heard.frame, heard.body, heard.peer, asked.reason), office, batch)


def _reply(frame: Frame, body: bytes, by: int, reason: int) -> life.Said:
    """A reply of any other kind ends a proposal too, as a countersignature that is none."""
    if frame.kind == Kind.REFUSE:
        return life.Said(Kind.REFUSE, by, frame.id, None, reason)
    paper = None
    if frame.kind == Kind.COUNTERSIGN:
        with suppress(PeerFault):  # nothing is agreed by what nobody can read
            paper = bodies.decode_countersign(body)
    return life.Said(Kind.COUNTERSIGN, by, frame.id, paper)


def _asked_again(said: Said, office: Office, batch: Batch) -> None:
    try:
        paper = topics.TOPICS[said.frame.kind].parse(said.body)
    except PeerFault:  # erased
        return
    hear(said.peer, life.Said(said.frame.kind, office.me, said.frame.id, paper), office, batch)


def _answered_again(heard: Heard, said: Said, office: Office, batch: Batch) -> None:
    hear(heard.peer, life.Said(heard.frame.kind, heard.peer, heard.frame.id, heard.parsed), office, batch)
    asked = topics.find(batch, heard.frame.id, heard.peer, mine=False)
    reason = asked.reason if asked is not None else 0
    hear(heard.peer, _reply(said.frame, said.body, office.me, reason), office, batch)


def _parse_proposal(salted_body: bytes) -> Signed:
    signed = bodies.decode_propose(salted_body)
    bodies.decode_agreement(signed.payload)
    return signed


def _parse_notice(salted_body: bytes) -> Signed:
    signed = bodies.decode_notice_body(salted_body)
    bodies.decode_notice(signed.payload)
    return signed


topics.register(
    Kind.PROPOSE,
    Topic(
        parse=_parse_proposal, hear=_hear_proposal, answered=_answered, asked_again=_asked_again,
        answered_again=_answered_again,
    ),
)  # fmt: skip
topics.register(
    Kind.NOTICE,
    Topic(
        parse=_parse_notice, hear=_hear_notice, answered=_answered, asked_again=_asked_again,
        answered_again=_answered_again, subject=lambda _frame, signed: bodies.decode_notice(signed.payload).agreement,
    ),
)  # fmt: skip
