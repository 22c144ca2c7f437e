"""When a peer is dialled next. Pure: time and chance are arguments.

1 s doubling to 15 min with jitter, across calls; cleared by the peer's authenticated contact, at most once a minute,
so that a peer which comes and goes is still dialled less and less.
"""

from __future__ import annotations

from gateway.ports import BackOff
from gateway.protocol import limits

ERROR_CHARACTERS = 256


def after_failure(back_off: BackOff, now_ms: int, chance: float, error: str, at_least_s: float = 0.0) -> BackOff:
    """One more failure. `chance` in [0, 1) picks the jitter; `at_least_s` is what the peer asked for."""
    doubled_s = limits.BACK_OFF_FIRST_S * 2.0 ** min(back_off.failures, 64)
    low, high = limits.BACK_OFF_JITTER
    wait_s = max(min(doubled_s, limits.BACK_OFF_LAST_S) * (low + (high - low) * chance), at_least_s)
    return BackOff(
        failures=back_off.failures + 1,
        next_dial_ms=now_ms + int(wait_s * 1000),
        last_contact_ms=back_off.last_contact_ms,
        last_error=error[:ERROR_CHARACTERS],
    )


def after_contact(back_off: BackOff, now_ms: int) -> BackOff:
    """The peer has shown itself. Equal to `back_off` when it did so within the last minute."""
    if back_off.last_contact_ms and 0 <= now_ms - back_off.last_contact_ms < limits.BACK_OFF_RESET_S * 1000:
        return back_off
    return BackOff(last_contact_ms=now_ms)


def after_order(back_off: BackOff) -> BackOff:
    """An operator wants the peer dialled now."""
    return BackOff(last_contact_ms=back_off.last_contact_ms, last_error=back_off.last_error)


def wait_ms(back_off: BackOff, now_ms: int) -> int:
    """How long to wait before dialling. Never more than the longest back-off, wherever the clock has jumped to."""
    longest_ms = int(limits.BACK_OFF_LAST_S * limits.BACK_OFF_JITTER[1] * 1000)
    return min(max(back_off.next_dial_ms - now_ms, 0), longest_ms)
