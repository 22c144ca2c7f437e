"""What happened to transfers, in order, for a regional system that reads with a cursor."""

from __future__ import annotations

from aiohttp import web

from node.store import events as query
from node.web import answers, requests
from node.web.routes import Call, Route, respond
from node.web.transfers import moved, shown
from node.web.words import EVENTS, time


async def listing(call: Call) -> web.Response:
    """The events after a number; with `wait`, once there is one."""
    wanted: requests.EventsWanted = call.query
    rows = await call.desk.read(query.after, wanted.after, wanted.limit)
    if not rows and wanted.wait:
        await call.desk.bell.event_after(wanted.after, wanted.wait)
        rows = await call.desk.read(query.after, wanted.after, wanted.limit)
    me = call.desk.node.office.me
    to = await moved(call, (row.transfer for row in rows))
    return respond(
        answers.Events(
            [
                answers.Event(
                    row.no, EVENTS[row.kind], time(row.at_ms), shown(me, row.transfer, to.get(row.transfer.no))
                )
                for row in rows
            ],
            rows[-1].no if rows else wanted.after,
        )
    )


ROUTES = (
    Route(
        method="GET", path="/v1/events", name="list_events", handler=listing, query=requests.EventsWanted,
        answer=answers.Events,
        summary="事件流，可等待", summary_en="Events after a number, or wait for one",
    ),
)  # fmt: skip
