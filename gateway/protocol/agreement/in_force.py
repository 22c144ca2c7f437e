"""What two regions have agreed as it stands on one business date, laid out to judge by.

Made by :func:`in_force` once a day, or when something new is said, and used many thousand times a second by
:mod:`gateway.protocol.agreement.verdict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from gateway.protocol import limits
from gateway.protocol.agreement.document import Agreement, CapScope, Direction, Feature, Rate
from gateway.protocol.agreement.life import Dealings, State, Version, ending, state_on
from gateway.protocol.transfer import NEVER, Terms
from gateway.protocol.values import Purpose, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One direction of one version, ready to judge by."""

    version: int
    terms: Mapping[str, Terms]
    fresh: int  # the reason why nothing new moves on this date; 0 = it may
    held: int  # the same of what was held before
    on: bool
    features: frozenset[int]
    purposes: frozenset[int]
    person_to_person: bool
    smallest: int
    transfer: int
    resident_day: int
    resident_month: int
    resident_year: int
    resident_ever: int
    pair_day: int
    pair_month: int
    net_debit: int
    cooling_off_hours: int
    relocation_months: int
    consent_required: bool
    identity_required: bool


class InForce:
    """What two regions have agreed, as it stands on one business date."""

    __slots__ = ("agreement", "day", "now", "pinned", "state")

    def __init__(self, agreement: Agreement, state: State, day: int, ways: Iterable[tuple[int, Way, bool]]) -> None:
        self.agreement = agreement  # the version that counts, or counted last
        self.state = state
        self.day = day
        self.now: dict[int, Way] = {}  # by source: of that version
        self.pinned: dict[tuple[int, int], Way] = {}  # by source and version: also of those honoured still
        for source, way, is_now in ways:
            self.pinned.setdefault((source, way.version), way)
            if is_now:
                self.now[source] = way


def in_force(dealings: Dealings, day: int) -> InForce | None:
    """What counts on a business date between two regions; None where they have never agreed on anything.

    Where nothing is in force, the version that was last, or will be first, is there to say what is not mapped at all;
    everything else is refused by it as AGREEMENT_NOT_IN_FORCE.
    """
    agreed = [(version, state_on(dealings, version, day)) for version in dealings.agreed()]
    if not agreed:
        return None
    newest, state = max(agreed, key=lambda found: _standing(*found))
    ways: list[tuple[int, Way, bool]] = []
    # The newest first: a number that two agreements use in turn means the one that counts.
    for version, its_state in sorted(agreed, key=lambda found: _standing(*found), reverse=True):
        fresh, held = _reasons(version, its_state, dealings, day)
        if version is newest or not held:
            for source, destination, direction in version.agreement.directions():
                way = _way(version.agreement, source, destination, direction, fresh, held)
                ways.append((source, way, version is newest))
    return InForce(newest.agreement, state, day, ways)


_RANK = {
    State.IN_FORCE: 4, State.SUSPENDED: 4, State.TERMINATING: 3, State.REPLACED: 2, State.ENDED: 2, State.AGREED: 1,
}  # fmt: skip


def _standing(version: Version, state: State) -> tuple[int, int, int]:
    # Of several that will begin, the first counts as next; of several that are over, the last.
    begins = version.agreement.valid_from
    return _RANK[state], -begins if state is State.AGREED else begins, version.agreement.version


def _reasons(version: Version, state: State, dealings: Dealings, day: int) -> tuple[int, int]:
    """The reasons against what is new and against what was held before, on this date; 0 = none."""
    if state is State.IN_FORCE:
        return 0, 0
    if state is State.SUSPENDED:
        return int(Reason.AGREEMENT_SUSPENDED), int(Reason.AGREEMENT_SUSPENDED)
    not_now = int(Reason.AGREEMENT_NOT_IN_FORCE)
    agreement = version.agreement
    honoured = False
    if state is State.TERMINATING:
        honoured = agreement.valid_from <= day  # the table ends it when the wind-down is over
    elif state is State.REPLACED:
        later = [v.agreement for v in dealings.agreed(agreement.id) if v.agreement.version > agreement.version]
        honoured = day <= add_days(later[0].valid_from, later[0].pinned_days)
        over = ending(dealings, agreement.id)
        honoured = honoured and (over is None or day <= over.until)
    elif state is State.ENDED:
        over = ending(dealings, agreement.id)
        honoured = day <= (over.until if over else add_days(agreement.valid_until, agreement.pinned_days))
    return not_now, 0 if honoured else not_now


def _way(agreement: Agreement, source: int, destination: int, direction: Direction, fresh: int, held: int) -> Way:
    caps = {cap.scope: cap.amount for cap in direction.caps}

    def cap(scope: CapScope) -> int:
        return caps.get(scope, 2 * limits.AMOUNT_MAX)

    return Way(
        version=agreement.version,
        terms={rate.category: _terms(agreement, source, destination, direction, rate) for rate in direction.rates},
        fresh=fresh,
        held=held,
        on=direction.on,
        features=agreement.features,
        # Two have switches of their own and stand in no list.
        purposes=direction.purposes | {int(Purpose.PERSON_TO_PERSON), int(Feature.ROAMING)},
        person_to_person=direction.person_to_person,
        smallest=direction.smallest,
        transfer=cap(CapScope.TRANSFER),
        resident_day=cap(CapScope.RESIDENT_DAY),
        resident_month=cap(CapScope.RESIDENT_MONTH),
        resident_year=cap(CapScope.RESIDENT_YEAR),
        resident_ever=cap(CapScope.RESIDENT_EVER),
        pair_day=cap(CapScope.PAIR_DAY),
        pair_month=cap(CapScope.PAIR_MONTH),
        net_debit=cap(CapScope.NET_DEBIT),
        cooling_off_hours=direction.cooling_off_hours,
        relocation_months=direction.relocation_months,
        consent_required=agreement.consent_required,
        identity_required=agreement.identity_required,
    )


def _terms(agreement: Agreement, source: int, destination: int, direction: Direction, rate: Rate) -> Terms:
    return Terms(
        source=source,
        destination=destination,
        category=rate.category,
        becomes=rate.becomes,
        rate_p=rate.p,
        rate_q=rate.q,
        version=agreement.version,
        min_evidence=direction.min_evidence,
        purposes=direction.purposes,
        review_from=direction.review_from,
        grace_days=direction.grace_days,
        reversal_days=agreement.reversal_days,
        life_days=direction.life_days,
    )


def terms_of(found: InForce, source: int, destination: int, category: str, version: int | None = None) -> Terms | None:
    """The terms under which a category moves; None where it is not mapped. `version`: those an offer was held under,
    None where they are no longer honoured."""
    way = found.now.get(source) if version is None else found.pinned.get((source, version))
    terms = way.terms.get(category) if way is not None else None
    return terms if terms is not None and terms.destination == destination else None


# -- days ------------------------------------------------------------------------------------------------------------


def add_days(day: int, days: int) -> int:
    """A date yyyymmdd, so many days later; NEVER where the calendar ends."""
    try:
        moved = date(day // 10_000, day // 100 % 100, day % 100) + timedelta(days=days)
    except OverflowError:
        return NEVER
    return moved.year * 10_000 + moved.month * 100 + moved.day


def add_months(day: int, months: int) -> int:
    """The same day of the month, so many months later, to compare dates with: 31 January and a month are 20260231,
    which the first of March is the first day not to be before."""
    year, month = divmod(day // 10_000 * 12 + day // 100 % 100 - 1 + months, 12)
    return year * 10_000 + (month + 1) * 100 + day % 100


def arriving_expiry(terms: Terms, expires: int, day: int) -> int:
    """When points expire that arrive on a business date and would have expired on `expires` (0 or NEVER = not).

    As at the source, or where the agreement says so as points granted at the destination that day if that is sooner; in
    either case not before the days of grace are over.
    """
    until = NEVER if expires in (0, NEVER) else expires
    if terms.life_days:
        until = min(until, add_days(day, terms.life_days))
    return until if until == NEVER else max(until, add_days(day, terms.grace_days))
