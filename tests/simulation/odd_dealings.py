"""What a member may say about dealings that no service would: all of it is refused by name, and moves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.protocol.agreement import life
from gateway.protocol.agreement.document import Notice, NoticeKind
from gateway.protocol.bodies import agreement as agreeing
from gateway.protocol.bodies import attestation as attesting
from gateway.protocol.bodies import clawback as clawing
from gateway.protocol.bodies import dispute as disputing
from gateway.protocol.bodies import roaming
from gateway.protocol.clawback import Clawback, Share
from gateway.protocol.dispute import PAYLOAD_TYPE, Act, Matter, Opening, Step
from gateway.protocol.roaming import About, Authorise
from gateway.protocol.values import Draft, Kind
from tests.federation import CATEGORIES, signing_key
from tests.simulation import forgery
from tests.simulation.region import SimRegion
from tests.simulation.world import World

MORAL = CATEGORIES[0]


def say(world: World, region: SimRegion) -> None:
    """One of these. Not where regions come back from backups: their own log would tell them to do it again."""
    if not world.odd or world.restores:
        return
    peer = world.chance.choice(world.clients[region.code].peers)
    draft = world.chance.choice(ODDITIES)(world, region, peer)
    if draft is not None:
        world.count["odd dealings"] += 1
        world.say(region, f"is made to say {draft.kind!r} to {peer}")
        forgery.say(region, peer, draft)


def _draft(world: World, kind: Kind, content: bytes, *amounts: Any, id_: bytes = b"") -> Draft:
    return Draft(kind, False, id_ or world.chance.randbytes(16), forgery.body(world, content), *amounts)


def _any(world: World, region: SimRegion, sql: str, *parameters: Any) -> Any:
    found = region.rows(sql, *parameters)
    return world.chance.choice(found) if found else None


# -- purchases -------------------------------------------------------------------------------------------------------


def _guessed_code(world: World, region: SimRegion, peer: int) -> Draft:
    body = Authorise(world.chance.randbytes(10), 1, 1, world.chance.choice([0, 1, 2]), world.clock + 60_000, "")
    return _draft(world, Kind.AUTHORISE, roaming.encode_authorise(body, b""), MORAL, 3, MORAL, 3)


def _again(world: World, region: SimRegion, peer: int) -> Draft | None:
    known = _any(world, region, "SELECT id FROM request WHERE mine AND peer = ? ORDER BY id", peer)
    return known and _guessed_code(world, region, peer)._replace(id=known[0])


def _too_much(world: World, region: SimRegion, peer: int) -> Draft | None:
    """Above what was authorised, or of what has ended."""
    found = _any(
        world, region, "SELECT id, category, amount + rate_q, becomes, arriving + rate_p FROM authorisation "
        "WHERE counter = ? AND holder = ? ORDER BY id", region.code, peer
    )  # fmt: skip
    if found is None:
        return None
    return _draft(world, Kind.CAPTURE, roaming.encode_about(Kind.CAPTURE, About(found[0]), b""), *found[1:])


def _nobodys(world: World, region: SimRegion, peer: int) -> Draft:
    kind = world.chance.choice([Kind.RELEASE, Kind.AUTHORISATION_ASK, Kind.CAPTURE])
    amounts = (MORAL, 3, MORAL, 3) if kind is Kind.CAPTURE else ()
    return _draft(world, kind, roaming.encode_about(kind, About(world.chance.randbytes(16)), b""), *amounts)


# -- agreements ------------------------------------------------------------------------------------------------------


def _proposal(world: World, region: SimRegion, peer: int) -> Draft:
    """Back-dated, replayed, of an unknown predecessor, overlapping, profitable, or signed by nobody."""
    dealer, chance = world.dealers[region.code], world.chance
    a, b = sorted((region.code, peer))
    agreed = region.office.agreements.dealings(peer).agreed()
    roster = region.office.roster
    good = replace(
        dealer.bargains.draft(a, b, dealer.today), federation=roster.federation, environment=roster.environment,
        id=chance.randbytes(16),
    )  # fmt: skip
    after = agreed[-1] if agreed else None
    bad = chance.choice(
        [
            replace(good, version=2, predecessor=chance.randbytes(32)), replace(good, valid_from=20200101),
            replace(good, a_to_b=replace(good.a_to_b, on=True, rates=_rated(good.a_to_b.rates, 50))),
            replace(good, federation=b"another"),
            *([replace(after.agreement, valid_from=good.valid_from), good] if after is not None else []),
        ]
    )  # fmt: skip
    key = signing_key("a stranger" if bad is good or chance.random() < 0.3 else region.code)
    return _draft(world, Kind.PROPOSE, agreeing.encode_propose(life.sign(bad, key), b""))


def _rated(rates: Any, p: int) -> Any:
    return tuple(replace(rate, p=p, q=1) for rate in rates)


def _unasked_signature(world: World, region: SimRegion, peer: int) -> Draft | None:
    """A countersignature of what is open, by somebody else; or of nothing."""
    waiting = [v for v in region.office.agreements.dealings(peer).open() if v.proposer == peer]
    if not waiting:
        return None
    signature = life.countersign(waiting[0].signed, signing_key("a stranger"))
    body = forgery.body(world, agreeing.encode_countersign(signature, b""))
    return Draft(Kind.COUNTERSIGN, True, world.chance.randbytes(16), body)


def _notice(world: World, region: SimRegion, peer: int) -> Draft:
    """About an agreement that nobody knows."""
    roster = region.office.roster
    notice = Notice(
        federation=roster.federation, environment=roster.environment, agreement=world.chance.randbytes(16), version=1,
        region=region.code, what=NoticeKind.SUSPEND, effective=world.dealers[region.code].today,
    )  # fmt: skip
    return _draft(
        world, Kind.NOTICE, agreeing.encode_notice_body(life.sign_notice(notice, signing_key(region.code)), b"")
    )


# -- clawbacks, disputes, attestations -------------------------------------------------------------------------------


def _clawback(world: World, region: SimRegion, peer: int) -> Draft:
    """Of what came to nothing, was reversed, is unknown, or of more than there ever was."""
    gone = _any(
        world, region, "SELECT id, 1 FROM transfer WHERE source = ?1 AND destination = ?2 AND state = 3 UNION ALL "
        "SELECT cites, 1 FROM transfer WHERE source = ?2 AND purpose = 5 AND state = 13 UNION ALL "
        "SELECT id, 1000 FROM transfer WHERE source = ?1 AND destination = ?2 AND state = 2", region.code, peer
    )  # fmt: skip
    transfer, blocks = gone or (world.chance.randbytes(16), 1)
    asked = Clawback(transfer, 1, region.code, "虚假活动", world.chance.randbytes(16), (Share(0, blocks),))
    return _draft(world, Kind.CLAWBACK, clawing.encode_clawback(asked, b""))


def _dispute(world: World, region: SimRegion, peer: int) -> Draft:
    """About nothing, or something that is settled."""
    office, id_ = region.office, world.chance.randbytes(16)
    settled = _any(
        world, region, "SELECT id FROM transfer WHERE source = ? AND destination = ? AND state = 3", region.code, peer
    )
    about = settled[0] if settled else world.chance.randbytes(16)
    opening = Opening(int(Matter.TRANSFER), about, region.code, 0, MORAL, 1, peer)
    step = Step(
        federation=office.roster.federation, environment=office.roster.environment, dispute=id_, number=0,
        previous=b"", by=region.code, date=office.today(region.clock()), act=int(Act.OPEN), opening=opening,
    )  # fmt: skip
    signed = signing_key(region.code).sign(PAYLOAD_TYPE, disputing.encode_statement(step))
    return _draft(world, Kind.DISPUTE, disputing.encode_dispute(signed, b""), id_=id_)


def _step(world: World, region: SimRegion, peer: int) -> Draft | None:
    """A ruling on an open dispute, in the name of whoever arbitrates."""
    found = _any(
        world, region, "SELECT id, last, steps FROM dispute WHERE peer = ? AND state BETWEEN 2 AND 6 ORDER BY id", peer
    )
    if found is None:
        return None
    office = region.office
    by = world.chance.choice(world.codes)
    step = Step(
        federation=office.roster.federation, environment=office.roster.environment, dispute=found[0],
        number=found[2], previous=found[1], by=by, date=office.today(region.clock()), act=int(Act.UPHOLD),
    )  # fmt: skip
    signed = signing_key("a stranger").sign(PAYLOAD_TYPE, disputing.encode_statement(step))
    return _draft(world, Kind.DISPUTE_STEP, disputing.encode_step(signed, b""))


def _revocation(world: World, region: SimRegion, peer: int) -> Draft:
    body = attesting.Revoked(world.chance.randbytes(16), 1, b"")
    return _draft(world, Kind.ATTEST_REVOKE, attesting.encode_revoked(body))


ODDITIES: list[Callable[[World, SimRegion, int], Draft | None]] = [
    _guessed_code, _again, _too_much, _too_much, _nobodys, _proposal, _proposal, _unasked_signature, _notice, _clawback,
    _clawback, _dispute, _step, _revocation,
]  # fmt: skip
