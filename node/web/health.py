"""Whether the process runs, whether it can serve, and its figures. Open to everybody who can reach the port."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.protocol.channel import Condition
from node.errors import Unavailable
from node.store import positions
from node.web import limits, recovery
from node.web import region_answers as answers
from node.web.desk import Desk
from node.web.metrics import CONTENT_TYPE
from node.web.ports import Check
from node.web.routes import Call, Route, respond


async def healthz(_call: Call) -> web.Response:
    """The process runs and its event loop turns."""
    return respond(answers.Health())


async def readyz(call: Call) -> web.Response:
    """200 when the region can serve, 503 when something vital is wrong."""
    desk = call.desk
    whole = recovery.check(desk.node.history, desk.node.office)
    checks = [await _database(desk), whole, *await _channels(desk), *desk.node.readiness()]
    ready = all(check.ok for check in checks if check.vital)
    said = [answers.Checked(check.name, check.ok, check.vital, "" if check.ok else check.detail) for check in checks]
    return respond(answers.Readiness(ready, said), 200 if ready else 503)


async def _database(desk: Desk) -> Check:
    """A batch of nothing goes through the writer and commits."""
    try:
        async with asyncio.timeout(limits.PROBE_S):
            await desk.node.submit([])
    except Unavailable as error:
        return Check(name="database", ok=False, detail=str(error))
    except TimeoutError:
        return Check(
            name="database", ok=False, detail=f"no commit within {limits.PROBE_S:g} s; see its log and its disk"
        )
    return Check(name="database", ok=True)


async def _channels(desk: Desk) -> list[Check]:
    """A channel that runs on a history that was left stops the region; a quarantined peer only its own channel."""
    try:
        found = await desk.read(positions.channels)
    except Unavailable as error:
        return [Check(name="channels", ok=False, detail=str(error))]
    abandoned = [str(c.peer) for c in found if c.condition == Condition.ABANDONED]
    quarantined = [str(c.peer) for c in found if c.condition == Condition.QUARANTINED]
    return [
        Check(
            name="channels",
            ok=not abandoned,
            detail=f"regions {', '.join(abandoned)} hold another history of their logs or of this region's: the "
            "database is a backup of a history that was left; stop and restore an older one"
            if abandoned
            else "",
        ),
        Check(
            name="peers_consistent",
            ok=not quarantined,
            vital=False,
            detail=f"regions {', '.join(quarantined)} contradicted themselves or this region: see "
            "`hutong peers evidence CODE`; both regions must agree by `hutong peers repair CODE`"
            if quarantined
            else "",
        ),
    ]


async def metrics(call: Call) -> web.Response:
    """For Prometheus."""
    body = await call.desk.metrics.scrape(call.desk.read)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


ROUTES = (
    Route(
        method="GET", path="/healthz", name="healthz", handler=healthz, scope=None, answer=answers.Health,
        summary="进程是否运行", summary_en="Whether the process runs",
    ),
    Route(
        method="GET", path="/readyz", name="readyz", handler=readyz, scope=None, answer=answers.Readiness,
        summary="能否提供服务", summary_en="Whether the region can serve",
    ),
    Route(
        method="GET", path="/metrics", name="metrics", handler=metrics, scope=None, answer=None,
        summary="监控指标", summary_en="Figures for Prometheus",
    ),
)  # fmt: skip
