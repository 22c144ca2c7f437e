"""Tables, queries and migrations of one region, the same on SQLite and on PostgreSQL."""
