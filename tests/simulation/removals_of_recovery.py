"""Ways to take away what keeps a restore harmless, as :mod:`tests.simulation.removals` does for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import channel, handshake, recovery
from node import witness
from node.errors import BadInput
from node.services.recovery import history, page, redo
from node.services.recovery.page import GivenBack
from tests.simulation.removals import always

Patch = pytest.MonkeyPatch


def mine_first(size: int, mine: Sequence[Any], held: int, seen: Sequence[Any]) -> Iterator[tuple[bool, int]]:
    """All of mine, and then what it had seen."""
    yield from ((True, i) for i in range(len(mine)))
    yield from ((False, j) for j in range(len(seen)))


def mine_alone(patch: Patch) -> None:
    """Own messages come back without those they had seen."""
    give = page.give_back

    def give_mine(c: Any, pull: Any, batch: Any) -> GivenBack:
        return give(c, replace(pull, holds=1 << 40), batch)

    patch.setattr(page, "give_back", give_mine)
    patch.setattr(recovery, "is_due", always)


def append_only(patch: Patch) -> None:
    """Own messages are in the log again, and nothing else."""
    patch.setattr(redo.Doing, "again", lambda self, *_: None)


def no_record(*_: Any) -> None:
    """What a body says to its own region is not read."""


def only_what_is_new(patch: Patch) -> None:
    """What a peer has once receipted is not sent again, wherever it says it stands."""
    rewind = channel.rewind
    patch.setattr(handshake, "rewind", lambda c, size: rewind(c, max(size, c.final)))


def nobody_outstanding(*_: Any) -> list[int]:
    return []


def whole_without_replay(patch: Patch) -> None:
    """A region is whole as soon as its peers have given back what they hold."""
    settle = history.settle_if_whole

    def settle_at_once(batch: Any, office: Any) -> None:
        batch.books.history = replace(batch.books.history, replayed=True)
        settle(batch, office)

    patch.setattr(history, "settle_if_whole", settle_at_once)


def any_lineage(patch: Patch) -> None:
    """A database of a history that was left is taken for one that lags."""
    judge = witness.judge

    def judge_mildly(*args: Any, **more: Any) -> str:
        try:
            return judge(*args, **more)
        except BadInput as abandoned:
            return str(abandoned)

    patch.setattr(witness, "judge", judge_mildly)


def any_page(c: channel.Channel, first: int, seen_first: int | None) -> bool:
    """Wherever it begins."""
    return c.fenced is not None


def noticed_never(*_: Any, **__: Any) -> str:
    return ""
