"""The books after another process has committed: what may have changed since is read again, and nothing else.

A handful of queries by primary key: cheap enough to be made before every batch of two processes that take turns.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, func, select

from gateway.protocol.channel import Channel
from gateway.protocol.merkle import Frontier
from gateway.protocol.values import Log
from node.store import history, schema
from node.store.books import NUMBERED, Books, read_channel, read_uncleared

_MAXIMA = select(*(select(func.max(t.c.no)).scalar_subquery().label(t.name) for t in NUMBERED))


def follow(conn: Connection, books: Books, *, seals: bool) -> Books:
    """The books as the database has them now, given what they were at an earlier commit of the same lineage.

    Channels keep what is volatile of them, and stay the very same values where nothing durable has changed. `seals`:
    this process numbers messages, so it needs to know what the peers' receipts will release.
    """
    newest = conn.execute(_MAXIMA).one()
    numbers = {t.name: getattr(newest, t.name) or 0 for t in NUMBERED}
    logs = {(r.source, r.destination): r for r in conn.execute(select(schema.log))}
    numbers["log"] = max((r.no for r in logs.values()), default=0)
    journal = logs.get((books.me, 0))
    accounts, system, come_in = _system(conn, books)
    o = schema.outbox
    waiting = conn.execute(select(o.c.peer, func.count()).group_by(o.c.peer))
    after = Books(
        me=books.me,
        domain=books.domain,
        numbers=numbers,
        categories=books.categories,  # written when the region was founded
        codes=books.codes,
        system=system,
        system_accounts=accounts,
        come_in=come_in,
        logs={key: r.no for key, r in logs.items()},
        channels={},
        journal=Frontier.from_bytes(journal.size, journal.frontier) if journal else Frontier(),
        outboxes={peer: rows for peer, rows in waiting},  # noqa: C416 -- typed so
        history=history.load(conn),
        owed=history.load_owed(conn),
        epoch=books.epoch,
        uncleared=books.uncleared,
    )
    for row in conn.execute(select(schema.channel)).all():
        mine, theirs = logs[books.me, row.peer], logs[row.peer, books.me]
        before = books.channels.get(row.peer)
        if before is not None and _is_same(before, row, mine, theirs):
            after.channels[row.peer] = before
            continue
        channel = read_channel(conn, row, Log(*books.domain, books.me, row.peer), mine, theirs)
        after.channels[row.peer] = channel.with_volatile_of(before) if before is not None else channel
        if seals:
            after.uncleared[row.peer] = read_uncleared(conn, channel, mine.no)
    return after


def _system(conn: Connection, books: Books) -> tuple[dict[str, int], dict[tuple[str, int], int], dict[int, int]]:
    """The region's own accounts, their balances, and per category what has come in."""
    a, b = schema.account, schema.balance
    opened = select(a.c.no, a.c.name).where(a.c.no > books.numbers["account"], a.c.kind != 1)
    accounts = {**books.system_accounts, **{row.name: row.no for row in conn.execute(opened)}}
    names = {no: name for name, no in accounts.items()}
    columns = (b.c.no, b.c.account, b.c.category, b.c.debits_posted)
    system: dict[tuple[str, int], int] = {}
    come_in: dict[int, int] = {}
    for row in conn.execute(select(*columns).where(b.c.account.in_(names))):
        system[names[row.account], row.category] = row.no
        come_in[row.category] = come_in.get(row.category, 0) + row.debits_posted
    return accounts, system, come_in


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
