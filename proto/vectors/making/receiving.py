"""An envelope arrives: what the receiver must say, for every row of SPEC 4."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gateway.protocol import channel as channels
from gateway.protocol import codec
from gateway.protocol.channel import Append, Channel, Condition, Duplicate, Fork, OutOfStep
from gateway.protocol.errors import PeerFault
from gateway.protocol.values import Envelope, Epoch, Gap, Kind, NotReady, Stale
from gateway.transport import messages
from making.ground import (
    EPOCH_OF,
    HANGZHOU,
    MEMBERS,
    NINGBO,
    NOW,
    Book,
    Tree,
    book,
    draft,
    key,
    log,
    octets,
    plain,
    sign,
)
from node.services.exchange import Exchange
from node.services.office import Office

THEIRS = EPOCH_OF[HANGZHOU]
NEXT = Epoch(THEIRS.number + 9000, 77)


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Ningbo as it stands: `held` frames of Hangzhou's log, `size` frames in its own log to Hangzhou."""

    held: list[bytes]
    size: int = 8
    ready: bool = True
    peer_open: bool = True
    condition: Condition = Condition.OPEN
    peer_epoch: Epoch = THEIRS
    in_epoch: int = 0
    in_seen: int = 0

    def channel(self) -> Channel:
        """As production has it."""
        return Channel(
            out=log(NINGBO, HANGZHOU),
            condition=self.condition,
            epoch=EPOCH_OF[NINGBO],
            out_frontier=book(NINGBO, HANGZHOU, self.size).tree.frontier(),
            in_frontier=Tree(self.held).frontier(),
            in_epoch=self.in_epoch,
            in_seen=self.in_seen,
            peer_epoch=self.peer_epoch,
            ready=self.ready,
            peer_open=self.peer_open,
        )

    def fields(self) -> dict[str, Any]:
        """As the vector has it."""
        return {
            "held_frames": [frame.hex() for frame in self.held],
            "own_size": str(self.size),
            "ready": self.ready,
            "peer_open": self.peer_open,
            "condition": self.condition.name.lower(),
            "peer_epoch": plain(self.peer_epoch),
            "in_epoch": str(self.in_epoch),
            "in_seen": str(self.in_seen),
            "clock_ms": str(NOW),
        }


def _receiver(frames: int, **changes: Any) -> Receiver:
    """Ningbo, holding so many frames of Hangzhou's log as `book` makes it."""
    held = book(HANGZHOU, NINGBO).frames[:frames]
    last = codec.decode_frame(held[-1]) if held else None
    made = Receiver(held=held, in_epoch=last.epoch if last else 0, in_seen=last.seen if last else 0)
    return replace(made, **changes)


def _exchange() -> Exchange:
    office = Office(
        me=NINGBO,
        signing_key=key(NINGBO),
        id_secret=bytes(32),
        redo_secret=bytes(32),
        roster=MEMBERS,
        terms={},
        clock=lambda: NOW,
        random=lambda count: octets("salts", count),
    )
    return Exchange(office, None)  # type: ignore[arg-type]  # nothing here reads the store


def verdict(receiver: Receiver, data: bytes) -> dict[str, Any]:
    """What production makes of the bytes of a Message."""
    try:
        envelope = messages.decode(data)
        assert isinstance(envelope, Envelope)
        command: Any = _exchange().command(HANGZHOU, envelope)
        given = command.head, command.raw, command.frames, command.bodies, Tree(receiver.held)
        found = channels.judge(receiver.channel(), *given)
    except PeerFault as fault:
        return {
            "is": {"SkewedClock": "skewed_clock", "TooLarge": "too_large"}.get(
                type(fault).__name__, type(fault).__name__.lower()
            )
        }
    match found:
        case Append():
            channel = channels.append(receiver.channel(), found, command.head, command.frames[found.skip :], NOW)
            receipt = channel.receipt
            signed = sign(NINGBO, receipt)
            return {
                "is": "append",
                "skip": found.skip,
                "receipt": plain(receipt),
                "signed_receipt": codec.encode_signed(signed).hex(),
                "final": str(channel.final),
            }
        case Gap():
            return {"is": "gap", "size": str(found.size)}
        case Stale():
            return {"is": "stale", "answer": plain(found)}
        case Fork():
            return {"is": "fork", **plain(found)}
        case Duplicate():
            return {"is": "duplicate"}
        case OutOfStep():
            return {"is": "out_of_step"}
        case NotReady():
            return {"is": "not_ready"}
    raise AssertionError(found)


def _edited(envelope: Envelope, **changes: Any) -> Envelope:
    return replace(envelope, **changes)


def _other_history(at: int) -> Book:
    """Hangzhou's log with another frame number `at`, and all after it the same."""
    made = book(HANGZHOU, NINGBO)
    other = draft(Kind.CANCEL, "another", codec.encode_cancel(b""))
    made.frames[at] = codec.encode_frame(other, at // 2, THEIRS.number)
    made.bodies[at] = other.body
    return made


def _log_where(number: int, seen: int, epoch: int | None = None) -> Book:
    """Hangzhou's log with frame `number` having seen that much, numbered in that epoch."""
    made = book(HANGZHOU, NINGBO)
    message = draft(Kind.CANCEL, "strange", codec.encode_cancel(b""))
    made.frames[number] = codec.encode_frame(message, seen, THEIRS.number if epoch is None else epoch)
    made.bodies[number] = message.body
    return made


def _with_a_bad_frame() -> Book:
    made = book(HANGZHOU, NINGBO)
    made.frames[4] = made.frames[4][:-1]
    return made


def _a_good_body(name: str, body: bytes) -> Book:
    """Frame 4 commits to this body."""
    made = book(HANGZHOU, NINGBO)
    message = draft(Kind.OFFER, name, body)
    made.frames[4], made.bodies[4] = codec.encode_frame(message, 2, THEIRS.number), message.body
    return made


def _cases() -> dict[str, tuple[Receiver, Envelope]]:
    there = book(HANGZHOU, NINGBO)
    three, eight = _receiver(3), _receiver(8)
    good, whole = there.envelope(3, 6), there.envelope(0, 6)
    flipped = (good.frames[0], good.frames[1][:-1] + b"\x00", good.frames[2])
    return {
        "the next three frames": (three, good),
        "the very first frames": (_receiver(0), there.envelope(0, 4)),
        "frames of which some are held: only the rest is appended": (three, whole),
        "other batches than those they came in once": (_receiver(5), there.envelope(1, 8)),
        "nothing new": (eight, there.envelope(3, 6)),
        "nothing new, up to the last frame held": (eight, there.envelope(6, 8)),
        "frames that begin later than what is held": (three, there.envelope(4, 6)),
        "a start that is not finished": (replace(three, ready=False), good),
        "a peer that has not said it is ready": (replace(three, peer_open=False), good),
        "a channel in quarantine": (replace(three, condition=Condition.QUARANTINED), good),
        "a receiver that was restored": (replace(three, condition=Condition.RESTORED), good),
        "a gap at a receiver that is not ready": (replace(three, ready=False), there.envelope(4, 6)),
        "an epoch that is fenced": (replace(three, peer_epoch=NEXT), good),
        "an epoch that nobody has announced": (three, there.envelope(3, 6, epoch=NEXT)),
        "the same number with another nonce": (three, there.envelope(3, 6, epoch=Epoch(THEIRS.number, 1))),
        "a gap under an epoch that is fenced": (replace(three, peer_epoch=NEXT), there.envelope(4, 6)),
        "a new epoch that resends frames of an older one": (
            replace(three, peer_epoch=NEXT),
            there.envelope(1, 6, epoch=NEXT),
        ),
        "a frame with a bit flipped": (three, _edited(good, frames=flipped)),
        "frames in another order": (three, _edited(good, frames=good.frames[::-1], bodies=good.bodies[::-1])),
        "a frame less than the head says": (three, _edited(good, frames=good.frames[:2], bodies=good.bodies[:2])),
        "a frame more than the head says": (
            three,
            _edited(good, frames=(*good.frames, there.frames[6]), bodies=(*good.bodies, there.bodies[6])),
        ),
        "fewer bodies than frames": (three, _edited(good, bodies=good.bodies[:2])),
        "no frames at all": (three, _edited(there.envelope(3, 3))),
        "a body with a bit flipped": (
            three,
            _edited(good, bodies=(good.bodies[0], good.bodies[1][:-1] + b"\x00", good.bodies[2])),
        ),
        "a body that was erased": (three, _edited(good, bodies=(good.bodies[0], b"", good.bodies[2]))),
        "a body that is no protobuf: appended, and refused by name": (
            three,
            _a_good_body("strange body", b"\xff").envelope(3, 6),
        ),
        "a frame that breaks a rule of the header": (three, _with_a_bad_frame().envelope(3, 6)),
        "a frame of an epoch after the head's": (three, _log_where(4, 2, THEIRS.number + 1).envelope(3, 6)),
        "a frame of an epoch before the last one held": (three, _log_where(4, 2, THEIRS.number - 1).envelope(3, 6)),
        "a frame that has seen what does not exist": (replace(three, size=2), _log_where(4, 3).envelope(3, 5)),
        "a frame that has seen less than the one before": (_receiver(4), _log_where(4, 0).envelope(4, 6)),
        "another root at the first frame": (three, there.envelope(3, 6, first_root=bytes(32))),
        "another history of the frames below: its first frame": (_receiver(6), _other_history(1).envelope(3, 8)),
        "another history that the frames themselves show": (_receiver(5), _other_history(4).envelope(3, 8)),
        "frames that are held already, altered, with good ones after them": (
            three,
            _edited(whole, frames=(*_other_history(1).frames[:3], *whole.frames[3:])),
        ),
        "a log that begins with something before nothing": (
            _receiver(0),
            there.envelope(0, 4, first_root=b"\x01" * 32),
        ),
        "another root for a size that is held": (eight, _other_history(4).envelope(3, 6)),
        "a root that the frames do not lead to": (three, there.envelope(3, 6, root=bytes(32))),
        "signed ten minutes before": (three, there.envelope(3, 6, signed_at_ms=NOW - 600_000)),
        "signed more than ten minutes before": (three, there.envelope(3, 6, signed_at_ms=NOW - 600_001)),
        "signed more than ten minutes ahead": (three, there.envelope(3, 6, signed_at_ms=NOW + 600_001)),
        "for another region": (three, there.envelope(3, 6, log=log(HANGZHOU, 330600))),
        "of another environment": (three, there.envelope(3, 6, log=there.log._replace(environment="production"))),
        "of another federation": (three, there.envelope(3, 6, log=there.log._replace(federation=bytes(32)))),
        "of another generation": (three, there.envelope(3, 6, log=there.log._replace(generation=2))),
        "signed by somebody else": (three, _edited(good, head=sign(NINGBO, there.head(3, 6)))),
        "a receipt in the head's place": (three, _edited(good, head=sign(HANGZHOU, there.receipt(6)))),
        "a head with a bit flipped": (three, _edited(good, head=_flip(good.head))),
    }


def _flip(signed: Any) -> Any:
    payload = bytearray(signed.payload)
    payload[40] ^= 1
    return replace(signed, payload=bytes(payload))


def receiving() -> dict[str, Any]:
    """Every case with production's verdict."""
    made = []
    for name, (receiver, envelope) in _cases().items():
        data = messages.encode(envelope)
        found = verdict(receiver, data)
        made.append({"name": name, "receiver": receiver.fields(), "message": data.hex(), "verdict": found})
    return {
        "about": "SPEC 4. Ningbo holds `held_frames` of Hangzhou's log and has numbered `own_size` frames itself when "
        "`message` (a serialised Message) comes in by Ningbo's clock. A receipt is dated by that clock.",
        "source": HANGZHOU,
        "destination": NINGBO,
        "cases": made,
    }
