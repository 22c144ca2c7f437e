"""Points at home: awards, spending, expiry."""

from __future__ import annotations

from aiohttp import web

from node.services.award import Award, Granted
from node.services.expiry import Sweep
from node.services.spend import Spend, SpendAnswer
from node.web import answers, requests
from node.web.commands import Deed, command_route, missing_key, units
from node.web.routes import Call, Route, respond
from node.web.words import EVIDENCE, number


def _award(body: requests.NewAward, client: str) -> Award:
    return Award(
        client=client,
        key=body.key or missing_key(),
        account=body.account,
        category=body.category,
        amount=units(body.amount),
        granted=number(body.granted),
        expires=number(body.expires),
        evidence=EVIDENCE[body.evidence],
        because=body.because,
    )


AWARD: Deed[requests.NewAward, Award, Granted] = Deed(
    body=requests.NewAward,
    make=_award,
    answer=Granted,
    show=lambda a: answers.Awarded(a.id, a.account, a.category, a.amount, a.lot),
    show_line=lambda n, a: answers.AwardLine(a.id, a.account, a.category, a.amount, a.lot, line=n),
    line=answers.AwardLine,
)


def _spend(body: requests.NewSpend, client: str) -> Spend:
    return Spend(
        client=client,
        key=body.key or missing_key(),
        account=body.account,
        category=body.category,
        amount=units(body.amount),
        note=body.note,
    )


SPEND: Deed[requests.NewSpend, Spend, SpendAnswer] = Deed(
    body=requests.NewSpend,
    make=_spend,
    answer=SpendAnswer,
    replayable=True,
    show=lambda a: answers.Spent(a.id, a.account, a.category, a.amount),
    show_line=lambda n, a: answers.SpendLine(a.id, a.account, a.category, a.amount, line=n),
    line=answers.SpendLine,
)


async def sweep(call: Call) -> web.Response:
    """Book what has expired."""
    swept = await call.desk.one(Sweep(after=call.body.after, limit=call.body.limit))
    return respond(answers.Swept(swept.lots, swept.units, swept.next))


ROUTES = (
    command_route(
        AWARD, path="/v1/awards", name="award", scope="award", answer=answers.Awarded,
        summary="发放积分", summary_en="Award points",
    ),
    command_route(
        SPEND, path="/v1/spends", name="spend", scope="spend", answer=answers.Spent,
        summary="使用积分", summary_en="Redeem points in this region",
    ),
    Route(
        method="POST", path="/v1/expiry/sweep", name="sweep", handler=sweep, scope="operate",
        body=requests.SweepOrder, answer=answers.Swept,
        summary="登记到期积分", summary_en="Book what has expired",
    ),
)  # fmt: skip
