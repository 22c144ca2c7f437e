"""What ends an authorisation that nobody captures: the counter releases it in time, or is asked by whoever holds.

Both are messages. The clock of neither region moves a point by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.roaming import About, State
from gateway.protocol.standing import Matter, objection
from gateway.protocol.values import Kind, Reason
from node.services import claim, topics
from node.services.command import handles
from node.services.office import Office
from node.services.roaming import counter, home
from node.store import authorisations as store
from node.store.authorisations import Stored
from node.store.batch import Batch, Wishes

AT_ONCE = 256
"""Authorisations released, and asked about, in one transaction."""
ASK_AFTER_MS = 10 * 60_000
"""So long after its time the holder asks about an authorisation, and again as often. Own judgement."""
_CODES_KEPT_MS = 86_400_000


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepAuthorisations:
    """Release what was not captured in time at a counter here, and ask about what is held for counters elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorisationsSwept:
    """How many were released, and asked about."""

    released: int
    asked: int


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Finds by itself what it looks at."""


@handles(SweepAuthorisations, _nothing)
def sweep(command: SweepAuthorisations, office: Office, batch: Batch) -> AuthorisationsSwept:
    """Nothing while the region recovers from a restore: what it may have said already comes back first."""
    if batch.books.history.recovering:
        return AuthorisationsSwept(released=0, asked=0)
    store.forget_codes(batch.conn, batch.now_ms - _CODES_KEPT_MS)
    released = asked = 0
    for found in store.overdue(batch.conn, office.me, batch.now_ms, AT_ONCE, held=False):
        if _may(Matter.RELEASE, found.holder, office, batch):
            before = len(
                topics.about(batch, found.id, Kind.RELEASE)
            )  # a refused one is said again, under an id of its own
            counter.let_go(found, office.public_id("#release", f"{found.id.hex()} {before}"), b"", office, batch)
            released += 1
    for found in store.overdue(batch.conn, office.me, batch.now_ms - ASK_AFTER_MS, AT_ONCE, held=True):
        if _may(Matter.AUTHORISATION_ASK, found.counter, office, batch):
            asked += _ask(found, office, batch)
    return AuthorisationsSwept(released=released, asked=asked)


def _may(matter: Matter, peer: int, office: Office, batch: Batch) -> bool:
    return objection(office.roster, office.me, peer, matter, batch.today) is None


def _ask(found: Stored, office: Office, batch: Batch) -> bool:
    """Ask, unless the newest question is open still or young."""
    before = topics.about(batch, found.id, Kind.AUTHORISATION_ASK)
    before = [asked for asked in before if asked.mine and asked.peer == found.counter]
    open_ = any(asked.state == topics.RequestState.OPEN for asked in before)
    if open_ or any(asked.at_ms > batch.now_ms - ASK_AFTER_MS for asked in before):
        return False
    topics.ask(
        found.counter, Kind.AUTHORISATION_ASK, office.public_id("#ask", f"{found.id.hex()} {len(before)}"),
        lambda redo: bodies.encode_about(Kind.AUTHORISATION_ASK, About(found.id), redo), office, batch,
        subject=found.id,
    )  # fmt: skip
    return True


def end_with(peer: int, reason: Reason, office: Office, batch: Batch) -> tuple[int, int]:
    """End what is open with a region that will not answer again: how many holds came back, how much it is claimed for.

    What was held for its counters comes back: what they captured is in its log, up to where that ends. What a counter
    here has captured without an answer is claimed of its estate: the goods are gone.
    """
    back = claimed = 0
    for found in store.open_with(batch.conn, peer):
        if found.holder == office.me:
            home.end_unasked(found, reason, batch)
            back += 1
        else:
            if found.state is State.CAPTURING:
                arriving = found.captured // found.rate_q * found.rate_p
                why = "captured for a visitor, and not answered"
                claimed += claim.keep(batch, peer, claim.Cause.ESTATE, found.id, found.becomes, arriving, why)
            counter.give_up(found, reason, batch)
    return back, claimed
