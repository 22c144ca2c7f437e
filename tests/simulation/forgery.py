"""Strangers on the wire, whom nothing may believe; and a member that says odd things in its own name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.protocol import codec, limits
from gateway.protocol.errors import ProtocolError
from gateway.protocol.transfer import State
from gateway.protocol.values import (
    Delivered,
    Draft,
    Envelope,
    Gap,
    Head,
    Kind,
    Message,
    NotReady,
    Offer,
    Page,
    Provenance,
    Purpose,
    Signed,
    Slice,
)
from gateway.transport import messages
from node.services.command import handles
from node.services.office import Office
from node.store.batch import Batch, Wishes
from tests.federation import CATEGORIES, signing_key
from tests.simulation.network import Packet
from tests.simulation.region import Job, SimRegion
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

STRANGER = signing_key("a stranger")


# -- strangers -------------------------------------------------------------------------------------------------------


def attack(world: World, region: SimRegion) -> None:
    """Something overheard comes back altered, or at the wrong door. Nothing may change."""
    del region
    overheard = [p for p in world.network.overheard if p.what not in ("Gap", "NotReady")]
    if not overheard:
        return
    envelopes = [p for p in overheard if p.what.startswith(("Envelope", "Receipt"))]
    packet = world.chance.choice(envelopes if envelopes and world.chance.random() < 0.6 else overheard)
    forged = world.chance.choice(FORGERIES)(world, packet)
    if forged is None or (forged.source, forged.destination, forged.data) in {p[:3] for p in overheard}:
        return
    target = world.regions[forged.destination]
    with suppress(ProtocolError):
        forgery, real = messages.decode(forged.data), messages.decode(packet.data)
        if forged[:2] == packet[:2] and _same(forgery, real, _held(world, packet)):
            return
    if target.inbox:
        world.commit(target)  # or it would be committed together with other things
    if target.inbox or target.disk.gone or target.disk.fault or any(target.writer.backlogs.values()):
        return
    if target.channel(forged.source) is None or target.is_in_doubt():
        return  # to be heard of at all makes a channel, and a doubt is cleared up with whatever comes next
    before = target.changes()
    world.hear_stranger(forged)
    if target.changes() != before:
        raise Violation(f"{target.code} believes a forged {forged.what} from {forged.source}")
    world.count["forgeries"] += 1


def _held(world: World, packet: Packet) -> int:
    """How much of its sender's log the receiver of a packet holds."""
    channel = world.regions[packet.destination].channel(packet.source)
    return channel.held if channel is not None else 0


def _same(forged: object, real: object, held: int) -> bool:
    """Whether what is left relies on no signature (advice where to send on from), or the change touched only a hint,
    the advice beside a receipt, or frames that are held."""
    if isinstance(forged, Gap | NotReady):
        return True
    if isinstance(forged, Envelope) and isinstance(real, Envelope) and forged.head == real.head:
        head = codec.decode_payload(codec.HEAD, real.head.payload)
        assert isinstance(head, Head)
        new = max(held - head.first, 0)
        whole = len(forged.frames) == len(real.frames)
        return whole and (forged.frames[new:], forged.bodies[new:]) == (real.frames[new:], real.bodies[new:])
    if isinstance(forged, Delivered) and isinstance(real, Delivered):
        return forged.receipt == real.receipt
    return forged == real


def _flip(world: World, packet: Packet) -> Packet:
    data = bytearray(packet.data)
    for _ in range(world.chance.choice([1, 1, 1, 2, 8])):
        data[world.chance.randrange(len(data))] ^= 1 << world.chance.randrange(8)
    return packet._replace(data=bytes(data))


def _truncate(world: World, packet: Packet) -> Packet:
    return packet._replace(data=packet.data[: world.chance.randrange(len(packet.data))])


def _reflect(_world: World, packet: Packet) -> Packet:
    return packet._replace(source=packet.destination, destination=packet.source)


def _misdeliver(world: World, packet: Packet) -> Packet | None:
    others = [c for c in world.codes if c not in packet[:2]]
    return packet._replace(destination=world.chance.choice(others)) if others else None


def _impersonate(world: World, packet: Packet) -> Packet | None:
    others = [c for c in world.codes if c not in packet[:2]]
    return packet._replace(source=world.chance.choice(others)) if others else None


def _sign_anew(world: World, packet: Packet) -> Packet:
    """The same content under the key of a stranger, or of another member."""
    key = world.chance.choice([STRANGER, *(signing_key(c) for c in world.codes if c != packet.source)])

    def anew(signed: Signed) -> Signed:
        return key.sign(signed.payload_type, signed.payload)

    return _with(packet, anew)


def _other_type(world: World, packet: Packet) -> Packet:
    """A true signature, said to be of something else."""
    kinds = [codec.HEAD, codec.RECEIPT, codec.RESUME, codec.FENCED, codec.STANDING, codec.STALE]
    return _with(packet, lambda signed: replace(signed, payload_type=world.chance.choice(kinds)))


def _other_frames(world: World, packet: Packet) -> Packet | None:
    """A true head with frames taken out, repeated, swapped or replaced, or with other bodies."""
    message = messages.decode(packet.data)
    if not isinstance(message, Envelope):
        return None
    frames, bodies = list(message.frames), list(message.bodies)
    i, j = world.chance.randrange(len(frames)), world.chance.randrange(len(frames))
    match world.chance.randrange(5):
        case 0:
            del frames[i], bodies[i]
        case 1:
            frames.insert(i, frames[j])
            bodies.insert(i, bodies[j])
        case 2:
            frames[i], frames[j] = frames[j], frames[i]
            bodies[i], bodies[j] = bodies[j], bodies[i]
        case 3:
            bodies[i] = bodies[i][:-1] + bytes([bodies[i][-1] ^ 1])
        case _:
            draft = Draft(Kind.ACCEPT, True, world.chance.randbytes(16), world.chance.randbytes(20))
            frames[i], bodies[i] = codec.encode_frame(draft, 0, 0), draft.body
    changed = replace(message, frames=tuple(frames), bodies=tuple(bodies))
    return None if changed == message else packet._replace(data=messages.encode(changed))


def _garbage(world: World, packet: Packet) -> Packet:
    return packet._replace(data=world.chance.randbytes(world.chance.randrange(200)))


def _with(packet: Packet, change: Any) -> Packet:
    message = messages.decode(packet.data)
    forged: Message
    if isinstance(message, Envelope):
        forged = replace(message, head=change(message.head))
    elif isinstance(message, Delivered):
        forged = replace(message, receipt=change(message.receipt))
    elif isinstance(message, Page):
        forged = replace(message, head=change(message.head)) if message.head is not None else message
    else:
        assert isinstance(message, Signed)
        forged = change(message)
    return packet._replace(data=messages.encode(forged))


FORGERIES = [
    _flip, _flip, _truncate, _reflect, _misdeliver, _impersonate, _sign_anew, _other_type, _other_frames,
    _other_frames, _garbage,
]  # fmt: skip


# -- a member that says odd things -----------------------------------------------------------------------------------


def say(region: SimRegion, peer: int, draft: Draft) -> None:
    """Let a region say anything in its own log, numbered and signed as if it meant it."""
    region.odd = True
    region.inbox.append(Job(command=Saying(peer, draft)))


class Saying:
    """A message no service would send."""

    def __init__(self, peer: int, draft: Draft) -> None:
        self.peer, self.draft = peer, draft

    def __str__(self) -> str:
        return f"{self.draft.kind} {self.draft.id.hex()}"


def _nothing(command: Saying, office: Office, wishes: Wishes) -> None:
    """Looks at nothing."""


@handles(Saying, _nothing)
def _say(command: Saying, office: Office, batch: Batch) -> None:
    batch.say(command.peer, command.draft, None)


def oddity(world: World, region: SimRegion) -> None:
    """A request that cannot be granted, or an answer to nothing: refused by name or kept, and the log moves on."""
    if not world.odd:
        return
    peer = world.chance.choice(world.clients[region.code].peers)
    draft = world.chance.choice(ODDITIES)(world, region, peer)
    if draft is not None:
        if (draft.id, region.code) not in world.ledgers[region.code].by_id():
            world.invented.add(draft.id)
        world.count["oddities"] += 1
        world.say(region, f"is made to say {draft.kind} {'reply' if draft.reply else 'request'} to {peer}")
        say(region, peer, draft)


def body(world: World, content: bytes = b"") -> bytes:
    """A salted body."""
    return world.chance.randbytes(limits.SALT_BYTES) + content


def an_offer(world: World, **changes: Any) -> bytes:
    """The body of an offer of 3 units at 1:1 to nobody."""
    slices = (Slice(3, 0, (Provenance(330100, 20260101, 2, ""),)),)
    plain = Offer(b"?" * 10, Purpose.RELOCATION, 1, 1, 1, slices, "", b"", b"", b"")
    return body(world, codec.encode_offer(plain._replace(**changes)))


def _mine(world: World, region: SimRegion, peer: int, *states: State) -> bytes | None:
    """One of the region's own transfers to this peer."""
    found = [t.id for t in world.ledgers[region.code].transfers.values()
             if t.source == region.code and t.destination == peer and t.state in states]  # fmt: skip
    return world.chance.choice(found) if found else None


def _theirs(world: World, region: SimRegion, peer: int, *states: State) -> bytes | None:
    """One of the peer's transfers to this region."""
    found = [t.id for t in world.ledgers[region.code].transfers.values() if t.source == peer and t.state in states]
    return world.chance.choice(found) if found else None


def _unknown_kind(world: World, region: SimRegion, peer: int) -> Draft:
    known = _mine(world, region, peer, State.HELD, State.POSTED, State.VOIDED)
    return Draft(77, False, known or world.chance.randbytes(16), body(world, b"??"))


def _unreadable_offer(world: World, region: SimRegion, peer: int) -> Draft:
    known = _mine(world, region, peer, State.HELD, State.POSTED, State.VOIDED)
    return Draft(
        Kind.OFFER, False, known or world.chance.randbytes(16), body(world, b"\xff\xff"), "moral", 3, "moral", 3
    )


def _conflicting_offer(world: World, region: SimRegion, peer: int) -> Draft | None:
    known = _mine(world, region, peer, State.HELD, State.POSTED, State.VOIDED)
    return known and Draft(Kind.OFFER, False, known, an_offer(world), "moral", 3, "moral", 3)


def _offer_to_nobody(world: World, region: SimRegion, peer: int) -> Draft:
    return Draft(Kind.OFFER, False, world.chance.randbytes(16), an_offer(world), CATEGORIES[0], 3, CATEGORIES[0], 3)


def _unasked_return(world: World, region: SimRegion, peer: int) -> Draft:
    posted = _theirs(world, region, peer, State.ACCEPTED) or world.chance.randbytes(16)
    content = an_offer(world, purpose=Purpose.REVERSAL, cites=posted, request=world.chance.randbytes(16))
    return Draft(Kind.OFFER, False, world.chance.randbytes(16), content, CATEGORIES[0], 3, CATEGORIES[0], 3)


def _second_answer(world: World, region: SimRegion, peer: int) -> Draft:
    """Never a second ACCEPT of the same transfer: its own books would not stand that from it."""
    kind = world.chance.choice([Kind.ACCEPT, Kind.REFUSE, Kind.OFFER, 88])
    states = [State.REFUSED] if kind == Kind.ACCEPT else [State.ACCEPTED, State.REFUSED]
    decided = _theirs(world, region, peer, *states) or world.chance.randbytes(16)
    return Draft(kind, True, decided, body(world, world.chance.choice([b"", b"\xff"])))


def _cancel_nothing(world: World, region: SimRegion, peer: int) -> Draft:
    decided = _mine(world, region, peer, State.POSTED, State.VOIDED) or world.chance.randbytes(16)
    return Draft(Kind.CANCEL, False, decided, body(world))


def _reverse(world: World, region: SimRegion, peer: int) -> Draft:
    cited = _mine(world, region, peer, *State) or world.chance.randbytes(16)
    content = codec.encode_reverse_request(cited, b"")
    if world.chance.random() < 0.2:
        content = b"\xff"
    asked = [row[0] for row in region.rows("SELECT id FROM reversal WHERE peer = ? AND asked_by_me", peer)]
    return Draft(
        Kind.REVERSE_REQUEST, False, world.chance.choice([world.chance.randbytes(16), *asked]), body(world, content)
    )


def _cut_off(world: World, region: SimRegion, peer: int) -> Draft:
    return Draft(Kind.CUT_OFF, False, world.chance.randbytes(16), body(world))


ODDITIES = [
    _unknown_kind, _unreadable_offer, _conflicting_offer, _offer_to_nobody, _unasked_return, _second_answer,
    _cancel_nothing, _reverse, _cut_off,
]  # fmt: skip
