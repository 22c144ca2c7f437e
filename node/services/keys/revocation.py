"""A key is revoked: what was taken in under it beyond the last good prefix becomes claims, and nothing is unposted.

Which prefix is good the revoked key's anchors say, one per log; they come with the roster, so the keepers vouch for
them. Without an anchor for a log everything taken in since the revocation counts as beyond it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import insert, select, update

from gateway.protocol import codec
from gateway.protocol.channel import Channel, Condition, root_at
from gateway.protocol.members import Anchor, Key, Region
from gateway.protocol.suite import signers
from gateway.protocol.transfer import State
from gateway.protocol.values import Frame, Kind, Reason
from node.ledger import journal
from node.ledger.transfers import Transfer
from node.services import claim, offer
from node.services.claim import Cause, ClaimState
from node.services.command import handles
from node.services.office import Office
from node.services.roaming import doubt as roaming_doubt
from node.store import schema
from node.store.batch import Batch, Wishes

SEGMENTS_AT_ONCE = 64
"""Read in one query: of the largest there may be, some 20 MB."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeKeys:
    """Look for what was taken in under keys that the roster in force revokes.

    Given at every start and after every new roster. It is queued after all that was verified under the roster before,
    so nothing accepted under a revoked key escapes it.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What came of it."""

    claims: int = 0  # raised now
    refused: int = 0  # offers that still waited for a clerk
    withdrawn: int = 0  # claims that newer anchors clear


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Finds by itself what it looks at."""


@handles(JudgeKeys, _nothing)
def judge(command: JudgeKeys, office: Office, batch: Batch) -> Judged:
    """Each peer is gone through once for each list of revoked keys and anchors."""
    total = Judged()
    for region in office.roster.regions:
        revoked = [key for key in region.keys if key.revoked_at_ms]
        if not revoked or region.code == office.me or region.code not in batch.books.channels:
            continue
        name = f"revoked:{region.code}:{_mark(revoked, office.me)}"
        m = schema.meta
        if batch.conn.scalar(select(m.c.value).where(m.c.name == name)) is not None:
            continue
        one = _judge(region, revoked, office, batch)
        total = Judged(
            claims=total.claims + one.claims,
            refused=total.refused + one.refused,
            withdrawn=total.withdrawn + one.withdrawn,
        )
        batch.conn.execute(insert(m), [{"name": name, "value": str(one.claims)}])
        log.warning(
            "revoked_keys_judged", peer=region.code, claims=one.claims, refused=one.refused, withdrawn=one.withdrawn
        )
    return total


def _mark(revoked: list[Key], me: int) -> str:
    said = [(key.public_key.hex(), key.revoked_at_ms, anchor_of(key, me)) for key in revoked]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def anchor_of(key: Key, destination: int) -> Anchor | None:
    """The last good prefix of the log to that region; the largest, should several be listed."""
    mine = [anchor for anchor in key.anchors if anchor.destination == destination]
    return max(mine, key=lambda anchor: anchor.size, default=None)


def _judge(region: Region, revoked: list[Key], office: Office, batch: Batch) -> Judged:
    channel = batch.channel(region.code)
    raised = refused = 0
    suspicious: set[bytes] = set()
    for key in revoked:
        first, since_ms = _beyond(key, channel, batch)
        for segment_first, frames in _accepted(key, channel, first, since_ms, batch):
            batch.load(Wishes(transfers={frame.id for frame in frames}))
            for number, frame in enumerate(frames, segment_first):
                if number < first:
                    continue
                because = f"frame {number} was signed by key {key.verify_key.id.hex()}, good up to {first}, revoked"
                if spent := roaming_doubt.moved(region.code, frame, number, batch):
                    suspicious.add(spent.id)
                    raised += claim.keep(batch, region.code, Cause.REVOKED_KEY, *spent, because)
                transfer = _moved(region.code, frame, number, batch)
                if transfer is None:
                    continue
                if transfer.state == State.IN_REVIEW:
                    decision = offer.refuse(transfer, Reason.REVIEW_REFUSED, number, office, batch)
                    by = "revocation"
                    batch.record(journal.Reviewed(at=batch.now_ms, peer=region.code, by=by, decision=decision))
                    refused += 1
                    continue
                suspicious.add(transfer.id)
                raised += claim.raise_claim(batch, region.code, Cause.REVOKED_KEY, transfer, because)
    return Judged(claims=raised, refused=refused, withdrawn=_withdraw(region.code, suspicious, batch))


def _beyond(key: Key, channel: Channel, batch: Batch) -> tuple[int, int]:
    """From which number on, and taken in since when, frames under the key are in doubt. Quarantines a channel whose
    copy is not the one that was anchored."""
    anchor = anchor_of(key, batch.books.me)
    if anchor is None:
        return 0, key.revoked_at_ms
    if anchor.size > channel.held:
        return anchor.size, 0
    nodes = batch.nodes(channel.peer, batch.books.me)
    if root_at(channel.in_frontier, nodes, anchor.size) == anchor.root:
        return anchor.size, 0
    log.error("anchor_contradicts_log", peer=channel.peer, size=anchor.size, key=key.verify_key.id.hex())
    if channel.condition is Condition.OPEN:
        batch.set_channel(replace(channel, condition=Condition.QUARANTINED))
    return 0, key.revoked_at_ms


def _accepted(key: Key, channel: Channel, first: int, since_ms: int, batch: Batch) -> Iterator[tuple[int, list[Frame]]]:
    """The segments, from number `first` on, that came under a head this key signed."""
    s = schema.segment
    number = batch.books.logs[channel.peer, batch.books.me]
    after = -1
    while True:
        query = (
            select(s.c.first, s.c.head, s.c.frames, s.c.at_ms)
            .where(s.c.log == number, s.c.size > first, s.c.first > after)
            .order_by(s.c.first)
            .limit(SEGMENTS_AT_ONCE)
        )
        rows: list[Any] = list(batch.conn.execute(query))
        for row in rows:
            after = row.first
            if row.head is None or row.at_ms < since_ms:
                continue
            if signers(codec.decode_signed(row.head), [key.verify_key]):
                yield row.first, [codec.decode_frame(raw) for raw in codec.unpack_frames(row.frames)]
        if len(rows) < SEGMENTS_AT_ONCE:
            return


def _moved(peer: int, frame: Frame, number: int, batch: Batch) -> Transfer | None:
    """The transfer this very frame moved points for, or would: an offer taken, an acceptance believed."""
    if frame.kind == Kind.OFFER and not frame.reply:
        came = batch.transfers.get((frame.id, peer))
        known = came is not None and came.offered == number and came.state in (State.ACCEPTED, State.IN_REVIEW)
        return came if known else None
    if frame.kind == Kind.ACCEPT and frame.reply:
        went = batch.transfers.get((frame.id, batch.books.me))
        return went if went is not None and went.answered == number and went.state == State.POSTED else None
    return None


def _withdraw(peer: int, suspicious: set[bytes], batch: Batch) -> int:
    """Claims that newer anchors clear."""
    c = schema.claim
    query = select(c.c.no, c.c.id).where(
        c.c.peer == peer, c.c.cause == int(Cause.REVOKED_KEY), c.c.state == int(ClaimState.OPEN)
    )
    cleared = [row.no for row in batch.conn.execute(query) if row.id not in suspicious]
    for no in cleared:
        batch.conn.execute(update(c).where(c.c.no == no).values(state=int(ClaimState.WITHDRAWN)))
    return len(cleared)
