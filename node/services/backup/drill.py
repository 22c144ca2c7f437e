"""A drill: a copy of the region's database recovers from what peers give back, while the region itself goes on.

The copy runs the very code of a real recovery. It says nothing to anybody: no epoch is proposed and none fenced. What
a peer says it holds takes the place of its Fenced, and the running node asks for the pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.protocol import codec, merkle
from gateway.protocol.channel import Condition, root_at
from gateway.protocol.values import NO_EPOCH, Fenced, Page, Pull
from node.ledger import journal
from node.services import founding
from node.services.exchange import Exchange
from node.services.handshake import Begin, Hear
from node.services.office import Office
from node.services.writer import Writer
from node.store import books as bookkeeping
from node.store import logs, schema
from node.store.engine import Store

LOCAL = ("award", "spend", "expire", "open")
"""What a journal says that no peer knows of: points granted, redeemed and expired here, accounts opened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """How far a channel has come in one database, in messages."""

    said: int = 0  # numbered, by this region
    receipted: int = 0  # of these, acknowledged by the peer
    root: bytes = merkle.EMPTY_ROOT  # of my log at `receipted`, or where it was asked for
    heard: int = 0  # of the peer's
    waiting: int = 0  # without a number yet


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What a drill compares, of the copy or of the running region, at one moment."""

    channels: Mapping[int, Extent]
    journal: int  # entries
    transfers: int
    addresses: int
    advanced: Mapping[str, int]  # category -> what the region is owed


class Copy:
    """A restored copy at work. Nobody else has it open."""

    def __init__(self, store: Store, live: Store, office: Office) -> None:
        """`office.roster` is the one in force; the copy learns the rosters since it was taken, as it would from any
        peer. Raises BadInput for a copy that must not be used."""
        self._office, self._store = office, store
        with live.read() as conn:
            r = schema.roster
            newest = [codec.decode_signed(signed) for signed in conn.scalars(select(r.c.signed).order_by(r.c.version))]
        with store.write() as conn:
            office.roster = founding.trust(conn, founding.unknown(conn, newest))
        self._writer = Writer(store, office)
        self._exchange = Exchange(office, store)

    def begin(self, peer: int, size: int, root: bytes) -> Pull | None:
        """The peer holds so much of this region's log. What to ask it for; None where nothing is missing."""
        self._writer.commit([Begin(peer=peer)])
        channel = self._writer.channels[peer]
        supposed = Fenced(
            log=channel.out.opposite(),
            echo=channel.proposal,
            holds_size=size,
            holds_root=root,
            holds_epoch=0,
            epoch=NO_EPOCH,
            size=0,
            root=merkle.EMPTY_ROOT,
            ready=False,
            credit_size=size,
            common_root=merkle.EMPTY_ROOT,
        )
        return self._then(self._writer.commit([Hear(peer=peer, message=supposed)]))

    def take_in(self, peer: int, page: Page) -> Pull | None:
        """What to ask for next; None at the end. Raises PeerFault for a page that breaks a rule."""
        return self._then(self._writer.commit([self._exchange.command(peer, page)]))

    def again(self, peer: int) -> Pull | None:
        """What to ask for where a page did not come, or not the one that was wanted."""
        return self._then(self._writer.commit([Begin(peer=peer)]))

    def _then(self, answers: list[object]) -> Pull | None:
        (answer,) = answers
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, tuple)
        return next((said for said in answer if isinstance(said, Pull)), None)

    def said(self, peer: int) -> int:
        """How far this region's log to the peer has come."""
        channel = self._writer.channels.get(peer)
        return channel.size if channel is not None else 0

    def is_whole(self, peer: int) -> bool:
        """Whether all that the peer holds is here again."""
        return self._writer.channels[peer].ready

    def condition(self, peer: int) -> Condition:
        """How the channel stands."""
        return self._writer.channels[peer].condition

    def end(self) -> None:
        """Let go of the database."""
        self._store.close()


def examine(store: Store, office: Office, at: Mapping[int, int] | None = None) -> State:
    """How a database stands. `at`: where to take the root of each log to a peer, instead of what is receipted."""
    with store.read() as conn:
        found = bookkeeping.load(conn, office.me, office.roster.federation, office.roster.environment)
        channels = {}
        for peer, channel in found.channels.items():
            size = channel.receipted if at is None else min(at.get(peer, 0), channel.size)
            nodes = logs.StoredNodes(conn, found.logs[office.me, peer])
            channels[peer] = Extent(
                said=channel.size,
                receipted=channel.receipted,
                root=root_at(channel.out_frontier, nodes, size),
                heard=channel.held,
                waiting=found.outboxes.get(peer, 0),
            )
        advanced: Counter[str] = Counter()
        for category, amount in found.owed.values():
            advanced[found.codes[category]] += amount
        return State(
            channels=channels,
            journal=found.journal.size,
            transfers=found.numbers["transfer"],
            addresses=_count(conn, schema.address.c.alias),
            advanced=dict(advanced),
        )


def _count(conn: Connection, column: object) -> int:
    return conn.scalar(select(func.count(column))) or 0  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class LocalOnly:
    """Entries of one kind, and the points in them."""

    entries: int
    amount: int


def local_only(live: Store, me: int, first: int) -> dict[str, LocalOnly]:
    """What the journal has from entry `first` on that no peer can give back, by kind."""
    entries, amounts = Counter[str](), Counter[str]()
    with live.read() as conn:
        log = logs.number_of(conn, me, 0, 1)
        at = first
        while run := list(logs.segments(conn, log, at, 4096)):
            for segment in run:
                for number, raw in enumerate(codec.unpack_frames(segment.frames), segment.first):
                    if number >= first:
                        _add(journal.decode(raw), entries, amounts)
            at = max(at + 1, run[-1].size)
    return {kind: LocalOnly(entries[kind], amounts[kind]) for kind in LOCAL if entries[kind]}


def _add(entry: journal.AnyEntry, entries: Counter[str], amounts: Counter[str]) -> None:
    match entry:
        case journal.Awarded():
            entries["award"] += 1
            amounts["award"] += entry.amount
        case journal.Spent():
            entries["spend"] += 1
            amounts["spend"] += entry.amount
        case journal.Expired():
            entries["expire"] += 1
            amounts["expire"] += sum(units for _, _, _, units, _ in entry.lots)
        case journal.Opened() if not entry.name.startswith("#"):
            entries["open"] += 1


# -- the verdict ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a restore would have meant for one channel, in messages."""

    peer: int
    fault: str = ""  # why it could not be drilled, or not to the end
    lost: int = 0  # said since the backup, and so not in it
    given_back: int = 0
    unsent: int = 0  # said, or waiting to be: the peer has not got it, so the regional system repeats the command
    lost_heard: int = 0  # of the peer's, received since the backup
    came_along: int = 0  # of these, given back because this region had answered them
    sent_again: int = 0  # of these, not answered yet: the peer sends them again by itself
    acknowledged: int = 0  # of `lost`, receipted by the peer
    lost_for_good: int = 0  # acknowledged, and not given back


def compare(peer: int, before: Extent, live: Extent, after: Extent, holds: int | None, fault: str) -> Verdict:
    """`before` and `after` are the copy's, with `after.root` taken at `live.receipted`; `holds`: what the peer has of
    this region's log, None where it did not say."""
    whole = after.said >= live.receipted and after.root == live.root
    acknowledged = max(0, live.receipted - before.said)
    missing = live.receipted - after.said
    if whole:
        missing = 0
    elif missing <= 0:
        missing = max(acknowledged, 1)  # what came back is not what was said
    return Verdict(
        peer=peer,
        fault=fault,
        lost=max(0, live.said - before.said),
        given_back=max(0, after.said - before.said),
        unsent=max(0, live.said - (holds if holds is not None else live.receipted)) + live.waiting,
        lost_heard=max(0, live.heard - before.heard),
        came_along=max(0, after.heard - before.heard),
        sent_again=max(0, live.heard - after.heard),
        acknowledged=acknowledged,
        lost_for_good=missing,
    )
