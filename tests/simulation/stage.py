"""A history written by hand: two regions, no chance, every packet where the author wants it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.protocol import codec, merkle, roster
from gateway.protocol.values import Draft, Envelope, Epoch, Head, Signed, Status
from gateway.transport import messages
from node.services.account import OpenAccount
from node.services.address import NewAddress
from node.services.award import Award
from node.services.offer import Review
from node.services.reversal import AskReversal
from node.services.spend import Spend
from node.services.transfer import Order, Placed
from tests.federation import CATEGORIES, plain_terms, signing_key
from tests.simulation import forgery
from tests.simulation.network import Packet
from tests.simulation.region import SimRegion
from tests.simulation.violation import Violation
from tests.simulation.world import CODES, World

DAY = 86_400_000


class Stage:
    """Regions `a` and `b`, each with a resident called `x`. What is kept back of the wire waits in `late`."""

    def __init__(self, *, restores: bool = False, **terms: Any) -> None:
        """`restores`: a witness tells each region that it was restored; without it the other region does."""
        codes = CODES[:2]
        self.world = World(1, codes=codes, terms=plain_terms(codes, **terms), restores=restores)
        self.a, self.b = (self.world.regions[code] for code in codes)
        self.late: list[Packet] = []
        self.made = 0
        for region in (self.a, self.b):
            self.do(region, OpenAccount(name="x"))
            self.do(region, NewAddress(account="x"))
        self.world.talk()

    def finish(self) -> None:
        """Everything settles and is checked."""
        self.world.network.packets += self.late
        self.world.quiesce()

    def check(self) -> None:
        """What holds at every moment holds now."""
        self.world.check()

    def expect(self, held: object, what: str) -> None:
        """Raises Violation."""
        if not held:
            raise Violation(what)

    # -- commands ----------------------------------------------------------------------------------------------------

    def do(self, region: SimRegion, command: Any) -> Any:
        """One command, committed by itself. Returns its answer, be it a refusal."""
        answers: list[Any] = []
        client = self.world.clients[region.code]
        told = client.job(command).told

        def hear(answer: Any) -> None:
            answers.append(answer)
            if told is not None:
                told(answer)

        region.inbox[-1] = replace(region.inbox[-1], told=hear)
        self.world.commit(region)
        return answers[0] if answers else None

    def award(self, region: SimRegion, amount: int, **more: Any) -> Any:
        """Points for the resident."""
        return self.do(region, Award(**self._key() | more, account="x", category=CATEGORIES[0], amount=amount))

    def spend(self, region: SimRegion, amount: int) -> Any:
        """Redeem at home."""
        return self.do(region, Spend(**self._key(), account="x", category=CATEGORIES[0], amount=amount))

    def order(self, region: SimRegion, amount: int) -> Placed:
        """Points to the resident of the other region."""
        return self.do(region, self._order(region, amount))  # type: ignore[no-any-return]

    def orders(self, region: SimRegion, *amounts: int) -> None:
        """Several, committed as one group."""
        for amount in amounts:
            self.world.clients[region.code].job(self._order(region, amount))
        self.world.commit(region)

    def _order(self, region: SimRegion, amount: int) -> Order:
        other = self.b if region is self.a else self.a
        address = self.world.clients[other.code].addresses[other.code][0]
        return Order(**self._key(), account="x", category=CATEGORIES[0], amount=amount, address=address)

    def reverse(self, region: SimRegion, transfer: Placed) -> Any:
        """Ask for an accepted transfer back."""
        return self.do(region, AskReversal(**self._key(), transfer=bytes.fromhex(transfer.id)))

    def review(self, region: SimRegion, transfer: Placed, *, accept: bool = True) -> Any:
        """A clerk decides."""
        source = self.a.code if region is self.b else self.b.code
        return self.do(region, Review(source=source, id=bytes.fromhex(transfer.id), accept=accept, by="clerk"))

    def _key(self) -> dict[str, str]:
        self.made += 1
        return {"client": "play", "key": str(self.made)}

    def roster_where(self, region: SimRegion, status: Status) -> Signed:
        """The next roster, in which a region has this status. Everybody gets it in the end."""
        now = region.office.roster
        regions = tuple(replace(r, status=status) if r.code == region.code else r for r in now.regions)
        newer = replace(now, version=now.version + 1, issued_at_ms=now.issued_at_ms + 1, regions=regions)
        self.world.rosters.append(roster.sign(newer, [signing_key("root 0"), signing_key("root 1")]))
        return self.world.rosters[-1]

    # -- the wire ----------------------------------------------------------------------------------------------------

    def push(self, region: SimRegion, *, hold: tuple[str, ...] = ()) -> None:
        """Send what there is, and deliver all that follows but the kinds named in `hold`."""
        peer = self.b if region is self.a else self.a
        while self.world.post(region, peer.code):
            pass
        self.deliver(hold=hold)

    def deliver(self, *, hold: tuple[str, ...] = ()) -> None:
        """Deliver in order, answers too; keep back what `hold` names."""
        packets = self.world.network.packets
        while packets:
            packet = packets.pop(0)
            if packet.what.startswith(hold):
                self.late.append(packet)
            elif self.world.hear(packet) is not None:
                self.world.commit(self.world.regions[packet.destination])

    def exchange(self) -> None:
        """Send and deliver until nobody has anything to send."""
        while any(self.world.post(region, peer.code) for region, peer in ((self.a, self.b), (self.b, self.a))):
            self.deliver()

    def arrive(self) -> None:
        """What was kept back arrives now."""
        self.world.network.packets += self.late
        self.late = []
        self.deliver()

    def ask(self, region: SimRegion) -> None:
        """What is said first on a new stream is committed and under way; nothing is delivered yet."""
        region.inbox.append(region.ask((self.b if region is self.a else self.a).code))
        self.world.commit(region)

    def restart(self, region: SimRegion) -> None:
        """The process dies, and a new one starts that has not said anything yet."""
        region.start()

    def say(self, region: SimRegion, draft: Draft) -> None:
        """Let the region say what no service would."""
        forgery.say(region, (self.b if region is self.a else self.a).code, draft)
        self.world.invented.add(draft.id)
        self.world.commit(region)

    def forge(self, region: SimRegion, change: Callable[[Envelope], Envelope]) -> None:
        """The next envelope of the region arrives changed, and nothing comes of it; then the true one arrives."""
        peer = self.b if region is self.a else self.a
        self.expect(self.world.post(region, peer.code), "there is nothing to send")
        true = self.world.network.packets.pop()
        envelope = messages.decode(true.data)
        assert isinstance(envelope, Envelope)
        data = messages.encode(change(envelope))
        before = peer.changes()
        self.world.hear_stranger(true._replace(data=data))
        self.expect(peer.changes() == before, "a forged envelope was believed")
        self.world.network.packets.append(true)
        self.deliver()

    def lie(self, region: SimRegion, draft: Draft, *, seen: int) -> None:
        """The region signs a frame it never numbered, with a `seen` of its own invention; its books know nothing."""
        peer = self.b if region is self.a else self.a
        channel = region.channel(peer.code)
        assert channel is not None
        frame = codec.encode_frame(draft, seen, channel.epoch.number)
        end = channel.out_frontier.extend(merkle.leaf_hashes([frame]))
        head = Head(
            log=channel.out,
            epoch=channel.epoch,
            first=channel.size,
            first_root=channel.out_frontier.root(),
            size=end.size,
            root=end.root(),
            suite=region.office.signing_key.suite,
            roster_version=1,
            signed_at_ms=region.clock(),
        )
        signed = region.office.signing_key.sign(codec.HEAD, codec.encode_payload(head))
        envelope = Envelope(head=signed, frames=(frame,), bodies=(draft.body,))
        packet = Packet(region.code, peer.code, messages.encode(envelope), "Envelope")
        self.world.hear_stranger(packet)

    # -- backups -----------------------------------------------------------------------------------------------------

    def backup(self, region: SimRegion) -> sqlite3.Connection:
        """The database as it is now."""
        copy = sqlite3.connect(":memory:")
        region.disk.driver.backup(copy)
        return copy

    def restore(self, region: SimRegion, copy: sqlite3.Connection) -> None:
        """Put a backup back from which nothing is missing but what the handshake left behind."""
        copy.backup(region.disk.driver)
        region.start()
        self.world.tell_of_restore(region)

    # -- looking -----------------------------------------------------------------------------------------------------

    def points(self, region: SimRegion) -> int:
        """What the resident can spend."""
        rows = region.rows("SELECT sum(credits_posted - debits_posted - debits_pending) FROM balance WHERE resident")
        return int(rows[0][0] or 0)

    def known(self, region: SimRegion) -> Epoch:
        """The other's epoch as a region has fenced it."""
        return next(iter(region.writer.channels.values())).peer_epoch

    def held(self, region: SimRegion) -> int:
        """How many frames of the other's log a region holds."""
        return next(iter(region.writer.channels.values())).held
