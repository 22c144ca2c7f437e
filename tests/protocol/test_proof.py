"""Files shown to strangers: what a true one shows, and every lie that must not pass for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol import bundles, documents, merkle
from gateway.protocol.channel import Fork
from gateway.protocol.contradictions import fork_evidence, verify_fork
from gateway.protocol.errors import Malformed
from gateway.protocol.exhibits import ForkEvidence, FrameProof, TransferProof
from gateway.protocol.proof import Check, holds, verify_transfer
from gateway.protocol.roster import Anchor, Roster
from gateway.protocol.values import Epoch, Kind
from gateway.v1 import proof_pb2
from tests.protocol.federation import (
    EPOCH,
    HANGZHOU,
    NINGBO,
    NOW,
    OFFER_BODY,
    SALT,
    Side,
    Tree,
    first_roster,
    frame,
    key,
    listed,
    region,
    world,
)

WORLD = world()
PROOF = WORLD.proof()
THERE, HERE = WORLD.there, WORLD.here


def failed(checks: list[Check]) -> set[str]:
    return {check.code for check in checks if not check.ok}


# -- transfers --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_a_true_proof_holds_for_every_place_in_the_logs_and_every_pair_of_head_and_receipt(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 20))
    at, back = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    made = world(at, back, size)
    proof = made.proof(head=data.draw(st.integers(at + 1, size)), receipt=data.draw(st.integers(at + 1, size)))
    assert documents.read(documents.write(proof)) == proof
    checks = verify_transfer(proof, made.federation)
    assert failed(checks) == set()
    assert holds(checks)
    assert len({check.code for check in checks}) == len(checks) == 19
    assert all(check.zh and check.en for check in checks)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_proof_with_any_bit_flipped_does_not_hold(data: st.DataObject) -> None:
    whole = bundles.encode_transfer_proof(PROOF)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        proof = bundles.decode_transfer_proof(bytes(flipped))
    except Malformed:
        return
    without_offer, without_answer = (replace(side, body=b"") for side in (PROOF.offer, PROOF.answer))
    # Where a field number was hit a body is gone, which is allowed: see the next test.
    if proof not in (replace(PROOF, offer=without_offer), replace(PROOF, answer=without_answer)):
        assert not holds(verify_transfer(proof, WORLD.federation))


def test_an_erased_body_takes_nothing_from_the_proof() -> None:
    assert holds(verify_transfer(replace(PROOF, offer=replace(PROOF.offer, body=b"")), WORLD.federation))


def of_offer(**changes: object) -> TransferProof:
    return replace(PROOF, offer=replace(PROOF.offer, **changes))  # type: ignore[arg-type]


def instead(side: Side, number: int, content: bytes) -> FrameProof:
    """The log holds something else, and everything about it is signed and proved."""
    frames = list(side.tree.frames)
    frames[number] = content
    return replace(side, tree=Tree(frames)).prove(number, b"", len(frames), len(frames))


def of_offers(content: bytes) -> TransferProof:
    return replace(PROOF, offer=instead(THERE, WORLD.at, content))


def of_answer(content: bytes) -> TransferProof:
    return replace(PROOF, answer=instead(HERE, WORLD.back, content))


def resigned(side: Side, **changes: object) -> TransferProof:
    return replace(PROOF, offer=replace(PROOF.offer, head=side.head(9, **changes), receipt=side.receipt(9, **changes)))


def elsewhere(**changes: object) -> TransferProof:
    log = WORLD.there.log._replace(**changes)  # type: ignore[arg-type]
    return resigned(WORLD.there, log=log)


OTHER_TREE = Tree([*THERE.tree.frames[:8], frame(Kind.OFFER, 666)])

LIES: dict[str, tuple[Callable[[], TransferProof], set[str]]] = {
    "a head signed by somebody else": (
        lambda: of_offer(head=replace(THERE, source=key("stranger")).head(9)),
        {"offer.head"},
    ),
    "a head signed by the destination": (
        lambda: of_offer(head=replace(THERE, source=THERE.destination).head(9)),
        {"offer.head"},
    ),
    "a receipt passed off as a head": (lambda: of_offer(head=PROOF.offer.receipt), {"offer.head"}),
    "a head signed as something else": (
        lambda: of_offer(head=THERE.source.sign("text/plain", PROOF.offer.head.payload)),
        {"offer.head"},
    ),
    "a log to oneself": (lambda: elsewhere(destination=HANGZHOU), {"offer.domain", "offer.receipt", "channel"}),
    "a cancellation shown as an offer": (lambda: of_offers(frame(Kind.CANCEL, 5)), {"kinds"}),
    "an answer known before it was given": (
        lambda: of_offers(frame(Kind.OFFER, 5, seen=WORLD.back + 1)),
        {"order"},
    ),
    "an answer that is no reply": (lambda: of_answer(frame(Kind.ACCEPT, 5, seen=9)), {"kinds"}),
    "a reply nobody knows": (lambda: of_answer(frame(99, 5, reply=True, seen=9)), {"kinds"}),
    "a receipt signed by the source": (
        lambda: of_offer(receipt=replace(THERE, destination=THERE.source).receipt(9)),
        {"offer.receipt"},
    ),
    "a receipt for the opposite log": (
        lambda: of_offer(receipt=PROOF.answer.receipt),
        {"offer.receipt", "offer.consistency"},
    ),
    "a receipt that ends before the frame": (
        lambda: of_offer(receipt=THERE.receipt(3)),
        {"offer.received", "offer.consistency"},
    ),
    "a receipt for another history": (
        lambda: of_offer(receipt=replace(THERE, tree=OTHER_TREE).receipt(9)),
        {"offer.consistency"},
    ),
    "another frame": (lambda: of_offer(frame=frame(Kind.OFFER, 5, body=b"x" * 16)), {"offer.inclusion", "offer.body"}),
    "another number": (lambda: of_offer(number=4), {"offer.inclusion"}),
    "another body": (lambda: of_offer(body=OFFER_BODY + b"!"), {"offer.body"}),
    "a path cut short": (lambda: of_offer(path=PROOF.offer.path[:-1]), {"offer.inclusion"}),
    "another environment": (lambda: elsewhere(environment="production"), {"offer.domain"}),
    "another federation": (lambda: elsewhere(federation=bytes(32)), {"offer.domain"}),
    "another generation": (lambda: elsewhere(generation=2), {"channel"}),
    "a region that is no member": (lambda: elsewhere(destination=440100), {"offer.receipt", "channel"}),
    "the offer shown twice": (
        lambda: replace(PROOF, answer=PROOF.offer),
        {"channel", "kinds", "order"},
    ),
    "an answer to another transfer": (
        lambda: of_answer(frame(Kind.ACCEPT, 6, reply=True, seen=9)),
        {"id"},
    ),
    "a request instead of an answer": (lambda: of_answer(frame(Kind.CANCEL, 5, seen=9)), {"kinds"}),
    "an answer given before the offer came": (
        lambda: of_answer(frame(Kind.ACCEPT, 5, reply=True, seen=3)),
        {"order"},
    ),
    "no rosters": (lambda: replace(PROOF, rosters=()), {"roster"}),
}
AFTER = {
    "another federation": {"offer.head", "channel"},
    "another environment": {"channel"},
    "a receipt passed off as a head": {
        "offer.domain", "offer.inclusion", "offer.receipt", "offer.consistency", "channel",
    },
    "a head signed as something else": {
        "offer.domain", "offer.inclusion", "offer.receipt", "offer.consistency", "channel",
    },
    "the offer shown twice": set(),
    "no rosters": {
        f"{side}.{code}" for side in ("offer", "answer") for code in ("head", "domain", "receipt")
    },
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_called_by_its_name(lie: str) -> None:
    make, blamed = LIES[lie]
    found = failed(verify_transfer(make(), WORLD.federation))
    assert blamed <= found
    assert found <= blamed | AFTER.get(lie, set())


def test_a_strangers_federation_proves_nothing_to_who_knows_the_right_one() -> None:
    theirs = world(roster=first_roster(name_zh="另一联邦"))
    proof = theirs.proof()
    assert "roster" in failed(verify_transfer(proof, WORLD.federation))
    unsure = verify_transfer(proof)
    assert holds(unsure)
    assert theirs.federation.hex() in unsure[0].detail
    assert "compare" in unsure[0].detail


def revoking(code: int, **changes: object) -> Roster:
    """The key of one region is revoked."""
    spoiled = region(code, listed(key(str(code)), revoked_at_ms=NOW + 5, **changes), listed(key("new")))
    return first_roster(regions=tuple(spoiled if other == code else region(other) for other in (HANGZHOU, NINGBO)))


@pytest.mark.parametrize(("anchored", "holds_then"), [(8, False), (9, True), (10, True), (None, False)])
def test_a_head_by_a_revoked_key_holds_only_within_its_last_good_prefix(anchored: int | None, holds_then: bool) -> None:
    anchors = () if anchored is None else (
        Anchor(destination=NINGBO, epoch=7, size=anchored, root=THERE.tree.root(min(anchored, 9))),
    )  # fmt: skip
    proof = world(roster=revoking(HANGZHOU, anchors=anchors)).proof()
    assert failed(verify_transfer(proof)) == (set() if holds_then else {"offer.head"})


def test_a_receipt_by_a_key_revoked_before_it_does_not_hold() -> None:
    made = world(roster=revoking(NINGBO, anchors=(Anchor(destination=HANGZHOU, epoch=7, size=10, root=bytes(32)),)))
    proof = made.proof()
    assert failed(verify_transfer(proof)) == set()
    late = replace(proof, offer=replace(proof.offer, receipt=made.there.receipt(9, received_at_ms=NOW + 5)))
    assert failed(verify_transfer(late)) == {"offer.receipt"}


def test_a_frame_without_a_receipt_over_it_cannot_be_proved_yet() -> None:
    with pytest.raises(ValueError, match="wait for the next one"):
        THERE.prove(5, SALT, 9, 5)
    with pytest.raises(ValueError, match="not among"):
        THERE.prove(8, SALT, 8, 9)


# -- forks ------------------------------------------------------------------------------------------------------------


def forked(at: int, size: int = 9) -> Side:
    """The same region's log, different from frame `at` on, signed by the same key."""
    frames = THERE.tree.frames[:at] + [frame(Kind.OFFER, 700 + number) for number in range(at, size)]
    return replace(THERE, tree=Tree(frames))


@given(at=st.integers(0, 8), held=st.integers(1, 9), size=st.integers(1, 9), first=st.integers(0, 9))
def test_a_region_that_tells_two_histories_is_convicted_by_its_own_signatures(
    at: int, held: int, size: int, first: int
) -> None:
    at, first = min(at, held - 1, size - 1), min(first, size)
    lie, stored = forked(at), THERE.head(held)
    new = lie.head(size, first)
    for named in {first, size} & set(range(at + 1, held + 1)):
        found = Fork(size=named, theirs=lie.tree.root(named), mine=THERE.tree.root(named), consistency=())
        evidence = fork_evidence(found, new, stored, THERE.tree, WORLD.rosters)
        assert documents.read(documents.write(evidence)) == evidence
        assert failed(verify_fork(evidence, WORLD.federation)) == set()


@given(at=st.integers(0, 7), held=st.integers(1, 8))
def test_a_history_changed_below_what_was_held_is_convicted_by_its_own_frames(at: int, held: int) -> None:
    lie, at = forked(min(at, held - 1)), min(at, held - 1)
    path = tuple(merkle.consistency_proof(lie.tree, held, 9))
    found = Fork(size=held, theirs=lie.tree.root(held), mine=THERE.tree.root(held), consistency=path)
    evidence = fork_evidence(found, lie.head(9, at), THERE.head(held), THERE.tree, WORLD.rosters)
    assert failed(verify_fork(evidence, WORLD.federation)) == set()


@settings(max_examples=200)
@given(st.data())
def test_a_region_that_told_one_history_cannot_be_accused(data: st.DataObject) -> None:
    sizes = st.integers(0, 9)
    one, other = (THERE.head(size, data.draw(st.integers(0, size))) for size in (data.draw(sizes), data.draw(sizes)))
    size = data.draw(sizes)
    roots = [THERE.tree.root(at) for at in range(10)] + [forked(0).tree.root(size), bytes(32)]
    nodes = [THERE.tree.node(0, 0), THERE.tree.node(1, 0), THERE.tree.node(0, 8), bytes(32)]
    evidence = ForkEvidence(
        one=one,
        other=other,
        size=size,
        root=data.draw(st.sampled_from(roots)),
        consistency=tuple(data.draw(st.lists(st.sampled_from(nodes), max_size=4))),
        rosters=WORLD.rosters,
    )
    assert not holds(verify_fork(evidence, WORLD.federation))


EVIDENCE = fork_evidence(
    Fork(size=9, theirs=forked(4).tree.root(9), mine=THERE.tree.root(9), consistency=()),
    forked(4).head(9),
    THERE.head(9),
    THERE.tree,
    WORLD.rosters,
)


@pytest.mark.parametrize(
    ("forgery", "blamed"),
    [
        ({"one": replace(forked(4), source=key("accuser")).head(9)}, {"one"}),
        ({"other": replace(THERE, source=key("accuser")).head(9)}, {"other"}),
        ({"one": forked(4).head(9, epoch=Epoch(EPOCH.number + 1, 1))}, {"same"}),
        ({"one": forked(4).head(9, log=THERE.log._replace(environment="production"))}, {"same", "domain"}),
        ({"one": HERE.head(9)}, {"same"}),
        ({"one": EVIDENCE.other}, {"second"}),
        ({"root": bytes(32)}, {"second"}),
        ({"size": 8}, {"first", "second"}),
        ({"rosters": ()}, {"roster", "one", "other", "domain"}),
    ],
)
def test_forged_evidence_convicts_nobody(forgery: dict[str, object], blamed: set[str]) -> None:
    assert failed(verify_fork(EVIDENCE, WORLD.federation)) == set()
    assert failed(verify_fork(replace(EVIDENCE, **forgery), WORLD.federation)) == blamed  # type: ignore[arg-type]


def test_evidence_with_a_part_missing_is_malformed() -> None:
    whole = bundles.encode_fork_evidence(EVIDENCE)
    for end in range(0, len(whole), 7):
        with pytest.raises(Malformed):
            bundles.decode_fork_evidence(whole[:end])
    for part in ("one", "other"):
        evidence = proof_pb2.ForkEvidence.FromString(whole)
        evidence.ClearField(part)
        with pytest.raises(Malformed, match="lacks one of its two heads"):
            bundles.decode_fork_evidence(evidence.SerializeToString())
    for part in ("head", "receipt"):
        proof = proof_pb2.TransferProof.FromString(bundles.encode_transfer_proof(PROOF))
        proof.answer.ClearField(part)
        with pytest.raises(Malformed, match="the proof of the answer lacks its head or its receipt"):
            bundles.decode_transfer_proof(proof.SerializeToString())
