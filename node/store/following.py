"""The books after another process has committed: what may have changed since is read again, and nothing else.

A handful of queries by primary key, sent together: cheap enough to be made before every batch of processes that take
turns. PostgreSQL only.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection

from gateway.protocol.channel import Channel
from gateway.protocol.merkle import Frontier
from gateway.protocol.values import Log
from node.store import history
from node.store.books import NUMBERED, Books, read_channel, read_uncleared
from node.store.engine import driver_connection
from node.store.usages import Pair

_MAXIMA = "SELECT " + ", ".join(f"(SELECT max(no) FROM {t.name}) AS {t.name}" for t in NUMBERED)  # noqa: S608
# The region's own accounts: those known, and those opened since.
_SYSTEM = """
SELECT a.no AS account, a.name, b.no, b.category, b.debits_posted FROM account a LEFT JOIN balance b ON b.account = a.no
WHERE a.no = ANY(%s) OR (a.no > %s AND a.kind <> 1)
"""
_OWED = "SELECT o.balance, b.category, o.amount FROM owed o JOIN balance b ON b.no = o.balance WHERE o.amount > 0"
_WAITING = "SELECT peer, count(*) AS messages FROM outbox GROUP BY peer"


def follow(conn: Connection, books: Books, *, seals: bool) -> Books:
    """The books as the database has them now, given what they were at an earlier commit of the same lineage.

    Channels keep what is volatile of them, and stay the very same values where nothing durable has changed. `seals`:
    this process numbers messages, so it needs to know what the peers' receipts will release.
    """
    known = list(books.system_accounts.values())
    (newest,), log_rows, system_rows, channel_rows, waiting, (row,), risks, merged, owed, pairs = _ask(
        conn,
        (_MAXIMA, None),
        ("SELECT * FROM log", None),
        (_SYSTEM, (known, books.numbers["account"])),
        ("SELECT * FROM channel", None),
        (_WAITING, None),
        ("SELECT * FROM history", None),
        ("SELECT * FROM risk", None),
        ("SELECT peer FROM merged", None),
        (_OWED, None),
        ("SELECT * FROM pair_usage", None),
    )
    logs = {(r.source, r.destination): r for r in log_rows}
    numbers = {t.name: getattr(newest, t.name) or 0 for t in NUMBERED}
    numbers["log"] = max((r.no for r in log_rows), default=0)
    journal = logs.get((books.me, 0))
    come_in: dict[int, int] = {}
    balances = [r for r in system_rows if r.no is not None]
    for r in balances:
        come_in[r.category] = come_in.get(r.category, 0) + r.debits_posted
    after = Books(
        me=books.me,
        domain=books.domain,
        numbers=numbers,
        categories=books.categories,  # written when the region was founded
        codes=books.codes,
        system={(r.name, r.category): r.no for r in balances},
        system_accounts={r.name: r.account for r in system_rows},
        come_in=come_in,
        logs={key: r.no for key, r in logs.items()},
        channels={},
        journal=Frontier.from_bytes(journal.size, journal.frontier) if journal else Frontier(),
        outboxes={r.peer: r.messages for r in waiting},
        history=history.assemble(row, risks, (r.peer for r in merged), sum(r.amount for r in owed)),
        owed={r.balance: (r.category, r.amount) for r in owed},
        epoch=books.epoch,
        uncleared=books.uncleared,
        pairs={(r.peer, r.incoming, r.category): Pair(r.day, r.in_day, r.in_month, r.net, True) for r in pairs},
    )
    for r in channel_rows:
        mine, theirs = logs[books.me, r.peer], logs[r.peer, books.me]
        before = books.channels.get(r.peer)
        if before is not None and _is_same(before, r, mine, theirs):
            after.channels[r.peer] = before
            continue
        channel = read_channel(conn, r, Log(*books.domain, books.me, r.peer), mine, theirs)
        after.channels[r.peer] = channel.with_volatile_of(before) if before is not None else channel
        if seals:
            after.uncleared[r.peer] = read_uncleared(conn, channel, mine.no)
    return after


def _ask(conn: Connection, *questions: tuple[str, Any]) -> list[list[Any]]:
    """The rows that answer each of the queries, in one round trip where the library can."""
    driver = driver_connection(conn)
    with driver.pipeline() if psycopg.Pipeline.is_supported() else nullcontext():
        cursors = [driver.cursor(row_factory=namedtuple_row).execute(*question) for question in questions]
    return [cursor.fetchall() for cursor in cursors]


def _is_same(c: Channel, row, mine, theirs) -> bool:  # type: ignore[no-untyped-def]
    """Whether a channel's rows still say what was durable of it."""
    return bool(
        (int(c.condition), c.epoch.number, c.final, c.receipted, c.in_epoch, c.in_seen, c.peer_epoch.number)
        == (row.condition, row.epoch, row.final, row.receipted, row.in_epoch, row.in_seen, row.peer_epoch)
        and c.epoch.nonce.to_bytes(8, "big") == row.epoch_nonce
        and c.peer_epoch.nonce.to_bytes(8, "big") == row.peer_nonce
        and (c.size, c.held) == (mine.size, theirs.size)
        and c.out_frontier.to_bytes() == mine.frontier
        and c.in_frontier.to_bytes() == theirs.frontier
    )


def at_rest(channel: Channel) -> Channel:
    """A channel of a process that does not seal: nothing of it is under way, and sending begins again when it does."""
    fresh = Channel(out=channel.out)
    return replace(channel.with_volatile_of(fresh), rewinds=channel.rewinds + 1)
