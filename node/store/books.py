"""What the single writer keeps in memory between batches: next numbers, categories, system balances, channels, logs.

All of it follows from the database; after a failed transaction it is loaded anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from gateway.protocol import codec
from gateway.protocol.channel import Channel, Condition
from gateway.protocol.limits import AMOUNT_MAX
from gateway.protocol.merkle import Frontier
from gateway.protocol.transfer import State
from gateway.protocol.values import Epoch, Kind, Log, Purpose, Receipt
from node.store import history, schema
from node.store.history import History
from node.store.usages import Pair, PairKey, load_pairs

NUMBERED = (
    schema.account, schema.balance, schema.posting, schema.lot, schema.transfer, schema.event, schema.outbox,
    schema.evidence, schema.act, schema.claim,
)  # fmt: skip
"""Tables with dense numbers that the writer gives out."""


@dataclass(slots=True)
class Uncleared:
    """A provisional credit: my answer `number` credits `amount` to `balance` once the peer holds it."""

    number: int
    balance: int
    amount: int
    returning: list[tuple[int, int]]  # a reversal: (lot, units) that go back into the lots they once left


@dataclass(slots=True)
class Books:
    """See the module. Changed in place by the batch under way; thrown away when it fails."""

    me: int
    domain: tuple[bytes, str]  # federation and environment
    numbers: dict[str, int]  # table -> last number given out
    categories: dict[str, int]
    codes: dict[int, str]
    system: dict[tuple[str, int], int]  # (system account, category number) -> balance
    system_accounts: dict[str, int]
    come_in: dict[int, int]  # category number -> all that was ever granted here or arrived
    logs: dict[tuple[int, int], int]  # (source, destination) -> number in the table of logs
    channels: dict[int, Channel]
    journal: Frontier
    outboxes: dict[int, int]  # peer -> rows waiting
    history: History
    owed: dict[int, tuple[int, int]]  # resident's balance -> category, and what the region has advanced
    epoch: int = 0  # the highest epoch number ever proposed to anybody, as the witness has it
    uncleared: dict[int, deque[Uncleared]] = field(default_factory=dict)
    pairs: dict[PairKey, Pair] = field(default_factory=dict)

    def next(self, table: str) -> int:
        """The next dense number of a table."""
        number = self.numbers[table] + 1
        self.numbers[table] = number
        return number

    def has_room(self, category: int, amount: int) -> bool:
        """Whether so much more may be granted or arrive. No counter can then outgrow 2^63-1: all the others of a
        category count what has come in first."""
        return self.come_in.get(category, 0) + amount <= AMOUNT_MAX

    def take_in(self, category: int, amount: int) -> None:
        """So much was granted or has arrived."""
        self.come_in[category] = self.come_in.get(category, 0) + amount

    def final(self) -> dict[int, int]:
        """Per peer, the prefix of my log it is known to hold."""
        return {peer: channel.final for peer, channel in self.channels.items()}


def load(conn: Connection, me: int, federation: bytes, environment: str) -> Books:
    """Read the books. Costs a few queries by primary key per channel, whatever the size of the ledger."""
    numbers = {t.name: conn.scalar(select(func.max(t.c.no))) or 0 for t in NUMBERED}
    logs = {(r.source, r.destination): r for r in conn.execute(select(schema.log))}
    journal = logs.get((me, 0))
    numbers["log"] = max((r.no for r in logs.values()), default=0)
    codes = {r.no: r.code for r in conn.execute(select(schema.category))}
    a, b = schema.account, schema.balance
    system_rows = conn.execute(select(a.c.no, a.c.name).where(a.c.kind != 1)).all()
    accounts = {r.name: r.no for r in system_rows}
    names = {r.no: r.name for r in system_rows}
    columns = (b.c.no, b.c.account, b.c.category, b.c.debits_posted)
    balances = conn.execute(select(*columns).where(b.c.account.in_(names))).all()
    system = {(names[r.account], r.category): r.no for r in balances}
    come_in: dict[int, int] = {}
    for r in balances:
        come_in[r.category] = come_in.get(r.category, 0) + r.debits_posted
    channels = {}
    for row in conn.execute(select(schema.channel)):
        out = Log(federation, environment, me, row.peer)
        channels[row.peer] = read_channel(conn, row, out, logs[me, row.peer], logs[row.peer, me])
    o = schema.outbox
    waiting = conn.execute(select(o.c.peer, func.count()).group_by(o.c.peer))
    books = Books(
        me=me,
        domain=(federation, environment),
        numbers=numbers,
        categories={code: no for no, code in codes.items()},
        codes=codes,
        system=system,
        system_accounts=accounts,
        come_in=come_in,
        logs={key: r.no for key, r in logs.items()},
        channels=channels,
        journal=Frontier.from_bytes(journal.size, journal.frontier) if journal else Frontier(),
        outboxes={peer: rows for peer, rows in waiting},  # noqa: C416 -- typed so
        history=history.load(conn),
        owed=history.load_owed(conn),
        pairs=load_pairs(conn),
    )
    for peer, channel in channels.items():
        books.uncleared[peer] = read_uncleared(conn, channel, logs[me, peer].no)
    return books


def read_channel(conn: Connection, row, out: Log, mine, theirs) -> Channel:  # type: ignore[no-untyped-def]
    """What is durable of a channel, of its row and those of its two logs."""
    r = schema.receipt
    latest = conn.execute(
        select(r).where(r.c.log == theirs.no, r.c.signed.is_(None)).order_by(r.c.size.desc(), r.c.epoch.desc()).limit(1)
    ).first()
    receipt = (
        None
        if latest is None
        else Receipt(
            log=out.opposite(),
            epoch=Epoch(latest.epoch, int.from_bytes(latest.nonce, "big")),
            size=latest.size,
            root=latest.root,
            received_at_ms=latest.received_ms,
        )
    )
    return Channel(
        out=out,
        condition=Condition(row.condition),
        epoch=Epoch(row.epoch, int.from_bytes(row.epoch_nonce, "big")),
        out_frontier=Frontier.from_bytes(mine.size, mine.frontier),
        final=row.final,
        in_frontier=Frontier.from_bytes(theirs.size, theirs.frontier),
        in_epoch=row.in_epoch,
        in_seen=row.in_seen,
        peer_epoch=Epoch(row.peer_epoch, int.from_bytes(row.peer_nonce, "big")),
        receipt=receipt,
        receipted=row.receipted,
    )


def read_uncleared(conn: Connection, channel: Channel, log: int) -> deque[Uncleared]:
    """Accepts from `final` on, found in my own log: few, since only what is under way is not final."""
    s, t = schema.segment, schema.transfer
    waiting: deque[Uncleared] = deque()
    segments = conn.execute(
        select(s.c.first, s.c.frames).where(s.c.log == log, s.c.size > channel.final).order_by(s.c.first)
    )
    for first, packed in segments:
        ids = {
            frame.id: first + i
            for i, frame in enumerate(map(codec.decode_frame, codec.unpack_frames(packed)))
            if frame.kind == Kind.ACCEPT and first + i >= channel.final
        }
        rows = conn.execute(
            select(t.c.id, t.c.balance, t.c.arriving, t.c.hold, t.c.purpose).where(
                t.c.id.in_(ids), t.c.source == channel.peer, t.c.state == State.ACCEPTED
            )
        )
        found = [Uncleared(ids[r.id], r.balance, r.arriving, _returning(conn, r.hold, r.purpose)) for r in rows]
        waiting.extend(sorted(found, key=lambda u: u.number))
    return waiting


def _returning(conn: Connection, posting: int, purpose: int) -> list[tuple[int, int]]:
    if purpose != Purpose.REVERSAL:
        return []
    e = schema.lot_entry
    return [(r.lot, r.amount) for r in conn.execute(select(e.c.lot, e.c.amount).where(e.c.posting == posting))]
