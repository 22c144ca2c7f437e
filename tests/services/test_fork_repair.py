"""Leaving a quarantine: two signatures, two people on each side, and nothing posted is unposted."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import select

from gateway.protocol import codec, contradictions, documents
from gateway.protocol.channel import Condition
from gateway.protocol.errors import Refused
from gateway.protocol.exhibits import RepairProof
from gateway.protocol.values import Draft, Kind, NotReady, Repair, Signed
from gateway.transport import messages as wire
from node.errors import BadInput, SamePerson
from node.services.claim import Cause
from node.services.forks import evidence, repair
from node.services.forks.repair import Agree, SayRepair
from node.store import guards, schema
from tests.federation import Pair, TestRegion
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C, alias_of
from tests.services.ledger import address, forge, ledger, offer, order, points, resident, rows
from tests.services.test_contradictions import condition
from tests.services.test_fork_evidence import receipt, stored

TOLD, LIE = b"the truth, first", b"a lie, later on."


def forked(regions: Regions, **more: Any) -> tuple[Pair, TestRegion, TestRegion]:
    """Somebody with A's key has told B of 10 points, and then of 90 in their place. A itself knows of neither."""
    made = regions((A, B, C), **more)
    a, b, c = (made.regions[code] for code in (A, B, C))
    resident(a, "A", 100)
    resident(b, "B", 100)
    resident(c, "C", 100)
    to = alias_of(address(b, "B"))
    b.hear(A, forge(a, B, [offer(to, 10, id_=TOLD)]))
    assert b.hear(A, forge(a, B, [offer(to, 90, id_=LIE)])) == [NotReady()]
    return made, a, b


def digest(b: TestRegion, peer: int = A) -> bytes:
    return stored(b, peer)[-1].digest


def agree(region: TestRegion, peer: int, of: TestRegion, size: int, **more: Any) -> repair.Agreement:
    """Two people of `region` agree, about the evidence that `of` keeps."""
    kept = stored(of, peer if region is of else region.code)[-1]
    command = Agree(peer=peer, evidence=kept.digest, size=size, maker="甲", checker="乙", file=kept.file)
    found: repair.Agreement = region.one(replace(command, **more))
    return found


def talk(made: Pair) -> None:
    """What a quarantined channel says by itself, until everybody is silent; then both begin anew."""
    for region, peer in ((A, B), (B, A)):
        made.send(region, peer, made.regions[region].say(peer, SayRepair(peer=peer)))
    made.pump()
    made.open()


def claims(region: TestRegion) -> list[tuple[int, int, bytes, int]]:
    c = schema.claim
    with region.store.read() as conn:
        return [tuple(row) for row in conn.execute(select(c.c.peer, c.c.cause, c.c.id, c.c.amount))]  # type: ignore[misc]


def works(made: Pair, amount: int) -> None:
    """Points move both ways between A and B."""
    a, b = made.regions[A], made.regions[B]
    before = points(a, "A")[0], points(b, "B")[0]
    a.one(order(address(b, "B"), amount))
    b.one(order(address(a, "A"), amount, account="B"))
    made.pump()
    made.pump()
    assert (points(a, "A")[0], points(b, "B")[0]) == before
    assert points(a, "A")[1:] == (0, 0)


def test_a_channel_goes_on_after_both_have_signed(regions: Regions) -> None:
    """What B credited on a disowned message stays posted, and is a claim; new messages follow on what B holds."""
    made, a, b = forked(regions)
    a.one(order(address(b, "B"), 5, key="waits meanwhile"))
    agree(b, A, b, 0)
    agree(a, B, b, 0)
    talk(made)
    assert (condition(a, B), condition(b, A)) == (Condition.OPEN, Condition.OPEN)
    assert claims(b) == [(A, int(Cause.FORK), TOLD, 10)]
    assert points(b, "B")[0] == 100 + 10 + 5
    assert points(a, "A") == (95, 0, 0)
    assert not a.writer._books.history.recovering
    works(made, 7)
    made.restart(A)
    made.restart(B)
    works(made, 3)


def test_it_does_not_matter_who_agrees_first(regions: Regions) -> None:
    made, a, b = forked(regions)
    agree(a, B, b, 0)
    talk(made)
    assert condition(b, A) is Condition.QUARANTINED
    agree(b, A, b, 0)
    talk(made)
    assert (condition(a, B), condition(b, A)) == (Condition.OPEN, Condition.OPEN)
    works(made, 7)


def test_signed_by_one_side_only_it_changes_nothing(regions: Regions) -> None:
    made, a, b = forked(regions)
    before = ledger(b)
    agree(b, A, b, 0)
    talk(made)
    b.start()
    talk(made)
    assert condition(b, A) is Condition.QUARANTINED
    assert ledger(b) == before
    assert claims(b) == []
    assert rows(a, "repair", "evidence") == {"repair": [], "evidence": []}


def test_both_must_stand_by_the_same_prefix(regions: Regions) -> None:
    made, a, b = forked(regions)
    agree(b, A, b, 1)
    agree(a, B, b, 0)
    talk(made)
    assert condition(b, A) is Condition.QUARANTINED
    assert claims(b) == []
    agree(b, A, b, 0)  # thought better of it
    talk(made)
    assert condition(b, A) is Condition.OPEN


def signed(region: TestRegion, value: Repair) -> Signed:
    return region.office.signing_key.sign(codec.REPAIR, codec.encode_payload(value))


def test_a_repair_that_names_other_evidence_is_refused(regions: Regions) -> None:
    made, a, b = forked(regions)
    mine = agree(b, A, b, 0).repair
    before = rows(b)
    for other in (
        replace(mine, evidence=sha256(b"something else").digest()),
        replace(mine, size=1), replace(mine, holds_size=2), replace(mine, holds_root=bytes(32)),
        replace(mine, log=mine.log.opposite()),
    ):  # fmt: skip
        assert b.hear(A, signed(a, other)) == []
    assert rows(b) == before
    with pytest.raises(Exception, match="no valid key"):
        b.hear(A, signed(made.regions[C], mine))
    assert condition(b, A) is Condition.QUARANTINED


def test_a_repair_that_comes_again_changes_nothing(regions: Regions) -> None:
    """Neither while the channel works, nor when it is in quarantine for something else."""
    made, a, b = forked(regions)
    mine = agree(b, A, b, 0).repair
    agree(a, B, b, 0)
    talk(made)
    works(made, 7)
    before = rows(a), rows(b)
    b.hear(A, signed(a, mine))
    a.hear(B, signed(b, mine))
    assert (rows(a), rows(b)) == before
    to, said = alias_of(address(b, "B")), a.writer.channels[B].size
    b.hear(A, forge(a, B, [offer(to, 1, id_=b"a second history")]))
    b.hear(A, forge(a, B, [offer(to, 2, id_=b"and another one.")]))
    assert condition(b, A) is Condition.QUARANTINED
    b.hear(A, signed(a, mine))
    assert condition(b, A) is Condition.QUARANTINED
    with pytest.raises(Refused, match="already"):
        b.one(Agree(peer=A, evidence=mine.evidence, size=0, maker="甲", checker="乙"))
    agree(b, A, b, said)
    agree(a, B, b, said)
    talk(made)
    assert condition(b, A) is Condition.OPEN


def test_points_that_left_on_a_disowned_acceptance_are_a_claim(regions: Regions) -> None:
    """B's points have left, and A has never credited them. A's own answer comes too late to decide anything."""
    made = regions((A, B, C))
    a, b = made.regions[A], made.regions[B]
    for region, name in ((a, "A"), (b, "B"), (made.regions[C], "C")):
        resident(region, name, 100)
    placed = b.one(order(address(a, "A"), 30, account="B"))
    parcel = b.exchange.parcel(b.writer.channels[A])
    assert parcel is not None
    accept = Draft(Kind.ACCEPT, True, bytes.fromhex(placed.id), bytes(16) + codec.encode_accept(b""))
    b.hear(A, forge(a, B, [accept]))
    assert points(b, "B") == (70, 0, 0)
    b.hear(A, forge(a, B, [offer(alias_of(address(b, "B")), 90, id_=LIE)]))
    agree(b, A, b, 0)
    agree(a, B, b, 0)
    talk(made)
    assert claims(b) == [(A, int(Cause.FORK), bytes.fromhex(placed.id), 30)]
    assert points(b, "B") == (70, 0, 0)
    works(made, 7)


def test_what_waits_for_a_clerk_on_a_disowned_offer_is_refused(regions: Regions) -> None:
    made, a, b = forked(regions, review_from=10)
    agree(b, A, b, 0)
    agree(a, B, b, 0)
    talk(made)
    assert claims(b) == []
    assert points(b, "B") == (100, 0, 0)
    with b.store.read() as conn:
        states = conn.execute(select(schema.transfer.c.state, schema.transfer.c.reason)).all()
    assert [tuple(row) for row in states] == [(14, 82)]


def test_a_false_receipt_is_repaired_where_nothing_is_disowned(regions: Regions) -> None:
    """A has the evidence; B holds what A has sent. The transfer under way is not lost."""
    made = regions((A, B, C))
    a, b = made.regions[A], made.regions[B]
    resident(a, "A", 100)
    resident(b, "B", 100)
    a.one(order(address(b, "B"), 10))
    parcel = a.exchange.parcel(a.writer.channels[B])
    assert parcel is not None
    made.send(A, B, [parcel])
    source, _, message = made.wire.popleft()
    b.hear(source, wire.decode(message))  # type: ignore[arg-type]
    a.hear(B, receipt(a, b.office.signing_key, 1, b"\x02" * 32))
    assert condition(a, B) is Condition.QUARANTINED
    agree(b, A, a, 1)
    agree(a, B, a, 1)
    talk(made)
    assert (condition(a, B), condition(b, A)) == (Condition.OPEN, Condition.OPEN)
    assert claims(b) == claims(a) == []
    assert points(a, "A") == (90, 0, 0)
    works(made, 7)


def test_a_repair_that_is_not_what_was_signed_is_found(regions: Regions) -> None:
    """It says which messages are not this region's: a database in which somebody changed it must not verify."""
    made, a, b = forked(regions)
    agree(b, A, b, 0)
    agree(a, B, b, 0)
    talk(made)
    with a.store.read() as conn:
        (kept,) = repair.agreements(conn).values()
        assert repair.faults(conn, a.office.roster) == []
    assert kept.complete
    r = schema.repair
    with pytest.raises(Exception, match="signed stays"), a.store.write() as conn:
        conn.execute(r.update().values(payload=codec.encode_payload(replace(kept.repair, size=1))))
    with a.store.write() as conn:
        guards.take_down(conn)
        conn.execute(r.update().values(payload=codec.encode_payload(replace(kept.repair, holds_size=9))))
        found = repair.faults(conn, a.office.roster)
        conn.execute(r.update().values(payload=codec.encode_payload(kept.repair)))
        guards.set_up(conn)
    assert len(found) == 2
    assert f"not the one that region {A} signed" in found[0]


# -- who may agree ----------------------------------------------------------------------------------------------------


def test_two_people_of_each_region_agree_and_are_named(regions: Regions) -> None:
    _, _, b = forked(regions)
    with pytest.raises(SamePerson):
        agree(b, A, b, 0, checker="甲")
    with pytest.raises(BadInput, match="two names"):
        agree(b, A, b, 0, checker=" ")
    assert rows(b, "act", "repair") == {"act": [], "repair": []}
    agree(b, A, b, 0)
    ((_, what, said, maker, checker, _),) = rows(b, "act")["act"]
    assert (what, maker, checker) == ("repair", "甲", "乙")
    assert digest(b).hex() in said


def test_nobody_agrees_about_evidence_that_does_not_hold(regions: Regions) -> None:
    _, a, b = forked(regions)
    true = evidence.read(stored(b, A)[0].file)
    false = documents.write(replace(true, rosters=())).encode()
    with pytest.raises(BadInput, match="does not hold"):
        agree(a, B, b, 0, evidence=sha256(false).digest(), file=false)
    with pytest.raises(BadInput, match="not the one with this digest"):
        agree(a, B, b, 0, file=false)
    with pytest.raises(BadInput, match="no such evidence"):
        agree(a, B, b, 0, file=b"")
    with pytest.raises(BadInput, match="no evidence"):
        agree(a, B, b, 0, evidence=sha256(b"{}").digest(), file=b"{}")
    with pytest.raises(BadInput, match="not about this channel"):
        agree(a, C, b, 0, evidence=digest(b), file=stored(b, A)[0].file)
    with pytest.raises(Refused, match="holds 1 frames"):
        agree(b, A, b, 2)
    assert rows(a, "act", "repair", "evidence") == {"act": [], "repair": [], "evidence": []}


def test_both_signatures_are_shown_to_anybody(regions: Regions) -> None:
    made, a, b = forked(regions)
    agree(b, A, b, 0)
    agree(a, B, b, 0)
    talk(made)
    for region, peer in ((a, B), (b, A)):
        with region.store.read() as conn:
            proof = repair.proof(conn, peer, digest(b))
        assert isinstance(proof, RepairProof)
        checks = contradictions.verify(proof, a.office.roster.federation)
        assert [check.code for check in checks if not check.ok] == []
        assert documents.read(documents.write(proof)) == proof
        for blamed, false in (
            ({"source"}, replace(proof, repair=replace(proof.repair, signatures=proof.repair.signatures[1:]))),
            ({"evidence"}, replace(proof, evidence=b"something else")),
        ):
            failing = {check.code for check in contradictions.verify(false) if not check.ok}
            assert failing in (blamed, {"destination"})
