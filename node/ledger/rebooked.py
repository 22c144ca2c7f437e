"""Accounts, lots and postings as a journal makes them: the part of a replay that asks no other region's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.protocol.transfer import NEVER
from node.ledger import journal
from node.ledger.accounts import BREAKAGE, ISSUER, RECOVERY, kind_of
from node.ledger.derived import UNKNOWN, Derived, Rows
from node.ledger.lots import RECOVERED, expiry_id
from node.ledger.postings import Phase


class Rebooked:
    """What was derived so far of a region's own books, and what is wrong with it."""

    def __init__(self, me: int) -> None:
        self.derived = Derived()
        self.rows = Rows()
        self.owed: dict[int, int] = {}  # balance -> what the region has advanced to it and not got back
        self.faults: list[tuple[str, str]] = []  # (check, what was found)
        self._me = me
        self._system: dict[tuple[str, int], int] = {}
        self._system_accounts: dict[int, str] = {}

    def _fault(self, check: str, detail: str) -> None:
        self.faults.append((check, detail))

    def _open(self, e: journal.Opened) -> None:
        if self.derived.open(e.account, e.state):
            self.rows.accounts.append((e.account, e.name, int(kind_of(e.name)), e.at))
            if e.name.startswith("#"):
                self._system_accounts[e.account] = e.name

    def _balance(self, e: journal.Balanced) -> None:
        name = self._system_accounts.get(e.account)
        if not self.derived.balance(e.no, e.category):
            self._fault("journal", f"balance {e.no} is made a second time")
        if name is not None:
            self._system[name, e.category] = e.no
        self.rows.balances.append((e.no, e.account, e.category, name is None))

    def _book(self, name: str, category: int) -> int:
        """The balance of one of the region's own books."""
        return self._system.get((name, category), 0)

    def _award(self, e: journal.Awarded) -> None:
        issuer, id_ = self._book(ISSUER, e.category), bytes.fromhex(e.id)
        self._post(e, e.posting, Phase.SINGLE, issuer, e.balance, e.amount, command=id_, resident=e.balance)
        origin = (e.granted, self._me, e.evidence, e.because, None)
        self._grant(e.lot, e.balance, e.amount, e.expires, origin, (None, None, None))

    def _expire(self, e: journal.Expired) -> None:
        for lot, balance, category, units, posting in e.lots:
            expires = self.derived.expires_of(lot)
            if expires > e.date:
                self._fault("lots", f"lot {lot} was booked as expired on {e.date}; it expires on {expires}")
            id_ = expiry_id(lot, expires)
            self._post(e, posting, Phase.SINGLE, balance, self._book(BREAKAGE, category), units, command=id_)
            self._take(posting, balance, units, [(lot, units)])

    def _move(self, e: journal.Booked) -> None:
        id_ = bytes.fromhex(e.id)
        for m in e.movements:
            resident = m.resident or None
            row = (m.posting, m.phase, m.debit, m.credit, m.amount, None, id_, resident, e.at)
            self.rows.postings.append(row)
            self.derived.post(Phase(m.phase), m.debit, m.credit, m.amount)
            if m.taken:
                self._take(m.posting, m.resident, m.amount, m.taken)
            for lot, units in m.back:
                if self.derived.balance_of_lot(lot) != m.resident:
                    self._fault("lot_entries", f"posting {m.posting} gave to lot {lot}, which is not of {m.resident}")
                self.derived.change_lot(lot, units)
                self.rows.lot_entries.append((m.posting, lot, units))
            for lot, like, units, expires in m.granted:
                self._grant(lot, m.resident, units, expires, [UNKNOWN] * 5, [UNKNOWN, None, None], like=like)

    def _advance(self, e: journal.Advanced) -> None:
        self._owe(e.balance, e.amount)
        recovery = self._book(RECOVERY, e.category)
        self._post(e, e.posting, Phase.SINGLE, recovery, e.balance, e.amount, resident=e.balance)
        origin = (e.granted, self._me, e.evidence, RECOVERED, None)
        self._grant(e.lot, e.balance, e.amount, NEVER, origin, (None, None, None))

    def _owe(self, balance: int, amount: int) -> None:
        self.owed[balance] = self.owed.get(balance, 0) + amount
        if self.owed[balance] < 0:
            self._fault("owed", f"balance {balance} repaid more than was advanced to it")

    def _post(
        self, e: journal.AnyEntry, no: int, phase: Phase, debit: int, credit: int, amount: int, *,
        transfer: int | None = None, command: bytes | None = None, resident: int | None = None,
    ) -> None:  # fmt: skip
        """`resident` defaults to the debited balance for what a local command did."""
        resident = debit if command is not None and resident is None else resident
        self.rows.postings.append((no, int(phase), debit, credit, amount, transfer, command, resident, e.at))
        self.derived.post(phase, debit, credit, amount)

    def _grant(
        self, no: int, balance: int, amount: int, expires: int, origin: Sequence[Any], brought: Sequence[Any],
        like: int = 0,
    ) -> None:  # fmt: skip
        """A lot; `origin`: granted, issuer, evidence, because, further; `brought`: transfer, clears_peer, clears.

        `like` names the lot whose origin it shares.
        """
        if not self.derived.grant(no, balance, amount, expires):
            self._fault("journal", f"lot {no} is granted a second time")
        granted, *rest = origin
        self.rows.lots.append((no, balance, amount, granted, expires, *rest, *brought, like))

    def _take(self, posting: int, balance: int, amount: int, lots: Sequence[tuple[int, int]]) -> None:
        if sum(units for _, units in lots) != amount:
            self._fault("lot_entries", f"posting {posting} of {amount} took another amount from the lots")
        for lot, units in lots:
            if self.derived.balance_of_lot(lot) != balance:
                self._fault("lot_entries", f"posting {posting} took from lot {lot}, which is not of balance {balance}")
            self.derived.change_lot(lot, -units)
            self.rows.lot_entries.append((posting, lot, units))
