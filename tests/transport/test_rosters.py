"""A newer roster crosses every stream that stands, whoever dialled it and whoever has it first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.protocol.values import Message, RosterHeld, RosterPart, Signed
from gateway.transport import messages
from gateway.transport.rosters import RosterTalk
from tests.transport.regions import HANGZHOU, NINGBO, Roster, TestRegion, Town, signed

Make = Callable[[int], Town]


def own_roster(town: Town) -> None:
    """From now on the region's roster changes without the others'."""
    mine = Roster()
    mine.version, mine.peers = 0, town.roster.peers
    town.region.roster = mine


async def stands(dialler: Town, other: Town) -> None:
    """`dialler`, which nobody can dial, has a stream with the other."""
    await other.start()
    for town in (dialler, other):
        own_roster(town)
    await dialler.start(dialable=False)
    await dialler.region.until(lambda: dialler.region.opened_count[other.region.code] == 1)


def publish(region: TestRegion, versions: int) -> None:
    region.rosters = [signed("roster", b"%d" % n) for n in range(versions)]
    region.roster.version = versions


async def test_a_new_roster_reaches_a_member_that_only_dials(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await stands(a, b)
    publish(b.region, 5)
    async with asyncio.timeout(15):
        await a.region.until(lambda: a.region.rosters == b.region.rosters)


async def test_a_new_roster_comes_from_a_member_that_only_dials(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await stands(a, b)
    publish(a.region, 3)
    async with asyncio.timeout(15):
        await b.region.until(lambda: b.region.rosters == a.region.rosters)


# -- without a stream -------------------------------------------------------------------------------------------------


def talk(versions: int, size: int = 8) -> tuple[TestRegion, RosterTalk]:
    region = TestRegion(HANGZHOU, Roster())
    region.rosters = [signed("roster", b"%d" % n + bytes(size)) for n in range(versions)]
    region.roster.version = versions
    return region, RosterTalk(region, NINGBO)


async def hand_over(a: RosterTalk, b: RosterTalk) -> int:
    """Both say what they hold, and go on until nobody has anything to say; how many messages that took."""
    waiting: list[tuple[RosterTalk, Message]] = [*((b, m) for m in a.tick()), *((a, m) for m in b.tick())]
    count = 0
    while waiting:
        listener, message = waiting.pop(0)
        heard = messages.decode(messages.encode(message))
        assert isinstance(heard, RosterHeld | RosterPart)
        other = a if listener is b else b
        said: Sequence[Message] = await listener.hear(heard)
        waiting += [(other, m) for m in said]
        count += 1
        assert count < 100, "two sides that never stop talking"
    return count


async def test_a_page_larger_than_a_message_comes_in_parts() -> None:
    (old, a), (new, b) = talk(0), talk(1, 3 << 20)
    await hand_over(a, b)
    assert old.rosters == new.rosters
    assert await hand_over(a, b) <= 2, "what both hold is not handed over again"


async def test_more_than_a_page_is_asked_for_page_by_page() -> None:
    (old, a), (new, b) = talk(1), talk(9)
    old.rosters = new.rosters[:1]
    await hand_over(a, b)
    assert old.rosters == new.rosters


async def test_rosters_nobody_asked_for_are_not_even_read() -> None:
    region, a = talk(1)
    page = messages.encode_roster_page([signed("roster", b"unwanted")], False)
    assert await a.hear(RosterPart(data=page, last=True)) == []
    assert len(region.rosters) == 1


async def test_who_asks_again_and_again_is_given_a_page_once() -> None:
    region, a = talk(4)
    asked: list[int] = []
    given = region.rosters_after

    async def counted(have: int) -> tuple[Sequence[Signed], bool]:
        asked.append(have)
        return await given(have)

    region.rosters_after = counted  # type: ignore[method-assign]
    for _ in range(50):
        for version in (0, 1, 0):
            await a.hear(RosterHeld(version=version))
    assert asked == [0, 1]
