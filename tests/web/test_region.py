"""What a region says about itself: positions, totals, peers, roster, health and figures."""

import pytest
from aiohttp.test_utils import TestClient
from prometheus_client.parser import text_string_to_metric_families

from gateway.protocol.values import Epoch, Standing
from node.store import schema
from node.web.ports import Check, PeerStatus
from tests.federation import NOW_MS
from tests.web.nodes import Caller


async def some_work(hangzhou: Caller, ningbo: Caller) -> None:
    """Awards, spending, an expiry, transfers posted, voided, in review and held, in both directions."""
    await hangzhou.resident("A", 9000, expires="2027-12-31")
    await hangzhou.resident("A", 70, granted="2020-01-01", expires="2021-01-01")
    await hangzhou.post("/v1/spends", {"account": "A", "category": "moral", "amount": 40, "key": "s"})
    await hangzhou.post("/v1/expiry/sweep", {})
    to, back = await hangzhou.address_at(ningbo, "B"), await ningbo.address_at(hangzhou, "C")
    await hangzhou.transfer("A", to, 1000)
    await hangzhou.transfer("A", to, 2000)
    frozen = await hangzhou.address_at(ningbo, "F")
    await ningbo.patch("/v1/accounts/F", {"state": "frozen"})
    await hangzhou.transfer("A", frozen, 300)
    await hangzhou.pump()
    await ningbo.transfer("B", back, 30)
    await hangzhou.pump()
    await hangzhou.transfer("A", to, 500)


async def test_positions_and_totals_agree_with_each_other_and_with_the_other_region(
    hangzhou: Caller, ningbo: Caller
) -> None:
    await some_work(hangzhou, ningbo)
    (here,) = (await hangzhou.get("/v1/positions"))["positions"]
    (there,) = (await ningbo.get("/v1/positions"))["positions"]
    assert here == {
        "peer": 330200, "category": "moral", "sent": 1000, "received": 100, "in_transit": 2500, "net": 900,
    }  # fmt: skip
    assert (there["sent"], there["received"], there["in_transit"]) == (30, 300, 0)
    for region in (hangzhou, ningbo):
        for b in (await region.get("/v1/counts"))["books"]:
            had = b["issued"] - b["redeemed"] - b["expired"] - b["sent"] + b["received"]
            assert had == b["available"] + b["held"] + b["provisional"]
            assert b["lots"] == b["available"] + b["provisional"]
    counts = await hangzhou.get("/v1/counts")
    assert counts["accounts"] == 2
    assert [(t["direction"], t["state"], t["count"], t["leaving"], t["arriving"]) for t in counts["transfers"]] == [
        ("outgoing", "held", 2, 2500, 750),
        ("outgoing", "posted", 1, 1000, 300),
        ("outgoing", "voided", 1, 300, 90),
        ("incoming", "accepted", 1, 30, 100),
    ]
    moral = counts["books"][0]
    assert (moral["issued"], moral["redeemed"], moral["expired"]) == (9070, 40, 70)


async def test_totals_beyond_63_bits_are_still_exact(hangzhou: Caller) -> None:
    most = (1 << 63) - 1
    await hangzhou.resident("A", most, category="moral")
    counted = (await hangzhou.get("/v1/counts"))["books"][0]
    assert counted["available"] == counted["issued"] == counted["lots"] == most


async def test_peers_show_backlog_receipts_and_the_couriers_view(hangzhou: Caller, ningbo: Caller) -> None:
    (quiet,) = (await hangzhou.get("/v1/peers"))["peers"]
    assert (quiet["code"], quiet["channel"], quiet["backlog"], quiet["connected"]) == (330200, "open", 0, False)
    assert quiet["last_receipt"] is None
    await hangzhou.resident("A", 500)
    to = await hangzhou.address_at(ningbo, "B")
    for _ in range(3):
        await hangzhou.transfer("A", to, 100)
    waiting = await hangzhou.get("/v1/peers/330200")
    assert (waiting["backlog"], waiting["sent"], waiting["receipted"]) == (3, 3, 0)
    assert waiting["oldest_unreceipted"] is not None
    await hangzhou.pump()
    hangzhou.node.statuses[330200] = PeerStatus(
        connected=True, dialled_by=330100, since_ms=NOW_MS, last_contact_ms=NOW_MS, failures=0
    )
    done = await hangzhou.get("/v1/peers/330200")
    assert (done["backlog"], done["sent"], done["receipted"], done["held"]) == (0, 3, 3, 3)
    assert done["oldest_unreceipted"] is None
    assert done["last_receipt"] is not None
    assert done["connected"] is True


async def test_a_throttled_peer_is_seen_with_since_when_and_what_for(hangzhou: Caller) -> None:
    quiet = await hangzhou.get("/v1/peers/330200")
    assert (quiet["throttled"], quiet["over"]) == (None, {})
    hangzhou.node.statuses[330200] = PeerStatus(
        throttled_since_ms=NOW_MS, throttled_for=("refused", "repeats"), over={"refused": 7, "repeats": 2}
    )
    seen = await hangzhou.get("/v1/peers/330200")
    assert seen["throttled"]["kinds"] == ["refused", "repeats"]
    assert seen["throttled"]["since"].startswith("2026-11")
    assert seen["over"] == {"refused": 7, "repeats": 2}
    assert (await figures(hangzhou.client))["hutong_peer_throttled_total['330200', 'refused']"] == 7
    hangzhou.node.statuses[330200] = PeerStatus(over={"refused": 9, "repeats": 2})
    after = await figures(hangzhou.client)
    assert after["hutong_peer_throttled_total['330200', 'refused']"] == 9
    assert after["hutong_peer_throttled_total['330200', 'repeats']"] == 2


async def test_a_peer_is_dialled_and_asked_when_an_operator_says_so(hangzhou: Caller) -> None:
    await hangzhou.post("/v1/peers/330200/retry", status=202)
    assert hangzhou.node.retried == [330200]
    silent = await hangzhou.send("POST", "/v1/peers/330200/standing")
    assert (silent.status, int(silent.headers["Retry-After"]) > 0) == (503, True)
    assert (await silent.json(content_type=None))["reason"] == "peer_silent"
    log = hangzhou.region.office.log_to(330200)
    hangzhou.node.seen[330200] = Standing(
        log=log, echo=Epoch(1, 1), ready=True, epoch=Epoch(1, 1), holds_size=9, holds_root=b"", credit_size=1,
        backlog=4, back_off_ms=1500, last_verified_size=9, status="active", channel="open",
    )  # fmt: skip
    seen = await hangzhou.post("/v1/peers/330200/standing")
    assert seen == {
        "peer": 330200, "ready": True, "holds": 9, "backlog": 4, "back_off_ms": 1500, "verified": 9,
        "status": "active", "channel": "open",
    }  # fmt: skip


async def test_the_roster_is_shown_without_its_keys(hangzhou: Caller) -> None:
    roster = await hangzhou.get("/v1/roster")
    assert (roster["region"], roster["version"], roster["environment"]) == (330100, 1, "test")
    assert [(r["code"], r["name_zh"], r["status"]) for r in roster["regions"]] == [
        (330100, "区330100", "active"), (330200, "区330200", "active"),
    ]  # fmt: skip
    assert "keys" not in str(roster)


async def test_a_region_is_ready_when_its_database_commits_and_nothing_vital_is_wrong(hangzhou: Caller) -> None:
    assert await hangzhou.get("/healthz") == {"ok": True}
    ready = await hangzhou.get("/readyz")
    assert ready["ready"] is True
    assert {c["name"] for c in ready["checks"]} >= {"database", "channels"}
    hangzhou.node.own_checks = [Check(name="roster", ok=False, detail="old", vital=False)]
    warned = await hangzhou.get("/readyz")
    assert (warned["ready"], warned["checks"][-1]["detail"]) == (True, "old")
    hangzhou.node.own_checks = [Check(name="certificate", ok=False, detail="expired")]
    assert (await hangzhou.get("/readyz", 503))["ready"] is False


@pytest.mark.parametrize(
    ("condition", "status", "name", "word"),
    [(2, 200, "peers_consistent", "quarantined"), (4, 503, "channels", "abandoned")],
)
async def test_an_abandoned_history_is_not_ready_and_a_quarantined_peer_stops_only_itself(
    hangzhou: Caller, condition: int, status: int, name: str, word: str
) -> None:
    with hangzhou.node.store.write() as conn:
        conn.execute(schema.channel.update().values(condition=condition))
    said = await hangzhou.get("/readyz", status)
    (failed,) = [check for check in said["checks"] if not check["ok"]]
    assert failed["name"] == name
    assert "330200" in failed["detail"]
    assert (await hangzhou.get("/v1/peers/330200"))["channel"] == word


async def figures(client: TestClient) -> dict[str, float]:  # type: ignore[type-arg]
    """Every sample of /metrics by name and labels."""
    response = await client.get("/metrics")
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(await response.text())
        for sample in family.samples
    }


async def test_figures_count_what_happens_from_one_scrape_to_the_next(hangzhou: Caller, ningbo: Caller) -> None:
    await some_work(hangzhou, ningbo)
    before = await figures(hangzhou.client)
    assert before["hutong_transfers_total['held']"] == 0  # counters begin with the process
    assert before["hutong_backlog_messages['330200']"] == 1
    assert before["hutong_channel_condition['330200', 'open']"] == 1
    assert before["hutong_channel_condition['330200', 'restored']"] == 0
    assert before["hutong_database_up[]"] == 1
    await hangzhou.transfer("A", await hangzhou.address_at(ningbo, "G"), 100)
    await hangzhou.pump()
    after = await figures(hangzhou.client)
    assert after["hutong_transfers_total['held']"] == 1
    assert after["hutong_transfers_total['posted']"] == 2  # and one that was held at the first scrape
    assert after["hutong_backlog_messages['330200']"] == 0
    assert after["hutong_oldest_unreceipted_seconds['330200']"] == 0
    assert after["hutong_batch_commands_sum[]"] > 0
    assert after["hutong_commit_seconds_count[]"] == after["hutong_batch_commands_count[]"]
    requests = "hutong_http_requests_total['/v1/transfers', '202', 'POST']"
    assert after[requests] == before[requests] + 1


async def test_figures_of_two_nodes_in_one_process_do_not_mix(hangzhou: Caller, ningbo: Caller) -> None:
    await hangzhou.resident("A", 5)
    awards = "hutong_http_requests_total['/v1/awards', '201', 'POST']"
    assert awards in await figures(hangzhou.client)
    assert awards not in await figures(ningbo.client)
