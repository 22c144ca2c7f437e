"""Two regions on a stage: what each of them hears, says and remembers, for the transcripts of the handshake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.protocol import channel as channels
from gateway.protocol import codec, handshake, recovery, suite
from gateway.protocol.channel import STOPPED, Channel
from gateway.protocol.errors import Doubled, PeerFault, Restored
from gateway.protocol.values import (
    NO_EPOCH,
    Ask,
    Behind,
    Draft,
    Fenced,
    Gap,
    Page,
    Receipt,
    Resume,
    Stale,
    Standing,
)
from gateway.transport import messages
from making.ground import HANGZHOU, NINGBO, NOW, Tree, key, log, message, plain, sign

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
        fenced = codec.encode_payload(self.channel.fenced).hex() if self.channel.fenced else ""
        return {"condition": self.channel.condition.name.lower(), **plain(named), "fenced": fenced, **logs}

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
        self.channel = left_by_a_crash(self.channel)


def left_by_a_crash(channel: Channel) -> Channel:
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
    if isinstance(value, Page):
        return {"message": messages.encode(value).hex()}
    return {"signed": message(sign(source, value)), "fields": plain(value)}


def _said(source: int, value: Any) -> dict[str, Any]:
    return {"name": type(value).__name__.lower(), **_bytes(source, value)}


def _proof(actor: Actor, stale: Stale) -> Resume | None:
    """The Resume in it, if `actor` signed it. (Here nobody else's is ever put there.)"""
    if not stale.resume:
        return None
    signed = codec.decode_signed(stale.resume)
    mine = [key(actor.code).verify_key]
    try:
        resume = codec.decode_payload(codec.RESUME, suite.verify(signed, mine, codec.RESUME))
    except PeerFault:
        return None
    assert isinstance(resume, Resume)
    return resume if resume.epoch == stale.known else None


def _hear(actor: Actor, value: Any, now: int, nonce: int) -> list[Any]:
    """As production's services do it, with the logs in memory."""
    channel, nodes, said = actor.channel, Tree(actor.out), list[Any]()
    if channel.condition in STOPPED and not isinstance(value, Ask):
        return said
    try:
        match value:
            case Resume():
                channel, answer = handshake.hear_resume(channel, value, nodes)
                said = [answer]
            case Fenced():
                channel, keep = handshake.hear_fenced(channel, value, nodes, Tree(actor.inn))
                if channel.fenced is not None:
                    actor.out, actor.bodies = actor.out[: channel.final], actor.bodies[: channel.final]
                    channel = handshake.unsealed(channel, Tree(actor.out).frontier())
                    said = [recovery.pull(channel)]
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
                channel, again = handshake.hear_stale(channel, value, now, nonce, _proof(actor, value))
                said = [again] if again else []
            case Ask():
                said = [handshake.hear_ask(channel, value, back_off_ms=0, status="active")]
                channel = handshake.hear_asker(channel, value)
            case Standing():
                channel = handshake.hear_standing(channel, value, nodes)
            case Gap():
                channel = handshake.hear_gap(channel, value)
            case Receipt():
                channel = channels.hear_receipt(channel, value, nodes)
            case Page():
                return _regain(actor, value)
            case _:
                raise AssertionError(value)
    except Restored:
        channel, resume = handshake.propose(channel, now, nonce)
        said = [resume]
    except Doubled:
        channel, said = replace(channel, ready=False, peer_open=False), []
    actor.channel = channel
    return said


def _regain(actor: Actor, page: Page) -> list[Any]:
    """Append what came back; when all of it is here the answer to the proposal counts."""
    seen = page.seen.frames if page.seen is not None else ()
    frontier, into = Tree([*actor.out, *page.frames]).frontier(), Tree([*actor.inn, *seen]).frontier()
    actor.out, actor.bodies, actor.inn = [*actor.out, *page.frames], [*actor.bodies, *page.bodies], [*actor.inn, *seen]
    last = codec.decode_frame(actor.inn[-1])
    channel = replace(
        actor.channel, out_frontier=frontier, final=frontier.size, in_frontier=into, in_epoch=last.epoch,
        in_seen=last.seen,
    )  # fmt: skip
    assert channel.fenced is not None
    if recovery.is_complete(channel):
        channel, _ = handshake.hear_fenced(channel, channel.fenced, Tree(actor.out), Tree(actor.inn))
        actor.channel = channel
        return [handshake.ask(channel)]
    actor.channel = channel
    return [recovery.pull(channel)]
