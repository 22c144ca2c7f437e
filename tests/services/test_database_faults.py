"""The database fails in the middle of a batch: nothing moved, everybody is told, and later the same work succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, make_url

from node.errors import DatabaseBusy, DatabaseFull, DatabaseGone, Unavailable
from node.services.verify.run import verify
from node.store.batch import Batch
from node.store.engine import Store, open_store
from tests.databases import PostgreSQL, start_postgresql
from tests.federation import Pair, TestRegion, pair
from tests.services.conftest import Regions
from tests.services.delivery import A, B, ends
from tests.services.ledger import address, order, points, resident, rows

NewDatabase = Callable[..., str]


def many(to: str, count: int = 300) -> list[Any]:
    return [order(to, 1) for _ in range(count)]


@contextmanager
def failing(region: TestRegion, error: type[Unavailable]) -> Iterator[None]:
    """What happens inside fails with this error, and moves nothing."""
    before = rows(region)
    with pytest.raises(error) as failure:
        yield
    assert not failure.value.in_doubt if isinstance(failure.value, DatabaseGone) else True
    assert rows(region) == before


def sqlite_pair(new_database: NewDatabase, stack: ExitStack) -> tuple[Pair, TestRegion, TestRegion]:
    stores = [stack.enter_context(closing(open_store(new_database("sqlite")))) for _ in range(2)]
    made = pair((A, B), stores=stores)
    a, b = ends(made)
    resident(a, "A", 10_000)
    return made, a, b


def sound(made: Pair) -> None:
    for region in made.regions.values():
        assert [check for check in verify(region.store) if not check.ok] == []


# -- full -------------------------------------------------------------------------------------------------------------


def pages(store: Store, more: int | None) -> None:
    """So many pages more may the database have; None: as many as it likes."""
    with store.write() as conn:
        now = int(conn.exec_driver_sql("PRAGMA page_count").scalar_one())
        conn.exec_driver_sql(f"PRAGMA max_page_count = {2**30 if more is None else now + more}")


@pytest.mark.parametrize("room", [0, 1, 2, 5, 10])
def test_a_full_disk_at_the_source(new_database: NewDatabase, room: int) -> None:
    with ExitStack() as stack:
        made, a, b = sqlite_pair(new_database, stack)
        work = many(address(b, "B"))
        pages(a.store, room)
        with failing(a, DatabaseFull):
            a.do(*work)
        pages(a.store, None)
        assert not [answer for answer in a.do(*work) if isinstance(answer, Exception)]
        made.pump()
        assert (points(a, "A"), points(b, "B")) == ((9_800, 0, 0), (300, 0, 0))
        sound(made)


@pytest.mark.parametrize("room", [0, 2, 10])
def test_a_full_disk_at_the_destination(new_database: NewDatabase, room: int) -> None:
    """The sender is told nothing was kept, and sends again."""
    with ExitStack() as stack:
        made, a, b = sqlite_pair(new_database, stack)
        a.do(*many(address(b, "B")))
        pages(b.store, room)
        made.collect()
        with failing(b, DatabaseFull):
            made.deliver()
        pages(b.store, None)
        made.restart(A)
        assert (points(a, "A"), points(b, "B")) == ((9_800, 0, 0), (300, 0, 0))
        sound(made)


# -- locked -----------------------------------------------------------------------------------------------------------


def test_a_locked_database(regions: Regions) -> None:
    """Another process holds it, longer than a statement waits."""
    made = regions()
    a, b = ends(made)
    resident(a, "A", 1_000)
    work = many(address(b, "B"), 20)
    with closing(open_store(str(a.store.engine.url.render_as_string(hide_password=False)))) as other:
        with a.store.write() as conn:
            conn.exec_driver_sql(
                "PRAGMA busy_timeout = 50" if a.store.is_sqlite else "SELECT set_config('lock_timeout', '50', false)"
            )
        with other.write() as conn:
            if not other.is_sqlite:
                conn.exec_driver_sql("LOCK TABLE balance IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(DatabaseBusy):
                a.do(*work)
    assert not [answer for answer in a.do(*work) if isinstance(answer, Exception)]
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((1_080, 0, 0), (20, 0, 0))


# -- gone and back ----------------------------------------------------------------------------------------------------


def end_connections(region: TestRegion, server: PostgreSQL) -> None:
    name = make_url(region.store.engine.url).database
    server.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'", database="postgres"
    )


@pytest.fixture
def cut_short(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Connection], None]], None]:
    """Do something after the first rows of the next batch are written, before it is committed."""

    def arm(fault: Callable[[Connection], None]) -> None:
        flush = Batch.flush

        def cut(batch: Batch) -> None:
            monkeypatch.setattr(Batch, "flush", flush)
            flush(batch)
            fault(batch.conn)

        monkeypatch.setattr(Batch, "flush", cut)

    return arm


@pytest.mark.postgresql
def test_postgresql_gone_in_the_middle_of_a_batch_and_back(
    new_database: NewDatabase, postgresql_server: PostgreSQL, cut_short: Any
) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(open_store(new_database("postgresql")))) for _ in range(2)]
        made = pair((A, B), stores=stores)
        a, b = ends(made)
        resident(a, "A", 1_000)
        work = many(address(b, "B"), 20)

        def gone(conn: Connection) -> None:
            end_connections(a, postgresql_server)
            conn.exec_driver_sql("SELECT 1")

        before = rows(a)
        cut_short(gone)
        with pytest.raises(DatabaseGone) as failure:
            a.do(*work)
        assert not failure.value.in_doubt
        assert rows(a) == before
        first = a.do(*work)
        assert a.do(*work) == first
        made.pump()
        assert (points(a, "A"), points(b, "B")) == ((1_080, 0, 0), (20, 0, 0))
        sound(made)


@pytest.mark.postgresql
def test_a_commit_whose_end_is_in_doubt_is_found_out_by_asking_again(
    new_database: NewDatabase, postgresql_server: PostgreSQL, cut_short: Any
) -> None:
    """Each key answers as it was decided, or is decided now; never both."""
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(open_store(new_database("postgresql")))) for _ in range(2)]
        made = pair((A, B), stores=stores)
        a, b = ends(made)
        work = many(address(b, "B"), 20)
        cut_short(lambda conn: end_connections(a, postgresql_server))
        with pytest.raises(DatabaseGone) as failure:
            a.do(*work)
        assert failure.value.in_doubt
        assert not [answer for answer in a.do(*work) if isinstance(answer, Exception)]
        made.pump()
        assert (points(a, "A"), points(b, "B")) == ((80, 0, 0), (20, 0, 0))
        sound(made)


@pytest.mark.postgresql
def test_postgresql_stopped_and_started_again() -> None:
    own = start_postgresql()
    try:
        server = PostgreSQL(own.get_uri())
        with ExitStack() as stack:
            stores = [stack.enter_context(closing(open_store(server.url(server.new(tables=True))))) for _ in range(2)]
            made = pair((A, B), stores=stores)
            a, b = ends(made)
            work = many(address(b, "B"), 20)
            own.stop()
            with pytest.raises(DatabaseGone):
                a.do(*work)
            own.ensure_postgres_running()
            assert not [answer for answer in a.do(*work) if isinstance(answer, Exception)]
            made.pump()
            assert (points(a, "A"), points(b, "B")) == ((80, 0, 0), (20, 0, 0))
            sound(made)
    finally:
        own.cleanup()


# -- a process that dies ----------------------------------------------------------------------------------------------


def test_a_crash_between_commit_and_answer(regions: Regions) -> None:
    """The caller never hears, repeats, and gets the answer that was decided."""
    made = regions()
    a, b = ends(made)
    work = many(address(b, "B"), 20)
    first = a.do(*work)  # committed; the process dies before anybody is told
    made.restart(A)
    before = rows(a, "posting", "lot", "lot_entry", "transfer", "outcome")
    again = a.do(*work)
    assert [answer.id for answer in again] == [answer.id for answer in first]
    assert rows(a, "posting", "lot", "lot_entry", "transfer", "outcome") == before
    assert (points(a, "A"), points(b, "B")) == ((80, 0, 0), (20, 0, 0))


@pytest.mark.parametrize("victim", [A, B])
@pytest.mark.parametrize("after", range(6))
def test_a_crash_between_any_two_messages(regions: Regions, victim: int, after: int) -> None:
    """What was under way is lost with the process: an envelope, its receipt, the answers, their receipts."""
    made = regions()
    a, b = ends(made)
    a.do(*many(address(b, "B"), 20))
    for _ in range(after):
        if not made.wire:
            made.collect()
        if made.wire:
            made.deliver()
    made.restart(victim)
    assert (points(a, "A"), points(b, "B")) == ((80, 0, 0), (20, 0, 0))


def test_a_crash_before_the_commit(regions: Regions, cut_short: Any) -> None:
    made = regions()
    a, b = ends(made)
    work = many(address(b, "B"), 20)

    def die(conn: Connection) -> None:
        raise KeyboardInterrupt

    before = rows(a)
    cut_short(die)
    with pytest.raises(KeyboardInterrupt):
        a.do(*work)
    assert rows(a) == before
    made.restart(A)
    a.do(*work)
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((80, 0, 0), (20, 0, 0))


def test_one_command_that_trips_over_a_fault_of_ours_fails_alone(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = regions()
    a, b = ends(made)
    to = address(b, "B")
    bad = order(to, 7)
    hold = Batch.post

    def trip(batch: Batch, phase: Any, debit: int, credit: int, amount: int, **more: Any) -> int:
        if amount == 7:
            raise ZeroDivisionError
        return hold(batch, phase, debit, credit, amount, **more)

    monkeypatch.setattr(Batch, "post", trip)
    answers = a.do(order(to, 1), bad, order(to, 2))
    assert [isinstance(answer, ZeroDivisionError) for answer in answers] == [False, True, False]
    monkeypatch.undo()
    made.pump()
    assert (points(a, "A"), points(b, "B")) == ((97, 0, 0), (3, 0, 0))
