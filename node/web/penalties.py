"""Penalties: told to a resident, appealed against, decided, applied by another person. They never leave the region."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta

from node.services import penalty as service
from node.services.penalty import (
    ApplyPenalty,
    DecideAppeal,
    NotifyPenalty,
    PenaltyAnswer,
    PenaltyState,
)
from node.store import penalties as query
from node.web import limits
from node.web.answers import Answer
from node.web.commands import Deed, command_route, missing_key, units
from node.web.problems import Wrong
from node.web.requests import PLAIN, Amount, Category, Cursor, Key, Limit, Name, Person, Request
from node.web.routes import Call, Route, respond
from node.web.words import day, time, time_or_none

PenaltyWord = Literal["notified", "appealed", "upheld", "withdrawn", "applied", "short"]
Words = Annotated[
    str,
    Meta(
        min_length=1, max_length=limits.PENALTY_CHARACTERS, pattern=PLAIN,
        description="Kept for ever. No identity number.",
    ),
]  # fmt: skip
_WORDS: dict[int, PenaltyWord] = {
    PenaltyState.NOTIFIED: "notified",
    PenaltyState.APPEALED: "appealed",
    PenaltyState.UPHELD: "upheld",
    PenaltyState.WITHDRAWN: "withdrawn",
    PenaltyState.APPLIED: "applied",
    PenaltyState.SHORT: "short",
}
_NUMBERS = {word: number for number, word in _WORDS.items()}


class NewPenalty(Request, frozen=True):
    """Tell a resident that points will be deducted: why, and how long he may appeal."""

    account: Name
    category: Category
    amount: Amount
    reason: Words
    by: Person
    key: Key = ""
    appeal_days: Annotated[int, Meta(ge=1, le=366)] = service.APPEAL_DAYS


class NewAppeal(Request, frozen=True):
    """What the resident says."""

    words: Words


class PenaltyVerdict(Request, frozen=True):
    """The penalty stands, or it is withdrawn. `by` is not whoever notified it."""

    decision: Literal["uphold", "withdraw"]
    by: Person


class Application(Request, frozen=True):
    """Who applies it: not whoever notified it."""

    by: Person


class PenaltiesWanted(Request, frozen=True):
    """Which penalties."""

    after: Cursor = 0
    limit: Limit = limits.PAGE
    account: Name | None = None
    state: PenaltyWord | None = None


class PenaltyMade(Answer, frozen=True):
    """A penalty as it stands: `taken` of `amount`; in the state `short` the rest is lacking, and remembered."""

    id: str
    state: PenaltyWord
    amount: int
    taken: int
    appeal_until: date | None


class PenaltyLine(PenaltyMade, frozen=True):
    """The same, as one line of many."""

    line: int
    ok: bool = True


class PenaltyShown(PenaltyMade, frozen=True):
    """With everything that was said about it."""

    no: int
    account: str
    category: str
    reason: str
    by: str
    checked_by: str | None
    appeal: str | None
    notified: datetime
    decided: datetime | None


class PenaltiesShown(Answer, frozen=True):
    """Penalties in order, and after which number to go on."""

    penalties: list[PenaltyShown]
    next: int


def _made(a: PenaltyAnswer) -> PenaltyMade:
    return PenaltyMade(a.id, _WORDS[a.state], a.amount, a.taken, day(a.appeal_until))


def _notify(body: NewPenalty, client: str) -> NotifyPenalty:
    return NotifyPenalty(
        client=client,
        key=body.key or missing_key(),
        account=body.account,
        category=body.category,
        amount=units(body.amount),
        reason=body.reason,
        by=body.by,
        appeal_days=body.appeal_days,
    )


NOTIFY: Deed[NewPenalty, NotifyPenalty, PenaltyAnswer] = Deed(
    body=NewPenalty,
    make=_notify,
    answer=PenaltyAnswer,
    show=_made,
    show_line=lambda n, a: PenaltyLine(a.id, _WORDS[a.state], a.amount, a.taken, day(a.appeal_until), line=n),
    line=PenaltyLine,
)


def _shown(found: query.Shown) -> PenaltyShown:
    row = found.row
    return PenaltyShown(
        bytes(row.id).hex(), _WORDS[row.state], row.amount, row.taken, day(row.appeal_until), row.no, found.account,
        found.category, row.reason, row.maker, row.checker or None, row.appeal or None, time(row.at_ms),
        time_or_none(row.decided_ms),
    )  # fmt: skip


async def _find(call: Call) -> query.Shown:
    found = await call.desk.read(query.find, bytes.fromhex(call.path["id"]))
    if found is None:
        raise Wrong("penalty_unknown")
    return found


async def show(call: Call) -> web.Response:
    """One."""
    return respond(_shown(await _find(call)))


async def listing(call: Call) -> web.Response:
    """Page by page."""
    wanted: PenaltiesWanted = call.query
    state = _NUMBERS[wanted.state] if wanted.state is not None else None
    found = await call.desk.read(query.page, wanted.after, wanted.limit, wanted.account, state)
    return respond(PenaltiesShown([_shown(each) for each in found], found[-1].row.no if found else wanted.after))


async def appeal(call: Call) -> web.Response:
    """The resident objects."""
    id_ = bytes((await _find(call)).row.id)
    return respond(_made(await call.desk.one(service.Appeal(id=id_, words=call.body.words))))


async def decide(call: Call) -> web.Response:
    """It stands, or not."""
    id_ = bytes((await _find(call)).row.id)
    command = DecideAppeal(id=id_, uphold=call.body.decision == "uphold", by=call.body.by)
    return respond(_made(await call.desk.one(command)))


async def apply(call: Call) -> web.Response:
    """Deduct what is there."""
    id_ = bytes((await _find(call)).row.id)
    return respond(_made(await call.desk.one(ApplyPenalty(id=id_, by=call.body.by))))


ROUTES = (
    command_route(
        NOTIFY, path="/v1/penalties", name="notify_penalty", scope="penalty", answer=PenaltyMade,
        summary="告知扣分", summary_en="Tell a resident that points will be deducted",
    ),
    Route(
        method="GET", path="/v1/penalties", name="list_penalties", handler=listing, scope="penalty",
        query=PenaltiesWanted, answer=PenaltiesShown,
        summary="扣分列表", summary_en="List penalties",
    ),
    Route(
        method="GET", path="/v1/penalties/{id}", name="show_penalty", handler=show, scope="penalty",
        answer=PenaltyShown,
        summary="查询扣分", summary_en="Show a penalty",
    ),
    Route(
        method="POST", path="/v1/penalties/{id}/appeal", name="appeal_penalty", handler=appeal, scope="penalty",
        body=NewAppeal, answer=PenaltyMade,
        summary="登记申诉", summary_en="Record a resident's appeal",
    ),
    Route(
        method="POST", path="/v1/penalties/{id}/decision", name="decide_penalty", handler=decide, scope="penalty",
        body=PenaltyVerdict, answer=PenaltyMade,
        summary="维持或撤销扣分", summary_en="Uphold a penalty, or withdraw it",
    ),
    Route(
        method="POST", path="/v1/penalties/{id}/application", name="apply_penalty", handler=apply, scope="penalty",
        body=Application, answer=PenaltyMade,
        summary="执行扣分", summary_en="Deduct the points",
    ),
)  # fmt: skip
