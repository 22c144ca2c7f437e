"""N regions, a clock, a network and everything that can go wrong, all drawn from one seed; then quiet, and the sums."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

from gateway.protocol import roster
from gateway.protocol.channel import is_open
from gateway.protocol.errors import ProtocolError, SkewedClock
from gateway.protocol.members import Region, Roster
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Message, Signed, Status
from gateway.transport import messages
from node.errors import BadInput, Unavailable
from node.services.handshake import HearReceipt
from tests.federation import CATEGORIES, NOW_MS, Clock, found_federation, signing_key
from tests.simulation.backups import Backup, copied
from tests.simulation.bargains import Bargains
from tests.simulation.clients import Client
from tests.simulation.dealers import Dealer
from tests.simulation.dealings import begin_dealing, end_dealings
from tests.simulation.disk import Crash
from tests.simulation.ledgers import LedgerWatch
from tests.simulation.logbooks import LogWatch, check_pairs
from tests.simulation.network import Network, Packet
from tests.simulation.quiet import check_everything
from tests.simulation.quiet_dealings import check_purchases_under_way
from tests.simulation.region import Job, SimRegion
from tests.simulation.violation import Violation

CODES = (330100, 330200, 330400, 330600)
RATES = ((1, 1), (1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (5, 4))
ROUNDS = 60
"""Rounds of talk in which everything must have settled once the faults have stopped."""


@cache
def federation(codes: tuple[int, ...]) -> Signed:
    """The first roster of these regions; made once."""
    return found_federation(codes)


class World:
    """See the module. Raises Violation where a promise is broken. Without `terms` they are drawn as well."""

    def __init__(
        self, seed: int, *, codes: tuple[int, ...] = (), terms: dict[tuple[int, int, str], Terms] | None = None,
        restores: bool = False, dealings: bool = False,
    ) -> None:  # fmt: skip
        self.seed = seed
        self.chance = random.Random(seed)
        self.codes = codes or CODES[: self.chance.choice([2, 2, 3] if dealings else [2, 2, 2, 3, 3, 4])]
        self.steps = self.chance.choice([60, 100, 160, 200] if restores else [80, 160, 240, 320])
        if dealings:
            self.steps = self.chance.choice([30, 50, 80])
        self.clock = NOW_MS
        self.log: list[str] = []
        self.invented: set[bytes] = set()  # ids of messages no service sent
        self.count: Counter[str] = Counter()
        self.pace = self.chance.choice([1, 1, 2, 4])  # how many packets the network carries at a time
        self.odd = self.chance.random() < 0.5
        self.network = Network(random.Random(f"{seed} network"))
        self.rosters = [federation(self.codes)]
        drawn = agreed(self.chance, self.codes)
        addresses: dict[int, list[str]] = {code: [] for code in self.codes}
        self.regions: dict[int, SimRegion] = {}
        self.clients: dict[int, Client] = {}
        self.ledgers: dict[int, LedgerWatch] = {}
        for code in self.codes:
            own = otherwise(self.chance, drawn) if terms is None else terms
            region = SimRegion(code, self.rosters[0], own, clock=Clock(self.clock), seed=seed)
            peers = [c for c in self.codes if c != code]
            self.regions[code] = region
            self.clients[code] = Client(region, peers, random.Random(f"{seed} client {code}"), addresses)
            self.ledgers[code] = LedgerWatch(region)
            if restores:
                region.watch()
        self.dealers: dict[int, Dealer] = {}
        if dealings:
            bargains = Bargains(random.Random(f"{seed} bargains"), self.codes)
            shown, shares = list[tuple[int, str]](), list[tuple[int, Any]]()
            for code, region in self.regions.items():
                self.clients[code].agrees = True
                chance, client = random.Random(f"{seed} dealer {code}"), self.clients[code]
                self.dealers[code] = Dealer(region, client, chance, bargains, self.dealers, shown, shares)
        self.logs = LogWatch(self.regions)
        self.restores = restores
        self.overlap = False  # two regions were recovering at once: what both have lost is nobody's fault

    def begin(self) -> None:
        """Residents come in; as a rule all nodes have met before anything goes wrong."""
        for client in self.clients.values():
            client.settle_in()
        if self.chance.random() < 0.7 or self.dealers:
            self.talk()
        if self.dealers:
            begin_dealing(self)
        if self.restores:
            for region in self.regions.values():
                region.shelf.put(region.disk.driver)

    def close(self) -> None:
        """The disks can be used by the next world."""
        for region in self.regions.values():
            region.disk.give_up()

    # -- time --------------------------------------------------------------------------------------------------------

    def pass_time(self, milliseconds: int) -> None:
        """The true time goes on; every region's clock with it, each with its own error."""
        self.clock += milliseconds
        for region in self.regions.values():
            region.clock.now_ms = self.clock

    # -- the roster --------------------------------------------------------------------------------------------------

    @property
    def newest_roster(self) -> Roster:
        """The newest that any region has."""
        return max((r.office.roster for r in self.regions.values()), key=lambda r: r.version)

    def next_roster(self, status: Callable[[Region], Status]) -> int:
        """Make another, in which every region has the status that this says. Returns its version."""
        now = self.newest_roster
        regions = tuple(replace(r, status=status(r)) for r in now.regions)
        newer = replace(now, version=now.version + 1, issued_at_ms=now.issued_at_ms + 1, regions=regions)
        self.rosters.append(roster.sign(newer, [signing_key("root 0"), signing_key("root 1")]))
        return newer.version

    # -- the acts of one region --------------------------------------------------------------------------------------

    def commit(self, region: SimRegion, count: int | None = None) -> None:
        """One group commit of what waits; a fault on its way kills the process or only the transaction."""
        count = len(region.inbox) if count is None else count
        jobs = ", ".join(map(str, region.inbox[:count]))
        fault = region.disk.fault
        try:
            said = region.commit(count)
        except Unavailable as failure:
            self.say(region, f"commit failed ({failure}): {jobs}")
            return
        except Crash:
            self.say(region, f"CRASH {fault.when.value if fault else ''}: {jobs}")
            region.start()
            return
        self.say(region, f"committed {jobs}")
        for job, answers in said:
            if job.honest:  # a stranger is answered on his own stream
                self.send(region, job.peer, answers)

    def send(self, region: SimRegion, peer: int, answers: list[Message]) -> None:
        """Put answers under way."""
        for message in answers:
            packet = self.network.send(region.code, peer, message)
            self.count["pages"] += packet.what.startswith("Page")
            self.say(region, f"sends {packet.what} to {peer}")

    def hear(self, packet: Packet) -> Job | None:
        """A packet arrives: it waits for the writer, unless it is refused at the door."""
        region = self.regions[packet.destination]
        message = messages.decode(packet.data)
        try:
            assert not isinstance(message, messages.Unknown)
            command = region.exchange.command(packet.source, message)
        except SkewedClock:
            self.say(region, f"refuses {packet.what} from {packet.source}: too old or from the future")
            return None
        except Exception as fault:
            raise Violation(f"{region.code} rejects an honest {packet.what} from {packet.source}: {fault!r}") from fault
        if isinstance(command, HearReceipt):
            region.exchange.sending.received(packet.source, command.receipt.size)
        job = Job(command=command, peer=packet.source)
        region.inbox.append(job)
        self.say(region, f"hears {packet.what} from {packet.source}")
        return job

    def hear_stranger(self, packet: Packet) -> None:
        """A packet arrives that need not be what it says."""
        region = self.regions[packet.destination]
        try:
            message = messages.decode(packet.data)
            if isinstance(message, messages.Unknown):
                return
            command = region.exchange.command(packet.source, message)
        except ProtocolError:
            self.count["forgeries refused at the door"] += 1
            return
        self.say(region, f"hears a forged {packet.what} from {packet.source}")
        region.inbox.append(Job(command=command, peer=packet.source, honest=False))
        self.commit(region)

    def post(self, region: SimRegion, peer: int) -> bool:
        """Send the next envelope, if there is one."""
        try:
            parcel = region.exchange.parcel(region.channel(peer))
        except Unavailable:
            return False
        if parcel is not None:
            self.send(region, peer, [parcel])
        return parcel is not None

    def say(self, region: SimRegion | None, what: str) -> None:
        """For the trace."""
        self.log.append(f"{self.clock - NOW_MS:>12} {region.code if region else '      '} {what}")

    def restore(self, region: SimRegion, backup: Backup) -> None:
        """The region comes back from a backup; from one of a history that was left it must refuse to start."""
        self.logs.check()
        before = copied(region.disk.driver)
        try:
            region.put_back(backup.copy)
        except BadInput:
            if not backup.void and not region.has_lost_witness:
                raise Violation(f"{region.code} refuses to start on a backup that is good") from None
            self.count["abandoned"] += 1
            region.put_back(before)
            return
        if backup.void:
            raise Violation(f"{region.code} runs on a history that was left")
        self.count["restore"] += 1
        region.shelf.went_back_to(backup)
        self.tell_of_restore(region)

    def tell_of_restore(self, region: SimRegion) -> None:
        """Whoever watches a region, or works with it, goes on from what it has now."""
        code = region.code
        self.overlap |= any(r.is_behind(code) for r in self.regions.values() if r is not region)
        self.ledgers[code] = LedgerWatch(region, restored=True)
        self.logs.restored(region)
        self.network.restored(code)
        self.clients[code].restored()
        if self.dealers:
            self.dealers[code].said.clear()

    # -- running -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold at every moment."""
        for ledger in self.ledgers.values():
            ledger.check()
        self.logs.check()
        check_pairs(self.ledgers)
        if self.dealers:
            check_purchases_under_way(self)

    def quiesce(self) -> None:
        """Faults stop; what is old is still about. Everything must settle, and then everything must agree."""
        self.say(None, "quiet")
        self.network.cut_off.clear()
        for region in self.regions.values():
            region.clock.skew_ms = 0
            region.disk.fault, region.disk.gone = None, False
            if self.restores:
                region.kept.fails = None
            region.adopt(self.rosters[region.office.roster.version :])
        for client in self.clients.values():
            client.calm = True
        end_dealings(self)
        self.talk()
        self.check()
        check_everything(self)

    def talk(self, rounds: int = ROUNDS) -> None:
        """Let everybody speak and hear until nobody has anything to say, with nothing going wrong; or a while only."""
        for _ in range(rounds):
            busy = False
            for code, client in self.clients.items():
                region = self.regions[code]
                busy |= client.go_on(1000) > 0 or region.writer.history.recovering
                for content in client.unanswered():
                    client.job(content)
                busy |= client.calm and client.decide_all() > 0
                for peer in client.peers:
                    busy |= self._tick(region, peer)
                self.commit(region)
                for peer in client.peers:
                    while self.post(region, peer):
                        busy = True
            while self.network.packets:
                busy = True
                packet = self.network.take(self.chance.randrange(len(self.network.packets)), keep=False)
                self.hear(packet)
                if self.chance.random() < 0.7:
                    self.commit(self.regions[packet.destination])
            for region in self.regions.values():
                busy |= bool(region.inbox)
                self.commit(region)
            self.pass_time(2000)
            if not busy:
                return
        if rounds == ROUNDS:
            raise Violation(f"still talking after {ROUNDS} rounds: {self.backlog()}")

    def _tick(self, region: SimRegion, peer: int) -> bool:
        """Ask again what was not answered. Returns whether there was anything to ask."""
        channel = region.channel(peer)
        if channel is not None and is_open(channel) and channel.final == channel.size == channel.receipted:
            there = self.regions[peer].channel(region.code)
            if there is None or there.held >= channel.size:  # or else what it forgot is under way, and may be lost
                return False
        region.inbox.append(region.ask(peer))
        return True

    def backlog(self) -> str:
        """Who waits for what."""
        return "; ".join(
            f"{code}->{peer} ready={c.ready} open={c.peer_open} size={c.size} final={c.final} "
            f"outbox={region.writer.backlogs.get(peer, 0)} {c.condition.name}"
            for code, region in self.regions.items()
            for peer, c in region.writer.channels.items()
        )


def agreed(chance: random.Random, codes: tuple[int, ...]) -> dict[tuple[int, int, str], Terms]:
    """Terms between all regions: rates, categories, reviews and windows drawn at random."""
    terms = {}
    for a, b in combinations(codes, 2):
        for source, destination in ((a, b), (b, a)):
            becomes = list(CATEGORIES[:2])
            if chance.random() < 0.3:
                becomes.reverse()
            for category, other in zip(CATEGORIES[:2], becomes, strict=True):
                rate_p, rate_q = chance.choice(RATES)
                terms[source, destination, category] = Terms(
                    source=source, destination=destination, category=category, becomes=other,
                    rate_p=rate_p, rate_q=rate_q, version=1, min_evidence=chance.choice([1, 2]),
                    review_from=chance.choice([0, 0, 4, 8]), grace_days=chance.choice([0, 3, 30]),
                    reversal_days=chance.choice([2, 30]),
                )  # fmt: skip
    return terms


def otherwise(chance: random.Random, terms: dict[tuple[int, int, str], Terms]) -> dict[tuple[int, int, str], Terms]:
    """The terms as one region has them: now and then it reads one of them otherwise than its peer."""
    own = dict(terms)
    if chance.random() < 0.2:
        key = chance.choice(list(own))
        own[key] = replace(own[key], **chance.choice([{"version": 2}, {"min_evidence": 1}, {"becomes": "culture"}]))
        if chance.random() < 0.2:
            del own[key]
    return own
