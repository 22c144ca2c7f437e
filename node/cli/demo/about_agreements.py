"""Promises about agreements: both have signed the same, and everything went as it was signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

from gateway.protocol import codec
from gateway.protocol.agreement import life
from gateway.protocol.agreement.document import Agreement
from gateway.protocol.errors import ProtocolError
from gateway.protocol.values import Frame, Kind, Offer
from node.cli.demo.case import Case, Check, check, unless


def in_force(case: Case) -> Check:
    """The API of both names one document, both files hold it, and each has signed it with a key of the roster."""

    def look() -> Iterator[str | None]:
        for a, b in combinations(sorted(case.papers), 2):
            for region, peer in ((a, b), (b, a)):
                named = case.in_force.get((region, peer), "")
                kept = [p for p in case.papers[region].agreements if p.digest.hex() == named and p.peer == peer]
                if len(kept) != 1 or named != case.in_force.get((peer, region)):
                    yield f"{region} and {peer}: {named[:16] or 'nothing'} is in force"
                    continue
                try:
                    life.read(kept[0].signed, (a, b), case.roster.all_keys)
                    yield None
                except ProtocolError as error:
                    yield f"{region} and {peer}: {error}"

    zh, en = (
        "每份协议两边同时生效，摘要一致，双方签名有效",
        "every agreement is in force on both sides, with one digest",
    )
    return check("agreements_in_force_on_both_sides", zh, en, look())


def _signed(case: Case) -> dict[tuple[int, int, int], Agreement]:
    """(region, peer, version) -> what that region holds with the signatures of both."""
    found = {}
    for region, papers in case.papers.items():
        for paper in papers.agreements:
            try:
                agreement = life.read(paper.signed, paper.agreement.regions, case.roster.all_keys)
            except ProtocolError:
                continue
            found[region, paper.peer, agreement.version] = agreement
    return found


def as_signed(case: Case) -> Check:
    """Every offer names a version that both hold with both signatures, and moves points at the rate in it."""

    def look() -> Iterator[str | None]:
        signed = _signed(case)
        for a, b in case.pairs() if case.papers else ():
            for frame, offer in case.papers[a].offers.get(b, ()):
                mine, theirs = signed.get((a, b, offer.terms_version)), signed.get((b, a, offer.terms_version))
                if mine is None or mine != theirs:
                    yield f"{frame.id.hex()} is under version {offer.terms_version}, which not both have signed"
                    continue
                yield unless(_at_rate(mine, a, frame, offer), f"{frame.id.hex()} is not at the rate that was signed")

    zh, en = "每笔转移都依据双方签署的版本和比率", "every transfer went under a version both signed, at its rate"
    return check("every_transfer_under_a_version_both_signed", zh, en, look())


def _at_rate(agreement: Agreement, source: int, frame: Frame, offer: Offer) -> bool:
    rates = {(r.category, r.becomes): (r.p, r.q) for r in agreement.direction(source).rates}
    p, q = offer.rate_p, offer.rate_q
    return rates.get((frame.category, frame.becomes)) == (p, q) and frame.amount * p == frame.arriving * q


def pinned(case: Case) -> Check:
    """What was held under the first version was answered after the second was signed, and as it was held. What was
    before a clerk then is among it."""

    def look() -> Iterator[str | None]:
        if case.story is None:
            return
        a, b = case.story.agreed.amended  # b countersigns
        old = {frame.id: frame for frame, offer in case.papers[a].offers.get(b, ()) if offer.terms_version == 1}
        signatures = 0
        for raw in case.books[b].logs[b, a]:
            frame = codec.decode_frame(raw)
            if frame.kind == Kind.COUNTERSIGN:
                signatures += 1
            elif signatures == 2 and frame.reply and frame.id in old:
                fine = frame.kind == Kind.ACCEPT and case.outgoing[frame.id].arriving == old[frame.id].arriving
                yield unless(fine, f"{frame.id.hex()} did not finish as it was held")

    zh, en = "修订前冻结的转移按旧版本办结", "what was held before the amendment finished under the old version"
    return check("held_before_the_amendment_finishes_on_the_old_version", zh, en, look())


CHECKS: tuple[Callable[[Case], Check], ...] = (in_force, as_signed, pinned)
