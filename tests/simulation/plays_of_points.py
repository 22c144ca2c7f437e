"""Histories of points, written by hand, for safeguards whose absence chance seldom punishes.

Each ends well as things are.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.protocol import codec, limits
from gateway.protocol.values import Draft, Evidence, Kind, Reason, Status
from node.ledger.accounts import AccountState
from node.ledger.lots import add_days
from node.services.account import SetAccountState
from node.services.transfer import Placed
from tests.simulation import forgery
from tests.simulation.stage import DAY, Stage


def key_of_an_order() -> None:
    """The same key, for an award this time."""
    s = Stage()
    s.award(s.a, 9)
    s.order(s.a, 3)
    s.award(s.a, 5, key=str(s.made))
    s.finish()


def offer_under_review_and_another_of_its_name() -> None:
    """The same id comes with other content while a clerk still thinks: one answer closes both."""
    s = Stage(review_from=1)
    s.award(s.a, 9)
    transfer = s.order(s.a, 3)
    s.exchange()
    s.say(s.a, Draft(Kind.OFFER, False, bytes.fromhex(transfer.id), forgery.an_offer(s.world), "moral", 3, "moral", 3))
    _and_the_clerk_says_yes(s, transfer)


def offer_under_review_and_a_riddle_of_its_name() -> None:
    """As before, with a request nobody understands."""
    s = Stage(review_from=1)
    s.award(s.a, 9)
    transfer = s.order(s.a, 3)
    s.exchange()
    s.say(s.a, Draft(77, False, bytes.fromhex(transfer.id), b"!" * 20))
    _and_the_clerk_says_yes(s, transfer)


def _and_the_clerk_says_yes(s: Stage, transfer: Placed) -> None:
    s.exchange()
    s.review(s.b, transfer)
    s.exchange()
    s.check()
    s.finish()


def reversal_right_after_the_answer() -> None:
    """The request has seen the answer: that makes the points final, though no receipt has come."""
    s = Stage()
    s.award(s.a, 9)
    transfer = s.order(s.a, 3)
    s.push(s.a)
    s.push(s.b, hold=("Receipt",))
    s.reverse(s.a, transfer)
    s.push(s.a, hold=("Receipt",))
    s.push(s.b)
    s.finish()
    s.expect(s.points(s.a) == 9, "points that nobody had spent were not sent back")


def reversal_of_what_is_partly_spent() -> None:
    """Nothing comes back, and nobody goes below zero."""
    s = Stage()
    s.award(s.a, 9)
    transfer = s.order(s.a, 6)
    s.exchange()
    s.spend(s.b, 2)
    s.reverse(s.a, transfer)
    s.exchange()
    s.check()
    s.finish()
    s.expect((s.points(s.a), s.points(s.b)) == (3, 4), "points that were spent came back")


def reversal_to_an_account_closed_meanwhile() -> None:
    """Nothing may come to an account that is closed; the points stay where they are."""
    s = Stage()
    s.award(s.a, 9)
    transfer = s.order(s.a, 9)
    s.exchange()
    s.reverse(s.a, transfer)
    s.do(s.a, SetAccountState(name="x", state=AccountState.CLOSED))
    s.exchange()
    s.finish()
    s.expect(s.points(s.b) == 9, "points came back to a closed account")


def closing_while_points_are_coming_back() -> None:
    """What was accepted and is not spendable yet keeps the account open."""
    s = Stage()
    s.award(s.a, 9)
    transfer = s.order(s.a, 9)
    s.exchange()
    s.reverse(s.a, transfer)
    s.push(s.a)
    s.push(s.b)
    s.do(s.a, SetAccountState(name="x", state=AccountState.CLOSED))
    s.finish()


def closing_under_review() -> None:
    """A clerk accepts, but the account was closed since the offer came."""
    s = Stage(review_from=1)
    s.award(s.a, 9)
    transfer = s.order(s.a, 3)
    s.exchange()
    s.do(s.b, SetAccountState(name="x", state=AccountState.CLOSED))
    s.review(s.b, transfer)
    s.finish()


def expiry_of_what_is_held() -> None:
    """Points whose day passes while they are under way come back with days to live."""
    s = Stage()
    today = s.a.office.today(s.a.clock())
    s.award(s.a, 9, expires=add_days(today, 2))
    s.do(s.b, SetAccountState(name="x", state=AccountState.FROZEN))
    s.order(s.a, 9)
    s.world.pass_time(5 * DAY)
    s.exchange()
    s.expect(not isinstance(s.spend(s.a, 9), Exception), "what was held has expired")
    s.finish()


def offer_of_a_suspended_region() -> None:
    """The source does not know yet that it was suspended; the destination does."""
    s = Stage()
    s.award(s.a, 9)
    s.b.adopt([s.roster_where(s.a, Status.SUSPENDED)])
    s.order(s.a, 3)
    s.finish()
    s.expect(s.points(s.b) == 0, "points came from a suspended region")


def offer_under_other_terms() -> None:
    """The two regions read their terms in different versions."""
    s = Stage()
    s.b.office.terms = {key: replace(terms, version=2) for key, terms in s.b.office.terms.items()}
    s.award(s.a, 9)
    s.order(s.a, 3)
    s.finish()
    s.expect(s.points(s.b) == 0, "points came under terms that were not agreed")


def offer_of_weak_evidence() -> None:
    """The source lets backfilled hours pass; the destination agreed to recorded ones only."""
    s = Stage(min_evidence=Evidence.SIGNED_IN)
    s.a.office.terms = {key: replace(t, min_evidence=Evidence.BACKFILLED) for key, t in s.a.office.terms.items()}
    s.award(s.a, 9, evidence=Evidence.BACKFILLED)
    s.order(s.a, 3)
    s.finish()
    s.expect(s.points(s.b) == 0, "points came with weaker evidence than was agreed")


def more_than_can_be_counted() -> None:
    """All points ever granted stay below 2^63: the next one is refused, not lost in a counter."""
    s = Stage()
    s.award(s.a, limits.AMOUNT_MAX)
    refusal = s.award(s.a, 1)
    s.check()
    s.expect(getattr(refusal, "reason", None) == Reason.AMOUNT_OUT_OF_RANGE, "a counter has overflowed")
    s.finish()


def refusal_and_reversal_in_one_envelope() -> None:
    """Units come back to one lot of a balance, and another lot of it is asked for: both are found."""
    s = Stage()
    s.award(s.a, 9)
    transfer = s.order(s.a, 4)
    s.exchange()
    s.award(s.b, 9, expires=add_days(s.b.office.today(s.b.clock()), 60))  # goes first
    s.do(s.a, SetAccountState(name="x", state=AccountState.FROZEN))
    s.order(s.b, 3)
    s.push(s.b)
    s.reverse(s.a, transfer)
    s.exchange()
    s.finish()
    s.expect((s.points(s.a), s.points(s.b)) == (9, 9), "points that nobody had spent were not sent back")


def return_from_a_suspended_region() -> None:
    """What was asked for comes from a region that may not offer any more: the request ends all the same."""
    s = Stage()
    s.award(s.a, 9)
    transfer = s.order(s.a, 4)
    s.exchange()
    s.reverse(s.a, transfer)
    s.a.adopt([s.roster_where(s.b, Status.SUSPENDED)])
    s.exchange()
    s.finish()
    s.expect((s.points(s.a), s.points(s.b)) == (5, 4), "points went astray")


def request_to_reverse_said_twice() -> None:
    """The first was granted in vain; the second, of the same id, is refused by name and does not stop the log."""
    s = Stage()
    s.award(s.a, 9)
    transfer = s.order(s.a, 9)
    s.exchange()
    asked = s.reverse(s.a, transfer)
    s.do(s.a, SetAccountState(name="x", state=AccountState.CLOSED))
    s.exchange()
    content = b"!" * 16 + codec.encode_reverse_request(bytes.fromhex(transfer.id), b"")
    s.say(s.a, Draft(Kind.REVERSE_REQUEST, False, bytes.fromhex(asked.id), content))
    s.exchange()
    s.finish()
    s.expect(s.points(s.b) == 9, "points went astray")
