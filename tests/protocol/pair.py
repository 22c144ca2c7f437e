"""Two regions that agree, for tests: documents, what both said, and what is in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from gateway.protocol.agreement.document import Agreement, Cap, CapScope, Category, Direction, Notice, NoticeKind, Rate
from gateway.protocol.agreement.life import Dealings, Said, countersign, digest_of, hear, sign, sign_notice
from gateway.protocol.suite import VerifyKey
from gateway.protocol.values import Kind, Signed
from tests.protocol.federation import HANGZHOU, NINGBO, key

FEDERATION, ENVIRONMENT = sha256(b"federation").digest(), "test"
FIRST_DAY, LAST_DAY = 20260101, 20261231


def keys(region: int) -> Iterable[VerifyKey]:
    """The one key of each region."""
    return [key(str(region)).verify_key]


def direction(*rates: Rate, **changes: Any) -> Direction:
    """Points of either category become points, 1/10 unless said otherwise."""
    given = rates or (Rate(category="moral", becomes="moral", p=1, q=10, derived=False),)
    return replace(Direction(rates=given), **changes)


def document(**changes: Any) -> Agreement:
    """An agreement that keeps every rule: 10 points there are 1 here, and back."""
    made = Agreement(
        federation=FEDERATION,
        environment=ENVIRONMENT,
        id=bytes(16),
        region_a=HANGZHOU,
        region_b=NINGBO,
        valid_from=FIRST_DAY,
        valid_until=LAST_DAY,
        categories_a=(Category(code="moral", points=10, hours=1), Category(code="culture")),
        categories_b=(Category(code="moral", points=1, hours=1), Category(code="culture")),
        a_to_b=direction(),
        b_to_a=direction(Rate(category="moral", becomes="moral", p=10, q=1, derived=False)),
    )
    return replace(made, **changes)


def amended(before: Agreement, **changes: Any) -> Agreement:
    """The version after it, a month later."""
    given = {"version": before.version + 1, "predecessor": digest_of(sign(before, key(str(HANGZHOU))))}
    return replace(before, **{**given, "valid_from": before.valid_from + 100, **changes})  # type: ignore[arg-type]


def caps(**amounts: int) -> tuple[Cap, ...]:
    """Caps by the names of their scopes."""
    return tuple(Cap(scope=CapScope[name.upper()], amount=amount) for name, amount in amounts.items())


def request(name: str) -> bytes:
    """The id of that name."""
    return sha256(name.encode()).digest()[:16]


def proposed(agreement: Agreement, by: int = HANGZHOU, name: str = "") -> Said:
    """A version signed by one region."""
    signed = sign(agreement, key(str(by)))
    return Said(Kind.PROPOSE, by, request(name or f"{agreement.id.hex()} {agreement.version} {by}"), signed)


def countersigned(proposal: Said) -> Said:
    """The answer that makes it agreed."""
    assert isinstance(proposal.paper, Signed)
    other = NINGBO if proposal.by == HANGZHOU else HANGZHOU
    return Said(Kind.COUNTERSIGN, other, proposal.id, countersign(proposal.paper, key(str(other))))


def both(agreement: Agreement, by: int = HANGZHOU) -> list[Said]:
    """Proposed and countersigned."""
    proposal = proposed(agreement, by)
    return [proposal, countersigned(proposal)]


def noted(what: NoticeKind, by: int, effective: int, until: int = 0, **changes: Any) -> Said:
    """A notice about the agreement, signed by who says it."""
    return Said(Kind.NOTICE, by, request(f"{what} {by} {effective}"), sign_notice(
        notice(what, by, effective, until, **changes), key(str(by))
    ))  # fmt: skip


def notice(what: NoticeKind, by: int, effective: int, until: int = 0, **changes: Any) -> Notice:
    """The same, unsigned."""
    made = Notice(
        federation=FEDERATION, environment=ENVIRONMENT, agreement=bytes(16), version=1, region=by, what=what,
        effective=effective, wind_down_until=until,
    )  # fmt: skip
    return replace(made, **changes)


def dealings(said: Sequence[Said]) -> Dealings:
    """What is known after these messages."""
    known = Dealings()
    for one in said:
        known = hear(known, one, keys)
    return known
