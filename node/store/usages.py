"""What caps count: per resident and region, and of all residents together. Loaded with a batch, written at its end.

Counters are of the running day, month and year of the business date on which they were last touched; read on another
date they count less, and nothing has to run at midnight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from node.store import bulk, schema

_COLUMNS = tuple(column.name for column in schema.usage.columns)
_PAIR_COLUMNS = tuple(column.name for column in schema.pair_usage.columns)

PairKey = tuple[int, bool, str]
"""The other region, whether it is the source, and the category of the source."""


class Sent(NamedTuple):
    """What was sent by a business date."""

    in_day: int
    in_month: int
    in_year: int
    ever: int


@dataclass(slots=True)
class Usage:
    """What one resident's balance has sent to one region. What was refused is taken off again."""

    day: int = 0
    in_day: int = 0
    in_month: int = 0
    in_year: int = 0
    ever: int = 0
    relocated: int = 0  # business date of the last relocation; 0 = none
    stored: bool = False

    def on(self, day: int) -> Sent:
        """As it counts on a business date."""
        if self.day == day:
            return Sent(self.in_day, self.in_month, self.in_year, self.ever)
        in_month = self.in_month if self.day // 100 == day // 100 else 0
        return Sent(0, in_month, self.in_year if self.day // 10_000 == day // 10_000 else 0, self.ever)

    def add(self, amount: int, day: int) -> None:
        """So much more is sent on this date."""
        if self.day != day:
            self.in_day, self.in_month, self.in_year, self.ever = self.on(day)
            self.day = day
        self.in_day += amount
        self.in_month += amount
        self.in_year += amount
        self.ever += amount

    def take_off(self, amount: int, held_on: int, day: int) -> None:
        """What was held on an earlier date comes back on this one."""
        now = self.on(day)
        self.in_day = max(0, now.in_day - amount) if held_on == day else now.in_day
        self.in_month = max(0, now.in_month - amount) if held_on // 100 == day // 100 else now.in_month
        self.in_year = max(0, now.in_year - amount) if held_on // 10_000 == day // 10_000 else now.in_year
        self.ever, self.day = max(0, now.ever - amount), day


@dataclass(slots=True)
class Pair:
    """What all residents have sent one way, in one category of the source, and what the source owes for it."""

    day: int = 0
    in_day: int = 0
    in_month: int = 0
    net: int = 0  # sent, holds counted, less what came back in this category
    stored: bool = False

    def on(self, day: int) -> tuple[int, int]:
        """What counts in the day and the month of a business date."""
        if self.day == day:
            return self.in_day, self.in_month
        return 0, self.in_month if self.day // 100 == day // 100 else 0

    def add(self, amount: int, day: int) -> None:
        """So much more is sent on this date."""
        if self.day != day:
            self.in_day, self.in_month = self.on(day)
            self.day = day
        self.in_day += amount
        self.in_month += amount

    def take_off(self, amount: int, held_on: int, day: int) -> None:
        """What was held on an earlier date comes back on this one."""
        in_day, in_month = self.on(day)
        self.in_day = max(0, in_day - amount) if held_on == day else in_day
        self.in_month = max(0, in_month - amount) if held_on // 100 == day // 100 else in_month
        self.day = day


def load_pairs(conn: Connection) -> dict[PairKey, Pair]:
    """All pairs of regions and categories."""
    p = schema.pair_usage
    return {
        (r.peer, bool(r.incoming), r.category): Pair(r.day, r.in_day, r.in_month, r.net, True)
        for r in conn.execute(select(p))
    }


class Usages:
    """The counters of one batch."""

    def __init__(self, conn: Connection, pairs: dict[PairKey, Pair]) -> None:
        """`pairs`: of the books, changed in place."""
        self._conn, self._pairs = conn, pairs
        self._balances: dict[int, dict[int, Usage]] = {}  # balance -> region -> usage; all of those that were loaded
        self._any: bool | None = None  # whether anything was ever counted; None = not asked yet
        self._touched: set[tuple[int, int]] = set()
        self._touched_pairs: set[PairKey] = set()
        self._arrived: dict[int, int] = {}  # transfer -> when it arrived

    def load(self, balances: Iterable[int]) -> None:
        """Read what these balances have sent."""
        missing = [no for no in balances if no not in self._balances]
        for no in missing:
            self._balances[no] = {}
        for balance, peer, *counted in bulk.select_in(self._conn, schema.usage, _COLUMNS, "balance", missing):
            self._balances[balance][peer] = usage = Usage(*counted)
            usage.stored = True

    def of(self, balance: int, peer: int) -> Usage | None:
        """What a balance has sent to a region; None = nothing that was counted."""
        known = self._balances.get(balance)
        if known is None:
            if self._any is None:
                self._any = self._conn.scalar(select(schema.usage.c.balance).limit(1)) is not None
            self.load((balance,) if self._any else ())
            known = self._balances.setdefault(balance, {})
        return known.get(peer)

    def touch(self, balance: int, peer: int) -> Usage:
        """The same, to be changed."""
        usage = self.of(balance, peer)
        if usage is None:
            usage = self._balances[balance][peer] = Usage()
        self._touched.add((balance, peer))
        return usage

    def pair(self, key: PairKey) -> Pair | None:
        """What was sent between two regions; None = nothing."""
        return self._pairs.get(key)

    def touch_pair(self, peer: int, incoming: bool, category: str) -> Pair:
        """The same, to be changed."""
        key = (peer, incoming, category)
        self._touched_pairs.add(key)
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = Pair()
        return pair

    # -- when lots came ----------------------------------------------------------------------------------------------

    def load_arrivals(self, transfers: Iterable[int]) -> None:
        """Read when these transfers were credited here."""
        missing = [no for no in transfers if no not in self._arrived]
        columns = ("no", "decided_ms", "at_ms")
        for no, decided_ms, at_ms in bulk.select_in(self._conn, schema.transfer, columns, "no", missing):
            self._arrived[no] = decided_ms or at_ms

    def arrived(self, transfer: int) -> int | None:
        """When a transfer was credited here; None for one of this very batch."""
        if transfer not in self._arrived:
            self.load_arrivals((transfer,))
        return self._arrived.get(transfer)

    # -- writing -----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has changed."""
        fresh, changed = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
        for balance, peer in self._touched:
            usage = self._balances[balance][peer]
            row = (
                balance, peer, usage.day, usage.in_day, usage.in_month, usage.in_year, usage.ever, usage.relocated,
            )  # fmt: skip
            (changed if usage.stored else fresh).append(row)
            usage.stored = True
        bulk.insert(self._conn, schema.usage, fresh)
        bulk.put(self._conn, schema.usage, ("balance", "peer"), _COLUMNS[2:], changed)
        fresh, changed = [], []
        for key in self._touched_pairs:
            pair = self._pairs[key]
            (changed if pair.stored else fresh).append((*key, pair.day, pair.in_day, pair.in_month, pair.net))
            pair.stored = True
        bulk.insert(self._conn, schema.pair_usage, fresh)
        bulk.put(self._conn, schema.pair_usage, ("peer", "incoming", "category"), _PAIR_COLUMNS[3:], changed)
        self._touched.clear()
        self._touched_pairs.clear()


def total(pairs: Mapping[PairKey, Pair], peer: int) -> dict[str, int]:
    """What this region owes another for what its residents sent, by category."""
    return {category: pair.net for (code, incoming, category), pair in pairs.items() if code == peer and not incoming}
