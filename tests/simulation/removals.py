"""Ways to take a safeguard away: a named function of the production code, replaced by one that does not care."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.protocol import channel, codec, handshake
from gateway.protocol.transfer import Conversion, Event, State
from gateway.protocol.values import Kind, Reason
from node.ledger import journal, lots
from node.ledger.accounts import AccountState, Counters
from node.services import award, expiry, offer, receive, reply, reversal, seal, spend, transfer
from node.services.command import HANDLERS, Handler
from node.services.office import Office
from node.services.recovery import advance
from node.services.writer import Writer
from node.store import logs
from node.store.batch import Batch
from node.store.engine import driver_connection
from node.store.working_set import WorkingSet

Patch = pytest.MonkeyPatch


# -- one transaction -------------------------------------------------------------------------------------------------


def torn(patch: Patch) -> None:
    """The log and the channel are committed first, the ledger after them."""
    flush = Batch.flush

    def flush_in_two(self: Batch) -> None:
        kept = self._new, self._balance_deltas, self.lot_deltas
        self._new, self._balance_deltas, self.lot_deltas = {}, {}, {}
        entries, self.entries = self.entries, []
        flush(self)
        driver_connection(self.conn).execute("COMMIT")
        driver_connection(self.conn).execute("BEGIN IMMEDIATE")
        self._new, self._balance_deltas, self.lot_deltas = kept
        self.entries, self._channels, self._new_transfers, self._decided = entries, set(), [], {}
        flush(self)

    patch.setattr(Batch, "flush", flush_in_two)


def sign_before_commit(patch: Patch) -> None:
    """What a batch seals can be read, signed and sent while its transaction may still fail."""
    from tests.simulation.world import World

    worlds: list[World] = []
    begin, flush = World.begin, Batch.flush

    def remember(self: World) -> None:
        worlds[:] = [self]
        begin(self)

    def flush_and_send(self: Batch) -> None:
        flush(self)
        if not worlds:
            return
        world = worlds[0]
        region = world.regions[self.books.me]
        region.writer.channels = dict(self.books.channels)
        for peer in {peer for peer, *_ in self.sealed}:
            c = self.books.channels[peer]
            envelope = region.cut(peer, c.final, c.size)
            if envelope is not None:
                world.send(region, peer, [envelope])

    patch.setattr(World, "begin", remember)
    patch.setattr(Batch, "flush", flush_and_send)


def keep_dirty_books(patch: Patch) -> None:
    load = Writer._load

    def load_once(self: Writer, volatile: Any) -> None:
        if not hasattr(self, "channels"):
            load(self, volatile)

    patch.setattr(Writer, "_load", load_once)


def trust_memory(patch: Patch) -> None:
    patch.setattr(channel.Channel, "with_volatile_of", lambda self, other: other)


def seal_whole_segments(patch: Patch) -> None:
    """A batch is sealed again as a whole, or not at all."""

    def again(batch: Batch, c: channel.Channel, keep: int) -> None:
        first = min(span.first for span in logs.outline(batch.conn, batch.books.logs[batch.books.me, c.peer], keep))
        whole(batch, channel.replace(c, final=min(c.final, first)), first)

    whole = seal.seal_again
    patch.setattr(seal, "seal_again", again)


# -- the channel -----------------------------------------------------------------------------------------------------


def never(*_: Any) -> bool:
    return False


def always(*_: Any) -> bool:
    return True


def nothing(*_: Any) -> None:
    return None


def instead(target: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(target, name, value)


def open_alone(c: channel.Channel) -> bool:
    return c.ready and c.condition is channel.Condition.OPEN


def not_where_i_stand(c: channel.Channel, head: Any) -> bool:
    """Only an envelope that begins exactly where I stand is taken."""
    return bool(head.first != c.held and head.size > c.held)


def as_it_is(c: channel.Channel, seen: int) -> channel.Channel:
    """What the peer has seen says nothing."""
    return c


def number_without_clock(c: channel.Channel, known: int, now_ms: int) -> int:
    return max(c.epoch.number, c.proposal.number, known) + 1


def number_by_itself(c: channel.Channel, known: int, now_ms: int) -> int:
    return max(c.epoch.number, c.proposal.number, now_ms) + 1


def forget_peer_epoch(patch: Patch) -> None:
    """Neither Fenced nor Standing says anything about the peer's epoch."""
    fenced, standing = handshake.hear_fenced, handshake.hear_standing

    def hear_fenced(c: channel.Channel, message: Any, nodes: Any, into: Any) -> Any:
        after, keep = fenced(c, message, nodes, into)
        return channel.replace(after, peer_epoch=c.peer_epoch), keep

    def hear_standing(c: channel.Channel, message: Any, nodes: Any) -> Any:
        return channel.replace(standing(c, message, nodes), peer_epoch=c.peer_epoch)

    patch.setattr(handshake, "hear_fenced", hear_fenced)
    patch.setattr(handshake, "hear_standing", hear_standing)


def believe(signed: Any, keys: Any, payload_type: str) -> bytes:
    payload: bytes = signed.payload
    return payload


# -- commands --------------------------------------------------------------------------------------------------------


def random_ids(patch: Patch) -> None:
    patch.setattr(Office, "public_id", lambda self, client, key: self.random(16))


def blind_digests(patch: Patch) -> None:
    for module in (award, spend, transfer, reversal):
        patch.setattr(module, "digest_of", lambda *parts: b"same" if parts[0] != "cancel" else str(parts[1]).encode())


def wish_outcomes(patch: Patch) -> None:
    for module in (award, spend, reversal):
        patch.setattr(module, "wish_once", lambda wishes, command_id: wishes.outcomes.add(command_id))


def void_on_cancel(patch: Patch) -> None:
    """A cancel gives the points back at once, without waiting for the answer."""
    handler = HANDLERS[transfer.Cancel]

    def cancel(asked: transfer.Cancel, office: Office, batch: Batch) -> Any:
        answer = handler.decide(asked, office, batch)
        mine = batch.transfers[asked.id, office.me]
        transfer.settle(mine, Kind.REFUSE, int(Reason.CANCELLED), 0, batch)
        return answer

    patch.setitem(HANDLERS, transfer.Cancel, Handler(handler.wishes, cancel))


# -- offers and answers ----------------------------------------------------------------------------------------------


def answer_conflict_alone(known: Any, frame: Any, number: int, office: Office, batch: Batch) -> journal.Decision:
    reason = Reason.CONFLICT_DIFFERENT_CONTENT
    reply.answer(known.source, frame.id, reason, b"", office, batch, None)
    return journal.Decision(number, 0, 0, int(reason))


def cancel_whatever(peer: int, frame: Any, number: int, office: Office, batch: Batch) -> journal.Decision:
    """A cancel refuses what was accepted, too."""
    known = batch.transfers.get((frame.id, peer))
    if known is None or known.state not in (State.IN_REVIEW, State.ACCEPTED):
        return journal.Decision(number, 0, 0)
    known.state = State.IN_REVIEW
    return offer.refuse(known, Reason.CANCELLED, number, office, batch)


def answer_replies(patch: Patch) -> None:
    hear = receive.hear_reply

    def hear_and_refuse(
        peer: int, frame: Any, body: bytes, number: int, record: Any, office: Office, batch: Batch
    ) -> journal.Decision:
        if (frame.id, batch.books.me) in batch.transfers:
            return hear(peer, frame, body, number, record, office, batch)
        batch.say(peer, channel_draft(frame), None)
        return journal.Decision(number, 0, 0)

    patch.setattr(receive, "hear_reply", hear_and_refuse)


def channel_draft(frame: Any) -> Any:
    """A refusal of whatever this was."""
    from gateway.protocol.values import Draft

    return Draft(Kind.REFUSE, True, frame.id, b"s" * 16 + codec.encode_refuse(Reason.UNKNOWN_KIND, b""))


_STEPS = {
    (True, Event.ACCEPT): State.POSTED, (True, Event.REFUSE): State.VOIDED, (False, Event.REVIEW): State.IN_REVIEW,
    (False, Event.ACCEPT): State.ACCEPTED, (False, Event.REFUSE): State.REFUSED,
}  # fmt: skip


def any_step(patch: Patch) -> None:
    """A second answer is booked like the first."""
    patch.setattr(receive, "is_waiting_for", lambda mine, peer: mine.destination == peer)
    for module in (transfer, offer, reversal):
        patch.setattr(module, "step", lambda state, event: _STEPS[state < State.OFFERED, event])


def inexact(patch: Patch) -> None:
    """What does not make a whole block leaves as well, and nobody checks."""

    def convert(amount: int, rate_p: int, rate_q: int) -> Conversion:
        blocks = -(-amount // rate_q)
        return Conversion(blocks, blocks * rate_q, blocks * rate_p + 1, 0)

    patch.setattr(transfer, "convert", convert)
    patch.setattr(offer, "check_offer", nothing)


def receiver_in_any_state(patch: Patch) -> None:
    def receiver(peer: int, body: Any, batch: Batch) -> Any:
        found = batch.addresses.get(body.address)
        if found is None:
            raise offer.Refused(Reason.ADDRESS_UNKNOWN)
        return batch.accounts_by_no[found[1]]

    patch.setattr(offer, "receiver", receiver)


# -- points ----------------------------------------------------------------------------------------------------------


def all_clear(patch: Patch) -> None:
    for module in (lots, expiry, reversal):
        patch.setattr(module, "is_clear", always)


def choose_anything(patch: Patch) -> None:
    patch.setattr(advance, "choose", lambda found, need, **_: [lot for lot in found if lot.remaining])


def choose_expired(patch: Patch) -> None:
    def choose(found: Any, need: int, *, today: int, **more: Any) -> Any:
        return lots.choose(found, need, today=0, **more)

    patch.setattr(advance, "choose", choose)


def forget_other_lots(patch: Patch) -> None:
    """Whoever knows one lot of a balance believes to know all of them."""
    load = WorkingSet.load_lots

    def load_unknown(self: WorkingSet, balances: Any) -> None:
        load(self, [balance for balance in balances if balance not in self.lots])

    patch.setattr(WorkingSet, "load_lots", load_unknown)


def whatever_is_left(original: Any, batch: Batch) -> list[Any]:
    balance = original.balance or 0
    batch.load_lots([balance])
    return [lot for lot in batch.lots_of(balance).values() if lot.transfer == original.no]


def holder_open(patch: Patch) -> None:
    holder = WorkingSet.holder

    def always_open(self: WorkingSet, balance: int) -> Any:
        account = holder(self, balance)
        account.state = AccountState.OPEN
        return account

    patch.setattr(WorkingSet, "holder", always_open)


def no_counters(patch: Patch) -> None:
    patch.setattr(Batch, "counters", lambda self, balances: [Counters()] * len(balances))
