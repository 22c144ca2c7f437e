"""What is under way between regions, and a witness that remembers every signature: nobody may contradict himself."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.protocol import codec
from gateway.protocol.values import Delivered, Epoch, Head, Log, Message, Page, Receipt, Signed
from gateway.transport import messages
from tests.simulation.violation import Violation

REMEMBERED = 40
"""Packets an eavesdropper keeps for later."""


class Packet(NamedTuple):
    """One message as bytes."""

    source: int
    destination: int
    data: bytes
    what: str  # for the trace


@dataclass
class Network:
    """A bag of packets: no order, no promise."""

    chance: random.Random
    packets: list[Packet] = field(default_factory=list)
    overheard: list[Packet] = field(default_factory=list)
    cut_off: set[frozenset[int]] = field(default_factory=set)  # pairs between which nothing passes
    _roots: dict[tuple[Log, Epoch, int], bytes] = field(default_factory=dict)
    _receipts: dict[tuple[Log, Epoch, int], bytes] = field(default_factory=dict)
    _furthest: dict[tuple[Log, Epoch], int] = field(default_factory=dict)
    _receipted: dict[tuple[Log, Epoch, int], bytes] = field(default_factory=dict)  # roots, whatever was forgotten

    def restored(self, code: int) -> None:
        """A region has forgotten when it received what: its receipts begin anew, over the very same frames."""
        for kept in (self._receipts, self._furthest):
            for of in [of for of in kept if of[0].destination == code]:
                del kept[of]

    def send(self, source: int, destination: int, message: Message) -> Packet:
        """Put a message under way; what it signs is remembered."""
        data = messages.encode(message)
        heard = messages.decode(data)
        what = type(heard).__name__
        if isinstance(heard, Delivered):
            what = self._witness_receipt(source, heard.receipt)
        elif isinstance(heard, Signed):
            what = type(codec.decode_payload(heard.payload_type, heard.payload)).__name__
        elif isinstance(heard, Page):
            what = self._witness_page(source, heard)
        elif not isinstance(heard, messages.Unknown) and hasattr(heard, "head"):
            what = self._witness_head(source, heard.head)
        packet = Packet(source, destination, data, what)
        self.packets.append(packet)
        self.overheard.append(packet)
        del self.overheard[:-REMEMBERED]
        return packet

    def _witness_head(self, source: int, signed: Signed) -> str:
        head = codec.decode_payload(signed.payload_type, signed.payload)
        assert isinstance(head, Head)
        for size, root in ((head.first, head.first_root), (head.size, head.root)):
            if self._roots.setdefault((head.log, head.epoch, size), root) != root:
                raise Violation(f"{source} signs two histories of {size} frames of one log and epoch")
        return f"Envelope[{head.first},{head.size})"

    def _witness_page(self, source: int, page: Page) -> str:
        if page.head is not None:
            self._witness_head(source, page.head)
        seen = page.seen
        if seen is not None and seen.head is not None:
            self._witness_head(source, seen.head)
        beside = f" with [{seen.first},{seen.first + len(seen.frames)})" if seen is not None else ""
        return f"Page[{page.first},{page.first + len(page.frames)}){beside}"

    def _witness_receipt(self, source: int, signed: Signed) -> str:
        receipt = codec.decode_payload(signed.payload_type, signed.payload)
        assert isinstance(receipt, Receipt)
        if self._receipted.setdefault((receipt.log, receipt.epoch, receipt.size), receipt.root) != receipt.root:
            raise Violation(f"{source} receipts two histories of {receipt.size} frames of one log and epoch")
        if self._receipts.setdefault((receipt.log, receipt.epoch, receipt.size), signed.payload) != signed.payload:
            raise Violation(f"{source} signs two different receipts for {receipt.size} frames of one epoch")
        furthest = self._furthest.get((receipt.log, receipt.epoch), 0)
        if receipt.size < furthest:
            raise Violation(f"{source} receipts {receipt.size} frames after {furthest} of the same epoch")
        self._furthest[receipt.log, receipt.epoch] = receipt.size
        return f"Receipt({receipt.size})"

    def passable(self) -> list[int]:
        """Which packets could arrive now."""
        return [i for i, p in enumerate(self.packets) if frozenset((p.source, p.destination)) not in self.cut_off]

    def take(self, i: int, *, keep: bool) -> Packet:
        """The packet, gone from the network unless the network repeats it."""
        packet = self.packets[i]
        if not keep:
            self.packets[i] = self.packets[-1]
            self.packets.pop()
        return packet
