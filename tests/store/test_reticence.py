"""What a database refuses is reported without the values it was given: reports are logged, and values are people's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from node.store import schema
from node.store.engine import open_store


def test_the_parameters_of_a_refused_statement_are_not_quoted(
    new_database: Callable[..., str], database_kind: str
) -> None:
    row = {"no": 7, "name": "once", "kind": 1, "state": 1, "opened_ms": 1}
    with closing(open_store(new_database(database_kind))) as store:
        with store.write() as conn:
            conn.execute(insert(schema.account), [row])
        again = [{**row, "no": 8, "name": "a resident"}, {**row, "no": 9}]
        with pytest.raises(IntegrityError) as refused, store.write() as conn:
            conn.execute(insert(schema.account), again)
        assert "a resident" not in str(refused.value)
