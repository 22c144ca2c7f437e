"""What a write did is there whole, at once and for good, or not at all; a read sees one moment."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from node.errors import BadInput
from node.store import bulk, schema
from node.store.create import create
from node.store.engine import Store, open_store
from tests.databases import KINDS

NewDatabase = Callable[..., str]


class Killed(BaseException):
    """Nobody catches it."""


@pytest.fixture(params=[*KINDS, "memory"])
def any_store(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Store]:
    """A store of each kind, those in memory included."""
    opened = open_store("sqlite://" if request.param == "memory" else new_database(request.param))
    if opened.in_memory:
        create(opened)
    yield opened
    opened.close()


def write(store: Store, *numbers: int) -> None:
    with store.write() as connection:
        bulk.insert(connection, schema.category, [(n, f"category {n}") for n in numbers])


def numbers(store: Store) -> list[int]:
    with store.read() as connection:
        return sorted(n for (n,) in connection.exec_driver_sql("SELECT no FROM category"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Killed])
def test_whatever_ends_a_write_early_undoes_it(any_store: Store, error: type[BaseException]) -> None:
    write(any_store, 1)

    def broken() -> None:
        with any_store.write() as connection:
            bulk.insert(connection, schema.category, [(2, "gone")])
            raise error

    with pytest.raises(error):
        broken()
    write(any_store, 3)
    assert numbers(any_store) == [1, 3]


def test_a_committed_write_is_there_after_reopening(database_url: str) -> None:
    for n in range(3):
        with closing(open_store(database_url)) as store:
            write(store, n)
    with closing(open_store(database_url)) as store:
        assert numbers(store) == [0, 1, 2]


def test_a_reader_sees_one_moment(store: Store) -> None:
    write(store, 1)
    with store.read() as connection:
        query = "SELECT count(*) FROM category"
        assert connection.exec_driver_sql(query).scalar() == 1
        write_elsewhere = threading.Thread(target=write, args=(store, 2))
        write_elsewhere.start()
        write_elsewhere.join()
        assert connection.exec_driver_sql(query).scalar() == 1
    assert numbers(store) == [1, 2]


def test_nobody_sees_a_write_before_it_is_committed(any_store: Store) -> None:
    seen: list[list[int]] = []
    reader = threading.Thread(target=lambda: seen.append(numbers(any_store)))
    with any_store.write() as connection:
        bulk.insert(connection, schema.category, [(1, "moral")])
        reader.start()
        if not any_store.in_memory:  # where readers wait for the writer
            reader.join()
    reader.join()
    assert seen == [[1] if any_store.in_memory else []]


def test_a_read_changes_nothing(store: Store) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), store.read() as connection:
        connection.exec_driver_sql("INSERT INTO category VALUES (1, 'moral')")
    assert numbers(store) == []


def test_writes_of_several_threads_take_turns(any_store: Store) -> None:
    def add(thread: int) -> None:
        for n in range(20):
            write(any_store, thread * 100 + n)

    threads = [threading.Thread(target=add, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(any_store) == [t * 100 + n for t in range(4) for n in range(20)]


def test_a_transaction_inside_a_write_of_the_same_thread_is_a_mistake(any_store: Store) -> None:
    for inner in (any_store.read, any_store.write):

        def nested(inner: Callable[[], object] = inner) -> None:
            with any_store.write(), inner():  # type: ignore[attr-defined]
                pass

        with pytest.raises(RuntimeError):
            nested()
    write(any_store, 1)
    assert numbers(any_store) == [1]


def test_commits_reach_the_disk(new_database: NewDatabase) -> None:
    with closing(open_store(new_database("sqlite"))) as store:

        def settings() -> None:
            for name, value in {"journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": 1000}.items():
                assert connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value

        with store.read() as connection:
            settings()
        with store.write() as connection:
            settings()


@pytest.mark.postgresql
def test_a_server_that_would_lose_commits_is_not_obeyed(new_database: NewDatabase) -> None:
    url = new_database("postgresql")
    with closing(open_store(url)) as store, store.write() as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{make_url(url).database}" SET synchronous_commit = off')
    with closing(open_store(url)) as store, store.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_closed_file_needs_no_log_beside_it(new_database: NewDatabase) -> None:
    """What one copies is the whole database."""
    url = new_database("sqlite")
    store = open_store(url)
    write(store, 1)
    store.close()
    path = str(make_url(url).database)
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as copied:
        assert copied.execute("SELECT count(*) FROM category").fetchone() == (1,)


@pytest.mark.parametrize("url", ["", "region.sqlite", "mysql://someone:geheim@host/name", "sqlite:/x:y@:geheim:/"])
def test_a_url_that_names_no_database_is_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_store(url).write().__enter__()
    assert "sqlite:////" in str(refused.value)
    assert "geheim" not in str(refused.value)
