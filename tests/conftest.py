"""Fixtures every test may ask for."""

from tests.databases import database_kind, database_url, new_database, postgresql_server, store

__all__ = ["database_kind", "database_url", "new_database", "postgresql_server", "store"]
