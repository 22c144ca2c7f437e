"""Conversion, blocks, addresses and the verdict on an offer: what points become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.protocol import address, codec
from gateway.protocol.errors import Malformed, Refused
from gateway.protocol.transfer import (
    NEVER,
    Source,
    Terms,
    check_evidence,
    check_offer,
    check_terms,
    convert,
    cut_blocks,
)
from gateway.protocol.values import Evidence, Kind, Offer, Provenance, Purpose, Reason, Slice
from making.ground import HANGZHOU, NINGBO, NOW, draft, octets, offer_of, plain, salted

MAX = 2**63 - 1


# -- conversion -------------------------------------------------------------------------------------------------------


def conversion() -> dict[str, Any]:
    """Amounts at rates, up to the limits, and rates that no terms may have."""
    asked = [
        (10, 1, 1),
        (10, 2, 3),
        (9, 2, 3),
        (3, 2, 3),
        (2, 2, 3),
        (1, 3, 2),
        (0, 1, 1),
        (-1, 1, 1),
        (100, 7, 10),
        (99, 100, 1),
        (1_000_000, 1, 1_000_000),
        (999_999, 1, 1_000_000),
        (MAX, 1, 1),
        (MAX + 1, 1, 1),
        (MAX, 1, 1_000_000),
        (MAX, 2, 1),
        (MAX // 2, 2, 1),
        (MAX // 2 + 1, 2, 1),
        (MAX, 1_000_000, 999_999),
        (MAX // 1_000_000, 1_000_000, 1),
    ]
    return {
        "about": "SPEC 6.5. `amount` may leave at the rate p/q: so many whole blocks do, the remainder stays.",
        "conversions": [_conversion(*case) for case in asked],
        "rates": [
            _rate(p, q)
            for p, q in [(1, 1), (2, 3), (1_000_000, 999_999), (2, 4), (0, 1), (1, 0), (1_000_001, 1), (1, -1)]
        ],
    }


def _conversion(amount: int, p: int, q: int) -> dict[str, Any]:
    given = {"amount": amount, "rate_p": p, "rate_q": q}
    try:
        return plain({**given, "gives": convert(amount, p, q)})  # type: ignore[no-any-return]
    except Refused as refusal:
        return plain({**given, "refused": refusal.reason.name})  # type: ignore[no-any-return]


def _rate(p: int, q: int) -> dict[str, Any]:
    try:
        _terms(rate_p=p, rate_q=q)
    except ValueError:
        return {"rate_p": str(p), "rate_q": str(q), "allowed": False}
    return {"rate_p": str(p), "rate_q": str(q), "allowed": True}


# -- blocks -----------------------------------------------------------------------------------------------------------


def _lot(number: int, units: int, expires: int = NEVER, *provenance: Provenance) -> Source:
    made = provenance or (Provenance(HANGZHOU, 20260100 + number, 2, f"activity {number}"),)
    return Source(number, units, expires, made)


def blocks() -> dict[str, Any]:
    """Lots, in the order in which they are spent, cut into blocks."""
    shared = Provenance(HANGZHOU, 20260201, 2, "shared")
    weak = Provenance(HANGZHOU, 20260202, 1, "entered later")
    cases: dict[str, tuple[Sequence[Source], int, int]] = {
        "one lot": ([_lot(1, 30, 20271231)], 10, 3),
        "one lot, a part of it": ([_lot(1, 100, 20271231)], 10, 3),
        "two lots that end on a block": ([_lot(1, 6, 20261231), _lot(2, 9)], 5, 3),
        "two lots, the block between them of both": ([_lot(1, 7, 20261231), _lot(2, 8, 20271231)], 5, 3),
        "one block of three lots": ([_lot(1, 1, 20261231), _lot(2, 1), _lot(3, 1)], 1, 3),
        "a lot that ends within a mixed block and goes on": ([_lot(1, 4, 20261231), _lot(2, 2), _lot(3, 6)], 4, 3),
        "a lot that is not needed": ([_lot(1, 6, 20261231), _lot(2, 9)], 2, 3),
        "a mixed block of one provenance": ([_lot(1, 4, 20261231, shared), _lot(2, 5, NEVER, shared)], 3, 3),
        "a mixed block, weak and strong": ([_lot(1, 4, 20261231, shared), _lot(2, 5, NEVER, weak, shared)], 3, 3),
        "a rate of one unit": ([_lot(1, 4, 20261231), _lot(2, 5)], 9, 1),
        "too few units": ([_lot(1, 4), _lot(2, 5)], 4, 3),
        "no lots": ([], 1, 1),
        "64 slices": ([_lot(n, 1) for n in range(1, 65)], 64, 1),
        "65 slices": ([_lot(n, 1) for n in range(1, 66)], 65, 1),
        "a block of 16 provenances": ([_lot(n, 1) for n in range(1, 17)], 1, 16),
        "a block of 17 provenances": ([_lot(n, 1) for n in range(1, 18)], 1, 17),
    }
    return {
        "about": "SPEC 6.6. Lots in the order given (first expiring first) give `blocks` blocks of `rate_q` units; "
        "an expiry of 99991231 here is `never`, which is 0 on the wire. `takes` is what each lot gives.",
        "cases": [_blocks(name, *case) for name, case in cases.items()],
    }


def _blocks(name: str, lots: Sequence[Source], count: int, rate_q: int) -> dict[str, Any]:
    given = {"name": name, "lots": lots, "blocks": count, "rate_q": rate_q}
    try:
        slices, takes = cut_blocks(lots, count, rate_q)
    except Refused as refusal:
        return plain({**given, "refused": refusal.reason.name})  # type: ignore[no-any-return]
    return plain({**given, "slices": slices, "takes": [{"lot": n, "units": units} for n, units in takes]})  # type: ignore[no-any-return]


# -- addresses --------------------------------------------------------------------------------------------------------


def addresses() -> dict[str, Any]:
    """Addresses as written, as people write them, and wrong ones."""
    aliases = [bytes(10), b"\xff" * 10, octets("alias", 10), bytes(range(10)), octets("another alias", 10)]
    made = [address.Address(code, alias) for code in (NINGBO, 110000, 659012) for alias in aliases]
    text = address.write(made[2])
    plain_text = text.replace("-", "")
    forms = [text, text.lower(), f"  {text}  ", plain_text, " ".join(text), text.replace("-", " ")]
    at = next(i for i in range(6, 21) if plain_text[i] != plain_text[i + 1])
    swapped = plain_text[:at] + plain_text[at + 1] + plain_text[at] + plain_text[at + 2 :]
    wrong = {
        "length": [plain_text[:-1], plain_text + "0", "", "330200"],
        "region": ["33O200" + plain_text[6:], "33020A" + plain_text[6:], "\u0663" * 6 + plain_text[6:]],
        "alphabet": [plain_text[:6] + letter + plain_text[7:] for letter in "ILOUilou!积"] + [plain_text[:22] + "*0"],
        "check": [
            plain_text[:22] + ("00" if plain_text[22:] != "00" else "11"),
            plain_text[:6] + ("1" if plain_text[6] != "1" else "2") + plain_text[7:],
            ("1" if plain_text[0] != "1" else "2") + plain_text[1:],
            swapped,
            plain_text[:22] + plain_text[:21:-1],
        ],
    }
    for texts in wrong.values():
        for entry in texts:
            _must_be_refused(entry)
    return {
        "about": "SPEC 7. `why` is the first of these that is wrong: length, region, alphabet, check.",
        "valid": [{"region": a.region, "alias": a.alias.hex(), "text": address.write(a)} for a in made],
        "forgiven": [{"text": form, "region": made[2].region, "alias": made[2].alias.hex()} for form in forms],
        "invalid": [{"text": entry, "why": why} for why, texts in wrong.items() for entry in texts],
    }


def _must_be_refused(text: str) -> None:
    try:
        address.read(text)
    except Malformed:
        return
    raise AssertionError(f"{text!r} was taken")


# -- the verdict on an offer ------------------------------------------------------------------------------------------

ALIASES = {
    "open": {"account": "open", "sender": 0, "purpose": 0, "expires_ms": NOW + 1000},
    "frozen": {"account": "frozen", "sender": 0, "purpose": 0, "expires_ms": NOW + 1000},
    "closed": {"account": "closed", "sender": 0, "purpose": 0, "expires_ms": NOW + 1000},
    "expired": {"account": "open", "sender": 0, "purpose": 0, "expires_ms": NOW},
    "for another sender": {"account": "open", "sender": 330300, "purpose": 0, "expires_ms": NOW + 1000},
    "for this sender and purpose": {"account": "open", "sender": HANGZHOU, "purpose": 1, "expires_ms": NOW + 1000},
    "for another purpose": {"account": "open", "sender": 0, "purpose": 4, "expires_ms": NOW + 1000},
}


def _terms(**changes: Any) -> Terms:
    given = {
        "source": HANGZHOU,
        "destination": NINGBO,
        "category": "moral",
        "becomes": "public_welfare",
        "rate_p": 2,
        "rate_q": 3,
        "version": 1,
        "review_from": 1000,
        "purposes": frozenset({Purpose.RELOCATION, Purpose.DONATION}),
    }
    return Terms(**{**given, **changes})


def _alias(name: str) -> bytes:
    return octets(f"address {name}", 10)


def _offer(name: str = "open", **changes: Any) -> Offer:
    return offer_of(**{"address": _alias(name), **changes})


_WEAK = (Slice(10, 0, (Provenance(HANGZHOU, 20260301, int(Evidence.BACKFILLED), ""),)),)
_MANY = (Slice(500, 0, (Provenance(HANGZHOU, 20260301, int(Evidence.SIGNED_IN), ""),)),)
_MIXED = (Slice(10, 0, tuple(Provenance(HANGZHOU, 20260301, e, "") for e in (2, 1))),)

Case = tuple[Offer, dict[str, Any]]
_CASES: dict[str, Case] = {
    "right in every way": (_offer(), {}),
    "to an address made for this": (_offer("for this sender and purpose"), {}),
    "as much as a clerk has to see": (_offer(slices=_MANY), {"amount": 1500, "arriving": 1000}),
    "amounts that the blocks do not make": (_offer(), {"amount": 31}),
    "an arriving amount that the blocks do not make": (_offer(), {"arriving": 21}),
    "an amount of zero": (_offer(), {"amount": 0, "arriving": 0}),
    "no category": (_offer(), {"category": ""}),
    "a rate not in lowest terms": (_offer(rate_p=4, rate_q=6, slices=(_MANY[0]._replace(blocks=5),)), {}),
    "a category without terms": (_offer(), {"category": "honour"}),
    "a category that becomes something else here": (_offer(), {"becomes": "culture"}),
    "another rate": (_offer(rate_p=1, rate_q=1), {"amount": 10, "arriving": 10}),
    "another version of the terms": (_offer(terms_version=2), {}),
    "a purpose that is not agreed": (_offer(purpose=int(Purpose.ACTIVITY)), {}),
    "a purpose from the future": (_offer(purpose=99), {}),
    "an address nobody has": (_offer(address=octets("nobody", 10)), {}),
    "an address of 9 bytes": (_offer(address=bytes(9)), {}),
    "an address that has expired": (_offer("expired"), {}),
    "an address of a closed account": (_offer("closed"), {}),
    "an address for another sender": (_offer("for another sender"), {}),
    "an address for another purpose": (_offer("for another purpose"), {}),
    "an address of a frozen account": (_offer("frozen"), {}),
    "weak evidence": (_offer(slices=_WEAK), {}),
    "a block partly of weak evidence": (_offer(slices=_MIXED), {}),
    "weak evidence, to nobody: the lower reason": (_offer(address=bytes(10), slices=_WEAK), {}),
    "to nobody, at another rate: the lower reason": (_offer(address=bytes(10), terms_version=2), {}),
    "weak evidence, more than a clerk has to see": (
        _offer(slices=(_WEAK[0]._replace(blocks=500),)),
        {"amount": 1500, "arriving": 1000},
    ),
    "a body with no slices": (_offer(slices=()), {}),
    "a reversal nobody asked for": (
        _offer(purpose=int(Purpose.REVERSAL), cites=bytes(16), request=bytes(16), address=b""),
        {},
    ),
}


def offers() -> dict[str, Any]:
    """One offer after another, with what the destination must say to it."""
    made: list[dict[str, Any]] = []
    for name, (offer, header) in _CASES.items():
        made.append(_offered(name, name, offer, header))
    made.append(_again("an id that was accepted, with the same content", "right in every way", {}, 3))
    made.append(
        _again("an id that was accepted, with another amount", "right in every way", {"amount": 33, "arriving": 22}, 4)
    )
    made.append(
        _again("an id that a clerk has before him: one answer closes both", "as much as a clerk has to see", {}, 4)
    )
    made.append(
        {
            "name": "a body that is no protobuf",
            "kind": int(Kind.OFFER),
            "id": octets("id of no protobuf", 16).hex(),
            "header": plain({"category": "moral", "amount": 30, "becomes": "public_welfare", "arriving": 20}),
            "salted": salted("no protobuf", b"\xff\xff\xff").hex(),
            "verdict": "refused",
            "reason": "MALFORMED_BODY",
        }
    )
    made.append(
        {
            "name": "a request of a kind from the future",
            "kind": 4711,
            "id": octets("id of the future", 16).hex(),
            "header": plain({"category": "", "amount": 0, "becomes": "", "arriving": 0}),
            "salted": salted("the future", b"").hex(),
            "verdict": "refused",
            "reason": "UNKNOWN_KIND",
        }
    )
    return {
        "about": "SPEC 6.3. Requests that Ningbo finds in Hangzhou's log, one after another, under these terms and "
        "with these addresses, and what it says to each: accepted, in_review (nothing yet), or refused with a reason.",
        "source": HANGZHOU,
        "destination": NINGBO,
        "clock_ms": str(NOW),
        "terms": plain(_terms()),
        "addresses": [plain({"alias": _alias(name), **state}) for name, state in ALIASES.items()],
        "offers": made,
    }


def _offered(name: str, ident: str, offer: Offer, header: dict[str, Any], reason: int | None = None) -> dict[str, Any]:
    body = codec.encode_offer(offer)
    message = draft(Kind.OFFER, ident, body, **header)
    verdict, why = ("refused", Reason(reason)) if reason else _verdict(message, offer)
    fields = {part: getattr(message, part) for part in ("category", "amount", "becomes", "arriving")}
    return {
        "name": name,
        "kind": int(Kind.OFFER),
        "id": message.id.hex(),
        "header": plain(fields),
        "salted": salted(name, body).hex(),
        "verdict": verdict,
        "reason": why.name if why else None,
    }


def _again(name: str, before: str, header: dict[str, Any], reason: int) -> dict[str, Any]:
    slices = (_MANY[0]._replace(blocks=int(header.get("amount", 30)) // 3),)
    return _offered(name, before, _offer(slices=slices), header, reason)


def _verdict(message: Any, offer: Offer) -> tuple[str, Reason | None]:
    """The checks in their order; each is production's own."""
    terms = _terms()
    steps: list[Callable[[], Any]] = [
        lambda: codec.decode_offer(message.body),
        lambda: check_offer(message, offer),
        lambda: _check_return(offer),
        lambda: check_terms(message, offer, terms if message.category == terms.category else None),
        lambda: _check_address(offer),
        lambda: check_evidence(offer, terms),
    ]
    try:
        for step in steps:
            step()
    except Malformed:
        return "refused", Reason.MALFORMED_BODY
    except Refused as refusal:
        return "refused", refusal.reason
    return ("in_review" if message.arriving >= terms.review_from else "accepted"), None


def _check_return(offer: Offer) -> None:
    if offer.purpose == Purpose.REVERSAL:  # none was asked for
        raise Refused(Reason.TRANSFER_UNKNOWN)


def _check_address(offer: Offer) -> None:
    found = next((state for name, state in ALIASES.items() if _alias(name) == offer.address), None)
    if found is None or found["account"] == "closed" or found["expires_ms"] <= NOW:
        raise Refused(Reason.ADDRESS_UNKNOWN)
    if found["sender"] not in (0, HANGZHOU) or found["purpose"] not in (0, offer.purpose):
        raise Refused(Reason.ADDRESS_UNKNOWN)
    if found["account"] == "frozen":
        raise Refused(Reason.ACCOUNT_FROZEN)
