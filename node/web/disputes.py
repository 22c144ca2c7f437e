"""Disputes 异议: what this region and another both hold and one of them calls wrong."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta
from sqlalchemy import Connection

from gateway.protocol import dispute as rules
from gateway.protocol import documents
from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.dispute import Act, Matter, Record, State
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.values import Signed
from node.services.dispute.steps import Carry, Open, Say
from node.store import disputes as query
from node.store.disputes import Stored
from node.web import limits
from node.web.answers import Answer
from node.web.commands import missing_key, units, with_key
from node.web.problems import Wrong
from node.web.requests import Amount, Digest, Id, Key, Limit, Region, Request, Text
from node.web.routes import Call, Route, respond
from node.web.words import CAUSES, CauseWord, day, reason, time, time_or_none

MatterWord = Literal["transfer", "authorisation", "attestation", "claim", "clawback"]
ActWord = Literal[
    "concede", "contest", "evidence", "propose", "agree", "mediate", "arbitrate", "opinion", "uphold", "reject",
    "award", "withdraw",
]  # fmt: skip
DisputeWord = Literal[
    "asked", "opened", "answered", "mediation", "advised", "arbitration", "upheld", "rejected", "settled", "withdrawn",
    "refused",
]  # fmt: skip
_STATES: dict[int, DisputeWord] = {state: state.name.lower() for state in State}  # type: ignore[misc]
_CAUSES: dict[str, int] = {word: number for number, word in CAUSES.items()}


# -- requests ---------------------------------------------------------------------------------------------------------


class NewDispute(Request, frozen=True):
    """Dispute something that this region and `peer` both hold; it is frozen on both sides until that is decided.

    `region`: whose it is, where its id alone does not tell: the source of a transfer, the holder of an authorisation,
    the issuer of an attestation, who is owed by a claim, who asked for a clawback. `cause`: of a claim.
    """

    peer: Region
    matter: MatterWord
    id: Id
    key: Key = ""
    region: Region | None = None
    amount: Annotated[Amount | None, Meta(description="In units of that region's category; null: all of it.")] = None
    cause: CauseWord | None = None
    reference: Text = ""


class NewStep(Request, frozen=True):
    """The next step, signed by this region. `amount`: of `propose`, `opinion` and `award`; of `agree` as proposed."""

    act: ActWord
    key: Key = ""
    amount: Amount | None = None
    evidence: Digest | None = None
    reference: Text = ""


class SignedStep(Request, frozen=True):
    """An opinion or a ruling that the third region signed and handed over as a file: carried to the other party."""

    file: str
    key: Key = ""


class DisputesWanted(Request, frozen=True):
    """Which disputes."""

    since_ms: Annotated[int, Meta(ge=0, le=(1 << 62), description="Opened at this time or later.")] = 0
    limit: Limit = limits.PAGE
    peer: Annotated[Region | None, Meta(description="Only those with this region.")] = None
    open: Annotated[bool, Meta(description="Only those that are not decided.")] = False


# -- answers ----------------------------------------------------------------------------------------------------------


class Dispute(Answer, frozen=True):
    """How a dispute stands. `waiting`: the step of this region that the other has not answered yet.

    `settled`: how much of the amount the claimant was right about. `deadline`: until when whoever has the word should
    speak; when it has passed, the other side may go on, and nothing is decided by that.
    """

    id: str
    state: DisputeWord
    claimant: int
    respondent: int
    matter: MatterWord
    about: str
    region: int
    category: str
    amount: int
    settled: int
    steps: int
    deadline: date | None
    waiting: str | None
    reason: str | None
    frozen: bool
    at: datetime
    ended: datetime | None


class Step(Answer, frozen=True):
    """One step; `file` is the document as its region signed it."""

    number: int
    by: int
    act: str
    date: date | None
    amount: int
    evidence: str | None
    reference: str
    file: str


class DisputeShown(Answer, frozen=True):
    """A dispute with all its steps. `proposed`: for how much, and `proposed_by` whom, it could be settled."""

    dispute: Dispute
    mediator: int | None
    arbitrator: int | None
    proposed: int | None
    proposed_by: int | None
    opinion: int | None
    chain: list[Step]


class Disputes(Answer, frozen=True):
    """In the order in which they were opened."""

    disputes: list[Dispute]


def _answer(row: Stored) -> Dispute:
    pending = bodies.decode_statement(query.decode(row.pending)) if row.pending is not None else None
    return Dispute(
        id=row.id.hex(), state=_STATES[row.state], claimant=row.opened_by, respondent=row.respondent,
        matter=Matter(row.about_kind).name.lower(),  # type: ignore[arg-type]
        about=row.about.hex(), region=row.whose, category=row.category, amount=row.amount, settled=row.settled,
        steps=row.steps, deadline=day(row.deadline), waiting=_act(pending.act) if pending is not None else None,
        reason=reason(row.reason), frozen=row.state in rules.OPEN or row.hold is not None, at=time(row.at_ms),
        ended=time_or_none(row.ended_ms),
    )  # fmt: skip


def _act(number: int) -> str:
    return Act(number).name.lower() if number in Act._value2member_map_ else str(number)


def _step(signed: Signed) -> Step:
    said = bodies.decode_statement(signed)
    return Step(
        number=said.number, by=said.by, act=_act(said.act), date=day(said.date), amount=said.amount,
        evidence=said.evidence.hex() or None, reference=said.reference, file=documents.write(signed),
    )  # fmt: skip


def _shown(row: Stored, chain: list[Signed]) -> DisputeShown:
    record: Record | None = None
    if chain:
        record = rules.fold((bodies.decode_statement(signed), signed.payload) for signed in chain)
    return DisputeShown(
        dispute=_answer(row),
        mediator=record.opening.mediator or None if record else None,
        arbitrator=record.opening.arbitrator or None if record else None,
        proposed=record.proposed or None if record else None,
        proposed_by=record.proposed_by or None if record else None,
        opinion=record.opinion if record else None,
        chain=[_step(signed) for signed in chain],
    )


# -- what is asked ----------------------------------------------------------------------------------------------------


async def open_(call: Call) -> web.Response:
    """Open one."""
    body: NewDispute = with_key(call, call.body)
    command = Open(
        client=call.token.name,
        key=body.key or missing_key(),
        peer=body.peer,
        matter=Matter[body.matter.upper()],
        id=bytes.fromhex(body.id),
        region=body.region or 0,
        amount=units(body.amount) if body.amount is not None else 0,
        cause=_CAUSES[body.cause] if body.cause is not None else 0,
        reference=body.reference,
    )
    return respond(_answer(await call.desk.one(command)), 202)


async def say(call: Call) -> web.Response:
    """Say the next step."""
    body: NewStep = with_key(call, call.body)
    command = Say(
        client=call.token.name,
        key=body.key or missing_key(),
        dispute=bytes.fromhex(call.path["id"]),
        act=Act[body.act.upper()],
        amount=units(body.amount) if body.amount not in (None, 0, "0") else 0,
        evidence=bytes.fromhex(body.evidence) if body.evidence is not None else b"",
        reference=body.reference,
    )
    return respond(_answer(await call.desk.one(command)), 202)


async def carry(call: Call) -> web.Response:
    """Carry what a third region signed."""
    body: SignedStep = with_key(call, call.body)
    try:
        signed = documents.from_json(body.file)
    except (Malformed, TooLarge) as fault:
        raise Wrong("bad_field", f"file: {fault}", field="file") from None
    command = Carry(client=call.token.name, key=body.key or missing_key(), step=signed)
    return respond(_answer(await call.desk.one(command)), 202)


async def show(call: Call) -> web.Response:
    """One, with its steps."""
    id_ = bytes.fromhex(call.path["id"])

    def read(conn: Connection) -> DisputeShown | None:
        row = query.find(conn, id_)
        return None if row is None else _shown(row, query.steps(conn, id_))

    found = await call.desk.read(read)
    if found is None:
        raise Wrong("not_found", "no dispute has this id")
    return respond(found)


async def listing(call: Call) -> web.Response:
    """All that this region takes part in."""
    wanted: DisputesWanted = call.query

    def read(conn: Connection) -> list[Stored]:
        return query.after(conn, wanted.since_ms, wanted.limit, peer=wanted.peer, only_open=wanted.open)

    return respond(Disputes([_answer(row) for row in await call.desk.read(read)]))


ROUTES = (
    Route(
        method="POST", path="/v1/disputes", name="open_dispute", handler=open_, scope="operate", status=202,
        body=NewDispute, answer=Dispute,
        summary="提出异议：双方冻结所指事项", summary_en="Dispute something that two regions hold; both freeze it",
    ),
    Route(
        method="GET", path="/v1/disputes", name="list_disputes", handler=listing, query=DisputesWanted,
        answer=Disputes, summary="异议列表", summary_en="Disputes, in the order in which they were opened",
    ),
    Route(
        method="GET", path="/v1/disputes/{id}", name="show_dispute", handler=show, answer=DisputeShown,
        summary="一项异议及其全部步骤", summary_en="One dispute with all its signed steps",
    ),
    Route(
        method="POST", path="/v1/disputes/{id}/steps", name="say_dispute_step", handler=say, scope="operate",
        status=202, body=NewStep, answer=Dispute,
        summary="异议的下一步", summary_en="Say the next step of a dispute",
    ),
    Route(
        method="POST", path="/v1/dispute-steps", name="carry_dispute_step", handler=carry, scope="operate", status=202,
        body=SignedStep, answer=Dispute,
        summary="转交第三方签署的意见或裁定", summary_en="Carry the opinion or ruling of a third region",
    ),
)  # fmt: skip
