"""One row per thing that can be asked: the router, the checks and the OpenAPI document all follow from it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import web

from gateway.protocol.identity import bytes_mention_number, mentions_number
from node.store.tokens import Token
from node.web import requests
from node.web.desk import Desk
from node.web.problems import Wrong, invalid, undecodable, wrong

if TYPE_CHECKING:
    from node.web.commands import Deed

T = TypeVar("T", bound=msgspec.Struct)

JSON = "application/json"
NDJSON = "application/x-ndjson"

_SECONDS = re.compile(r"\d{1,5}\.\d+", re.ASCII)  # how long to wait: its fraction may look like an identity number

PATH_TYPES: dict[str, Any] = {
    "name": requests.Name,
    "id": requests.Id,
    "code": requests.Region,
    "key": requests.Key,
    "digest": requests.Digest,
}
"""What stands in the places of a path."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, let in and read."""

    desk: Desk
    request: web.Request
    token: Token
    query: Any
    body: Any
    path: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Route:
    """See the module. `summary` is Chinese and `summary_en` English; `scope` None: open to everybody."""

    method: str
    path: str
    name: str
    summary: str
    summary_en: str
    answer: Any
    handler: Callable[[Call], Awaitable[Any]]
    scope: str | None = "read"
    status: int = 200
    query: type[msgspec.Struct] = requests.NoQuery
    body: type[msgspec.Struct] | None = None
    deed: Deed[Any, Any, Any] | None = None  # can also be called in bulk
    takes_number: bool = False  # its body is the one place for an identity number

    @property
    def places(self) -> list[str]:
        """The names in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


def respond(answer: msgspec.Struct, status: int = 200) -> web.Response:
    """An answer as JSON."""
    return web.Response(body=_encode(answer), status=status, content_type=JSON)


def read_query(request: web.Request, shape: type[T]) -> T:
    """The query as a value. Raises Wrong for what is unknown, repeated or not as it must be."""
    given = request.rel_url.query
    values = dict(given)
    if len(values) != len(given):
        raise Wrong("bad_field", "a parameter is given twice")
    return _convert(values, shape)


def read_path(request: web.Request, route: Route) -> dict[str, Any]:
    """The places of the path as values. Raises Wrong."""
    found = {}
    for place in route.places:
        try:
            found[place] = msgspec.convert(request.match_info[place], PATH_TYPES[place], strict=False)
        except msgspec.ValidationError as error:
            raise Wrong("bad_field", f"{place}: {error}", field=place) from None
    return found


def check_no_number(request: web.Request) -> None:
    """Whether path, query and key are free of identity numbers: they are kept, and repeated in errors. Raises Wrong."""
    url = request.rel_url
    query = [text for name, value in url.query.items() for text in (name, value) if not _SECONDS.fullmatch(text)]
    if any(map(mentions_number, (url.path, *query, request.headers.get("Idempotency-Key", "")))):
        raise Wrong("identity_number")


async def read_body(request: web.Request, shape: type[T], *, takes_number: bool = False) -> T:
    """The body as a value; an empty one counts as {}. Raises Wrong."""
    data = await read_all(request)
    if not takes_number and bytes_mention_number(data):
        raise Wrong("identity_number")
    if not data.strip():
        data = b"{}"
    elif request.content_type != JSON:
        raise Wrong("unsupported_media_type", f"Content-Type is {request.content_type[:100]}")
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise undecodable(error, data) from None


async def read_all(request: web.Request) -> bytes:
    """The bytes of the body. Raises Wrong(too_large), before the rest is read."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise wrong(error, "") from None


def _convert(values: dict[str, str], shape: type[T]) -> T:
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
