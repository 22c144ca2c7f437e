"""Bring the database of a region to the tables this version of the software works with."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from ..errors import BadInput
from . import guards
from .engine import Store

_LOCK = 0x6875746F6E67  # "hutong": the advisory lock PostgreSQL's migrations are made under


def migrate(store: Store) -> None:
    """Upgrade to the newest revision, all or nothing; two processes that start together wait for each other.

    Raises BadInput, having changed nothing, for a database of newer software or of somebody else.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    with store.write() as connection:
        if not store.is_sqlite:  # SQLite's transaction excludes every other writer already
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        current = revision(connection)
        if current == script.get_current_head():
            return
        _check_ours(connection, store.name, current, script)
        guards.take_down(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        guards.set_up(connection)


def revision(connection: Connection) -> str | None:
    """The revision the database is at; None for one that no migration has touched."""
    return MigrationContext.configure(connection).get_current_revision()


def _check_ours(connection: Connection, name: str, current: str | None, script: ScriptDirectory) -> None:
    if current is None:
        if tables := inspect(connection).get_table_names():
            raise BadInput(
                f"{name}: the database holds tables that are not a region's ({', '.join(sorted(tables)[:3])}). "
                "Name an empty database in the configuration."
            )
    elif current not in {known.revision for known in script.walk_revisions()}:
        raise BadInput(
            f"{name}: the database was written by a newer version of this software (revision {current}, this one "
            f"knows up to {script.get_current_head()}). Install that version; nothing was changed."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
