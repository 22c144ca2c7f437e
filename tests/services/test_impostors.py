"""Envelopes that the wrong region signed, or that are for another: refused by name, and nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import codec, roster
from gateway.protocol.errors import Unauthentic
from gateway.protocol.members import Region
from gateway.protocol.transfer import State
from gateway.protocol.values import Status
from tests.federation import Clock, Pair, TestRegion, found_federation, signing_key
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C, alias_of, ends, read, refused, sent
from tests.services.ledger import address, forge, offer, order, points, resident, rows

# -- who says so ------------------------------------------------------------------------------------------------------


def test_a_wrong_key(regions: Regions) -> None:
    a, b = ends(regions())
    to = alias_of(address(b, "B"))
    refused(b, forge(a, B, [offer(to)], signer=signing_key("somebody else")), Unauthentic, "no valid key")
    refused(b, forge(a, B, [offer(to)], signer=signing_key(B)), Unauthentic, "no valid key")


def test_a_head_signed_as_something_else(regions: Regions) -> None:
    a, b = ends(regions())
    good = forge(a, B, [offer(alias_of(address(b, "B")))])
    as_receipt = a.office.signing_key.sign(codec.RECEIPT, good.head.payload)
    refused(b, replace(good, head=as_receipt), Unauthentic, "was expected")


def with_key(made: Regions, **changes: int) -> tuple[TestRegion, TestRegion]:
    """Regions of which A's key is listed with these times."""

    def change(region: Region) -> Region:
        return (
            replace(region, keys=tuple(replace(key, **changes) for key in region.keys)) if region.code == A else region
        )

    return ends(trusting(made, change))


def trusting(made: Regions, change: Callable[[Region], Region], codes: tuple[int, ...] = (A, B)) -> Pair:
    """Open the channels under the plain roster; from then on B trusts only the changed one."""
    opened = made(codes)
    opened.regions[B].office.roster = replace(
        roster.genesis(found_federation(codes, change)), federation=opened.regions[B].office.roster.federation
    )
    return opened


def test_an_expired_key(regions: Regions) -> None:
    a, b = with_key(regions, not_after_ms=Clock().now_ms - 1)
    refused(b, forge(a, B, [offer(alias_of(address(b, "B")))]), Unauthentic, "no valid key")


def test_a_key_that_is_not_valid_yet(regions: Regions) -> None:
    a, b = with_key(regions, not_before_ms=Clock().now_ms + 1)
    refused(b, forge(a, B, [offer(alias_of(address(b, "B")))]), Unauthentic, "no valid key")


def test_a_revoked_key(regions: Regions) -> None:
    """Whatever date its holder puts on the message."""
    a, b = with_key(regions, revoked_at_ms=Clock().now_ms + 1_000_000)
    to = alias_of(address(b, "B"))
    refused(b, forge(a, B, [offer(to)]), Unauthentic, "no valid key")
    refused(b, forge(a, B, [offer(to)], signed_at_ms=Clock().now_ms - 1000), Unauthentic, "no valid key")


def test_an_unknown_region(regions: Regions) -> None:
    made = regions()
    a, b = ends(made)
    good = forge(a, B, [offer(alias_of(address(b, "B")))])
    before = rows(b)
    with pytest.raises(Unauthentic, match="region 999999 is not in roster version 1"):
        b.hear(999_999, good)
    assert rows(b) == before


def test_a_suspended_region_offers_nothing_new_and_still_answers(regions: Regions) -> None:
    """SPEC 8: new offers are refused by name; what was under way ends."""
    made = regions()
    a, b = ends(made)
    resident(b, "B", 50)
    to_a, to_b = address(a, "A"), address(b, "B")
    under_way = b.one(order(to_a, 20, account="B"))
    suspended = replace(
        b.office.roster,
        regions=tuple(replace(r, status=Status.SUSPENDED) if r.code == A else r for r in b.office.roster.regions),
    )
    b.office.roster = suspended
    placed = a.one(order(to_b, 30))
    made.pump()
    assert points(a, "A") == (120, 0, 0)
    assert points(b, "B") == (30, 0, 0)
    again = a.one(replace(order(to_b, 30), key=_key_of(a, placed.id)))
    assert (again.state, again.reason) == (State.VOIDED, 21)
    assert b.one(replace(order(to_a, 20, account="B"), key=_key_of(b, under_way.id))).state is State.POSTED


def _key_of(region: TestRegion, id_: str) -> str:
    return next(row[7] for row in rows(region, "transfer")["transfer"] if row[1].hex() == id_)


# -- for whom ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"destination": C},
        {"source": C},
        {"source": B, "destination": A},
        {"generation": 2},
        {"environment": "production"},
        {"federation": bytes(32)},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_a_head_for_another_log(regions: Regions, changes: dict[str, Any]) -> None:
    made = regions((A, B, C))
    a, b = ends(made)
    log = a.office.log_to(B)._replace(**changes)
    refused(b, forge(a, B, [offer(alias_of(address(b, "B")))], log=log), Unauthentic, "signed for")


def test_an_envelope_for_a_third_region(regions: Regions) -> None:
    made = regions((A, B, C))
    a, b = ends(made)
    message = sent(a, address(b, "B"), 5)
    c = made.regions[C]
    before = rows(c)
    with pytest.raises(Unauthentic, match="signed for the log 330100->330200"):
        c.hear(A, read(message))
    assert rows(c) == before
