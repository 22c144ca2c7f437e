"""How Alembic runs the migrations: only ever inside the transaction that `node.store.migrate` has opened."""

from __future__ import annotations

from alembic import context

from node.store.schema import metadata

# SQLite changes a table by building it anew (`render_as_batch`); its schema changes are transactional all the same.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
