"""What purchases, clawbacks and disputes have moved in one region's books, derived from their tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.protocol.clawback import State as Clawing
from gateway.protocol.roaming import State as Roaming
from node.ledger.accounts import DISPUTED, clearing

if TYPE_CHECKING:
    from tests.simulation.ledgers import LedgerWatch

CAPTURED = (Roaming.CAPTURED, Roaming.PART_CAPTURED)
HELD, LEFT, CAME = 0, 1, 2
"""Of a book that faces a peer: what is held for it, what went there, what came from there."""


class Purchase(NamedTuple):
    """An authorisation as stored."""

    id: bytes
    holder: int
    counter: int
    state: Roaming
    balance: int | None
    category: str
    amount: int
    becomes: str
    arriving: int
    rate_p: int
    rate_q: int
    captured: int
    at_ms: int

    @property
    def spent(self) -> tuple[int, int]:
        """What was spent, at home and at the counter."""
        return (self.captured, self.captured // self.rate_q * self.rate_p) if self.state in CAPTURED else (0, 0)


def purchases(ledger: LedgerWatch) -> list[Purchase]:
    """Every authorisation a region knows."""
    rows = ledger.region.rows(f"SELECT {', '.join(Purchase._fields)} FROM authorisation ORDER BY id")
    return [Purchase(*row)._replace(state=Roaming(row[3])) for row in rows]


class Taken(NamedTuple):
    """A clawback between two regions, as stored, with the rate of its transfer."""

    id: bytes
    peer: int
    mine: bool
    state: Clawing
    reason: int
    category: str
    blocks: int
    recovered: int
    further: int
    owed: int
    transfer: bytes
    cause: int
    rate: int  # units of this region's category in a block

    @property
    def returned(self) -> int:
        """Units that came back, or went back."""
        return (self.recovered + self.further) * self.rate if self.state in (Clawing.CLAWED_BACK, Clawing.TOLD) else 0


def clawbacks(ledger: LedgerWatch) -> Iterator[Taken]:
    """Every hop a region knows, those apart that began here."""
    columns = ", ".join(f"c.{name}" for name in Taken._fields[:-1])
    for row in ledger.region.rows(
        f"SELECT {columns}, CASE WHEN c.mine THEN t.rate_q ELSE t.rate_p END FROM clawback c JOIN transfer t "
        "ON t.id = c.transfer AND t.source = CASE WHEN c.mine THEN ?1 ELSE c.peer END WHERE c.peer <> ?1 "
        "ORDER BY c.id", ledger.region.code
    ):  # fmt: skip
        yield Taken(*row)._replace(mine=bool(row[2]), state=Clawing(row[3]))


def add_up(ledger: LedgerWatch, held: Any, books: Any) -> None:
    """Add to `held` (per balance) and to `books` (per name and category) what was moved besides transfers."""
    me = ledger.region.code
    for p in purchases(ledger):
        if p.holder == me:
            units = p.amount if p.state is Roaming.AUTHORISED else 0
            held[p.balance or 0] += units
            books[clearing(p.counter), p.category][HELD] += units
            books[clearing(p.counter), p.category][LEFT] += p.spent[0]
        else:
            books[clearing(p.holder), p.becomes][CAME] += p.spent[1]
    for c in clawbacks(ledger):
        books[clearing(c.peer), c.category][CAME if c.mine else LEFT] += c.returned
    for balance, units in ledger.region.rows("SELECT p.debit, p.amount FROM dispute d JOIN posting p ON p.no = d.hold"):
        held[balance] += units
        books[DISPUTED, ledger.balances[balance][1]][HELD] += units


def crossed(ledger: LedgerWatch, category: str) -> int:
    """What came into a category, less what left it, across all borders, as this region's own requests have it.

    Each purchase is counted by the holder, each clawback by whoever asked.
    """
    found = 0
    for p in purchases(ledger):
        if p.holder == ledger.region.code:
            found += p.spent[1] * (p.becomes == category) - p.spent[0] * (p.category == category)
    others = {(t.id, t.source): t for t in ledger.transfers.values()}
    for c in clawbacks(ledger):
        if c.mine and c.returned:
            t = others[c.transfer, ledger.region.code]
            found += c.returned * (t.category == category) - c.returned // t.rate_q * t.rate_p * (t.becomes == category)
    return found


def spent_here(ledger: LedgerWatch, category: str) -> int:
    """What visitors have spent at counters here."""
    own = ledger.region.code
    return sum(p.spent[1] for p in purchases(ledger) if p.counter == own and p.becomes == category)
