"""Everything that can happen to one region, its clients, its wire, its disk and its clock."""

from __future__ import annotations

from collections.abc import Callable

from gateway.protocol.values import Status
from node.errors import Unavailable
from tests.simulation import forgery, odd_dealings
from tests.simulation.disk import Fault, When
from tests.simulation.region import SimRegion
from tests.simulation.world import World

DAY = 86_400_000


def _command(world: World, region: SimRegion) -> None:
    job = world.clients[region.code].something()
    if job is not None:
        world.say(region, f"is asked {job.command}")


def _repeat(world: World, region: SimRegion) -> None:
    job = world.clients[region.code].repeat()
    if job is not None:
        world.say(region, f"is asked again {job.command}")


def _commit(world: World, region: SimRegion) -> None:
    if region.inbox:
        world.commit(region, world.chance.choice([1, 2, len(region.inbox), len(region.inbox)]))


def _deliver(world: World, region: SimRegion) -> None:
    del region
    for _ in range(world.pace):
        passable = world.network.passable()
        if not passable:
            return
        fate = world.chance.random()
        packet = world.network.take(world.chance.choice(passable), keep=0.1 <= fate < 0.2)
        if fate < 0.1:
            world.say(None, f"lost: {packet.what} {packet.source}->{packet.destination}")
            continue
        if world.hear(packet) and world.chance.random() < 0.7:
            world.commit(world.regions[packet.destination])


def _post(world: World, region: SimRegion) -> None:
    for peer in world.clients[region.code].peers:
        while world.post(region, peer) and world.chance.random() < 0.5:
            pass


def _look(world: World, region: SimRegion) -> None:
    """Whoever sends has read the channel, and gets to send only later."""
    del world
    region.seen = dict(region.writer.channels)


def _post_late(world: World, region: SimRegion) -> None:
    """Send by what the channel was some commits ago."""
    for channel in list(region.seen.values()):
        try:
            parcel = region.exchange.parcel(channel)
        except Unavailable:
            return
        if parcel is not None:
            world.say(region, "is late")
            world.send(region, channel.peer, [parcel])


def _post_otherwise(world: World, region: SimRegion) -> None:
    """Frames sent before, cut at other places, from any point."""
    peer = world.chance.choice(world.clients[region.code].peers)
    channel = region.channel(peer)
    if channel is None or not channel.size:
        return
    first = world.chance.choice([0, channel.final, world.chance.randrange(channel.size)])
    size = world.chance.choice([channel.size, world.chance.randint(first, channel.size)])
    envelope = region.cut(peer, first, size)
    if envelope is not None:
        world.say(region, "cuts anew")
        world.send(region, peer, [envelope])


def _tick(world: World, region: SimRegion) -> None:
    region.inbox.append(region.ask(world.chance.choice(world.clients[region.code].peers)))


def _crash(world: World, region: SimRegion) -> None:
    """The process dies: idle, or at some point of its next transaction; or only its disk fails."""
    world.count["crash"] += 1
    if world.chance.random() < 0.3:
        world.say(region, "CRASH")
        region.disk.gone = False
        region.start()
        return
    when = world.chance.choice([When.WITHIN, When.BEFORE_COMMIT, When.AFTER_COMMIT])
    after = int(10 ** world.chance.uniform(1, 3.5))
    region.disk.fault = Fault(when=when, kills=world.chance.random() < 0.6, after=after)


def _lose_disk(world: World, region: SimRegion) -> None:
    """The database cannot be reached for a while."""
    del world
    region.disk.gone = not region.disk.gone


def _time(world: World, region: SimRegion) -> None:
    """Seconds, hours, days, a month; and a clock may be wrong, within what is allowed or beyond."""
    del region
    world.pass_time(world.chance.choice([5_000, 60_000, 700_000, DAY, DAY, 3 * DAY, 32 * DAY]))
    region = world.regions[world.chance.choice(world.codes)]
    region.clock.skew_ms = world.chance.choice([0, 0, 0, 200_000, -250_000, 290_000, -290_000, 900_000, -2_000_000])


def _partition(world: World, region: SimRegion) -> None:
    pair = frozenset((region.code, world.chance.choice(world.clients[region.code].peers)))
    if world.chance.random() < 0.5:
        world.network.cut_off.clear()
    else:
        world.network.cut_off.add(pair)


def _roster(world: World, region: SimRegion) -> None:
    """A new roster suspends somebody or lets him back in; regions learn of it at different times."""
    if len(world.rosters) > 1 and world.chance.random() < 0.7:
        region.adopt(world.rosters[region.office.roster.version :])
        return
    if world.newest_roster.version < len(world.rosters):
        return
    rare = [] if world.dealers else [Status.WINDING_DOWN, Status.WITHDRAWN]
    status = world.chance.choice([Status.ACTIVE] * 4 + [Status.SUSPENDED] * 2 + rare)
    newer = world.next_roster(lambda r: status if r.code == region.code else r.status)
    world.say(region, f"becomes {status.name} in roster {newer}")
    region.adopt(world.rosters[region.office.roster.version :])


def _backup(world: World, region: SimRegion) -> None:
    if not region.disk.gone and not region.is_in_doubt():
        world.say(region, f"backup {len(region.shelf.backups)}")
        region.shelf.put(region.disk.driver)


def _restore(world: World, region: SimRegion) -> None:
    """Any backup, of this history or of one that was left."""
    backups = region.shelf.backups
    if not backups:
        return
    good = [at for at, backup in enumerate(backups) if not backup.void]
    at = world.chance.choice([world.chance.randrange(len(backups)), *good[:1], *good[-1:]])
    world.say(region, f"RESTORE backup {at} of {len(backups)}{', which is void' * backups[at].void}")
    if world.chance.random() < 0.05 and not backups[at].void:
        region.lose_witness()
    world.restore(region, backups[at])


def _calm(world: World, region: SimRegion) -> None:
    """For a moment nothing goes wrong, and what was said arrives."""
    if not any(r.disk.gone or r.clock.skew_ms for r in world.regions.values()) and not world.network.cut_off:
        world.say(region, "calm")
        world.talk(world.chance.choice([1, 2, 4]))


def _go_on(world: World, region: SimRegion) -> None:
    """The regional system repeats some of what it was told is done."""
    count = world.clients[region.code].go_on(world.chance.choice([1, 3, 10, 100]))
    if count:
        world.say(region, f"is asked again {count} things it did before the restore")


def _fail_witness(world: World, region: SimRegion) -> None:
    """The next write of the witness fails, or the process dies of it."""
    region.kept.fails = world.chance.choice(list(When))


def _deal(world: World, region: SimRegion) -> None:
    for _ in range(world.chance.choice([1, 2, 4, 6])):
        job = world.dealers[region.code].something()
        if job is not None:
            world.say(region, f"is asked {job.command}")


def _minutes(world: World, region: SimRegion) -> None:
    del region
    world.pass_time(world.chance.choice([60_000, 60_000, 660_000, DAY]))


Act = Callable[[World, SimRegion], None]
ACTS: dict[Act, int] = {
    _command: 34, _repeat: 4, _commit: 14, _deliver: 44, _post: 22, _look: 2, _post_late: 3, _post_otherwise: 5,
    _tick: 5, _crash: 3, _lose_disk: 1, _time: 1, _partition: 1, _roster: 1, forgery.attack: 3, forgery.oddity: 2,
}  # fmt: skip
"""What can happen, and how often against each other."""


RESTORING: dict[Act, int] = ACTS | {
    _backup: 5,
    _restore: 3,
    _go_on: 10,
    _tick: 14,
    _fail_witness: 1,
    _calm: 12,
    _time: 2,
}
"""The same where regions come back from backups."""


DEALING: dict[Act, int] = ACTS | {odd_dealings.say: 10, _deal: 60, _command: 10, _calm: 16, _minutes: 3}
"""The same where regions agree, and people do more than move points."""


DEALING_RESTORING: dict[Act, int] = RESTORING | {
    _deal: 60, _command: 10, _backup: 3, _restore: 2, _calm: 16, _minutes: 3, _time: 1,
}  # fmt: skip
"""Both."""


def run(world: World) -> None:
    """All steps, then quiet."""
    world.begin()
    plain, restoring = (DEALING, DEALING_RESTORING) if world.dealers else (ACTS, RESTORING)
    acts = restoring if world.restores else plain
    for n in range(world.steps):
        world.pass_time(world.chance.choice([1, 20, 300]))
        region = world.regions[world.chance.choice(world.codes)]
        world.chance.choices(list(acts), list(acts.values()))[0](world, region)
        if n % 5 == 4:
            world.check()
    world.quiesce()
