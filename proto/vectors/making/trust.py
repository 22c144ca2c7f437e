"""Rosters, proofs and evidence: what is signed for everybody, and the lies that must not pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.protocol import codec, contradictions, documents, merkle, proof, roster
from gateway.protocol.bundles import Bundle
from gateway.protocol.channel import Channel, Fork, judge
from gateway.protocol.errors import ProtocolError
from gateway.protocol.exhibits import ForkEvidence, FrameProof, TransferProof
from gateway.protocol.members import Anchor, Roster
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import Kind, Signed, Status
from making import quarantine
from making.ground import (
    EPOCH_OF,
    HANGZHOU,
    MEMBERS,
    NINGBO,
    ROOTS,
    ROSTER_1,
    Book,
    Tree,
    book,
    draft,
    key,
    listed,
    log,
    offer_of,
    region,
    sign,
)

_DAY_MS = 86_400_000
NEW_ROOT = key("root 3")


def _next(current: Roster, **changes: Any) -> Roster:
    return replace(
        current, **{"version": current.version + 1, "issued_at_ms": current.issued_at_ms + _DAY_MS, **changes}
    )


def _signed(listing: Roster, keys: Sequence[SigningKey]) -> Signed:
    """Signed without asking whether any member would accept it."""
    made = keys[0].sign(documents.ROSTER, documents.encode_roster(listing))
    for one in keys[1:]:
        made = roster.countersign(made, one)
    return made


def _versions() -> list[tuple[Roster, Signed]]:
    """A federation grows: a region joins, a root key is replaced, a region is suspended and its key revoked."""
    shaoxing = region(330600, "绍兴市", "Shaoxing", carriers=(HANGZHOU,), endpoint="")
    two = _next(MEMBERS, regions=(*MEMBERS.regions, shaoxing))
    three = _next(two, root_keys=tuple(map(listed, (*ROOTS[:2], NEW_ROOT))))
    hangzhou, ningbo, third = three.regions
    revoked = listed(key(NINGBO), revoked_at_ms=three.issued_at_ms, anchors=(_anchor(),))
    renewed = replace(ningbo, keys=(revoked, listed(key("Ningbo, renewed"))), status=Status.SUSPENDED)
    four = _next(three, regions=(hangzhou, renewed, third))
    return [
        (MEMBERS, ROSTER_1),
        (two, _signed(two, ROOTS[1:])),
        (three, _signed(three, (*ROOTS[:2], NEW_ROOT))),
        (four, _signed(four, (ROOTS[0], NEW_ROOT))),
    ]


def _anchor() -> Anchor:
    return Anchor(destination=HANGZHOU, epoch=EPOCH_OF[NINGBO].number, size=6, root=book(NINGBO, HANGZHOU).tree.root(6))


def _refusals(versions: list[tuple[Roster, Signed]]) -> list[tuple[str, int, Signed]]:
    """Name, version in force (0: none yet), and what is offered."""
    (one, _), (two, second), (three, third), (four, _) = versions
    hangzhou, ningbo, shaoxing = two.regions
    later = _next(two)
    forgotten = replace(later, regions=(hangzhou, ningbo))
    keyless = replace(later, regions=(hangzhou, replace(ningbo, keys=(listed(key("a new one")),)), shaoxing))
    shared = replace(later, regions=(hangzhou, replace(ningbo, certificates=hangzhou.certificates), shaoxing))
    twice = replace(later, regions=(hangzhou, ningbo, shaoxing, shaoxing))
    adrift = replace(later, regions=(hangzhou, ningbo, replace(shaoxing, carriers=(330400,))))
    back = replace(four.regions[1], keys=(listed(key(NINGBO)), listed(key("Ningbo, renewed"))))
    return [
        ("a first version that too few signed", 0, _signed(one, ROOTS[:1])),
        ("a later version for somebody who has none", 0, second),
        ("the version in force once more", 2, second),
        ("a rollback", 3, second),
        ("a version that does not follow", 1, third),
        ("too few signatures", 2, _signed(later, ROOTS[:1])),
        ("one keeper who signed twice", 2, _doubled(later)),
        ("a stranger among the signers", 2, _signed(later, (ROOTS[0], key("a stranger")))),
        ("signed by the new root keys and not by the old", 2, _signed(three, (ROOTS[0], NEW_ROOT))),
        ("signed by the old root keys and not by the new", 2, _signed(_all_new(two), ROOTS[:2])),
        ("of another federation", 2, _signed(replace(later, federation=bytes(32)), ROOTS)),
        ("of another environment", 2, _signed(replace(later, environment="production"), ROOTS)),
        ("dated before the version in force", 2, _signed(replace(later, issued_at_ms=two.issued_at_ms - 1), ROOTS)),
        ("a region is forgotten", 2, _signed(forgotten, ROOTS)),
        ("a key is forgotten", 2, _signed(keyless, ROOTS)),
        (
            "a revoked key is back",
            4,
            _signed(_next(four, regions=(four.regions[0], back, four.regions[2])), (ROOTS[0], NEW_ROOT)),
        ),
        ("two regions under one certificate", 2, _signed(shared, ROOTS)),
        ("a region listed twice", 2, _signed(twice, ROOTS)),
        ("carried by nobody who is listed", 2, _signed(adrift, ROOTS)),
        ("a bit flipped", 1, replace(second, payload=second.payload[:-1] + bytes([second.payload[-1] ^ 1]))),
        ("signed as something else", 1, replace(second, payload_type=documents.CARD)),
    ]


def _doubled(listing: Roster) -> Signed:
    made = _signed(listing, ROOTS[:1])
    return replace(made, signatures=made.signatures * 2)


def _all_new(current: Roster) -> Roster:
    return _next(current, root_keys=tuple(listed(key(f"root {n}")) for n in (5, 6, 7)))


def rosters() -> dict[str, Any]:
    """A chain of versions, and what nobody may take for the next."""
    versions = _versions()
    force: Roster | None = None
    chain = []
    for listing, signed in versions:
        force = roster.genesis(signed) if force is None else roster.accept_next(force, signed)
        chain.append(
            {
                "version": listing.version,
                "document": json.loads(documents.to_json(signed)),
                "federation": force.federation.hex(),
                "regions": [
                    {"code": r.code, "status": r.status.name, "carriers": list(r.carriers)} for r in force.regions
                ],
            }
        )
    refused = []
    for name, in_force, signed in _refusals(versions):
        refused.append(
            {
                "name": name,
                "in_force": in_force,
                "why": _why(versions, in_force, signed),
                "document": json.loads(documents.to_json(signed)),
            }
        )
    return {
        "about": "SPEC 8. `chain` is accepted version by version, the first because its federation id is known. Under "
        "`refused`, each `document` is offered to somebody who holds the versions up to `in_force` (0: none). `why`: "
        "Unauthentic is another payload type, what breaks 8.1 (1) to (3), and what is no version 1 where that is due; "
        "Malformed what breaks (4) to (6). Looked at are first (5), then (1) to (3), then (4) and (6).",
        "chain": chain,
        "refused": refused,
    }


def _why(versions: list[tuple[Roster, Signed]], in_force: int, signed: Signed) -> str:
    try:
        if in_force:
            roster.accept_next(roster.accept_chain(s for _, s in versions[:in_force]), signed)
        else:
            roster.genesis(signed)
    except ProtocolError as error:
        return type(error).__name__
    raise AssertionError("a roster was accepted that should not be")


# -- proofs -----------------------------------------------------------------------------------------------------------

AT, BACK = 3, 2


def _books() -> tuple[Book, Book]:
    """Hangzhou offers, as frame 3; Ningbo accepts, as frame 2, having held all."""
    there = book(HANGZHOU, NINGBO, 9)
    back = Book(log=log(NINGBO, HANGZHOU), epoch=EPOCH_OF[NINGBO], frames=[], bodies=[])
    for number in range(7):
        name = "the transfer" if number == BACK else f"transfer {HANGZHOU} {number + 4}"
        back.add(draft(Kind.ACCEPT, name, codec.encode_accept(b"")), seen=9)
    message = draft(Kind.OFFER, "the transfer", codec.encode_offer(offer_of(name="the transfer")))
    there.frames[AT], there.bodies[AT] = codec.encode_frame(message, 0, there.epoch.number), message.body
    return there, back


def _prove(made: Book, number: int, head: int, receipt: int, **signed_head: Any) -> FrameProof:
    return proof.prove_frame(
        made.tree,
        number,
        made.frames[number],
        made.bodies[number],
        sign(made.log.source, made.head(0, head, **signed_head)),
        sign(made.log.destination, made.receipt(receipt)),
    )


def _transfer(**changes: Any) -> TransferProof:
    there, back = _books()
    made = TransferProof(offer=_prove(there, AT, 9, 6), answer=_prove(back, BACK, 5, 7), rosters=(ROSTER_1,))
    return replace(made, **changes)


def _lies() -> dict[str, TransferProof]:
    true = _transfer()
    there, back = _books()
    offer, answer = true.offer, true.answer
    refused = draft(Kind.REFUSE, "another transfer", codec.encode_refuse(40, b""))
    elsewhere = Book(log=back.log, epoch=back.epoch, frames=list(back.frames), bodies=list(back.bodies))
    elsewhere.frames[BACK], elsewhere.bodies[BACK] = codec.encode_frame(refused, 9, back.epoch.number), refused.body
    early = Book(log=back.log, epoch=back.epoch, frames=list(back.frames), bodies=list(back.bodies))
    accept = draft(Kind.ACCEPT, "the transfer", codec.encode_accept(b""))
    early.frames[BACK] = codec.encode_frame(accept, AT, back.epoch.number)
    return {
        "a frame with a bit flipped": replace(true, offer=replace(offer, frame=offer.frame[:-1] + b"\x00")),
        "a body that is not the frame's": replace(true, offer=replace(offer, body=offer.body + b"\x00")),
        "another number": replace(true, offer=replace(offer, number=AT + 1)),
        "a path with a hash changed": replace(true, offer=replace(offer, path=(bytes(32), *offer.path[1:]))),
        "a head signed by nobody who may": replace(true, offer=replace(offer, head=sign(NINGBO, there.head(0, 9)))),
        "a receipt signed by the sender itself": replace(
            true, offer=replace(offer, receipt=sign(HANGZHOU, there.receipt(6)))
        ),
        "a receipt that ends before the frame": replace(
            true, offer=replace(offer, receipt=sign(NINGBO, there.receipt(3)))
        ),
        "a receipt for another history": replace(
            true, offer=replace(offer, receipt=sign(NINGBO, there.receipt(6, root=bytes(32))))
        ),
        "a receipt for the other log": replace(true, offer=replace(offer, receipt=answer.receipt)),
        "a consistency proof too many": replace(
            true, offer=replace(offer, consistency=(*offer.consistency, bytes(32)))
        ),
        "an answer to another transfer": replace(true, answer=_prove(elsewhere, BACK, 5, 7)),
        "an answer from the same log": replace(true, answer=offer),
        "an answer given before the offer was held": replace(true, answer=_prove(early, BACK, 5, 7)),
        "no rosters": replace(true, rosters=()),
        "rosters that begin with the second": replace(true, rosters=(_versions()[1][1],)),
        "a log of another environment": replace(
            true,
            offer=_prove(
                Book(
                    log=there.log._replace(environment="production"),
                    epoch=there.epoch,
                    frames=there.frames,
                    bodies=there.bodies,
                ),
                AT,
                9,
                6,
            ),
        ),
    }


def _fork(epoch_changes: Any = None) -> ForkEvidence:
    """Hangzhou shows another frame 4 than before; Ningbo holds six frames under a head of six."""
    there = book(HANGZHOU, NINGBO, 8)
    other = Book(log=there.log, epoch=there.epoch, frames=list(there.frames), bodies=list(there.bodies))
    message = draft(Kind.CANCEL, "another", codec.encode_cancel(b""))
    other.frames[4], other.bodies[4] = codec.encode_frame(message, 2, there.epoch.number), message.body
    changes = {"epoch": epoch_changes} if epoch_changes else {}
    head = other.head(3, 8, **changes)
    channel = Channel(
        out=log(NINGBO, HANGZHOU), in_frontier=there.tree.frontier(6), peer_epoch=head.epoch, ready=True, peer_open=True
    )
    raw = other.frames[3:8]
    found = judge(channel, head, raw, list(map(codec.decode_frame, raw)), other.bodies[3:8], Tree(there.frames[:6]))
    assert isinstance(found, Fork)
    return contradictions.fork_evidence(
        found, sign(HANGZHOU, head), sign(HANGZHOU, there.head(0, 6)), Tree(there.frames[:6]), [ROSTER_1]
    )


def _false_forks() -> dict[str, ForkEvidence]:
    true, there = _fork(), book(HANGZHOU, NINGBO, 8)
    return {
        "one head twice": replace(true, other=true.one),
        "two heads that agree": replace(
            true, other=sign(HANGZHOU, there.head(0, 8)), root=there.tree.root(6), consistency=_growth(there, 6, 8)
        ),
        "a root that the second head is not shown to make": replace(true, root=bytes(32)),
        "a size that the first head does not name": replace(true, size=5),
        "heads of two epochs": _fork(_later_epoch()),
        "a head that somebody else signed": replace(true, other=replace(true.other, signatures=true.one.signatures)),
    }


def _later_epoch() -> Any:
    """A later epoch of Hangzhou."""
    return EPOCH_OF[HANGZHOU]._replace(number=EPOCH_OF[HANGZHOU].number + 1)


def _growth(made: Book, first: int, second: int) -> tuple[bytes, ...]:
    return tuple(merkle.consistency_proof(made.tree, first, second))


def proofs() -> dict[str, Any]:
    """Files that hold, and files that do not, with the checks that fail."""
    erased = replace(_transfer(), offer=replace(_transfer().offer, body=b""))
    files: list[tuple[str, Bundle]] = [
        ("a transfer and its answer", _transfer()),
        ("the same, with the offer's body erased", erased),
        ("a fork", _fork()),
        *_lies().items(),
        *_false_forks().items(),
        *quarantine.exhibits(),
    ]
    return {
        "about": "SPEC 9. `file` is a file as people hand it around, `federation` the id its reader knows, `failing` "
        "the checks that do not hold, as 9 names them; a file holds when there are none.",
        "files": [_file(name, exhibit) for name, exhibit in files],
        "stranger": _file("a transfer of another federation than the reader's", _transfer(), bytes(32)),
    }


def _file(name: str, exhibit: Bundle, federation: bytes = MEMBERS.federation) -> dict[str, Any]:
    if isinstance(exhibit, TransferProof):
        checks = proof.verify_transfer(exhibit, federation)
    else:
        checks = contradictions.verify(exhibit, federation)
    failing = [check.code for check in checks if not check.ok]
    return {
        "name": name,
        "federation": federation.hex(),
        "holds": proof.holds(checks),
        "failing": failing,
        "file": json.loads(documents.write(exhibit)),
    }
