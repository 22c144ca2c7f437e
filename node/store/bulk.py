"""Many rows in one call, as cheap as each database allows: straight through its driver, inside the open transaction.

Rows are tuples, columns are named by the schema, and every function does the same on both databases, except that
SQLite gives a truth value back as 0 or 1.
"""

# ruff: noqa: S608 -- the texts are put together from the schema's own names; every value is a parameter

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from .engine import driver_connection

Row = tuple[Any, ...]

COPY_FROM = 512
"""So many rows and more go to PostgreSQL by COPY, fewer as arrays in one statement."""

# An IN list is filled up with its last value to one of these, so that few texts serve every number of values. The
# last stays below SQLite's limit of 32,766 parameters.
_IN_SIZES = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 30_000)

_RUN = 64  # ids looked for with one look at the range they lie in

_ROWS_AT_ONCE = 64  # rows that SQLite takes in one statement

_POSTGRESQL = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def insert(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add the rows, each with a value for every column of the table in its order."""
    if not rows:
        return
    driver = driver_connection(conn)
    if conn.dialect.name == "sqlite":
        # Many rows a statement: fewer steps, and so fewer times the interpreter's lock changes hands.
        whole = len(rows) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
        for start in range(0, whole, _ROWS_AT_ONCE):
            values = chain.from_iterable(rows[start : start + _ROWS_AT_ONCE])
            driver.execute(_insert_sqlite(table, _ROWS_AT_ONCE), list(values))
        driver.executemany(_insert_sqlite(table, 1), rows[whole:])
    elif len(rows) < COPY_FROM:
        driver.execute(_insert_unnest(table), _arrays(rows))
    else:
        _copy(driver, table, rows)


def add(
    conn: Connection, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row],
    *, put: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Add to numbers: a row is the key's values, then what each of `columns` grows by, then what `put` columns become.

    Raises LookupError when a key is not there. A key may occur once only.
    """
    _change(conn, _update(table, key, columns, put, conn.dialect.name), table, rows)


def put(conn: Connection, table: Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Set values: a row is the key's values, then the new value of each of `columns`. Otherwise like `add`."""
    _change(conn, _update(table, key, (), columns, conn.dialect.name), table, rows)


def select_in(
    conn: Connection, table: Table, columns: tuple[str, ...], by: str, values: Iterable[Any], where: str = ""
) -> list[Row]:
    """The `columns` of every row whose column `by` has one of `values`, in no order.

    `where` is a further condition in SQL, for instance that of a partial index; never a part of anybody's input.
    """
    found: list[Row] = []
    for sql, parameters in _in_chunks(conn, _selecting(table, columns, by, where), table, by, values):
        found += driver_connection(conn).execute(sql, parameters).fetchall()
    return found


def select_new(conn: Connection, table: Table, columns: tuple[str, ...], by: str, values: Iterable[bytes]) -> list[Row]:
    """As :func:`select_in`, for ids of which as a rule most are not there.

    Ids made together lie together: a look between the lowest and the highest of a run of them often shows that none is
    there. Only those of the other runs are asked for one by one.
    """
    driver, sql = driver_connection(conn), _between(table, by, conn.dialect.name)
    ordered = sorted(values)
    asked: list[bytes] = []
    for start in range(0, len(ordered), _RUN):
        run = ordered[start : start + _RUN]
        if driver.execute(sql, (run[0], run[-1])).fetchone() is not None:
            asked += run
    return select_in(conn, table, columns, by, asked)


def find(conn: Connection, table: Table, column: str, key: tuple[str, ...], values: Sequence[Any]) -> Any:
    """One value by a whole key, None where there is no such row: for proofs, which look up dozens."""
    row = driver_connection(conn).execute(_by_key(table, column, key, conn.dialect.name), values).fetchone()
    return None if row is None else row[0]


def delete_in(conn: Connection, table: Table, by: str, values: Iterable[Any], where: str = "") -> int:
    """Remove every row whose column `by` has one of `values`; returns how many there were. `where`: as above."""
    removed = 0
    for sql, parameters in _in_chunks(conn, _deleting(table, by, where), table, by, values):
        removed += driver_connection(conn).execute(sql, parameters).rowcount
    return removed


def _change(conn: Connection, sql: str, table: Table, rows: Sequence[Row]) -> None:
    if not rows:
        return
    driver = driver_connection(conn)
    if conn.dialect.name == "sqlite":
        changed = driver.executemany(sql, rows).rowcount
    else:
        changed = driver.execute(sql, _arrays(rows)).rowcount
    if changed != len(rows):
        raise LookupError(f"{table.name}: {len(rows)} keys were to change, {changed} rows did")


def _in_chunks(
    conn: Connection, statement: str, table: Table, by: str, values: Iterable[Any]
) -> list[tuple[str, Sequence[Any]]]:
    values = list(dict.fromkeys(values))  # a value in two chunks would bring its row twice
    if not values:
        return []
    if conn.dialect.name != "sqlite":
        return [(_in_array(statement, table, by), (values,))]
    chunks: list[tuple[str, Sequence[Any]]] = []
    for start in range(0, len(values), _IN_SIZES[-1]):
        chunk = values[start : start + _IN_SIZES[-1]]
        size = next(size for size in _IN_SIZES if size >= len(chunk))
        filled = chunk + chunk[-1:] * (size - len(chunk))
        chunks.append((_in_list(statement, size), filled))
    return chunks


def _arrays(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _copy(driver: psycopg.Connection[Any], table: Table, rows: Sequence[Row]) -> None:
    with driver.cursor() as cursor, cursor.copy(_copy_from(table)) as copy:
        for row in rows:
            copy.write_row(row)


@cache
def _insert_sqlite(table: Table, rows: int) -> str:
    row = f"({', '.join('?' * len(table.columns))})"
    return f"INSERT INTO {_names((table.name,))} VALUES {', '.join([row] * rows)}"


@cache
def _insert_unnest(table: Table) -> str:
    columns = tuple(column.name for column in table.columns)
    return f"INSERT INTO {_names((table.name,))} ({_names(columns)}) SELECT * FROM {_unnest(table, columns)}"


@cache
def _copy_from(table: Table) -> str:
    return f"COPY {_names((table.name,))} ({_names(tuple(column.name for column in table.columns))}) FROM STDIN"


@cache
def _update(table: Table, key: tuple[str, ...], grow: tuple[str, ...], put: tuple[str, ...], dialect: str) -> str:
    name, columns = _names((table.name,)), grow + put
    if dialect == "sqlite":
        given = [f"?{number}" for number in range(1, len(key) + len(columns) + 1)]
        own = ""
    else:
        given = [f"given.{_names((column,))}" for column in key + columns]
        own = "changed."
    news = [
        f"{_names((column,))} = {own}{_names((column,))} + {value}"
        if column in grow
        else f"{_names((column,))} = {value}"
        for column, value in zip(columns, given[len(key) :], strict=True)
    ]
    where = [f"{own}{_names((column,))} = {value}" for column, value in zip(key, given[: len(key)], strict=True)]
    if dialect == "sqlite":
        return f"UPDATE {name} SET {', '.join(news)} WHERE {' AND '.join(where)}"
    source = f"{_unnest(table, key + columns)} AS given({_names(key + columns)})"
    return f"UPDATE {name} AS changed SET {', '.join(news)} FROM {source} WHERE {' AND '.join(where)}"


@cache
def _selecting(table: Table, columns: tuple[str, ...], by: str, where: str) -> str:
    condition = f"({where}) AND " if where else ""
    return f"SELECT {_names(columns)} FROM {_names((table.name,))} WHERE {condition}{_names((by,))}"


@cache
def _between(table: Table, by: str, dialect: str) -> str:
    mark = "?" if dialect == "sqlite" else "%b"
    name = _names((by,))
    return f"SELECT 1 FROM {_names((table.name,))} WHERE {name} BETWEEN {mark} AND {mark} LIMIT 1"


@cache
def _deleting(table: Table, by: str, where: str) -> str:
    condition = f"({where}) AND " if where else ""
    return f"DELETE FROM {_names((table.name,))} WHERE {condition}{_names((by,))}"


@cache
def _in_list(statement: str, size: int) -> str:
    return f"{statement} IN ({','.join('?' * size)})"


@cache
def _in_array(statement: str, table: Table, by: str) -> str:
    return f"{statement} = ANY(%b::{_type(table, by)}[])"


@cache
def _by_key(table: Table, column: str, key: tuple[str, ...], dialect: str) -> str:
    mark = "?" if dialect == "sqlite" else "%b"
    where = " AND ".join(f"{_names((name,))} = {mark}" for name in key)
    return f"SELECT {_names((column,))} FROM {_names((table.name,))} WHERE {where}"


def _unnest(table: Table, columns: tuple[str, ...]) -> str:
    return f"unnest({', '.join(f'%b::{_type(table, column)}[]' for column in columns)})"


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _type(table: Table, column: str) -> str:
    return table.columns[column].type.compile(_POSTGRESQL)
