"""Promises about points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from gateway.protocol.transfer import State
from node.cli.demo.case import Case, Check, check, unless


def _used(case: Case) -> Counter[tuple[int, str, str]]:
    """What residents spent at home or elsewhere, and what was clawed back from them: (region, account, category)."""
    used: Counter[tuple[int, str, str]] = Counter()
    for region, papers in case.papers.items():
        for gone in (papers.redeemed, papers.taken):
            for (account, category), units in gone.items():
                used[region, account, category] += units
        for a in papers.authorisations:
            if a.holder == region and a.id in papers.holders:
                used[region, papers.holders[a.id], a.category] += a.captured
    return used


def conservation(case: Case) -> Check:
    """Awarded + arrived = held by residents + left + used + expired, to the unit; what arrived is what left, at the
    rate each transfer pinned when it left. What was awarded is read from the file, not from the region."""

    def look() -> Iterator[str | None]:
        moved: Counter[tuple[int, str]] = Counter()
        for award in case.data.awards:
            moved[award.region, award.category] += award.amount
        for (region, _, category), units in _used(case).items():
            moved[region, category] -= units
        for t in case.outgoing.values():
            if t.state == State.POSTED:
                blocks, rest = divmod(t.amount, t.rate_q)
                yield unless(rest == 0 and t.arriving == blocks * t.rate_p, f"{t.id.hex()} is not at its rate")
                moved[t.source, t.category] -= t.amount
                moved[t.destination, t.becomes] += blocks * t.rate_p
        for region, books in case.books.items():
            worth: Counter[str] = Counter()
            for balance in books.balances:
                worth[balance.category] += balance.worth * balance.resident
            for (_, category), units in books.expired.items():
                worth[category] += units
            for category, units in worth.items():
                expected = moved[region, category]
                yield unless(units == expected, f"{region} {category}: {units} units instead of {expected}")

    zh, en = "每类积分按约定比率逐单位守恒", "points are conserved to the unit, per category, at pinned rates"
    return check("conservation_per_category_at_pinned_rates", zh, en, look())


def balances_follow(case: Case) -> Check:
    """Each resident has what was awarded, less what left and what was used, plus what arrived."""

    def look() -> Iterator[str | None]:
        expected: Counter[tuple[int, str, str]] = Counter()
        for award in case.data.awards:
            expected[award.region, award.account, award.category] += award.amount
        expected.subtract(_used(case))
        for t in case.outgoing.values():
            if t.state == State.POSTED:
                expected[t.source, t.account, t.category] -= t.amount
        for t in case.incoming.values():
            if t.state == State.ACCEPTED:
                expected[t.destination, t.account, t.becomes] += t.arriving
        for region, books in case.books.items():
            for b in (b for b in books.balances if b.resident):
                want = expected.pop((region, b.account, b.category), 0) - books.expired.get((b.account, b.category), 0)
                yield unless(b.worth == want, f"{region} {b.account} {b.category}: {b.worth} instead of {want}")
        for (region, account, category), units in expected.items():
            yield unless(units == 0, f"{region} {account} {category}: nothing instead of {units}")

    zh, en = "每位居民的余额与所载发放、转出、转入相符", "every resident's balance follows from awards and transfers"
    return check("every_balance_follows_from_awards_and_transfers", zh, en, look())


def nothing_negative(case: Case) -> Check:
    """No counter, no resident and no lot is below zero."""

    def look() -> Iterator[str | None]:
        for region, books in case.books.items():
            for b in books.balances:
                available = b.credits_posted - b.debits_posted - b.debits_pending
                counters = (b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted, b.smallest_lot)
                fine = min(counters) >= 0 and (available >= 0 or not b.resident)
                yield unless(fine, f"{region} {b.account} {b.category} is below zero")

    return check("nothing_negative", "没有负数", "nothing is negative", look())


def no_hold(case: Case) -> Check:
    """Every transfer is decided, on both sides."""
    ends = {State.POSTED, State.VOIDED, State.ACCEPTED, State.REFUSED}

    def look() -> Iterator[str | None]:
        for region, books in case.books.items():
            for t in books.transfers:
                yield unless(t.state in ends, f"{region}: {t.id.hex()} is {State(t.state).name}")

    return check("no_hold_unresolved", "没有悬而未决的转移", "no hold is unresolved", look())


def in_transit(case: Case) -> Check:
    """Nothing is pending in any account: neither on its way to a region nor provisional with a resident."""

    def look() -> Iterator[str | None]:
        for region, books in case.books.items():
            for b in books.balances:
                pending = b.debits_pending + b.credits_pending
                yield unless(pending == 0, f"{region} {b.account} {b.category}: {pending} units pending")

    return check("nothing_in_transit", "在途为零", "nothing is in transit", look())


def lots(case: Case) -> Check:
    """What remains of a resident's lots is the resident's balance."""

    def look() -> Iterator[str | None]:
        for region, books in case.books.items():
            for b in (b for b in books.balances if b.resident):
                yield unless(b.lots == b.worth, f"{region} {b.account} {b.category}: lots {b.lots}, {b.worth} due")

    return check("lots_equal_balances", "批次余量合计等于余额", "lots add up to balances", look())


CHECKS: tuple[Callable[[Case], Check], ...] = (
    conservation,
    balances_follow,
    nothing_negative,
    no_hold,
    in_transit,
    lots,
)
