"""What a replay has derived against what the tables of a region say, in bulk; and what must hold within the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from node.ledger.accounts import AccountKind
from node.ledger.derived import REACH, UNKNOWN, Rows
from node.ledger.replay import Replay
from node.services.verify.findings import Findings
from node.store import bulk, schema

ROWS_AT_ONCE = 4096
"""Rows compared in one query."""

_POSTING = tuple(c.name for c in schema.posting.columns if c.name != "before")
_LOT = tuple(c.name for c in schema.lot.columns if c.name != "remaining")
_CLAIM = tuple(c.name for c in schema.claim.columns if c.name != "state")
_ORIGIN = ("granted", "issuer", "evidence", "because", "further")


class TablesCheck:
    """Compares rows as they come, and counts them: a row that nothing derives shows in the total."""

    def __init__(self, conn: Connection, findings: Findings) -> None:
        self._conn, self._findings = conn, findings
        self._totals: dict[Table, int] = {}
        self._seen: dict[Table, bytearray] = {}

    def compare(self, rows: Rows) -> None:
        """Hold these rows against the tables."""
        self._compare("accounts", schema.account, ("no", "name", "kind", "opened_ms"), rows.accounts)
        self._compare("accounts", schema.balance, ("no", "account", "category", "resident"), rows.balances)
        self._compare("postings", schema.posting, _POSTING, rows.postings)
        self._compare("lots", schema.lot, _LOT, [row[:-1] for row in rows.lots])
        self._compare_origins([(row[0], row[-1]) for row in rows.lots if row[-1]])
        self._compare_entries(rows.lot_entries)
        self._compare("transfers", schema.transfer, tuple(c.name for c in schema.transfer.columns), rows.transfers)
        self._compare("claims", schema.claim, _CLAIM, rows.claims)

    def _compare(self, code: str, table: Table, columns: tuple[str, ...], derived: Sequence[tuple[Any, ...]]) -> None:
        self._totals[table] = self._totals.get(table, 0) + len(derived)
        self._findings.count(code, len(derived))
        for chunk in _chunks(derived):
            self._each_once(code, table, chunk)
            found = bulk.select_in(self._conn, table, columns, "no", [row[0] for row in chunk])
            stored = {row[0]: row for row in found}
            for row in chunk:
                there = stored.get(row[0])
                if there is None:
                    self._findings.fault(code, f"{table.name} {row[0]} follows and is not there")
                elif there != row:
                    self._differ(code, table, columns, there, row)

    def _each_once(self, code: str, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        seen = self._seen.setdefault(table, bytearray())
        for no, *_ in rows:
            if not 0 <= no < len(seen) + REACH:
                self._findings.fault(code, f"{table.name} {no} is not a number that was given out")
                continue
            if no >= len(seen):
                seen.extend(bytes(no + 1 - len(seen)))
            if seen[no]:
                self._findings.fault(code, f"{table.name} {no} follows twice")
            seen[no] = 1

    def _differ(
        self, code: str, table: Table, columns: tuple[str, ...], stored: Sequence[Any], derived: Sequence[Any]
    ) -> None:
        for column, there, follows in zip(columns, stored, derived, strict=True):
            if follows is not UNKNOWN and there != follows:
                what = f"{table.name} {derived[0]}, {column}"
                self._findings.fault(code, f"{what}: {_shown(there)} is stored, {_shown(follows)} follows")

    def _compare_origins(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Units that came back to an expired lot are a lot of their own, of the same origin."""
        for chunk in _chunks(pairs):
            numbers = {no for pair in chunk for no in pair}
            rows = bulk.select_in(self._conn, schema.lot, ("no", *_ORIGIN), "no", numbers)
            origins = {row[0]: tuple(row[1:]) for row in rows}
            for no, like in chunk:
                if origins.get(no) != origins.get(like):
                    self._findings.fault("lots", f"lot {no} came back from lot {like} and has another origin")

    def _compare_entries(self, derived: Sequence[tuple[int, int, int]]) -> None:
        self._totals[schema.lot_entry] = self._totals.get(schema.lot_entry, 0) + len(derived)
        self._findings.count("lot_entries", len(derived))
        for chunk in _chunks(derived):
            postings = {posting for posting, _, _ in chunk}
            stored = set(
                bulk.select_in(self._conn, schema.lot_entry, ("posting", "lot", "amount"), "posting", postings)
            )
            for row in chunk:
                if row not in stored:
                    posting, lot, units = row
                    self._findings.fault("lot_entries", f"posting {posting} moved {units} of lot {lot}; not stored so")

    def finish(self, replay: Replay) -> None:
        """Everything was derived: totals, states, counters and what remains of lots."""
        codes = {
            schema.account: "accounts",
            schema.balance: "accounts",
            schema.posting: "postings",
            schema.lot: "lots",
            schema.lot_entry: "lot_entries",
            schema.transfer: "transfers",
            schema.claim: "claims",
        }
        for table, code in codes.items():
            there = self._conn.scalar(select(func.count()).select_from(table)) or 0
            if there != self._totals.get(table, 0):
                follow = self._totals.get(table, 0)
                self._findings.fault(code, f"{table.name}: {there} rows are stored, {follow} follow")
        self._findings.count("claims")  # also that there are none
        derived = replay.derived
        self._totals_of("accounts", schema.account, ("state",), [derived.states])
        self._totals_of("lots", schema.lot, ("remaining",), [derived.remaining])
        counters = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")
        self._totals_of("counters", schema.balance, counters, derived.counters)
        self._lot_sums(replay.returning)
        self._owed(replay.owed)

    def _totals_of(self, code: str, table: Table, columns: tuple[str, ...], derived: Iterable[Any]) -> None:
        totals = list(derived)
        for no, *stored in _by_number(self._conn, table, columns):
            self._findings.count(code)
            for column, there, total in zip(columns, stored, totals, strict=True):
                follows = total[no] if no < len(total) else 0
                if there != follows:
                    self._findings.fault(code, f"{table.name} {no}, {column}: {there} is stored, {follows} follows")

    def _owed(self, derived: dict[int, int]) -> None:
        """What the region has advanced and not got back."""
        o = schema.owed
        stored = {row.balance: row.amount for row in self._conn.execute(select(o).where(o.c.amount > 0))}
        follows = {balance: amount for balance, amount in derived.items() if amount}
        self._findings.count("owed", self._conn.scalar(text(_RESIDENTS)) or 0)
        for balance in sorted(stored.keys() | follows.keys()):
            there, amount = stored.get(balance, 0), follows.get(balance, 0)
            if there != amount:
                self._findings.fault("owed", f"balance {balance}: {there} is stored, {amount} follows")

    def _lot_sums(self, returning: dict[int, int]) -> None:
        """What a resident has, provisional credits included, is in lots, but for units on their way back into them."""
        rows = self._conn.execute(text(_SUMS)).all()
        self._findings.count("lot_sums", self._conn.scalar(text(_RESIDENTS)) or 0)
        differing = {no: (has, int(lots)) for no, has, lots in rows}
        for no in differing.keys() | returning.keys():
            has, lots = differing.get(no, (0, 0))
            if has - lots != returning.get(no, 0):
                self._findings.fault("lot_sums", f"balance {no} has {has}; its lots have {lots}")


_RESIDENTS = "SELECT count(*) FROM balance WHERE resident"
_SUMS = """
SELECT b.no, b.credits_posted - b.debits_posted - b.debits_pending + b.credits_pending AS has, coalesce(l.units, 0)
FROM balance b LEFT JOIN (SELECT balance, sum(remaining) AS units FROM lot GROUP BY balance) l ON l.balance = b.no
WHERE b.resident
  AND b.credits_posted - b.debits_posted - b.debits_pending + b.credits_pending <> coalesce(l.units, 0)
"""
_NEGATIVE = {
    "balance": """
        SELECT no FROM balance WHERE debits_pending < 0 OR debits_posted < 0 OR credits_pending < 0
        OR credits_posted < 0 OR (resident AND credits_posted - debits_posted - debits_pending < 0)""",
    "lot": "SELECT no FROM lot WHERE remaining < 0 OR remaining > amount OR amount <= 0",
    "posting": "SELECT no FROM posting WHERE amount <= 0",
    "transfer": "SELECT no FROM transfer WHERE amount <= 0 OR arriving <= 0",
}
_LEGS = """
SELECT p.no FROM posting p LEFT JOIN balance d ON d.no = p.debit LEFT JOIN balance c ON c.no = p.credit
WHERE d.category IS NULL OR c.category IS NULL OR d.category <> c.category
"""
_BOOKS = """
SELECT b.category, a.kind, sum(b.credits_posted + b.credits_pending - b.debits_posted - b.debits_pending)
FROM balance b JOIN account a ON a.no = b.account GROUP BY b.category, a.kind
"""

_HOLDERS = {
    AccountKind.RESIDENT: "residents",
    AccountKind.REDEEMED: "redeemed",
    AccountKind.BREAKAGE: "breakage",
    AccountKind.CLEARING: "clearing",
    AccountKind.RECOVERY: "advanced",
    AccountKind.CLAWBACK: "clawed back",
    AccountKind.DISPUTED: "disputed",
    AccountKind.PENALTY: "deducted",
}


def check_tables(conn: Connection, findings: Findings) -> None:
    """What must hold within the tables, whatever the logs say."""
    for table, negative in _NEGATIVE.items():
        findings.count(
            "not_negative", conn.scalar(select(func.count()).select_from(schema.metadata.tables[table])) or 0
        )
        for (no,) in conn.execute(text(negative + " LIMIT 5")):
            findings.fault("not_negative", f"{table} {no}")
    findings.count("one_category", conn.scalar(select(func.count()).select_from(schema.posting)) or 0)
    for (no,) in conn.execute(text(_LEGS + " LIMIT 5")):
        findings.fault("one_category", f"posting {no}")
    _check_histories(conn, findings)
    _check_conservation(conn, findings)


def _check_histories(conn: Connection, findings: Findings) -> None:
    """The history of a balance is a chain: each posting names the one before it, and the balance names the last."""
    latest: dict[int, int] = {}
    for no, resident, before in _by_number(conn, schema.posting, ("resident", "before")):
        follows = latest.get(resident)
        if before != follows:
            findings.fault("postings", f"posting {no}, before: {before} is stored, {follows} follows")
        if resident is not None:
            latest[resident] = no
    for no, stored in _by_number(conn, schema.balance, ("latest",)):
        if stored != latest.get(no):
            findings.fault("accounts", f"balance {no}, latest: {stored} is stored, {latest.get(no)} follows")


def _check_conservation(conn: Connection, findings: Findings) -> None:
    """Per category: what the issuer has granted is with residents, redeemed, expired, or with other regions."""
    books: dict[int, dict[int, int]] = {}
    for category, kind, net in conn.execute(text(_BOOKS)):
        books.setdefault(category, {})[kind] = int(net)
    codes = {row.no: row.code for row in conn.execute(select(schema.category))}
    for category, net in sorted(books.items()):
        findings.count("conservation")
        issued = -net.pop(AccountKind.ISSUER, 0)
        said = ", ".join(f"{name} {net.get(kind, 0)}" for kind, name in _HOLDERS.items())
        line = f"{codes.get(category, category)}: issued {issued}; {said}"
        if issued != sum(net.values()):
            findings.fault("conservation", line)
        else:
            findings.note("conservation", line)


def _by_number(conn: Connection, table: Table, columns: tuple[str, ...]) -> Iterator[Sequence[Any]]:
    """Every row by number, a page at a time."""
    no, last = table.c.no, -(1 << 62)
    while page := conn.execute(
        select(no, *(table.c[column] for column in columns)).where(no > last).order_by(no).limit(ROWS_AT_ONCE)
    ).all():
        yield from page
        last = page[-1][0]


def _chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
