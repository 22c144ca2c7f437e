"""What a peer may cost is bounded over every stretch of time, whatever it does and however the clock runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import buckets, limits
from gateway.protocol.buckets import RATES, Allowance, Episode, Rate, What

RATE = st.builds(Rate, burst=st.integers(1, 1000), per_s=st.floats(0.1, 1000))
STEPS = st.lists(st.tuples(st.floats(0, 100), st.integers(1, 500)), min_size=1, max_size=50)
KIND = st.sampled_from(What)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@given(RATE, STEPS)
def test_whoever_waits_as_told_takes_no_more_than_the_burst_the_rate_and_one_charge(
    rate: Rate, steps: list[tuple[float, int]]
) -> None:
    now_s, taken = 0.0, 0.0
    bucket = buckets.full(rate, now_s)
    for pause_s, amount in steps:
        now_s += pause_s + buckets.wait_s(bucket, now_s)
        taken += amount
        bucket = buckets.charged(bucket, amount, now_s)
        assert taken <= rate.burst + rate.per_s * now_s + amount + 1e-6 * taken


@given(RATE, STEPS)
def test_nobody_below_the_rate_ever_waits(rate: Rate, steps: list[tuple[float, int]]) -> None:
    now_s = 0.0
    bucket = buckets.full(rate, now_s)
    for _, amount in steps:
        small = min(amount, rate.burst)
        now_s += small / rate.per_s * (1 + 1e-9)
        bucket = buckets.charged(bucket, small, now_s)
        assert buckets.wait_s(bucket, now_s) <= 1e-6


@given(RATE, STEPS, st.floats(0, 1000))
def test_a_clock_that_goes_back_fills_nothing(rate: Rate, steps: list[tuple[float, int]], back_s: float) -> None:
    bucket = buckets.full(rate, 1000.0)
    for _, amount in steps:
        before = buckets.refilled(bucket, 1000.0).tokens
        bucket = buckets.charged(bucket, amount, 1000.0 - back_s)
        assert bucket.tokens <= max(before - amount, -max(rate.burst, amount)) + 1e-6


@given(RATE, STEPS)
def test_a_peer_that_was_bad_for_long_owes_no_more_than_one_burst(rate: Rate, steps: list[tuple[float, int]]) -> None:
    bucket = buckets.full(rate, 0.0)
    for _, amount in steps:
        bucket = buckets.charged(bucket, amount, 0.0)
        assert -bucket.tokens <= max(rate.burst, amount)


@given(KIND, st.lists(st.floats(0, 100), max_size=300))
def test_what_can_be_refused_is_had_at_the_rate_however_often_it_is_asked_for(kind: What, pauses: list[float]) -> None:
    clock = Clock()
    begun_s, had, asked = clock.now_s, 0, 0
    allowance = Allowance(clock)
    for pause_s in pauses:
        clock.now_s += pause_s / RATES[kind].per_s / 100
        asked += 1
        wait_s = allowance.take(kind)
        had += wait_s == 0
        assert had <= RATES[kind].burst + RATES[kind].per_s * (clock.now_s - begun_s) + 1e-6
    assert allowance.over[kind] == asked - had
    clock.now_s += 1 / RATES[kind].per_s
    assert allowance.take(kind) == 0.0


@given(RATE, st.integers(1, 100_000))
def test_the_wait_ends_when_nothing_is_owed(rate: Rate, amount: int) -> None:
    bucket = buckets.charged(buckets.full(rate, 0.0), amount, 0.0)
    later_s = buckets.wait_s(bucket, 0.0)
    assert buckets.wait_s(bucket, later_s * (1 + 1e-9) + 1e-9) <= 1e-6
    assert buckets.refilled(bucket, 1e9).tokens == rate.burst


@given(KIND, KIND, st.integers(1, 50))
def test_one_kind_of_cost_takes_nothing_from_another(bad: What, other: What, times: int) -> None:
    allowance = Allowance(Clock())
    for _ in range(times):
        allowance.charge(bad, 10_000)
    assert allowance.wait_s(bad) > 0
    assert allowance.wait_s(other) == 0 or other is bad


@given(KIND, st.lists(st.floats(0, 1), max_size=200))
def test_an_episode_is_told_once_when_it_begins_and_once_when_it_ends(kind: What, pauses: list[float]) -> None:
    clock, told = Clock(), list[tuple[Episode, bool]]()
    allowance = Allowance(clock, lambda episode, begins: told.append((episode, begins)))
    allowance.charge(kind, int(RATES[kind].burst))
    assert allowance.episodes() == ()
    for pause_s in pauses:  # over and over, and never long enough to be good again
        clock.now_s += min(pause_s, 1 / RATES[kind].per_s)
        allowance.charge(kind, 2)
        allowance.episodes()
    begun = len([1 for _, begins in told if begins])
    assert begun == (1 if allowance.over[kind] else 0)
    assert len(told) == begun
    clock.now_s += 1e6
    assert allowance.episodes() == ()
    assert len(told) == 2 * begun
    if begun:
        assert told[-1][0].over == allowance.over[kind]


def test_the_credit_is_lower_while_a_peer_is_throttled_and_never_below_one_envelope() -> None:
    clock = Clock()
    allowance = Allowance(clock)
    assert allowance.credit_frames() == limits.CREDIT_FRAMES
    allowance.charge(What.REFUSED, limits.REFUSED_BURST + 1)
    assert allowance.credit_frames() == limits.CREDIT_FRAMES_THROTTLED >= limits.FRAMES_PER_ENVELOPE
    clock.now_s += limits.REFUSED_BURST / limits.REFUSED_PER_S
    assert allowance.credit_frames() == limits.CREDIT_FRAMES


def test_pages_and_rosters_lower_no_credit() -> None:
    allowance = Allowance(Clock())
    allowance.charge(What.PAGES, 10_000)
    allowance.charge(What.ROSTERS, 10_000)
    assert allowance.credit_frames() == limits.CREDIT_FRAMES
