"""Full, locked, gone and back: each has its own error, loses nothing, and passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from node.errors import DatabaseBusy, DatabaseFull, DatabaseGone, Unavailable
from node.store import bulk, schema
from node.store.create import create
from node.store.engine import Store, open_store
from tests.databases import PostgreSQL, start_postgresql

NewDatabase = Callable[..., str]


def write(store: Store, *numbers: int) -> None:
    with store.write() as connection:
        bulk.insert(connection, schema.category, [(n, f"category {n}") for n in numbers])


def numbers(store: Store) -> list[int]:
    with store.read() as connection:
        return sorted(n for (n,) in connection.exec_driver_sql("SELECT no FROM category"))


# -- full -------------------------------------------------------------------------------------------------------------


def test_a_full_disk_undoes_the_write_and_the_next_one_works(new_database: NewDatabase) -> None:
    with closing(open_store(new_database("sqlite"))) as store:
        write(store, 1)
        with store.write() as connection:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(DatabaseFull, match="no room left") as full:
            write(store, *range(2, 5_000))
        assert store.name in str(full.value)
        assert numbers(store) == [1]
        with store.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        write(store, *range(2, 5_000))
        assert numbers(store) == [*range(1, 5_000)]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53100", DatabaseFull),  # disk full
        ("53300", DatabaseBusy),  # too many connections
        ("40001", DatabaseBusy),  # serialization failure
        ("40P01", DatabaseBusy),  # deadlock
        ("57014", DatabaseBusy),  # statement timeout
        ("25006", DatabaseGone),  # failed over to a read-only standby
        ("57P01", DatabaseGone),  # shut down
        ("58030", DatabaseGone),  # input/output error
    ],
)
def test_what_the_server_reports_is_said_to_the_operator(
    new_database: NewDatabase, state: str, error: type[Unavailable]
) -> None:
    with closing(open_store(new_database("postgresql"))) as store:
        write(store, 1)

        def fail() -> None:
            with store.write() as connection:
                bulk.insert(connection, schema.category, [(2, "never there")])
                connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")

        with pytest.raises(error, match=store.name.replace("*", r"\*").replace("?", r"\?").replace("+", r"\+")):
            fail()
        write(store, 3)
        assert numbers(store) == [1, 3]


# -- locked -----------------------------------------------------------------------------------------------------------


def test_a_locked_database_is_waited_for_and_then_reported(database_url: str) -> None:
    with closing(open_store(database_url)) as store, closing(open_store(database_url)) as other:
        with store.write() as connection:
            connection.exec_driver_sql(
                "PRAGMA busy_timeout = 50" if store.is_sqlite else "SELECT set_config('lock_timeout', '50', false)"
            )
        with other.write() as connection:
            if not store.is_sqlite:
                connection.exec_driver_sql("LOCK TABLE category IN EXCLUSIVE MODE")
            with pytest.raises(DatabaseBusy, match="again"):
                write(store, 1)
            assert numbers(store) == []  # reading goes on
        write(store, 2)
        assert numbers(store) == [2]


def test_a_lock_that_is_soon_let_go_costs_nothing_but_time(database_url: str) -> None:
    with closing(open_store(database_url)) as store, closing(open_store(database_url)) as other:
        waiting = threading.Thread(target=write, args=(store, 1))
        with other.write() as connection:
            bulk.insert(connection, schema.category, [(2, "first")])
            waiting.start()
        waiting.join()
        assert numbers(store) == [1, 2]


# -- gone and back ----------------------------------------------------------------------------------------------------


@contextmanager
def away(server: PostgreSQL, url: str) -> Iterator[None]:
    """As long as this lasts the server answers nobody who asks for this database."""
    database = str(make_url(url).database)
    server.execute("ALTER DATABASE {} ALLOW_CONNECTIONS false", database)
    end_connections(url, server)
    yield
    server.execute("ALTER DATABASE {} ALLOW_CONNECTIONS true", database)


def end_connections(url: str, server: PostgreSQL) -> None:
    with psycopg.connect(server.url("postgres").replace("+psycopg", "")) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (make_url(url).database,)
        )


@pytest.mark.postgresql
def test_a_region_outlives_its_server(new_database: NewDatabase, postgresql_server: PostgreSQL) -> None:
    url = new_database("postgresql")
    with closing(open_store(url)) as store:
        write(store, 1)
        assert numbers(store) == [1]
        with away(postgresql_server, url):
            for _ in range(3):
                with pytest.raises(DatabaseGone, match="goes on by itself") as gone:
                    write(store, 2)
                assert not gone.value.in_doubt
                with pytest.raises(DatabaseGone):
                    numbers(store)
        write(store, 3)
        assert numbers(store) == [1, 3]


@pytest.mark.postgresql
def test_connections_lost_between_two_writes_are_not_noticed(
    new_database: NewDatabase, postgresql_server: PostgreSQL
) -> None:
    url = new_database("postgresql")
    with closing(open_store(url)) as store:
        write(store, 1)
        assert numbers(store) == [1]
        end_connections(url, postgresql_server)
        write(store, 2)
        assert numbers(store) == [1, 2]


@pytest.mark.postgresql
@pytest.mark.parametrize("rows", [1, 600], ids=["arrays", "COPY"])
def test_a_connection_lost_inside_a_write_undoes_it(
    new_database: NewDatabase, postgresql_server: PostgreSQL, rows: int
) -> None:
    url = new_database("postgresql")
    with closing(open_store(url)) as store:

        def lose() -> None:
            with store.write() as connection:
                bulk.insert(connection, schema.category, [(1, "never there")])
                end_connections(url, postgresql_server)
                bulk.insert(connection, schema.category, [(n, str(n)) for n in range(2, rows + 2)])

        with pytest.raises(DatabaseGone) as gone:
            lose()
        assert not gone.value.in_doubt
        write(store, 3)
        assert numbers(store) == [3]


@pytest.mark.postgresql
def test_a_connection_lost_at_the_commit_is_in_doubt(new_database: NewDatabase, postgresql_server: PostgreSQL) -> None:
    url = new_database("postgresql")
    with closing(open_store(url)) as store:

        def lose() -> None:
            with store.write() as connection:
                bulk.insert(connection, schema.category, [(1, "perhaps")])
                end_connections(url, postgresql_server)

        with pytest.raises(DatabaseGone) as gone:
            lose()
        assert gone.value.in_doubt
        write(store, 2)
        assert 2 in numbers(store)


@pytest.mark.postgresql
def test_a_server_that_was_stopped_and_started_again_goes_on() -> None:
    own = start_postgresql()
    try:
        server = PostgreSQL(own.get_uri())
        with closing(open_store(server.url(server.new(tables=True)))) as store:
            write(store, 1)
            own.stop()
            with pytest.raises(DatabaseGone):
                write(store, 2)
            with pytest.raises(DatabaseGone):
                numbers(store)
            own.ensure_postgres_running()
            write(store, 3)
            assert numbers(store) == [1, 3]
    finally:
        own.cleanup()


def test_a_directory_that_is_not_mounted_yet(tmp_path: Path) -> None:
    directory = tmp_path / "disk"
    with closing(open_store(f"sqlite:///{directory}/region.sqlite")) as store:
        with pytest.raises(DatabaseGone, match="mounted"):
            create(store)
        directory.mkdir()
        create(store)
        write(store, 1)
        assert numbers(store) == [1]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "region.sqlite"
    path.write_bytes(b"residents and their points\n" * 400)
    before = path.read_bytes()
    with closing(open_store(f"sqlite:///{path}")) as store, pytest.raises(DatabaseGone, match="not a database"):
        create(store)
    assert path.read_bytes() == before
