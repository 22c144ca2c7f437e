"""Figures for Prometheus, in a registry of the node's own.

What commits and requests count is counted as it happens. What the database knows (transfers, backlogs) is read when
somebody scrapes, and then only what is new since the last time.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Counter_
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import Connection

from gateway.protocol.dispute import OPEN
from node.errors import Unavailable
from node.services.recovery.history import outstanding
from node.services.transfer import EventKind
from node.store import disputes, events, positions
from node.store.claims import Total, totals
from node.store.positions import ChannelState
from node.web.ports import NodeLike
from node.web.words import CAUSES, CLAIM_STATES, CONDITIONS

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_ALL = 1 << 62  # above every number
_COMMANDS = (1, 4, 16, 64, 256, 1024, 4096)


_ENTERED = {
    EventKind.POSTED: "posted",
    EventKind.VOIDED: "voided",
    EventKind.ARRIVED: "in_review",
    EventKind.ACCEPTED: "accepted",
    EventKind.REFUSED: "refused",
}


class Scraped(NamedTuple):
    """What one scrape read from the database."""

    last_event: int
    kinds: dict[int, int]  # events since the last scrape, by kind
    last_transfer: int
    placed: int  # outgoing transfers since the last scrape
    channels: list[ChannelState]
    claims: list[Total]
    disputes: Mapping[tuple[int, bool], int]  # (peer, whether it is late) -> open disputes


class Metrics:
    """See the module."""

    def __init__(self, node: NodeLike) -> None:
        self._node = node
        self.registry = registry = CollectorRegistry(auto_describe=True)
        self._scraping = asyncio.Lock()
        self._last_event: int | None = None
        self._last_transfer: int | None = None
        self._transfers = Counter("hutong_transfers", "Transfers that entered a state", ["state"], registry=registry)
        self._commit = Histogram(
            "hutong_commit_seconds", "Time to decide and commit one batch", buckets=_SECONDS, registry=registry
        )
        self._batch = Histogram("hutong_batch_commands", "Commands in one batch", buckets=_COMMANDS, registry=registry)
        self._in_flight = Gauge("hutong_commands_in_flight", "Commands callers wait for", registry=registry)
        self._requests = Counter(
            "hutong_http_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self._latency = Histogram(
            "hutong_http_seconds", "Time to answer a request", ["route"], buckets=_SECONDS, registry=registry
        )
        self._database = Gauge("hutong_database_up", "1 when the database could be read", registry=registry)
        self._claims = Gauge("hutong_claims", "Claims in suspense", ["peer", "cause", "state"], registry=registry)
        self._disputes = Gauge(
            "hutong_disputes", "Open disputes; late: whoever has the word let the deadline pass", ["peer", "late"],
            registry=registry,
        )  # fmt: skip
        self._doubled = Gauge(
            "hutong_doubled", "1 when another instance runs as this region: this one has stopped", registry=registry
        )
        self._sealer = Gauge(
            "hutong_sealer", "1 when this process numbers messages and talks with peers", registry=registry
        )
        self._recovering = Gauge(
            "hutong_recovering",
            "1 after a restore, until the region is whole: no resident is debited",
            registry=registry,
        )
        self._outstanding = Gauge(
            "hutong_recovery_outstanding_peers", "Regions that have not given back what they hold", registry=registry
        )
        self._owed = Gauge(
            "hutong_recovery_owed_units", "Advanced to residents after a restore, not got back", registry=registry
        )
        self._commits = Gauge(
            "hutong_history_commits", "Transactions of the writer since the region was founded", registry=registry
        )
        peer = ["peer"]
        self._backlog = Gauge("hutong_backlog_messages", "Messages without a receipt", peer, registry=registry)
        self._oldest = Gauge(
            "hutong_oldest_unreceipted_seconds", "Age of the oldest message without a receipt", peer, registry=registry
        )
        self._connected = Gauge("hutong_peer_connected", "1 while a stream stands", peer, registry=registry)
        self._failures = Gauge("hutong_peer_failures", "Dials that failed in a row", peer, registry=registry)
        self._throttled = Counter(
            "hutong_peer_throttled", "What a peer has cost beyond its allowance", ["peer", "what"], registry=registry
        )
        self._over: dict[tuple[int, str], int] = {}  # as it was at the last scrape
        self._condition = Gauge(
            "hutong_channel_condition",
            "1 for the condition the channel is in",
            ["peer", "condition"],
            registry=registry,
        )
        for word in ("held", *_ENTERED.values()):
            self._transfers.labels(word)

    def batch(self, commands: int, seconds: float) -> None:
        """A batch was committed. From any thread."""
        self._commit.observe(seconds)
        self._batch.observe(commands)

    def in_flight(self, commands: int) -> None:
        """So many commands are waited for."""
        self._in_flight.set(commands)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, status).inc()
        self._latency.labels(route).observe(seconds)

    async def scrape(self, read: Callable[[Callable[[Connection], Scraped]], Awaitable[Scraped]]) -> bytes:
        """All figures as text. Where the database cannot be read, what it knows stays as it was."""
        async with self._scraping:
            try:
                scraped = await read(self._read)
            except Unavailable:
                self._database.set(0)
            else:
                self._database.set(1)
                self._take(scraped)
        self._doubled.set(int(self._node.office.doubled))
        self._sealer.set(int(self._node.seals))
        history = self._node.history
        self._recovering.set(int(history.recovering))
        self._outstanding.set(len(outstanding(history, self._node.office)) if history.recovering else 0)
        self._owed.set(history.owed)
        self._commits.set(history.commits)
        for code, status in self._node.courier_status().items():
            self._connected.labels(code).set(int(status.connected))
            self._failures.labels(code).set(status.failures)
            for what, over in status.over.items():
                self._throttled.labels(code, what).inc(max(over - self._over.get((code, what), 0), 0))
                self._over[code, what] = over
        return generate_latest(self.registry)

    def _read(self, conn: Connection) -> Scraped:
        # The first time only the ends are read: counters begin with the process.
        last_event, last_transfer = events.last(conn), self._last_transfer
        kinds = events.kinds_after(conn, last_event if self._last_event is None else self._last_event)
        placed, newest = positions.placed_after(
            conn, self._node.office.me, _ALL if last_transfer is None else last_transfer
        )
        return Scraped(last_event, kinds, newest, placed, positions.channels(conn), totals(conn), self._open(conn))

    def _open(self, conn: Connection) -> Counter_[tuple[int, bool]]:
        today = self._node.office.today(self._node.office.clock())
        return Counter_((row.peer, row.deadline < today) for row in disputes.waiting(conn) if row.state in OPEN)

    def _take(self, scraped: Scraped) -> None:
        self._last_event, self._last_transfer = scraped.last_event, scraped.last_transfer
        self._transfers.labels("held").inc(scraped.placed)
        for kind, word in _ENTERED.items():
            self._transfers.labels(word).inc(scraped.kinds.get(kind, 0))
        for channel in scraped.channels:
            self._channel(channel)
        self._disputes.clear()
        for (peer, late), found in scraped.disputes.items():
            self._disputes.labels(peer, "yes" if late else "no").set(found)
        count: Counter_[tuple[int, int, int]] = Counter_()
        for total in scraped.claims:
            count[total.peer, total.cause, total.state] += total.claims
        self._claims.clear()
        for (peer, cause, state), claims in count.items():
            self._claims.labels(peer, CAUSES[cause], CLAIM_STATES[state]).set(claims)

    def _channel(self, channel: ChannelState) -> None:
        self._backlog.labels(channel.peer).set(channel.backlog)
        age_ms = self._node.office.clock() - channel.oldest_ms if channel.oldest_ms is not None else 0
        self._oldest.labels(channel.peer).set(max(age_ms, 0) / 1000)
        for number, word in CONDITIONS.items():
            self._condition.labels(channel.peer, word).set(int(channel.condition == number))
