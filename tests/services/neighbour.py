"""A region that says whatever a test wants it to, in well-formed, signed messages: the other end of a real region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.protocol import channel as channels
from gateway.protocol import codec, handshake, merkle
from gateway.protocol.channel import Channel
from gateway.protocol.values import Delivered, Draft, Envelope, Fenced, Frame, Head, Message, Signed
from node.services.handshake import Begin
from tests.federation import TestRegion, signing_key


class Frames:
    """A log kept whole in memory, as merkle.Nodes."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.bodies: list[bytes] = []

    def node(self, level: int, index: int) -> bytes:
        if level == 0:
            return merkle.leaf_hash(self.frames[index])
        return merkle.node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))


class Neighbour:
    """Connected to `region` from the start. `heard` is every frame of the region's log, with its body."""

    __test__ = False

    def __init__(self, code: int, region: TestRegion) -> None:
        self.code, self.region, self.key = code, region, signing_key(code)
        log = region.office.log_to(code).opposite()
        self.channel = Channel(out=log)
        self.out = Frames()
        self.heard: list[tuple[Frame, bytes]] = []
        self._connect()

    def _sign(self, value: Any) -> Signed:
        return self.key.sign(codec.payload_type_of(value), codec.encode_payload(value))

    def _connect(self) -> None:
        now = self.region.clock()
        self.channel, resume = handshake.propose(self.channel, now, 1)
        fenced = self._answer(self.region.hear(self.code, self._sign(resume)), Fenced)
        self.channel, _ = handshake.hear_fenced(self.channel, fenced, self.out, self.out)
        (resume_too,) = self.region.say(self.code, Begin(peer=self.code))
        assert isinstance(resume_too, Signed)
        proposed: Any = codec.decode_payload(resume_too.payload_type, resume_too.payload)
        self.channel, mine = handshake.hear_resume(self.channel, proposed, self.out)
        self.region.hear(self.code, self._sign(mine))

    def _answer(self, messages: Sequence[Message], kind: type) -> Any:
        for message in messages:
            if isinstance(message, Signed):
                value = codec.decode_payload(message.payload_type, message.payload)
                if isinstance(value, kind):
                    return value
        raise AssertionError(f"no {kind.__name__} among {messages}")

    def envelope(self, drafts: Sequence[Draft], **changes: Any) -> Envelope:
        """These messages, numbered and signed."""
        first, first_root = self.channel.size, self.channel.out_frontier.root()
        self.channel, sealed = channels.seal(self.channel, drafts)
        self.out.frames += sealed.frames
        self.out.bodies += sealed.bodies
        head: dict[str, Any] = {
            "log": self.channel.out, "epoch": self.channel.epoch, "first": first, "first_root": first_root,
            "size": self.channel.size, "root": self.channel.out_frontier.root(), "suite": self.key.suite,
            "roster_version": 1, "signed_at_ms": self.region.clock(),
        }  # fmt: skip
        signed = self._sign(Head(**{**head, **changes}))
        return Envelope(head=signed, frames=tuple(sealed.frames), bodies=tuple(sealed.bodies))

    def say(self, *drafts: Draft) -> list[tuple[Frame, bytes]]:
        """Say these in one envelope, which must be receipted; what the region says in its own log since then."""
        answers = self.region.hear(self.code, self.envelope(drafts))
        assert any(isinstance(answer, Delivered) for answer in answers), answers
        return self.listen()

    def listen(self) -> list[tuple[Frame, bytes]]:
        """Take in what the region has numbered since the last time."""
        before = len(self.heard)
        while (parcel := self.region.exchange.parcel(self.region.writer.channels[self.code])) is not None:
            raw, bodies = codec.unpack_frames(parcel.packed), codec.unpack_bodies(parcel.packed)
            pairs = [(codec.decode_frame(frame), body) for frame, body in zip(raw, bodies, strict=True)]
            frontier = self.channel.in_frontier.extend(merkle.leaf_hashes(raw))
            head: Any = codec.decode_payload(parcel.head.payload_type, parcel.head.payload)
            assert (head.size, head.root) == (frontier.size, frontier.root())
            last = pairs[-1][0]
            verdict = channels.Append(skip=0, frontier=frontier, nodes=[])
            frames = [frame for frame, _ in pairs]
            self.channel = channels.append(self.channel, verdict, head, frames, self.region.clock())
            assert self.channel.in_seen == last.seen
            self.heard += pairs
        return self.heard[before:]
