"""Redeeming away from home 异地兑换: codes for residents of this region, purchases of visitors at its counters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import Meta

from gateway.protocol import roaming
from gateway.protocol.roaming import State
from node.services.roaming import counter as service
from node.services.roaming.counter import AskToHold, Shown
from node.services.roaming.home import CodeAnswer
from node.services.roaming.home import NewCode as NewCodeCommand
from node.store import authorisations as query
from node.store.authorisations import Stored
from node.web import limits
from node.web.answers import Answer
from node.web.commands import Deed, command_route, missing_key, units, with_key
from node.web.problems import Wrong
from node.web.requests import Amount, Category, Key, Limit, Name, Region, Request, Text, Wait
from node.web.routes import Call, Route, respond
from node.web.words import reason, time, time_or_none

AuthorisationWord = Literal[
    "requested", "authorised", "capturing", "releasing", "captured", "part_captured", "released", "ended", "refused"
]
_STATES: dict[int, AuthorisationWord] = {
    State.REQUESTED: "requested",
    State.AUTHORISED: "authorised",
    State.CAPTURING: "capturing",
    State.RELEASING: "releasing",
    State.CAPTURED: "captured",
    State.PART_CAPTURED: "part_captured",
    State.RELEASED: "released",
    State.ENDED: "ended",
    State.REFUSED: "refused",
}
_NUMBERS: dict[str, int] = {word: number for number, word in _STATES.items()}


# -- requests ---------------------------------------------------------------------------------------------------------


class NewCode(Request, frozen=True):
    """A fresh code of an account, for one purchase at a counter of another region."""

    account: Name
    minutes: Annotated[int, Meta(ge=1, le=roaming.CODE_MINUTES_MOST, description="How long it can be used.")] = (
        roaming.CODE_MINUTES
    )


class NewAuthorisation(Request, frozen=True):
    """Ask a visitor's home region to hold points for a purchase here. `category`: which of the visitor's points.

    `amount`: what the purchase costs, in units of what those points become here.
    """

    code: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=limits.ADDRESS_CHARACTERS,
            pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)",
            description="What the visitor shows; valid once, for minutes.",
            examples=["RC-330100-000G40R40M30E209-5E"],
        ),
    ]
    category: Category
    amount: Amount
    key: Key = ""
    reference: Text = ""
    minutes: Annotated[int, Meta(ge=1, le=service.MINUTES_MOST, description="How long it can be captured.")] = (
        service.MINUTES
    )


class NewCapture(Request, frozen=True):
    """All or a part (whole blocks of the rate) was spent. One capture ends it: what it leaves goes back."""

    key: Key = ""
    amount: Annotated[Amount | None, Meta(description="In this region's units; null: all that was authorised.")] = None


class NewRelease(Request, frozen=True):
    """Nothing was bought."""

    key: Key = ""


class Waiting(Request, frozen=True):
    """How long to wait for the home region's answer."""

    wait: Wait = 0.0


class OneAuthorisation(Request, frozen=True):
    """Which of several authorisations of one id, and how long to wait while an answer is due."""

    counter: Region | None = None
    wait: Wait = 0.0


class AuthorisationsWanted(Request, frozen=True):
    """Which authorisations."""

    after: Annotated[int, Meta(ge=0, le=(1 << 62), description="`next` of the page before.")] = 0
    limit: Limit = limits.PAGE
    state: Annotated[AuthorisationWord | None, Meta(description="Only those in this state.")] = None
    counter: Annotated[Region | None, Meta(description="Only those of counters in this region.")] = None


# -- answers ----------------------------------------------------------------------------------------------------------


class CodeMade(Answer, frozen=True):
    """What the resident shows, and until when it can be used."""

    code: str
    expires: datetime


class CodeLine(CodeMade, frozen=True, kw_only=True):
    """See CodeMade."""

    line: int
    ok: Literal[True] = True


class Authorisation(Answer, frozen=True):
    """Points of a resident of `home` held for a purchase in `counter`; amounts at home, and what they become there."""

    id: str
    state: AuthorisationWord
    reason: str | None
    home: int
    counter: int
    category: str
    amount: int
    becomes: str
    arriving: int
    captured: int  # of `amount`; while `capturing`, what was asked for
    captured_arriving: int
    rate: str
    reference: str
    until: datetime | None
    at: datetime
    ended: datetime | None
    changed: int


class Authorisations(Answer, frozen=True):
    """In the order of their newest change, and after which number to go on: a cursor for a regional system."""

    authorisations: list[Authorisation]
    next: int


def _answer(a: Shown) -> Authorisation:
    return Authorisation(
        id=a.id,
        state=_STATES[a.state],
        reason=reason(a.reason),
        home=a.home,
        counter=a.counter,
        category=a.category,
        amount=a.amount,
        becomes=a.becomes,
        arriving=a.arriving,
        captured=a.captured,
        captured_arriving=a.captured_arriving,
        rate=f"{a.rate_p}/{a.rate_q}",
        reference=a.reference,
        until=time_or_none(a.until_ms),
        at=time(a.at_ms),
        ended=time_or_none(a.ended_ms),
        changed=a.changed,
    )


# -- what is asked ----------------------------------------------------------------------------------------------------

CODE: Deed[NewCode, NewCodeCommand, CodeAnswer] = Deed(
    body=NewCode,
    make=lambda body, _client: NewCodeCommand(account=body.account, minutes=body.minutes),
    answer=CodeAnswer,
    show=lambda a: CodeMade(a.code, time(a.expires_ms)),
    show_line=lambda n, a: CodeLine(a.code, time(a.expires_ms), line=n),
    line=CodeLine,
)


async def authorise(call: Call) -> web.Response:
    """Ask, and wait for the answer if that is wanted."""
    body: NewAuthorisation = with_key(call, call.body)
    command = AskToHold(
        client=call.token.name,
        key=body.key or missing_key(),
        code=body.code,
        category=body.category,
        amount=units(body.amount),
        reference=body.reference,
        minutes=body.minutes,
    )
    return await _done(call, await call.desk.one(command))


async def capture(call: Call) -> web.Response:
    """Capture, and wait likewise."""
    body: NewCapture = with_key(call, call.body)
    command = service.Capture(
        client=call.token.name,
        key=body.key or missing_key(),
        authorisation=bytes.fromhex(call.path["id"]),
        amount=units(body.amount) if body.amount is not None else 0,
    )
    return await _done(call, await call.desk.one(command))


async def release(call: Call) -> web.Response:
    """Release, and wait likewise."""
    body: NewRelease = with_key(call, call.body)
    command = service.Release(
        client=call.token.name, key=body.key or missing_key(), authorisation=bytes.fromhex(call.path["id"])
    )
    return await _done(call, await call.desk.one(command))


async def _done(call: Call, found: Shown) -> web.Response:
    wait = call.query.wait if call.query is not None else 0.0
    if wait and found.state in query.MOVING:
        id_ = bytes.fromhex(found.id)
        await call.desk.bell.decided(id_, found.counter, wait)
        found = service.shown(await _find(call, id_, found.counter))
    return respond(_answer(found), 202)


async def _find(call: Call, id_: bytes, counter: int | None) -> Stored:
    found: list[Stored] = await call.desk.read(query.all_of, id_)
    found = [each for each in found if counter in (None, each.counter)]
    here = [each for each in found if each.counter == call.desk.node.office.me]
    if not found:
        raise Wrong("transfer_unknown", "no authorisation has this id")
    if len(found) > 1 and not here:
        raise Wrong("ambiguous_id", "several regions chose this id: say which with `counter`", field="counter")
    return (here or found)[0]


async def show(call: Call) -> web.Response:
    """One, with `wait` once no answer is due."""
    wanted: OneAuthorisation = call.query or OneAuthorisation()
    found = await _find(call, bytes.fromhex(call.path["id"]), wanted.counter)
    if wanted.wait and found.state in query.MOVING:
        await call.desk.bell.decided(found.id, found.counter, wanted.wait)
        found = await _find(call, found.id, found.counter)
    return respond(_answer(service.shown(found)))


async def listing(call: Call) -> web.Response:
    """Those that have changed, as they stand now."""
    wanted: AuthorisationsWanted = call.query or AuthorisationsWanted()
    state = _NUMBERS[wanted.state] if wanted.state else None
    rows = await call.desk.read(query.after, wanted.after, wanted.limit, counter=wanted.counter, state=state)
    found = [_answer(service.shown(row)) for row in rows]
    return respond(Authorisations(found, rows[-1].changed if rows else wanted.after))


_ASKED: dict[str, Any] = {"scope": "spend", "status": 202, "query": Waiting, "answer": Authorisation}

ROUTES = (
    command_route(
        CODE, path="/v1/codes", name="new_code", scope="accounts", answer=CodeMade,
        summary="取得异地兑换码", summary_en="Obtain a code for a purchase away from home",
    ),
    Route(
        method="POST", path="/v1/authorisations", name="authorise", handler=authorise, body=NewAuthorisation, **_ASKED,
        summary="异地兑换：请来访者的归属地预授权",
        summary_en="Ask a visitor's home region to hold points for a purchase here",
    ),
    Route(
        method="GET", path="/v1/authorisations", name="list_authorisations", handler=listing,
        query=AuthorisationsWanted, answer=Authorisations,
        summary="异地兑换预授权列表，按变更先后", summary_en="Authorisations in the order of their newest change",
    ),
    Route(
        method="GET", path="/v1/authorisations/{id}", name="show_authorisation", handler=show,
        query=OneAuthorisation, answer=Authorisation,
        summary="查询预授权，可等到有答复", summary_en="Show an authorisation, or wait for the answer that is due",
    ),
    Route(
        method="POST", path="/v1/authorisations/{id}/capture", name="capture", handler=capture, body=NewCapture,
        **_ASKED,
        summary="兑换完成：全部或部分请款", summary_en="Capture all or a part of what was authorised",
    ),
    Route(
        method="POST", path="/v1/authorisations/{id}/release", name="release", handler=release, body=NewRelease,
        **_ASKED,
        summary="未兑换：解除预授权", summary_en="Release what was authorised",
    ),
)  # fmt: skip
