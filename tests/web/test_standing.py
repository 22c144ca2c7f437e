"""What a regional system is told of regions that have moved, and of transfers taken back before they left."""

from __future__ import annotations

from gateway.protocol.members import Succession
from tests.federation import Pair, pair
from tests.services.standing import enact, listed
from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import Caller, RunningNode, serve, stop


def moves(two: Pair) -> None:
    """Ningbo's code is given up; for want of a third region Hangzhou answers for it."""
    enact(two, listed(two, NINGBO, successions=(Succession(successor=HANGZHOU, date=20200101),)))


async def test_an_order_to_a_region_that_has_moved_is_refused_with_the_code_to_use(
    hangzhou: Caller, ningbo: Caller, two: Pair
) -> None:
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    moves(two)
    body = {"account": "A", "category": "moral", "amount": 100, "address": to, "key": "k"}
    problem = await hangzhou.post("/v1/transfers", body, status=422)
    assert problem["type"].endswith("region_moved")
    assert str(HANGZHOU) in problem["detail"]
    quoted = await hangzhou.get(f"/v1/quotes?category=moral&amount=100&destination={NINGBO}", status=422)
    assert quoted["type"].endswith("region_moved")


async def test_the_event_of_an_offer_that_came_too_late_says_where_to_offer_again(
    hangzhou: Caller, ningbo: Caller, two: Pair
) -> None:
    await hangzhou.resident("A", 500)
    placed = await hangzhou.transfer("A", await hangzhou.address_at(ningbo, "B"), 100)
    moves(two)
    await hangzhou.pump()
    (event,) = (await hangzhou.get("/v1/events"))["events"]
    assert (event["kind"], event["transfer"]["reason"]) == ("voided", "region_moved")
    assert event["transfer"]["moved_to"] == HANGZHOU
    assert (await hangzhou.get(f"/v1/transfers/{placed['id']}"))["moved_to"] == HANGZHOU
    assert (await hangzhou.get("/v1/transfers"))["transfers"][0]["moved_to"] == HANGZHOU


async def test_two_people_take_back_an_offer_that_never_left() -> None:
    apart = pair((HANGZHOU, NINGBO), open_now=False)  # the two have never spoken
    hangzhou, ningbo = [await serve(RunningNode(apart.regions[code]), apart) for code in (HANGZHOU, NINGBO)]
    try:
        await hangzhou.resident("A", 500)
        placed = await hangzhou.transfer("A", await hangzhou.address_at(ningbo, "B"), 100)
        path = f"/v1/transfers/{placed['id']}/void"
        await hangzhou.post(path, {"by": "li", "checked_by": "li"}, status=422)
        both = {"by": "li", "checked_by": "wang"}
        assert (await hangzhou.post(path, both))["state"] == "voided"
        assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 500
    finally:
        await stop(hangzhou)
        await stop(ningbo)


async def test_an_offer_that_may_be_on_its_way_is_not_taken_back(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 500)
    placed = await hangzhou.transfer("A", await hangzhou.address_at(ningbo, "B"), 100)
    body = {"by": "li", "checked_by": "wang"}
    problem = await hangzhou.post(f"/v1/transfers/{placed['id']}/void", body, status=409)
    assert problem["type"].endswith("wrong_state")
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["held"] == 100
