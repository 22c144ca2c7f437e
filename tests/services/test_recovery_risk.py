"""A region that went on at two people's risk without one of its peers, and the peer that then comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from node.services.recovery.history import AcceptRisk, Replayed
from node.store.engine import open_store
from tests.federation import Pair, pair
from tests.services.backups import agree, backup
from tests.services.delivery import A, B, C, ends
from tests.services.ledger import address, order, points, resident


def three(new_database: Any) -> Pair:
    return pair((A, B, C), stores=[open_store(new_database("sqlite")) for _ in range(3)])


def test_a_peer_whose_risk_is_borne_gives_back_without_a_second_recovery(new_database: Any, tmp_path: Path) -> None:
    made = three(new_database)
    a, b = ends(made)
    c = made.regions[C]
    resident(c, "C")
    old = backup(a, tmp_path / "old.sqlite")
    a.do(order(address(b, "B"), 10), order(address(c, "C"), 20))
    made.pump()
    had = points(a, "A")
    a.store.close()
    a.store = open_store(f"sqlite:///{old}")
    del made.regions[C]  # its machine is down
    made.restart(A)
    a.one(Replayed(by="system"))
    for person in ("Chen", "Wang"):
        a.one(AcceptRisk(peer=C, amount=50, by=person))
    before = a.writer.history
    assert not before.recovering
    made.regions[C] = c
    made.open()
    after = a.writer.history
    assert (after.recovering, after.lineage, after.risks) == (False, before.lineage, {})
    assert points(a, "A") == had
    agree(made)
    for region in made.regions.values():
        region.store.close()
