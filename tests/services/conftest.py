"""Regions on each kind of database; whatever a test does to them, their books must be sound at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from node.services.verify.run import verify
from node.store.engine import open_store
from tests.federation import Pair, pair

Regions = Callable[..., Pair]


@pytest.fixture
def regions(new_database: Callable[..., str], database_kind: str) -> Iterator[Regions]:
    """`regions(codes, **terms)`: regions that trust each other, on SQLite, then on PostgreSQL.

    At the end everything is derived again from journal and logs: a fault must not leave one row that does not follow.
    """
    made: list[Pair] = []
    with ExitStack() as stores:

        def make(codes: tuple[int, ...] = (330100, 330200), **more: Any) -> Pair:
            opened = [stores.enter_context(closing(open_store(new_database(database_kind)))) for _ in codes]
            made.append(pair(codes, stores=opened, **more))
            return made[-1]

        yield make
        for each in made:
            for region in each.regions.values():
                wrong = [check for check in verify(region.store) if not check.ok]
                assert wrong == [], f"region {region.code}"
