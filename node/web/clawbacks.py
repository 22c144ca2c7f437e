"""Clawback 追回: taking back what fraud created, wherever it is; and claiming what it is too late to reverse."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta
from sqlalchemy import Connection

from gateway.protocol.clawback import Cause, State
from node.services.clawback.orders import ClaimTransfer, StartClawback, Started
from node.store import clawbacks as query
from node.store.clawbacks import Stored
from node.web import limits
from node.web.answers import Answer
from node.web.commands import missing_key, with_key
from node.web.problems import Wrong
from node.web.requests import PLAIN, Category, Key, Limit, Person, Request, Text
from node.web.routes import Call, Route, respond
from node.web.words import reason, time, time_or_none

ClawbackWord = Literal["asked", "clawed_back", "refused", "tracing", "told", "declined", "gathering", "done"]
ClawbackCause = Literal["activity", "reversal", "dispute"]
_STATES: dict[int, ClawbackWord] = {state: state.name.lower() for state in State}  # type: ignore[misc]
_CAUSES: dict[int, ClawbackCause] = {cause: cause.name.lower() for cause in Cause}  # type: ignore[misc]


class NewClawback(Request, frozen=True):
    """An activity of this region was fraudulent: two people have all that was awarded for it taken back."""

    activity: Annotated[
        str,
        Meta(min_length=1, max_length=limits.TEXT_CHARACTERS, pattern=PLAIN, description="As `because` of the awards."),
    ]
    category: Category
    by: Person
    checked_by: Person
    key: Key = ""


class NewClaim(Request, frozen=True):
    """It is too late to reverse the transfer, or it was spent: two people claim it of the other region."""

    by: Person
    checked_by: Person
    because: Text = ""
    key: Key = ""


class ClawbacksWanted(Request, frozen=True):
    """Which clawbacks: those since a time, oldest first."""

    since_ms: Annotated[int, Meta(ge=0, le=(1 << 62), description="Unix milliseconds.")] = 0
    limit: Limit = limits.PAGE
    open: Annotated[bool, Meta(description="Only those that are not answered yet.")] = False


class ClawbackBegun(Answer, frozen=True):
    """It is under way. `amount`: what is looked for; of a claim in blocks of the transfer."""

    id: str
    amount: int


class Clawback(Answer, frozen=True):
    """Where one stands. What began here is counted in units of `category`; every other in blocks of its transfer.

    `recovered` here, `further` where the points had moved on to; `owed`: spent there, a claim between the regions;
    `lost`: spent here or not asked for, which nobody owes.
    """

    id: str
    root: str
    state: ClawbackWord
    cause: ClawbackCause
    peer: int | None
    asked_here: bool
    transfer: str | None
    issuer: int
    activity: str
    category: str
    amount: int
    recovered: int
    further: int
    owed: int
    lost: int
    reason: str | None
    at: datetime
    answered: datetime | None


class Clawbacks(Answer, frozen=True):
    """Oldest first."""

    clawbacks: list[Clawback]


class TakenFrom(Answer, frozen=True):
    """What was taken from a resident, who never has less than nothing."""

    account: str
    category: str
    amount: int


class ClawbackShown(Answer, frozen=True):
    """One, all that was asked and answered here for what began it, and what was taken from whom."""

    clawback: Clawback
    hops: list[Clawback]
    residents: list[TakenFrom]


def _answer(row: Stored) -> Clawback:
    began = not row.mine and not row.transfer
    over = row.answered_ms is not None
    return Clawback(
        id=row.id.hex(), root=row.root.hex(), state=_STATES[row.state], cause=_CAUSES[row.cause],
        peer=None if began else row.peer, asked_here=row.mine, transfer=row.transfer.hex() or None,
        issuer=row.issuer, activity=row.because, category=row.category, amount=row.blocks, recovered=row.recovered,
        further=row.further, owed=row.owed, lost=row.blocks - row.recovered - row.further - row.owed if over else 0,
        reason=reason(row.reason), at=time(row.at_ms), answered=time_or_none(row.answered_ms),
    )  # fmt: skip


async def start(call: Call) -> web.Response:
    """Begin. The lots are looked for beside the writer, which then looks at those only."""
    body: NewClawback = with_key(call, call.body)
    me = call.desk.node.office.me
    lots = await call.desk.read(query.lots_of_activity, me, body.activity, body.category)
    command = StartClawback(
        client=call.token.name,
        key=body.key or missing_key(),
        activity=body.activity,
        category=body.category,
        by=body.by,
        checked_by=body.checked_by,
        lots=tuple(lots),
    )
    return _begun(await call.desk.one(command))


async def claim(call: Call) -> web.Response:
    """Claim a transfer."""
    body: NewClaim = with_key(call, call.body)
    command = ClaimTransfer(
        client=call.token.name,
        key=body.key or missing_key(),
        transfer=bytes.fromhex(call.path["id"]),
        because=body.because,
        by=body.by,
        checked_by=body.checked_by,
    )
    return _begun(await call.desk.one(command))


def _begun(started: Started) -> web.Response:
    return respond(ClawbackBegun(started.id, started.blocks), 202)


async def show(call: Call) -> web.Response:
    """One, with its hops and residents."""
    id_ = bytes.fromhex(call.path["id"])

    def read(conn: Connection) -> ClawbackShown | None:
        rows = query.by_id(conn, id_)
        own = [row for row in rows if row.id == id_]
        if not own:
            return None
        residents = [TakenFrom(*debit) for debit in query.debits(conn, id_)]
        return ClawbackShown(_answer(own[0]), [_answer(row) for row in rows if row is not own[0]], residents)

    found = await call.desk.read(read)
    if found is None:
        raise Wrong("not_found", "no clawback has this id")
    return respond(found)


async def listing(call: Call) -> web.Response:
    """All that began here, were asked here, or were asked of others."""
    wanted: ClawbacksWanted = call.query

    def read(conn: Connection) -> list[Stored]:
        return query.page(conn, (wanted.since_ms - 1, b""), wanted.limit, only_open=wanted.open)

    return respond(Clawbacks([_answer(row) for row in await call.desk.read(read)]))


ROUTES = (
    Route(
        method="POST", path="/v1/clawbacks", name="start_clawback", handler=start, scope="operate", status=202,
        body=NewClawback, answer=ClawbackBegun,
        summary="两人追回一项虚假活动的积分", summary_en="Two people take back what a fraudulent activity was awarded",
    ),
    Route(
        method="GET", path="/v1/clawbacks", name="list_clawbacks", handler=listing, query=ClawbacksWanted,
        answer=Clawbacks, summary="追回列表", summary_en="Clawbacks, in the order in which they began",
    ),
    Route(
        method="GET", path="/v1/clawbacks/{id}", name="show_clawback", handler=show, answer=ClawbackShown,
        summary="一项追回：各段结果与所涉居民", summary_en="One clawback with its hops and the residents debited",
    ),
    Route(
        method="POST", path="/v1/transfers/{id}/claim", name="claim_transfer", handler=claim, scope="operate",
        status=202, body=NewClaim, answer=ClawbackBegun,
        summary="逾期冲正：两人向对方挂账", summary_en="Two people claim a transfer that it is too late to reverse",
    ),
)  # fmt: skip
