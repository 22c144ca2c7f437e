"""When a peer is dialled again: the arithmetic, and the courier that keeps to it."""

import asyncio
import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from gateway.ports import BackOff
from gateway.protocol import limits
from gateway.transport import back_off
from tests.transport.regions import HANGZHOU, NINGBO, Town

Make = Callable[[int], Town]
LOW, HIGH = limits.BACK_OFF_JITTER
CHANCES = st.floats(0, 1, exclude_max=True)


@given(chances=st.lists(CHANCES, min_size=1, max_size=40), now=st.integers(0, 1 << 42))
def test_the_wait_doubles_from_a_second_to_a_quarter_of_an_hour_within_the_jitter(
    chances: list[float], now: int
) -> None:
    state, expected_s = BackOff(), limits.BACK_OFF_FIRST_S
    for n, chance in enumerate(chances, 1):
        state = back_off.after_failure(state, now, chance, "refused")
        wait_s = back_off.wait_ms(state, now) / 1000
        assert expected_s * LOW - 0.001 <= wait_s <= expected_s * HIGH
        assert state.failures == n
        expected_s = min(expected_s * 2, limits.BACK_OFF_LAST_S)


@given(failures=st.integers(0, 1000), chance=CHANCES, asked_s=st.floats(0, 900))
def test_a_peer_that_asks_for_time_gets_it(failures: int, chance: float, asked_s: float) -> None:
    state = back_off.after_failure(BackOff(failures=failures), 0, chance, "busy", asked_s)
    assert back_off.wait_ms(state, 0) >= int(asked_s * 1000)


@given(failures=st.integers(1, 100), now=st.integers(10**12, 2 * 10**12), ago=st.integers(1, 10**7))
def test_contact_clears_it_at_most_once_a_minute(failures: int, now: int, ago: int) -> None:
    state = BackOff(failures=failures, next_dial_ms=now + 5, last_contact_ms=now - ago, last_error="refused")
    after = back_off.after_contact(state, now)
    if ago < limits.BACK_OFF_RESET_S * 1000:
        assert after == state
    else:
        assert after == BackOff(last_contact_ms=now)
    assert back_off.after_contact(after, now) == after


@given(next_dial=st.integers(-(1 << 50), 1 << 50), now=st.integers(-(1 << 50), 1 << 50))
def test_a_clock_that_jumps_keeps_nobody_away_for_longer_than_the_longest_wait(next_dial: int, now: int) -> None:
    longest_ms = limits.BACK_OFF_LAST_S * HIGH * 1000
    assert 0 <= back_off.wait_ms(BackOff(next_dial_ms=next_dial), now) <= longest_ms


class Time:
    """A clock that moves only when somebody waits: a wait is over as soon as it begins, unless time is `held`."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000
        self.going = asyncio.Event()
        self.going.set()

    def read(self) -> int:
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        await self.going.wait()
        await asyncio.sleep(0)
        self.now_ms += int(seconds * 1000) + 1


async def started(one: Town, time: Time) -> None:
    await one.start(dialable=False, now_ms=time.read, sleep=time.sleep, rng=random.Random(7))


async def nobody_at(town: Make, code: int) -> Town:
    """A region whose address is known and where nothing listens."""
    gone = town(code)
    await gone.start()
    await gone.stop()
    return gone


async def test_a_peer_that_is_down_is_dialled_less_and_less_and_the_region_keeps_that(town: Make) -> None:
    a, gone, time = town(HANGZHOU), await nobody_at(town, NINGBO), Time()
    await started(a, time)
    await a.region.until(lambda: len(a.region.kept) >= 12)
    waits = [kept.next_dial_ms for _, kept in a.region.kept]
    assert [kept.failures for _, kept in a.region.kept[:12]] == list(range(1, 13))
    assert all(kept.last_error.startswith("UNAVAILABLE") for _, kept in a.region.kept)
    assert waits == sorted(waits)
    assert a.courier is not None
    assert not a.courier.status(gone.code).connected


async def test_a_restart_does_not_dial_before_its_time(town: Make) -> None:
    a, gone, time = town(HANGZHOU), await nobody_at(town, NINGBO), Time()
    kept = BackOff(failures=9, next_dial_ms=time.now_ms + 200_000, last_error="refused")
    a.region.back_offs[gone.code] = kept
    time.going.clear()
    await started(a, time)
    assert a.courier is not None
    assert a.courier.status(gone.code).back_off == kept
    assert a.courier.status(gone.code).dialling
    time.going.set()
    await a.region.until(lambda: a.region.kept != [])
    assert a.region.kept[0][1].failures == 10
    assert time.now_ms >= kept.next_dial_ms


async def test_an_operator_can_have_it_tried_now(town: Make) -> None:
    a, gone, time = town(HANGZHOU), await nobody_at(town, NINGBO), Time()
    a.region.back_offs[gone.code] = BackOff(failures=9, next_dial_ms=time.now_ms + 200_000, last_error="refused")
    time.going.clear()
    await started(a, time)
    await gone.start()  # back, and A does not know
    assert a.courier is not None
    await a.courier.retry_now(gone.code)
    await a.region.until(lambda: a.region.opened_count[gone.code] == 1)


async def test_inbound_contact_clears_the_back_off_and_brings_what_was_kept(town: Make) -> None:
    a, gone, time = town(HANGZHOU), await nobody_at(town, NINGBO), Time()
    a.region.back_offs[gone.code] = BackOff(failures=9, next_dial_ms=time.now_ms + 200_000, last_error="refused")
    time.going.clear()
    await started(a, time)
    a.region.send(gone.code, b"kept")
    a.publish()
    await gone.start(dialable=False)
    await a.region.until(lambda: a.region.receipted[gone.code] == 1)
    await a.region.until(lambda: a.region.back_off(gone.code) == BackOff(last_contact_ms=time.now_ms))


async def test_a_peer_that_comes_and_goes_is_not_redialled_at_once_for_ever(town: Make) -> None:
    a, b, time = town(HANGZHOU), town(NINGBO), Time()
    await b.start()
    b.region.broken = RuntimeError("disk full")
    a.region.send(b.code, b"x")
    await started(a, time)
    await a.region.until(lambda: a.region.back_off(b.code).failures >= 4)
    assert b.region.held[a.code] == []
