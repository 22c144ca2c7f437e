"""Agreements: documents that can be signed and that cannot, what two logs make of them, and verdicts on transfers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.protocol import codec
from gateway.protocol.agreement.document import (
    NOTHING,
    Agreement,
    Cap,
    CapScope,
    Category,
    Direction,
    ExpiryRule,
    Feature,
    Notice,
    NoticeKind,
    Rate,
)
from gateway.protocol.agreement.life import Dealings, Said, countersign, digest_of, hear, sign, sign_notice, state_on
from gateway.protocol.agreement.rules import check, check_next, faults
from gateway.protocol.bodies.agreement import (
    decode_agreement,
    encode_agreement,
    encode_countersign,
    encode_notice_body,
    encode_propose,
)
from gateway.protocol.errors import Refused
from gateway.protocol.values import Kind, Purpose, Reason, Signature, Signed
from making.ground import ENVIRONMENT, HANGZHOU, MEMBERS, NINGBO, key, message, octets, plain, salted

TODAY = 20260601
MORAL, WELFARE, CULTURE = "moral", "public_welfare", "culture"
CAPS = {
    CapScope.TRANSFER: 5000, CapScope.RESIDENT_DAY: 6000, CapScope.RESIDENT_MONTH: 10_000,
    CapScope.RESIDENT_YEAR: 40_000, CapScope.RESIDENT_EVER: 90_000, CapScope.PAIR_DAY: 500_000,
    CapScope.PAIR_MONTH: 5_000_000, CapScope.NET_DEBIT: 1_000_000,
}  # fmt: skip

THERE = Direction(
    rates=(
        Rate(category=MORAL, becomes=WELFARE, p=1, q=10),
        Rate(category=CULTURE, becomes=CULTURE, p=2, q=3, derived=False),
    ),
    smallest=100,
    caps=tuple(Cap(scope=scope, amount=amount) for scope, amount in CAPS.items()),
    cooling_off_hours=24,
    relocation_months=12,
    review_from=300,
    purposes=frozenset({int(Purpose.RELOCATION), int(Purpose.GUEST_AWARD)}),
)
BACK = Direction(
    on=False, rates=(Rate(category=WELFARE, becomes=MORAL, p=49, q=5),), haircut=200, purposes=THERE.purposes
)
FIRST = Agreement(
    federation=MEMBERS.federation,
    environment=ENVIRONMENT,
    id=octets("agreement", 16),
    region_a=HANGZHOU,
    region_b=NINGBO,
    valid_from=20260101,
    valid_until=20261231,
    legal_basis="浙江省志愿服务积分互认办法（示例）",
    categories_a=(Category(code=MORAL, points=10, hours=1), Category(code=CULTURE)),
    categories_b=(Category(code=WELFARE, points=1, hours=1), Category(code=CULTURE)),
    a_to_b=THERE,
    b_to_a=BACK,
    features=frozenset({int(Feature.RELOCATION), int(Feature.PERSON_TO_PERSON)}),
    mediator=330400,
    arbitrator=330000,
    consent_required=True,
    consent_basis="《个人信息保护法》第二十三条",
    identity_required=True,
    pseudonym_key_a=octets("pseudonyms a", 32),
    pseudonym_key_b=octets("pseudonyms b", 32),
)


def following(before: Agreement, **changes: Any) -> Agreement:
    """The next version: the rate of culture is 1/2."""
    there = replace(THERE, rates=(THERE.rates[0], Rate(category=CULTURE, becomes=CULTURE, p=1, q=2, derived=False)))
    predecessor = digest_of(sign(before, key(HANGZHOU)))
    made: dict[str, Any] = {"version": before.version + 1, "predecessor": predecessor, "valid_from": 20260601}
    return replace(before, **{**made, "a_to_b": there, **changes})


SECOND = following(FIRST)
KEYS = MEMBERS.all_keys


# -- histories --------------------------------------------------------------------------------------------------------


def agreed(document: Agreement, name: str, proposer: int = HANGZHOU) -> list[Said]:
    """A version proposed by one and countersigned by the other."""
    signed, other = sign(document, key(proposer)), document.other(proposer)
    return [
        Said(Kind.PROPOSE, proposer, octets(f"id of {name}", 16), signed),
        Said(Kind.COUNTERSIGN, other, octets(f"id of {name}", 16), countersign(signed, key(other))),
    ]


def noted(what: NoticeKind, by: int, effective: int, until: int = 0, name: str = "") -> Said:
    """A notice about the agreement."""
    notice = Notice(
        federation=MEMBERS.federation,
        environment=ENVIRONMENT,
        agreement=FIRST.id,
        version=1,
        region=by,
        what=what,
        effective=effective,
        wind_down_until=until,
        because="vectors",
    )
    return Said(Kind.NOTICE, by, octets(f"notice {what} {by} {effective} {name}", 16), sign_notice(notice, key(by)))


_FORGED = Signature(key_id=key(NINGBO).id, suite=key(NINGBO).suite, signature=bytes(64))
_FIRST = agreed(FIRST, "first")
_SUSPEND = noted(NoticeKind.SUSPEND, NINGBO, 20260501)
_END = noted(NoticeKind.TERMINATE, HANGZHOU, 20260520, 20260630)

HISTORIES: dict[str, list[Said]] = {
    "nothing was ever said": [],
    "signed by one side only": _FIRST[:1],
    "signed by both": _FIRST,
    "refused": [_FIRST[0], Said(Kind.REFUSE, NINGBO, _FIRST[0].id, None, int(Reason.DECLINED))],
    "a countersignature that does not verify": [_FIRST[0], Said(Kind.COUNTERSIGN, NINGBO, _FIRST[0].id, _FORGED)],
    "a countersignature by the proposer itself": [
        _FIRST[0],
        Said(Kind.COUNTERSIGN, HANGZHOU, _FIRST[0].id, countersign(sign(FIRST, key(HANGZHOU)), key(HANGZHOU))),
    ],
    "a second answer counts for nothing": [*_FIRST, Said(Kind.REFUSE, NINGBO, _FIRST[0].id, None, 93)],
    "an amendment signed by one side only": [*_FIRST, agreed(SECOND, "second", NINGBO)[0]],
    "an amendment signed by both": [*_FIRST, *agreed(SECOND, "second", NINGBO)],
    "suspended by one": [*_FIRST, _SUSPEND],
    "suspended by both, resumed by one": [
        *_FIRST, _SUSPEND, noted(NoticeKind.SUSPEND, HANGZHOU, 20260502), noted(NoticeKind.RESUME, NINGBO, 20260503),
    ],
    "suspended and resumed": [*_FIRST, _SUSPEND, noted(NoticeKind.RESUME, NINGBO, 20260601)],
    "suspended from a later day on": [*_FIRST, noted(NoticeKind.SUSPEND, NINGBO, 20260602)],
    "terminated": [*_FIRST, _END],
    "terminated by both: the first day, and the last": [
        *_FIRST, _END, noted(NoticeKind.TERMINATE, NINGBO, 20260601, 20260701),
    ],
    "terminated while it is suspended": [*_FIRST, _SUSPEND, _END],
    "suspended, and the notice was refused": [*_FIRST, _SUSPEND, Said(Kind.REFUSE, HANGZHOU, _SUSPEND.id, None, 81)],
    "a notice in another's name": [*_FIRST, noted(NoticeKind.SUSPEND, NINGBO, 20260501)._replace(by=HANGZHOU)],
}  # fmt: skip

DAYS = (20251231, 20260101, 20260501, 20260520, 20260531, 20260601, 20260608, 20260630, 20260701, 20261231, 20270101)


def heard(said: Sequence[Said]) -> Dealings:
    """What is known after these messages."""
    dealings = Dealings()
    for one in said:
        dealings = hear(dealings, one, KEYS)
    return dealings


def history(name: str, said: Sequence[Said]) -> dict[str, Any]:
    """Messages, and where each version stands on some days."""
    dealings = heard(said)
    return {
        "name": name,
        "said": [_said(one) for one in said],
        "versions": [
            {"digest": v.digest.hex(), "states": [[day, state_on(dealings, v, day).name] for day in DAYS]}
            for v in dealings.versions
        ],
    }


def _said(said: Said) -> dict[str, Any]:
    paper = said.paper
    made: dict[str, Any] = {"kind": Kind(said.kind).name, "by": said.by, "id": said.id.hex()}
    if isinstance(paper, Signed):
        made["signed"] = message(paper)
    if isinstance(paper, Signature):
        made["signature"] = plain(paper)
    if said.reason:
        made["reason"] = Reason(said.reason).name
    return made


def bodies() -> list[dict[str, Any]]:
    """The body of each message about agreements, behind its salt."""
    propose, answer = _FIRST
    assert isinstance(propose.paper, Signed)
    assert isinstance(answer.paper, Signature)
    assert isinstance(_END.paper, Signed)
    made = {
        "Propose": encode_propose(propose.paper, octets("redo of propose", 40)),
        "Countersign": encode_countersign(answer.paper, octets("redo of countersign", 40)),
        "Notice": encode_notice_body(_END.paper, octets("redo of notice", 40)),
    }
    papers = {"Propose": message(propose.paper), "Countersign": plain(answer.paper), "Notice": message(_END.paper)}
    return [
        {
            "name": name,
            "salted": salted(name, body).hex(),
            "commitment": codec.commitment(salted(name, body)).hex(),
            "carries": papers[name],
            "redo": octets(f"redo of {name.lower()}", 40).hex(),
        }
        for name, body in made.items()
    ]


# -- documents --------------------------------------------------------------------------------------------------------


def _rates(*given: Rate) -> Agreement:
    return replace(FIRST, a_to_b=replace(THERE, rates=given))


def _rate(p: int, q: int, **changes: Any) -> Agreement:
    return _rates(replace(Rate(category=MORAL, becomes=WELFARE, p=p, q=q, derived=False), **changes))


DOCUMENTS: dict[str, Agreement] = {
    "right in every way": FIRST,
    "a rate of zero": _rate(0, 1),
    "a rate over zero": _rate(1, 0),
    "a negative rate": _rate(-1, 10),
    "a rate that overflows": _rate(1, 1_000_001),
    "a rate not in lowest terms": _rate(2, 20),
    "a rate said to be derived that is not": _rate(1, 9, derived=True),
    "a rate derived from nothing published": _rates(Rate(category=CULTURE, becomes=CULTURE, p=1, q=1)),
    "a category mapped twice": _rates(THERE.rates[1], replace(THERE.rates[1], becomes=WELFARE)),
    "a category listed twice": replace(FIRST, categories_a=(*FIRST.categories_a, Category(code=CULTURE))),
    "points without hours": replace(FIRST, categories_b=(Category(code=WELFARE, points=1), Category(code=CULTURE))),
    "regions not in order": replace(FIRST, region_a=NINGBO, region_b=HANGZHOU),
    "one region with itself": replace(FIRST, region_b=HANGZHOU),
    "until before from": replace(FIRST, valid_until=20251231),
    "no date": replace(FIRST, valid_from=20260230),
    "a first version with a predecessor": replace(FIRST, predecessor=bytes(32)),
    "a later version without one": replace(SECOND, predecessor=b""),
    "a feature from the future": replace(FIRST, features=frozenset({99})),
    "a purpose from the future": replace(FIRST, a_to_b=replace(THERE, purposes=frozenset({99}))),
    "an evidence from the future": replace(FIRST, a_to_b=replace(THERE, min_evidence=9)),
    "a cap from the future": replace(FIRST, a_to_b=replace(THERE, caps=(Cap(scope=9, amount=1),))),
    "a cap twice": replace(FIRST, a_to_b=replace(THERE, caps=(Cap(scope=1, amount=1), Cap(scope=1, amount=2)))),
    "an expiry rule from the future": replace(FIRST, a_to_b=replace(THERE, expiry=9)),
    "the shorter expiry of no days": replace(FIRST, a_to_b=replace(THERE, expiry=ExpiryRule.SHORTER)),
    "a direction that is on and maps nothing": replace(FIRST, b_to_a=replace(NOTHING, on=True)),
    "a haircut of everything": replace(FIRST, a_to_b=replace(THERE, haircut=10_000)),
    "its own mediator": replace(FIRST, mediator=NINGBO),
    "consent on no legal basis": replace(FIRST, consent_basis=""),
    "identities without keys": replace(FIRST, pseudonym_key_b=b""),
    "of another federation": replace(FIRST, federation=bytes(32)),
}


def document(name: str, one: Agreement) -> dict[str, Any]:
    """A document by itself."""
    found = [fault.name for fault in faults(one, MEMBERS.federation, ENVIRONMENT)]
    try:
        check(one, MEMBERS.federation, ENVIRONMENT)
        refused = None
    except Refused as refusal:
        refused = refusal.reason.name
    payload = encode_agreement(one)
    assert decode_agreement(payload) == one
    return {"name": name, "payload": payload.hex(), "faults": found, "refused": refused}


_OTHER = replace(FIRST, id=octets("another agreement", 16), valid_from=20260701, valid_until=20270630)
_ELEVEN = Rate(category=WELFARE, becomes=MORAL, p=11, q=1, derived=False)
_BY_HAND = replace(FIRST, b_to_a=replace(BACK, on=True, haircut=0, rates=(_ELEVEN,)))

NEXT: dict[str, tuple[str, Agreement, int]] = {
    "the first": ("nothing was ever said", FIRST, 20260101),
    "the first, a day late: back-dated": ("nothing was ever said", FIRST, 20260102),
    "a second of which no first is known": ("nothing was ever said", SECOND, 20260501),
    "an amendment": ("signed by both", SECOND, 20260501),
    "an amendment, a day late: back-dated": ("signed by both", SECOND, 20260602),
    "an amendment from a day before the version it follows": (
        "signed by both", following(FIRST, valid_from=20251231), 20251201,
    ),
    "an amendment from the very day of the version it follows": (
        "signed by both", following(FIRST, valid_from=20260101), 20260101,
    ),
    "an amendment of an unknown predecessor": ("signed by both", replace(SECOND, predecessor=bytes(32)), 20260501),
    "an amendment that leaves a version out": ("signed by both", replace(SECOND, version=3), 20260501),
    "the first, replayed": ("signed by both", FIRST, 20260101),
    "an amendment, replayed": ("an amendment signed by both", SECOND, 20260501),
    "an amendment of what is terminated": ("terminated", SECOND, 20260501),
    "while another proposal waits": ("an amendment signed by one side only", SECOND, 20260501),
    "another agreement over the same days": ("signed by both", _OTHER, 20260501),
    "another agreement after the first is terminated": ("terminated", _OTHER, 20260601),
    "another agreement after the first is over": ("signed by both", replace(_OTHER, valid_from=20270101), 20260501),
    "there 1/10, back 11/1": ("nothing was ever said", _BY_HAND, 20260101),
}  # fmt: skip


def place(name: str, before: str, one: Agreement, today: int) -> dict[str, Any]:
    """A document after a history."""
    try:
        check_next(one, digest_of(sign(one, key(HANGZHOU))), heard(HISTORIES[before]), today)
        refused = None
    except Refused as refusal:
        refused = refusal.reason.name
    return {"name": name, "history": before, "payload": encode_agreement(one).hex(), "today": today, "refused": refused}
