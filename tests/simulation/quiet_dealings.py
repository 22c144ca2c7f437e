"""What both sides of a pair must hold alike once everything is quiet: purchases, clawbacks, agreements, disputes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, pairwise, permutations
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.protocol.agreement.document import CapScope, NoticeKind
from gateway.protocol.agreement.life import State as Agreed
from gateway.protocol.clawback import State as Clawing
from gateway.protocol.roaming import State as Roaming
from gateway.protocol.values import Purpose
from node.services.claim import Cause
from tests.federation import CATEGORIES
from tests.simulation import dealt
from tests.simulation.said_dealings import check_said
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.ledgers import LedgerWatch
    from tests.simulation.world import World

ANSWERS = {Clawing.CLAWED_BACK: Clawing.TOLD, Clawing.REFUSED: Clawing.DECLINED}
REFUSED = ("refused",)
_DISPUTE = "id, opened_by, respondent, about_kind, about, whose, category, amount, state, last, steps, settled"


def check_dealings(world: World) -> None:
    """Raises Violation."""
    check_both_sides(world)
    check_attestations(world)
    check_caps(world)
    check_said(world)


def check_both_sides(world: World) -> None:
    """Raises Violation."""
    check_purchases(world)
    check_clawbacks(world)
    check_claims(world)
    check_agreements(world)
    check_disputes(world)
    check_books(world)


def check_purchases(world: World) -> None:
    """Every authorisation ended on both sides alike, and a code paid for one of them."""
    known = {code: {(p.id, p.counter): p for p in dealt.purchases(ledger)} for code, ledger in world.ledgers.items()}
    for code, found in known.items():
        for key, mine in found.items():
            world.count[f"purchase {mine.state.name.lower()}"] += 1
            other = known[mine.counter if mine.holder == code else mine.holder].get(key)
            if other is None:
                if mine.state is not Roaming.REFUSED:
                    raise Violation(f"{code} alone knows the {mine.state.name} purchase {mine.id.hex()}")
            elif mine._replace(balance=None, at_ms=0) != other._replace(balance=None, at_ms=0):
                raise Violation(f"the purchase {mine.id.hex()} is {mine} here and {other} there")


def check_purchases_under_way(world: World) -> None:
    """At every moment: what was captured at a counter has left home, and what ended at home is captured nowhere."""
    known = {code: {(p.id, p.counter): p for p in dealt.purchases(ledger)} for code, ledger in world.ledgers.items()}
    for code, found in known.items():
        for key, at_counter in found.items():
            home = at_counter.holder
            if at_counter.counter != code or _has_forgotten(world, code, home):
                continue
            held = known[home].get(key)
            state = held.state if held is not None else None
            if state not in _FITS[at_counter.state] or (
                held is not None and at_counter.state in dealt.CAPTURED and held.captured != at_counter.captured
            ):
                raise Violation(f"the purchase {key[0].hex()} is {at_counter} at its counter and {held} at home")


_UNDECIDED = (None, Roaming.AUTHORISED)
_FITS: dict[Roaming, Any] = {
    Roaming.REQUESTED: _UNDECIDED, Roaming.AUTHORISED: {Roaming.AUTHORISED}, Roaming.REFUSED: {None},
    Roaming.CAPTURING: {Roaming.AUTHORISED, *dealt.CAPTURED}, Roaming.RELEASING: {Roaming.AUTHORISED, Roaming.RELEASED},
    Roaming.CAPTURED: {Roaming.CAPTURED}, Roaming.PART_CAPTURED: {Roaming.PART_CAPTURED},
    Roaming.RELEASED: {Roaming.RELEASED}, Roaming.ENDED: {Roaming.AUTHORISED, Roaming.ENDED},
}  # fmt: skip
"""State at the counter -> what it can be at home."""


def _has_forgotten(world: World, one: int, other: int) -> bool:
    return world.regions[one].is_behind(other) or world.regions[other].is_behind(one)


def check_clawbacks(world: World) -> None:
    """Every request was answered, and both sides hold the same answer."""
    known = {
        code: {(c.id, c.peer if c.mine else code): c for c in dealt.clawbacks(ledger)}
        for code, ledger in world.ledgers.items()
    }
    for code, found in known.items():
        for key, mine in found.items():
            world.count[f"clawback {mine.state.name.lower()}"] += 1
            other = known[mine.peer].get(key)
            if not mine.mine:
                if other is None:
                    raise Violation(f"{code} was asked for the clawback {mine.id.hex()} by nobody")
                continue
            if other is None:
                if mine.state is not Clawing.REFUSED:
                    raise Violation(f"{code} asked {mine.peer} for {mine.id.hex()}, which is not known there")
            elif _answer(mine) != _answer(other) or ANSWERS.get(mine.state) is not other.state:
                raise Violation(f"the clawback {mine.id.hex()} is {mine} here and {other} there")


def _answer(c: dealt.Taken) -> tuple[int, ...]:
    return c.blocks, c.recovered, c.further, c.owed, c.cause


def check_claims(world: World) -> None:
    """What one region says is owed the other says too, in its own units."""
    causes = (int(Cause.CLAWBACK), int(Cause.REVERSAL), int(Cause.DISPUTE))
    claims: dict[int, set[tuple[Any, ...]]] = {}
    for code, region in world.regions.items():
        rates = {c.id: c.rate for c in dealt.clawbacks(world.ledgers[code])}
        claims[code] = {
            (peer, cause, bytes(id_), amount // rates.get(id_, 1), state, bool(mine))
            for peer, cause, id_, amount, state, mine in region.rows(
                "SELECT peer, cause, id, amount, state, mine FROM claim WHERE cause IN (?, ?, ?)", *causes
            )
        }
    for code, found in claims.items():
        for peer, cause, id_, blocks, state, mine in found:
            world.count["claims"] += 1
            if (code, cause, id_, blocks, state, not mine) not in claims[peer]:
                raise Violation(f"{code} claims {id_.hex()} ({Cause(cause).name}), and {peer} knows no such claim")


def check_agreements(world: World) -> None:
    """Both regions of a pair hold the same versions and notices, in the same state."""
    for a, b in combinations(world.codes, 2):
        mine, theirs = _agreed(world, a, b), _agreed(world, b, a)
        for key in mine.keys() | theirs.keys():
            said = mine.get(key), theirs.get(key)
            world.count[f"{key[0]} {(said[0] or said[1] or ('',))[0]}"] += 1
            if said[0] != said[1] and not (None in said and REFUSED in said):
                raise Violation(f"{a} and {b} do not agree on the {key[0]} {key[2].hex()} of {key[1]}: {said}")


def _agreed(world: World, code: int, peer: int) -> dict[tuple[str, int, bytes], tuple[Any, ...]]:
    """Versions and notices; what was refused at the door the one that refused it does not keep."""
    dealings = world.regions[code].office.agreements.dealings(peer)
    found: dict[tuple[str, int, bytes], tuple[Any, ...]] = {}
    for v in dealings.versions:
        refused = v.state is Agreed.REFUSED
        found["agreement", v.proposer, v.request] = REFUSED if refused else (v.state.name, v.digest)
    for n in dealings.notices:
        said = n.notice
        kept = (NoticeKind(said.what).name, said.effective, said.wind_down_until)
        found["notice", n.by, n.request] = REFUSED if n.refused else kept
    return found


def check_disputes(world: World) -> None:
    """Both parties hold the same steps and came to the same; nobody else holds others."""
    known: dict[int, dict[bytes, Any]] = {}
    for code, region in world.regions.items():
        known[code] = {row[0]: row for row in region.rows(f"SELECT {_DISPUTE} FROM dispute")}
    for code, found in known.items():
        for id_, mine in found.items():
            opened_by, respondent, state = mine[1], mine[2], mine[8]
            world.count[f"dispute {state}"] += code == opened_by
            for party in {opened_by, respondent} - {code}:
                other = known[party].get(id_)
                if other is None and state != 15:
                    raise Violation(f"{code} holds the dispute {id_.hex()}, which {party} does not know")
                if other is not None and code in (opened_by, respondent) and other != mine and state != 15:
                    raise Violation(f"the dispute {id_.hex()} is {mine} here and {other} there")
                if other is not None and not _is_part(_chain(world, code, id_), _chain(world, party, id_)):
                    raise Violation(f"{code} holds other steps of the dispute {id_.hex()} than {party}")


def _chain(world: World, code: int, dispute: bytes) -> list[bytes]:
    rows = world.regions[code].rows("SELECT signed FROM dispute_step WHERE dispute = ? ORDER BY no", dispute)
    return [signed for (signed,) in rows]


def _is_part(one: list[bytes], other: list[bytes]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def check_attestations(world: World) -> None:
    """What a region recognises was attested, and is not revoked where it was given."""
    fits = {1: (12,), 2: (12, 15), 3: (12, 15)}
    for code, peer in permutations(world.codes, 2):
        given = dict(world.regions[peer].rows("SELECT id, state FROM attestation WHERE mine AND peer = ?", code))
        for id_, state in world.regions[code].rows(
            "SELECT id, state FROM attestation WHERE NOT mine AND peer = ?", peer
        ):
            world.count[f"attestation {state}"] += 1
            if state in (12, 15) and (id_ not in given or state not in fits[given[id_]]):
                raise Violation(f"{code} holds the attestation {id_.hex()} as {state}, {peer} as {given.get(id_)}")
            if given.get(id_) == 3 and state == 12:
                raise Violation(f"{code} recognises {id_.hex()}, which {peer} has taken back")


def check_books(world: World) -> None:
    """What was deducted and what was taken back stands in the books made for it."""
    for code, ledger in world.ledgers.items():
        due: Counter[tuple[str, str]] = Counter()
        for category, taken in ledger.region.rows(
            "SELECT c.code, p.taken FROM penalty p JOIN category c ON c.no = p.category"
        ):
            due["#penalty", category] += taken
            world.count["deducted"] += taken > 0
        for category, amount in ledger.region.rows(
            "SELECT c.code, d.amount FROM clawback_debit d JOIN balance b ON b.no = d.balance "
            "JOIN category c ON c.no = b.category"
        ):
            due["#clawback", category] += amount
        for c in dealt.clawbacks(ledger):
            due["#clawback", c.category] += c.returned if c.mine else -c.returned
        for book in ("#penalty", "#clawback"):
            for category in CATEGORIES:
                if ledger.total(book, category) != due[book, category]:
                    stands = ledger.total(book, category)
                    raise Violation(f"{code}: {book} of {category} is {stands}, not {due[book, category]}")


# -- caps ------------------------------------------------------------------------------------------------------------


class Sent(NamedTuple):
    """What was accepted of one transfer, or captured of one purchase."""

    category: str
    amount: int
    day: int
    balance: int
    relocates: bool


def check_caps(world: World) -> None:
    """What was accepted keeps every cap. Of pairs that began with an agreement, and regions that forgot nothing."""
    bargains = next(iter(world.dealers.values())).bargains
    for source, destination in permutations(world.codes, 2):
        ledger = world.ledgers[source]
        if ledger.restored or (min(source, destination), max(source, destination)) not in bargains.signed_first:
            continue
        sent = list(_sent(ledger, destination))
        came = Counter[str]()
        for category, amount in ledger.region.rows(_CAME, destination):
            came[category] += amount
        for cap in bargains.caps[source, destination]:
            sums: Counter[Any] = Counter()
            for each in sent:
                sums[_counted_by(cap.scope, each, len(sums))] += each.amount
            for key, total in sums.items():
                total -= came[key[0]] if cap.scope == CapScope.NET_DEBIT else 0
                if total > cap.amount:
                    raise Violation(f"{source} sent {total} to {destination} against {cap}")
        if bargains.months[source, destination]:
            moved = sorted((each.balance, each.day) for each in sent if each.relocates)
            for (one, day), (other, later) in pairwise(moved):
                if one == other and later < day + 10_000:
                    raise Violation(f"a resident of {source} relocated to {destination} on {day} and on {later}")


def _counted_by(scope: int, each: Sent, number: int) -> tuple[Any, ...]:
    """With what else it counts."""
    return {
        CapScope.TRANSFER: (each.category, number), CapScope.RESIDENT_DAY: (each.category, each.balance, each.day),
        CapScope.RESIDENT_MONTH: (each.category, each.balance, each.day // 100),
        CapScope.RESIDENT_EVER: (each.category, each.balance), CapScope.PAIR_DAY: (each.category, each.day),
        CapScope.PAIR_MONTH: (each.category, each.day // 100), CapScope.NET_DEBIT: (each.category,),
    }[CapScope(scope)]  # fmt: skip


# What came the other way, in categories of this region; what takes a transfer back counts as well.
_CAME = """
SELECT becomes, arriving FROM transfer WHERE source = ?1 AND state = 13
UNION ALL SELECT becomes, captured / rate_q * rate_p FROM authorisation WHERE holder = ?1 AND state IN (11, 12)
"""


def _sent(ledger: LedgerWatch, destination: int) -> Iterator[Sent]:
    today = ledger.region.office.today
    for category, amount, at_ms, balance, purpose in ledger.region.rows(
        "SELECT category, amount, at_ms, balance, purpose FROM transfer "
        "WHERE source = ? AND destination = ? AND state = 2 AND purpose <> 5", ledger.region.code, destination
    ):  # fmt: skip
        yield Sent(category, amount, today(at_ms), balance, purpose == Purpose.RELOCATION)
    for p in dealt.purchases(ledger):
        if p.counter == destination and p.spent[0]:
            yield Sent(p.category, p.spent[0], today(p.at_ms), p.balance or 0, False)
