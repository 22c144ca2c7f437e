"""Between agreements and bytes: the documents that regions sign, and the bodies that carry them.

What is decoded keeps the rules of agreement.proto; whether it makes a good agreement is for
:func:`gateway.protocol.agreement.rules.check` to say. Raises Malformed or TooLarge for anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.protocol import codec, limits
from gateway.protocol.agreement.document import Agreement, Cap, Category, Direction, Honoured, Notice, Rate
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.values import Signature, Signed
from gateway.v1 import agreement_pb2, signed_pb2

AGREEMENT = "application/vnd.hutong.agreement.v1"
NOTICE = "application/vnd.hutong.notice.v1"


# -- what is signed --------------------------------------------------------------------------------------------------


def encode_agreement(agreement: Agreement) -> bytes:
    """The payload to sign. Raises Malformed where a rate names a category that its region does not list, TooLarge
    where the whole could not travel in one body."""
    m = agreement_pb2.Agreement(
        federation=agreement.federation,
        environment=agreement.environment,
        id=agreement.id,
        version=agreement.version,
        predecessor=agreement.predecessor,
        region_a=agreement.region_a,
        region_b=agreement.region_b,
        valid_from=agreement.valid_from,
        valid_until=agreement.valid_until,
        legal_basis=agreement.legal_basis,
        categories_a=map(_category, agreement.categories_a),
        categories_b=map(_category, agreement.categories_b),
        a_to_b=_direction(agreement.a_to_b, agreement.categories_a, agreement.categories_b),
        b_to_a=_direction(agreement.b_to_a, agreement.categories_b, agreement.categories_a),
        features=sorted(agreement.features),  # type: ignore[arg-type]
        pinned_days=agreement.pinned_days,
        reversal_days=agreement.reversal_days,
        dispute_days=agreement.dispute_days,
        dispute_answer_days=agreement.dispute_answer_days,
        dispute_ruling_days=agreement.dispute_ruling_days,
        mediator=agreement.mediator,
        arbitrator=agreement.arbitrator,
        consent_required=agreement.consent_required,
        consent_basis=agreement.consent_basis,
        identity_required=agreement.identity_required,
        pseudonym_key_a=agreement.pseudonym_key_a,
        pseudonym_key_b=agreement.pseudonym_key_b,
    )
    payload = m.SerializeToString(deterministic=True)
    _check_size(payload)
    return payload


def decode_agreement(payload: bytes) -> Agreement:
    """A payload as a value."""
    _check_size(payload)
    m = _known(codec.parse(agreement_pb2.Agreement, payload))
    a, b = tuple(map(_uncategory, m.categories_a)), tuple(map(_uncategory, m.categories_b))
    return Agreement(
        federation=m.federation,
        environment=m.environment,
        id=m.id,
        version=m.version,
        predecessor=m.predecessor,
        region_a=m.region_a,
        region_b=m.region_b,
        valid_from=m.valid_from,
        valid_until=m.valid_until,
        legal_basis=m.legal_basis,
        categories_a=a,
        categories_b=b,
        a_to_b=_undirection(m.a_to_b, a, b),
        b_to_a=_undirection(m.b_to_a, b, a),
        features=frozenset(map(int, m.features)),
        pinned_days=m.pinned_days,
        reversal_days=m.reversal_days,
        dispute_days=m.dispute_days,
        dispute_answer_days=m.dispute_answer_days,
        dispute_ruling_days=m.dispute_ruling_days,
        mediator=m.mediator,
        arbitrator=m.arbitrator,
        consent_required=m.consent_required,
        consent_basis=m.consent_basis,
        identity_required=m.identity_required,
        pseudonym_key_a=m.pseudonym_key_a,
        pseudonym_key_b=m.pseudonym_key_b,
    )


def _known(m: codec.M) -> codec.M:
    """Raises Malformed for fields that this version does not know: nobody signs what it cannot read."""
    size = m.ByteSize()
    m.DiscardUnknownFields()
    if m.ByteSize() != size:
        raise Malformed(f"{m.DESCRIPTOR.name}: it has fields that this version does not know")
    return m


def _check_size(payload: bytes) -> None:
    if len(payload) > limits.AGREEMENT_BYTES:
        raise TooLarge(f"an agreement of {len(payload)} bytes; at most {limits.AGREEMENT_BYTES}")


def _category(category: Category) -> agreement_pb2.AgreedCategory:
    return agreement_pb2.AgreedCategory(code=category.code, points=category.points, hours=category.hours)


def _uncategory(m: agreement_pb2.AgreedCategory) -> Category:
    return Category(code=m.code, points=m.points, hours=m.hours)


def _direction(
    direction: Direction, source: Sequence[Category], destination: Sequence[Category]
) -> agreement_pb2.Direction:
    gives, takes = [category.code for category in source], [category.code for category in destination]
    try:
        rates = [
            agreement_pb2.AgreedRate(
                category=gives.index(r.category), becomes=takes.index(r.becomes), p=r.p, q=r.q, derived=r.derived
            )
            for r in direction.rates
        ]
    except ValueError as e:
        raise Malformed(f"a rate names a category that its region does not list, or is out of range: {e}") from None
    return agreement_pb2.Direction(
        on=direction.on,
        rates=rates,
        haircut=direction.haircut,
        smallest=direction.smallest,
        caps=[agreement_pb2.Cap(scope=cap.scope, amount=cap.amount) for cap in direction.caps],  # type: ignore[arg-type]
        min_evidence=direction.min_evidence,  # type: ignore[arg-type]
        cooling_off_hours=direction.cooling_off_hours,
        relocation_months=direction.relocation_months,
        review_from=direction.review_from,
        grace_days=direction.grace_days,
        purposes=sorted(direction.purposes),  # type: ignore[arg-type]
        person_to_person=direction.person_to_person,
        expiry=direction.expiry,  # type: ignore[arg-type]
        life_days=direction.life_days,
        honoured=[
            agreement_pb2.Honoured(
                kind=h.kind, values=[agreement_pb2.Worth(there=there, here=here) for there, here in h.values]
            )
            for h in direction.honoured
        ],
    )


def _undirection(m: agreement_pb2.Direction, source: Sequence[Category], destination: Sequence[Category]) -> Direction:
    if any(r.category >= len(source) or r.becomes >= len(destination) for r in m.rates):
        raise Malformed("AgreedRate.category and AgreedRate.becomes must be places in the lists of categories")
    return Direction(
        on=m.on,
        rates=tuple(
            Rate(
                category=source[r.category].code,
                becomes=destination[r.becomes].code,
                p=r.p,
                q=r.q,
                derived=r.derived,
            )
            for r in m.rates
        ),
        haircut=m.haircut,
        smallest=m.smallest,
        caps=tuple(Cap(scope=int(cap.scope), amount=cap.amount) for cap in m.caps),
        min_evidence=int(m.min_evidence),
        cooling_off_hours=m.cooling_off_hours,
        relocation_months=m.relocation_months,
        review_from=m.review_from,
        grace_days=m.grace_days,
        purposes=frozenset(map(int, m.purposes)),
        person_to_person=m.person_to_person,
        expiry=int(m.expiry),
        life_days=m.life_days,
        honoured=tuple(Honoured(kind=h.kind, values=tuple((w.there, w.here) for w in h.values)) for h in m.honoured),
    )


def encode_notice(notice: Notice) -> bytes:
    """The payload to sign."""
    return agreement_pb2.NoticeDocument(
        federation=notice.federation,
        environment=notice.environment,
        agreement=notice.agreement,
        version=notice.version,
        region=notice.region,
        what=notice.what,  # type: ignore[arg-type]
        effective=notice.effective,
        wind_down_until=notice.wind_down_until,
        because=notice.because,
    ).SerializeToString(deterministic=True)


def decode_notice(payload: bytes) -> Notice:
    """A payload as a value."""
    m = _known(codec.parse(agreement_pb2.NoticeDocument, payload))
    return Notice(
        federation=m.federation,
        environment=m.environment,
        agreement=m.agreement,
        version=m.version,
        region=m.region,
        what=int(m.what),
        effective=m.effective,
        wind_down_until=m.wind_down_until,
        because=m.because,
    )


# -- bodies ----------------------------------------------------------------------------------------------------------


def encode_propose(signed: Signed, redo: bytes) -> bytes:
    """The body of a proposal, without salt."""
    return agreement_pb2.Propose(agreement=codec.signed_message(signed), redo=redo).SerializeToString()


def decode_propose(salted_body: bytes) -> Signed:
    """The document that is proposed, signed by the proposer; nothing is verified here."""
    return _signed(_parse(agreement_pb2.Propose, salted_body).agreement, AGREEMENT)


def encode_countersign(signature: Signature, redo: bytes) -> bytes:
    """The body of a countersignature, without salt."""
    m = signed_pb2.Signature(key_id=signature.key_id, suite=signature.suite, signature=signature.signature)
    return agreement_pb2.Countersign(signature=m, redo=redo).SerializeToString()


def decode_countersign(salted_body: bytes) -> Signature:
    """The signature; nothing is verified here."""
    m = _parse(agreement_pb2.Countersign, salted_body).signature
    return Signature(key_id=m.key_id, suite=m.suite, signature=m.signature)


def encode_notice_body(signed: Signed, redo: bytes) -> bytes:
    """The body of a notice, without salt."""
    return agreement_pb2.Notice(notice=codec.signed_message(signed), redo=redo).SerializeToString()


def decode_notice_body(salted_body: bytes) -> Signed:
    """The notice, signed by who says it; nothing is verified here."""
    return _signed(_parse(agreement_pb2.Notice, salted_body).notice, NOTICE)


def _parse(kind: type[codec.M], salted_body: bytes) -> codec.M:
    if len(salted_body) > limits.BODY_BYTES:
        raise TooLarge(f"a body of {len(salted_body)} bytes; at most {limits.BODY_BYTES}")
    return codec.parse(kind, salted_body[limits.SALT_BYTES :])


def _signed(m: signed_pb2.Signed, payload_type: str) -> Signed:
    signed = codec.signed_value(m)
    if signed.payload_type != payload_type:
        raise Malformed(f"a {payload_type} was expected, not {signed.payload_type!r}")
    return signed
