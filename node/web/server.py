"""The application: every route behind its checks, every exception a problem."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from node.store.tokens import Token
from node.web import (
    accounts,
    agreements,
    attestations,
    claims,
    clawbacks,
    consents,
    disputes,
    drill,
    events,
    health,
    limits,
    penalties,
    points,
    quarantine,
    recovery,
    region,
    requests,
    reviews,
    roaming,
    transfers,
)
from node.web.desk import Desk
from node.web.ports import NodeLike
from node.web.problems import wrong
from node.web.routes import Call, Route, check_no_number, read_body, read_path, read_query

ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *agreements.ROUTES,
    *attestations.ROUTES,
    *points.ROUTES,
    *transfers.ROUTES,
    *reviews.ROUTES,
    *roaming.ROUTES,
    *events.ROUTES,
    *claims.ROUTES,
    *clawbacks.ROUTES,
    *disputes.ROUTES,
    *consents.ROUTES,
    *penalties.ROUTES,
    *region.ROUTES,
    *recovery.ROUTES,
    *drill.ROUTES,
    *quarantine.ROUTES,
    *health.ROUTES,
)

DOCUMENT = Path(__file__).with_name("openapi.json")
"""The committed OpenAPI document; what is served."""

_NOBODY = Token(name="", scopes=(), created_ms=0, revoked_ms=0, digest=b"")
DESK = web.AppKey("desk", Desk)
"""Where the application keeps its desk."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(node: NodeLike) -> web.Application:
    """The API of a node. Run it with `web.AppRunner(application(node), access_log=None)`: no line per request."""
    app = web.Application(middlewares=[_guard], client_max_size=limits.BODY_BYTES)
    desk = app[DESK] = Desk(node)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _bound(desk, route))
    app.router.add_get("/openapi.json", _document)
    app.on_shutdown.append(_send_away)
    app.cleanup_ctx.append(_threads)
    return app


async def _send_away(app: web.Application) -> None:
    """Callers who wait get what there is, so that stopping does not wait for them."""
    await app[DESK].close()


async def _threads(app: web.Application) -> AsyncIterator[None]:
    yield
    app[DESK].end()


async def _document(_request: web.Request) -> web.Response:
    return web.Response(body=_read_document(), content_type="application/json")


@cache
def _read_document() -> bytes:
    return DOCUMENT.read_bytes()


def _bound(desk: Desk, route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        check_no_number(request)
        token = _NOBODY
        if route.scope is not None:
            token = await desk.tokens.check(request.headers.get("Authorization"), route.scope)
        query: Any = read_query(request, route.query) if route.query is not requests.NoQuery or request.query else None
        path = read_path(request, route)
        body = None
        if route.body is not None:
            body = await read_body(request, route.body, takes_number=route.takes_number)
        answer: web.StreamResponse = await route.handler(
            Call(desk=desk, request=request, token=token, query=query, body=body, path=path)
        )
        return answer

    return handle


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.perf_counter()
    resource = request.match_info.route.resource
    where = resource.canonical if resource is not None else "unknown"
    status = 499  # the caller left
    try:
        response = await handler(request)
        status = response.status
        return response
    except asyncio.CancelledError:
        raise
    except Exception as error:
        response = wrong(error, where).response()
        status = response.status
        return response
    finally:
        method = request.method if resource is not None else "any"
        request.app[DESK].metrics.request(method, where, status, time.perf_counter() - began)
