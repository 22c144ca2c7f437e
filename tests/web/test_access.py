"""Who may call, and for what."""

import asyncio

import pytest

from node.store import tokens
from node.web import limits
from node.web.routes import Route
from node.web.server import ROUTES
from tests.federation import NOW_MS
from tests.web.conftest import NINGBO
from tests.web.nodes import Caller

pytestmark = pytest.mark.asyncio(loop_scope="module")


def filled(path: str) -> str:
    """A path with something in its places."""
    return path.format(id="0" * 32, code=NINGBO, name="A", key="k", digest="0" * 64)


COMMANDS = [(r.method, filled(r.path), r.scope) for r in ROUTES if r.scope not in (None, "read")]


@pytest.fixture
def hangzhou(shared: tuple[Caller, Caller]) -> Caller:
    return shared[0]


@pytest.mark.parametrize("route", [r for r in ROUTES if r.scope], ids=lambda r: r.name)
async def test_nothing_is_answered_without_a_token(hangzhou: Caller, route: Route) -> None:
    for headers in ({}, {"Authorization": "Basic QQ=="}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}):
        response = await hangzhou.client.request(route.method, filled(route.path), headers=headers)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        problem = await response.json(content_type="application/problem+json")
        assert problem["reason"] == ("token_refused" if headers.get("Authorization") == "Bearer x" else "token_missing")


async def test_health_figures_and_the_document_are_open(hangzhou: Caller) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert (await hangzhou.client.get(path)).status == 200


@pytest.mark.parametrize(("method", "path", "scope"), COMMANDS)
async def test_a_command_needs_its_own_scope(hangzhou: Caller, method: str, path: str, scope: str) -> None:
    everything_else = [s for s in tokens.SCOPES if s not in (scope, "admin")]
    number = COMMANDS.index((method, path, scope))  # a path may be too long for a token's name
    token = hangzhou.make_token(f"others-{number}", *everything_else)
    response = await hangzhou.send(method, path, json={}, token=token)
    assert response.status == 403
    problem = await response.json(content_type="application/problem+json")
    assert problem["reason"] == "scope_missing"
    assert f"`{scope}`" in problem["detail"]
    just = hangzhou.make_token(f"just-{number}", scope)
    assert (await hangzhou.send(method, path, json={}, token=just)).status not in (401, 403)


async def test_every_token_may_look(hangzhou: Caller) -> None:
    for scope in tokens.SCOPES:
        await hangzhou.get("/v1/counts", token=hangzhou.make_token(f"t-{scope}", scope))


async def test_a_revoked_token_is_refused_within_a_second(hangzhou: Caller) -> None:
    token = hangzhou.make_token("shortlived", "read")
    await hangzhou.get("/v1/counts", token=token)
    with hangzhou.node.store.write() as conn:
        tokens.revoke(conn, "shortlived", NOW_MS)
    await asyncio.sleep(limits.TOKEN_AGE_S)
    assert limits.TOKEN_AGE_S < 1
    assert (await hangzhou.get("/v1/counts", 401, token=token))["reason"] == "token_refused"


async def test_a_new_token_under_a_revoked_name_goes_on_with_its_keys(hangzhou: Caller) -> None:
    await hangzhou.resident("A")
    award = {"account": "A", "category": "moral", "amount": 5, "key": "k"}
    first = await hangzhou.post("/v1/awards", award, token=hangzhou.make_token("office", "award"))
    with hangzhou.node.store.write() as conn:
        tokens.revoke(conn, "office", NOW_MS)
    assert first == await hangzhou.post("/v1/awards", award, token=hangzhou.make_token("office", "award"))
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 5


async def test_the_database_holds_no_token(hangzhou: Caller) -> None:
    with hangzhou.node.store.read() as conn:
        kept = next(token for token in tokens.listed(conn) if token.name == "system")
    assert hangzhou.token.encode() not in kept.digest
    assert len(kept.digest) == 32
    assert hangzhou.token not in repr(kept)
