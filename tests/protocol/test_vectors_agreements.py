"""The published vectors of agreements: documents, what two logs make of them, verdicts, quotes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import pytest

from gateway.protocol import codec
from gateway.protocol.agreement import rates
from gateway.protocol.agreement.document import Category
from gateway.protocol.agreement.in_force import arriving_expiry, in_force
from gateway.protocol.agreement.life import Dealings, Said, hear, state_on
from gateway.protocol.agreement.quote import quote
from gateway.protocol.agreement.rates import Edge, Place
from gateway.protocol.agreement.rules import check, check_next, faults
from gateway.protocol.agreement.verdict import Consent, Facts, judge
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.bodies.agreement import decode_agreement, encode_agreement
from gateway.protocol.errors import Refused
from gateway.protocol.suite import VerifyKey
from gateway.protocol.transfer import Source, Terms
from gateway.protocol.values import Kind, Provenance, Reason, Signature, Slice
from tests.protocol import reader
from tests.protocol.reader import vectors
from tests.protocol.test_vectors import named

AGREEMENTS = vectors("agreements")
FEDERATION, ENVIRONMENT = bytes.fromhex(AGREEMENTS["federation"]), AGREEMENTS["environment"]
PUBLIC = {int(code): bytes.fromhex(key) for code, key in AGREEMENTS["keys"].items()}


def keys(region: int) -> Iterable[VerifyKey]:
    return [VerifyKey(suite="ed25519-sha256", public_key=PUBLIC[region])]


def refusal_of(what: Any) -> str | None:
    try:
        what()
    except Refused as refusal:
        return refusal.reason.name
    return None


# -- bodies -----------------------------------------------------------------------------------------------------------


@named(AGREEMENTS["bodies"])
def test_a_body_carries_this_paper(case: dict[str, Any]) -> None:
    salted = bytes.fromhex(case["salted"])
    assert reader.sha256(salted).hexdigest() == case["commitment"]
    assert reader.one(salted[16:], 15).hex() == case["redo"]
    decode: Any = {
        "Propose": bodies.decode_propose, "Countersign": bodies.decode_countersign, "Notice": bodies.decode_notice_body,
    }[case["name"]]  # fmt: skip
    paper = decode(salted)
    if case["name"] == "Countersign":
        given = case["carries"]
        assert (paper.key_id.hex(), paper.suite, paper.signature.hex()) == (
            given["key_id"], given["suite"], given["signature"],
        )  # fmt: skip
    else:
        assert codec.encode_signed(paper).hex() == case["carries"] == reader.one(salted[16:], 1).hex()


# -- documents --------------------------------------------------------------------------------------------------------


@named(AGREEMENTS["documents"])
def test_a_document_breaks_these_rules(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    agreement = decode_agreement(payload)
    assert encode_agreement(agreement) == payload
    assert [fault.name for fault in faults(agreement, FEDERATION, ENVIRONMENT)] == case["faults"]
    assert refusal_of(lambda: check(agreement, FEDERATION, ENVIRONMENT)) == case["refused"]


def test_the_fields_of_a_document_stand_where_the_specification_says() -> None:
    payload = bytes.fromhex(AGREEMENTS["documents"][0]["payload"])
    assert reader.one(payload, 1) == FEDERATION
    assert reader.one(payload, 2).decode() == ENVIRONMENT
    assert [reader.one(payload, n) for n in (4, 6, 7, 8, 9)] == [1, 330100, 330200, 20260101, 20261231]
    listed = [reader.one(category, 1).decode() for category in reader.many(payload, 11)]
    becomes = [reader.one(category, 1).decode() for category in reader.many(payload, 12)]
    rates = reader.many(reader.one(payload, 13), 2)
    assert [
        (listed[reader.one(r, 1, 0)], becomes[reader.one(r, 2, 0)], reader.one(r, 3), reader.one(r, 4)) for r in rates
    ] == [("moral", "public_welfare", 1, 10), ("culture", "culture", 2, 3)]


# -- histories --------------------------------------------------------------------------------------------------------


def said(one: dict[str, Any]) -> Said:
    paper: Any = None
    if "signed" in one:
        paper = codec.decode_signed(bytes.fromhex(one["signed"]))
    if "signature" in one:
        given = one["signature"]
        paper = Signature(
            key_id=bytes.fromhex(given["key_id"]), suite=given["suite"], signature=bytes.fromhex(given["signature"])
        )
    reason = Reason[one["reason"]] if "reason" in one else 0
    return Said(Kind[one["kind"]], one["by"], bytes.fromhex(one["id"]), paper, int(reason))


HISTORIES = {
    case["name"]: [said(one) for one in case["said"]] for case in AGREEMENTS["histories"]
}  # fmt: skip


def heard(history: str) -> Dealings:
    known = Dealings()
    for one in HISTORIES[history]:
        known = hear(known, one, keys)
    return known


@named(AGREEMENTS["histories"])
def test_two_logs_lead_to_these_states_on_these_days(case: dict[str, Any]) -> None:
    known = heard(case["name"])
    found = [
        {"digest": v.digest.hex(), "states": [[day, state_on(known, v, day).name] for day, _ in given["states"]]}
        for v, given in zip(known.versions, case["versions"], strict=True)
    ]
    assert found == case["versions"]


@named(AGREEMENTS["histories"])
def test_a_version_is_known_by_the_hash_of_its_payload_and_signed_over_it(case: dict[str, Any]) -> None:
    proposed = [one for one in case["said"] if one["kind"] == "PROPOSE"]
    for one, version in zip(proposed, case["versions"], strict=True):
        whole = bytes.fromhex(one["signed"])
        payload, signature = reader.one(whole, 2), reader.one(reader.many(whole, 3)[0], 3)
        assert reader.sha256(payload).hexdigest() == version["digest"]
        assert reader.is_signed(PUBLIC[one["by"]], reader.one(whole, 1).decode(), payload, signature)
        answers = [a for a in case["said"] if a["id"] == one["id"] and a["kind"] == "COUNTERSIGN"]
        for answer in answers:
            signed = bytes.fromhex(answer["signature"]["signature"])
            good = reader.is_signed(PUBLIC[answer["by"]], reader.one(whole, 1).decode(), payload, signed)
            became = {state for _, state in version["states"]}
            assert ("IN_FORCE" in became) == (good and answer["by"] != one["by"])


@named(AGREEMENTS["next"])
def test_a_document_can_follow_or_not(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    agreement, digest = decode_agreement(payload), reader.sha256(payload).digest()
    known = heard(case["history"])
    assert refusal_of(lambda: check_next(agreement, digest, known, case["today"])) == case["refused"]


# -- verdicts ---------------------------------------------------------------------------------------------------------


def provenance(given: dict[str, Any]) -> Provenance:
    return Provenance(given["issuer"], given["granted"], given["evidence"], given["because"])


def facts(changes: dict[str, Any]) -> Facts:
    given = {**AGREEMENTS["usual"], **changes}
    for name in ("amount", "pair_day", "pair_month", "net", "sent_day", "sent_month", "sent_year", "sent_ever"):
        given[name] = None if given[name] is None else int(given[name])
    given["backing"] = tuple(
        Slice(int(s["blocks"]), s["expires"], tuple(map(provenance, s["provenance"]))) for s in given["backing"]
    )
    given["consent"] = None if given["consent"] is None else Consent[given["consent"]]
    given["rate"] = None if given["rate"] is None else tuple(given["rate"])
    return Facts(**given)


@named(AGREEMENTS["verdicts"])
def test_this_is_the_verdict(case: dict[str, Any]) -> None:
    found = in_force(heard(case["history"]), case["day"])
    if case["verdict"] == "refused":
        with pytest.raises(Refused) as refused:
            judge(found, facts(case["facts"]))
        assert refused.value.reason.name == case["reason"]
        return
    verdict = judge(found, facts(case["facts"]))
    assert verdict.review == (case["verdict"] == "review")
    assert verdict.terms.version == case["version"]
    conversion = verdict.conversion
    assert (conversion.leaving, conversion.arriving) == (int(case["leaving"]), int(case["arriving"]))


NOT_OF_A_TRANSFER = {
    "UNKNOWN_KIND", "MALFORMED_BODY",  # of a message that is no offer
    "ACCOUNT_NOT_EMPTY", "CODE_NOT_VALID", "ALREADY_SPENT", "ABOVE_AUTHORISED", "AUTHORISATION_ENDED",
    "TRANSFER_UNKNOWN", "WRONG_STATE", "CANCELLED", "REVIEW_REFUSED", "TOO_LATE",  # of what follows one
    "DOCUMENT_INVALID", "PREDECESSOR_UNKNOWN", "AGREEMENT_OVERLAPS", "PROFITABLE_CYCLE", "DECLINED", "NOT_ATTESTED",
}  # fmt: skip


def test_the_verdicts_hold_every_reason_that_a_transfer_under_an_agreement_can_meet() -> None:
    assert len(AGREEMENTS["verdicts"]) >= 60
    given = {case["reason"] for case in AGREEMENTS["verdicts"] if "reason" in case}
    assert given == {reason.name for reason in Reason} - NOT_OF_A_TRANSFER


def test_the_documents_and_what_follows_hold_every_reason_an_agreement_can_meet() -> None:
    given = {case["refused"] for case in (*AGREEMENTS["documents"], *AGREEMENTS["next"])}
    assert given == {
        None, "DOCUMENT_INVALID", "PREDECESSOR_UNKNOWN", "AGREEMENT_OVERLAPS", "PROFITABLE_CYCLE",
    }  # fmt: skip


PAIRS = [case for case in AGREEMENTS["verdicts"] if " goes before " in case["name"]]


@named(PAIRS)
def test_of_two_reasons_the_lower_number_is_given(case: dict[str, Any]) -> None:
    first, other = (Reason[name] for name in case["name"].split(" goes before "))
    assert first < other
    assert case["reason"] == first.name


def test_each_reason_goes_before_another_or_behind_one() -> None:
    shown = {name for case in PAIRS for name in case["name"].split(" goes before ")}
    assert shown == {reason.name for reason in Reason} - NOT_OF_A_TRANSFER


# -- rates, expiry, quotes --------------------------------------------------------------------------------------------


def test_rates_derive_from_what_is_published() -> None:
    for case in AGREEMENTS["derived"]:
        gives, takes = (Category(code="x", points=p, hours=h) for p, h in (case["source"], case["destination"]))
        rate = rates.derive(gives, takes, case["haircut"])
        assert (list(rate) if rate else None) == case["rate"]
        if rate:
            whole = Fraction(takes.points, takes.hours) / Fraction(gives.points, gives.hours)
            assert Fraction(*rate) == whole * Fraction(10_000 - case["haircut"], 10_000)


@named(AGREEMENTS["cycles"])
def test_a_cycle_gains_or_there_is_none(case: dict[str, Any]) -> None:
    edges = [Edge(Place(a, c), Place(b, d), p, q) for a, c, b, d, p, q in case["edges"]]
    found = rates.profitable_cycle(edges)
    assert (None if found is None else found.gain) == (None if case["gain"] is None else Fraction(case["gain"]))
    around = [] if found is None else [[*e.source, *e.destination, e.p, e.q] for e in found.edges]
    assert around == case["cycle"]
    if around:
        product = Fraction(1)
        for *_, p, q in around:
            product *= Fraction(p, q)
        assert product == Fraction(case["gain"]) > 1
        assert all(a[2:4] == b[:2] for a, b in zip(around, [*around[1:], around[0]], strict=True))


def terms(case: dict[str, Any]) -> Terms:
    return Terms(
        source=330100, destination=330200, category="moral", becomes="public_welfare", rate_p=1, rate_q=10, version=1,
        grace_days=case["grace_days"], life_days=case["life_days"],
    )  # fmt: skip


def test_what_arrives_expires_then() -> None:
    for case in AGREEMENTS["expiry"]:
        assert arriving_expiry(terms(case), case["expires"], case["day"]) == case["arriving"]


def test_a_quote_says_by_lot_what_leaves_what_stays_and_what_arrives_until_when() -> None:
    lots = [
        Source(lot["lot"], int(lot["units"]), lot["expires"], tuple(map(provenance, lot["provenance"])))
        for lot in AGREEMENTS["lots"]
    ]
    for case in AGREEMENTS["quotes"]:
        found = quote(terms(case), int(case["amount"]), lots, case["day"])
        assert (found.leaving, found.arriving, found.stays) == (
            int(case["leaving"]), int(case["arriving"]), int(case["stays"]),
        )  # fmt: skip
        assert [line._asdict() for line in found.lots] == case["lots"]
        assert [{**a._asdict(), "units": str(a.units), "lots": list(a.lots)} for a in found.arrivals] == case[
            "arrivals"
        ]
