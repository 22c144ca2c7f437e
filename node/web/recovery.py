"""After a restore: whether the region is whole, what is missing, and who says so."""

from __future__ import annotations

from aiohttp import web

from node.services.office import Office
from node.services.recovery.history import AcceptRisk, Replayed, missing, outstanding
from node.store.history import History
from node.web import region_answers as answers
from node.web import requests
from node.web.commands import units
from node.web.ports import Check, NodeLike
from node.web.routes import Call, Route, respond
from node.web.words import time_or_none


async def show(call: Call) -> web.Response:
    """As the last commit left it."""
    return respond(_shown(call.desk.node.history, call.desk.node))


async def replayed(call: Call) -> web.Response:
    """The regional system has repeated every command that it was told is done."""
    history: History = await call.desk.one(Replayed(by=call.token.name))
    return respond(_shown(history, call.desk.node))


async def accept_risk(call: Call) -> web.Response:
    """One of two people. Whose token it is, is who it is."""
    command = AcceptRisk(peer=call.body.peer, amount=units(call.body.amount), by=call.token.name)
    history: History = await call.desk.one(command)
    return respond(_shown(history, call.desk.node))


def check(history: History, office: Office) -> Check:
    """For /readyz. Not vital: awards, arrivals and questions are served all the same."""
    return Check(
        name="history",
        ok=not history.recovering,
        vital=False,
        detail=f"restored ({history.cause}); until it is whole no resident is debited: {missing(history, office)}",
    )


def _shown(history: History, node: NodeLike) -> answers.Recovery:
    office = node.office
    return answers.Recovery(
        recovering=history.recovering,
        cause=history.cause,
        since=time_or_none(history.since_ms),
        lineage=history.lineage.hex(),
        commits=history.commits,
        replayed=history.replayed,
        merged=sorted(history.merged),
        outstanding=outstanding(history, office) if history.recovering else [],
        coming_back=[
            answers.ComingBack(peer=peer, here=channel.size, there=channel.fenced.holds_size)
            for peer, channel in sorted(node.channels.items())
            if channel.fenced is not None
        ],
        missing=missing(history, office),
        risks=[
            answers.Risk(
                peer=risk.peer,
                amount=risk.amount,
                used=risk.used,
                maker=risk.maker,
                checker=risk.checker,
                accepted=risk.accepted,
            )
            for _, risk in sorted(history.risks.items())
        ],
        owed=history.owed,
    )


ROUTES = (
    Route(
        method="GET", path="/v1/recovery", name="show_recovery", handler=show, answer=answers.Recovery,
        summary="恢复进度：是否完整，还缺什么",
        summary_en="Whether the region is whole after a restore, and what is missing",
    ),
    Route(
        method="POST", path="/v1/recovery/replayed", name="say_replayed", handler=replayed, scope="recovery",
        body=requests.Nothing, answer=answers.Recovery,
        summary="业务系统已重放全部已确认的请求",
        summary_en="The regional system has repeated every command that it was told is done",
    ),
    Route(
        method="POST", path="/v1/recovery/risks", name="accept_risk", handler=accept_risk, scope="recovery",
        body=requests.NewRisk, answer=answers.Recovery,
        summary="两人先后接受某地区尚未归还数据的风险",
        summary_en="One of two people accepts the risk of a region that has not given back what it holds",
    ),
)  # fmt: skip
