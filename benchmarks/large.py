"""A region with a million accounts and five million messages, built straight into its tables; and its peer.

What a start could be tempted to read is there: accounts, balances, lots, the postings of their awards, half as many
transfers and events as messages, both logs with bodies, subtrees and receipts. The journal is not: no `verify` here.
The peer has the ends of the logs only. Building takes a while, so the pair is kept for later runs.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import func, select

from benchmarks import regions
from benchmarks.long_log import EPOCH, hurry, nobody, write
from benchmarks.regions import Pair, Site
from gateway.protocol.channel import Condition
from gateway.protocol.merkle import Frontier
from gateway.protocol.transfer import NEVER, State
from node.ledger.accounts import AccountKind, AccountState
from node.ledger.postings import Phase
from node.services.transfer import EventKind
from node.store import bulk, schema
from node.store.create import create
from node.store.engine import Store, driver_connection, open_store

ACCOUNTS = 1_000_000
MESSAGES = 5_000_000
"""In both logs together."""
_RESIDENTS = 100
"""Made in the ordinary way; they can still move points."""
_NONCE = bytes(8)
_AT_MS = 1_790_000_000_000
_FORM = 1
"""Changes when what is built here changes."""


def large(directory: Path, told: Callable[[int], None] = nobody) -> Pair:
    """The pair as it was kept below `directory`, or a new one. `told` hears how many messages are written."""
    folder = directory / f"hutong-large-{_form()}"
    kept = folder / "pair.json"
    if kept.exists():
        pair = _read(kept)
        if all(_is_free(port) for site in pair.sites for port in (site.grpc_port, site.http_port)):
            return pair
    for stale in directory.glob("hutong-large-*"):
        shutil.rmtree(stale)
    pair = regions.build(folder, residents=_RESIDENTS)
    with closing(open_store(pair.source.database)) as store:
        hurry(store)
        _fill_ledger(store)
        out, into = _open_channel(store, pair.source, pair.destination)
        end = write(store, out, MESSAGES // 2, told=told)
        write(store, into, MESSAGES // 2, told=lambda written: told(MESSAGES // 2 + written))
        _settle(store, pair.destination, end)
    with closing(open_store(pair.destination.database)) as store:
        hurry(store)
        for log in _open_channel(store, pair.destination, pair.source):
            write(store, log, MESSAGES // 2, whole=False)
        _settle(store, pair.source, end)
    kept.write_text(json.dumps(asdict(pair), default=str), encoding="utf-8")
    return pair


def _form() -> str:
    """Names what is built, tables included: another form is not taken for this one."""
    with closing(open_store("sqlite://")) as store:
        create(store)
        with store.read() as conn:
            tables = driver_connection(conn).execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    return hashlib.sha256(repr((_FORM, ACCOUNTS, MESSAGES, tables)).encode()).hexdigest()[:12]


def _read(path: Path) -> Pair:
    kept = json.loads(path.read_text(encoding="utf-8"))
    sites = [Site(**{**kept[side], "directory": Path(kept[side]["directory"])}) for side in ("source", "destination")]
    return Pair(source=sites[0], destination=sites[1], token=kept["token"], addresses=tuple(kept["addresses"]))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _open_channel(store: Store, site: Site, peer: Site) -> tuple[int, int]:
    """The two logs between the sites, empty, and their channel; the numbers of the logs, outgoing first."""
    with store.write() as conn:
        out = 1 + (conn.scalar(select(func.max(schema.log.c.no))) or 0)
        into = out + 1
        logs = [(out, site.code, peer.code, 1, 0, b""), (into, peer.code, site.code, 1, 0, b"")]
        bulk.insert(conn, schema.log, logs)
        half = MESSAGES // 2
        row = (peer.code, out, into, int(Condition.OPEN), EPOCH, _NONCE, half, half, EPOCH, 0, EPOCH, _NONCE)
        bulk.insert(conn, schema.channel, [row])
    return out, into


def _settle(store: Store, peer: Site, end: Frontier) -> None:
    """Everything is receipted: a receipt for every segment of both logs."""
    with store.write() as conn:
        driver = driver_connection(conn)
        for direction, signed in (("out_log", bytes(200)), ("in_log", None)):
            (log,) = driver.execute(f"SELECT {direction} FROM channel WHERE peer = ?", (peer.code,)).fetchone()
            driver.execute(
                "INSERT INTO receipt (log, size, epoch, nonce, root, received_ms, signed) "
                "SELECT log, size, epoch, ?, root, ?, ? FROM segment WHERE log = ?",
                (_NONCE, _AT_MS, signed, log),
            )
            (size,) = driver.execute("SELECT max(size) FROM receipt WHERE log = ?", (log,)).fetchone()
            assert size == end.size


_COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "

_LEDGER = (
    f"INSERT INTO account (no, name, kind, state, opened_ms) {_COUNT.format(rows=ACCOUNTS)} "
    f"SELECT :account + i, printf('citizen-%07d', i), {AccountKind.RESIDENT:d}, {AccountState.OPEN:d}, {_AT_MS} FROM n",
    "INSERT INTO balance (no, account, category, resident, debits_pending, debits_posted, credits_pending, "
    f"credits_posted) {_COUNT.format(rows=ACCOUNTS)} SELECT :balance + i, :account + i, 1, 1, 0, 0, 0, 1000 FROM n",
    f"UPDATE balance SET debits_posted = debits_posted + {ACCOUNTS * 1000} WHERE no = :issuer",
    f"INSERT INTO posting (no, phase, debit, credit, amount, command, resident, at_ms) {_COUNT.format(rows=ACCOUNTS)} "
    f"SELECT :posting + i, {Phase.SINGLE:d}, :issuer, :balance + i, 1000, zeroblob(16), :balance + i, {_AT_MS} FROM n",
    "INSERT INTO lot (no, balance, amount, remaining, granted, expires, issuer, evidence, because) "
    f"{_COUNT.format(rows=ACCOUNTS)} SELECT :lot + i, :balance + i, 1000, 1000, 20260101, {NEVER}, "
    f"{regions.SOURCE}, 1, '' FROM n",
    "INSERT INTO transfer (no, id, source, destination, state, reason, digest, client_key, balance, category, amount, "
    "becomes, arriving, rate_p, rate_q, purpose, offered, answered, address, at_ms, decided_ms) "
    f"{_COUNT.format(rows=MESSAGES // 2)} SELECT i, CAST(printf('%016d', i) AS BLOB), {regions.SOURCE}, "
    f"{regions.DESTINATION}, {State.POSTED:d}, 0, zeroblob(16), printf('%036d', i), :balance + 1 + i % {ACCOUNTS}, "
    f"'moral', 1, 'moral', 1, 1, 1, 1, i - 1, i - 1, zeroblob(10), {_AT_MS}, {_AT_MS} FROM n",
    f"INSERT INTO event (no, kind, transfer, at_ms) {_COUNT.format(rows=MESSAGES // 2)} "
    f"SELECT i, {EventKind.POSTED:d}, i, {_AT_MS} FROM n",
)
"""Rows of many accounts and past transfers. `:account`, `:balance` and so on: the numbers given out before."""


def _fill_ledger(store: Store) -> None:
    with store.write() as conn:
        driver = driver_connection(conn)
        issuer = "SELECT b.no FROM balance b JOIN account a ON a.no = b.account WHERE a.name = '#issuer'"
        names = {"issuer": driver.execute(issuer).fetchone()[0]}
        for table in ("account", "balance", "posting", "lot"):
            (names[table],) = driver.execute(f"SELECT max(no) FROM {table}").fetchone()
        for statement in _LEDGER:
            driver.execute(statement, names)
