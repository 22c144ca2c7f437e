"""The review queue: incoming transfers that wait for a clerk."""

from __future__ import annotations

from aiohttp import web

from node.services import identity
from node.services.offer import Review
from node.services.transfer import Placed
from node.store import transfers as query
from node.web import answers, requests
from node.web.routes import Call, Route, respond
from node.web.transfers import placed, shown


async def listing(call: Call) -> web.Response:
    """What waits, oldest first."""
    rows = await call.desk.read(query.in_review, call.query.cursor or 0, call.query.limit)
    following = rows[-1].no if len(rows) == call.query.limit else None
    office = call.desk.node.office
    doubts = await call.desk.read(identity.doubts, [row.id for row in rows], office)
    waiting = [
        answers.WaitingTransfer(
            **{name: getattr(plain, name) for name in plain.__struct_fields__},
            doubt=doubt.value if (doubt := doubts.get(bytes(row.id))) is not None else None,
        )
        for row, plain in ((row, shown(office.me, row)) for row in rows)
    ]
    return respond(answers.Reviews(waiting, following))


async def decide(call: Call) -> web.Response:
    """A clerk accepts or refuses."""
    verdict: requests.Verdict = call.body
    command = Review(
        source=verdict.source,
        id=bytes.fromhex(call.path["id"]),
        accept=verdict.decision == "accept",
        by=verdict.by,
    )
    answer: Placed = await call.desk.one(command)
    return respond(placed(answer))


ROUTES = (
    Route(
        method="GET", path="/v1/reviews", name="list_reviews", handler=listing, query=requests.Paged,
        answer=answers.Reviews,
        summary="待审核的转入", summary_en="Incoming transfers that wait for a clerk",
    ),
    Route(
        method="POST", path="/v1/reviews/{id}", name="review", handler=decide, scope="review",
        body=requests.Verdict, answer=answers.Placed,
        summary="审核：接受或拒绝", summary_en="Accept or refuse an incoming transfer",
    ),
)  # fmt: skip
