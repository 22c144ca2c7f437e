"""What one peer may cost, by kind: token buckets, and whether the peer is throttled. Time is passed in.

A cost is often known only once it is paid: that an envelope was a duplicate, that its offers were refused. So a bucket
may be overdrawn, and whoever overdraws it is not heard again until it has filled up to nothing owed. Nothing of an
honest peer is lost by that: what it says is heard later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.protocol import limits


class What(StrEnum):
    """Kinds of cost."""

    STREAMS = "streams"  # opened
    HANDSHAKES = "handshakes"  # messages that are neither envelopes, receipts, pulls nor pages
    REPEATS = "repeats"  # envelopes of which nothing is committed, receipts that bring nothing new
    MALFORMED = "malformed"  # what breaks a rule: bytes, signatures, limits
    REFUSED = "refused"  # requests refused and replies that answer nothing, by the frame
    PAGES = "pages"  # pulls and pages
    ROSTERS = "rosters"  # calls for rosters, and messages that may be answered with some


@dataclass(frozen=True, slots=True)
class Rate:
    """How much at once, and how much a second in the long run."""

    burst: float
    per_s: float


RATES: Mapping[What, Rate] = {
    What.STREAMS: Rate(limits.STREAMS_BURST, limits.STREAMS_PER_S),
    What.HANDSHAKES: Rate(limits.HANDSHAKES_BURST, limits.HANDSHAKES_PER_S),
    What.REPEATS: Rate(limits.REPEATS_BURST, limits.REPEATS_PER_S),
    What.MALFORMED: Rate(limits.MALFORMED_BURST, limits.MALFORMED_PER_S),
    What.REFUSED: Rate(limits.REFUSED_BURST, limits.REFUSED_PER_S),
    What.PAGES: Rate(limits.PAGES_BURST, limits.PAGES_PER_S),
    What.ROSTERS: Rate(limits.ROSTER_REQUESTS_BURST, limits.ROSTER_REQUESTS_PER_S),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Tokens left at a moment; below zero, what is owed."""

    rate: Rate
    tokens: float
    at_s: float


def full(rate: Rate, now_s: float) -> Bucket:
    """A bucket nothing was taken from."""
    return Bucket(rate=rate, tokens=rate.burst, at_s=now_s)


def refilled(bucket: Bucket, now_s: float) -> Bucket:
    """The bucket as it is now. A clock that stands still or goes back fills nothing."""
    passed_s = max(now_s - bucket.at_s, 0.0)
    tokens = min(bucket.rate.burst, bucket.tokens + passed_s * bucket.rate.per_s)
    return replace(bucket, tokens=tokens, at_s=max(now_s, bucket.at_s))


def charged(bucket: Bucket, amount: float, now_s: float) -> Bucket:
    """The bucket after `amount` was taken, whether or not it was there. No more is owed than one burst, or than this
    once: a peer that was bad for long is not shut out for longer than one that was bad for a moment."""
    bucket = refilled(bucket, now_s)
    return replace(bucket, tokens=max(bucket.tokens - amount, -max(bucket.rate.burst, amount)))


def wait_s(bucket: Bucket, now_s: float) -> float:
    """Seconds until nothing is owed."""
    return max(-refilled(bucket, now_s).tokens, 0.0) / bucket.rate.per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A time in which a peer is throttled for one kind of cost: from when it first owed until it is half full again."""

    what: What
    since_s: float
    over: int = 0  # what it has cost while it owed


@dataclass(slots=True)
class Allowance:
    """What one peer has cost this process lately. Belongs to one thread.

    `clock` gives seconds and never goes back; `told` hears of each episode once when it begins (`over` is what was
    taken too much then) and once when it has ended.
    """

    clock: Callable[[], float]
    told: Callable[[Episode, bool], None] = lambda _episode, _begins: None
    over: Counter[What] = field(default_factory=Counter)  # per kind, what it has cost while it owed, since the start
    _buckets: dict[What, Bucket] = field(default_factory=dict)
    _episodes: dict[What, Episode] = field(default_factory=dict)

    def charge(self, what: What, amount: int = 1) -> None:
        """The peer has cost so much."""
        now_s = self.clock()
        bucket = self._buckets.get(what) or full(RATES[what], now_s)
        bucket = self._buckets[what] = charged(bucket, amount, now_s)
        if bucket.tokens < 0:
            self._is_over(what, min(amount, int(-bucket.tokens) or 1), now_s)

    def take(self, what: What) -> float:
        """Let the peer have one of what it can be refused: 0.0, or the seconds after which it may ask again."""
        now_s = self.clock()
        bucket = refilled(self._buckets.get(what) or full(RATES[what], now_s), now_s)
        if bucket.tokens >= 1:
            self._buckets[what] = charged(bucket, 1, now_s)
            return 0.0
        self._buckets[what] = bucket
        self._is_over(what, 1, now_s)
        return (1 - bucket.tokens) / bucket.rate.per_s

    def _is_over(self, what: What, amount: int, now_s: float) -> None:
        self.over[what] += amount
        episode = self._episodes.get(what)
        if episode is None:
            episode = self._episodes[what] = Episode(what=what, since_s=now_s, over=amount)
            self.told(episode, True)
        else:
            self._episodes[what] = replace(episode, over=episode.over + amount)

    def wait_s(self, *kinds: What) -> float:
        """Seconds until the peer owes nothing of these kinds; without any, of all kinds."""
        now_s = self.clock()
        found = (b for what, b in self._buckets.items() if not kinds or what in kinds)
        return max((wait_s(b, now_s) for b in found), default=0.0)

    def episodes(self) -> tuple[Episode, ...]:
        """For what the peer is throttled now, oldest first."""
        now_s = self.clock()
        for what in list(self._episodes):
            bucket = refilled(self._buckets[what], now_s)
            if bucket.tokens >= bucket.rate.burst / 2:
                self.told(self._episodes.pop(what), False)
        return tuple(self._episodes.values())

    def is_throttled(self, *kinds: What) -> bool:
        """Whether the peer is throttled for one of these kinds."""
        return any(episode.what in kinds for episode in self.episodes())

    def credit_frames(self) -> int:
        """By how many frames the peer's log may grow before my next receipt."""
        lowered = self.is_throttled(What.REFUSED, What.REPEATS, What.MALFORMED)
        return limits.CREDIT_FRAMES_THROTTLED if lowered else limits.CREDIT_FRAMES
