"""Bulk statements do the same on both databases, for any number of rows."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from node.store import bulk, schema
from node.store.engine import Store

from .rows import row

# Around every border: one row, arrays or COPY, and several IN lists.
NUMBERS = (0, 1, 2, 5, 511, 512, 513, 1_025)
T = schema.transfer


class Reason(IntEnum):
    """A number with a name, as the services give it."""

    NONE = 0
    SOME = 7


def transfers(numbers: range) -> list[tuple[Any, ...]]:
    awkward = "积分\t\\N\n'\"%s ?1"
    return [
        row(
            T, n, no=n, id=n.to_bytes(16, "big") + b"\\\x00\n", amount=2**62, client_key=awkward if n % 2 else None,
            reason=Reason.SOME, cites=None if n % 3 else b"", address=None, hold=None, offered=n,
        )
        for n in numbers
    ]  # fmt: skip


def stored(store: Store) -> list[tuple[Any, ...]]:
    with store.read() as connection:
        return [tuple(found) for found in connection.execute(select(T).order_by(T.c.no))]


@pytest.mark.parametrize("number", NUMBERS)
def test_inserted_rows_come_back_as_they_were(store: Store, number: int) -> None:
    rows = transfers(range(number))
    with store.write() as connection:
        bulk.insert(connection, T, rows)
    assert stored(store) == rows


@pytest.mark.parametrize("number", NUMBERS)
def test_values_are_put_where_their_key_is(store: Store, number: int) -> None:
    rows = transfers(range(number + 1))
    with store.write() as connection:
        bulk.insert(connection, T, rows)
        changes = [(n, 12 + n % 2, None if n % 2 else n) for n in range(number)]
        bulk.put(connection, T, ("no",), ("state", "hold"), changes)
    expected = [list(r) for r in rows]
    for n, state, hold in changes:
        expected[n][list(T.c).index(T.c.state)] = state
        expected[n][list(T.c).index(T.c.hold)] = hold
    assert stored(store) == [tuple(r) for r in expected]


@pytest.mark.parametrize("number", NUMBERS)
def test_every_counter_grows_by_its_own(store: Store, number: int) -> None:
    table = schema.balance
    with store.write() as connection:
        bulk.insert(
            connection, table, [row(table, n, no=n, account=n, category=n % 7, resident=False) for n in range(number)]
        )
        grown = [(n, n % 7, n, -n % 10) for n in range(number)]
        bulk.add(connection, table, ("account", "category"), ("credits_posted", "debits_pending"), grown)
    with store.read() as connection:
        found = bulk.select_in(connection, table, ("no", "credits_posted", "debits_pending"), "no", range(number))
    assert sorted(found) == [(n, 30 + n, 10 + -n % 10) for n in range(number)]


@pytest.mark.parametrize("number", [*NUMBERS, 30_000, 30_001])
def test_all_that_is_asked_for_is_found_once(store: Store, number: int) -> None:
    table = schema.event
    with store.write() as connection:
        bulk.insert(connection, table, [row(table, n, no=n, at_ms=n % 2) for n in range(number + 3)])
    with store.read() as connection:
        wanted = [*range(number), *range(number), 10**9]
        assert sorted(bulk.select_in(connection, table, ("no",), "no", wanted)) == [(n,) for n in range(number)]
        odd = bulk.select_in(connection, table, ("no",), "no", wanted, "at_ms = 1 OR at_ms = 3")
        assert sorted(odd) == [(n,) for n in range(1, number, 2)]


def test_bytes_and_texts_are_looked_up_too(store: Store) -> None:
    rows = transfers(range(5))
    with store.write() as connection:
        bulk.insert(connection, T, rows)
        assert bulk.select_in(connection, T, ("no",), "id", [rows[3][1], b"nobody's"]) == [(3,)]
        assert sorted(bulk.select_in(connection, T, ("no",), "client_key", [rows[1][7], "积分"])) == [(1,), (3,)]


@pytest.mark.parametrize("there", [range(0), range(400, 401), range(0, 1_000, 3), range(990, 1_000)])
@pytest.mark.parametrize("asked", [range(0), range(7, 8), range(200, 700), range(0, 1_000, 2), range(2_000, 2_300)])
def test_ids_that_are_as_a_rule_new_are_found_like_any_others(store: Store, there: range, asked: range) -> None:
    rows = transfers(there)
    ids = {n: f[1] for n, f in zip(range(3_000), transfers(range(3_000)), strict=True)}
    with store.write() as connection:
        bulk.insert(connection, T, rows)
        found = bulk.select_new(connection, T, ("no",), "id", {ids[n] for n in asked})
    assert sorted(found) == [(n,) for n in there if n in asked]


@pytest.mark.parametrize("number", NUMBERS)
def test_only_what_is_named_is_deleted(store: Store, number: int) -> None:
    table = schema.outbox
    with store.write() as connection:
        bulk.insert(connection, table, [row(table, n, no=n) for n in range(number + 1)])
        assert bulk.delete_in(connection, table, "no", [*range(number), 10**9]) == number
        assert connection.execute(select(table.c.no)).all() == [(number,)]


@pytest.mark.parametrize("change", [bulk.add, bulk.put])
def test_a_key_that_is_not_there_stops_the_batch(store: Store, change: Any) -> None:
    table = schema.balance
    with store.write() as connection:
        bulk.insert(connection, table, [row(table, 1, no=1)])
    with pytest.raises(LookupError, match="2 keys were to change, 1 rows did"), store.write() as connection:
        change(connection, table, ("no",), ("credits_posted",), [(1, 100), (2, 100)])
    with store.read() as connection:
        assert bulk.select_in(connection, table, ("credits_posted",), "no", [1]) == [(30,)]


@pytest.mark.parametrize("number", [1, 600], ids=["arrays", "COPY"])
def test_one_bad_row_takes_its_transaction_with_it(store: Store, number: int) -> None:
    rows = [row(schema.posting, n, no=n) for n in range(number)]
    bad = row(schema.posting, 9, no=number, amount=0)

    def batch() -> None:
        with store.write() as connection:
            bulk.insert(connection, schema.category, [(1, "moral")])
            bulk.insert(connection, schema.posting, [*rows, bad])

    with pytest.raises(IntegrityError, match="positive"):
        batch()
    with store.read() as connection:
        assert connection.execute(select(schema.category)).all() == []
