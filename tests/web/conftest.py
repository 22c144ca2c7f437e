"""Two regions over HTTP: `hangzhou` on each kind of database in turn, `ningbo` beside it in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from node.store.engine import Store
from tests.federation import Pair, pair
from tests.web.nodes import Caller, RunningNode, serve, stop

HANGZHOU, NINGBO = 330100, 330200


@pytest.fixture
def two(store: Store) -> Pair:
    """Two regions that know each other: 10 of the first are worth 3 of the second, half a dozen arriving is much."""
    return pair((HANGZHOU, NINGBO), stores=[store], rate=(3, 10), review_from=600)


@pytest.fixture
async def hangzhou(two: Pair) -> AsyncIterator[Caller]:
    """The API of the first region."""
    caller = await serve(RunningNode(two.regions[HANGZHOU]), two)
    yield caller
    await stop(caller)


@pytest.fixture
async def ningbo(two: Pair) -> AsyncIterator[Caller]:
    """The API of the second."""
    caller = await serve(RunningNode(two.regions[NINGBO]), two)
    yield caller
    await stop(caller)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[tuple[Caller, Caller]]:
    """Both regions in memory, one pair for all tests of a module that change nothing another one looks at."""
    regions = pair((HANGZHOU, NINGBO))
    callers = [await serve(RunningNode(regions.regions[code]), regions) for code in (HANGZHOU, NINGBO)]
    yield callers[0], callers[1]
    for caller in callers:
        await stop(caller)
