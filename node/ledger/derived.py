"""What a replay has derived so far: running totals in a few machine words each, and rows to hold against the tables."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

from gateway.protocol.transfer import State
from gateway.protocol.values import Offer
from node.ledger.postings import CREDIT, DEBIT, Phase

UNKNOWN: Any = object()
"""A column that cannot be derived: its source was erased, or only the region's caller has it."""

REACH = 1 << 20
"""A number further than this beyond all before it is no number the writer gave out."""


@dataclass(slots=True)
class Rows:
    """Rows as the tables should have them, columns in the tables' order; a lot has the number of its like after that
    and no `remaining`, an account no `state`, a balance no counters: those are in :class:`Derived`."""

    accounts: list[tuple[Any, ...]] = field(default_factory=list)
    balances: list[tuple[Any, ...]] = field(default_factory=list)
    postings: list[tuple[Any, ...]] = field(default_factory=list)
    lots: list[tuple[Any, ...]] = field(default_factory=list)
    lot_entries: list[tuple[int, int, int]] = field(default_factory=list)
    transfers: list[tuple[Any, ...]] = field(default_factory=list)
    claims: list[tuple[Any, ...]] = field(default_factory=list)


class Derived:
    """Running totals by number; index 0 of each is nobody's."""

    def __init__(self) -> None:
        self.states = array("b", [0])  # of accounts
        self.categories = array("h", [0])  # of balances
        self.counters = tuple(array("q", [0]) for _ in range(4))
        self.remaining = array("q", [0])
        self._expires = array("i", [0])
        self._balances = array("q", [0])  # of lots

    def open(self, account: int, state: int) -> bool:
        """The account is there, in this state. Whether it is new."""
        new = account >= len(self.states) or not self.states[account]
        _reach(account, self.states)
        self.states[account] = state
        return new

    def balance(self, no: int, category: int) -> bool:
        """A balance. Whether it is new."""
        new = no >= len(self.categories) or not self.categories[no]
        _reach(no, self.categories, *self.counters)
        self.categories[no] = category
        return new

    def category_of(self, balance: int) -> int:
        """The category of a balance; 0 where there is no such balance."""
        return self.categories[balance] if 0 < balance < len(self.categories) else 0

    def post(self, phase: Phase, debit: int, credit: int, amount: int) -> None:
        """What a posting does to the counters of its two balances."""
        _reach(max(debit, credit), self.categories, *self.counters)
        for counter, times in DEBIT[phase]:
            self.counters[counter][debit] += times * amount
        for counter, times in CREDIT[phase]:
            self.counters[counter][credit] += times * amount

    def grant(self, no: int, balance: int, amount: int, expires: int) -> bool:
        """A lot. Whether it is new."""
        new = no >= len(self.remaining) or not self._balances[no]
        _reach(no, self.remaining, self._expires, self._balances)
        self.remaining[no], self._expires[no], self._balances[no] = amount, expires, balance
        return new

    def change_lot(self, no: int, units: int) -> None:
        """Units taken from a lot, or given back to it."""
        _reach(no, self.remaining, self._expires, self._balances)
        self.remaining[no] += units

    def expires_of(self, lot: int) -> int:
        """When a lot expires; 0 where there is no such lot."""
        return self._expires[lot] if 0 < lot < len(self._expires) else 0

    def balance_of_lot(self, lot: int) -> int:
        """The balance a lot belongs to; 0 where there is no such lot."""
        return self._balances[lot] if 0 < lot < len(self._balances) else 0


def _reach(no: int, *columns: array[int]) -> None:
    for column in columns:
        missing = no + 1 - len(column)
        if no < 0 or missing > REACH:
            raise ValueError(f"number {no} is not one that was given out")
        if missing > 0:
            column.extend([0] * missing)


def transfer_row(
    no: int, id_: bytes, source: int, destination: int, state: State, reason: int, balance: int | None,
    category: Any, amount: int, becomes: Any, arriving: int, offer: Offer | None, hold: int | None,
    offered: int | None, answered: int | None, at: int, decided: int | None, *, outgoing: bool,
    digest: bytes = UNKNOWN,
) -> tuple[Any, ...]:  # fmt: skip
    """A transfer as its table should have it. What only the body of the offer tells is unknown where that is gone."""
    if offer is None:
        told: tuple[Any, ...] = (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
        address = UNKNOWN
    else:
        told = (offer.rate_p, offer.rate_q, offer.purpose, offer.cites or None)
        address = offer.address or None if outgoing else offer.address
    return (
        no, id_, source, destination, int(state), reason, digest, UNKNOWN if outgoing else None, balance,
        category, amount, becomes, arriving, *told, hold, offered, answered, address, at, decided,
    )  # fmt: skip
