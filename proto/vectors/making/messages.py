"""Frames, bodies, signed messages and trees: the bytes."""

from __future__ import annotations

from typing import Any

from gateway.protocol import codec, merkle
from gateway.protocol.errors import PeerFault
from gateway.protocol.suite import pre_authentication_encoding
from gateway.protocol.values import (
    Ask,
    Behind,
    Epoch,
    Fenced,
    Kind,
    Offer,
    Provenance,
    Purpose,
    Reason,
    Repair,
    Resume,
    Slice,
    Stale,
    Standing,
)
from making.ground import (
    EPOCH_OF,
    HANGZHOU,
    NINGBO,
    NOW,
    ROSTER_1,
    Tree,
    book,
    draft,
    key,
    log,
    octets,
    offer_of,
    plain,
    salted,
    sign,
)


def _field(number: int, wire: int, content: bytes) -> bytes:
    """One protobuf field with a number below 16."""
    return bytes([number << 3 | wire]) + content


def frames() -> dict[str, Any]:
    """Headers with their bytes and leaf hashes, and bytes that are no frame."""
    offer = codec.encode_offer(offer_of())
    drafts = {
        "an offer": (draft(Kind.OFFER, "t1", offer), 0, 1),
        "an accept, having seen one frame": (draft(Kind.ACCEPT, "t1", codec.encode_accept(b"")), 1, 1),
        "a refusal": (draft(Kind.REFUSE, "t2", codec.encode_refuse(Reason.ADDRESS_UNKNOWN, b"")), 2, NOW),
        "a cancel": (draft(Kind.CANCEL, "t1", codec.encode_cancel(b"")), 2, NOW),
        "a request to reverse": (
            draft(Kind.REVERSE_REQUEST, "r1", codec.encode_reverse_request(bytes(16), b"")),
            3,
            NOW,
        ),
        "the largest amounts": (
            draft(Kind.OFFER, "t3", offer, category="积分" * 16, amount=2**63 - 1, becomes="c", arriving=2**63 - 1),
            2**40,
            2**50,
        ),
        "a request of a kind from the future": (draft(4711, "t4", b"whatever"), 4, NOW),
        "a reply of a kind from the future": (draft(4712, "t4", b"whatever", reply=True), 4, NOW),
    }
    made = []
    for name, (message, seen, epoch) in drafts.items():
        data = codec.encode_frame(message, seen, epoch)
        made.append(_frame(name, data))
    extended = codec.encode_frame(drafts["an offer"][0], 0, 1) + b"\xa2\x06\x03new"  # field 100
    made.append(_frame("an offer with a field from the future, hashed with it", extended))
    return {
        "about": "SPEC 1.3, 2.2. Header fields, bytes, leaf hash. Refused: bytes that break a rule of the header.",
        "frames": made,
        "refused": [
            _refused(name, data) for name, data in _bad_frames(codec.encode_frame(drafts["an offer"][0], 0, 1))
        ],
    }


def _frame(name: str, data: bytes) -> dict[str, Any]:
    fields = plain(codec.decode_frame(data))
    return {"name": name, "fields": fields, "bytes": data.hex(), "leaf": merkle.leaf_hash(data).hex()}


def _bad_frames(good: bytes) -> list[tuple[str, bytes]]:
    ident, commitment = _field(3, 2, b"\x10" + bytes(16)), _field(15, 2, b"\x20" + bytes(32))
    return [
        ("an id of 15 bytes", _field(3, 2, b"\x0f" + bytes(15)) + commitment),
        ("no id", commitment),
        ("a commitment of 31 bytes", ident + _field(15, 2, b"\x1f" + bytes(31))),
        ("no commitment", ident),
        ("an amount of 2^63", ident + commitment + _field(7, 0, b"\x80" * 9 + b"\x01")),
        ("a category of 33 characters", ident + commitment + _field(6, 2, b"\x21" + b"c" * 33)),
        ("a category that is not UTF-8", ident + commitment + _field(6, 2, b"\x01\xff")),
        ("cut off in the middle", good[:-5]),
        ("longer than 512 bytes", good + b"\xa2\x06\xfe\x03" + bytes(510)),
    ]


def _refused(name: str, data: bytes) -> dict[str, Any]:
    try:
        codec.decode_frame(data)
    except PeerFault as fault:
        return {"name": name, "bytes": data.hex(), "why": type(fault).__name__}
    raise AssertionError(f"{name} was taken")


_OFFERS = {
    "an offer of one lot": offer_of(),
    "an offer of several lots, the block between them of two": offer_of(
        slices=(
            Slice(4, 20261231, (Provenance(HANGZHOU, 20260105, 2, "blood donation"),)),
            Slice(
                1, 20261231, (Provenance(HANGZHOU, 20260105, 2, "blood donation"), Provenance(NINGBO, 20260401, 2, ""))
            ),
            Slice(5, 0, (Provenance(NINGBO, 20260401, 2, ""),)),
        )
    ),
    "a reversal": offer_of(
        address=b"",
        purpose=int(Purpose.REVERSAL),
        terms_version=0,
        cites=octets("id of t1", 16),
        request=octets("id of r1", 16),
        consent="",
    ),
}


def bodies() -> dict[str, Any]:
    """Bodies with their salts and commitments, and offers that break a rule of their own."""
    made = [_body(name, "Offer", codec.encode_offer(offer), plain(offer)) for name, offer in _OFFERS.items()]
    redo = octets("redo", 32)
    made += [
        _body("an accept", "Accept", codec.encode_accept(redo), {"redo": redo.hex()}),
        _body("an accept that keeps nothing for itself", "Accept", codec.encode_accept(b""), {"redo": ""}),
        _body(
            "a refusal", "Refuse", codec.encode_refuse(Reason.ALREADY_SPENT, redo), {"reason": 63, "redo": redo.hex()}
        ),
        _body(
            "a refusal for a reason from the future",
            "Refuse",
            codec.encode_refuse(900, b""),
            {"reason": 900, "redo": ""},
        ),
        _body("a cancel", "Cancel", codec.encode_cancel(redo), {"redo": redo.hex()}),
        _body(
            "a request to reverse",
            "ReverseRequest",
            codec.encode_reverse_request(octets("id of t1", 16), redo),
            {"transfer": octets("id of t1", 16).hex(), "redo": redo.hex()},
        ),
    ]
    return {
        "about": "SPEC 1.3, 6.2. Body fields, `salted` = 16 bytes of salt and the serialised body, commitment = "
        "SHA-256(salted). Refused: offers appended to the log all the same and refused with MALFORMED_BODY.",
        "bodies": made,
        "refused": [_bad_offer(name, offer) for name, offer in _bad_offers().items()],
    }


def _body(name: str, kind: str, body: bytes, fields: Any) -> dict[str, Any]:
    data = salted(name, body)
    return {
        "name": name,
        "message": kind,
        "fields": fields,
        "salted": data.hex(),
        "commitment": codec.commitment(data).hex(),
    }


def _bad_offers() -> dict[str, Offer]:
    one = offer_of().slices[0]
    provenance = one.provenance[0]
    return {
        "a rate of 0/3": offer_of(rate_p=0),
        "a rate over the limit": offer_of(rate_q=1_000_001),
        "no slices": offer_of(slices=()),
        "65 slices": offer_of(slices=(one,) * 65),
        "a slice of no blocks": offer_of(slices=(Slice(0, 0, (provenance,)),)),
        "a slice from nowhere": offer_of(slices=(Slice(10, 0, ()),)),
        "a slice of 17 provenances": offer_of(slices=(Slice(10, 0, (provenance,) * 17),)),
        "an issuer of five digits": offer_of(slices=(Slice(10, 0, (provenance._replace(issuer=33010),)),)),
        "an address of 11 bytes": offer_of(address=bytes(11)),
        "a consent of 65 characters": offer_of(consent="同" * 65),
        "a redo record of 1025 bytes": offer_of(redo=bytes(1025)),
        "a citation of 17 bytes": offer_of(cites=bytes(17)),
    }


def _bad_offer(name: str, offer: Offer) -> dict[str, Any]:
    data = salted(name, codec.encode_offer(offer))
    try:
        codec.decode_offer(data)
    except PeerFault as fault:
        return {"name": name, "message": "Offer", "salted": data.hex(), "why": type(fault).__name__}
    raise AssertionError(f"{name} was taken")


def signed() -> dict[str, Any]:
    """Every signed message of a channel, with the bytes under the signature."""
    there, back = book(HANGZHOU, NINGBO), log(NINGBO, HANGZHOU)
    mine, theirs = EPOCH_OF[HANGZHOU], EPOCH_OF[NINGBO]
    root = there.tree.root(5)
    values: dict[str, Any] = {
        "head": there.head(3, 5),
        "head of an empty log": there.head(0, 0),
        "receipt": there.receipt(5),
        "resume": Resume(log=there.log, epoch=mine, holds_size=5, holds_root=root, peer_epoch=theirs),
        "first resume of all": Resume(
            log=there.log, epoch=mine, holds_size=0, holds_root=merkle.EMPTY_ROOT, peer_epoch=Epoch(0, 0)
        ),
        "fenced": Fenced(
            log=back,
            echo=mine,
            holds_size=5,
            holds_root=root,
            holds_epoch=mine.number,
            epoch=theirs,
            size=2,
            root=book(NINGBO, HANGZHOU).tree.root(2),
            common_root=book(NINGBO, HANGZHOU).tree.root(2),
            ready=True,
            credit_size=65_541,
        ),
        "behind": Behind(log=back, echo=Epoch(3, 4), known=mine),
        "stale": Stale(log=back, echo=Epoch(3, 4), known=mine),
        "ask": Ask(log=there.log, echo=mine),
        "standing": Standing(
            log=back,
            echo=mine,
            ready=True,
            epoch=theirs,
            holds_size=5,
            holds_root=root,
            credit_size=65_541,
            backlog=2,
            back_off_ms=1400,
            last_verified_size=5,
            status="active",
            channel="open",
        ),
    }
    values["repair"] = Repair(
        log=there.log, size=4, root=there.tree.root(4), evidence=octets("evidence", 32), holds_size=5, holds_root=root
    )
    cases = [_signed(name, value) for name, value in values.items()]
    return {
        "about": "SPEC 1.1, 1.2. Ed25519 keys from 32 bytes of seed; `pae` is what the signature is over; `bytes` is "
        "a serialised Signed. `must_not_verify`: changes of the first of them, each with the key that is tried.",
        "keys": [_key(name) for name in (HANGZHOU, NINGBO, "root 0", "root 1", "root 2")],
        "signed": cases,
        "must_not_verify": _lies(cases[0]),
        "first_roster": {"payload_type": ROSTER_1.payload_type, "payload": ROSTER_1.payload.hex()},
    }


def _key(name: object) -> dict[str, Any]:
    signing = key(name)
    return {
        "name": str(name),
        "suite": signing.suite,
        "seed": signing.seed().hex(),
        "public_key": signing.public_key.hex(),
        "key_id": signing.id.hex(),
    }


def _signed(name: str, value: Any) -> dict[str, Any]:
    signer = value.log.destination if name == "receipt" else value.log.source
    made = sign(signer, value)
    return {
        "name": name,
        "signer": str(signer),
        "fields": plain(value),
        "payload_type": made.payload_type,
        "payload": made.payload.hex(),
        "pae": pre_authentication_encoding(made.payload_type, made.payload).hex(),
        "signature": made.signatures[0].signature.hex(),
        "bytes": codec.encode_signed(made).hex(),
    }


def _lies(true: dict[str, Any]) -> list[dict[str, Any]]:
    def lie(name: str, **changes: Any) -> dict[str, Any]:
        told = {"signer": true["signer"], "suite": key(HANGZHOU).suite, "key_id": key(HANGZHOU).id.hex()}
        told |= {part: true[part] for part in ("payload_type", "payload", "signature")}
        return {"name": name, **told, **changes}

    flipped = bytearray.fromhex(true["payload"])
    flipped[-1] ^= 1
    broken = bytearray.fromhex(true["signature"])
    broken[0] ^= 0x80
    return [
        lie("a bit of the payload flipped", payload=flipped.hex()),
        lie("a bit of the signature flipped", signature=broken.hex()),
        lie("another payload type", payload_type=codec.RECEIPT),
        lie("another region's key", signer=str(NINGBO), key_id=key(NINGBO).id.hex()),
        lie("a suite that the key is not of", suite="sm2-sm3"),
        lie("a key id that names another key", key_id=key(NINGBO).id.hex()),
        lie("a signature that is cut off", signature=true["signature"][:-2]),
    ]


def trees(leaves: int = 20) -> dict[str, Any]:
    """Roots, frontiers in batches, and every proof over small trees."""
    contents = [b"frame %d" % number for number in range(leaves)]
    tree = Tree(contents)
    batches, frontier, cuts = [], merkle.Frontier(), [1, 2, 4, 0, 5, 1, 7]
    for count in cuts:
        frontier = frontier.extend(merkle.leaf_hashes(contents[frontier.size : frontier.size + count]))
        batches.append(
            {"count": count, "size": frontier.size, "peaks": plain(frontier.peaks), "root": frontier.root().hex()}
        )
    return {
        "about": "SPEC 1.4 (RFC 9162, 2.1). Leaf number i is the frame whose bytes are the ASCII text `frame i`.",
        "leaves": [merkle.leaf_hash(content).hex() for content in contents],
        "roots": [tree.root(size).hex() for size in range(leaves + 1)],
        "batches": batches,
        "inclusion": [
            {"index": index, "size": size, "path": plain(merkle.inclusion_proof(tree, index, size))}
            for size in range(1, leaves + 1)
            for index in sorted({0, size // 2, size - 1})
        ],
        "consistency": [
            {"first": first, "second": second, "path": plain(merkle.consistency_proof(tree, first, second))}
            for second in range(leaves + 1)
            for first in sorted({0, 1, second // 2, second - 1, second} & set(range(second + 1)))
        ],
        "must_not_verify": _false_proofs(tree),
    }


def _false_proofs(tree: Tree) -> list[dict[str, Any]]:
    path = merkle.inclusion_proof(tree, 5, 11)
    growth = merkle.consistency_proof(tree, 5, 11)
    inclusion: dict[str, Any] = {"leaf": merkle.leaf_hash(tree.frames[5]).hex(), "root": tree.root(11).hex()}
    inclusion |= {"index": 5, "size": 11, "path": plain(path)}
    consistency: dict[str, Any] = {"first": 5, "second": 11, "path": plain(growth)}

    def growing(name: str, given: dict[str, Any]) -> dict[str, Any]:
        roots = {f"{which}_root": tree.root(given[which]).hex() for which in ("first", "second")}
        return {"name": name, **given, **roots}

    return [
        {"name": "a leaf under another number", **inclusion, "index": 4},
        {"name": "a size that is not the root's", **inclusion, "size": 8},
        {"name": "the path reversed", **inclusion, "path": plain(path[::-1])},
        {"name": "a hash too few", **inclusion, "path": plain(path[:-1])},
        {"name": "a hash too many", **inclusion, "path": plain([*path, path[0]])},
        {"name": "a hash of 31 bytes", **inclusion, "path": [path[0].hex()[:-2], *plain(path[1:])]},
        {"name": "an index beyond the tree", **inclusion, "index": 11},
        growing("a growth from another size", {**consistency, "first": 6}),
        growing("a growth without proof", {**consistency, "path": []}),
        growing("a growth proved by too many hashes", {**consistency, "path": plain([*growth, growth[0]])}),
        growing("a proof where there is nothing to prove", {"first": 0, "second": 11, "path": plain(growth[:1])}),
    ]
