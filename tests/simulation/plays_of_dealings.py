"""Histories of purchases, clawbacks and disputes, written by hand. Each ends well unless a safeguard is missing."""

from __future__ import annotations

from gateway.protocol import roaming
from gateway.protocol.bodies import clawback as clawing
from gateway.protocol.bodies import dispute as disputing
from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.clawback import Cause, Clawback, Share
from gateway.protocol.dispute import PAYLOAD_TYPE, Act, Matter, Step
from gateway.protocol.dispute import State as Disputed
from gateway.protocol.errors import Refused
from gateway.protocol.roaming import About, Authorise, State
from gateway.protocol.values import Kind, Reason
from node.services.clawback.orders import ClaimTransfer
from node.services.dispute.ends import SweepDisputes
from node.services.dispute.steps import Open
from node.services.roaming.ends import SweepAuthorisations
from tests.federation import CATEGORIES, signing_key
from tests.simulation import dealt
from tests.simulation.deals import FRAUD, MINUTE_MS, THIRD, TWO, Deal
from tests.simulation.stage import DAY

MORAL = CATEGORIES[0]


def states(s: Deal, id_: bytes) -> tuple[State | None, State | None]:
    """Of a purchase, at home and at the counter."""
    found = [s.purchase(region, id_) for region in (s.a, s.b)]
    return tuple(p.state if p is not None else None for p in found)  # type: ignore[return-value]


# -- visitors --------------------------------------------------------------------------------------------------------


def code_shown_twice() -> None:
    """At two counters, and long after; and one that somebody guessed."""
    s = Deal()
    s.award(s.a, 20)
    code = s.code()
    first = s.buy(code, 3)
    s.exchange()
    second = s.buy(code, 3)
    s.exchange()
    s.expect(states(s, first)[0] is State.AUTHORISED, "the first purchase was refused")
    s.expect(states(s, second) == (None, State.REFUSED), "a code paid for two purchases")
    s.world.pass_time(11 * MINUTE_MS)
    late = s.buy(s.code(), 3)
    s.world.pass_time(11 * MINUTE_MS)
    s.exchange()
    s.expect(states(s, late) == (None, State.REFUSED), "a code that had expired paid for a purchase")
    s.capture(first)
    s.exchange()
    _end(s)


def capture_above_what_was_authorised() -> None:
    """The counter captures more than it asked for: it says so itself, since its own node would not."""
    s = Deal()
    s.award(s.a, 20)
    purchase = s.buy(s.code(), 3)
    s.exchange()
    body = bodies.encode_about(Kind.CAPTURE, About(purchase), b"")
    s.forge_request(s.b, Kind.CAPTURE, b"five for three..", body, MORAL, 5, MORAL, 5)
    s.expect(states(s, purchase)[0] is State.AUTHORISED, "more was captured than was authorised")
    s.check()
    s.capture(purchase, 2)
    s.exchange()
    s.expect(states(s, purchase) == (State.PART_CAPTURED,) * 2, "what was authorised cannot be captured any more")
    _end(s)


def captured_in_time_and_heard_late() -> None:
    """Its time is over at home, where nobody has heard of the capture yet: home asks, and does not decide."""
    s = Deal()
    s.award(s.a, 20)
    purchase = s.buy(s.code(), 3)
    s.exchange()
    s.capture(purchase)
    s.push(s.b, hold=("Envelope",))
    s.world.pass_time(60 * MINUTE_MS)
    s.tell(s.a, SweepAuthorisations())
    s.world.network.packets.clear()
    s.late.clear()
    s.exchange()
    s.world.talk()
    s.expect(states(s, purchase) == (State.CAPTURED,) * 2, "what was captured in time came to nothing")
    _end(s)


def purchase_that_home_forgot() -> None:
    """Home comes back from a backup of before the purchase, which was captured."""
    s = Deal(restores=True)
    s.award(s.a, 20)
    s.exchange()
    backup = s.backup(s.a)
    purchase = s.buy(s.code(), 3)
    s.exchange()
    s.capture(purchase)
    s.exchange()
    s.restore(s.a, backup)
    s.world.talk()
    s.expect(states(s, purchase) == (State.CAPTURED,) * 2, "a purchase was forgotten")
    _end(s)


def purchase_that_the_counter_forgot() -> None:
    """The counter comes back from a backup of before it asked."""
    s = Deal(restores=True)
    s.award(s.a, 20)
    s.exchange()
    backup = s.backup(s.b)
    purchase = s.buy(s.code(), 3)
    s.exchange()
    s.capture(purchase, 2)
    s.exchange()
    s.restore(s.b, backup)
    s.world.talk()
    s.expect(states(s, purchase) == (State.PART_CAPTURED,) * 2, "a purchase was forgotten")
    _end(s)


def request_said_twice() -> None:
    """The same request to hold again, and another under its id: one answer for ever."""
    s = Deal()
    s.award(s.a, 20)
    purchase = s.buy(s.code(), 3)
    s.exchange()
    fresh = Authorise(roaming.read_code(s.code()).alias, 1, 1, 1, s.a.clock() + MINUTE_MS, "")
    for asked in (fresh, fresh._replace(reference="another")):
        body = bodies.encode_authorise(asked, b"")
        s.forge_request(s.b, Kind.AUTHORISE, purchase, body, MORAL, 3, MORAL, 3)
    s.expect(s.points(s.a) == 17, "a request was answered twice")
    s.capture(purchase)
    s.exchange()
    _end(s)


def _end(s: Deal) -> None:
    """Nothing of it is held any more."""
    for _ in range(3):
        s.world.pass_time(60 * MINUTE_MS)
        for region in (s.b, s.a):
            s.tell(region, SweepAuthorisations())
        s.exchange()
    s.finish()


# -- frauds ----------------------------------------------------------------------------------------------------------


def fraud_that_came_home_again() -> None:
    """From A to B and half of it back to A, where some is spent: B is asked, and has to ask A before it answers."""
    s = Deal()
    s.award(s.a, 12, because=FRAUD)
    s.order(s.a, 12)
    s.exchange()
    s.order(s.b, 6)
    s.exchange()
    s.spend(s.a, 2)
    s.spend(s.b, 1)
    s.take_back()
    s.exchange()
    s.look_again()
    found = next(c for c in dealt.clawbacks(s.world.ledgers[s.b.code]) if not c.mine)
    s.expect((found.recovered, found.further, found.owed) == (5, 4, 3), f"B answered {found}")
    s.finish()


def fraud_taken_back_twice() -> None:
    """Two clawbacks of one activity, the second while the first is under way; and one of a transfer that came back."""
    s = Deal()
    s.award(s.a, 12, because=FRAUD)
    sent = s.order(s.a, 6)
    s.exchange()
    s.reverse(s.a, sent)
    s.exchange()
    asked = Clawback(bytes.fromhex(sent.id), int(Cause.ACTIVITY), s.a.code, FRAUD, b"r" * 16, (Share(0, 6),))
    s.forge_request(s.a, Kind.CLAWBACK, b"of a reversed on", clawing.encode_clawback(asked, b""))
    s.expect(not s.points(s.b), "B had something left of what it had sent back")
    s.take_back()
    s.take_back()
    s.exchange()
    s.look_again()
    s.expect(s.points(s.a) == 0, "something of the fraud was left")
    s.finish()


def clawback_that_the_asked_region_forgot() -> None:
    """B answers, and comes back from a backup of before it was asked."""
    s = Deal(restores=True)
    s.award(s.a, 12, because=FRAUD)
    s.order(s.a, 12)
    s.exchange()
    s.spend(s.b, 4)
    backup = s.backup(s.b)
    s.take_back()
    s.exchange()
    s.restore(s.b, backup)
    s.world.talk()
    s.look_again()
    s.finish()


# -- disputes --------------------------------------------------------------------------------------------------------


def spending_what_is_disputed() -> None:
    """It cannot be spent while it is, nor sent on; afterwards it can."""
    s = Deal()
    s.award(s.a, 12)
    sent = s.order(s.a, 6)
    s.exchange()
    dispute = s.dispute(sent).id
    s.expect(isinstance(s.spend(s.b, 1), Refused), "what is disputed was spent")
    s.expect(isinstance(s.reverse(s.a, sent), Refused) or s.points(s.b) == 0, "what is disputed was sent back")
    s.step(s.a, dispute, Act.WITHDRAW)
    s.expect(not isinstance(s.spend(s.b, 1), Refused), "what is not disputed any more is still frozen")
    s.finish()


def settled_for_less_than_can_go_back() -> None:
    """Five of A's are four of B's: of a settlement for two nothing can go back, and nothing stays frozen for it."""
    s = Deal(rate=(4, 5))
    s.award(s.a, 15)
    sent = s.order(s.a, 10)
    s.exchange()
    dispute = s.dispute(sent).id
    s.step(s.b, dispute, Act.CONTEST)
    s.step(s.b, dispute, Act.PROPOSE, amount=2)
    s.step(s.a, dispute, Act.AGREE)
    s.expect(s.points(s.b) == 8, f"{8 - s.points(s.b)} units stay frozen for a settlement that moves nothing")
    s.finish()


def claim_of_what_is_disputed() -> None:
    """A claims for good what B disputes: not while it is frozen, since nobody would ever ask for what is."""
    s = Deal(whole={"reversal_days": 1})
    s.award(s.a, 12)
    sent = s.order(s.a, 6)
    s.exchange()
    s.world.pass_time(3 * DAY)
    s.world.talk()
    id_ = bytes.fromhex(sent.id)
    dispute = s.tell(s.b, Open(**s._key(), peer=s.a.code, matter=Matter.TRANSFER, id=id_)).id  # type: ignore[arg-type]
    s.exchange()
    claimed = s.tell(s.a, ClaimTransfer(**s._key(), **TWO, transfer=id_, because="误转"))
    s.expect(isinstance(claimed, Refused) and claimed.reason is Reason.DISPUTED, f"what is disputed: {claimed}")
    asked = Clawback(id_, int(Cause.REVERSAL), s.a.code, "误转", b"r" * 16, (Share(0, 6),))
    s.forge_request(s.a, Kind.CLAWBACK, b"claimed anyway..", clawing.encode_clawback(asked, b""))
    s.step(s.a, dispute, Act.CONCEDE)
    s.tell(s.a, SweepDisputes())
    s.world.talk()
    s.expect(not s.b.rows("SELECT 1 FROM dispute WHERE hold IS NOT NULL"), "points stay frozen for ever")
    s.finish()


def ruling_that_the_arbitrator_did_not_sign() -> None:
    """A invents a ruling and signs it with a key of its own."""
    s = Deal(whole={"arbitrator": THIRD})
    s.award(s.a, 12)
    sent = s.order(s.a, 6)
    s.exchange()
    dispute = s.dispute(sent).id
    s.step(s.b, dispute, Act.CONTEST)
    s.step(s.a, dispute, Act.ARBITRATE)
    last, steps = s.b.rows("SELECT last, steps FROM dispute WHERE id = ?", dispute)[0]
    ruling = Step(
        federation=s.b.office.roster.federation, environment=s.b.office.roster.environment, dispute=dispute,
        number=steps, previous=last, by=THIRD, date=s.b.office.today(s.b.clock()), act=Act.UPHOLD,
    )  # fmt: skip
    signed = signing_key(s.a.code).sign(PAYLOAD_TYPE, disputing.encode_statement(ruling))
    s.forge_request(s.a, Kind.DISPUTE_STEP, b"a false ruling..", disputing.encode_step(signed, b""))
    state = s.b.rows("SELECT state FROM dispute WHERE id = ?", dispute)[0][0]
    s.expect(state == Disputed.ARBITRATION, "a ruling counts that the arbitrator did not sign")
    s.step(s.a, dispute, Act.WITHDRAW)
    s.finish()
