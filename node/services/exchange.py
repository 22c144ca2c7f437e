"""Between messages and commands: verify what came, sign what goes, and pick what to send next.

Synchronous and without I/O of its own but reading committed segments, so that the courier's event loop and a
simulation drive the very same code. Order of checks against abuse: identity (the transport's), sizes, signature,
hashing (the writer's).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.protocol import codec, limits, suite
from gateway.protocol.channel import Channel, is_open
from gateway.protocol.errors import Malformed, ProtocolError, SkewedClock, Unauthentic
from gateway.protocol.values import (
    Delivered,
    Envelope,
    Fault,
    Gap,
    Head,
    Log,
    Message,
    NotReady,
    Parcel,
    Receipt,
    Signed,
)
from node.services.handshake import Begin, Hear, HearReceipt
from node.services.office import Office
from node.services.receive import Receive, parse_body
from node.store import logs
from node.store.engine import Store

WINDOW_FRAMES = limits.ENVELOPES_IN_FLIGHT * limits.FRAMES_PER_ENVELOPE
"""Frames under way to one peer at most."""


@dataclass(slots=True)
class _Sending:
    """Where sending to a peer has come; volatile."""

    next: int = 0
    rewinds: int = -1


class Exchange:
    """See the module. `channels` gives the channels as last committed."""

    def __init__(self, office: Office, store: Store) -> None:
        self._office, self._store = office, store
        self._sending: dict[int, _Sending] = {}

    # -- what came ---------------------------------------------------------------------------------------------------

    def command(self, peer: int, message: Message, *, back_off_ms: int = 0) -> Begin | Hear | HearReceipt | Receive:
        """The command a message asks of the writer. Raises PeerFault for what is not authentic or breaks a rule."""
        match message:
            case Envelope():
                return self._envelope(peer, message)
            case Delivered(receipt=signed, credit_size=credit):
                receipt = self._open(peer, signed, codec.RECEIPT)
                assert isinstance(receipt, Receipt)
                self._check_log(receipt.log, self._office.log_to(peer))
                return HearReceipt(peer=peer, receipt=receipt, signed=codec.encode_signed(signed), credit_size=credit)
            case Signed():
                control = self._open(peer, message, message.payload_type)
                if isinstance(control, Head | Receipt):
                    raise Malformed("a head or a receipt does not travel by itself")
                self._check_log(control.log, self._office.log_to(peer).opposite())
                return Hear(peer=peer, message=control, back_off_ms=back_off_ms)
            case Gap() | NotReady():
                return Hear(peer=peer, message=message)
        raise Malformed(f"a {type(message).__name__} is not expected here")

    def _open(self, peer: int, signed: Signed, payload_type: str) -> Any:
        keys = self._office.roster.signing_keys(peer, self._office.clock())
        return codec.decode_payload(payload_type, suite.verify(signed, keys, payload_type))

    def _check_log(self, named: Log, expected: Log) -> None:
        if named != expected:
            raise Unauthentic(
                f"signed for the log {named.source}->{named.destination} of {named.environment!r}, generation "
                f"{named.generation}; this is {expected.source}->{expected.destination} of {expected.environment!r}"
            )

    def _envelope(self, peer: int, envelope: Envelope) -> Receive:
        if len(envelope.frames) > limits.FRAMES_PER_ENVELOPE:
            raise Malformed(f"{len(envelope.frames)} frames in one envelope; at most {limits.FRAMES_PER_ENVELOPE}")
        if not envelope.frames or len(envelope.frames) != len(envelope.bodies):
            raise Malformed("an envelope has frames, and a body for each")
        head: Head = self._open(peer, envelope.head, codec.HEAD)
        self._check_log(head.log, self._office.log_to(peer).opposite())
        skew = head.signed_at_ms - self._office.clock()
        if abs(skew) > limits.CLOCK_SKEW_MS:
            raise SkewedClock(
                f"region {peer} signed {abs(skew) // 1000} s {'after' if skew > 0 else 'before'} this region's clock; "
                "set the clocks of both nodes by NTP"
            )
        frames = tuple(map(codec.decode_frame, envelope.frames))
        parsed = tuple(parse_body(frame, body) for frame, body in zip(frames, envelope.bodies, strict=True))
        return Receive(
            peer=peer,
            head=head,
            signed=codec.encode_signed(envelope.head),
            raw=envelope.frames,
            frames=frames,
            bodies=envelope.bodies,
            parsed=parsed,
        )

    # -- what goes ---------------------------------------------------------------------------------------------------

    def answers(self, channel: Channel | None, result: Any) -> list[Message]:
        """What to send once a command is committed: signed, with the credit of the channel as it now stands."""
        if isinstance(result, ProtocolError):
            if isinstance(result, Malformed):
                return [Fault(what=str(result)[:256])]
            raise result
        if result is None:
            return []
        said: Iterable[Any] = result if isinstance(result, list | tuple) else (result,)
        return [self._sign(channel, value) for value in said]

    def _sign(self, channel: Channel | None, value: Any) -> Message:
        if isinstance(value, Gap | NotReady):
            return value
        signed = self._office.signing_key.sign(codec.payload_type_of(value), codec.encode_payload(value))
        if isinstance(value, Receipt):
            return Delivered(receipt=signed, credit_size=channel.granted if channel else value.size)
        return signed

    def parcel(self, channel: Channel | None) -> Parcel | None:
        """The next committed frames for a peer, under a head signed now; None when there is nothing to send yet."""
        if channel is None or not is_open(channel):
            return None
        sending = self._sending.setdefault(channel.peer, _Sending())
        if sending.rewinds != channel.rewinds:
            sending.rewinds, sending.next = channel.rewinds, channel.cursor
        first = sending.next = max(sending.next, channel.final)
        limit = min(channel.size, channel.credit, channel.final + WINDOW_FRAMES)
        if first >= limit:
            return None
        with self._store.read() as conn:
            out = channel.out
            number = logs.number_of(conn, out.source, out.destination, out.generation)
            run = _run(logs.segments(conn, number, first, limits.FRAMES_PER_ENVELOPE), limit)
            if not run:
                return None
            first_root = logs.root_before(conn, number, run[0].first)
        if any(s.epoch > channel.epoch.number for s in run):
            return None  # sealed again since `channel` was committed: its head must not be signed under the old epoch
        sending.next = run[-1].size
        head = Head(
            log=out,
            epoch=channel.epoch,
            first=run[0].first,
            first_root=first_root,
            size=run[-1].size,
            root=run[-1].root,
            suite=self._office.signing_key.suite,
            roster_version=self._office.roster.version,
            signed_at_ms=self._office.clock(),
        )
        signed = self._office.signing_key.sign(codec.HEAD, codec.encode_payload(head))
        packed = b"".join([s.frames for s in run] + [s.bodies or b"" for s in run])
        return Parcel(head=signed, packed=packed)


def _run(segments: Iterable[logs.Segment], limit: int) -> list[logs.Segment]:
    """The longest run of segments that fits one envelope and ends by `limit`."""
    run: list[logs.Segment] = []
    size = 0
    for s in segments:
        size += len(s.frames) + len(s.bodies or b"")
        if s.size > limit or (
            run and (size > limits.ENVELOPE_BYTES or s.size - run[0].first > limits.FRAMES_PER_ENVELOPE)
        ):
            break
        run.append(s)
    return run
