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
from itertools import combinations, permutations
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
REVIEW_FROM = {("330100", "330600"): 900}  # units that arrive; more than any of the 5,000 transfers brings
FEWER_STARS = ("330400", "330100")
STARS = [{"there": n, "here": n - 1} for n in (3, 4, 5)]  # so many stars there, one less here


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


def agreements() -> list[dict[str, object]]:
    """What every pair of regions is to agree on, as the region with the lower code proposes it over the HTTP API.

    Rates follow from what both publish, those of culture are agreed by hand. The two other regions mediate and decide.
    """
    found: list[dict[str, object]] = []
    for a, b in combinations(sorted(REGIONS), 2):
        mediator, arbitrator = (int(r.code) for r in REGIONS if r not in (a, b))
        drawn_up = {
            "ours": published(a),
            "theirs": published(b),
            "out": direction(a, b),
            "into": direction(b, a),
            "legal_basis": "互认演示",
            "mediator": mediator,
            "arbitrator": arbitrator,
        }
        found.append({"proposer": int(a.code), "peer": int(b.code), "terms": drawn_up})
    return found


def published(region: Region) -> list[dict[str, object]]:
    """Smallest units that a region gives for one reference hour, in each of its categories."""
    return [{"code": category, "points": 2 * region.half_hour, "hours": 1} for category in CATEGORIES]


def direction(a: Region, b: Region) -> dict[str, object]:
    """What may go from one region to another. Caps leave room for everything the demonstration does."""
    rates: list[dict[str, object]] = []
    for (source, destination, category), (becomes, rate) in terms().items():
        if (source, destination) == (a.code, b.code):
            by_hand = {"rate": f"{rate.numerator}/{rate.denominator}"} if category == "culture" else {}
            rates.append({"category": category, "becomes": becomes, **by_hand})
    hour = 2 * a.half_hour
    stars = STARS if (a.code, b.code) == FEWER_STARS else []
    return {
        "rates": rates,
        "caps": {"transfer": 100 * hour, "resident_day": 200 * hour, "pair_day": 100_000 * hour},
        "review_from": REVIEW_FROM.get((a.code, b.code), 0),
        "honoured": [{"kind": "service_hours"}, {"kind": "star_level", "values": stars}],
    }
