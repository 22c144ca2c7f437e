"""The document describes what is served: it is made anew, compared, validated, and held against real answers."""

import json
from typing import Any, get_args

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.protocol.channel import Condition
from gateway.protocol.transfer import State
from gateway.protocol.values import Purpose, Reason
from node.services.reversal import ReversalState
from node.services.transfer import EventKind
from node.store.tokens import SCOPES
from node.web import openapi, words
from node.web.advice import ADVICE
from node.web.server import DOCUMENT, ROUTES
from tests.federation import Pair, pair
from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import Caller


@pytest.fixture
def two() -> Pair:
    return pair((HANGZHOU, NINGBO))


def document() -> Any:
    return json.loads(DOCUMENT.read_text("utf-8"))


def test_the_committed_document_is_what_the_code_makes() -> None:
    assert DOCUMENT.read_bytes() == openapi.encode(openapi.document(ROUTES)), "run `python -m node.web`"


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_every_route_is_described_once_in_both_languages() -> None:
    found = document()["paths"]
    assert {(r.path, r.method.lower()) for r in ROUTES} == {(path, m) for path, ops in found.items() for m in ops}
    names = [operation["operationId"] for ops in found.values() for operation in ops.values()]
    assert len(names) == len(set(names))
    assert all(any("一" <= c <= "鿿" for c in r.summary) and r.summary_en.isascii() for r in ROUTES)


def test_every_reason_has_advice_in_both_languages() -> None:
    assert {reason.name.lower() for reason in Reason} <= ADVICE.keys()
    for advice in ADVICE.values():
        assert 400 <= advice.status <= 503
        assert any("一" <= c <= "鿿" for c in advice.title)
        assert any("一" <= c <= "鿿" for c in advice.do)
        assert advice.title_en
        assert advice.do_en
    assert set(document()["components"]["schemas"]["Problem"]["properties"]["reason"]["enum"]) == ADVICE.keys()


def test_every_scope_that_a_route_needs_can_be_given() -> None:
    assert {r.scope for r in ROUTES if r.scope} <= SCOPES.keys()


def test_every_word_has_its_number() -> None:
    assert get_args(words.PurposeWord) == tuple(words.PURPOSE)
    assert get_args(words.EvidenceWord) == tuple(words.EVIDENCE)
    assert get_args(words.AccountWord) == tuple(words.ACCOUNT)
    assert set(get_args(words.StateWord)) < set(words.STATE) == {state.name.lower() for state in State}
    assert set(words.PURPOSES) == set(Purpose)
    assert set(words.EVENTS) == set(EventKind)
    assert set(words.REVERSALS) == set(ReversalState)
    assert set(words.CONDITIONS) == set(Condition)


async def test_answers_are_as_the_document_says(hangzhou: Caller, ningbo: Caller) -> None:
    served = await (await hangzhou.client.get("/openapi.json")).json()
    assert served == document()

    def check(value: Any, name: str) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": served["components"]}
        jsonschema.Draft202012Validator(schema).validate(value)

    await hangzhou.resident("A", 500, expires="2027-12-31")
    to = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", to, 100)
    check(placed, "Placed")
    await hangzhou.pump()
    check(await hangzhou.get("/v1/accounts/A"), "Account")
    check(await hangzhou.get("/v1/accounts/A/history"), "History")
    check(await hangzhou.get(f"/v1/transfers/{placed['id']}"), "TransferShown")
    check(await hangzhou.get("/v1/transfers"), "Transfers")
    check(await hangzhou.get("/v1/events"), "Events")
    check(await hangzhou.get("/v1/positions"), "Positions")
    check(await hangzhou.get("/v1/counts"), "Counts")
    check(await hangzhou.get("/v1/peers"), "Peers")
    check(await hangzhou.get("/v1/roster"), "Roster")
    check(await hangzhou.get("/readyz"), "Readiness")
    check(await hangzhou.get("/v1/quotes?category=moral&amount=9&destination=330200"), "Quote")
    check(await hangzhou.get("/v1/accounts/nobody", 404), "Problem")
    lines = await hangzhou.lines("/v1/awards", [{"account": "A", "category": "moral", "amount": 1, "key": "k"}, {}])
    check(lines[0], "AwardLine")
    check(lines[1], "LineProblem")
