"""Rows that say nothing but are allowed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, LargeBinary, Table, Text

from node.store import schema

_ALLOWED: dict[Table, dict[str, Any]] = {
    schema.lot: {"amount": 100, "remaining": 60, "clears": None},
    schema.balance: {"debits_pending": 10, "debits_posted": 20, "credits_posted": 30},
    schema.authorisation: {"amount": 100, "captured": 60},
    schema.penalty: {"amount": 100, "taken": 60},
}


def row(table: Table, number: int = 1, **given: Any) -> tuple[Any, ...]:
    """A row of `table`; different numbers give different keys. `given` columns are as given."""
    values = []
    for place, column in enumerate(table.columns):
        if column.name in given:
            values.append(given[column.name])
        elif column.name in _ALLOWED.get(table, {}):
            values.append(_ALLOWED[table][column.name])
        elif isinstance(column.type, LargeBinary):
            values.append(f"{column.name} {number}".encode())
        elif isinstance(column.type, Text):
            values.append(f"{column.name} {number}")
        elif isinstance(column.type, Boolean):
            values.append(True)
        else:
            values.append(number + place)
    return tuple(values)
