"""What makes an agreement one that can be signed: the rules of a document, of its place among others, and of notices.

A region checks before it proposes, and again before it countersigns; a person decides only about what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from math import gcd
from typing import NamedTuple

from gateway.protocol import limits
from gateway.protocol.agreement import rates
from gateway.protocol.agreement.document import (
    Agreement,
    CapScope,
    Category,
    Direction,
    ExpiryRule,
    Feature,
    Notice,
    NoticeKind,
)
from gateway.protocol.agreement.life import Dealings, State, Version, ending, state_on, suspended_by
from gateway.protocol.errors import Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.transfer import NEVER
from gateway.protocol.values import Evidence, Purpose, Reason

FACT_KINDS = range(1, 6)
"""What can be attested: FactKind of attestation.proto."""

_PURPOSES = frozenset(Purpose) - {Purpose.REVERSAL, Purpose.PERSON_TO_PERSON}
_REGIONS = range(110000, 1000000)


class Fault(NamedTuple):
    """A rule that a document breaks, by its name, and where."""

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


def check(agreement: Agreement, federation: bytes, environment: str) -> None:
    """Raise Refused(DOCUMENT_INVALID), naming the first rule that the document breaks by itself."""
    for fault in faults(agreement, federation, environment):
        raise Refused(Reason.DOCUMENT_INVALID, str(fault))


def faults(agreement: Agreement, federation: bytes, environment: str) -> Iterator[Fault]:
    """Every rule that the document breaks by itself."""
    if (agreement.federation, agreement.environment) != (federation, environment):
        yield Fault("OTHER_FEDERATION", f"it is for {agreement.federation.hex()} ({agreement.environment})")
    yield from _faults_of_whole(agreement)
    for region, listed in ((agreement.region_a, agreement.categories_a), (agreement.region_b, agreement.categories_b)):
        yield from _faults_of_categories(region, listed)
    for source, destination, direction in agreement.directions():
        way = f"{source} to {destination}"
        yield from _faults_of_rates(way, direction, agreement.categories(source), agreement.categories(destination))
        yield from _faults_of_direction(way, direction)


def _faults_of_whole(agreement: Agreement) -> Iterator[Fault]:
    if not (agreement.region_a in _REGIONS and agreement.region_b in _REGIONS):
        yield Fault("REGION_NO_CODE", "a region is named by six digits")
    if agreement.region_a >= agreement.region_b:
        yield Fault("REGIONS_NOT_ORDERED", f"{agreement.region_a} is not below {agreement.region_b}")
    if agreement.version < 1:
        yield Fault("VERSION_NOT_POSITIVE", "the first version is 1")
    if len(agreement.predecessor) != (32 if agreement.version > 1 else 0):
        yield Fault("PREDECESSOR_LENGTH", "version 1 names no predecessor, every later one 32 bytes")
    if not _is_date(agreement.valid_from) or (agreement.valid_until and not _is_date(agreement.valid_until)):
        yield Fault("NO_DATE", "a date is yyyymmdd")
    if agreement.valid_until and agreement.valid_until < agreement.valid_from:
        yield Fault("ENDS_BEFORE_IT_BEGINS", f"from {agreement.valid_from} until {agreement.valid_until}")
    for feature in sorted(agreement.features - frozenset(Feature)):
        yield Fault("UNKNOWN_FEATURE", f"number {feature}")
    for name, code in (("mediator", agreement.mediator), ("arbitrator", agreement.arbitrator)):
        if code and (code not in _REGIONS or code in agreement.regions):
            yield Fault("NOT_A_THIRD_REGION", f"the {name} is {code}")
    if agreement.consent_required and not agreement.consent_basis:
        yield Fault("NO_CONSENT_BASIS", "consent is asked for and no legal basis is named")
    keys = (agreement.pseudonym_key_a, agreement.pseudonym_key_b)
    if any(len(key) not in (0, 32) for key in keys) or (agreement.identity_required and not all(keys)):
        yield Fault("NO_PSEUDONYM_KEYS", "each region names a key of 32 bytes where identities are compared")
    if any(keys) and keys[0] == keys[1]:
        yield Fault("PSEUDONYM_KEYS_EQUAL", "each region has a key of its own")
    if "\0" in agreement.legal_basis + agreement.consent_basis:
        yield Fault("ZERO_CHARACTER", "a text has no zero character")
    if mentions_number(agreement.legal_basis) or mentions_number(agreement.consent_basis):
        yield Fault("IDENTITY_NUMBER", "a text names nobody by a number")


def _faults_of_categories(region: int, listed: tuple[Category, ...]) -> Iterator[Fault]:
    codes = [category.code for category in listed]
    for code in sorted({code for code in codes if codes.count(code) > 1}):
        yield Fault("CATEGORY_TWICE", f"{region} lists {code!r} twice")
    for category in listed:
        if not category.code.strip() or "\0" in category.code or len(category.code) > limits.CATEGORY_CHARACTERS:
            yield Fault("CATEGORY_NO_CODE", f"{region} lists {category.code!r}")
        if (category.points > 0) != (category.hours > 0) or min(category.points, category.hours) < 0:
            yield Fault("NOT_PUBLISHED_WHOLE", f"{region} {category.code!r}: {category.points} for {category.hours} h")


def _faults_of_rates(
    way: str, direction: Direction, gives: tuple[Category, ...], takes: tuple[Category, ...]
) -> Iterator[Fault]:
    if not 0 <= direction.haircut < rates.HAIRCUT_WHOLE:
        yield Fault("HAIRCUT_OUT_OF_RANGE", f"{way}: {direction.haircut} of {rates.HAIRCUT_WHOLE}")
    sources, destinations = ({category.code: category for category in listed} for listed in (gives, takes))
    mapped = [rate.category for rate in direction.rates]
    for code in sorted({code for code in mapped if mapped.count(code) > 1}):
        yield Fault("MAPPED_TWICE", f"{way}: {code!r}")
    for rate in direction.rates:
        where = f"{way}: {rate.category!r} {rate.p}/{rate.q}"
        if rate.category not in sources or rate.becomes not in destinations:
            yield Fault("CATEGORY_NOT_LISTED", f"{where} becomes {rate.becomes!r}")
        elif rate.p == 0 or rate.q == 0:
            yield Fault("RATE_ZERO", where)
        elif rate.p < 0 or rate.q < 0:
            yield Fault("RATE_NEGATIVE", where)
        elif rate.p > limits.RATE_MAX or rate.q > limits.RATE_MAX:
            yield Fault("RATE_OVERFLOWS", f"{where}, at most {limits.RATE_MAX}")
        elif gcd(rate.p, rate.q) != 1:
            yield Fault("RATE_NOT_LOWEST", where)
        elif rate.derived:
            derived = rates.derive(sources[rate.category], destinations[rate.becomes], direction.haircut)
            if derived != (rate.p, rate.q):
                said = "nothing" if derived is None else f"{derived[0]}/{derived[1]}"
                yield Fault("RATE_NOT_DERIVED", f"{where}; what is published makes {said}")


def _faults_of_direction(way: str, direction: Direction) -> Iterator[Fault]:
    if direction.on and not direction.rates:
        yield Fault("NOTHING_MAPPED", way)
    scopes = [cap.scope for cap in direction.caps]
    for scope in sorted(set(scopes)):
        if scope not in frozenset(CapScope):
            yield Fault("UNKNOWN_CAP", f"{way}: number {scope}")
        elif scopes.count(scope) > 1:
            yield Fault("CAP_TWICE", f"{way}: {CapScope(scope).name}")
    amounts = (*(cap.amount for cap in direction.caps), direction.smallest, direction.review_from)
    if not all(0 <= amount <= limits.AMOUNT_MAX for amount in amounts):
        yield Fault("AMOUNT_OUT_OF_RANGE", f"{way}: an amount is 0 to 2^63-1")
    if direction.min_evidence not in frozenset(Evidence):
        yield Fault("UNKNOWN_EVIDENCE", f"{way}: number {direction.min_evidence}")
    for purpose in sorted(direction.purposes - _PURPOSES):
        yield Fault("UNKNOWN_PURPOSE", f"{way}: number {purpose}")
    if direction.expiry not in frozenset(ExpiryRule):
        yield Fault("UNKNOWN_EXPIRY_RULE", f"{way}: number {direction.expiry}")
    if (direction.life_days > 0) != (direction.expiry == ExpiryRule.SHORTER):
        yield Fault("LIFE_DAYS", f"{way}: days of life are named where the shorter expiry counts, and only there")
    kinds = [honoured.kind for honoured in direction.honoured]
    for kind in sorted(set(kinds)):
        if kind not in FACT_KINDS:
            yield Fault("UNKNOWN_FACT_KIND", f"{way}: number {kind}")
        elif kinds.count(kind) > 1:
            yield Fault("HONOURED_TWICE", f"{way}: kind {kind}")
    for honoured in direction.honoured:
        there = [value for value, _ in honoured.values]
        if len(set(there)) != len(there):
            yield Fault("WORTH_TWICE", f"{way}: kind {honoured.kind}")


def _is_date(number: int) -> bool:
    try:
        date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return False
    return number >= 10_000_000


# -- its place among others ------------------------------------------------------------------------------------------


def check_next(
    agreement: Agreement,
    digest: bytes,
    dealings: Dealings,
    today: int,
    *,
    known: Iterable[Agreement] = (),
    request: bytes | None = None,
) -> None:
    """Whether a version can follow what two regions have agreed so far.

    `known`: agreements in force elsewhere whose terms are public. `request`: that of the proposal which is judged, so
    that it does not stand in its own way. Raises Refused, the lowest number first: DOCUMENT_INVALID where it is
    back-dated, PREDECESSOR_UNKNOWN, AGREEMENT_OVERLAPS, PROFITABLE_CYCLE with the cycle.
    """
    before = dealings.agreed(agreement.id)
    newest = before[-1] if before else None
    if agreement.valid_from < today:
        raise Refused(Reason.DOCUMENT_INVALID, f"BACK_DATED: from {agreement.valid_from}, and today is {today}")
    if newest is not None and agreement.valid_from < newest.agreement.valid_from and newest.digest != digest:
        when = f"from {agreement.valid_from}, the version before from {newest.agreement.valid_from}"
        raise Refused(Reason.DOCUMENT_INVALID, f"BACK_DATED: {when}")
    if newest is not None and newest.agreement.regions != agreement.regions:
        raise Refused(Reason.DOCUMENT_INVALID, "OTHER_REGIONS: an amendment is between the same two")
    _check_predecessor(agreement, dealings, newest, today)
    waiting = next((v for v in dealings.open() if v.request != request), None)
    if waiting is not None:
        raise Refused(Reason.AGREEMENT_OVERLAPS, "another proposal between the two waits for its answer")
    for other in dealings.agreed():
        if other.agreement.id != agreement.id and _overlap(agreement, other, dealings):
            raise Refused(Reason.AGREEMENT_OVERLAPS, f"agreement {other.agreement.id.hex()} covers these dates")
    cycle = rates.cycle_with(agreement, known)
    if cycle is not None:
        raise Refused(Reason.PROFITABLE_CYCLE, str(cycle))


def _check_predecessor(agreement: Agreement, dealings: Dealings, newest: Version | None, today: int) -> None:
    if newest is None:
        if agreement.version != 1:
            raise Refused(Reason.PREDECESSOR_UNKNOWN, f"no version before {agreement.version} was agreed here")
        return
    if agreement.version != newest.agreement.version + 1 or agreement.predecessor != newest.digest:
        raise Refused(
            Reason.PREDECESSOR_UNKNOWN,
            f"it follows {agreement.predecessor.hex() or 'nothing'} as version {agreement.version}; "
            f"the newest that was agreed is version {newest.agreement.version}, {newest.digest.hex()}",
        )
    if ending(dealings, agreement.id) or state_on(dealings, newest, today) is State.ENDED:
        raise Refused(Reason.PREDECESSOR_UNKNOWN, "the agreement has ended: agree on a new one")


def _overlap(agreement: Agreement, other: Version, dealings: Dealings) -> bool:
    """Whether some day would be covered by both. What is terminated covers nothing from that day on."""
    over = ending(dealings, other.agreement.id)
    until = other.agreement.valid_until or NEVER
    if over is not None:
        until = min(until, over.effective - 1)
    later = dealings.agreed(other.agreement.id)[-1].agreement
    if later.version != other.agreement.version:
        until = min(until, later.valid_from - 1)
    return agreement.valid_from <= until and other.agreement.valid_from <= (agreement.valid_until or NEVER)


def check_notice(notice: Notice, dealings: Dealings, federation: bytes, environment: str, today: int = 0) -> None:
    """Whether one region can say this.

    `today`: its business date where it is about to be said; 0 where it was said and is heard, however much later: what
    the other side says of its own will counts although it is late, and although both end it at once. Raises Refused:
    WRONG_STATE where it changes nothing or comes after the same region's end, DOCUMENT_INVALID, PREDECESSOR_UNKNOWN for
    what was never agreed.
    """
    mine = [n.notice for n in dealings.notices if n.by == notice.region and n.notice.agreement == notice.agreement]
    if any(said.what == NoticeKind.TERMINATE for said in mine):
        raise Refused(Reason.WRONG_STATE, "this region has terminated it already")
    for name, detail in _faults_of_notice(notice, federation, environment, today):
        raise Refused(Reason.DOCUMENT_INVALID, f"{name}: {detail}")
    agreed = dealings.agreed(notice.agreement)
    if not agreed or notice.version not in [v.agreement.version for v in agreed]:
        raise Refused(Reason.PREDECESSOR_UNKNOWN, "no such version was agreed here")
    if notice.region not in agreed[-1].agreement.regions:
        raise Refused(Reason.DOCUMENT_INVALID, "OTHER_REGIONS: it is not this region's agreement")
    if today and state_on(dealings, agreed[-1], today) is State.ENDED:
        raise Refused(Reason.WRONG_STATE, "the agreement has ended")
    suspended = notice.region in suspended_by(dealings, notice.agreement, NEVER)
    if notice.what == (NoticeKind.SUSPEND if suspended else NoticeKind.RESUME):
        raise Refused(Reason.WRONG_STATE, "it is suspended already" if suspended else "this region did not suspend it")


def _faults_of_notice(notice: Notice, federation: bytes, environment: str, today: int) -> Iterator[Fault]:
    if (notice.federation, notice.environment) != (federation, environment):
        yield Fault("OTHER_FEDERATION", f"it is for {notice.federation.hex()} ({notice.environment})")
    if notice.what not in frozenset(NoticeKind) or "\0" in notice.because:
        yield Fault("UNKNOWN_NOTICE", "suspend, resume or terminate, and why")
    if mentions_number(notice.because):
        yield Fault("IDENTITY_NUMBER", "a text names nobody by a number")
    if not _is_date(notice.effective) or (notice.wind_down_until and not _is_date(notice.wind_down_until)):
        yield Fault("NO_DATE", "a date is yyyymmdd")
    if today and notice.effective < today:
        yield Fault("BACK_DATED", f"from {notice.effective}, and today is {today}")
    winds_down = notice.what == NoticeKind.TERMINATE
    if winds_down != (notice.wind_down_until > 0) or (winds_down and notice.wind_down_until < notice.effective):
        yield Fault("WIND_DOWN", "a termination names its last day, nothing else does")


__all__ = ["Fault", "check", "check_next", "check_notice", "faults"]
