"""Migrations build exactly the tables the software works with, and touch no database that is not theirs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from node.errors import BadInput
from node.store import bulk, guards, schema
from node.store.create import REVISION, create
from node.store.engine import Store, open_store
from node.store.migrate import _config, migrate, revision

NewDatabase = Callable[..., str]
_IN_POSTGRESQL = """
SELECT 'column', table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


@pytest.fixture
def empty(new_database: NewDatabase, database_kind: str) -> Iterator[Store]:
    """A store without tables, on each kind of database in turn."""
    opened = open_store(new_database(database_kind, tables=False))
    yield opened
    opened.close()


def described(store: Store) -> dict[tuple[str, str], Any]:
    """Every table, constraint, index and trigger, as the database itself spells it."""
    with store.read() as connection:
        if not store.is_sqlite:
            return {(kind, name): text for kind, name, text in connection.exec_driver_sql(_IN_POSTGRESQL)}
        found = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        # The order of a table's constraints means nothing, nor do spaces; a column added later stands on no own line.
        return {
            (kind, name): sorted(part.strip(" ,)\t") for part in re.split(r"[(,\n]", text) if part.strip(" ,)\t"))
            for kind, name, text in found
            if name != "alembic_version"
        }


def test_migrated_tables_are_those_of_the_software(empty: Store) -> None:
    migrate(empty)
    with empty.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def test_a_database_created_at_once_equals_a_migrated_one(
    empty: Store, new_database: NewDatabase, database_kind: str
) -> None:
    migrate(empty)
    with closing(open_store(new_database(database_kind))) as created:
        assert described(created) == described(empty)
        with created.read() as connection:
            assert revision(connection) == REVISION


def test_a_second_migration_changes_nothing(store: Store) -> None:
    with store.write() as connection:
        bulk.insert(connection, schema.category, [(1, "moral")])
    before = described(store)
    migrate(store)
    assert described(store) == before
    with store.read() as connection:
        assert bulk.select_in(connection, schema.category, ("code",), "no", [1]) == [("moral",)]


def test_a_database_of_newer_software_is_refused_and_left_alone(store: Store) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = described(store)
    with pytest.raises(BadInput, match=r"newer version .*9999.* Install that version; nothing was changed"):
        migrate(store)
    assert described(store) == before
    with store.read() as connection:
        assert revision(connection) == "9999"


def test_a_database_of_somebody_else_is_refused_and_left_alone(empty: Store) -> None:
    with empty.write() as connection:
        connection.exec_driver_sql("CREATE TABLE payroll (name text)")
    before = described(empty)
    with pytest.raises(BadInput, match="payroll"):
        migrate(empty)
    assert described(empty) == before


def test_a_migration_that_fails_leaves_nothing_behind(empty: Store) -> None:
    """A view in the way of the last table: everything before it was made and is undone."""
    with empty.write() as connection:
        connection.exec_driver_sql("CREATE VIEW token AS SELECT 1 AS name")
    before = described(empty)
    with pytest.raises(DBAPIError, match="token"):
        migrate(empty)
    assert described(empty) == before
    with empty.write() as connection:
        connection.exec_driver_sql("DROP VIEW token")
    migrate(empty)


def test_two_processes_that_start_together_migrate_once(new_database: NewDatabase, database_kind: str) -> None:
    url = new_database(database_kind, tables=False)
    program = "import sys; from node.store import engine, migrate; migrate.migrate(engine.open_store(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    with closing(open_store(url)) as store, store.read() as connection:
        assert revision(connection) == REVISION


def test_in_memory_too() -> None:
    with closing(open_store("sqlite://")) as migrated, closing(open_store("sqlite://")) as created:
        migrate(migrated)
        create(created)
        assert described(migrated) == described(created)


def test_histories_of_an_older_database_become_chains(empty: Store) -> None:
    with empty.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for no, resident in ((1, True), (2, True), (3, False)):
            connection.execute(
                text("INSERT INTO balance VALUES (:no, :no, 1, :resident, 0, 0, 0, 0)"),
                {"no": no, "resident": resident},
            )
        for no, resident in ((4, 1), (5, None), (6, 2), (8, 1), (9, 1)):
            connection.execute(
                text("INSERT INTO posting VALUES (:no, 0, 3, 1, 1, NULL, NULL, :resident, 0)"),
                {"no": no, "resident": resident},
            )
        for statement in guards.statements(connection.dialect.name):
            if '"posting"' in statement or "FUNCTION guard_refuse() RETURNS" in statement:
                connection.exec_driver_sql(statement)
    migrate(empty)
    with empty.read() as connection:
        chain = connection.exec_driver_sql("SELECT no, before FROM posting ORDER BY no").all()
        ends = connection.exec_driver_sql("SELECT no, latest FROM balance ORDER BY no").all()
    assert [tuple(row) for row in chain] == [(4, None), (5, None), (6, None), (8, 4), (9, 8)]
    assert [tuple(row) for row in ends] == [(1, 9), (2, 6), (3, None)]


def test_what_regions_owe_each_other_is_counted_from_the_transfers_of_an_older_database(empty: Store) -> None:
    with empty.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        moved = [  # source, destination, state, amount, arriving
            (330100, 330200, 1, 10, 1), (330100, 330200, 2, 20, 2), (330100, 330200, 3, 40, 4),
            (330200, 330100, 13, 5, 50), (330200, 330100, 14, 7, 70), (330200, 330100, 12, 9, 90),
        ]  # fmt: skip
        for no, (source, destination, state, amount, arriving) in enumerate(moved, 1):
            row: dict[str, Any] = {column.name: None for column in schema.transfer.columns}
            row |= {"no": no, "id": b"%16d" % no, "source": source, "destination": destination, "state": state}
            row |= {"reason": 0, "digest": b"d", "category": f"of {source}", "becomes": f"of {destination}"}
            row |= {"amount": amount, "arriving": arriving, "rate_p": 1, "rate_q": 1, "purpose": 1, "at_ms": 1}
            connection.execute(schema.transfer.insert(), row)
    migrate(empty)
    with empty.read() as connection:
        rows = connection.execute(schema.pair_usage.select()).all()
    assert {(row.peer, bool(row.incoming), row.category, row.net) for row in rows} == {
        (330200, False, "of 330100", 10 + 20 - 50), (330200, True, "of 330200", 5 - 2),
    }  # fmt: skip
