"""The verdict against a second reading of the specification, over random agreements, days and facts."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.agreement.document import Agreement, CapScope, Feature, NoticeKind, Rate
from gateway.protocol.agreement.in_force import InForce, in_force
from gateway.protocol.agreement.life import Said
from gateway.protocol.agreement.verdict import Consent, Facts, Verdict, judge
from gateway.protocol.bodies.agreement import encode_agreement
from gateway.protocol.errors import Refused
from gateway.protocol.values import Provenance, Reason, Slice
from tests.protocol import second_verdict
from tests.protocol.federation import HANGZHOU, NINGBO
from tests.protocol.pair import amended, both, caps, dealings, direction, document, noted

DAYS = [20251230, 20260101, 20260131, 20260201, 20260206, 20260207, 20260228, 20260301, 20260331, 20260401, 20261231,
        20270101, 20270107, 20270108]  # fmt: skip
FOUND = [0] * 8 + [Reason.REGION_NOT_ACTIVE, Reason.ADDRESS_UNKNOWN, Reason.INSUFFICIENT_POINTS, Reason.TOO_MANY_LOTS]


def agreed(chance: random.Random) -> tuple[list[Agreement], list[Said], bool, tuple[int, int] | None]:
    """Versions, what was said, whether it is suspended, and from and until when it is terminated."""
    p, q = chance.choice([(1, 10), (2, 3), (1, 1), (7, 2)])
    scopes = chance.sample(sorted(CapScope), chance.randint(0, 8))
    way = direction(
        Rate(category="moral", becomes=chance.choice(["moral", "culture"]), p=p, q=q, derived=False),
        on=chance.random() < 0.9,
        smallest=chance.choice([0, 50]),
        caps=caps(**{CapScope(scope).name: chance.randint(100, 3000) for scope in scopes}),
        min_evidence=chance.choice([1, 2]),
        cooling_off_hours=chance.choice([0, 24]),
        relocation_months=chance.choice([0, 1, 12]),
        review_from=chance.choice([0, 60]),
        purposes=frozenset(chance.sample([1, 2, 3, 4], chance.randint(1, 4))),
        person_to_person=chance.random() < 0.5,
    )
    first = document(
        a_to_b=way,
        features=frozenset(chance.sample(sorted(Feature), chance.randint(4, 7))),
        pinned_days=chance.choice([0, 6]),
        consent_required=chance.random() < 0.5,
        consent_basis="x",
        identity_required=chance.random() < 0.5,
        pseudonym_key_a=bytes(32),
        pseudonym_key_b=b"1" * 32,
    )
    versions = [first]
    if chance.random() < 0.6:
        rates = tuple(replace(rate, p=rate.p + rate.q) for rate in way.rates)
        versions.append(amended(first, a_to_b=replace(way, rates=rates), valid_from=20260201))
    said = [one for version in versions for one in both(version)]
    suspended, ended = chance.random() < 0.15, None
    if suspended:
        said.append(noted(NoticeKind.SUSPEND, NINGBO, DAYS[0]))
    if chance.random() < 0.3:
        ended = (20260301, chance.choice([20260301, 20260331]))
        said.append(noted(NoticeKind.TERMINATE, HANGZHOU, *ended))
    return versions, said, suspended, ended


def facts(chance: random.Random, versions: list[Agreement]) -> dict[str, Any]:
    """What one side may know; mostly harmless, so that the later reasons are reached too."""

    def seldom(other: Any, usual: Any, share: float = 0.12) -> Any:
        return other if chance.random() < share else usual

    def counted() -> int | None:
        return seldom(chance.choice([None, 2500]), chance.randint(-50, 80))

    version = chance.choice(versions)
    rate = version.a_to_b.rates[0]
    held = chance.random() < 0.5
    given: dict[str, Any] = {
        "source": HANGZHOU, "destination": NINGBO, "category": seldom("honour", "moral", 0.05),
        "amount": seldom(chance.choice([-3, 0, 1, 2**63, 5000]), chance.randint(40, 120)),
        "purpose": chance.choice([1, 1, 1, 1, 2, 3, 4, 6, 16, 99]), "pinned": held,
        "evidence": [seldom(chance.choice([1, 3]), 2, 0.05) for _ in range(chance.randint(0, 4))],
        "becomes": None, "rate": None, "version": None,
        "rested_hours": seldom(5, chance.choice([None, 24])),
        "relocated": seldom(chance.choice([20251231, 20260131, 20250331]), chance.choice([None, 0, 20200101])),
        "consent": chance.choice([None, *["GIVEN"] * 8, "MISSING", "NOT_VALID"]),
        "identity": chance.choice([None, True, False]),
        "delayed": seldom(True, False, 0.05), "disputed": seldom(True, False, 0.05), "found": int(chance.choice(FOUND)),
    }  # fmt: skip
    for name in ("pair_day", "pair_month", "net", "sent_day", "sent_month", "sent_year", "sent_ever"):
        given[name] = counted()
    if held:
        given |= {
            "becomes": seldom("sport", rate.becomes, 0.05), "rate": seldom((1, 999), (rate.p, rate.q), 0.05),
            "version": seldom(9, version.version, 0.05),
        }  # fmt: skip
    return given


@pytest.mark.parametrize("seed", range(30))
def test_it_gives_the_lowest_of_all_that_applies_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(8):
        versions, said, suspended, ended = agreed(chance)
        known = dealings(said)
        for day in DAYS:
            papers = second_verdict.papers([encode_agreement(v) for v in versions], suspended, ended, day)
            found = in_force(known, day)
            for _ in range(6):
                given = facts(chance, versions)
                wanted = {**given, "found": Reason(given["found"]).name if given["found"] else None}
                applying = sorted(Reason[name] for name in second_verdict.reasons(papers, wanted, day))
                verdict = said_of(found, given)
                if not isinstance(verdict, Verdict):
                    assert [verdict] == applying[:1], (day, given)
                    continue
                assert applying == [], (day, given)
                paper = next(p for p in papers if p.version == verdict.terms.version)
                arriving = verdict.conversion.arriving
                assert verdict.review == second_verdict.review(paper, HANGZHOU, arriving, given["identity"])


def said_of(found: InForce | None, given: dict[str, Any]) -> Verdict | Reason:
    changes = {
        "backing": tuple(Slice(1, 0, (Provenance(HANGZHOU, 20260101, e, ""),)) for e in given["evidence"]),
        "consent": Consent[given["consent"]] if given["consent"] else None,
    }
    asked = Facts(**{name: value for name, value in {**given, **changes}.items() if name != "evidence"})
    try:
        return judge(found, asked)
    except Refused as refusal:
        return refusal.reason


def test_where_nothing_was_ever_agreed_the_books_may_have_a_lower_reason() -> None:
    for found, reason in ((0, 27), (21, 21), (40, 27)):
        with pytest.raises(Refused) as refused:
            judge(None, Facts(HANGZHOU, NINGBO, "moral", 1, 1, found=found))
        assert refused.value.reason == reason
