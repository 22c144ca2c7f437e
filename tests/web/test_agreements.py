"""Agreements over HTTP: what one region's people propose the other's sign, decline or find fault with."""

from __future__ import annotations

from typing import Any

from gateway.protocol import documents
from gateway.protocol.agreement.life import read
from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import Caller

TWO = {"by": "张三", "checked_by": "李四"}


def terms(**more: Any) -> dict[str, Any]:
    """Hangzhou gives 10 points an hour, Ningbo one; 5 in 100 are kept back on the way there."""
    moral = [{"category": "moral", "becomes": "moral"}]
    return {
        "ours": [{"code": "moral", "points": 10, "hours": 1}],
        "theirs": [{"code": "moral", "points": 1, "hours": 1}],
        "out": {"rates": moral, "haircut": 500, "caps": {"resident_day": 1000, "net_debit": 100000}},
        "into": {"rates": moral},
        **more,
    }


def proposal(**more: Any) -> dict[str, Any]:
    return {"peer": NINGBO, "terms": terms(), "key": "first", **TWO, **more}


async def agreed(hangzhou: Caller, ningbo: Caller) -> Any:
    proposed = await hangzhou.post("/v1/agreements", proposal(), status=202)
    await hangzhou.pump()
    await ningbo.post(f"/v1/agreements/{proposed['digest']}/countersign", {"by": "王五", "checked_by": "赵六"})
    await hangzhou.pump()
    return proposed


async def test_two_regions_agree_and_points_move_at_derived_rates(hangzhou: Caller, ningbo: Caller) -> None:
    proposed = await agreed(hangzhou, ningbo)
    (here,) = (await hangzhou.get("/v1/agreements"))["agreements"]
    (there,) = (await ningbo.get(f"/v1/agreements?peer={HANGZHOU}"))["agreements"]
    assert (here["state"], there["state"], here["digest"]) == ("in_force", "in_force", proposed["digest"])
    assert here["terms"]["out"]["rates"] == there["terms"]["into"]["rates"]
    assert here["terms"]["out"]["rates"][0]["rate"] == "19/200"
    await hangzhou.resident("A", 500)
    address = await hangzhou.address_at(ningbo, "B")
    placed = await hangzhou.transfer("A", address, 450)
    assert (placed["leaving"], placed["arriving"]) == (400, 38)
    more = {"account": "A", "category": "moral", "amount": 800, "address": address, "key": "k"}
    refused = await hangzhou.post("/v1/transfers", more, status=422)  # and there are not so many points
    assert refused["reason"] == "resident_cap_reached"


async def test_the_document_convinces_a_stranger_who_knows_both_keys(hangzhou: Caller, ningbo: Caller) -> None:
    proposed = await agreed(hangzhou, ningbo)
    found = await ningbo.get(f"/v1/agreements/{proposed['digest']}")
    roster = hangzhou.region.office.roster
    document = read(documents.from_json(found["file"]), (HANGZHOU, NINGBO), roster.all_keys)
    assert document.id.hex() == proposed["id"]


async def test_whoever_is_to_sign_is_shown_what_speaks_against_it(hangzhou: Caller, ningbo: Caller) -> None:
    said = await hangzhou.post("/v1/agreements", proposal(terms=terms(valid_from="2020-01-01")), status=422)
    assert said["reason"] == "document_invalid"
    assert "BACK_DATED" in said["detail"]
    by_hand = {"rates": [{"category": "moral", "becomes": "moral", "rate": "1/5"}]}
    back = {"rates": [{"category": "moral", "becomes": "moral", "rate": "6/1"}]}
    said = await hangzhou.post("/v1/agreements", proposal(terms=terms(out=by_hand, into=back)), status=422)
    assert said["reason"] == "profitable_cycle"
    assert "×6/5" in said["detail"]
    proposed = await hangzhou.post("/v1/agreements", proposal(), status=202)
    await hangzhou.pump()
    found = await ningbo.get(f"/v1/agreements/{proposed['digest']}")
    assert (found["agreement"]["state"], found["objection"]) == ("proposed", None)
    hangzhou.region.clock.now_ms += 2 * 86_400_000
    found = await ningbo.get(f"/v1/agreements/{proposed['digest']}")
    assert found["objection"] == "document_invalid"
    declined = await ningbo.post(f"/v1/agreements/{proposed['digest']}/decline", {"by": "王五"})
    assert (declined["state"], declined["reason"]) == ("refused", "declined")
    await hangzhou.pump()
    (mine,) = (await hangzhou.get("/v1/agreements?all=true"))["agreements"]
    assert mine["reason"] == "declined"


async def test_suspend_resume_amend_and_end(hangzhou: Caller, ningbo: Caller) -> None:
    proposed = await agreed(hangzhou, ningbo)
    where = f"/v1/agreements/{proposed['id']}"
    said = await hangzhou.post(f"{where}/suspend", {**TWO, "key": "s", "because": "盘点"}, status=202)
    assert said["state"] == "suspended"
    await hangzhou.pump()
    found = await ningbo.get(f"/v1/agreements/{proposed['digest']}")
    assert found["agreement"]["state"] == "suspended"
    assert found["notices"][0]["because"] == "盘点"
    assert (await hangzhou.post(f"{where}/resume", {**TWO, "key": "r"}, status=202))["state"] == "in_force"
    amended = await hangzhou.post(
        "/v1/agreements", proposal(key="second", amends=proposed["id"], terms=terms(pinned_days=3)), status=202
    )
    assert (amended["version"], amended["state"]) == (2, "proposed")
    ended = await hangzhou.post(f"{where}/terminate", {**TWO, "key": "t", "wind_down_until": "2030-01-01"}, status=202)
    assert ended["state"] == "terminating"
    await hangzhou.pump()
    assert (await ningbo.get(f"/v1/agreements?peer={HANGZHOU}"))["agreements"][0]["state"] == "terminating"


async def test_a_proposal_repeated_under_its_key_is_made_once(hangzhou: Caller, ningbo: Caller) -> None:
    first = await hangzhou.post("/v1/agreements", proposal(), status=202)
    assert await hangzhou.post("/v1/agreements", proposal(), status=202) == first
    other = await hangzhou.post("/v1/agreements", proposal(terms=terms(pinned_days=1)), status=409)
    assert other["reason"] == "conflict_different_content"


async def test_one_person_alone_and_a_reader_cannot_sign(hangzhou: Caller, ningbo: Caller) -> None:
    alone = await hangzhou.post("/v1/agreements", proposal(checked_by="张三"), status=422)
    assert "two people" in alone["detail"]
    token = hangzhou.make_token("auditor", "read")
    said = await hangzhou.post("/v1/agreements", proposal(), status=403, token=token)
    assert said["reason"] == "scope_missing"
    assert (await hangzhou.get("/v1/agreements", token=token))["agreements"] == []
    await hangzhou.get("/v1/agreements/" + "00" * 32, status=404)


async def test_a_quote_names_every_lot_and_what_it_becomes_there(hangzhou: Caller, ningbo: Caller) -> None:
    await agreed(hangzhou, ningbo)
    await hangzhou.resident("A", 250, expires="2027-06-01")
    body = {"account": "A", "category": "moral", "amount": 300, "key": "more", "expires": "2027-12-01"}
    await hangzhou.post("/v1/awards", body)
    where = f"/v1/quotes?category=moral&destination={NINGBO}&account=A&amount"
    found = await hangzhou.get(f"{where}=450")
    assert (found["leaving"], found["arriving"], found["remaining"], found["rate"]) == (400, 38, 50, "19/200")
    assert [(q["leaves"], q["stays"], q["expires"]) for q in found["lots"]] == [
        (250, 0, "2027-06-01"), (150, 150, "2027-12-01"),
    ]  # fmt: skip
    # The block that spans both lots dies with the first.
    assert [(q["units"], q["expires"], len(q["lots"])) for q in found["arrivals"]] == [
        (19, "2027-06-01", 1), (19, "2027-06-01", 2),
    ]  # fmt: skip
    assert (await hangzhou.get(f"{where}=2000", status=422))["reason"] == "resident_cap_reached"
    account = await hangzhou.get("/v1/accounts/A")
    assert [b["available"] for b in account["balances"]] == [550]


async def test_to_another_person_nothing_goes_unless_that_is_agreed(hangzhou: Caller, ningbo: Caller) -> None:
    await agreed(hangzhou, ningbo)
    await hangzhou.resident("A", 500)
    address = await hangzhou.address_at(ningbo, "B")
    more = {"account": "A", "category": "moral", "amount": 200, "address": address, "purpose": "person_to_person"}
    said = await hangzhou.post("/v1/transfers", {**more, "key": "p"}, status=422)
    assert said["reason"] == "person_to_person_not_allowed"
