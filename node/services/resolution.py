"""A region that will not answer again: what its keepers, or its successor, say of its logs ends what it left open.

Holds for it are voided, its offers before a clerk are refused, what each side may have booked without the other having
seen it becomes a claim in suspense, and the channel is closed. All of it is journalled; points are never unposted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, and_, or_, select

from gateway.protocol import merkle
from gateway.protocol.channel import Channel, Condition, raise_final
from gateway.protocol.members import AssumedHold, FinalLog
from gateway.protocol.standing import Ending, endings
from gateway.protocol.transfer import State
from gateway.protocol.values import Kind, Reason
from node.errors import BadInput
from node.ledger import journal
from node.ledger.transfers import Transfer
from node.services import offer, reversal, seal
from node.services.claim import Cause, raise_claim
from node.services.command import handles
from node.services.office import Office
from node.services.roaming import ends as roaming_ends
from node.services.transfer import settle
from node.store import schema
from node.store.batch import Batch, Wishes
from node.store.logs import StoredNodes

TRANSFERS_AT_ONCE = 512
"""Transfers ended in one transaction."""
HOLDS_AT_MOST = 4096
"""Holds that one Assume lists, as roster.proto says."""
BY = "#resolution"
"""Who decided what waited for a clerk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolve:
    """End what is open with a region that the roster resolves, transfers numbered above `after` first."""

    region: int
    after: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Close:
    """Close the channel with such a region, once nothing is open any more."""

    region: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """What was done, and what has to be committed next, if anything."""

    voided: int = 0
    refused: int = 0
    claimed: int = 0
    then: Resolve | Close | None = None


def due(office: Office, channels: Mapping[int, Channel]) -> Iterator[Resolve]:
    """What the roster resolves by today and this region has not ended yet."""
    for ending in endings(office.roster, office.today(office.clock())):
        channel = channels.get(ending.region)
        if channel is not None and channel.condition is not Condition.CLOSED:
            yield Resolve(region=ending.region)


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Finds by itself what it looks at."""


@handles(Resolve, _nothing)
def resolve(command: Resolve, office: Office, batch: Batch) -> Resolved:
    """Raises BadInput where the final logs are not those this region knows: nothing is ended then."""
    peer = command.region
    ending = next((e for e in endings(office.roster, batch.today) if e.region == peer), None)
    channel = batch.books.channels.get(peer)
    if ending is None or channel is None or channel.condition is Condition.CLOSED:
        return Resolved()
    delivered, heard = _final(ending, channel, batch)
    numbers = _open(peer, command.after, delivered, heard, batch)
    transfers = batch.transfers_by_no(numbers)
    open_ = [transfers[no] for no in numbers]
    refused = _refuse(open_, ending, office, batch)
    voided = _void(open_, ending, batch)
    claimed, back = _claim(open_, voided, ending, delivered, heard, batch), 0
    if len(numbers) == TRANSFERS_AT_ONCE:
        then: Resolve | Close = Resolve(region=peer, after=numbers[-1])
    else:
        _end_reversals(peer, batch)
        back, owed = roaming_ends.end_with(peer, _reason(ending), office, batch)
        claimed += owed
        then = Close(region=peer)
    return Resolved(voided=len(voided) + back, refused=refused, claimed=claimed, then=then)


def _final(ending: Ending, channel: Channel, batch: Batch) -> tuple[int, int]:
    """How much of my log the region had, and how much of its own log counts."""
    me, peer = batch.books.me, channel.peer
    mine, theirs = ending.log(me, peer), ending.log(peer, me)
    for final, size, nodes in (
        (mine, channel.size, batch.nodes(me, peer)),
        (theirs, channel.held, batch.nodes(peer, me)),
    ):
        if final is not None and final.size <= size and merkle.frontier_at(nodes, final.size).root() != final.root:
            raise BadInput(
                f"the roster's final log {final.source}->{final.destination} is not the one kept here at size "
                f"{final.size}: compare the copies handed to the keepers before anything is ended"
            )
    if mine is not None and mine.size > channel.size:
        raise BadInput(f"region {peer} held {mine.size} frames of this region's log, which has {channel.size} here")
    # A receipt of its own says more than a copy that is older.
    return max(mine.size if mine else 0, channel.final), theirs.size if theirs else channel.held


def _open(peer: int, after: int, delivered: int, heard: int, batch: Batch) -> list[int]:
    t = schema.transfer
    unseen = or_(t.c.answered.is_(None), t.c.answered >= delivered)
    query = (
        select(t.c.no)
        .where(
            t.c.no > after,
            or_(
                and_(t.c.destination == peer, t.c.state == int(State.HELD)),
                and_(t.c.destination == peer, t.c.state == int(State.POSTED), t.c.answered >= heard),
                and_(t.c.source == peer, t.c.state == int(State.IN_REVIEW)),
                and_(t.c.source == peer, t.c.state == int(State.ACCEPTED), unseen),
            ),
        )
        .order_by(t.c.no)
        .limit(TRANSFERS_AT_ONCE)
    )
    return list(batch.conn.scalars(query))


def _reason(ending: Ending) -> Reason:
    return Reason.REGION_MOVED if ending.heir else Reason.REGION_NOT_ACTIVE


def _refuse(open_: list[Transfer], ending: Ending, office: Office, batch: Batch) -> int:
    waiting = [t for t in open_ if t.state == State.IN_REVIEW]
    for transfer in waiting:
        decision = offer.refuse(transfer, _reason(ending), transfer.offered or 0, office, batch)
        batch.record(journal.Reviewed(at=batch.now_ms, peer=ending.region, by=BY, decision=decision))
    return len(waiting)


def _void(open_: list[Transfer], ending: Ending, batch: Batch) -> list[Transfer]:
    held = [t for t in open_ if t.state == State.HELD]
    decisions = [settle(t, Kind.REFUSE, int(_reason(ending)), None, batch) for t in held]
    if decisions:
        batch.record(journal.Voided(at=batch.now_ms, peer=ending.region, by=BY, decisions=decisions))
    return held


def _claim(
    open_: list[Transfer], voided: list[Transfer], ending: Ending, delivered: int, heard: int, batch: Batch
) -> int:
    """What one side may have booked and the other never saw. A successor answers for it, or else the estate."""
    debtor, me = ending.heir or ending.region, batch.books.me
    # Its log goes on where mine of it ends: there may be acceptances there.
    blind = heard > batch.books.channels[ending.region].held
    claims = [
        (transfer, "delivered, and answered perhaps where no copy of its log is left")
        for transfer in (voided if blind else ())
        if transfer.offered is not None and transfer.offered < delivered
    ]
    for transfer in open_:
        if transfer.state == State.POSTED:
            claims.append((transfer, "accepted by it beyond its final log"))
        elif transfer.source != me and transfer.state == State.ACCEPTED:
            claims.append((transfer, "accepted here, which it never saw"))
    return sum(raise_claim(batch, debtor, Cause.ESTATE, transfer, because) for transfer, because in claims)


def _end_reversals(peer: int, batch: Batch) -> None:
    r = schema.reversal
    asked = select(r.c.id).where(
        r.c.peer == peer, r.c.asked_by_me.is_(True), r.c.state == int(reversal.ReversalState.ASKED)
    )
    for request in list(batch.conn.scalars(asked)):
        reversal.hear_refusal(peer, request, int(Reason.REGION_NOT_ACTIVE), batch)


def final_logs(conn: Connection, me: int, peer: int) -> tuple[FinalLog, ...]:
    """What this region can show of the logs between it and a peer: how much of its own the peer is known to hold, and
    its copy of the peer's. Empty where the two never spoke."""
    found = conn.execute(select(schema.channel).where(schema.channel.c.peer == peer)).first()
    if found is None:
        return ()
    sizes = {row.no: row.size for row in conn.execute(select(schema.log.c.no, schema.log.c.size))}
    ends = ((me, peer, found.out_log, found.final), (peer, me, found.in_log, sizes[found.in_log]))
    return tuple(
        FinalLog(
            source=source,
            destination=destination,
            size=size,
            root=merkle.frontier_at(StoredNodes(conn, log), size).root(),
        )
        for source, destination, log, size in ends
    )


def held_by(conn: Connection, region: int) -> tuple[AssumedHold, ...]:
    """From the books of a region itself: what it holds for offers that got no answer, oldest first."""
    t = schema.transfer
    waiting = select(t).where(t.c.source == region, t.c.state == int(State.HELD)).order_by(t.c.no).limit(HOLDS_AT_MOST)
    return tuple(
        AssumedHold(id=bytes(row.id), destination=row.destination, category=row.category, amount=row.amount)
        for row in conn.execute(waiting)
    )


@handles(Close, _nothing)
def close(command: Close, office: Office, batch: Batch) -> Resolved:
    """Nobody will contradict this region's log any more: it is final as it is, and what it credited is spendable."""
    peer = command.region
    channel = batch.books.channels.get(peer)
    if channel is None or channel.condition is Condition.CLOSED:
        return Resolved()
    seal.number_all(batch, peer)
    channel = batch.channel(peer)
    closed = replace(channel, condition=Condition.CLOSED, ready=False, peer_open=False)
    batch.set_channel(raise_final(closed, closed.size))
    batch.record(journal.Ended(at=batch.now_ms, peer=peer, size=closed.size, held=closed.held))
    return Resolved()
