"""What operators see of keys: that another instance runs as the region, and what is in suspense."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway.protocol.values import Provenance, Slice
from node.services.keys.revocation import JudgeKeys
from tests.services.delivery import alias_of
from tests.services.ledger import forge, offer
from tests.services.test_keys_revoked import anchor, revoked
from tests.services.test_keys_rotation import NEW, adopt, key, listed
from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import Caller


def slice_of(blocks: int) -> Slice:
    return Slice(blocks, 0, (Provenance(HANGZHOU, 20260101, 2, ""),))


async def figures(caller: Caller) -> dict[tuple[str, ...], float]:
    text = await (await caller.client.get("/metrics")).text()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_doubled_instance_refuses_every_command_for_now_and_still_answers_questions(hangzhou: Caller) -> None:
    await hangzhou.resident("A", 100)
    assert (await figures(hangzhou))["hutong_doubled",] == 0
    hangzhou.region.office.doubled = True
    body = {"account": "A", "category": "moral", "amount": 4, "key": "again"}
    problem = await hangzhou.post("/v1/spends", body, status=503)
    assert (problem["reason"], "another instance" in problem["detail"]) == ("doubled", True)
    (line,) = await hangzhou.lines("/v1/spends", [body])
    assert (line["ok"], line["reason"]) == (False, "doubled")
    assert (await hangzhou.get("/v1/peers"))["doubled"] is True
    assert (await figures(hangzhou))["hutong_doubled",] == 1
    hangzhou.region.office.doubled = False  # as after a restart
    await hangzhou.post("/v1/spends", body)  # nothing was frozen under the key


async def test_claims_are_listed_page_by_page(hangzhou: Caller, ningbo: Caller) -> None:
    to = await hangzhou.address_at(ningbo, "B")
    good = anchor(hangzhou.region)
    ids = [b"forged transfer%d" % n for n in range(3)]
    alias = alias_of(to)
    offers = [
        offer(alias, blocks * 10, id_=id_, arriving=blocks * 3, rate_p=3, rate_q=10, slices=(slice_of(blocks),))
        for blocks, id_ in enumerate(ids, 1)
    ]
    forged = forge(hangzhou.region, NINGBO, offers)
    ningbo.region.hear(HANGZHOU, forged)
    adopt(ningbo.region, listed(ningbo.pair, revoked(hangzhou.region, good), key(NEW)))
    await ningbo.node.submit([JudgeKeys()])
    first = await ningbo.get("/v1/claims?limit=2")
    second = await ningbo.get(f"/v1/claims?after={first['next']}")
    found = first["claims"] + second["claims"]
    assert [(c["peer"], c["cause"], bytes.fromhex(c["transfer"]), c["amount"], c["state"]) for c in found] == [
        (HANGZHOU, "revoked_key", id_, 3 * blocks, "open") for blocks, id_ in enumerate(ids, 1)
    ]
    assert (await ningbo.get("/v1/claims?state=settled"))["claims"] == []
    assert len((await ningbo.get(f"/v1/claims?peer={HANGZHOU}"))["claims"]) == 3
    await ningbo.get("/v1/claims?state=unknown", status=422)
    assert (await figures(ningbo))["hutong_claims", str(HANGZHOU), "open", "revoked_key"] == 3
