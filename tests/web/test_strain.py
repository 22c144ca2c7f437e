"""Too much at once, a database that is away, faults of our own: each is said as what it is, and passes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from node.services.account import OpenAccount
from node.store.engine import open_store
from tests.databases import PostgreSQL
from tests.federation import pair
from tests.store.test_faults import away
from tests.web.conftest import HANGZHOU, NINGBO
from tests.web.nodes import NDJSON, Caller, RunningNode, serve, stop

Start = Callable[[str], Any]


@pytest.fixture
async def start(new_database: Callable[..., str]) -> AsyncIterator[Start]:
    """`start(url)`: the API of a region over a database of its own."""
    started: list[Caller] = []

    async def run(url: str) -> Caller:
        two = pair((HANGZHOU, NINGBO), stores=[open_store(url)])
        started.append(await serve(RunningNode(two.regions[HANGZHOU]), two))
        return started[-1]

    yield run
    for caller in started:
        await stop(caller)
        caller.node.store.close()


async def problem(caller: Caller, method: str, path: str, status: int, **more: Any) -> tuple[dict[str, Any], int]:
    """A problem and its Retry-After."""
    response = await caller.send(method, path, **more)
    assert response.status == status, await response.text()
    found = await response.json(content_type="application/problem+json")
    assert "Traceback" not in str(found)
    return found, int(response.headers.get("Retry-After", 0))


async def test_a_full_queue_is_said_with_when_to_come_again_and_nothing_is_done(
    hangzhou: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.limits.COMMANDS_IN_FLIGHT", 2)
    data = b'{"name":"A"}\n{"name":"B"}\n{"name":"C"}\n'
    found, retry = await problem(hangzhou, "POST", "/v1/accounts", 429, data=data, headers={"Content-Type": NDJSON})
    assert (found["reason"], retry >= 1) == ("too_busy", True)
    await hangzhou.post("/v1/accounts", {"name": "D"})
    assert (await hangzhou.get("/v1/counts"))["accounts"] == 1


async def test_too_many_queries_at_once_are_sent_away(hangzhou: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    await hangzhou.get("/v1/positions")
    monkeypatch.setattr("node.web.limits.READS_IN_FLIGHT", 0)
    found, retry = await problem(hangzhou, "GET", "/v1/positions", 429)
    assert (found["reason"], retry >= 1) == ("too_busy", True)


async def test_a_locked_database_is_503_and_the_same_call_works_afterwards(start: Start, tmp_path: Path) -> None:
    caller = await start(_new_sqlite(tmp_path))
    await asyncio.to_thread(_patience, caller, 50)
    other = sqlite3.connect(tmp_path / "region.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    found, retry = await problem(caller, "POST", "/v1/accounts", 503, json={"name": "A"})
    assert (found["reason"], retry >= 1) == ("database_busy", True)
    data = b'{"name":"A"}\n{"name":"B"}\n'
    found, _ = await problem(caller, "POST", "/v1/accounts", 503, data=data, headers={"Content-Type": NDJSON})
    assert found["reason"] == "database_busy"
    assert (await caller.get("/readyz", 503))["checks"][0]["ok"] is False
    assert (await caller.get("/v1/counts"))["accounts"] == 0  # looking goes on
    other.execute("ROLLBACK")
    other.close()
    await caller.post("/v1/accounts", {"name": "A"}, 201)
    assert (await caller.get("/readyz"))["ready"] is True


async def test_a_full_disk_is_503_and_passes(start: Start, tmp_path: Path) -> None:
    caller = await start(_new_sqlite(tmp_path))

    def pages(most: str) -> None:
        with caller.node.store.write() as conn:
            now = int(conn.exec_driver_sql("PRAGMA page_count").scalar_one())
            conn.exec_driver_sql(f"PRAGMA max_page_count = {now + 1 if most == 'these' else 1_000_000}")

    await asyncio.to_thread(pages, "these")
    data = b"".join(b'{"name":"resident %d"}\n' % n for n in range(1000))
    found, retry = await problem(caller, "POST", "/v1/accounts", 503, data=data, headers={"Content-Type": NDJSON})
    assert (found["reason"], retry >= 1) == ("database_full", True)
    assert (await caller.get("/v1/counts"))["accounts"] == 0
    await asyncio.to_thread(pages, "more")
    response = await caller.send("POST", "/v1/accounts", data=data, headers={"Content-Type": NDJSON})
    assert response.status == 200
    assert (await caller.get("/v1/counts"))["accounts"] == 1000


@pytest.mark.postgresql
async def test_a_server_that_is_away_is_503_and_the_region_goes_on_when_it_is_back(
    start: Start, new_database: Callable[..., str], postgresql_server: PostgreSQL
) -> None:
    url = new_database("postgresql")
    caller = await start(url)
    await caller.resident("A", 10)
    with away(postgresql_server, url):
        for method, path, more in (
            ("POST", "/v1/accounts", {"json": {"name": "B"}}),
            ("GET", "/v1/accounts/A", {}),
            ("GET", "/v1/events?wait=5", {}),
        ):
            found, retry = await problem(caller, method, path, 503, **more)
            assert (found["reason"], retry >= 1) == ("database_gone", True)
        assert (await caller.client.get("/healthz")).status == 200
        assert (await caller.client.get("/readyz")).status == 503
        assert "hutong_database_up 0.0" in await (await caller.client.get("/metrics")).text()
    await caller.post("/v1/accounts", {"name": "B"}, 201)
    assert (await caller.get("/v1/accounts/A"))["balances"][0]["available"] == 10


async def test_a_fault_of_our_own_names_an_incident_that_the_log_knows_and_no_person(
    start: Start, tmp_path: Path
) -> None:
    caller = await start(_new_sqlite(tmp_path))
    await caller.post("/v1/accounts", {"name": "resident-4711"})

    def break_it() -> None:
        with caller.node.store.write() as conn:
            conn.exec_driver_sql("DROP TABLE address")

    await asyncio.to_thread(break_it)
    with capture_logs() as logged:
        found, _ = await problem(caller, "POST", "/v1/addresses", 500, json={"account": "resident-4711"})
        lines = await caller.lines("/v1/addresses", [{"account": "resident-4711"}, {"account": "nobody"}])
    assert found["reason"] == "internal"
    assert found["incident"] in found["detail"]
    assert [(line["ok"], line["reason"]) for line in lines] == [(False, "internal"), (False, "account_unknown")]
    ours = [entry for entry in logged if entry["event"] == "http_failed"]
    assert {found["incident"], lines[0]["incident"]} == {entry["incident"] for entry in ours}
    assert "4711" not in str(ours)
    assert "4711" not in str(found)


async def test_a_caller_who_leaves_does_not_stop_the_writer(hangzhou: Caller) -> None:
    writer = hangzhou.node.thread
    left = asyncio.ensure_future(hangzhou.node.submit([OpenAccount(name="left")]))
    await asyncio.sleep(0)
    left.cancel()
    await hangzhou.post("/v1/accounts", {"name": "stayed"}, 201)
    assert writer.submit([]).result(10) == []
    assert (await hangzhou.get("/v1/counts"))["accounts"] == 2


async def test_a_listener_that_fails_does_not_make_a_commit_look_undone(hangzhou: Caller) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("listener")

    hangzhou.node.on_commit(fail)
    hangzhou.node.on_batch(fail)
    with capture_logs() as logged:
        await hangzhou.resident("A", 10)
    assert {entry["event"] for entry in logged} == {"listener_failed"}
    assert (await hangzhou.get("/v1/accounts/A"))["balances"][0]["available"] == 10


def _new_sqlite(directory: Path) -> str:
    from node.store.create import create

    url = f"sqlite:///{directory / 'region.sqlite'}"
    store = open_store(url)
    create(store)
    store.close()
    return url


def _patience(caller: Caller, milliseconds: int) -> None:
    with caller.node.store.write() as conn:
        conn.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")
