"""Promises about what else regions deal with: purchases away from home, clawbacks, claims, attestations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from gateway.protocol import roaming
from gateway.protocol.attestation import State as Standing
from gateway.protocol.bodies.attestation import FactKind
from gateway.protocol.transfer import State
from node.cli.demo.case import Case, Check, check, unless
from node.cli.demo.cast import (
    ACTIVITY,
    HANGZHOU,
    JIAXING,
    MINUTES,
    STARS,
    WORTH,
    Trip,
)  # fmt: skip
from node.cli.demo.papers import Authorisation

_ENDS = {roaming.State.CAPTURED, roaming.State.PART_CAPTURED, roaming.State.RELEASED, roaming.State.ENDED}
_OPEN = 1


def requests(case: Case) -> Check:
    """What one asked and the other was asked is the same, and answered with the same."""

    def look() -> Iterator[str | None]:
        asked = {(n, r.peer, r.id): r[3:] for n, p in case.papers.items() for r in p.requests if r.mine}
        heard = {(r.peer, n, r.id): r[3:] for n, p in case.papers.items() for r in p.requests if not r.mine}
        for key in asked.keys() | heard.keys():
            one, other = asked.get(key), heard.get(key)
            yield unless(one == other and one is not None and one[1] != _OPEN, f"{key[2].hex()}: {one} but {other}")

    zh, en = "每项请求两边所记相同，且都已答复", "every request stands the same on both sides, answered"
    return check("every_request_answered_the_same_on_both_sides", zh, en, look())


def captured(case: Case) -> Check:
    """What was authorised and captured is the same at home and at the counter, and what the counter asked for."""

    def look() -> Iterator[str | None]:
        for trip in case.data.cast.trips if case.data.cast else ():
            (home,), (counter,) = (_of(case, region, trip) for region in (trip.home, trip.counter))
            due = (trip.held, trip.price, trip.taken, trip.captured)
            for side in (home, counter):
                blocks, rest = divmod(side.captured, side.rate_q)
                stands = (side.amount, side.arriving, side.captured, blocks * side.rate_p)
                fine = stands == due and rest == 0 and side.state in _ENDS
                yield unless(fine and side[:9] == home[:9], f"{trip.key}: {side}")

    zh, en = "异地兑换的金额在两边相等", "what was captured away from home is equal on both sides"
    return check("captured_value_equal_on_both_sides", zh, en, look())


def _of(case: Case, region: int, trip: Trip) -> list[Authorisation]:
    return [a for a in case.papers[region].authorisations if (a.holder, a.counter) == (trip.home, trip.counter)]


def positions(case: Case) -> Check:
    """The book that faces a peer holds what transfers, purchases and clawbacks moved between the two, and nothing else:
    counted at both sides from what the other holds, too."""

    def look() -> Iterator[str | None]:
        left, came = _moved(case)
        for region, papers in case.papers.items():
            for facing in papers.facing:
                key = (region, facing.peer, facing.category)
                due = (left.pop(key, 0), came.pop(key, 0))
                yield unless((facing.left, facing.came) == due, f"{key}: {facing[2:]} instead of {due}")
        for key, units in (left + came).items():
            yield f"{key}: nothing instead of {units}"

    zh, en = (
        "各地区的往来头寸由转移、兑换和追回逐笔得出",
        "positions follow from transfers, purchases and clawbacks",
    )
    return check("positions_follow_from_what_both_sides_hold", zh, en, look())


Place = tuple[int, int, str]  # region, peer, category of the region


def _moved(case: Case) -> tuple[Counter[Place], Counter[Place]]:
    """What left each region for each peer, and what came; each from what the OTHER side holds of it."""
    left: Counter[Place] = Counter()
    came: Counter[Place] = Counter()
    for t in case.incoming.values():
        if t.state == State.ACCEPTED:
            left[t.source, t.destination, t.category] += t.amount
    for t in case.outgoing.values():
        if t.state == State.POSTED:
            came[t.destination, t.source, t.becomes] += t.arriving
    for region, papers in case.papers.items():
        for a in papers.authorisations:
            if a.captured and a.counter == region:
                left[a.holder, a.counter, a.category] += a.captured
            elif a.captured:
                came[a.counter, a.holder, a.becomes] += a.captured // a.rate_q * a.rate_p
        for hop in papers.hops:
            about = case.outgoing.get(hop.transfer)
            if about is not None and hop.mine:
                left[hop.peer, region, about.becomes] += (hop.recovered + hop.further) * about.rate_p
            elif about is not None:
                came[hop.peer, region, about.category] += (hop.recovered + hop.further) * about.rate_q
    return left, came


def claims(case: Case) -> Check:
    """What one region says the other owes it, the other says it owes: for the same transfer, the same blocks."""

    def look() -> Iterator[str | None]:
        blocks = {hop.id: (hop.transfer, hop.owed) for p in case.papers.values() for hop in p.hops}
        owing = {(n, c.peer, c.id, c.cause): c for n, p in case.papers.items() for c in p.claims if not c.mine}
        owed = {(c.peer, n, c.id, c.cause): c for n, p in case.papers.items() for c in p.claims if c.mine}
        for key in owing.keys() | owed.keys():
            a, b = owing.get(key), owed.get(key)
            if a is None or b is None or key[2] not in blocks:
                yield f"{key[2].hex()}: {a} but {b}"
                continue
            transfer, count = blocks[key[2]]
            t = case.outgoing[transfer]  # the region that owes is the one it left
            fine = (a.amount, b.amount) == (count * t.rate_q, count * t.rate_p) and key[0] == t.source
            yield unless(fine, f"{key[2].hex()}: {a.amount} but {b.amount}")

    zh, en = "挂账两边互为镜像", "claims mirror each other"
    return check("claims_mirror_each_other", zh, en, look())


def taken_back(case: Case) -> Check:
    """What was awarded for nothing = what came back from residents, of every region, + what regions owe + what was
    spent where it was awarded; each of them as the files have it, and at the rates at which it had moved."""

    def look() -> Iterator[str | None]:
        if case.story is None or case.data.cast is None:
            return
        said, cast = case.story.taken_back.shown, case.data.cast
        awarded = sum(award.amount for award in case.data.awards if award.activity == ACTIVITY)
        worth = _worth_at_home(case)
        spent: Counter[int] = Counter()
        for s in cast.spent:
            spent[s.region] += s.amount * worth[s.region]
        taken = {n: sum(p.taken.values()) * worth.get(n, 0) for n, p in case.papers.items()}
        lost = spent.pop(HANGZHOU)
        owed = sum(spent.values())
        yield unless(said["recovered"] == taken[HANGZHOU], f"{said['recovered']} recovered, {taken[HANGZHOU]} debited")
        further = sum(taken.values()) - taken[HANGZHOU]
        yield unless(said["further"] == further, f"{said['further']} came from others, who debited {further}")
        yield unless(said["owed"] == owed, f"{said['owed']} is owed, and {owed} was spent elsewhere")
        yield unless(said["lost"] == lost, f"{said['lost']} is lost, and {lost} was spent at home")
        yield unless(sum(taken.values()) + owed + lost == awarded, f"it does not add up to {awarded}")
        for n, papers in case.papers.items():
            for (account, category), units in papers.taken.items():
                yield unless(account[2:4] == "-V" and category == "moral", f"{n} debited {account} {units}")

    zh, en = "追回、挂账与本地损失之和等于虚假授予", "clawed back + owed + own loss = what was awarded for nothing"
    return check("clawed_back_and_owed_and_lost_is_what_was_awarded", zh, en, look())


def _worth_at_home(case: Case) -> dict[int, int]:
    """How many units of 330100 became one unit of each region on the way that the fraud took."""
    assert case.data.cast is not None
    worth = {HANGZHOU: 1}
    by_key = {t.key: t for t in case.outgoing.values()}
    for t in (by_key[case.data.cast.swindle[0].key], by_key[case.data.cast.after[0].key]):
        worth[t.destination] = worth[t.source] * t.rate_q // t.rate_p
    return worth


def recognised(case: Case) -> Check:
    """What one region attested, the other recognises by its own measure; each holds the same request."""

    def look() -> Iterator[str | None]:
        if case.story is None:
            return
        due = {int(FactKind.STAR_LEVEL): (WORTH, STARS), int(FactKind.SERVICE_HOURS): (MINUTES, MINUTES)}
        home, there = case.papers[JIAXING].attested, case.papers[HANGZHOU].attested
        for id_, peer, kind, value, value_there in case.papers[HANGZHOU].facts:
            given, asked = home.get((id_, HANGZHOU, True)), there.get((id_, peer, False))
            states = (given, asked) == (Standing.GIVEN, Standing.RECOGNISED)
            fine = states and peer == JIAXING and due.pop(kind, None) == (value, value_there)
            yield unless(fine, f"{kind}: {value_there} there is {value} here; {given}, {asked}")
        yield unless(not due, f"{due} are not recognised")

    zh, en = "时长与星级按约定互认，不产生积分", "hours and stars are recognised as agreed, and no points follow"
    return check("attested_facts_recognised_as_agreed", zh, en, look())


CHECKS: tuple[Callable[[Case], Check], ...] = (requests, captured, positions, claims, taken_back, recognised)
