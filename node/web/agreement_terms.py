"""The terms of an agreement as callers write and read them, and as the protocol has them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.protocol.agreement import rates
from gateway.protocol.agreement.document import (
    Agreement,
    Cap,
    CapScope,
    Category,
    Direction,
    ExpiryRule,
    Feature,
    Honoured,
    Rate,
)
from gateway.protocol.attestation import FactKind
from gateway.protocol.values import Purpose
from node.web import limits, requests, words
from node.web.problems import Wrong

_Units = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Count = Annotated[int, Meta(ge=0, le=36_600)]
_Third = Annotated[int, Meta(ge=110_000, le=999_999, description="The code of a third region.")]
_Words = Annotated[str, Meta(max_length=limits.TEXT_CHARACTERS)]
AgreedPurposeWord = Literal["relocation", "guest_award", "activity", "donation"]
FeatureWord = Literal[
    "relocation", "guest_award", "activity", "donation", "person_to_person", "roaming", "attestation"
]  # fmt: skip
FactWord = Literal["service_hours", "star_level", "honour", "certificate", "qualification"]
_FEATURES: dict[str, int] = {feature.name.lower(): int(feature) for feature in Feature}
_FACTS: dict[str, int] = {kind.name.lower(): int(kind) for kind in FactKind}


class Terms(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what stands in an agreement: read as it is written."""


class PublishedCategory(Terms, frozen=True):
    """A category, and how many points (smallest units) its region gives for so many reference hours; 0: unpublished."""

    code: requests.Category
    points: _Units = 0
    hours: _Units = 0


class AgreedRate(Terms, frozen=True):
    """One category becomes another: `rate` "p/q" units; null: derived from what both publish, less the haircut."""

    category: requests.Category
    becomes: requests.Category
    rate: Annotated[str, Meta(pattern="^[0-9]{1,12}/[0-9]{1,12}$(?!\n)")] | None = None
    derived: bool = False


class Caps(Terms, frozen=True):
    """The most that may leave, in the smallest unit of the source's category; null: as much as there is."""

    transfer: _Units | None = None
    resident_day: _Units | None = None
    resident_month: _Units | None = None
    resident_year: _Units | None = None
    resident_ever: _Units | None = None
    pair_day: _Units | None = None
    pair_month: _Units | None = None
    net_debit: _Units | None = None


class Worth(Terms, frozen=True):
    """A value there is worth this here."""

    there: _Units
    here: _Units


class HonouredFact(Terms, frozen=True):
    """A kind of attested fact that the destination recognises; without values, for what it is."""

    kind: FactWord
    values: list[Worth] = []


class AgreedDirection(Terms, frozen=True):
    """What may go one way. Haircut in 1/10000; amounts in smallest units, `review_from` in those of the destination."""

    on: bool = True
    rates: list[AgreedRate] = []
    haircut: Annotated[int, Meta(ge=0, le=9_999)] = 0
    smallest: _Units = 0
    caps: Caps = Caps()
    min_evidence: words.EvidenceWord = "signed_in"
    cooling_off_hours: Annotated[int, Meta(ge=0, le=8_784)] = 0
    relocation_months: Annotated[int, Meta(ge=0, le=1_200)] = 0
    review_from: _Units = 0
    grace_days: Annotated[int, Meta(ge=0, le=3_660)] = 30
    purposes: tuple[AgreedPurposeWord, ...] = ("relocation", "guest_award", "activity", "donation")
    person_to_person: bool = False
    expiry: Literal["keep", "shorter"] = "keep"
    life_days: _Count = 0
    honoured: list[HonouredFact] = []


class AgreementTerms(Terms, frozen=True):
    """The terms of one version, seen from this region: what goes out to the peer, and what comes in from it.

    Without `valid_from`, from today on; without `features`, with all there are.
    """

    out: AgreedDirection
    into: AgreedDirection
    ours: list[PublishedCategory]
    theirs: list[PublishedCategory]
    valid_from: date | None = None
    valid_until: date | None = None
    legal_basis: Annotated[str, Meta(max_length=96)] = ""
    features: list[FeatureWord] | None = None
    pinned_days: Annotated[int, Meta(ge=0, le=366)] = 7
    reversal_days: Annotated[int, Meta(ge=0, le=3_660)] = 30
    dispute_days: Annotated[int, Meta(ge=0, le=3_660)] = 30
    dispute_answer_days: Annotated[int, Meta(ge=0, le=366)] = 1
    dispute_ruling_days: Annotated[int, Meta(ge=0, le=366)] = 5
    mediator: _Third | None = None
    arbitrator: _Third | None = None
    consent_required: bool = False
    consent_basis: Annotated[str, Meta(max_length=96)] = ""
    identity_required: bool = False
    their_pseudonym_key: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$(?!\n)")] = ""


# -- read ------------------------------------------------------------------------------------------------------------


def agreement(terms: AgreementTerms, me: int, peer: int, today: int, amends: bytes) -> Agreement:
    """The terms as an agreement, but for what the region fills in itself. Raises Wrong."""
    ours, theirs = tuple(map(_category, terms.ours)), tuple(map(_category, terms.theirs))
    out, into = _direction(terms.out, ours, theirs, "out"), _direction(terms.into, theirs, ours, "into")
    first = me < peer
    key = bytes.fromhex(terms.their_pseudonym_key)
    features = Feature if terms.features is None else [_FEATURES[word] for word in terms.features]
    return Agreement(
        federation=b"",
        environment="",
        id=amends,
        region_a=min(me, peer),
        region_b=max(me, peer),
        valid_from=words.number(terms.valid_from) or today,
        valid_until=words.number(terms.valid_until),
        legal_basis=terms.legal_basis,
        categories_a=ours if first else theirs,
        categories_b=theirs if first else ours,
        a_to_b=out if first else into,
        b_to_a=into if first else out,
        features=frozenset(map(int, features)),
        pinned_days=terms.pinned_days,
        reversal_days=terms.reversal_days,
        dispute_days=terms.dispute_days,
        dispute_answer_days=terms.dispute_answer_days,
        dispute_ruling_days=terms.dispute_ruling_days,
        mediator=terms.mediator or 0,
        arbitrator=terms.arbitrator or 0,
        consent_required=terms.consent_required,
        consent_basis=terms.consent_basis,
        identity_required=terms.identity_required,
        pseudonym_key_a=b"" if first else key,
        pseudonym_key_b=key if first else b"",
    )


def _category(c: PublishedCategory) -> Category:
    return Category(code=c.code, points=c.points, hours=c.hours)


def _direction(d: AgreedDirection, gives: tuple[Category, ...], takes: tuple[Category, ...], where: str) -> Direction:
    scopes = {name: CapScope[name.upper()] for name in Caps.__struct_fields__}
    amounts = {scope: getattr(d.caps, name) for name, scope in scopes.items()}
    return Direction(
        on=d.on,
        rates=tuple(_rate(r, d.haircut, gives, takes, where) for r in d.rates),
        haircut=d.haircut,
        smallest=d.smallest,
        caps=tuple(Cap(scope=int(scope), amount=amount) for scope, amount in amounts.items() if amount is not None),
        min_evidence=words.EVIDENCE[d.min_evidence],
        cooling_off_hours=d.cooling_off_hours,
        relocation_months=d.relocation_months,
        review_from=d.review_from,
        grace_days=d.grace_days,
        purposes=frozenset(int(Purpose[word.upper()]) for word in d.purposes),
        person_to_person=d.person_to_person,
        expiry=int(ExpiryRule[d.expiry.upper()]),
        life_days=d.life_days,
        honoured=tuple(
            Honoured(kind=_FACTS[h.kind], values=tuple((v.there, v.here) for v in h.values)) for h in d.honoured
        ),
    )


def _rate(
    r: AgreedRate, haircut: int, gives: tuple[Category, ...], takes: tuple[Category, ...], where: str
) -> Rate:  # fmt: skip
    source = next((c for c in gives if c.code == r.category), None)
    destination = next((c for c in takes if c.code == r.becomes), None)
    if source is None or destination is None:
        raise Wrong("bad_field", f"{r.category!r} or {r.becomes!r} is no category listed", field=f"{where}.rates")
    if r.rate is not None and not r.derived:
        p, q = map(int, r.rate.split("/"))
        return Rate(category=r.category, becomes=r.becomes, p=p, q=q, derived=False)
    found = rates.derive(source, destination, haircut)
    if found is None:
        what = f"{r.category!r} to {r.becomes!r}: both sides publish points per hour, or a rate is agreed by hand"
        raise Wrong("bad_field", what, field=f"{where}.rates")
    return Rate(category=r.category, becomes=r.becomes, p=found[0], q=found[1], derived=True)


# -- written ---------------------------------------------------------------------------------------------------------


def terms_of(found: Agreement, me: int) -> AgreementTerms:
    """An agreement as this region sees it."""
    peer = found.other(me)
    names = {int(feature): feature.name.lower() for feature in Feature}
    return AgreementTerms(
        out=_shown(found.direction(me)),
        into=_shown(found.direction(peer)),
        ours=[PublishedCategory(c.code, c.points, c.hours) for c in found.categories(me)],
        theirs=[PublishedCategory(c.code, c.points, c.hours) for c in found.categories(peer)],
        valid_from=words.day(found.valid_from),
        valid_until=words.day(found.valid_until),
        legal_basis=found.legal_basis,
        features=[names[feature] for feature in sorted(found.features) if feature in names],  # type: ignore[misc]
        pinned_days=found.pinned_days,
        reversal_days=found.reversal_days,
        dispute_days=found.dispute_days,
        dispute_answer_days=found.dispute_answer_days,
        dispute_ruling_days=found.dispute_ruling_days,
        mediator=found.mediator or None,
        arbitrator=found.arbitrator or None,
        consent_required=found.consent_required,
        consent_basis=found.consent_basis,
        identity_required=found.identity_required,
        their_pseudonym_key=found.pseudonym_key(peer).hex(),
    )


def _shown(d: Direction) -> AgreedDirection:
    facts = {number: word for word, number in _FACTS.items()}
    purposes = {int(purpose): purpose.name.lower() for purpose in Purpose}
    return AgreedDirection(
        on=d.on,
        rates=[AgreedRate(r.category, r.becomes, f"{r.p}/{r.q}", r.derived) for r in d.rates],
        haircut=d.haircut,
        smallest=d.smallest,
        caps=Caps(**{CapScope(cap.scope).name.lower(): cap.amount for cap in d.caps}),
        min_evidence=words.evidence(d.min_evidence),  # type: ignore[arg-type]
        cooling_off_hours=d.cooling_off_hours,
        relocation_months=d.relocation_months,
        review_from=d.review_from,
        grace_days=d.grace_days,
        purposes=tuple(purposes[purpose] for purpose in sorted(d.purposes) if purpose in purposes),  # type: ignore[misc]
        person_to_person=d.person_to_person,
        expiry="shorter" if d.expiry == ExpiryRule.SHORTER else "keep",
        life_days=d.life_days,
        honoured=[
            HonouredFact(facts[h.kind], [Worth(there, here) for there, here in h.values])  # type: ignore[arg-type]
            for h in d.honoured
            if h.kind in facts
        ],
    )
