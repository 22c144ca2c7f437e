"""Postings for what is no transfer, with the lots they touch: one entry of the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from node.ledger import journal
from node.ledger.lots import Lot, add_days, is_return
from node.ledger.postings import Phase
from node.store.batch import Batch


class Booking:
    """The postings of one command or message. Nothing is in the journal before :meth:`record`."""

    def __init__(self, batch: Batch, what: str, id_: bytes, peer: int = 0) -> None:
        """`what`: the noun it is about; `id_`: of the command or the message that causes it."""
        self._batch, self._what, self._id, self._peer = batch, what, id_, peer
        self._movements: list[journal.Movement] = []

    def post(
        self, phase: Phase, debit: int, credit: int, amount: int, *, resident: int = 0,
        taken: Iterable[tuple[Lot, int]] = (), back: Iterable[tuple[Lot, int]] = (), grace_days: int = 0,
    ) -> int:  # fmt: skip
        """One posting. `resident`: the balance in whose history it stands, and whose lots these are.

        `taken` gives (lot, units) that go, together the amount; `back` those that return to the very lots, or, where a
        lot has expired meanwhile, as a lot of their own that lives for so many days of grace, once. Returns its number.
        """
        batch = self._batch
        no = batch.post(phase, debit, credit, amount, command=self._id, resident=resident or None)
        went, came = list[tuple[int, int]](), list[tuple[int, int]]()
        granted = list[tuple[int, int, int, int]]()
        for lot, units in taken:
            batch.take(no, lot, units)
            went.append((lot.no, units))
        for lot, units in back:
            if grace_days and lot.expires <= batch.today and not is_return(lot):
                until = add_days(batch.today, grace_days)
                own = batch.books.next("lot")
                batch.grant(
                    replace(
                        lot, no=own, remaining=units, expires=until, transfer=0, clears_peer=None,
                        clears=None,
                    )
                )  # fmt: skip
                granted.append((own, lot.no, units, until))
            else:
                batch.give_back(no, lot, units)
                came.append((lot.no, units))
        self._movements.append(journal.Movement(no, int(phase), debit, credit, amount, resident, went, came, granted))
        return no

    def record(self) -> None:
        """Write the entry. Nothing where nothing was posted."""
        if self._movements:
            self._batch.record(
                journal.Booked(
                    at=self._batch.now_ms, what=self._what, id=self._id.hex(), movements=self._movements,
                    peer=self._peer,
                )
            )  # fmt: skip
