"""Purchases away from home: where the logs of the channels leave each, against what its table says."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from node.ledger.roamed import Roamed, Row
from node.services.verify.findings import Findings
from node.store import bulk, schema

CODE = "authorisations"
_ROWS_AT_ONCE = 4096


class AuthorisationsCheck:
    """Compares rows as they come, and counts them: one that nothing derives shows in the total."""

    def __init__(self, conn: Connection, findings: Findings) -> None:
        self._conn, self._findings, self._total = conn, findings, 0

    def take(self, roamed: Roamed) -> None:
        """Hold what is over against the table, and forget it."""
        rows, roamed.over = roamed.over, []
        self._total += len(rows)
        if not roamed.blind:
            self._compare(rows)

    def finish(self, roamed: Roamed, gone: frozenset[int]) -> None:
        """Everything was derived."""
        self.take(roamed)
        open_ = roamed.open()
        self._total += len(open_)
        if roamed.blind:
            self._findings.note(CODE, "not compared: a body that says which purchase it is about was erased")
        else:
            # How one ended with a region that will not answer again is in no log.
            self._compare([row for row in open_ if not gone & {row.holder, row.counter}])
        there = self._conn.scalar(select(func.count()).select_from(schema.authorisation)) or 0
        if there != self._total:
            self._findings.fault(CODE, f"authorisation: {there} rows are stored, {self._total} follow")
        self._findings.count(CODE)  # also that there are none

    def _compare(self, rows: Sequence[Row]) -> None:
        self._findings.count(CODE, len(rows))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            chunk = rows[start : start + _ROWS_AT_ONCE]
            found = bulk.select_in(self._conn, schema.authorisation, Row._fields, "id", {row.id for row in chunk})
            stored = {(bytes(row[0]), row[1]): tuple(row) for row in found}
            for row in chunk:
                self._hold_against(row, stored.get((row.id, row.counter)))

    def _hold_against(self, row: Row, there: tuple[object, ...] | None) -> None:
        if there is None:
            self._findings.fault(CODE, f"authorisation {row.id.hex()} follows and is not there")
            return
        for name, follows, stored in zip(Row._fields[2:], row[2:], there[2:], strict=True):
            if follows != stored:
                what = f"authorisation {row.id.hex()}, {name}"
                self._findings.fault(CODE, f"{what}: {stored!r} is stored, {follows!r} follows")
