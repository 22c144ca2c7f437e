"""The way out of a quarantine: both regions sign from where a log goes on (SPEC section 4.1).

Nothing that was posted is unposted and nothing that is held is taken out. The log goes on from what its destination
holds; frames there that its source does not stand by are disowned: what they did at the destination becomes a claim in
suspense. The source agrees first or second, as it likes; the destination's signature says what it holds, so that the
source's comes after it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256

import structlog
from sqlalchemy import Connection, select, update

from gateway.protocol import codec, contradictions, documents, suite
from gateway.protocol.channel import Channel, Condition, root_at
from gateway.protocol.errors import Malformed, ProtocolError, Refused
from gateway.protocol.exhibits import RepairProof
from gateway.protocol.members import Roster
from gateway.protocol.proof import holds
from gateway.protocol.transfer import State
from gateway.protocol.values import NO_EPOCH, Frame, Kind, Log, Reason, Repair, Signed
from node.errors import BadInput, SamePerson
from node.ledger import journal
from node.services import claim, offer, seal
from node.services.command import handles
from node.services.forks import evidence
from node.services.office import Office
from node.services.roaming import doubt as roaming_doubt
from node.store import logs, schema
from node.store.batch import Batch, Wishes

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Agree:
    """Two people of this region stand by the first `size` frames of the log that the evidence is about."""

    peer: int
    evidence: bytes  # SHA-256 of the file
    size: int
    maker: str
    checker: str
    file: bytes = b""  # the evidence itself, where it is not stored here


@dataclass(frozen=True, kw_only=True, slots=True)
class HearRepair:
    """A verified repair by a peer, and the signed bytes to keep."""

    peer: int
    repair: Repair
    signed: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class SayRepair:
    """Say again what this region has signed and the peer has not."""

    peer: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How far a repair has come."""

    repair: Repair
    mine: bytes | None  # signed
    theirs: bytes | None  # signed
    at_ms: int

    @property
    def complete(self) -> bool:
        """Both have signed the same."""
        return self.mine is not None and self.theirs is not None

    @property
    def disowned(self) -> tuple[range, ...]:
        """The numbers that its source does not stand by, once both have signed."""
        numbers = range(self.repair.size, self.repair.holds_size)
        return (numbers,) if self.complete and numbers else ()


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """What it looks at is loaded when it is known."""


# -- what is stored ---------------------------------------------------------------------------------------------------


def agreements(conn: Connection, peer: int | None = None) -> dict[tuple[int, bytes], Agreement]:
    """Every repair, by peer and evidence."""
    r = schema.repair
    query = select(r).order_by(r.c.at_ms)
    if peer is not None:
        query = query.where(r.c.peer == peer)
    return {
        (row.peer, row.evidence): Agreement(
            repair=_decode(row.payload), mine=row.mine, theirs=row.theirs, at_ms=row.at_ms
        )
        for row in conn.execute(query)
    }


def disowned(conn: Connection, peer: int, log: Log) -> list[range]:
    """The numbers in a log that its source does not stand by any more: they are kept, and never done again."""
    return [others for a in agreements(conn, peer).values() if a.repair.log == log for others in a.disowned]


def explains(conn: Connection, channel: Channel, size: int) -> bool:
    """Whether two regions have agreed that so many frames of my log are held: nothing was lost, it was disputed."""
    return any(
        a.complete and a.repair.log == channel.out and a.repair.size <= channel.size and a.repair.holds_size >= size
        for a in agreements(conn, channel.peer).values()
    )


def _decode(payload: bytes) -> Repair:
    value = codec.decode_payload(codec.REPAIR, payload)
    assert isinstance(value, Repair)
    return value


def _store(batch: Batch, peer: int, repair: Repair, *, mine: bytes | None, theirs: bytes | None) -> Agreement:
    """Insert or replace: the database refuses to change what both have signed."""
    r, payload = schema.repair, codec.encode_payload(repair)
    known = (r.c.peer == peer) & (r.c.evidence == repair.evidence)
    values = {"payload": payload, "mine": mine, "theirs": theirs, "at_ms": batch.now_ms}
    if not batch.conn.execute(update(r).where(known).values(values)).rowcount:
        batch.conn.execute(r.insert().values(peer=peer, evidence=repair.evidence, **values))
    return Agreement(repair=repair, mine=mine, theirs=theirs, at_ms=batch.now_ms)


def _sign(repair: Repair, office: Office) -> bytes:
    return codec.encode_signed(office.signing_key.sign(codec.REPAIR, codec.encode_payload(repair)))


# -- the operators ----------------------------------------------------------------------------------------------------


@handles(Agree, _nothing)
def agree(command: Agree, office: Office, batch: Batch) -> Agreement:
    """Sign, or say what will be signed once the peer has said what it holds. The channel is in quarantine from now on.

    Raises SamePerson, BadInput for evidence that does not hold or is about others, Refused: WRONG_STATE for a prefix
    that this region does not hold, or a repair that is signed already.
    """
    if not command.maker.strip() or not command.checker.strip():
        raise BadInput("a repair needs two names: who proposes it and who checked it")
    if command.maker.strip() == command.checker.strip():
        raise SamePerson(f"{command.maker} cannot check what he proposes: a second person has to")
    channel = batch.channel(command.peer)
    log = _log_of(command, channel, office, batch)
    known = agreements(batch.conn, command.peer).get((command.peer, command.evidence))
    if known is not None and known.complete:
        raise Refused(Reason.WRONG_STATE, "both regions have signed a repair about this evidence already")
    root = _root(channel, log, command.size, batch)
    said = json.dumps(
        {"peer": command.peer, "source": log.source, "size": command.size, "evidence": command.evidence.hex()}
    )
    batch.insert(schema.act, (batch.books.next("act"), "repair", said, command.maker, command.checker, batch.now_ms))
    if channel.condition is Condition.OPEN:
        evidence.stop(channel, batch)
    holds_size, holds_root = (channel.held, channel.in_frontier.root()) if log == channel.into else (command.size, root)
    wanted = Repair(
        log=log, size=command.size, root=root, evidence=command.evidence, holds_size=holds_size, holds_root=holds_root
    )
    mine = _sign(wanted, office) if log == channel.into else None
    return _store(batch, command.peer, wanted, mine=mine, theirs=None)


def _log_of(command: Agree, channel: Channel, office: Office, batch: Batch) -> Log:
    """The log in dispute: one of this channel's. The evidence is stored where it was not."""
    stored = evidence.find(batch.conn, command.evidence, command.peer)
    file = stored.file if stored is not None else command.file
    if not file:
        raise BadInput("no such evidence is stored here: give the file that the other region saved")
    if sha256(file).digest() != command.evidence:
        raise BadInput("the file is not the one with this digest: ask for it again and copy it whole")
    try:
        found = evidence.read(file)
        log = contradictions.log_of(found)
        if stored is None and not holds(contradictions.verify(found, office.roster.federation)):
            raise BadInput("the evidence does not hold: check it with `python -m gateway verify`")
    except ProtocolError as fault:
        raise BadInput(f"the file is no evidence: {fault}") from fault
    if log not in (channel.out, channel.into):
        raise BadInput(f"the evidence is about the log {log.source} -> {log.destination}, not about this channel")
    if stored is None:
        evidence.keep(command.peer, file, batch)
    return log


def _root(channel: Channel, log: Log, size: int, batch: Batch) -> bytes:
    mine = log == channel.out
    frontier = channel.out_frontier if mine else channel.in_frontier
    if mine and size < channel.final:
        raise Refused(Reason.WRONG_STATE, f"the first {channel.final} frames of this region's log are final")
    if not 0 <= size <= frontier.size:
        raise Refused(Reason.WRONG_STATE, f"this region holds {frontier.size} frames of that log, not {size}")
    return root_at(frontier, batch.nodes(log.source, log.destination), size)


# -- the peer ---------------------------------------------------------------------------------------------------------


@handles(SayRepair, _nothing)
def say_repair(command: SayRepair, office: Office, batch: Batch) -> tuple[Signed, ...]:
    """What waits for the peer's signature."""
    found = agreements(batch.conn, command.peer).values()
    return tuple(codec.decode_signed(a.mine) for a in found if a.mine is not None and a.theirs is None)


@handles(HearRepair, _nothing)
def hear_repair(command: HearRepair, office: Office, batch: Batch) -> tuple[Signed, ...]:
    """A peer has signed. Where two people here have agreed to the same, this region signs too and the quarantine ends.

    A repair about other evidence, or another prefix, changes nothing. Raises Malformed for one that cannot be.
    """
    channel, repair = batch.channel(command.peer), command.repair
    known = agreements(batch.conn, command.peer).get((command.peer, repair.evidence))
    if known is None:
        log.info("repair_not_agreed", peer=command.peer, size=repair.size, evidence=repair.evidence.hex())
        return ()
    if known.complete:  # said again, because what completed it was lost
        return (codec.decode_signed(known.mine or b""),) if known.repair == repair else ()
    if repair.log == channel.into:
        if known.repair != repair or known.mine is None:
            return ()
        _store(batch, command.peer, repair, mine=known.mine, theirs=command.signed)
        _into_suspense(channel, repair, office, batch)
        _leave(channel, repair, batch)
        return ()
    wanted = known.repair
    if (wanted.log, wanted.size, wanted.root) != (repair.log, repair.size, repair.root):
        log.info("repair_differs", peer=command.peer, size=repair.size, here=wanted.size)
        return ()
    if repair.holds_size < repair.size:
        raise Malformed(f"{repair.size} frames cannot stand where {repair.holds_size} are held")
    mine = _sign(repair, office)
    _store(batch, command.peer, repair, mine=mine, theirs=command.signed)
    _leave(channel, repair, batch)
    return (codec.decode_signed(mine),)


def _leave(channel: Channel, repair: Repair, batch: Batch) -> None:
    """Begin anew: a fresh epoch on both sides, from what each holds. What I said beyond the prefix I stand by waits
    for new numbers."""
    condition = Condition.OPEN if channel.condition is Condition.QUARANTINED else channel.condition
    channel = replace(channel, condition=condition, ready=False, peer_open=False, proposal=NO_EPOCH, fenced=None)
    batch.set_channel(channel)
    keep = max(repair.size, channel.final)
    if repair.log == channel.out and keep < channel.size:
        batch.set_channel(seal.take_back(batch, channel, keep))


def _into_suspense(channel: Channel, repair: Repair, office: Office, batch: Batch) -> None:
    """What frames that are disowned did here stays posted and becomes a claim; what they still wait for is refused."""
    log = batch.books.logs[channel.peer, batch.books.me]
    if repair.size == repair.holds_size:
        return
    for segment in list(logs.segments(batch.conn, log, repair.size)):
        frames = [codec.decode_frame(raw) for raw in codec.unpack_frames(segment.frames)]
        batch.load(Wishes(transfers={frame.id for frame in frames}))
        for number, frame in enumerate(frames, segment.first):
            if repair.size <= number < repair.holds_size:
                _suspend(channel.peer, frame, number, office, batch)


def _suspend(peer: int, frame: Frame, number: int, office: Office, batch: Batch) -> None:
    because = f"frame {number} is disowned"
    if spent := roaming_doubt.moved(peer, frame, number, batch):
        claim.keep(batch, peer, claim.Cause.FORK, *spent, because)
    if frame.kind == Kind.OFFER and not frame.reply:
        came = batch.transfers.get((frame.id, peer))
        if came is None or came.offered != number:
            return
        if came.state == State.ACCEPTED:
            claim.raise_claim(batch, peer, claim.Cause.FORK, came, because)
        elif came.state == State.IN_REVIEW:
            decision = offer.refuse(came, Reason.CANCELLED, number, office, batch)
            batch.record(journal.Reviewed(at=batch.now_ms, peer=peer, by="repair", decision=decision))
    elif frame.kind == Kind.ACCEPT and frame.reply:
        went = batch.transfers.get((frame.id, batch.books.me))
        if went is not None and went.state == State.POSTED and went.answered == number:
            claim.raise_claim(batch, peer, claim.Cause.FORK, went, because)


def proof(conn: Connection, peer: int, digest: bytes) -> RepairProof | None:
    """What both have signed, with the evidence, for anybody to check. None while it is not complete."""
    found = agreements(conn, peer).get((peer, digest))
    if found is None or found.mine is None or found.theirs is None:
        return None
    mine, theirs = codec.decode_signed(found.mine), codec.decode_signed(found.theirs)
    stored = evidence.find(conn, digest, peer)
    return RepairProof(
        repair=replace(mine, signatures=(*mine.signatures, *theirs.signatures)),
        evidence=stored.file if stored is not None else b"",
        rosters=tuple(evidence.rosters(conn)),
    )


def faults(conn: Connection, roster: Roster) -> list[str]:
    """What is wrong with the repairs that are kept as complete: both regions must have signed the very payload."""
    found = []
    for (peer, _), kept in agreements(conn).items():
        for code, data in ((_other_end(kept.repair, peer), kept.mine), (peer, kept.theirs)) if kept.complete else ():
            try:
                signed = codec.decode_signed(data or b"")
                if suite.verify(signed, roster.all_keys(code), codec.REPAIR) != codec.encode_payload(kept.repair):
                    found.append(f"the repair with {peer} is not the one that region {code} signed")
            except ProtocolError as fault:
                found.append(f"the repair with {peer}: {fault}")
    return found


def _other_end(repair: Repair, peer: int) -> int:
    """The end of a repair's log that is not the peer."""
    return repair.log.source if repair.log.destination == peer else repair.log.destination


def proof_file(conn: Connection, peer: int, digest: bytes) -> str | None:
    """The same as a file."""
    found = proof(conn, peer, digest)
    return documents.write(found) if found is not None else None
