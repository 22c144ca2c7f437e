"""What must hold in one region's ledger at every moment, re-derived from its postings, lot entries and transfers."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from gateway.protocol.transfer import TRANSITIONS, State
from gateway.protocol.values import Purpose
from node.ledger.accounts import BREAKAGE, CLAWBACK, Counters, clearing
from node.ledger.postings import Phase
from node.services.transfer import EventKind
from tests.simulation import dealt
from tests.simulation.region import SimRegion
from tests.simulation.violation import Violation

MOVES = {(before, after) for (before, _), after in TRANSITIONS.items()}
# What a posting does to the counters of its two balances: said once more, so that a slip in either place shows.
DEBIT = {
    Phase.SINGLE: Counters(debits_posted=1),
    Phase.HOLD: Counters(debits_pending=1),
    Phase.POST: Counters(debits_pending=-1, debits_posted=1),
    Phase.VOID: Counters(debits_pending=-1),
    Phase.PROVISIONAL: Counters(debits_posted=1),
}
CREDIT = {
    Phase.SINGLE: Counters(credits_posted=1),
    Phase.HOLD: Counters(credits_pending=1),
    Phase.POST: Counters(credits_pending=-1, credits_posted=1),
    Phase.VOID: Counters(credits_pending=-1),
    Phase.PROVISIONAL: Counters(credits_pending=1),
}
CLEARED = Counters(credits_pending=-1, credits_posted=1)
GIVES = {Phase.VOID, Phase.PROVISIONAL}
"""Postings whose lot entries give units to a lot; the others take."""


class Row(NamedTuple):
    """A transfer as stored."""

    no: int
    id: bytes
    source: int
    destination: int
    state: State
    reason: int
    category: str
    amount: int
    becomes: str
    arriving: int
    rate_p: int
    rate_q: int
    purpose: int
    balance: int | None
    hold: int | None
    answered: int | None


class Provisional(NamedTuple):
    """A credit that waits for its answer to be known at the other side."""

    posting: int
    credit: int
    amount: int
    transfer: int


class LedgerWatch:
    """Reads what is new and compares the whole. Postings and entries are read once: the database keeps them so."""

    def __init__(self, region: SimRegion, *, restored: bool = False) -> None:
        """`restored`: the region came back from a backup; what had been spent in time may be spent again too late."""
        self.region, self.restored = region, restored
        self.transfers: dict[int, Row] = {}
        self.phases: dict[int, Phase] = {}
        self._posted = 0
        self._counters: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._provisional: list[Provisional] = []
        self._entries: list[tuple[int, int, int]] = []
        self._booked: dict[int, tuple[int, bool | None]] = {}  # posting -> business date, and whether it is an expiry
        self._events: Counter[tuple[int, int]] = Counter()
        self._event = 0

    def check(self) -> None:
        """Raises Violation."""
        rows = self.region.rows
        self.final = dict(rows("SELECT peer, final FROM channel"))
        self.balances = {
            r[0]: (r[1], r[2], bool(r[3]), Counters(*r[4:]))
            for r in rows(
                "SELECT b.no, a.name, c.code, b.resident, b.debits_pending, b.debits_posted, b.credits_pending, "
                "b.credits_posted FROM balance b JOIN account a ON a.no = b.account "
                "JOIN category c ON c.no = b.category"
            )
        }
        self._read_transfers()
        self._read_postings()
        self._check_counters()
        self._check_lots()
        self._check_transfers()
        self._check_events()

    def fail(self, what: str) -> None:
        """Raises Violation."""
        raise Violation(f"{self.region.code}: {what}")

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read_transfers(self) -> None:
        columns = ", ".join(Row._fields)
        for values in self.region.rows(f"SELECT {columns} FROM transfer"):
            row = Row(*values)._replace(state=State(values[4]))
            before = self.transfers.get(row.no)
            if before is not None and before.state != row.state and (before.state, row.state) not in MOVES:
                self.fail(f"transfer {row.id.hex()} went from {before.state.name} to {row.state.name}")
            if before is not None and before._replace(state=row.state, reason=row.reason, hold=row.hold,
                                                      balance=row.balance, answered=row.answered) != row:  # fmt: skip
                self.fail(f"transfer {row.id.hex()} is not the one it was")
            self.transfers[row.no] = row

    def _read_postings(self) -> None:
        old = self._posted
        for no, phase, debit, credit, amount, transfer, at_ms in self.region.rows(
            "SELECT no, phase, debit, credit, amount, transfer, at_ms FROM posting WHERE no > ? ORDER BY no", old
        ):
            if debit not in self.balances or credit not in self.balances:
                self.fail(f"posting {no} names a balance that is not there")
            if self.balances[debit][1] != self.balances[credit][1]:
                self.fail(f"posting {no} turns {self.balances[debit][1]} into {self.balances[credit][1]}")
            self._add(debit, DEBIT[Phase(phase)], amount)
            self._add(credit, CREDIT[Phase(phase)], amount)
            self.phases[no] = Phase(phase)
            self._posted = no
            if phase == Phase.PROVISIONAL:
                self._provisional.append(Provisional(no, credit, amount, transfer))
            name = self.balances[credit][0]  # fraud is taken back although it has expired
            self._booked[no] = (self.region.office.today(at_ms), None if name == CLAWBACK else name == BREAKAGE)
        for posting, lot, amount, expires in self.region.rows(
            "SELECT e.posting, e.lot, e.amount, l.expires FROM lot_entry e JOIN lot l ON l.no = e.lot "
            "WHERE e.posting > ?", old
        ):  # fmt: skip
            today, swept = self._booked[posting]
            expired = expires <= today
            if self.phases[posting] not in GIVES and swept not in (expired, None) and not (expired and self.restored):
                self.fail(f"lot {lot}, which expires on {expires}, is {'swept' if swept else 'spent'} on {today}")
            self._entries.append((posting, lot, amount))

    def _add(self, balance: int, effect: Counters, amount: int) -> None:
        counters = self._counters[balance]
        for i in range(4):
            counters[i] += effect[i] * amount

    def _is_final(self, transfer: Row) -> bool:
        return transfer.answered is not None and transfer.answered < self.final.get(transfer.source, 0)

    # -- comparing ---------------------------------------------------------------------------------------------------

    def _check_counters(self) -> None:
        waiting = []
        for credit in self._provisional:
            if self._is_final(self.transfers[credit.transfer]):
                self._add(credit.credit, CLEARED, credit.amount)
            else:
                waiting.append(credit)
        self._provisional = waiting
        sums: defaultdict[str, int] = defaultdict(int)
        for no, (account, category, resident, stored) in self.balances.items():
            if tuple(self._counters[no]) != stored:
                self.fail(f"{account} has {stored} of {category}, its postings make {self._counters[no]}")
            if resident and stored.available < 0:
                self.fail(f"{account} is below zero: {stored} of {category}")
            sums[category] += stored.debits_pending + stored.debits_posted
            sums[category] -= stored.credits_pending + stored.credits_posted
        for category, total in sums.items():
            if total:
                self.fail(f"debits less credits of {category} are {total}")

    def _check_lots(self) -> None:
        remaining: defaultdict[int, int] = defaultdict(int)
        waiting = {credit.posting for credit in self._provisional}
        for posting, lot, amount in self._entries:
            if self.phases[posting] not in GIVES:
                remaining[lot] -= amount
            elif posting not in waiting:
                remaining[lot] += amount
        clear: defaultdict[int, int] = defaultdict(int)
        unclear: defaultdict[int, int] = defaultdict(int)
        for no, balance, amount, left, peer, number in self.region.rows(
            "SELECT no, balance, amount, remaining, clears_peer, clears FROM lot"
        ):
            if left != amount + remaining.pop(no, 0):
                self.fail(f"{left} of the {amount} units of lot {no} remain, which its entries do not explain")
            if number is None or number < self.final.get(peer, 0):
                clear[balance] += left
            else:
                unclear[balance] += left
                if left != amount:
                    self.fail(f"lot {no} was spent before the answer that granted it was known to be held")
        for credit in self._provisional:
            if self.transfers[credit.transfer].purpose == Purpose.REVERSAL:
                unclear[credit.credit] += credit.amount
        if remaining:
            self.fail(f"entries of lots that are not there: {dict(remaining)}")
        for no, (account, category, resident, counters) in self.balances.items():
            if resident and (clear[no], unclear[no]) != (counters.available, counters.credits_pending):
                self.fail(
                    f"the lots of {account} in {category} hold {clear[no]} spendable and {unclear[no]} provisional "
                    f"units, the balance {counters}"
                )

    def _check_transfers(self) -> None:
        held: Counter[int] = Counter()
        books: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        for t in self.transfers.values():
            if t.source == self.region.code:
                book = books[clearing(t.destination), t.category]
                held[t.balance or 0] += t.amount if t.state is State.HELD else 0
                book[0] += t.amount if t.state is State.HELD else 0
                book[1] += t.amount if t.state is State.POSTED else 0
            else:
                books[clearing(t.source), t.becomes][2] += t.arriving if t.state is State.ACCEPTED else 0
        dealt.add_up(self, held, books)
        for no, (account, category, resident, c) in self.balances.items():
            if resident and c.debits_pending != held[no]:
                self.fail(f"{c.debits_pending} {category} of {account} are held, transfers under way hold {held[no]}")
            faces = [c.credits_pending, c.credits_posted, c.debits_posted]
            if account.startswith(("#clearing", "#disputed")) and faces != books[account, category]:
                self.fail(f"{account} of {category} is {c}, its transfers make {books[account, category]}")

    def _check_events(self) -> None:
        for no, kind, transfer in self.region.rows("SELECT no, kind, transfer FROM event WHERE no > ?", self._event):
            self._events[kind, transfer] += 1
            self._event = max(no, self._event)
        told = {
            State.POSTED: EventKind.POSTED,
            State.VOIDED: EventKind.VOIDED,
            State.ACCEPTED: EventKind.ACCEPTED,
            State.REFUSED: EventKind.REFUSED,
        }
        for t in self.transfers.values():
            for state, kind in told.items():
                if self._events[kind, t.no] != (t.state is state):
                    self.fail(f"{self._events[kind, t.no]} events {kind.name} of a transfer that is {t.state.name}")
            if self._events[EventKind.ARRIVED, t.no] > 1:
                self.fail(f"transfer {t.id.hex()} was put before the clerks twice")
            waits = t.state is State.IN_REVIEW and not self.region.is_behind(t.source)
            if waits and not self._events[EventKind.ARRIVED, t.no]:
                self.fail(f"transfer {t.id.hex()} waits for clerks who were never told")

    # -- for the sums ------------------------------------------------------------------------------------------------

    def by_id(self) -> dict[tuple[bytes, int], Row]:
        """Transfers by (id, source)."""
        return {(t.id, t.source): t for t in self.transfers.values()}

    def total(self, prefix: str, category: str, *, resident: bool = False) -> Any:
        """Credits less debits, pending ones included, of residents or of the region's own books so named."""
        return sum(
            c.credits_posted + c.credits_pending - c.debits_posted - c.debits_pending
            for account, of, is_resident, c in self.balances.values()
            if of == category and is_resident == resident and account.startswith(prefix)
        )
