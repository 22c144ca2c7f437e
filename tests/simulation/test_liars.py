"""A member that owes a restored region its pages lies: the region is not damaged, and recovers with the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.protocol import codec
from gateway.protocol.values import Draft, Kind, Page, Signed
from gateway.transport import messages
from node.services.recovery.history import AcceptRisk, Replayed
from node.services.spend import Spend
from node.services.transfer import Order
from node.services.verify.run import verify
from tests.federation import CATEGORIES, plain_terms, signing_key
from tests.simulation.backups import Backup
from tests.simulation.forgery import STRANGER
from tests.simulation.world import CODES, World

ME, LIAR, HONEST = CODES[:3]
ROUNDS = 12

pytestmark = pytest.mark.simulation


def _other_frame(page: Page) -> Page:
    draft = Draft(Kind.ACCEPT, True, b"?" * 16, b"!" * 20)
    return replace(page, frames=(codec.encode_frame(draft, 0, 0), *page.frames[1:]), bodies=(b"", *page.bodies[1:]))


def _other_bodies(page: Page) -> Page:
    return replace(page, bodies=tuple(body[:-1] + b"?" for body in page.bodies))


def _too_little(page: Page) -> Page:
    return replace(page, frames=page.frames[:-1], bodies=page.bodies[:-1])


def _too_much(page: Page) -> Page:
    return replace(page, frames=page.frames * 2, bodies=page.bodies * 2)


def _nothing(page: Page) -> Page:
    return Page(first=page.first)


def _unseen(page: Page) -> Page:
    return replace(page, seen=None)


def _seen_of_a_stranger(page: Page) -> Page | None:
    if page.seen is None or page.seen.head is None:
        return None
    return replace(page, seen=replace(page.seen, head=STRANGER.sign(codec.HEAD, page.seen.head.payload)))


def _seen_otherwise(page: Page) -> Page | None:
    if page.seen is None:
        return None
    return replace(page, seen=replace(page.seen, frames=page.seen.frames[::-1], bodies=page.seen.bodies[::-1]))


def _elsewhere(page: Page) -> Page:
    return replace(page, first=page.first + 1)


def _never(page: Page) -> None:
    return None


def test_a_member_that_claims_to_hold_more_than_it_can_show() -> None:
    """Any member could stop a region with a word, if that were enough to take it for restored."""
    world = everyday(restored=False)
    me = world.regions[ME]
    me.start()
    for _ in range(ROUNDS):
        me.inbox += [me.ask(peer) for peer in (LIAR, HONEST)]
        world.commit(me)
        while world.network.packets:
            packet = world.network.packets.pop(0)
            if packet.what == "Fenced" and (packet.source, packet.destination) == (LIAR, ME):
                signed = messages.decode(packet.data)
                assert isinstance(signed, Signed)
                fenced = codec.decode_payload(codec.FENCED, signed.payload)
                claim = replace(fenced, holds_size=1000, holds_root=b"?" * 32)
                false = signing_key(LIAR).sign(codec.FENCED, codec.encode_payload(claim))
                world.hear_stranger(packet._replace(data=messages.encode(false)))
            elif world.hear(packet) is not None:
                world.commit(world.regions[packet.destination])
        world.pass_time(2000)
    honest, liar = me.channel(HONEST), me.channel(LIAR)
    assert honest is not None
    assert honest.ready
    assert honest.peer_open
    assert liar is not None
    assert not liar.ready
    assert not me.writer.history.recovering
    me.one(Spend(client="city", key="after", account="wang", category=CATEGORIES[0], amount=1))
    world.ledgers[ME].check()
    world.close()


def everyday(*, restored: bool = True) -> World:
    """Three regions that have moved points both ways; ME comes back from before all of that."""
    world = World(1, codes=(ME, LIAR, HONEST), terms=plain_terms((ME, LIAR, HONEST)), restores=True)
    world.begin()
    world.talk()
    backup: Backup = world.regions[ME].shelf.put(world.regions[ME].disk.driver)
    for round_ in range(3):
        for code, client in world.clients.items():
            for peer in client.peers:
                address = world.clients[peer].addresses[peer][0]
                client.job(
                    Order(client="city", key=f"{code} {peer} {round_}", account="wang", category=CATEGORIES[0],
                          amount=1, address=address)
                )  # fmt: skip
        world.talk()
    world.check()
    if restored:
        world.restore(world.regions[ME], backup)
    return world


@pytest.mark.parametrize(
    "lie",
    [_other_frame, _other_bodies, _too_little, _too_much, _nothing, _unseen, _seen_of_a_stranger, _seen_otherwise,
     _elsewhere, _never],
    ids=lambda lie: lie.__name__.strip("_"),
)  # fmt: skip
def test_a_member_that_gives_back_what_it_should_not(lie: Callable[[Page], Page | None]) -> None:
    world = everyday()
    me = world.regions[ME]
    lied = 0
    for _ in range(ROUNDS):
        world.clients[ME].go_on(100)
        me.inbox += [me.ask(peer) for peer in (LIAR, HONEST)]
        world.commit(me)
        while world.network.packets:
            packet = world.network.packets.pop(0)
            message = messages.decode(packet.data)
            if isinstance(message, Page) and (packet.source, packet.destination) == (LIAR, ME):
                false = lie(message)
                lied += 1
                if false is not None:
                    world.hear_stranger(packet._replace(data=messages.encode(false)))
            elif world.hear(packet) is not None:
                world.commit(world.regions[packet.destination])
        world.pass_time(2000)
    assert lied
    history = me.writer.history
    assert history.recovering
    assert history.merged == {HONEST}
    assert [check for check in verify(me.disk.store) if not check.ok] == []
    world.ledgers[ME].check()
    me.do(Replayed(by="city"))
    for person in ("maker", "checker"):
        me.one(AcceptRisk(peer=LIAR, amount=1000, by=person))
    assert not me.writer.history.recovering
    world.ledgers[ME].check()
    world.close()
