"""Four regions and the rules that turn their residents' time into points, and points into other points.

Amounts are whole numbers of the smallest unit, a hundredth of a point, in every region and category. `expires` is
the first date on which a lot is no longer good, so a lot of a calendar year has the next 1 January.

Rules taken from published programmes (none of them is a rule of the four regions themselves):
- time to hours: up to 15 min nothing, up to 45 min half an hour, up to 60 min one hour; whole hours before that
  count in full (志愿山城);
- points per reference hour: 1 (海林, 黄石), 10 (昆山), 0.5 (黄岩);
- at most 2 h per activity (海林) and 1,500 h per account (南京, where the excess is donated; here it is not granted);
- expiry at the end of a calendar year (黄石) or three years after the grant (黄山);
- hours signed in by the participant convert, hours filled in later by an administrator do not (黄石);
- conversion by hours, rounded down, the remainder staying at the source.

Own choices:
- which region follows which rule: 杭州 10 points an hour, 宁波 1, 绍兴 0.5, 嘉兴 1; 杭州 and 绍兴 expire at the end
  of a calendar year, 宁波 and 嘉兴 after three years;
- calendar-year lots of 2026 live through 2031 (杭州) and 2029 (绍兴), so that the demonstration runs for years; the
  few lots of 2025 expired with their own year, as in 黄石;
- culture moves at 19/20 of its hourly value, culture of 宁波 becomes public welfare in 杭州, and culture of 嘉兴 is
  not recognised in 绍兴.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from itertools import permutations
from typing import NamedTuple

YEAR = 2026  # of every grant that is still good
ACTIVITY_CAP = 4  # half hours of one person in one activity
ACCOUNT_CAP = 3_000  # half hours of one account
HAIRCUT = Fraction(19, 20)  # of culture on every crossing
CATEGORIES = ("moral", "public_welfare", "culture")


class Region(NamedTuple):
    """One region: its GB/T 2260 code, the prefix of its accounts, its size and its own rules."""

    code: str
    name: str
    prefix: str
    residents: int
    half_hour: int  # smallest units for half a reference hour
    through: int  # the last year in which lots of YEAR are good; 0: three years from the grant


REGIONS = (
    Region("330100", "杭州", "HZ", 800, 500, 2031),
    Region("330200", "宁波", "NB", 600, 50, 0),
    Region("330600", "绍兴", "SX", 400, 25, 2029),
    Region("330400", "嘉兴", "JX", 300, 50, 0),
)
BY_CODE = {r.code: r for r in REGIONS}
BECOMES = {("330200", "330100", "culture"): "public_welfare"}
NOT_RECOGNISED = ("330400", "330600", "culture")


def half_hours(minutes: int) -> int:
    """Half reference hours for one person's minutes in one activity, cut to the cap of an activity."""
    hours, rest = divmod(minutes, 60)
    steps = 0 if rest <= 15 else 1 if rest <= 45 else 2
    return min(2 * hours + steps, ACTIVITY_CAP)


def within_account(wanted: int, had: int) -> int:
    """Of the wanted half hours, those that an account which already has so many may still be granted."""
    return max(0, min(wanted, ACCOUNT_CAP - had))


def expiry(region: Region, granted: date) -> date:
    """The first day on which a lot is no longer good: by the region's rule, or for past years by 黄石's."""
    if granted.year < YEAR:
        return date(granted.year + 1, 1, 1)
    return date(region.through + 1, 1, 1) if region.through else granted.replace(year=granted.year + 3)


def terms() -> dict[tuple[str, str, str], tuple[str, Fraction]]:
    """For every pair and category that is recognised: what it becomes and how many units arrive for one that leaves."""
    return {
        (a.code, b.code, category): (
            BECOMES.get((a.code, b.code, category), category),
            Fraction(b.half_hour, a.half_hour) * (HAIRCUT if category == "culture" else 1),
        )
        for a, b in permutations(REGIONS, 2)
        for category in CATEGORIES
        if (a.code, b.code, category) != NOT_RECOGNISED
    }
