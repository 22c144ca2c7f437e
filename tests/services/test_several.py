"""Several processes over one database: whatever the interleaving, the region's books are those of a single one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import func, make_url, select

from gateway.protocol.transfer import State
from node.errors import DatabaseGone, NotSealer, Recovering
from node.services.account import OpenAccount
from node.services.award import Award
from node.services.handshake import Begin
from node.services.recovery.history import Replayed
from node.services.spend import Spend
from node.services.verify.run import verify
from node.services.writer import Writer
from node.store import processes, schema
from node.store.engine import open_store
from tests.databases import PostgreSQL
from tests.federation import Pair, pair
from tests.services.backups import agree
from tests.services.ledger import address, order, points, resident, state_of
from tests.services.processes import Process, take_over

pytestmark = pytest.mark.postgresql
A, B = 330100, 330200


class Region:
    """Region A with two processes, of which none seals yet, and region B with one."""

    def __init__(self, made: Pair, processes: list[Process]) -> None:
        self.made, self.processes = made, processes
        self.founder, self.b = made.regions[A], made.regions[B]
        self.east, self.west = processes


@pytest.fixture
def region(new_database: Callable[..., str]) -> Iterator[Region]:
    """At the end everything must follow from journal and logs."""
    url = new_database("postgresql")
    with ExitStack() as stores:
        first = stores.enter_context(closing(open_store(url)))
        made = pair((A, B), stores=[first], open_now=False)
        processes = [Process(made.regions[A], url, name, joins=name == "west") for name in ("east", "west")]
        for process in processes:
            stores.enter_context(closing(process.store))
        yield Region(made, processes)
        wrong = [check for check in verify(first) if not check.ok]
        assert wrong == []


class Standby:
    """A copy of the region's database that stops following at some time, and takes its place later."""

    def __init__(self, region: Region, server: PostgreSQL, database: str, copy: str) -> None:
        self.region, self._server, self._database, self._copy = region, server, database, copy

    def lags(self) -> None:
        """From now on it gets nothing more."""
        for region in (*self.region.processes, self.region.founder):
            region.store.close()
        self._server.execute("DROP DATABASE {}", self._copy)
        self._server.execute("CREATE DATABASE {} TEMPLATE {}", self._copy, self._database)

    def promote(self) -> None:
        """It is the region's database from now on; the processes start anew when the test says so."""
        for region in (*self.region.processes, self.region.founder):
            region.store.close()
        self._server.execute("DROP DATABASE {}", self._database)
        self._server.execute("ALTER DATABASE {} RENAME TO {}", self._copy, self._database)


@pytest.fixture
def standby(region: Region, postgresql_server: PostgreSQL, new_database: Callable[..., str]) -> Standby:
    """It follows until the test says that it does no more."""
    copy = make_url(new_database("postgresql")).database
    database = region.east.store.engine.url.database
    assert copy is not None
    assert database is not None
    return Standby(region, postgresql_server, database, copy)


def test_two_processes_that_take_turns_keep_the_books_of_one(region: Region) -> None:
    east, west = region.east, region.west
    resident(east, "R")
    for turn in range(6):
        process = (east, west)[turn % 2]
        process.one(Award(client="c", key=f"a{turn}", account="R", category="moral", amount=10))
        process.one(Spend(client="c", key=f"s{turn}", account="R", category="moral", amount=3))
    assert points(east, "R") == points(west, "R") == (42, 0, 0)
    with east.store.read() as conn:
        h, p = schema.history, schema.posting
        assert conn.scalar(select(func.count()).select_from(p)) == conn.scalar(select(func.max(p.c.no))) == 12
        assert conn.scalar(select(h.c.commits)) == west.writer.history.commits


def test_a_command_repeated_at_the_other_process_is_answered_as_it_was_and_not_done_again(region: Region) -> None:
    resident(region.east, "R", 10)
    spend = Spend(client="c", key="once", account="R", category="moral", amount=7)
    assert region.east.one(spend) == region.west.one(spend)
    assert points(region.west, "R") == (3, 0, 0)


def test_what_a_process_without_the_seat_decides_is_numbered_and_sent_by_the_one_that_has_it(region: Region) -> None:
    take_over(region.made, region.east)
    resident(region.west, "R", 10)
    resident(region.b, "S")
    placed = region.west.one(order(address(region.b, "S"), 4, account="R"))
    assert region.west.writer.channels[B].size == 0
    region.east.do()
    region.made.pump()
    assert state_of(region.west, placed, A)[0] == State.POSTED
    assert points(region.b, "S") == (4, 0, 0)
    agree(region.made)


def test_a_process_without_the_seat_neither_greets_nor_hears_a_peer(region: Region) -> None:
    take_over(region.made, region.east)
    with pytest.raises(NotSealer, match="east"):
        region.west.one(Begin(peer=B))
    (said,) = region.b.say(A, Begin(peer=A))
    before = region.west.writer.channels[B]
    with pytest.raises(NotSealer):
        region.west.hear(B, said)
    assert region.west.writer.channels[B] == before


def test_a_sealer_that_slept_through_a_takeover_numbers_nothing_when_it_wakes(region: Region) -> None:
    east, west, made = region.east, region.west, region.made
    take_over(made, east)
    resident(east, "R", 100)
    resident(region.b, "S")
    to = address(region.b, "S")
    east.one(order(to, 1, account="R"))
    made.pump()
    asleep = east.writer.channels[B]
    assert asleep.sealing
    take_over(made, west)
    assert east.writer.channels[B] is asleep
    with pytest.raises(NotSealer):
        east.one(Begin(peer=B))
    late = east.one(order(to, 2, account="R"))
    assert not east.writer.seals
    assert not east.writer.channels[B].ready
    assert east.exchange.parcel(east.writer.channels[B]) is None
    west.do()
    made.pump()
    assert state_of(west, late, A)[0] == State.POSTED
    assert points(region.b, "S") == (3, 0, 0)
    agree(made)


def test_what_a_sealer_sends_after_it_was_replaced_is_taken_by_nobody(region: Region) -> None:
    """It had frames numbered and signed that it had not sent; the one that took over has numbered them anew."""
    east, west, made = region.east, region.west, region.made
    take_over(made, east)
    resident(east, "R", 100)
    resident(region.b, "S")
    east.one(order(address(region.b, "S"), 5, account="R"))
    old = east.exchange.parcel(east.writer.channels[B])
    assert old is not None
    take_over(made, west)
    made.send(A, B, [old])
    made.regions[A] = east
    with pytest.raises(NotSealer):  # east hears that it is stale, and finds out why
        made.pump()
    assert not east.office.doubled
    made.regions[A] = west
    made.wire.clear()
    made.pump()
    assert points(region.b, "S") == (5, 0, 0)
    agree(made)


def test_batches_of_two_threads_at_once_never_meet(region: Region) -> None:
    resident(region.east, "R", 1000)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda process: _spend(process, 60), region.processes))
    assert done == [60, 60]
    assert points(region.east, "R") == (880, 0, 0)


def _spend(process: Process, times: int) -> int:
    for n in range(times):
        process.one(Spend(client=process.name, key=str(n), account="R", category="moral", amount=1))
    return times


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_takeovers_deaths_and_orders_moves_every_point_once(region: Region, seed: int) -> None:
    chance, made = random.Random(f"several {seed}"), region.made
    resident(region.east, "R", 10_000)
    resident(region.b, "S", 10_000)
    there, back = address(region.b, "S"), address(region.west, "R")
    take_over(made, region.east)
    sent = returned = 0
    for step in range(40):
        process = chance.choice(region.processes)
        match chance.randrange(8):
            case 0:
                take_over(made, process)
            case 1:
                process.start()
                if made.regions[A] is process:  # nobody seals until somebody sits down
                    take_over(made, chance.choice(region.processes))
            case 2 | 3 | 4:
                amount = chance.randrange(1, 9)
                process.one(order(there, amount, account="R", key=f"{seed} {step}"))
                sent += amount
            case 5:
                amount = chance.randrange(1, 9)
                region.b.one(order(back, amount, account="S", key=f"{seed} {step}"))
                returned += amount
            case 6:
                made.collect()
                for _ in range(min(len(made.wire), chance.randrange(6))):
                    made.deliver()
            case _:
                made.regions[A].do()
                made.pump()
    take_over(made, chance.choice(region.processes))
    assert points(region.east, "R") == (10_000 - sent + returned, 0, 0)
    assert points(region.b, "S") == (10_000 + sent - returned, 0, 0)
    agree(made)


# -- a standby that lagged is promoted ---------------------------------------------------------------------------------


def test_a_standby_that_lagged_is_noticed_by_the_process_whose_commits_it_lacks(standby: Standby) -> None:
    east, west = standby.region.east, standby.region.west
    resident(east, "R", 10)
    standby.lags()
    west.one(Spend(client="c", key="lost", account="R", category="moral", amount=7))
    standby.promote()
    west.start()
    assert west.writer.history.recovering
    with pytest.raises(Recovering):
        west.one(Spend(client="c", key="again", account="R", category="moral", amount=7))


def test_it_is_noticed_by_a_process_that_starts_after_the_others_have_gone_on(standby: Standby) -> None:
    east, west = standby.region.east, standby.region.west
    resident(east, "R", 10)
    standby.lags()
    west.one(Spend(client="c", key="lost", account="R", category="moral", amount=7))
    standby.promote()
    east.start()
    assert not east.writer.history.recovering
    for n in range(9):
        resident(east, f"new {n}")
    west.start()
    assert west.writer.history.recovering
    with pytest.raises(DatabaseGone):
        east.do()  # it reads the books of the new lineage
    with pytest.raises(Recovering):
        east.one(Spend(client="c", key="again", account="R", category="moral", amount=7))
    assert east.writer.history.lineage == west.writer.history.lineage


def test_what_one_has_noticed_the_others_take_over_without_beginning_again(standby: Standby) -> None:
    east, west = standby.region.east, standby.region.west
    take_over(standby.region.made, east)
    resident(east, "R", 10)
    standby.lags()
    for process in (east, west):
        process.one(Spend(client="c", key=process.name, account="R", category="moral", amount=1))
    standby.promote()
    east.start()
    lineage = east.writer.history.lineage
    west.start()
    for process in (east, west, east):
        process.start()
        resident(process, f"{process.name} {process.chance.random()}")
        assert process.writer.history.recovering
        assert process.writer.history.lineage == lineage
    take_over(standby.region.made, west)
    west.one(Replayed(by="us"))
    for process in (east, west):
        process.do()
        assert not process.writer.history.recovering


def test_a_region_that_goes_back_to_one_process_and_to_several_again_is_whole(region: Region) -> None:
    east, west = region.east, region.west
    resident(west, "R", 10)
    resident(east, "S", 10)
    with east.store.write() as conn:
        processes.forget(conn)
    for n in range(5):
        alone = Writer(east.store, east.office, east.witness)
        alone.commit([OpenAccount(name=f"alone {n}")])
    for process in (west, east, west):
        process.start()
        process.do()
        assert not process.writer.history.recovering
