"""Agreements (互认) with other regions: propose, sign, decline, suspend, resume, end; and what each of them says."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import Meta

from gateway.protocol import documents
from gateway.protocol.agreement import life
from gateway.protocol.agreement.document import NoticeKind
from gateway.protocol.agreement.life import State, Version
from gateway.protocol.errors import Refused
from node.services.agreement import heard as agreement_heard
from node.services.agreement import signing as service
from node.services.agreement.signing import Countersign, Decline, GiveNotice, Propose, Shown
from node.web import agreement_terms
from node.web.agreement_terms import AgreementTerms
from node.web.answers import Answer
from node.web.commands import missing_key, with_key
from node.web.problems import Wrong
from node.web.requests import Id, Key, Person, Region, Request, TwoPeople
from node.web.routes import Call, Route, respond
from node.web.words import day, number, reason

AgreementWord = Literal[
    "proposed", "refused", "agreed", "in_force", "suspended", "terminating", "replaced", "ended"
]  # fmt: skip
_STATES: dict[int, AgreementWord] = {state: state.name.lower() for state in State}  # type: ignore[misc]
_SAID = {"suspend": NoticeKind.SUSPEND, "resume": NoticeKind.RESUME, "terminate": NoticeKind.TERMINATE}
_WORDS: dict[int, Literal["suspend", "resume", "terminate"]] = {v: k for k, v in _SAID.items()}  # type: ignore[misc]
_Because = Annotated[str, Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]


class NewAgreement(Request, frozen=True):
    """Propose terms to a region; `amends`: the id of the agreement whose next version this is."""

    peer: Region
    terms: AgreementTerms
    by: Person
    checked_by: Person
    amends: Id | None = None
    key: Key = ""


class Declined(Request, frozen=True):
    """Who declines."""

    by: Person


class NewNotice(Request, frozen=True):
    """Who says it, and from which date on it counts (null: today)."""

    by: Person
    checked_by: Person
    key: Key = ""
    effective: date | None = None
    because: _Because = ""


class NewEnd(NewNotice, frozen=True):
    """And until when what is held finishes (null: the day it ends)."""

    wind_down_until: date | None = None


class AgreementsWanted(Request, frozen=True):
    """Which agreements."""

    peer: Region | None = None
    all: Annotated[bool, Meta(description="Also what was refused, replaced or has ended.")] = False


class AgreementNotice(Answer, frozen=True):
    """What a region said of it."""

    by: int
    says: Literal["suspend", "resume", "terminate"]
    effective: date | None
    wind_down_until: date | None
    because: str
    refused: bool


class Agreement(Answer, frozen=True):
    """One version. `digest` names the document that was, or is to be, signed."""

    id: str
    version: int
    digest: str
    peer: int
    proposer: int
    state: AgreementWord
    reason: str | None
    valid_from: date | None
    valid_until: date | None
    terms: AgreementTerms


class AgreementShown(Answer, frozen=True):
    """The document as it is signed, what was said of it, and what speaks against signing it here."""

    agreement: Agreement
    notices: list[AgreementNotice]
    objection: str | None
    objection_detail: str | None
    file: str


class Agreements(Answer, frozen=True):
    """In the order in which they were proposed, peer by peer."""

    agreements: list[Agreement]


def _shown(me: int, a: Shown) -> Agreement:
    v = a.version
    return Agreement(
        id=v.agreement.id.hex(),
        version=v.agreement.version,
        digest=v.digest.hex(),
        peer=a.peer,
        proposer=v.proposer,
        state=_STATES[a.state],
        reason=reason(v.reason),
        valid_from=day(v.agreement.valid_from),
        valid_until=day(v.agreement.valid_until),
        terms=agreement_terms.terms_of(v.agreement, me),
    )


_OVER = frozenset({State.REFUSED, State.REPLACED, State.ENDED})


async def listing(call: Call) -> web.Response:
    """All that are open or in force; with `all`, every one."""
    office, wanted = call.desk.node.office, call.query
    today = office.today(office.clock())
    found = []
    for peer in office.agreements.peers:
        if wanted.peer not in (None, peer):
            continue
        dealings = office.agreements.dealings(peer)
        for version in dealings.versions:
            one = Shown(peer=peer, version=version, state=life.state_on(dealings, version, today))
            if (wanted.all or one.state not in _OVER) and office.me in version.agreement.regions:
                found.append(_shown(office.me, one))
    return respond(Agreements(found))


def _find(call: Call) -> tuple[int, Version]:
    office, digest = call.desk.node.office, bytes.fromhex(call.path["digest"])
    for peer in office.agreements.peers:
        version = office.agreements.dealings(peer).version(digest)
        if version is not None and office.me in version.agreement.regions:
            return peer, version
    raise Wrong("not_found", "no agreement with this digest is known here")


async def one(call: Call) -> web.Response:
    """One version, with everything that tells whether to sign it."""
    office = call.desk.node.office
    peer, version = _find(call)
    today = office.today(office.clock())
    dealings = office.agreements.dealings(peer)
    word = detail = None
    if version.state == State.PROPOSED and version.proposer == peer:
        try:
            agreement_heard.judge_open(version, office, today)
        except Refused as refusal:
            word, detail = reason(int(refusal.reason)), refusal.detail or None
    notices = [
        AgreementNotice(
            n.by, _WORDS[n.notice.what], day(n.notice.effective), day(n.notice.wind_down_until), n.notice.because,
            n.refused,
        )
        for n in dealings.notices
        if n.notice.agreement == version.agreement.id and n.notice.what in _WORDS
    ]  # fmt: skip
    shown = _shown(office.me, service.shown(office, peer, version, today))
    return respond(AgreementShown(shown, notices, word, detail, documents.to_json(version.signed)))


async def propose(call: Call) -> web.Response:
    """Two people propose; the other region signs or declines."""
    office, said = call.desk.node.office, with_key(call, call.body)
    amends = bytes.fromhex(said.amends) if said.amends else b""
    if said.peer == office.me:
        raise Wrong("region_unknown", "an agreement is with another region")
    terms = agreement_terms.agreement(said.terms, office.me, said.peer, office.today(office.clock()), amends)
    command = Propose(
        client=call.token.name, key=said.key or missing_key(), agreement=terms, by=said.by, checked_by=said.checked_by
    )
    return respond(_shown(office.me, await call.desk.one(command)), 202)


async def countersign(call: Call) -> web.Response:
    """Two people sign what the other region proposes."""
    peer, version = _find(call)
    command = Countersign(peer=peer, digest=version.digest, by=call.body.by, checked_by=call.body.checked_by)
    return respond(_shown(call.desk.node.office.me, await call.desk.one(command)))


async def decline(call: Call) -> web.Response:
    """It will not be signed."""
    peer, version = _find(call)
    command = Decline(peer=peer, digest=version.digest, by=call.body.by)
    return respond(_shown(call.desk.node.office.me, await call.desk.one(command)))


def _notice(word: str) -> Any:
    async def handler(call: Call) -> web.Response:
        said = with_key(call, call.body)
        until = getattr(said, "wind_down_until", None)
        office = call.desk.node.office
        effective = number(said.effective) or office.today(office.clock())
        command = GiveNotice(
            client=call.token.name,
            key=said.key or missing_key(),
            agreement=bytes.fromhex(call.path["id"]),
            what=_SAID[word],
            by=said.by,
            checked_by=said.checked_by,
            effective=effective,
            wind_down_until=(number(until) or effective) if word == "terminate" else 0,
            because=said.because,
        )
        return respond(_shown(office.me, await call.desk.one(command)), 202)

    return handler


_SIGNED: dict[str, Any] = {"scope": "operate", "answer": Agreement}

ROUTES = (
    Route(
        method="GET", path="/v1/agreements", name="list_agreements", handler=listing, query=AgreementsWanted,
        answer=Agreements, summary="互认协议列表", summary_en="List agreements with other regions",
    ),
    Route(
        method="POST", path="/v1/agreements", name="propose_agreement", handler=propose, body=NewAgreement, status=202,
        **_SIGNED, summary="提出协议或修订（两人）", summary_en="Two people propose an agreement, or an amendment",
    ),
    Route(
        method="GET", path="/v1/agreements/{digest}", name="show_agreement", handler=one, answer=AgreementShown,
        summary="协议全文、通知及反对理由", summary_en="An agreement as signed, and what speaks against signing it",
    ),
    Route(
        method="POST", path="/v1/agreements/{digest}/countersign", name="countersign_agreement", handler=countersign,
        body=TwoPeople, **_SIGNED,
        summary="会签对方提出的协议（两人）", summary_en="Two people sign what the other region proposes",
    ),
    Route(
        method="POST", path="/v1/agreements/{digest}/decline", name="decline_agreement", handler=decline,
        body=Declined, **_SIGNED, summary="谢绝对方提出的协议", summary_en="Decline what the other region proposes",
    ),
    Route(
        method="POST", path="/v1/agreements/{id}/suspend", name="suspend_agreement", handler=_notice("suspend"),
        body=NewNotice, status=202, **_SIGNED,
        summary="暂停协议（两人）", summary_en="Two people suspend an agreement",
    ),
    Route(
        method="POST", path="/v1/agreements/{id}/resume", name="resume_agreement", handler=_notice("resume"),
        body=NewNotice, status=202, **_SIGNED,
        summary="恢复协议（两人）", summary_en="Two people resume an agreement that this region suspended",
    ),
    Route(
        method="POST", path="/v1/agreements/{id}/terminate", name="terminate_agreement", handler=_notice("terminate"),
        body=NewEnd, status=202, **_SIGNED,
        summary="终止协议，并约定收尾期（两人）", summary_en="Two people end an agreement, with a wind-down",
    ),
)  # fmt: skip
