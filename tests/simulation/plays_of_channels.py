"""Histories of the wire, written by hand, for safeguards whose absence chance seldom punishes.

Each ends well as things are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.protocol import codec
from gateway.protocol.values import Draft, Envelope, Epoch, Head, Kind, Stale
from tests.federation import signing_key
from tests.simulation.disk import Fault, When
from tests.simulation.forgery import STRANGER
from tests.simulation.stage import DAY, Stage

# -- epochs and fences -----------------------------------------------------------------------------------------------


def envelope_from_before_the_fence() -> None:
    """What was sealed again must not arrive as it was before."""
    s = Stage()
    s.award(s.a, 9)
    s.order(s.a, 3)
    s.push(s.a, hold=("Envelope",))
    s.restart(s.a)
    s.ask(s.a)
    s.deliver()
    s.arrive()
    s.check()
    s.finish()


def answer_to_an_earlier_start() -> None:
    """A repeated Fenced tells what the peer held long ago; a later start must not go back to that."""
    s = Stage()
    s.award(s.a, 9)
    s.restart(s.a)
    s.ask(s.a)
    s.deliver(hold=("Fenced",))
    (fenced,) = s.late
    s.arrive()
    s.order(s.a, 3)
    s.push(s.a, hold=("Receipt",))  # b holds it, and a does not know
    s.restart(s.a)
    s.ask(s.a)
    s.world.network.packets.insert(0, fenced)
    s.deliver()
    s.check()
    s.finish()


def proposal_overtaken_by_its_successor() -> None:
    """An old Resume comes after a newer one was fenced: the fence does not move back."""
    s = Stage()
    s.restart(s.a)
    s.ask(s.a)
    s.deliver(hold=("Resume",))
    s.restart(s.a)
    s.world.pass_time(5)
    s.ask(s.a)
    s.deliver()
    before = s.known(s.b)
    s.arrive()
    s.expect(s.known(s.b) == before, "b lets an older incarnation of a back in")
    s.finish()


def start_with_a_clock_that_was_ahead() -> None:
    """The peer has fenced a number the node never heard back about, and by the clock it is in the future."""
    s = Stage()
    s.a.clock.skew_ms = 500_000
    s.restart(s.a)
    s.ask(s.a)
    s.deliver(hold=("Fenced",))
    s.late.clear()
    s.a.clock.skew_ms = 0
    s.restart(s.a)
    s.finish()


def number_that_both_have_forgotten() -> None:
    """Both sides come back from before an epoch was made: its number is not made again."""
    s = Stage()
    backups = [(region, s.backup(region)) for region in (s.a, s.b)]
    s.restart(s.a)
    s.ask(s.a)
    s.deliver()
    used = s.known(s.b)
    s.world.pass_time(DAY)
    for region, copy in backups:
        s.restore(region, copy)
    s.ask(s.a)
    s.deliver()
    s.expect(s.known(s.b).number > used.number, "an epoch that was used before is used again")
    s.finish()


def peer_whose_epoch_was_forgotten() -> None:
    """A node comes back from before its peer's last start: the handshake tells it that, too."""
    s = _forgotten_start()
    s.ask(s.a)
    s.deliver()
    s.arrive()  # sealed by b in the epoch before
    s.check()
    s.finish()


def peer_that_is_itself_starting() -> None:
    """As before, while the peer starts once more: until it is ready, nothing of it is believed."""
    s = _forgotten_start()
    s.restart(s.b)
    s.ask(s.a)
    s.deliver()
    s.arrive()
    s.check()
    s.finish()


def _forgotten_start() -> Stage:
    s = Stage()
    s.award(s.b, 9)
    s.order(s.b, 3)
    s.push(s.b, hold=("Envelope",))
    copy = s.backup(s.a)
    s.restart(s.b)
    s.ask(s.b)
    s.deliver()
    s.restore(s.a, copy)
    return s


def sender_who_looked_too_early() -> None:
    """The peer has forgotten the running process, which begins anew: what it read before signs nothing."""
    s = Stage()
    s.award(s.a, 9)
    s.order(s.a, 3)
    early = s.a.channel(s.b.code)
    assert early is not None
    s.push(s.a, hold=("Envelope",))
    s.late.clear()
    other = s.b.channel(s.a.code)
    assert other is not None
    forgetful = Stale(log=other.out, echo=early.epoch, known=Epoch(early.epoch.number - 1, 1))
    s.world.send(s.b, s.a.code, s.b.exchange.answers(other, forgetful))
    s.deliver()  # Resume, Fenced: the same message is sealed again
    s.push(s.a)
    parcel = s.a.exchange.parcel(early)
    if parcel is not None:
        s.world.send(s.a, s.b.code, [parcel])
    s.finish()


def envelopes_cut_anew() -> None:
    """Part of a batch came in an envelope of its own; the rest comes together with it once more."""
    s = Stage()
    s.award(s.a, 9)
    s.orders(s.a, 3, 2, 1)
    cut = s.a.cut(s.b.code, 0, 2)
    assert cut is not None
    s.world.send(s.a, s.b.code, [cut])
    s.deliver()
    s.finish()


def start_in_the_middle_of_a_batch() -> None:
    """The peer holds part of what was sealed together: only the rest is sealed again."""
    s = Stage()
    s.award(s.a, 9)
    s.orders(s.a, 3, 2, 1)
    cut = s.a.cut(s.b.code, 0, 2)
    assert cut is not None
    s.world.send(s.a, s.b.code, [cut])
    s.deliver()
    s.restart(s.a)
    s.finish()


def commit_whose_end_is_in_doubt() -> None:
    """The answer to COMMIT is lost, what was done stands, and the process goes on."""
    s = Stage()
    s.award(s.a, 9)
    s.a.disk.fault = Fault(when=When.AFTER_COMMIT, kills=False)
    s.order(s.a, 3)
    s.order(s.a, 2)
    s.finish()


# -- what is believed ------------------------------------------------------------------------------------------------


def frames_under_somebody_elses_head() -> None:
    """A true head, and a frame that is not among those it signs."""
    draft = Draft(Kind.ACCEPT, True, b"?" * 16, b"!" * 20)
    frame = codec.encode_frame(draft, 0, 0)
    _forge(lambda envelope: replace(envelope, frames=(frame,), bodies=(draft.body,)))


def body_of_another_message() -> None:
    """A true frame beside a body it does not commit to."""
    _forge(lambda envelope: replace(envelope, bodies=(envelope.bodies[0][:-1] + b"?",)))


def head_signed_by_a_stranger() -> None:
    """All is well but the signature."""
    _forge(lambda envelope: replace(envelope, head=STRANGER.sign(codec.HEAD, envelope.head.payload)))


def head_of_another_log() -> None:
    """The sender signed it, for somebody else."""

    def change(envelope: Envelope) -> Envelope:
        head = codec.decode_payload(codec.HEAD, envelope.head.payload)
        assert isinstance(head, Head)
        elsewhere = replace(head, log=head.log._replace(destination=330400))
        key = signing_key(head.log.source)
        return replace(envelope, head=key.sign(codec.HEAD, codec.encode_payload(elsewhere)))

    _forge(change)


def _forge(change: Callable[[Envelope], Envelope]) -> None:
    s = Stage()
    s.award(s.a, 9)
    s.order(s.a, 3)
    s.forge(s.a, change)
    s.finish()


def answer_to_what_was_never_said() -> None:
    """A member claims to have seen more of a log than there is."""
    s = Stage()
    s.award(s.b, 9)
    s.lie(s.a, Draft(Kind.CUT_OFF, False, b"?" * 16, b"!" * 20), seen=1000)
    s.expect(s.held(s.b) == 0, "b holds a frame that has seen what b never said")
    s.check()
    s.finish()


def message_from_eleven_minutes_ago() -> None:
    """A head is good for ten minutes; what it signs is signed again when it is sent again."""
    s = Stage()
    s.award(s.a, 9)
    s.order(s.a, 3)
    s.push(s.a, hold=("Envelope",))
    s.world.pass_time(660_000)
    s.arrive()
    s.expect(s.held(s.b) == 0, "b takes a head signed eleven minutes ago")
    s.finish()


def start_with_a_large_backlog() -> None:
    """More was sealed together than one envelope carries, and the peer holds a part that ends in no subtree."""
    s = Stage()
    s.award(s.a, 2000)
    s.orders(s.a, *[1] * 1100)
    cut = s.a.cut(s.b.code, 0, 300)
    assert cut is not None
    s.world.send(s.a, s.b.code, [cut])
    s.deliver()
    s.restart(s.a)
    s.finish()
    s.expect(s.points(s.b) == 1100, "points went astray")
