"""The database itself refuses to rewrite what happened, whatever statement it is given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection, CursorResult, Executable, Table, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from node.store import bulk, guards, schema
from node.store.engine import Store, open_store

from .rows import row

NewDatabase = Callable[..., str]


def fill(store: Store, table: Table, *rows: tuple[Any, ...]) -> None:
    with store.write() as connection:
        bulk.insert(connection, table, rows)


def content(store: Store, table: Table) -> list[tuple[Any, ...]]:
    with store.read() as connection:
        return [tuple(found) for found in connection.execute(select(table).order_by(*table.primary_key))]


def execute(connection: Connection, statement: str | Executable) -> CursorResult[Any]:
    return connection.execute(text(statement) if isinstance(statement, str) else statement)  # type: ignore[return-value]


def refused(store: Store, table: Table, statement: str | Executable, why: str) -> None:
    """The statement fails with a message that says why, and the table is as it was."""
    before = content(store, table)
    with pytest.raises(IntegrityError, match=why), store.write() as connection:
        execute(connection, statement)
    assert content(store, table) == before


def allowed(store: Store, statement: str | Executable) -> None:
    with store.write() as connection:
        assert execute(connection, statement).rowcount == 1


@pytest.mark.parametrize("table", schema.APPEND_ONLY, ids=str)
def test_an_append_only_table_refuses_to_change_or_lose_a_row(store: Store, table: Table) -> None:
    fill(store, table, row(table))
    for column in table.columns:
        refused(store, table, f'UPDATE {table.name} SET "{column.name}" = "{column.name}"', "append-only.*UPDATE")
    refused(store, table, f"DELETE FROM {table.name}", "append-only.*DELETE")
    fill(store, table, row(table, 100))
    assert len(content(store, table)) == 2


@pytest.mark.parametrize("table", guards.STAYS, ids=str)
def test_a_row_that_others_rest_on_cannot_be_deleted(store: Store, table: Table) -> None:
    fill(store, table, row(table))
    refused(store, table, f"DELETE FROM {table.name}", "never go away")


@pytest.mark.postgresql
@pytest.mark.parametrize("table", [*schema.APPEND_ONLY, *guards.STAYS, schema.segment, schema.node], ids=str)
def test_a_table_cannot_be_emptied_at_once(new_database: NewDatabase, table: Table) -> None:
    with closing(open_store(new_database("postgresql"))) as store:
        fill(store, table, row(table))
        refused(store, table, f"TRUNCATE {table.name} CASCADE", "TRUNCATE refused")


@pytest.mark.parametrize("table", guards.MUTABLE, ids=str)
def test_only_what_may_change_changes(store: Store, table: Table) -> None:
    given = {schema.lot: {"clears": 5}, schema.repair: {"mine": None}, schema.transfer: {"balance": None}}
    fill(store, table, row(table, **given.get(table, {})))
    for column in table.columns:
        statement = f'UPDATE {table.name} SET "{column.name}" = "{column.name}"'
        if column.name in guards.MUTABLE[table]:
            allowed(store, statement)
        else:
            refused(store, table, statement, "only .* may change")


def test_what_both_regions_have_signed_stays(store: Store) -> None:
    fill(store, schema.repair, row(schema.repair))
    for column in ("payload", "mine", "theirs", "at_ms"):
        statement = f'UPDATE repair SET "{column}" = "{column}"'
        refused(store, schema.repair, statement, "what both regions have signed")


def test_whose_points_they_are_stays(store: Store) -> None:
    fill(store, schema.transfer, row(schema.transfer, balance=1))
    refused(store, schema.transfer, "UPDATE transfer SET balance = 2", "whose points they are never changes")


def test_an_award_of_the_region_cannot_become_provisional(store: Store) -> None:
    fill(store, schema.lot, row(schema.lot, clears=None))
    refused(store, schema.lot, "UPDATE lot SET clears = 7", "never provisional")


@pytest.mark.parametrize("table", schema.APPEND_ONLY, ids=str)
def test_replace_is_no_way_around(new_database: NewDatabase, table: Table) -> None:
    """SQLite's REPLACE deletes; it meets the same refusal."""
    with closing(open_store(new_database("sqlite"))) as store:
        fill(store, table, row(table))
        refused(store, table, insert(table).prefix_with("OR REPLACE").values(row(table)), "append-only")


# -- frames -----------------------------------------------------------------------------------------------------------

OUT, IN, JOURNAL = 1, 2, 3
FRAMES = b"\x12\x01a\x12\x01b\x12\x01c\x12\x01d"


@pytest.fixture
def logs(store: Store) -> Store:
    """My log to a peer, its log to me and the journal, each of frames 0-3 and 4-7; mine is final up to frame 6."""
    fill(store, schema.channel, row(schema.channel, peer=330200, out_log=OUT, in_log=IN, final=6))
    for log in (OUT, IN, JOURNAL):
        for first in (0, 4, 8):
            fill(store, schema.segment, row(schema.segment, log=log, first=first, size=first + 4, frames=FRAMES))
    return store


@pytest.mark.parametrize(
    ("log", "first"), [(OUT, 0), (OUT, 4), (IN, 0), (IN, 8), (JOURNAL, 0), (JOURNAL, 8)], ids=lambda value: f"{value}"
)
def test_frames_that_are_final_or_not_mine_stay(logs: Store, log: int, first: int) -> None:
    refused(logs, schema.segment, f"DELETE FROM segment WHERE log = {log} AND first = {first}", "not final")


def test_frames_that_are_not_final_go_back(logs: Store) -> None:
    allowed(logs, f"DELETE FROM segment WHERE log = {OUT} AND first = 8")


def shortened(size: int, frames: bytes) -> Executable:
    segment = schema.segment
    changed = update(segment).where(segment.c.log == OUT, segment.c.first == 4)
    return changed.values(size=size, root=b"another", frames=frames)


def test_a_segment_that_final_divides_keeps_what_is_final(logs: Store) -> None:
    allowed(logs, shortened(6, FRAMES[:6]))


@pytest.mark.parametrize(
    ("size", "frames"),
    [
        pytest.param(5, FRAMES[:3], id="below final"),
        pytest.param(6, FRAMES[3:9], id="other frames"),
        pytest.param(8, FRAMES, id="not shorter"),
        pytest.param(9, FRAMES + b"\x12\x01e", id="longer"),
    ],
)
def test_a_segment_does_not_change_otherwise(logs: Store, size: int, frames: bytes) -> None:
    refused(logs, schema.segment, shortened(size, frames), "frames never change")


@pytest.mark.parametrize("column", ["log", "first", "epoch", "at_ms", "size"])
def test_a_segment_keeps_its_place(logs: Store, column: str) -> None:
    statement = f'UPDATE segment SET "{column}" = "{column}" + 100 WHERE log = {OUT} AND first = 8'
    refused(logs, schema.segment, statement, "frames never change")


def test_what_is_final_stays_final(logs: Store) -> None:
    refused(logs, schema.channel, "UPDATE channel SET final = 5", "stays final")
    allowed(logs, "UPDATE channel SET final = 7")
    allowed(logs, "UPDATE channel SET final = 0, out_log = 9")  # a new generation begins


def test_the_hash_of_a_subtree_does_not_change(store: Store) -> None:
    fill(store, schema.node, row(schema.node))
    refused(store, schema.node, "UPDATE node SET hash = hash", "never changes")


def test_bodies_can_be_erased(store: Store) -> None:
    fill(store, schema.body, row(schema.body, 1), row(schema.body, 2))
    allowed(store, "UPDATE body SET bodies = bodies WHERE log = 1")
    allowed(store, "DELETE FROM body WHERE log = 2")


# -- amounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counter", ["debits_pending", "debits_posted"])
def test_a_resident_cannot_go_below_zero_counting_holds(store: Store, counter: str) -> None:
    table = schema.balance
    fill(store, table, row(table, 1, debits_pending=10, debits_posted=20, credits_posted=100))
    with store.write() as connection:
        bulk.add(connection, table, ("no",), (counter,), [(1, 70)])
    with pytest.raises(IntegrityError, match="not_below_zero"), store.write() as connection:
        bulk.add(connection, table, ("no",), (counter,), [(1, 1)])


def test_a_book_of_the_region_may_go_below_zero_but_no_counter(store: Store) -> None:
    table = schema.balance
    fill(store, table, row(table, 1, resident=False))
    with store.write() as connection:
        bulk.add(connection, table, ("no",), ("debits_posted",), [(1, 10**15)])
    with pytest.raises(IntegrityError, match="counters"), store.write() as connection:
        bulk.add(connection, table, ("no",), ("debits_pending",), [(1, -(10**6))])


@pytest.mark.parametrize("units", [-61, 41], ids=["more than remains", "more than there was"])
def test_a_lot_can_be_neither_overdrawn_nor_overfilled(store: Store, units: int) -> None:
    fill(store, schema.lot, row(schema.lot, 1, amount=100, remaining=60))
    with pytest.raises(IntegrityError, match="remaining"), store.write() as connection:
        bulk.add(connection, schema.lot, ("no",), ("remaining",), [(1, units)])


@pytest.mark.parametrize("amount", [0, -1])
def test_a_posting_moves_something_from_one_to_another(store: Store, amount: int) -> None:
    with pytest.raises(IntegrityError, match="positive"):
        fill(store, schema.posting, row(schema.posting, amount=amount))
    with pytest.raises(IntegrityError, match="two_sided"):
        fill(store, schema.posting, row(schema.posting, debit=4, credit=4))


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=str)
def test_a_key_is_used_once(store: Store, table: Table) -> None:
    fill(store, table, row(table))
    with pytest.raises(IntegrityError):
        fill(store, table, row(table))
    assert len(content(store, table)) == 1
