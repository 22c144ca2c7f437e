"""Facts, shares, attestations and credentials over HTTP: from one region's system to another's, and to a stranger."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol.credential import document as credential
from gateway.protocol.credential.checks import verify_credential
from gateway.protocol.values import Signed
from node.services.forks.evidence import rosters
from tests.federation import Pair
from tests.services.attesting import agree
from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import Caller

CONSENT = {
    "account": "A", "recipient": NINGBO, "contact": "宁波市 0574-12345", "purpose": "attestation",
    "method": "gateway message", "kinds": ["service_hours", "star_level"], "expires": "2027-12-31",
}  # fmt: skip


@pytest.fixture
def two(two: Pair) -> Pair:
    agree(two)
    return two


async def known(caller: Caller) -> None:
    """Hangzhou knows hours and stars of its resident A."""
    await caller.resident("A")
    lines = [
        {"account": "A", "kind": "service_hours", "value": 7200, "as_of": "2026-11-01"},
        {"account": "A", "kind": "star_level", "value": 4, "expires": "2027-06-30", "reference": "HZ-S-1"},
    ]
    for line in await caller.lines("/v1/facts", lines):
        assert line["ok"] is True


async def shared(caller: Caller) -> dict[str, Any]:
    """What the resident takes along."""
    consent = await caller.post("/v1/consents", {**CONSENT, "key": caller.key()})
    order = {"account": "A", "audience": NINGBO, "consent": consent["reference"]}
    made: dict[str, Any] = await caller.post("/v1/shares", order, 201)
    return made


async def asked(hangzhou: Caller, ningbo: Caller) -> str:
    """Ningbo asks, with what the resident shows."""
    shown = await shared(hangzhou)
    body = {name: shown[name] for name in ("code", "consent", "consent_digest")}
    wanted = {**body, "account": "B", "kinds": ["service_hours", "star_level"], "key": ningbo.key()}
    found = await ningbo.post("/v1/attestations", wanted, 202)
    assert found["peer"] == HANGZHOU
    await ningbo.pump()
    return str(found["id"])


async def test_what_one_region_attests_another_recognises_until_it_is_taken_back(
    hangzhou: Caller, ningbo: Caller
) -> None:
    await known(hangzhou)
    await ningbo.resident("B")
    id_ = await asked(hangzhou, ningbo)
    (given,) = (await hangzhou.get(f"/v1/attestations/{id_}"))["attestations"]
    (got,) = (await ningbo.get("/v1/attestations?account=B"))["attestations"]
    assert (given["given"], given["state"], given["peer"]) == (True, "given", NINGBO)
    assert (got["given"], got["state"], got["peer"], got["expires"]) == (False, "recognised", HANGZHOU, "2027-06-30")
    assert given["facts"] == got["facts"]
    standing = await ningbo.get("/v1/accounts/B/standing")
    assert standing["own"] == []
    assert {(r["kind"], r["value"], r["there"], r["holds"]) for r in standing["recognised"]} == {
        ("service_hours", 7200, 7200, True), ("star_level", 3, 4, True),
    }  # fmt: skip
    old = {"account": "A", "kind": "star_level"}
    assert (await hangzhou.post("/v1/facts/withdraw", old))["revoked"] == 1
    await ningbo.pump()
    standing = await ningbo.get("/v1/accounts/B/standing")
    assert [r["holds"] for r in standing["recognised"]] == [False, False]
    (got,) = (await ningbo.get(f"/v1/attestations/{id_}"))["attestations"]
    assert (got["state"], got["reason"]) == ("revoked", "withdrawn")
    own = {f["kind"]: f["holds"] for f in (await hangzhou.get("/v1/accounts/A/standing"))["own"]}
    assert own == {"service_hours": True, "star_level": False}


async def test_what_is_refused_says_why_and_what_to_do(hangzhou: Caller, ningbo: Caller) -> None:
    await known(hangzhou)
    await ningbo.resident("B")
    shown = await shared(hangzhou)
    body = {name: shown[name] for name in ("code", "consent", "consent_digest")}
    body = {**body, "kinds": CONSENT["kinds"]}
    for key in ("one", "two"):
        await ningbo.post("/v1/attestations", {**body, "account": "B", "key": key}, 202)
    await ningbo.pump()
    found = (await ningbo.get("/v1/attestations?account=B"))["attestations"]
    assert sorted((a["state"], a["reason"]) for a in found) == [("recognised", None), ("refused", "code_not_valid")]
    wrong = {**body, "account": "B", "key": "three", "code": "330100-0"}
    problem = await ningbo.post("/v1/attestations", wrong, 422)
    assert problem["reason"] == "code_not_valid"
    assert problem["do"]
    assert problem["do_en"]


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/v1/facts", {"account": "A", "kind": "wealth"}, 422, "bad_field"),
        ("/v1/facts", {"account": "A", "kind": "honour"}, 422, "refused_input"),
        ("/v1/facts", {"account": "A", "kind": "star_level", "value": -1}, 422, "bad_field"),
        ("/v1/facts", {"account": "nobody", "kind": "star_level", "value": 1}, 404, "account_unknown"),
        ("/v1/facts/withdraw", {"account": "A", "kind": "star_level"}, 422, "not_attested"),
        ("/v1/shares", {"account": "A", "audience": NINGBO, "consent": ""}, 422, "consent_missing"),
        ("/v1/shares", {"account": "A", "audience": NINGBO, "consent": "0" * 32}, 422, "consent_not_valid"),
        ("/v1/shares", {"account": "A", "audience": 110000, "consent": "x"}, 422, "region_unknown"),
        ("/v1/credentials", {"account": "A"}, 422, "not_attested"),
        ("/v1/attestations/" + "0" * 32 + "/revoke", {}, 422, "not_attested"),
    ],
)
async def test_bad_input_has_a_name(hangzhou: Caller, path: str, body: Any, status: int, reason: str) -> None:
    await hangzhou.resident("A")
    problem = await hangzhou.post(path, body, status)
    assert problem["reason"] == reason


async def test_each_of_many_facts_stands_or_falls_alone(hangzhou: Caller) -> None:
    await hangzhou.resident("A")
    lines = [
        {"account": "A", "kind": "star_level", "value": 4},
        {"account": "A", "kind": "star_level", "value": 4, "as_of": "2099-01-01"},
        {"account": "A", "kind": "honour", "words": "年度优秀志愿者"},
    ]
    assert [line["ok"] for line in await hangzhou.lines("/v1/facts", lines)] == [True, False, True]


async def test_only_who_may_attest_does(hangzhou: Caller) -> None:
    reader = hangzhou.make_token("reader", "read")
    body = {"account": "A", "kind": "star_level", "value": 4}
    problem = await hangzhou.post("/v1/facts", body, 403, token=reader)
    assert problem["reason"] == "scope_missing"


async def test_a_stranger_checks_a_credential_and_sees_when_it_is_revoked(hangzhou: Caller) -> None:
    await known(hangzhou)
    made = await hangzhou.post("/v1/credentials", {"account": "A", "kinds": ["star_level"]}, 201)
    said = credential.claims(made["credential"])
    assert [f["kind"] for f in said["credentialSubject"]["attested"]] == ["star_level"]
    assert await fails(hangzhou, made["credential"]) == []
    ended = await hangzhou.post(f"/v1/attestations/{made['id']}/revoke", {"because": "mistake"})
    assert ended["state"] == "taken_back"
    assert await fails(hangzhou, made["credential"]) == ["status"]


async def test_a_withdrawn_fact_revokes_the_credential_too(hangzhou: Caller) -> None:
    await known(hangzhou)
    stars = await hangzhou.post("/v1/credentials", {"account": "A", "kinds": ["star_level"]}, 201)
    hours = await hangzhou.post("/v1/credentials", {"account": "A", "kinds": ["service_hours"]}, 201)
    await hangzhou.post("/v1/facts/withdraw", {"account": "A", "kind": "star_level"})
    assert await fails(hangzhou, stars["credential"]) == ["status"]
    assert await fails(hangzhou, hours["credential"]) == []


async def fails(caller: Caller, token: str) -> list[str]:
    """Which checks of a credential fail, for somebody who has the rosters and the newest status list."""
    listed = (await caller.get("/v1/credentials/status"))["credential"]
    with caller.node.store.read() as conn:
        history: list[Signed] = rosters(conn)
    office = caller.node.office
    checks = verify_credential(token, history, office.roster.federation, office.clock(), listed)
    return [check.code for check in checks if not check.ok]
