"""The handshake as commands of the single writer: what must be durable before it is answered becomes so here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.protocol import channel as channels
from gateway.protocol import handshake, recovery
from gateway.protocol.channel import STOPPED, Channel, Condition
from gateway.protocol.errors import Abandoned, Contradicted, Doubled, Restored, Unauthentic
from gateway.protocol.values import (
    NO_EPOCH,
    Ask,
    Behind,
    Control,
    Fenced,
    Gap,
    NotReady,
    Pull,
    Receipt,
    Resume,
    Stale,
    Standing,
)
from node.services import seal
from node.services.command import handles
from node.services.forks import evidence
from node.services.keys import doubled
from node.services.office import Office
from node.services.recovery import merge, page
from node.store import bulk, schema
from node.store.batch import Batch, Wishes

Said = Sequence[Control | Receipt | page.GivenBack]
"""What goes back to the peer once this is committed; a receipt is the region's latest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Begin:
    """Say what a stream with a peer begins with, or what was not answered: Resume, or Ask."""

    peer: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Hear:
    """A verified control message, or a bare Gap or NotReady."""

    peer: int
    message: Control | Gap | NotReady
    back_off_ms: int = 0
    proof: Resume | None = None  # in a Stale: what a key of this region has signed


@dataclass(frozen=True, kw_only=True, slots=True)
class HearReceipt:
    """A verified receipt of the peer over my log, the signed bytes to keep, and the credit beside it."""

    peer: int
    receipt: Receipt
    signed: bytes
    credit_size: int


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Looks at no account."""


@handles(Begin, _nothing)
def begin(command: Begin, office: Office, batch: Batch) -> Said:
    """Resume until my epoch is fenced, Ask afterwards.

    What was proposed once is proposed again: a new epoch each time would make the answer to the one before worthless,
    and a peer slower than the repetition could never let this region start.
    """
    return _begin(batch.channel(command.peer), office, batch)


def _begin(channel: Channel, office: Office, batch: Batch) -> Said:
    if channel.condition in STOPPED:
        return ()
    if channel.ready:
        return (handshake.ask(channel),)
    if channel.fenced is not None:
        return (recovery.pull(channel),)
    if channel.proposal != NO_EPOCH:
        return (handshake.resume(channel),)
    return (_propose(channel, office, batch),)


def _propose(channel: Channel, office: Office, batch: Batch, known: int = 0) -> Resume:
    nonce = int.from_bytes(office.random(8), "big")
    channel, resume = handshake.propose(channel, batch.now_ms, nonce, max(known, batch.books.epoch))
    batch.set_channel(channel)
    return resume


@handles(Hear, _nothing)
def hear(command: Hear, office: Office, batch: Batch) -> Said:
    """See SPEC section 5. A peer that seems to hold what I no longer know is asked anew, from the beginning."""
    channel = batch.channel(command.peer)
    if channel.condition in STOPPED and not isinstance(command.message, Ask):
        return ()
    try:
        return _hear(command, channel, office, batch)
    except Restored:
        return (_propose(channel, office, batch),)
    except Abandoned as fault:
        merge.abandon(channel, fault, batch)
        return ()
    except Doubled:
        doubled.stop(office, batch)
        return ()


def _hear(command: Hear, channel: Channel, office: Office, batch: Batch) -> Said:
    message = command.message
    nodes = batch.nodes(batch.books.me, command.peer)
    nonce = int.from_bytes(office.random(8), "big")
    now = batch.now_ms
    again: Resume | None = None
    match message:
        case Resume():
            return _hear_resume(channel, message, office, batch)
        case Fenced():
            return hear_fenced(channel, message, office, batch)
        case Pull():
            return (page.give_back(channel, message, batch),)
        case Behind():
            channel, again = handshake.hear_behind(channel, message, now, nonce)
        case Stale():
            channel, again = handshake.hear_stale(channel, message, now, nonce, command.proof)
        case Ask() if handshake.is_fenced_asker(channel, message):
            return (handshake.stale(channel, message.echo),)
        case Ask():
            status = office.roster.find(command.peer)
            standing = handshake.hear_ask(
                channel, message, back_off_ms=command.back_off_ms, status=status.status.name.lower() if status else ""
            )
            # Whoever asks is ready. If that is news, ask back at once: only the answer says where to send on from.
            back = (handshake.ask(channel),) if channel.sealing and not channel.peer_open else ()
            batch.set_channel(handshake.hear_asker(channel, message))
            return (standing, *back, *_latest(channel))
        case Standing():
            channel = handshake.hear_standing(channel, message, nodes)
        case Gap():
            channel = handshake.hear_gap(channel, message)
        case NotReady():
            return _begin(channel, office, batch)
    batch.set_channel(channel)
    return (again,) if again is not None else ()


def _hear_resume(channel: Channel, message: Resume, office: Office, batch: Batch) -> Said:
    # What I lost is asked for anew of a peer that has begun anew otherwise, or that holds more of mine than I knew.
    again: Said = ()
    lost = channel.fenced is not None and not handshake.gives_back(channel, message)
    if lost or handshake.knows_more(channel, message.holds_size):
        again = (_propose(channel, office, batch),)
        channel = batch.channel(channel.peer)
    channel, answer = handshake.hear_resume(channel, message, batch.nodes(batch.books.me, channel.peer))
    batch.set_channel(channel)
    return (answer, *_latest(channel), *again)


def hear_fenced(channel: Channel, message: Fenced, office: Office, batch: Batch) -> Said:
    """I am ready; or the peer holds what I lost, and I ask for it. Raises Abandoned."""
    nodes, into = batch.nodes(batch.books.me, channel.peer), batch.nodes(channel.peer, batch.books.me)
    after, keep = handshake.hear_fenced(channel, message, nodes, into)
    if keep is None:
        if after.fenced is None or after is channel:
            return ()
        return (recovery.pull(merge.begin(after, office, batch)),)
    batch.set_channel(after)
    if keep < after.size:
        seal.seal_again(batch, after, keep)
    merge.end(after.peer, office, batch)
    # Also when the peer is known to be ready: only a question tells it that this side is now.
    return (handshake.ask(after),)


def _latest(channel: Channel) -> Said:
    """My latest receipt, again: the peer may have missed it."""
    return (channel.receipt,) if channel.receipt is not None else ()


@handles(merge.Returned, merge.wishes)
def hear_page(command: merge.Returned, office: Office, batch: Batch) -> Said:
    """Take in what the peer gives back, and ask for the rest. Raises Malformed: nothing of the page is committed."""
    channel = batch.channel(command.peer)
    if channel.condition in STOPPED or channel.ready:
        return ()
    try:
        if not merge.take_in(command, channel, office, batch):
            return ()
        channel = batch.channel(command.peer)
        if channel.fenced is not None and recovery.is_complete(channel):
            return hear_fenced(channel, channel.fenced, office, batch)
    except Abandoned as fault:
        merge.abandon(batch.channel(command.peer), fault, batch)
        return ()
    return (recovery.pull(channel),)


@handles(HearReceipt, _nothing)
def hear_receipt(command: HearReceipt, office: Office, batch: Batch) -> None:
    """Keep the proof of delivery and release what it makes final."""
    channel = batch.channel(command.peer)
    if channel.condition is not Condition.OPEN:
        return
    receipt = command.receipt
    if receipt.log != channel.out:
        raise Unauthentic("the receipt is over another log than mine to its signer")
    try:
        after = channels.hear_receipt(channel, receipt, batch.nodes(batch.books.me, command.peer))
    except Contradicted:
        evidence.deny(channel, command.signed, office, batch)
        return
    except Restored:
        if channel.ready:
            _propose(channel, office, batch)
        return
    if after.receipted > channel.receipted:
        log = batch.books.logs[batch.books.me, command.peer]
        nonce = receipt.epoch.nonce.to_bytes(8, "big")
        row = (log, receipt.size, receipt.epoch.number, nonce, receipt.root, receipt.received_at_ms, command.signed)
        bulk.insert(batch.conn, schema.receipt, [row])
    # The latest word counts, also when it is less than the one before; not that of a receipt that comes late.
    credit = command.credit_size if receipt.size >= channel.receipted else after.credit
    batch.set_channel(replace(after, credit=credit))
