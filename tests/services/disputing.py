"""Disputes for tests: a transfer that arrived, regions that dispute it, and what both sides hold of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from gateway.protocol.dispute import COORDINATOR, Act, Matter, State
from gateway.protocol.members import Region
from node.services.command import handles
from node.services.dispute.steps import Open, Say
from node.services.office import Office
from node.services.verify.run import verify
from node.store import disputes
from node.store.batch import Batch, Wishes
from node.store.disputes import Stored
from tests.federation import Clock, Pair, TestRegion, found_federation, plain_terms
from tests.services.delivery import A, B, C
from tests.services.ledger import address, order, resident

DAY_MS = 86_400_000
_keys = count()


def coordinated(**terms: Any) -> Pair:
    """A and B, and C that coordinates: it mediates and arbitrates. Two of A's points are three of B's."""
    made = founded(**terms)
    furnish(made)
    return made


def founded(stores: Any = (), **terms: Any) -> Pair:
    """The regions, their channels open, and nothing in them."""

    def roles(region: Region) -> Region:
        return replace(region, roles=(COORDINATOR,)) if region.code == C else region

    codes = (A, B, C)
    signed, agreed, clock = found_federation(codes, roles), plain_terms(codes, rate=(3, 2), **terms), Clock()
    given = [*stores, *[None] * (len(codes) - len(stores))]
    made = Pair(
        *(TestRegion(code, signed, agreed, store=store, clock=clock) for code, store in zip(codes, given, strict=True))
    )
    made.open()
    return made


def furnish(made: Pair, **award: Any) -> None:
    """A's resident has 100 points; B's has none."""
    resident(made.regions[A], "A", 100, **award)
    resident(made.regions[B], "B")


def moved(made: Pair, amount: int = 40) -> bytes:
    """A transfer from A to B that was accepted; its id."""
    a, b = made.regions[A], made.regions[B]
    placed = a.one(order(address(b, "B"), amount))
    made.pump()
    return bytes.fromhex(placed.id)


def opening(peer: int, id_: bytes, *, matter: Matter = Matter.TRANSFER, region: int = A, **more: Any) -> Open:
    """A region disputes a transfer of A's."""
    return Open(client="c", key=f"dispute {next(_keys)}", peer=peer, matter=matter, id=id_, region=region, **more)


def disputed(made: Pair, id_: bytes, by: int = A, **more: Any) -> bytes:
    """Open a dispute about a transfer, and let both know; its id."""
    peer = B if by == A else A
    row: Stored = made.regions[by].one(opening(peer, id_, **more))
    made.pump()
    assert at(made, A, row.id).state is State.OPENED
    return row.id


def word(dispute: bytes, act: Act, **more: Any) -> Say:
    """The next step."""
    return Say(client="c", key=f"step {next(_keys)}", dispute=dispute, act=act, **more)


def says(made: Pair, by: int, dispute: bytes, act: Act, **more: Any) -> Stored:
    """A region says the next step, and everybody hears of it."""
    row: Stored = made.regions[by].one(word(dispute, act, **more))
    made.pump()
    return row


def at(made: Pair, region: int, dispute: bytes) -> Stored:
    """The dispute as a region holds it."""
    with made.regions[region].store.read() as conn:
        row = disputes.find(conn, dispute)
    assert row is not None
    return row


def chain(made: Pair, region: int, dispute: bytes) -> list[bytes]:
    """The payloads of its steps."""
    with made.regions[region].store.read() as conn:
        return [signed.payload for signed in disputes.steps(conn, dispute)]


def agree(made: Pair, dispute: bytes) -> State:
    """Both parties hold the same steps and have come to the same; which state."""
    a, b = at(made, A, dispute), at(made, B, dispute)
    assert chain(made, A, dispute) == chain(made, B, dispute)
    assert (a.state, a.last, a.steps, a.deadline, a.settled) == (b.state, b.last, b.steps, b.deadline, b.settled)
    assert (a.pending, b.pending) == (None, None)
    return a.state


def sound(made: Pair) -> None:
    """Journal and logs derive every table of every region."""
    for region in made.regions.values():
        assert [check for check in verify(region.store) if not check.ok] == [], region.code


def later(made: Pair, days: int) -> None:
    """So many days later, for all of them."""
    made.regions[A].clock.now_ms += days * DAY_MS


class Do:
    """Something done in a transaction of a region, as another implementation of it might."""

    def __init__(self, act: Callable[[Office, Batch], Any]) -> None:
        self.act = act


def _nothing(command: Do, office: Office, wishes: Wishes) -> None:
    """Looks where it likes."""


@handles(Do, _nothing)
def do(command: Do, office: Office, batch: Batch) -> Any:
    return command.act(office, batch)
