"""Ways to take away what keeps dealings between regions honest, as :mod:`tests.simulation.removals` for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.agreement import in_force
from gateway.protocol.agreement.life import State
from gateway.protocol.errors import Refused
from gateway.protocol.roaming import Event, Part
from gateway.protocol.values import Kind, Reason
from node.services import claim, topics
from node.services.clawback import hop as clawback
from node.services.roaming import ends as roaming_ends
from node.services.roaming import home
from tests.simulation.removals import nothing

Patch = pytest.MonkeyPatch


def capture_whatever(found: Any, frame: Any) -> tuple[Event, Part]:
    return Event.TAKE_ALL, Part(frame.amount, frame.arriving)


def end_by_the_clock(patch: Patch) -> None:
    """What is overdue at home ends there, whatever the counter says."""

    def end(found: Any, office: Any, batch: Any) -> bool:
        home.end_unasked(found, Reason.TOO_LATE, batch)
        return True

    patch.setattr(roaming_ends, "_ask", end)


def held_reason(of: State, held: int) -> Callable[[Patch], None]:
    """What is to be said of what was held before, in one state of an agreement."""

    def remove(patch: Patch) -> None:
        reasons = in_force._reasons

        def otherwise(version: Any, state: State, *more: Any) -> tuple[int, int]:
            fresh, before = reasons(version, state, *more)
            return fresh, held if state is of else before

        patch.setattr(in_force, "_reasons", otherwise)

    return remove


def any_consent(*_: Any, **__: Any) -> bytes:
    return b"c" * 32


def wait_for_nobody(patch: Patch) -> None:
    """A region answers a clawback although it waits for answers itself."""
    further_on = clawback.further_on
    patch.setattr(clawback, "further_on", lambda *args: further_on(*args)._replace(waiting=False))


def claim_one_sided(patch: Patch) -> None:
    """What a region owes another only the other knows."""
    keep = claim.keep
    patch.setattr(claim, "keep", lambda *args, mine=True, **more: mine and keep(*args, mine=mine, **more))


def leave_as_it_is(row: Any, *_: Any) -> Any:
    return row


def forget(kind: Kind, what: str) -> Callable[[Patch], None]:
    """What follows from messages of one kind is not done again after a restore."""

    def remove(patch: Patch) -> None:
        patch.setitem(topics.TOPICS, int(kind), replace(topics.TOPICS[int(kind)], **{what: nothing}))

    return remove


def answer_every_time(patch: Patch) -> None:
    """A request is dealt with as often as it comes, whatever else had its id."""

    def hear(heard: topics.Heard, office: Any, batch: Any) -> Any:
        if topics.find(batch, heard.frame.id, heard.peer, mine=False) is None:
            topics.keep(heard, batch)
        try:
            return topics.TOPICS[heard.frame.kind].hear(heard, office, batch)
        except Refused as refusal:
            return topics._refuse(heard, refusal.reason, office, batch)

    patch.setattr(topics, "hear_request", hear)
