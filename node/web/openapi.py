"""The OpenAPI 3.1 document: made from the routes and the very values that decode and encode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from node.store.tokens import SCOPES
from node.web.advice import ADVICE, FAULTS
from node.web.commands import HEADER, REPLAYED
from node.web.problems import MEDIA_TYPE, LineProblem, Problem
from node.web.routes import JSON, NDJSON, PATH_TYPES, Route

Schema = dict[str, Any]

VERSION = "1"

_ABOUT = """\
积分互通节点的本地接口：供本地区的业务系统使用。

The API of one region's node, for the systems of that region. Amounts are JSON integers up to 2^63-1 in the smallest
unit of a category; decimal strings are taken as well. Times are RFC 3339 in UTC, dates are business dates in
Asia/Shanghai. Errors are problems (RFC 9457): `title` and `do` are Chinese, `title_en` and `do_en` English, and
`reason` is one word that never changes.

Awards, spends, transfers and reversals need a key of the caller's (header Idempotency-Key or field `key`). A repetition
is answered as the first time was, a refusal too; the same key with other content is refused 409. Keys count per token
name.

After a restore of this region's database (GET /v1/recovery) no resident is debited until all is back: debits are
answered 503 `recovering` and may be repeated under the same key. The regional system repeats what it was told is done,
spends and transfers with the header Hutong-Replayed: true, which does them whatever the account has, and then says so.

Where application/x-ndjson is taken, a call has up to 1,000 lines, one JSON object each; the answer has one line for
each, in order, either {"line": n, "ok": true, …} or a problem with "ok": false. One bad line fails alone.
"""


def document(routes: Sequence[Route]) -> Schema:
    """The document for these routes."""
    schemas = Schemas()
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    problem = {MEDIA_TYPE: schemas.of(Problem)}
    schemas.components["Problem"]["properties"]["reason"] = {"type": "string", "enum": sorted(ADVICE)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "互通 Hutong",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {"Problem": _content("问题 A problem", problem)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _scopes()}},
        },
    }


class Schemas:
    """The schemas of the types met so far; structures and words are named once and referred to."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a type. Raises ValueError where another type has the name of one of its parts."""
        (schema,), named = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
        for name, component in named.items():
            if self.components.setdefault(name, component) != component:
                raise ValueError(f"two different types are called {name}")
        return schema


def encode(found: Schema) -> bytes:
    """The document as it is served and kept."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _operation(route: Route, schemas: Schemas) -> Schema:
    operation: Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "description": route.summary_en + (f". Needs the scope `{route.scope}`." if route.scope else "."),
        "tags": [route.path.split("/")[2] if route.path.startswith("/v1/") else "node"],
        "responses": _responses(route, schemas),
    }
    if parameters := [*_places(route, schemas), *_query(route, schemas), *_header(route)]:
        operation["parameters"] = parameters
    if route.scope is None:
        operation["security"] = []
    if route.deed is not None:
        body = schemas.of(route.deed.body)
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": body}, NDJSON: {"schema": body}}}
    elif route.body is not None:
        operation["requestBody"] = {"content": {JSON: {"schema": schemas.of(route.body)}}}
    return operation


def _responses(route: Route, schemas: Schemas) -> Schema:
    if route.answer is None:
        good = _content(route.summary_en, {"text/plain": {"type": "string"}})
    else:
        good = _content(route.summary_en, {JSON: schemas.of(route.answer)})
    found = {str(route.status): good}
    if route.deed is not None:
        line = {"oneOf": [schemas.of(route.deed.line), schemas.of(LineProblem)]}
        found["200"] = _content("一行对一行 One line for each line", {NDJSON: line})
    if route.name == "readyz":
        found["503"] = _content("暂不能服务 Not ready", {JSON: schemas.of(route.answer)})
    elif route.scope is not None:
        found["default"] = {"$ref": "#/components/responses/Problem"}
    return found


def _content(description: str, schemas: dict[str, Schema]) -> Schema:
    return {"description": description, "content": {kind: {"schema": schema} for kind, schema in schemas.items()}}


def _places(route: Route, schemas: Schemas) -> list[Schema]:
    return [
        {"name": place, "in": "path", "required": True, "schema": schemas.of(PATH_TYPES[place])}
        for place in route.places
    ]


def _query(route: Route, schemas: Schemas) -> list[Schema]:
    found = []
    for field in msgspec.structs.fields(route.query):
        schema = dict(schemas.of(field.type))
        if not field.required and field.default is not None:
            schema["default"] = msgspec.to_builtins(field.default)
        found.append({"name": field.name, "in": "query", "required": field.required, "schema": schema})
    return found


def _header(route: Route) -> list[Schema]:
    keyed = (route.deed is not None and route.deed.keyed) or (
        route.body is not None and "key" in route.body.__struct_fields__
    )
    schema = {"type": "string", "maxLength": 128}
    found = [{"name": HEADER, "in": "header", "required": False, "schema": schema}] if keyed else []
    if route.deed is not None and route.deed.replayable:
        found.append(
            {"name": REPLAYED, "in": "header", "required": False, "schema": {"type": "string", "enum": ["true"]}}
        )
    return found


def _scopes() -> str:
    lines = [f"- `{scope}`: {what}" for scope, what in SCOPES.items()]
    faults = ", ".join(sorted(FAULTS))
    return "\n".join(
        [
            "Scopes; every scope includes `read`, `admin` includes all.",
            *lines,
            "",
            f"Reasons of the API itself: {faults}.",
        ]
    )
