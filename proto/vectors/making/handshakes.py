"""Transcripts of starts: what each side holds, hears and says, step by step (SPEC 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.protocol import codec, handshake, merkle
from gateway.protocol.values import Draft, Epoch, Gap, Head, Page, Pull, Receipt, Stale
from making.ground import HANGZHOU, NINGBO, NOW, Tree, book, sign
from making.stage import Actor, Play, left_by_a_crash


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
    theirs = replace(handshake.resume(a.channel), epoch=b.channel.peer_epoch)
    signed = sign(a.code, theirs)
    play.hears(a, replace(stale, resume=codec.encode_signed(signed)))
    play.hears(a, replace(stale, resume=codec.encode_signed(signed)))
    return play


def _invented() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    known = Epoch(a.channel.epoch.number + 7, 5)
    theirs = replace(handshake.resume(a.channel), epoch=known)
    forged = codec.encode_signed(sign(b.code, theirs))  # not signed by the one whose start it is said to be
    play.hears(a, Stale(log=b.channel.out, echo=a.channel.epoch, known=known, resume=forged))
    return play


def _restored() -> Play:
    play = _running()
    a, b = play.hangzhou, play.ningbo
    b.take(a, 1)
    bodies = tuple(a.bodies)
    _forget(a, 2, 1)
    (fenced,) = play.hears(b, play.start(a))
    (pull,) = play.hears(a, fenced)
    assert isinstance(pull, Pull)
    nodes = Tree(b.out)
    into = Head(
        log=b.channel.out, epoch=b.channel.epoch, first=pull.holds, first_root=nodes.root(pull.holds),
        size=b.channel.size, root=nodes.root(b.channel.size), suite="ed25519-sha256", roster_version=1,
        signed_at_ms=play.now,
    )  # fmt: skip
    frames = b.inn[pull.first :]
    mine = replace(
        into, log=a.channel.out, epoch=Epoch(codec.decode_frame(frames[-1]).epoch, 1), first=0,
        first_root=Tree([]).root(0), size=len(b.inn), root=Tree(b.inn).root(len(b.inn)),
    )  # fmt: skip
    page = Page(
        head=sign(HANGZHOU, mine), first=pull.first, frames=tuple(frames), bodies=bodies[pull.first : len(b.inn)],
        seen=Page(
            head=sign(NINGBO, into), first=pull.holds, frames=tuple(b.out[pull.holds :]),
            bodies=tuple(b.bodies[pull.holds :]),
        ),
    )  # fmt: skip
    play.hears(a, page)
    return play


def _forget(actor: Actor, out: int, inn: int) -> None:
    """An old backup is put back."""
    actor.out, actor.bodies, actor.inn = actor.out[:out], actor.bodies[:out], actor.inn[:inn]
    last = codec.decode_frame(actor.inn[-1])
    actor.channel = replace(
        left_by_a_crash(actor.channel), out_frontier=Tree(actor.out).frontier(), final=min(actor.channel.final, out),
        receipted=min(actor.channel.receipted, out), in_frontier=Tree(actor.inn).frontier(), in_epoch=last.epoch,
        in_seen=last.seen,
    )  # fmt: skip


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
        "another instance has started: Stale proves it and stops this one": _doubled(),
        "another instance is said to have started: the channel begins again": _invented(),
        "a node that was restored from an old backup gets back what it lost": _restored(),
        "receipts, late, old and impossible, and a gap": _receipts(),
    }
    return {
        "about": "SPEC 5. In each step one region does or hears something by its clock, with a nonce it may use, and "
        "comes from the state `before` to the state `after`; `says` is what it sends then. `out` and `in` are all "
        "frames of the log from it and to it. Between the sides of a transcript nothing travels but what is shown. "
        "`says` leaves out what may also be said: the latest receipt after Fenced and Standing, an Ask after a Fenced "
        "that was `ready` (5.4), an Ask beside the answer to one (5.5).",
        "empty_root": merkle.EMPTY_ROOT.hex(),
        "transcripts": [{"name": name, "steps": play.steps} for name, play in plays.items()],
    }
