"""What a region's SQLite file holds, read from outside the region's process and with none of its code but the codec.

Opened read-only, in one transaction: the picture is of one committed state, whatever the region does meanwhile.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.protocol import codec
from gateway.protocol.merkle import Frontier, leaf_hashes

LogKey = tuple[int, int]
"""(source, destination) of a log."""


class Balance(NamedTuple):
    """One account in one category."""

    account: str
    resident: bool
    category: str
    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int
    lots: int  # what remains of its lots, together
    smallest_lot: int

    @property
    def worth(self) -> int:
        """All that is the account's, provisional or not, less what is held."""
        return self.credits_posted + self.credits_pending - self.debits_posted - self.debits_pending


class Transfer(NamedTuple):
    """One transfer as one of its two regions has it."""

    id: bytes
    source: int
    destination: int
    state: int
    reason: int
    key: str  # the caller's; empty where it came in
    account: str
    category: str
    amount: int
    becomes: str
    arriving: int
    rate_p: int
    rate_q: int
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """What a region keeps of the channel with a peer."""

    condition: int
    final: int  # messages of its own it knows the peer to hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """See the module."""

    region: int
    balances: list[Balance]
    transfers: list[Transfer]
    refusals: int  # orders refused before anything was held
    expired: dict[tuple[str, str], int]  # (account, category) -> units that went to breakage
    logs: dict[LogKey, list[bytes]]  # the frames, in order
    heads: dict[LogKey, tuple[int, bytes]]  # size and root that the region itself keeps
    receipts: dict[LogKey, tuple[int, bytes]]  # of its own logs: size and bytes of the newest receipt it was given
    receipt_count: int
    channels: dict[int, Channel]
    outbox: int
    journal: int
    fingerprint: str  # of all that a repetition could change


def root_of(frames: list[bytes]) -> bytes:
    """The root of a log, computed from its frames alone (RFC 9162)."""
    return Frontier().extend(leaf_hashes(frames)).root()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A region's file, read-only, as one committed state."""
    with closing(sqlite3.connect(_read_only(path), uri=True, isolation_level=None, timeout=10.0)) as connection:
        connection.execute("BEGIN")
        yield connection


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def read(region: int, path: Path) -> Books:
    """Read everything that is checked. Some hundred milliseconds for the demonstration's sizes."""
    with opened(path) as connection:
        logs, heads = _logs(connection)
        return Books(
            region=region,
            balances=_balances(connection),
            transfers=_transfers(connection, region),
            refusals=_number(connection, "SELECT count(*) FROM outcome WHERE command = 'order' AND reason <> 0"),
            expired=_expired(connection),
            logs=logs,
            heads=heads,
            receipts=_receipts(connection, region),
            receipt_count=_number(connection, "SELECT count(*) FROM receipt WHERE signed IS NOT NULL"),
            channels={
                peer: Channel(condition=condition, final=final)
                for peer, condition, final in connection.execute("SELECT peer, condition, final FROM channel")
            },
            outbox=_number(connection, "SELECT count(*) FROM outbox"),
            journal=_number(connection, "SELECT size FROM log WHERE destination = 0"),
            fingerprint=_fingerprint(connection),
        )


@contextmanager
def watched(path: Path) -> Iterator[Callable[[], int]]:
    """Tells, each time it is called, how many orders the region has taken: held or decided, and refused."""
    query = """
        SELECT (SELECT count(*) FROM transfer WHERE client_key IS NOT NULL)
               + (SELECT count(*) FROM outcome WHERE command = 'order')"""
    with closing(sqlite3.connect(_read_only(path), uri=True, isolation_level=None, timeout=10.0)) as connection:
        yield lambda: _number(connection, query)


def heads(path: Path) -> dict[LogKey, tuple[int, bytes]]:
    """Size and root of every channel log, computed from the frames."""
    with opened(path) as connection:
        frames, _ = _logs(connection)
    return {key: (len(log), root_of(log)) for key, log in frames.items()}


def undecided(path: Path, before_ms: int = 1 << 62) -> int:
    """Transfers without a decision: held at their source, or before a clerk; only those that began before a time."""
    with opened(path) as connection:
        query = "SELECT count(*) FROM transfer WHERE state IN (1, 11, 12) AND at_ms <= ?"
        number: int = connection.execute(query, (before_ms,)).fetchone()[0]
        return number


def _number(connection: sqlite3.Connection, query: str) -> int:
    number: int = connection.execute(query).fetchone()[0]
    return number


def _balances(connection: sqlite3.Connection) -> list[Balance]:
    query = """
        SELECT a.name, a.kind = 1, c.code, b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted,
               coalesce(sum(l.remaining), 0), coalesce(min(l.remaining), 0)
        FROM balance b JOIN account a ON a.no = b.account JOIN category c ON c.no = b.category
        LEFT JOIN lot l ON l.balance = b.no GROUP BY b.no"""
    return [Balance(row[0], bool(row[1]), *row[2:]) for row in connection.execute(query)]


def _transfers(connection: sqlite3.Connection, region: int) -> list[Transfer]:
    query = """
        SELECT t.id, t.source, t.destination, t.state, t.reason, coalesce(t.client_key, ''), coalesce(a.name, ''),
               t.category, t.amount, t.becomes, t.arriving, t.rate_p, t.rate_q, t.at_ms
        FROM transfer t LEFT JOIN balance b ON b.no = t.balance LEFT JOIN account a ON a.no = b.account
        WHERE ? IN (t.source, t.destination)"""
    return [Transfer(*row) for row in connection.execute(query, (region,))]


def _expired(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    query = """
        SELECT a.name, c.code, sum(p.amount)
        FROM posting p JOIN balance d ON d.no = p.debit JOIN account a ON a.no = d.account
        JOIN balance k ON k.no = p.credit JOIN account b ON b.no = k.account JOIN category c ON c.no = d.category
        WHERE b.kind = 5 AND p.phase = 1 GROUP BY a.name, c.code"""
    return {(name, code): units for name, code, units in connection.execute(query)}


def _logs(connection: sqlite3.Connection) -> tuple[dict[LogKey, list[bytes]], dict[LogKey, tuple[int, bytes]]]:
    logs, heads = {}, {}
    query = "SELECT no, source, destination, size, frontier FROM log WHERE destination <> 0"
    for no, source, destination, size, frontier in connection.execute(query).fetchall():
        frames: list[bytes] = []
        for (packed,) in connection.execute("SELECT frames FROM segment WHERE log = ? ORDER BY first", (no,)):
            frames += codec.unpack_frames(packed)
        logs[source, destination] = frames
        heads[source, destination] = (size, Frontier.from_bytes(size, frontier).root())
    return logs, heads


def _receipts(connection: sqlite3.Connection, region: int) -> dict[LogKey, tuple[int, bytes]]:
    query = """
        SELECT g.source, g.destination, r.size, r.signed FROM receipt r JOIN log g ON g.no = r.log
        WHERE r.signed IS NOT NULL AND g.source = ? ORDER BY r.size"""
    return {(s, d): (size, signed) for s, d, size, signed in connection.execute(query, (region,))}


_CHANGEABLE = {
    "account": "no, name, state",
    "balance": "no, debits_pending, debits_posted, credits_pending, credits_posted",
    "posting": "*",
    "lot": "no, remaining, clears",
    "lot_entry": "*",
    "transfer": "no, id, state, reason, hold, offered, answered, decided_ms",
    "outcome": "*",
    "event": "*",
    "address": "alias, account",
    "log": "no, size, frontier",
    "segment": "log, first, size, root",
    "outbox": "*",
    "request": "id, peer, mine, state",
    "agreement": "request, proposer, digest, state",
    "authorisation": "id, counter, state, captured",
    "clawback": "id, peer, mine, recovered, further, owed, state",
    "claim": "*",
    "attestation": "id, peer, mine, state",
}


def _fingerprint(connection: sqlite3.Connection) -> str:
    """Of every table that holds points, promises or messages."""
    digest = hashlib.sha256()
    for table, columns in _CHANGEABLE.items():
        digest.update(table.encode())
        for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2"):  # noqa: S608 -- constants
            digest.update(repr(row).encode())
    return digest.hexdigest()
