"""Nothing is created and nothing is lost, whatever two regions agree on: properties over random rates, lots, caps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from math import gcd

import pytest

from gateway.protocol.agreement.document import Agreement, CapScope, Rate
from gateway.protocol.agreement.in_force import InForce, add_days, add_months, arriving_expiry, in_force, terms_of
from gateway.protocol.agreement.life import Dealings
from gateway.protocol.agreement.quote import quote
from gateway.protocol.agreement.rates import derive, profitable_cycle
from gateway.protocol.agreement.rates import edges_of as edges
from gateway.protocol.agreement.verdict import Facts, Verdict, judge
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import NEVER, Source, Terms, cut_blocks
from gateway.protocol.values import Provenance, Reason
from tests.protocol.federation import HANGZHOU, NINGBO
from tests.protocol.pair import Category, both, caps, dealings, direction, document

TODAY = 20260601
SEEDS = range(150)


def rate_of(chance: random.Random, most: int = 1000) -> tuple[int, int]:
    p, q = chance.randint(1, most), chance.randint(1, most)
    return p // gcd(p, q), q // gcd(p, q)


def known(agreement: Agreement) -> Dealings:
    return dealings(both(agreement))


def today(agreement: Agreement) -> InForce:
    found = in_force(known(agreement), TODAY)
    assert found is not None
    return found


def random_agreement(chance: random.Random) -> Agreement:
    """Rates by which no round trip gains: what would is turned round until it does not."""
    there, back = rate_of(chance), rate_of(chance)
    if there[0] * back[0] > there[1] * back[1]:
        back = (back[1], back[0]) if there[0] * back[1] <= there[1] * back[0] else (there[1], there[0])
    ways = [direction(Rate(category="moral", becomes="moral", p=p, q=q, derived=False)) for p, q in (there, back)]
    return document(a_to_b=ways[0], b_to_a=ways[1])


def random_lots(chance: random.Random, issuer: int = HANGZHOU) -> list[Source]:
    """Up to 20, in the order in which they expire."""
    expires = sorted(
        chance.choice([NEVER, add_days(TODAY, chance.randint(1, 900))]) for _ in range(chance.randint(1, 20))
    )
    return [
        Source(no, chance.randint(1, 5000), until, (Provenance(issuer, 20260101 + no % 28, 2, f"award {no}"),))
        for no, until in enumerate(expires)
    ]


def moves(chance: random.Random) -> Iterator[tuple[Agreement, list[Source], int]]:
    agreement, lots = random_agreement(chance), random_lots(chance)
    have = sum(lot.units for lot in lots)
    for _ in range(4):
        yield agreement, lots, chance.randint(1, have)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_trip_never_creates_value(seed: int) -> None:
    """There in one piece and back in as many as chance likes: never more than had left."""
    chance = random.Random(seed)
    for agreement, _, amount in moves(chance):
        found = today(agreement)
        verdict = outcome(found, Facts(HANGZHOU, NINGBO, "moral", amount, 1))
        if not isinstance(verdict, Verdict):
            assert verdict is Reason.AMOUNT_OUT_OF_RANGE
            continue
        out = verdict.conversion
        left, returned = out.arriving, 0
        for _ in range(20):
            if not left:
                break
            home = outcome(found, Facts(NINGBO, HANGZHOU, "moral", chance.randint(1, left), 1))
            if not isinstance(home, Verdict):
                assert home is Reason.AMOUNT_OUT_OF_RANGE
                continue
            left -= home.conversion.leaving
            returned += home.conversion.arriving
        assert returned <= out.leaving
        assert amount - out.leaving + returned <= amount


@pytest.mark.parametrize("seed", SEEDS)
def test_derived_rates_never_close_a_cycle_that_gains(seed: int) -> None:
    """Over four regions and three categories of each, any published value, any haircut."""
    chance = random.Random(seed)
    codes = ["moral", "culture", "sport"]
    regions = {
        region: tuple(Category(code=c, points=chance.randint(1, 40), hours=chance.randint(1, 40)) for c in codes)
        for region in (330100, 330200, 330300, 330400)
    }
    agreements = []
    for a in regions:
        for b in (region for region in regions if region > a):
            ways = []
            for source, destination in ((a, b), (b, a)):
                haircut = chance.choice([0, 0, 1, 250])
                rates = []
                for gives in regions[source]:
                    takes = chance.choice(regions[destination])
                    rate = derive(gives, takes, haircut)
                    if rate is not None:
                        rates.append(Rate(category=gives.code, becomes=takes.code, p=rate[0], q=rate[1]))
                ways.append(replace(direction(haircut=haircut), rates=tuple(rates)))
            agreements.append(document(region_a=a, region_b=b, a_to_b=ways[0], b_to_a=ways[1]))
    assert profitable_cycle(edges(agreements)) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_cycle_is_said_to_gain_it_gains(seed: int) -> None:
    """And where none is found, walking any way round at random gains nothing."""
    chance = random.Random(seed)
    agreements = []
    for a, b in ((330100, 330200), (330100, 330300), (330200, 330300)):
        ways = []
        for _ in range(2):
            p, q = rate_of(chance, 8)
            ways.append(direction(Rate(category="moral", becomes="moral", p=p, q=q, derived=False)))
        agreements.append(document(region_a=a, region_b=b, a_to_b=ways[0], b_to_a=ways[1]))
    every = list(edges(agreements))
    cycle = profitable_cycle(every)
    if cycle is not None:
        units = whole = 10**30
        for edge, after in zip(cycle.edges, (*cycle.edges[1:], cycle.edges[0]), strict=True):
            assert edge.destination == after.source
            units = units // edge.q * edge.p
        assert units > whole
        return
    for start in {edge.source for edge in every}:
        for _ in range(20):
            place, units = start, 10**30
            for _ in range(6):
                edge = chance.choice([e for e in every if e.source == place])
                place, units = edge.destination, units // edge.q * edge.p
                assert place != start or units <= 10**30


@pytest.mark.parametrize("seed", SEEDS)
def test_what_leaves_and_what_stays_is_what_there_was_by_lot(seed: int) -> None:
    chance = random.Random(seed)
    for agreement, lots, amount in moves(chance):
        terms = terms_of(today(agreement), HANGZHOU, NINGBO, "moral")
        assert terms is not None
        try:
            found = quote(terms, amount, lots, TODAY)
        except Refused:  # less than a block
            assert amount < terms.rate_q
            continue
        assert found.leaving + found.stays == amount
        assert found.leaving % terms.rate_q == found.arriving % terms.rate_p == 0
        assert found.leaving * terms.rate_p == found.arriving * terms.rate_q
        assert [line.leaves + line.stays for line in found.lots] == [lot.units for lot in lots]
        assert sum(line.leaves for line in found.lots) == found.leaving
        assert sum(arrival.units for arrival in found.arrivals) == found.arriving
        for arrival in found.arrivals:
            sooner = min(line.expires for line in found.lots if line.lot in arrival.lots)
            assert arrival.expires == arriving_expiry(terms, sooner, TODAY)
            assert all(line.leaves for line in found.lots if line.lot in arrival.lots)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_series_of_transfers_passes_a_cap_and_each_that_fits_under_it_may_go(seed: int) -> None:
    chance = random.Random(seed)
    limits = {scope: chance.randint(1, 3000) for scope in CapScope}
    agreement = document(a_to_b=direction(
        Rate(category="moral", becomes="moral", p=1, q=1, derived=False),
        caps=caps(**{scope.name: amount for scope, amount in limits.items()}),
    ))  # fmt: skip
    found = today(agreement)
    sent = 0
    for _ in range(40):
        amount = chance.randint(1, 900)
        facts = Facts(
            HANGZHOU, NINGBO, "moral", amount, 1, pair_day=sent, pair_month=sent, net=sent, sent_day=sent,
            sent_month=sent, sent_year=sent, sent_ever=sent,
        )  # fmt: skip
        every = [limits[scope] for scope in CapScope if scope is not CapScope.TRANSFER]
        fits = amount <= limits[CapScope.TRANSFER] and sent + amount <= min(every)
        try:
            judge(found, facts)
        except Refused:
            assert not fits
        else:
            assert fits
            sent += amount
    assert sent <= min(limits[scope] for scope in CapScope if scope is not CapScope.TRANSFER)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_destination_says_of_an_offer_what_the_source_said_of_the_order(seed: int) -> None:
    """From the same facts, with what an offer says besides: the same verdict, but for what only one side can know."""
    chance = random.Random(seed)
    agreement = document(
        a_to_b=direction(
            Rate(category="moral", becomes="moral", p=2, q=3, derived=False), smallest=chance.randint(0, 60),
            caps=caps(transfer=chance.randint(50, 900), pair_day=chance.randint(500, 3000), net_debit=2000),
            review_from=chance.choice([0, 40, 400]), on=chance.random() < 0.9,
        )
    )  # fmt: skip
    found = today(agreement)
    lots = random_lots(chance)
    for _ in range(20):
        counted = chance.randint(0, 2500)
        order = Facts(
            HANGZHOU, NINGBO, chance.choice(["moral"] * 5 + ["honour"]), chance.randint(1, 1000),
            chance.choice([1, 2, 6]), lots[:3], pair_day=counted, pair_month=counted, net=counted - 500,
        )  # fmt: skip
        at_source = outcome(found, order)
        if not isinstance(at_source, Verdict):
            continue
        conversion, terms = at_source.conversion, at_source.terms
        slices, _ = cut_blocks([Source(1, 10**6, NEVER, lots[0].provenance)], conversion.blocks, terms.rate_q)
        offer = order._replace(
            amount=conversion.leaving, backing=slices, pinned=True, becomes=terms.becomes,
            rate=(terms.rate_p, terms.rate_q), version=terms.version,
        )  # fmt: skip
        at_destination = outcome(found, offer)
        assert isinstance(at_destination, Verdict)
        assert at_destination.terms == terms
        assert at_destination.review == at_source.review
        assert at_destination.conversion[:3] == conversion[:3]


def outcome(found: InForce, facts: Facts) -> Verdict | Reason:
    try:
        return judge(found, facts)
    except Refused as refusal:
        return refusal.reason


def terms(life_days: int, grace_days: int) -> Terms:
    return Terms(
        source=HANGZHOU, destination=NINGBO, category="moral", becomes="moral", rate_p=1, rate_q=1, version=1,
        grace_days=grace_days, life_days=life_days,
    )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_points_live_the_days_of_grace_and_no_longer_than_agreed(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        grace, life = chance.randint(0, 90), chance.choice([0, chance.randint(1, 900)])
        until = chance.choice([0, NEVER, add_days(TODAY, chance.randint(1, 900))])
        arriving = arriving_expiry(terms(life, grace), until, TODAY)
        at_source = until or NEVER
        assert arriving >= min(add_days(TODAY, grace), NEVER)
        assert arriving <= max(at_source, add_days(TODAY, grace))
        if life:
            assert arriving <= max(add_days(TODAY, life), add_days(TODAY, grace))
        if at_source >= add_days(TODAY, grace) and not life:
            assert arriving == at_source


@pytest.mark.parametrize(
    ("day", "months", "later"), [(20260131, 1, 20260231), (20260601, 12, 20270601), (20261231, 1, 20270131),
                                 (20240229, 12, 20250229), (20260601, 0, 20260601)]
)  # fmt: skip
def test_months_are_counted_by_the_calendar(day: int, months: int, later: int) -> None:
    assert add_months(day, months) == later


def test_the_calendar_ends() -> None:
    assert add_days(99991231, 1) == NEVER
