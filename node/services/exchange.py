"""Between messages and commands: verify what came, sign what goes, and pick what to send next.

Synchronous and without I/O of its own but reading committed segments, so that the courier's event loop and a
simulation drive the very same code. Order of checks against abuse: identity (the transport's), sizes, signature,
hashing (the writer's).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.protocol import codec, limits, suite
from gateway.protocol.channel import Channel, is_open
from gateway.protocol.errors import Malformed, PeerFault, SkewedClock, TooLarge, Unauthentic
from gateway.protocol.recovery import Run
from gateway.protocol.suite import VerifyKey
from gateway.protocol.values import (
    Delivered,
    Envelope,
    Epoch,
    Fault,
    Fenced,
    Gap,
    Head,
    Log,
    Message,
    NotReady,
    Page,
    Parcel,
    Receipt,
    Repair,
    Resume,
    Signed,
    Stale,
    Standing,
)
from node.services.forks.repair import HearRepair
from node.services.handshake import Begin, Hear, HearReceipt
from node.services.office import Office
from node.services.receive import Receive, parse_body
from node.services.recovery import redo
from node.services.recovery.merge import Returned
from node.services.recovery.page import GivenBack
from node.services.sending import Sending
from node.store.engine import Store


class Exchange:
    """See the module."""

    def __init__(self, office: Office, store: Store) -> None:
        self._office = office
        self.sending = Sending(store)
        #: By how many frames a peer's log may grow before the next receipt.
        self.credit_frames: Callable[[int], int] = lambda _peer: limits.CREDIT_FRAMES
        self._resumes: dict[int, tuple[Epoch, bytes]] = {}  # per peer, its newest that was verified
        self._granted: dict[int, int] = {}  # per peer, the most it was granted

    def begin_anew(self) -> None:
        """What was granted and heard is another process's: this one begins as after a start."""
        self._resumes.clear()
        self._granted.clear()

    # -- what came ---------------------------------------------------------------------------------------------------

    def command(
        self, peer: int, message: Message, *, back_off_ms: int = 0
    ) -> Begin | Hear | HearReceipt | HearRepair | Receive | Returned:
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
                if isinstance(control, Repair):
                    mine = self._office.log_to(peer)
                    self._check_log(control.log, mine if control.log == mine else mine.opposite())
                    return HearRepair(peer=peer, repair=control, signed=codec.encode_signed(message))
                self._check_log(control.log, self._office.log_to(peer).opposite())
                if isinstance(control, Resume):
                    self._keep(peer, control, message)
                proof = self._own_resume(control) if isinstance(control, Stale) else None
                return Hear(peer=peer, message=control, back_off_ms=back_off_ms, proof=proof)
            case Page():
                return self._page(peer, message)
            case Gap() | NotReady():
                return Hear(peer=peer, message=message)
        raise Malformed(f"a {type(message).__name__} is not expected here")

    def _keep(self, peer: int, resume: Resume, signed: Signed) -> None:
        """The newest Resume of a peer: what proves to an older instance of it that there is another."""
        known = self._resumes.get(peer)
        if known is None or resume.epoch.number > known[0].number:
            self._resumes[peer] = resume.epoch, codec.encode_signed(signed)

    def _own_resume(self, stale: Stale) -> Resume | None:
        """The Resume in a Stale, if it proposes what is said to be known and a key of this region signed it."""
        try:
            resume = self._open(self._office.me, codec.decode_signed(stale.resume), codec.RESUME)
        except PeerFault:
            return None
        return resume if isinstance(resume, Resume) and resume.epoch == stale.known else None

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
        granted = self._granted.get(
            peer
        )  # by this process; what one before it granted is never more than `judge` allows
        if granted is not None and head.size > granted:
            raise TooLarge(f"the log may grow to {granted}, not {head.size}, before the next receipt")
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

    def _page(self, peer: int, page: Page) -> Returned:
        """What a peer gives back after a restore: under a head of this region's own, whatever key it had then."""
        mine = seen = None
        if page.frames and page.head is not None:
            mine = self._run(page, page.head, self._office.roster.all_keys(self._office.me), self._office.log_to(peer))
        if page.seen is not None and page.seen.frames and page.seen.head is not None:
            keys = self._office.roster.signing_keys(peer, self._office.clock())
            seen = self._run(page.seen, page.seen.head, keys, self._office.log_to(peer).opposite())
        return Returned(
            peer=peer,
            first=page.first,
            mine=mine,
            seen_first=page.seen.first if page.seen is not None else None,
            seen=seen,
            seen_signed=codec.encode_signed(page.seen.head) if page.seen is not None and page.seen.head else b"",
            parsed=tuple(map(parse_body, seen.frames, seen.bodies)) if seen is not None else (),
            records=tuple(map(partial(redo.read, self._office), mine.frames, mine.bodies)) if mine is not None else (),
        )

    def _run(self, page: Page, signed: Signed, keys: Iterable[VerifyKey], log: Log) -> Run:
        if len(page.frames) > limits.FRAMES_PER_ENVELOPE or len(page.frames) != len(page.bodies):
            raise Malformed(f"a page has up to {limits.FRAMES_PER_ENVELOPE} frames, and a body for each")
        head = codec.decode_payload(codec.HEAD, suite.verify(signed, keys, codec.HEAD))
        assert isinstance(head, Head)
        self._check_log(head.log, log)
        return Run(head=head, raw=page.frames, frames=tuple(map(codec.decode_frame, page.frames)), bodies=page.bodies)

    # -- what goes ---------------------------------------------------------------------------------------------------

    def answers(self, channel: Channel | None, result: Any) -> list[Message]:
        """What to send once a command is committed: signed, with the credit of the channel as it now stands.

        Raises what refused or failed the command, but for Malformed: that is said to the peer.
        """
        if isinstance(result, Malformed):
            return [Fault(what=str(result)[:256])]
        if isinstance(result, Exception):
            raise result
        if result is None or self._office.doubled:
            return []
        said: Iterable[Any] = result if isinstance(result, list | tuple) else (result,)
        return [self._sign(channel, value) for value in said]

    def _sign(self, channel: Channel | None, value: Any) -> Message:
        if isinstance(value, Gap | NotReady | Signed):
            return value
        if isinstance(value, GivenBack):
            return self._sign_page(value)
        if isinstance(value, Fenced | Standing) and channel is not None:
            value = replace(value, credit_size=self._credit(channel))
        if isinstance(value, Stale):
            epoch, resume = self._resumes.get(value.log.destination, (None, b""))
            value = replace(value, resume=resume) if epoch == value.known else value
        signed = self._office.signing_key.sign(codec.payload_type_of(value), codec.encode_payload(value))
        if isinstance(value, Receipt):
            return Delivered(receipt=signed, credit_size=self._credit(channel) if channel else value.size)
        return signed

    def _credit(self, channel: Channel) -> int:
        """What is granted now, kept as a promise. What was granted before stays good: an envelope may have crossed a
        lower grant on its way."""
        credit = min(channel.granted, channel.held + self.credit_frames(channel.peer))
        self._granted[channel.peer] = max(credit, self._granted.get(channel.peer, 0))
        return credit

    def _sign_page(self, given: GivenBack) -> Page:
        if given.page.seen is None or given.head is None:
            return given.page
        key = self._office.signing_key
        head = replace(given.head, suite=key.suite, roster_version=self._office.roster.version)
        return replace(given.page, seen=replace(given.page.seen, head=key.sign(codec.HEAD, codec.encode_payload(head))))

    def parcel(self, channel: Channel | None) -> Parcel | None:
        """The next committed frames for a peer, under a head signed now; None when there is nothing to send yet."""
        if channel is None or not is_open(channel) or self._office.doubled:
            return None
        key = self._office.signing_key
        run = self.sending.next(channel, key.id)
        if run is None:
            return None
        segments = run.segments
        head = Head(
            log=channel.out,
            epoch=channel.epoch,
            first=segments[0].first,
            first_root=run.first_root,
            size=segments[-1].size,
            root=segments[-1].root,
            suite=key.suite,
            roster_version=self._office.roster.version,
            signed_at_ms=self._office.clock(),
        )
        signed = key.sign(codec.HEAD, codec.encode_payload(head))
        packed = b"".join([s.frames for s in segments] + [s.bodies or b"" for s in segments])
        return Parcel(head=signed, packed=packed)
