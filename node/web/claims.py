"""Claims in suspense: what others owe this region, or it owes them. Read only; nothing is unposted for a claim."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aiohttp import web
from msgspec import Meta

from node.store import claims as query
from node.web import limits
from node.web.answers import Answer
from node.web.requests import Limit, Request
from node.web.routes import Call, Route, respond
from node.web.words import CAUSES, CLAIM_STATES, CauseWord, ClaimWord, time

_NUMBERS = {word: number for number, word in CLAIM_STATES.items()}


class ClaimsWanted(Request, frozen=True):
    """Which claims."""

    after: Annotated[int, Meta(ge=0, le=(1 << 62), description="The number of the last claim read.")] = 0
    limit: Limit = limits.PAGE
    state: Annotated[ClaimWord | None, Meta(description="Only those in this state.")] = None
    peer: Annotated[int, Meta(ge=110_000, le=999_999, description="Only those against this region.")] | None = None


class Claim(Answer, frozen=True):
    """One claim."""

    no: int
    peer: int
    cause: CauseWord
    transfer: Annotated[str, Meta(description="What it is about; of a clawback or a dispute: the id of that.")]
    category: str
    amount: int
    because: str
    state: ClaimWord
    at: datetime
    mine: Annotated[bool, Meta(description="The peer owes it; otherwise this region owes the peer.")]


class Claims(Answer, frozen=True):
    """Claims in order, and after which number to go on."""

    claims: list[Claim]
    next: int


async def listing(call: Call) -> web.Response:
    """Page by page."""
    wanted: ClaimsWanted = call.query
    state = _NUMBERS[wanted.state] if wanted.state else None
    rows = await call.desk.read(query.after, wanted.after, wanted.limit, state, wanted.peer)
    found = [
        Claim(
            row.no, row.peer, CAUSES[row.cause], bytes(row.id).hex(), row.category, row.amount, row.because,
            CLAIM_STATES[row.state], time(row.at_ms), bool(row.mine),
        )
        for row in rows
    ]  # fmt: skip
    return respond(Claims(found, rows[-1].no if rows else wanted.after))


ROUTES = (
    Route(
        method="GET", path="/v1/claims", name="list_claims", handler=listing, query=ClaimsWanted, answer=Claims,
        summary="挂账：对方所欠与本地区所欠", summary_en="Claims in suspense",
    ),
)  # fmt: skip
