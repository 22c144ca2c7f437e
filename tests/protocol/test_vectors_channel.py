"""The published vectors of what passes between two regions, and of what is shown to others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import channel as channels
from gateway.protocol import codec, contradictions, documents, handshake, merkle, proof, recovery, roster, suite
from gateway.protocol.channel import Append, Channel, Condition, Duplicate, Fork, OutOfStep
from gateway.protocol.errors import (
    Doubled,
    Malformed,
    PeerFault,
    ProtocolError,
    Restored,
    SkewedClock,
    TooLarge,
    Unauthentic,
)
from gateway.protocol.exhibits import ForkEvidence, ReceiptEvidence, RepairProof, TransferProof
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import (
    Ask,
    Behind,
    Draft,
    Epoch,
    Fenced,
    Gap,
    Head,
    Log,
    NotReady,
    Page,
    Receipt,
    Resume,
    Signed,
    Stale,
    Standing,
)
from gateway.transport import messages
from node.services.exchange import Exchange
from node.services.office import Office
from tests.protocol import reader
from tests.protocol.federation import Tree
from tests.protocol.reader import vectors
from tests.protocol.test_vectors import KEYS, SIGNED, hashes, named

RECEIVING, HANDSHAKES, ROSTERS, PROOFS = (vectors(name) for name in ("receiving", "handshakes", "rosters", "proofs"))
FEDERATION = bytes.fromhex(ROSTERS["chain"][0]["federation"])
SOURCE, DESTINATION = RECEIVING["source"], RECEIVING["destination"]
INTO = Log(FEDERATION, "vectors", SOURCE, DESTINATION)


def epoch(given: dict[str, str]) -> Epoch:
    return Epoch(int(given["number"]), int(given["nonce"]))


def signing_key(code: int) -> SigningKey:
    return SigningKey.from_seed(bytes.fromhex(KEYS[str(code)]["seed"]))


# -- receiving --------------------------------------------------------------------------------------------------------


def receiver(given: dict[str, Any]) -> tuple[Channel, Tree]:
    held = Tree(hashes(given["held_frames"]))
    own = Tree([b"%d" % n for n in range(int(given["own_size"]))])
    channel = Channel(
        out=INTO.opposite(),
        condition=Condition[given["condition"].upper()],
        out_frontier=merkle.frontier_at(own, len(own.frames)),
        in_frontier=merkle.frontier_at(held, len(held.frames)),
        in_epoch=int(given["in_epoch"]),
        in_seen=int(given["in_seen"]),
        peer_epoch=epoch(given["peer_epoch"]),
        ready=given["ready"],
        peer_open=given["peer_open"],
    )
    return channel, held


def exchange(clock_ms: int) -> Exchange:
    first = json.dumps(ROSTERS["chain"][0]["document"])
    office = Office(
        me=DESTINATION,
        signing_key=signing_key(DESTINATION),
        id_secret=bytes(32),
        redo_secret=bytes(32),
        roster=roster.genesis(documents.from_json(first), FEDERATION),
        terms={},
        clock=lambda: clock_ms,
        random=bytes,
    )
    return Exchange(office, None)  # type: ignore[arg-type]  # nothing here reads the store


VERDICTS = {
    Malformed: "malformed", TooLarge: "too_large", Unauthentic: "unauthentic", SkewedClock: "skewed_clock",
    NotReady: "not_ready", Stale: "stale", Gap: "gap", Duplicate: "duplicate", OutOfStep: "out_of_step", Fork: "fork",
    Append: "append",
}  # fmt: skip


def judged(case: dict[str, Any], channel: Channel, held: Tree) -> tuple[Any, Any]:
    """The command an envelope becomes, and the verdict; a fault of the peer is a verdict here."""
    try:
        envelope = messages.decode(bytes.fromhex(case["message"]))
        command: Any = exchange(int(case["receiver"]["clock_ms"])).command(SOURCE, envelope)  # type: ignore[arg-type]
        return command, channels.judge(channel, command.head, command.raw, command.frames, command.bodies, held)
    except PeerFault as fault:
        return None, fault


@named(RECEIVING["cases"])
def test_an_envelope_gets_the_published_verdict(case: dict[str, Any]) -> None:
    channel, held = receiver(case["receiver"])
    wanted, clock_ms = case["verdict"], int(case["receiver"]["clock_ms"])
    command, verdict = judged(case, channel, held)
    assert VERDICTS[type(verdict)] == wanted["is"]
    if isinstance(verdict, Gap):
        assert str(verdict.size) == wanted["size"]
    if isinstance(verdict, Append):
        after = channels.append(channel, verdict, command.head, command.frames[verdict.skip :], clock_ms)
        receipt = signing_key(DESTINATION).sign(codec.RECEIPT, codec.encode_payload(after.receipt))  # type: ignore[arg-type]
        assert codec.encode_signed(receipt).hex() == wanted["signed_receipt"]
        assert (verdict.skip, str(after.final)) == (wanted["skip"], wanted["final"])
        leaves = [reader.leaf(frame) for frame in (*held.frames, *command.raw[verdict.skip :])]
        assert reader.root(leaves).hex() == wanted["receipt"]["root"]
    if isinstance(verdict, Fork):
        assert (str(verdict.size), verdict.theirs.hex(), verdict.mine.hex()) == (
            wanted["size"], wanted["theirs"], wanted["mine"],
        )  # fmt: skip
        assert [each.hex() for each in verdict.consistency] == wanted["consistency"]


def test_every_verdict_there_is_is_published() -> None:
    published = {case["verdict"]["is"] for case in RECEIVING["cases"]}
    assert published == set(VERDICTS.values()) - {"too_large"}  # 1,024 frames never exceed the credit


# -- starting ---------------------------------------------------------------------------------------------------------

INTEGERS = ("final", "in_epoch", "in_seen", "receipted", "cursor", "credit")


def region(code: int, state: dict[str, Any]) -> tuple[Channel, Tree, Tree]:
    out, into = Tree(hashes(state["out"])), Tree(hashes(state["in"]))
    channel = Channel(
        out=INTO if code == SOURCE else INTO.opposite(),
        condition=Condition[state["condition"].upper()],
        out_frontier=merkle.frontier_at(out, len(out.frames)),
        in_frontier=merkle.frontier_at(into, len(into.frames)),
        **{name: epoch(state[name]) for name in ("epoch", "peer_epoch", "proposal")},
        **{name: state[name] for name in ("ready", "peer_open")},
        **{name: int(state[name]) for name in INTEGERS},
    )
    if state["fenced"]:
        channel = replace(channel, fenced=fenced_of(codec.decode_payload(codec.FENCED, bytes.fromhex(state["fenced"]))))
    return channel, out, into


def fenced_of(value: Any) -> Fenced:
    assert isinstance(value, Fenced)
    return value


def heard(message: dict[str, Any], source: int) -> Any:
    """A message, verified under its sender's key."""
    if message["name"] == "gap":
        return Gap(size=int(message["size"]))
    if message["name"] == "page":
        return messages.decode(bytes.fromhex(message["message"]))
    signed = codec.decode_signed(bytes.fromhex(message["signed"]))
    public_key = bytes.fromhex(KEYS[str(source)]["public_key"])
    assert reader.is_signed(public_key, signed.payload_type, signed.payload, signed.signatures[0].signature)
    return codec.decode_payload(signed.payload_type, signed.payload)


def proof_in(channel: Channel, stale: Stale) -> Resume | None:
    """The Resume in it, if this region signed that and it proposes what is said to be known."""
    if not stale.resume:
        return None
    signed = codec.decode_signed(stale.resume)
    public_key = bytes.fromhex(KEYS[str(channel.out.source)]["public_key"])
    if not reader.is_signed(public_key, signed.payload_type, signed.payload, signed.signatures[0].signature):
        return None
    resume = codec.decode_payload(codec.RESUME, signed.payload)
    return resume if isinstance(resume, Resume) and resume.epoch == stale.known else None


def hear(channel: Channel, value: Any, out: Tree, into: Tree, now: int, nonce: int) -> tuple[Channel, list[Any]]:
    """Production's functions, with the frames that have to be numbered again numbered again."""
    said: Any = None
    match value:
        case Resume():
            channel, said = handshake.hear_resume(channel, value, out)
        case Behind():
            channel, said = handshake.hear_behind(channel, value, now, nonce)
        case Stale():
            channel, said = handshake.hear_stale(channel, value, now, nonce, proof_in(channel, value))
        case Ask():
            said = handshake.hear_ask(channel, value, back_off_ms=0, status="active")
            channel = handshake.hear_asker(channel, value)
        case Standing():
            channel = handshake.hear_standing(channel, value, out)
        case Gap():
            channel = handshake.hear_gap(channel, value)
        case Receipt():
            channel = channels.hear_receipt(channel, value, out)
        case Fenced():
            channel, keep = handshake.hear_fenced(channel, value, out, into)
            if channel.fenced is not None:
                del out.frames[channel.final :]
                channel = handshake.unsealed(channel, merkle.frontier_at(out, channel.final))
                return channel, [recovery.pull(channel)]
            said = None if keep is None or channel.peer_open else handshake.ask(channel)
            if keep is not None and keep < channel.size:
                channel = sealed_again(channel, out, keep)
        case Page():
            channel = regained(channel, value, out, into)
            said = handshake.ask(channel) if channel.ready else recovery.pull(channel)
    return channel, [] if said is None else [said]


def regained(channel: Channel, page: Page, out: Tree, into: Tree) -> Channel:
    """What came back is checked against the heads that were signed over it, and appended."""
    assert page.seen is not None
    mine, seen = run_of(page, SOURCE), run_of(page.seen, DESTINATION)
    assert recovery.fits(channel, page.first, page.seen.first)
    order = list(recovery.true_order(channel.size, mine.frames, channel.held, seen.frames))
    assert len(order) == len(mine.frames) + len(seen.frames)
    ours, theirs = recovery.extend(channel.out_frontier, mine), recovery.extend(channel.in_frontier, seen)
    out.frames += mine.raw
    into.frames += seen.raw
    last = seen.frames[-1]
    channel = replace(
        channel, out_frontier=ours.frontier, final=ours.frontier.size, in_frontier=theirs.frontier,
        in_epoch=last.epoch, in_seen=last.seen,
    )  # fmt: skip
    assert recovery.is_complete(channel)
    assert channel.fenced is not None
    return handshake.hear_fenced(channel, channel.fenced, out, into)[0]


def run_of(page: Page, signer: int) -> recovery.Run:
    assert page.head is not None
    head = codec.decode_payload(codec.HEAD, suite.verify(page.head, [signing_key(signer).verify_key], codec.HEAD))
    assert isinstance(head, Head)
    return recovery.Run(
        head=head, raw=page.frames, frames=tuple(map(codec.decode_frame, page.frames)), bodies=page.bodies
    )


def sealed_again(channel: Channel, out: Tree, keep: int) -> Channel:
    old = [codec.decode_frame(frame) for frame in out.frames[keep:]]
    channel = handshake.unsealed(channel, merkle.frontier_at(out, keep))
    drafts = [Draft(f.kind, f.reply, f.id, b"", f.category, f.amount, f.becomes, f.arriving) for f in old]
    frames = [
        replaced(codec.encode_frame(d, channel.held, channel.epoch.number), f.commitment)
        for d, f in zip(drafts, old, strict=True)
    ]
    out.frames[keep:] = frames
    return replace(channel, out_frontier=merkle.frontier_at(out, len(out.frames)))


def replaced(frame: bytes, commitment: bytes) -> bytes:
    """The commitment is the last field of a frame."""
    return frame[:-32] + commitment


STEPS = [
    (f"{play['name']}, step {number}", step)
    for play in HANDSHAKES["transcripts"]
    for number, step in enumerate(play["steps"], 1)
]


@pytest.mark.parametrize("step", [step for _, step in STEPS], ids=[name.replace(" ", "_") for name, _ in STEPS])
def test_a_start_goes_step_by_step_as_published(step: dict[str, Any]) -> None:
    code, now, nonce = step["at"], int(step["clock_ms"]), int(step["nonce"])
    channel, out, into = region(code, step["before"])
    said: list[Any]
    if step.get("does") == "start":
        channel, resume = handshake.propose(channel, now, nonce)
        said = [resume]
    elif step.get("does") == "ask":
        said = [handshake.ask(channel)]
    else:
        try:
            channel, said = hear(channel, heard(step["hears"], channel.peer), out, into, now, nonce)
        except Restored:
            channel, resume = handshake.propose(channel, now, nonce)
            said = [resume]
        except Doubled:
            channel, said = replace(channel, ready=False, peer_open=False), []
    wanted, wanted_out, wanted_into = region(code, step["after"])
    assert (out.frames, into.frames) == (wanted_out.frames, wanted_into.frames)
    assert replace(channel, rewinds=0) == wanted
    assert [signed_by(code, value) for value in said] == [message["signed"] for message in step["says"]]


def signed_by(code: int, value: Any) -> str:
    signed: Signed = signing_key(code).sign(codec.payload_type_of(value), codec.encode_payload(value))
    return codec.encode_signed(signed).hex()


def test_frames_numbered_again_differ_in_epoch_and_seen_alone() -> None:
    changed = 0
    for _, step in STEPS:
        before, after = step["before"]["out"], step["after"]["out"]
        if len(before) != len(after):
            continue  # what a restored node got back
        for old, new in zip(hashes(before), hashes(after), strict=True):
            first, second = dict(reader.fields(old)), dict(reader.fields(new))
            differing = {number for number in first.keys() | second.keys() if first.get(number) != second.get(number)}
            assert differing <= {4, 5}
            changed += bool(differing)
    assert changed


# -- rosters ----------------------------------------------------------------------------------------------------------


def document(case: dict[str, Any]) -> Signed:
    return documents.from_json(json.dumps(case["document"]))


CHAIN = [document(entry) for entry in ROSTERS["chain"]]


def test_a_chain_of_rosters_is_accepted_version_by_version() -> None:
    assert reader.sha256(CHAIN[0].payload).digest() == FEDERATION
    assert {case["fields"]["log"]["federation"] for case in SIGNED["signed"]} == {FEDERATION.hex()}
    for count, entry in enumerate(ROSTERS["chain"], 1):
        current = roster.accept_chain(CHAIN[:count], FEDERATION)
        assert (current.version, current.federation.hex()) == (entry["version"], entry["federation"])
        listed = [{"code": r.code, "status": r.status.name, "carriers": list(r.carriers)} for r in current.regions]
        assert listed == entry["regions"]


@named(ROSTERS["refused"])
def test_a_roster_that_does_not_follow_is_refused(case: dict[str, Any]) -> None:
    in_force = roster.accept_chain(CHAIN[: case["in_force"]]) if case["in_force"] else None
    with pytest.raises(ProtocolError) as refusal:
        roster.accept_next(in_force, document(case)) if in_force else roster.genesis(document(case), FEDERATION)
    assert type(refusal.value).__name__ == case["why"]


# -- proofs -----------------------------------------------------------------------------------------------------------


@named([*PROOFS["files"], PROOFS["stranger"]])
def test_a_file_holds_or_fails_as_published(case: dict[str, Any]) -> None:
    federation = bytes.fromhex(case["federation"])
    exhibit = documents.read(json.dumps(case["file"]))
    assert isinstance(exhibit, TransferProof | ForkEvidence | ReceiptEvidence | RepairProof)
    verify: Any = proof.verify_transfer if isinstance(exhibit, TransferProof) else contradictions.verify
    checks = verify(exhibit, federation)
    assert [check.code for check in checks if not check.ok] == case["failing"]
    assert proof.holds(checks) == case["holds"] == (not case["failing"])


def test_the_proof_that_holds_also_holds_for_another_reader() -> None:
    exhibit = documents.read(json.dumps(PROOFS["files"][0]["file"]))
    assert isinstance(exhibit, TransferProof)
    for side, signer, receiver_code in ((exhibit.offer, SOURCE, DESTINATION), (exhibit.answer, DESTINATION, SOURCE)):
        for signed, code in ((side.head, signer), (side.receipt, receiver_code)):
            public_key = bytes.fromhex(KEYS[str(code)]["public_key"])
            assert reader.is_signed(public_key, signed.payload_type, signed.payload, signed.signatures[0].signature)
        assert reader.sha256(side.body).digest() == reader.one(side.frame, 15)
        assert climbed(side.frame, side.number, reader.one(side.head.payload, 5), side.path) == reader.one(
            side.head.payload, 6
        )


def climbed(frame: bytes, number: int, size: int, path: tuple[bytes, ...]) -> bytes:
    """The root to which a path leads, by the recursive definition: the last sibling is that of the topmost split."""
    if size == 1:
        return reader.leaf(frame)
    k = reader.cut(size)
    if number < k:
        return reader.inner(climbed(frame, number, k, path[:-1]), path[-1])
    return reader.inner(path[-1], climbed(frame, number - k, size - k, path[:-1]))
