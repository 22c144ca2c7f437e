"""How the dealings of all regions begin, and how they come to their end once nothing goes wrong any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.protocol.values import Status
from node.services.agreement.signing import Countersign, Shown
from tests.simulation import (  # noqa: F401  - each fills the acts of dealers
    deals_of_agreements,
    deals_of_attestations,
    deals_of_disputes,
    deals_of_frauds,
    deals_of_residents,
    deals_of_visitors,
)
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

ROUNDS = 12
"""Times that everybody looks again at what waits, at most."""
_LONG_MS = 11 * 3_600_000
"""Longer than any purchase waits for its capture, and than anybody waits to ask about it."""
_OPEN = (
    "SELECT 'request' FROM request WHERE state = 1",
    "SELECT 'authorisation' FROM authorisation WHERE state < 11",
    "SELECT 'clawback' FROM clawback WHERE state IN (1, 11, 21)",
    "SELECT 'dispute' FROM dispute WHERE state < 11 OR hold IS NOT NULL OR pending IS NOT NULL",
    "SELECT 'penalty' FROM penalty WHERE state IN (1, 2, 3)",
)


def begin_dealing(world: World) -> None:
    """Some pairs have an agreement before anything goes wrong."""
    proposed: list[tuple[int, int, Shown]] = []
    for a, b in sorted(next(iter(world.dealers.values())).bargains.signed_first):
        draft = world.dealers[a].bargains.draft(a, b, world.dealers[a].today)
        proposed.append((a, b, world.regions[a].one(deals_of_agreements.proposal(world.dealers[a], draft))))
    world.talk()
    for a, b, shown in proposed:
        world.regions[b].one(Countersign(peer=a, digest=shown.version.digest, by="Zhao", checked_by="Qian"))
    for dealer in world.dealers.values():
        for _ in range(4):
            deals_of_residents.consent(dealer)
            deals_of_attestations.know(dealer)
        deals_of_frauds.invent(dealer)
    world.talk()


def waiting(world: World) -> list[str]:
    """Nouns of which something is open somewhere."""
    return [
        f"{code} {row[0]}" for code, region in world.regions.items() for sql in _OPEN for row in region.rows(sql)
    ]  # fmt: skip


def end_dealings(world: World) -> None:
    """People and nodes look after what waits until nothing does. Raises Violation when it never ends."""
    if not world.dealers:
        return
    if any(region.status is not Status.ACTIVE for region in world.newest_roster.regions):
        world.next_roster(lambda _: Status.ACTIVE)
        for region in world.regions.values():
            region.adopt(world.rosters[region.office.roster.version :])
    for _ in range(ROUNDS):
        world.talk()
        if not waiting(world):
            return
        for dealer in world.dealers.values():
            dealer.tidy()
        world.talk()
        world.pass_time(_LONG_MS)
    raise Violation(f"still open: {', '.join(waiting(world))}")
