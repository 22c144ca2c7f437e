"""A new, empty database in a few milliseconds: what the migrations would build, without running them."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from . import guards, schema
from .engine import Store, driver_connection

REVISION = "0004"
"""The newest migration: what a new database counts as having been migrated to."""


def create(store: Store) -> None:
    """Lay out an empty database. One that holds tables already is refused by the database."""
    with store.write() as connection:
        driver = driver_connection(connection)
        for statement in _statements(connection.dialect.name):
            driver.execute(statement)


@cache
def _statements(name: str) -> tuple[str, ...]:
    dialect: Dialect
    if name == "sqlite":
        dialect = SQLiteDialect_pysqlite()
    else:
        dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
    tables: list[Table] = schema.metadata.sorted_tables
    return (
        *(str(CreateTable(table).compile(dialect=dialect)) for table in tables),
        *(
            str(CreateIndex(index).compile(dialect=dialect))
            for table in tables
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ),
        *guards.statements(name),
        # As Alembic makes it.
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
        f"INSERT INTO alembic_version VALUES ('{REVISION}')",  # noqa: S608 -- a constant
    )
