"""Histories of restores, written by hand, for safeguards whose absence chance seldom punishes. Each ends well."""

from __future__ import annotations

from tests.simulation.stage import Stage


def peer_that_was_restored_itself() -> None:
    """Its backup has a message under an epoch that it left; what it made of that since is here, and is the truth."""
    s = Stage()
    s.award(s.a, 9)
    s.order(s.a, 3)
    copy = s.backup(s.a)
    s.restart(s.a)
    s.ask(s.a)
    s.deliver()
    s.push(s.a)
    s.restore(s.a, copy)
    s.restart(s.b)
    s.ask(s.b)
    s.deliver()
    s.finish()


def request_before_a_clerk() -> None:
    """An offer waits for a clerk, and a later message of the region that lost it has seen it: the clerk is told."""
    s = Stage(review_from=2)
    s.award(s.a, 9)
    s.award(s.b, 9)
    copy = s.backup(s.b)
    s.order(s.a, 5)
    s.push(s.a)
    s.order(s.b, 1)
    s.push(s.b)
    s.restore(s.b, copy)
    s.ask(s.b)
    s.deliver()
    s.world.clients[s.b.code].go_on(100)
    s.world.commit(s.b)
    s.check()
    s.finish()


def two_that_give_back_to_each_other() -> None:
    """One has lost what the other holds of it, and the other, in between, what the first had got back already."""
    s = Stage(restores=True)
    s.award(s.a, 9)
    s.award(s.b, 9)
    empty = s.backup(s.a)
    s.order(s.b, 2)
    s.order(s.a, 1)
    s.exchange()
    half = s.backup(s.b)
    s.order(s.b, 3)
    s.exchange()
    s.order(s.a, 4)
    s.exchange()
    s.restore(s.a, empty)
    s.ask(s.a)
    s.deliver(hold=("Page",))
    s.restore(s.b, half)
    s.ask(s.b)
    s.arrive()
    s.finish()
