"""Several processes of one region over one PostgreSQL, driven step by step: each with its own memory and witness."""

from __future__ import annotations

from node.services.exchange import Exchange
from node.services.handshake import Begin
from node.services.several import Several, Sit
from node.services.writer import Writer
from node.store import history
from node.store.engine import open_store
from node.witness import WitnessInMemory, begin
from tests.federation import Pair, TestRegion


class Process(TestRegion):
    """One of several processes of a region."""

    def __init__(self, region: TestRegion, url: str, name: str, *, joins: bool = False) -> None:
        """It starts at once, with the keys of `region`. `joins`: it has no witness yet, and others are there."""
        self.code, self.clock, self.chance, self.office = region.code, region.clock, region.chance, region.office
        self.name, self.store = name, open_store(url, asleep_s=15)
        with self.store.read() as conn:
            whole = begin(self.code, history.load(conn).lineage)
        self.witness = WitnessInMemory(None if joins else whole)
        self.start()
        self.do()

    def start(self) -> None:
        """The process dies, and a new one of the same name starts."""
        self.writer = Writer(self.store, self.office, self.witness, Several(self.name))
        self.exchange = Exchange(self.office, self.store)
        self.writer.on_sealed(self.exchange.sending.sealed)

    def sit(self) -> None:
        """Take the sealer's seat, as a process does that got the lock."""
        self.one(Sit(process=self.name, token=self.chance.randbytes(8).hex()))
        self.do()


def take_over(made: Pair, process: Process) -> None:
    """The process becomes the sealer, and greets every peer; whatever was on the wire is lost with the one before."""
    process.sit()
    made.wire.clear()
    made.regions[process.code] = process
    for peer in made.regions:
        if peer != process.code:
            made.send(process.code, peer, process.say(peer, Begin(peer=peer)))
            made.send(peer, process.code, made.regions[peer].say(process.code, Begin(peer=process.code)))
    made.pump()
