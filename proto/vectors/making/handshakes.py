"""Transcripts of starts: what each side holds, hears and says, step by step (SPEC 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.protocol import channel as channels
from gateway.protocol import codec, handshake, merkle
from gateway.protocol.channel import Channel, Condition
from gateway.protocol.errors import Doubled, Restored
from gateway.protocol.values import (
    NO_EPOCH,
    Ask,
    Behind,
    Draft,
    Epoch,
    Fenced,
    Gap,
    Receipt,
    Resume,
    Stale,
    Standing,
)
from making.ground import HANGZHOU, NINGBO, NOW, Tree, book, log, message, plain, sign

_VOLATILE = ("proposal", "ready", "peer_open", "cursor", "credit")
_DURABLE = ("epoch", "final", "in_epoch", "in_seen", "peer_epoch", "receipted")


@dataclass(kw_only=True)
class Actor:
    """One region: its channel, and the frames and bodies of both logs."""

    code: int
    channel: Channel
    out: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    inn: list[bytes] = field(default_factory=list)
    draws: int = 0

    def nonce(self) -> int:
        """The next of the nonces this region draws."""
        self.draws += 1
        return int(f"{self.code}{self.draws:04d}")

    def state(self) -> dict[str, Any]:
        """What stands in the vector."""
        named = {name: getattr(self.channel, name) for name in _DURABLE + _VOLATILE}
        logs = {"out": [f.hex() for f in self.out], "in": [f.hex() for f in self.inn]}
        return {"condition": self.channel.condition.name.lower(), **plain(named), **logs}

    def seal(self, drafts: list[Draft]) -> None:
        """Number messages."""
        self.channel, sealed = channels.seal(self.channel, drafts)
        self.out += sealed.frames
        self.bodies += sealed.bodies

    def seal_again(self, keep: int) -> None:
        """Number anew what the peer never held."""
        drafts = []
        for raw, body in zip(self.out[keep:], self.bodies[keep:], strict=True):
            f = codec.decode_frame(raw)
            drafts.append(Draft(f.kind, f.reply, f.id, body, f.category, f.amount, f.becomes, f.arriving))
        self.channel = handshake.unsealed(self.channel, Tree(self.out).frontier(keep))
        self.out, self.bodies = self.out[:keep], self.bodies[:keep]
        self.seal(drafts)

    def take(self, other: Actor, count: int) -> None:
        """Append frames of the other log, as if their envelope had come and had been right."""
        taken = other.out[len(self.inn) : len(self.inn) + count]
        self.inn += taken
        last = codec.decode_frame(taken[-1])
        frontier = Tree(self.inn).frontier()
        self.channel = replace(self.channel, in_frontier=frontier, in_epoch=last.epoch, in_seen=last.seen)
        self.channel = channels.raise_final(self.channel, last.seen)

    def restart(self) -> None:
        """The process dies and comes back."""
        self.channel = _left_by_a_crash(self.channel)


def _left_by_a_crash(channel: Channel) -> Channel:
    """What is left of a channel when its process dies: all but what was never written down."""
    return replace(channel, proposal=NO_EPOCH, ready=False, peer_open=False, credit=0)


def _actor(code: int, peer: int) -> Actor:
    return Actor(code=code, channel=Channel(out=log(code, peer)))


class Play:
    """A transcript in the making. The clock moves one second a step."""

    def __init__(self) -> None:
        self.hangzhou, self.ningbo = _actor(HANGZHOU, NINGBO), _actor(NINGBO, HANGZHOU)
        self.now, self.steps = NOW, list[dict[str, Any]]()

    def _step(self, actor: Actor, what: dict[str, Any], act: Callable[[int, int], list[Any]]) -> list[Any]:
        self.now += 1000
        nonce = actor.nonce()
        before, said = actor.state(), act(self.now, nonce)
        self.steps.append(
            {
                "at": actor.code,
                "clock_ms": str(self.now),
                "nonce": str(nonce),
                **what,
                "before": before,
                "says": [_said(actor.code, value) for value in said],
                "after": actor.state(),
            }
        )
        return said

    def start(self, actor: Actor) -> Resume:
        """A process begins: it proposes an epoch."""

        def act(now: int, nonce: int) -> list[Any]:
            actor.channel, resume = handshake.propose(actor.channel, now, nonce)
            return [resume]

        said: Resume = self._step(actor, {"does": "start"}, act)[0]
        return said

    def asks(self, actor: Actor) -> Ask:
        """It asks whether the peer is ready."""
        said: Ask = self._step(actor, {"does": "ask"}, lambda _now, _nonce: [handshake.ask(actor.channel)])[0]
        return said

    def hears(self, actor: Actor, value: Any) -> list[Any]:
        """It hears a message."""
        source = actor.channel.peer
        what = {"hears": {"name": type(value).__name__.lower(), **_bytes(source, value)}}
        return self._step(actor, what, lambda now, nonce: _hear(actor, value, now, nonce))


def _bytes(source: int, value: Any) -> dict[str, Any]:
    if isinstance(value, Gap):
        return {"size": str(value.size)}
    return {"signed": message(sign(source, value)), "fields": plain(value)}


def _said(source: int, value: Any) -> dict[str, Any]:
    return {"name": type(value).__name__.lower(), **_bytes(source, value)}


def _hear(actor: Actor, value: Any, now: int, nonce: int) -> list[Any]:
    """As production's services do it, with the logs in memory."""
    channel, nodes, said = actor.channel, Tree(actor.out), list[Any]()
    if channel.condition is not Condition.OPEN and not isinstance(value, Ask):
        return said
    try:
        match value:
            case Resume():
                channel, answer = handshake.hear_resume(channel, value, nodes)
                said = [answer]
            case Fenced():
                channel, keep = handshake.hear_fenced(channel, value, nodes, Tree(actor.inn))
                if keep is not None and keep < channel.size:
                    actor.channel = channel
                    actor.seal_again(keep)
                    channel = actor.channel
                if keep is not None and not channel.peer_open:
                    said = [handshake.ask(channel)]
            case Behind():
                channel, again = handshake.hear_behind(channel, value, now, nonce)
                said = [again] if again else []
            case Stale():
                channel, again = handshake.hear_stale(channel, value, now, nonce)
                said = [again] if again else []
            case Ask():
                said = [handshake.hear_ask(channel, value, back_off_ms=0, status="active")]
            case Standing():
                channel = handshake.hear_standing(channel, value, nodes)
            case Gap():
                channel = handshake.hear_gap(channel, value)
            case Receipt():
                channel = channels.hear_receipt(channel, value, nodes)
            case _:
                raise AssertionError(value)
    except Restored:
        channel, said = replace(channel, condition=Condition.RESTORED, ready=False, peer_open=False), []
    except Doubled:
        channel, said = replace(channel, ready=False, peer_open=False), []
    actor.channel = channel
    return said


def _drafts(source: int, peer: int, first: int, count: int) -> list[Draft]:
    """Messages as `book` makes them."""
    made = book(source, peer, first + count)
    drafts = []
    for raw, body in zip(made.frames[first:], made.bodies[first:], strict=True):
        f = codec.decode_frame(raw)
        drafts.append(Draft(f.kind, f.reply, f.id, body, f.category, f.amount, f.becomes, f.arriving))
    return drafts


def _open() -> Play:
    """Both sides started, one after the other, and each has said something."""
    play = Play()
    a, b = play.hangzhou, play.ningbo
    (fenced,) = play.hears(b, play.start(a))
    (question,) = play.hears(a, fenced)
    (fenced_too,) = play.hears(a, play.start(b))
    play.hears(b, fenced_too)
    (standing,) = play.hears(b, question)
    play.hears(a, standing)
    return play


def _running() -> Play:
    """As above; four frames of Hangzhou's, of which Ningbo holds three, and two of Ningbo's, both held."""
    play = _open()
    a, b = play.hangzhou, play.ningbo
    play.steps.clear()
    a.seal(_drafts(HANGZHOU, NINGBO, 0, 3))
    b.take(a, 3)
    b.seal(_drafts(NINGBO, HANGZHOU, 0, 2))
    a.take(b, 2)
    a.seal(_drafts(HANGZHOU, NINGBO, 3, 1))
    return play


def _restart() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    a.restart()
    resume = play.start(a)
    (fenced,) = play.hears(b, resume)
    play.hears(a, fenced)
    (behind,) = play.hears(b, resume)  # the network delivers it again
    play.hears(a, behind)
    return play


def _behind() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    a.restart()
    b.channel = replace(b.channel, peer_epoch=Epoch(play.now + 500_000, 9))
    (behind,) = play.hears(b, play.start(a))
    (again,) = play.hears(a, behind)
    (fenced,) = play.hears(b, again)
    play.hears(a, fenced)
    return play


def _old_answer() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    a.restart()
    (old,) = play.hears(b, play.start(a))
    a.restart()  # before the answer came
    (fenced,) = play.hears(b, play.start(a))
    play.hears(a, old)
    play.hears(a, fenced)
    return play


def _not_ready() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    a.restart()
    b.restart()
    (fenced,) = play.hears(b, play.start(a))
    (question,) = play.hears(a, fenced)
    (standing,) = play.hears(b, question)
    play.hears(a, standing)
    (fenced_too,) = play.hears(a, play.start(b))
    play.hears(b, fenced_too)
    (standing,) = play.hears(b, play.asks(a))
    play.hears(a, standing)
    return play


def _stale() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    b.channel = replace(b.channel, peer_epoch=Epoch(a.channel.epoch.number - 7, 5))  # it came back from a backup
    stale = Stale(log=b.channel.out, echo=a.channel.epoch, known=b.channel.peer_epoch)
    (again,) = play.hears(a, stale)
    play.hears(a, stale)  # a second one speaks of what is over
    (fenced,) = play.hears(b, again)
    play.hears(a, fenced)
    return play


def _doubled() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    b.channel = replace(b.channel, peer_epoch=Epoch(a.channel.epoch.number + 7, 5))  # somebody else started as a
    over = Stale(log=b.channel.out, echo=Epoch(a.channel.epoch.number - 1, 1), known=b.channel.peer_epoch)
    play.hears(a, over)  # about what is over: nothing happens
    stale = Stale(log=b.channel.out, echo=a.channel.epoch, known=b.channel.peer_epoch)
    play.hears(a, stale)
    play.hears(a, stale)
    return play


def _restored() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    a.out, a.bodies = a.out[:2], a.bodies[:2]  # an old backup
    a.channel = replace(_left_by_a_crash(a.channel), out_frontier=Tree(a.out).frontier(), final=min(a.channel.final, 2))
    (fenced,) = play.hears(b, play.start(a))
    play.hears(a, fenced)
    play.hears(
        a, Receipt(log=b.channel.into, epoch=NO_EPOCH, size=3, root=b.channel.in_frontier.root(), received_at_ms=NOW)
    )
    return play


def _receipts() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo

    def receipt(size: int, **changes: Any) -> Receipt:
        made = Receipt(
            log=a.channel.out, epoch=a.channel.epoch, size=size, root=Tree(a.out).root(min(size, 4)), received_at_ms=NOW
        )
        return replace(made, **changes)

    play.hears(a, receipt(3))
    play.hears(a, receipt(2))  # an older one, late
    play.hears(a, Gap(size=1))
    play.hears(a, receipt(4, epoch=Epoch(1, 1), root=bytes(32)))  # of what a fence took back
    play.hears(a, receipt(9, root=bytes(32)))  # more than was ever numbered
    assert b.channel.ready
    return play


def handshakes() -> dict[str, Any]:
    """All transcripts."""
    plays: dict[str, Play] = {
        "two regions meet for the first time": _open(),
        "a restart: what the peer never held is numbered again": _restart(),
        "a proposal that is not newer than a fence": _behind(),
        "an answer to an older proposal is not believed": _old_answer(),
        "both start at once": _not_ready(),
        "a peer has forgotten this epoch and answers Stale": _stale(),
        "another instance has started: Stale stops this one": _doubled(),
        "a node that was restored from an old backup stops": _restored(),
        "receipts, late, old and impossible, and a gap": _receipts(),
    }
    return {
        "about": "SPEC 5. In each step one region does or hears something by its clock, with a nonce it may use, and "
        "comes from the state `before` to the state `after`; `says` is what it sends then. `out` and `in` are all "
        "frames of the log from it and to it. Between the sides of a transcript nothing travels but what is shown.",
        "empty_root": merkle.EMPTY_ROOT.hex(),
        "transcripts": [{"name": name, "steps": play.steps} for name, play in plays.items()],
    }
