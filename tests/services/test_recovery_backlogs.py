"""A backup with messages under way to several peers at once: each gets its own back, and none takes another's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.services.award import Award
from node.store.engine import open_store
from tests.federation import pair
from tests.services.backups import agree, backup, restore
from tests.services.delivery import A, B
from tests.services.ledger import address, order, points, resident

C = 330300


@pytest.mark.parametrize("lost", [0, 3])
def test_messages_under_way_to_two_peers_when_the_backup_was_made(new_database: Any, tmp_path: Path, lost: int) -> None:
    three = pair((A, B, C), stores=[open_store(new_database("sqlite")) for _ in range(3)])
    a = three.regions[A]
    resident(a, "A", 1_000)
    to = {}
    for code in (B, C):
        resident(three.regions[code], "there")
        to[code] = address(three.regions[code], "there")
    for code, transfers in ((B, 5), (C, 3)):
        a.do(*[order(to[code], 10) for _ in range(transfers)])  # numbered, and not receipted yet
    old = backup(a, tmp_path / "old.sqlite")
    a.one(Award(client="c", key="more", account="A", category="moral", amount=100))
    three.pump()
    for code in (B, C):
        a.do(*[order(to[code], 1) for _ in range(lost)])
    three.pump()
    restore(a, old)
    three.wire.clear()
    three.restart(A)
    assert points(three.regions[B], "there") == (50 + lost, 0, 0)
    assert points(three.regions[C], "there") == (30 + lost, 0, 0)
    assert points(a, "A")[:2] == (1_000 - 80 - 2 * lost, 0)
    agree(three)
    for region in three.regions.values():
        region.store.close()
