"""Backups of regions on SQLite, put back at any moment; and what two regions look like when nothing is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from node.services.verify.run import verify
from node.store import schema
from node.store.engine import open_store
from tests.federation import Pair, TestRegion


def backup(region: TestRegion, path: Path) -> Path:
    """A copy of the region's database as it is now."""
    with (
        closing(sqlite3.connect(str(region.store.engine.url.database))) as source,
        closing(sqlite3.connect(path)) as to,
    ):
        source.backup(to)
    return path


def restore(region: TestRegion, path: Path) -> None:
    """The region's process dies; a new one runs on the backup."""
    region.store.close()
    region.store = open_store(f"sqlite:///{path}")
    region.start()


def heads(region: TestRegion) -> dict[tuple[int, int], tuple[int, bytes]]:
    """Size and frontier of every log the region holds, its journal not among them."""
    g = schema.log
    with region.store.read() as conn:
        found = conn.execute(select(g).where(g.c.destination != 0))
        return {(row.source, row.destination): (row.size, row.frontier) for row in found}


def agree(made: Pair) -> None:
    """Both copies of every log are equal, and every ledger follows from journal and logs."""
    copies: dict[tuple[int, int], set[tuple[int, bytes]]] = {}
    for region in made.regions.values():
        for log, head in heads(region).items():
            copies.setdefault(log, set()).add(head)
        assert [check for check in verify(region.store) if not check.ok] == [], region.code
    assert {log: len(found) for log, found in copies.items()} == dict.fromkeys(copies, 1)
