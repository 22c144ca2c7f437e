"""A region that is not whole: what goes on, what waits, and who may say that it is whole or bear the risk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from node.errors import BadInput, Recovering, SamePerson
from node.services.expiry import Sweep
from node.services.recovery.history import AcceptRisk, Replayed, missing
from node.services.reversal import AskReversal
from node.services.spend import Spend
from node.store import history
from tests.federation import Pair, TestRegion
from tests.services.delivery import A, B, C, ends
from tests.services.ledger import address, column, order, points, resident, rows
from tests.services.restoring import file_of, reopen, sound, start, witnessed


def lose_witness(folder: Path, region: TestRegion) -> None:
    """The region cannot know whether it is whole; it is."""
    file_of(folder, region).unlink()
    start(folder, region)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Pair]:
    """A recovers; B and C have not been spoken to since."""
    found = witnessed(tmp_path, (A, B, C))
    ends(found)
    found.pump()
    lose_witness(tmp_path, found.regions[A])
    found.wire.clear()
    yield found
    sound(found)


def spend(units: int, key: str = "tea", **more: bool) -> Spend:
    return Spend(client="c", key=key, account="A", category="moral", amount=units, **more)


def risk(peer: int, amount: int, by: str) -> AcceptRisk:
    return AcceptRisk(peer=peer, amount=amount, by=by)


def two_accept(a: TestRegion, peer: int, amount: int) -> None:
    a.one(risk(peer, amount, "Chen"))
    a.one(risk(peer, amount, "Wang"))


def test_debits_wait_and_are_not_decided_under_their_key(tmp_path: Path, made: Pair) -> None:
    a, b = made.regions[A], made.regions[B]
    to = address(b, "B")
    before = rows(a)
    transfer = order(to, 10)
    for command in (spend(5), transfer, spend(10_000, "too much"), replace(spend(5, "x"), account="nobody")):
        with pytest.raises(Recovering, match=rf"regions {B}, {C} have not given back.*regional system"):
            a.one(command)
    assert rows(a) == before
    reopen(made)
    a.one(Replayed(by="system"))
    assert a.one(spend(5)).amount == 5
    assert a.one(transfer).leaving == 10
    with pytest.raises(Refused):
        a.one(spend(10_000, "too much"))


def test_a_debit_that_waits_fails_alone(made: Pair) -> None:
    a = made.regions[A]
    answers = a.do(spend(5), *[replace(spend(5, str(n)), account="nobody") for n in range(3)])
    assert all(isinstance(answer, Recovering) for answer in answers)
    resident(a, "new", 30)
    assert points(a, "new") == (30, 0, 0)


def test_what_expired_is_not_booked_while_lots_may_be_missing(made: Pair) -> None:
    a = made.regions[A]
    resident(a, "late", 7, expires=20200101)
    assert a.one(Sweep()).lots == 0
    reopen(made)
    a.one(Replayed(by="system"))
    assert a.one(Sweep()).lots == 1


def test_nothing_is_sent_back_and_the_peer_is_told_why(tmp_path: Path, made: Pair) -> None:
    a, b = made.regions[A], made.regions[B]
    reopen(made)
    resident(b, "B2", 50)
    sent = b.one(order(address(a, "A"), 20, account="B2"))
    made.pump()
    assert points(a, "A")[0] == 120
    b.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(sent.id)))
    made.pump()
    assert column_of(b, "reversal", "reason") == [Reason.REGION_RECOVERING]
    a.one(Replayed(by="system"))
    b.one(AskReversal(client="c", key="back again", transfer=bytes.fromhex(sent.id)))
    made.pump()
    assert points(b, "B2") == (50, 0, 0)


def column_of(region: TestRegion, table: str, name: str) -> list[object]:
    with region.store.read() as conn:
        return list(conn.exec_driver_sql(f"SELECT {name} FROM {table}").scalars())


def test_it_ends_only_when_all_peers_and_the_regional_system_are_done(made: Pair) -> None:
    a = made.regions[A]
    a.one(Replayed(by="system"))
    assert a.writer.history.recovering
    reopen(made)
    assert a.writer.history.merged == {B, C}
    assert not a.writer.history.recovering
    assert missing(a.writer.history, a.office) == ""
    assert column(a, "act", "what") == ["replayed"]


def test_the_other_order_ends_it_too(made: Pair) -> None:
    a = made.regions[A]
    reopen(made)
    assert a.writer.history.recovering
    assert "regional system" in missing(a.writer.history, a.office)
    for _ in range(2):
        assert not a.one(Replayed(by="system")).recovering
    assert column(a, "act", "what") == ["replayed"]


# -- risk -------------------------------------------------------------------------------------------------------------


def only_c_is_silent(made: Pair) -> TestRegion:
    a = made.regions[A]
    silent = made.regions.pop(C)
    reopen(made)
    made.regions[C] = silent
    a.one(Replayed(by="system"))
    assert a.writer.history.merged == {B}
    return a


def test_one_person_cannot_accept_a_risk_alone(made: Pair) -> None:
    a = only_c_is_silent(made)
    a.one(risk(C, 30, "Chen"))
    with pytest.raises(SamePerson, match="a second person"):
        a.one(risk(C, 30, "Chen"))
    with pytest.raises(BadInput, match="stated a risk of 30"):
        a.one(risk(C, 31, "Wang"))
    assert a.writer.history.recovering
    with pytest.raises(Recovering):
        a.one(spend(1))
    a.one(risk(C, 30, "Wang"))
    assert not a.writer.history.recovering
    with a.store.read() as conn:
        acts = conn.exec_driver_sql("SELECT what, maker, checker, about FROM act ORDER BY no").all()
    assert [tuple(act)[:3] for act in acts] == [
        ("replayed", "system", ""), ("accept_risk", "Chen", ""), ("accept_risk", "Chen", "Wang"),
    ]  # fmt: skip
    assert acts[-1].about == f'{{"amount": 30, "peer": {C}}}'


def test_whoever_stated_a_risk_may_state_another_before_it_is_accepted(made: Pair) -> None:
    a = only_c_is_silent(made)
    a.one(risk(C, 30, "Chen"))
    a.one(risk(C, 40, "Chen"))
    a.one(risk(C, 40, "Wang"))
    assert a.writer.history.risks[C].amount == 40
    with pytest.raises(Refused):
        a.one(risk(C, 50, "Li"))


def test_an_accepted_risk_bounds_what_is_debited_until_the_peer_is_back(made: Pair) -> None:
    a, b = only_c_is_silent(made), made.regions[B]
    two_accept(a, C, 30)
    a.one(spend(10))
    a.one(order(address(b, "B"), 15))
    with pytest.raises(Recovering, match=r"of the risk of 30 .* 5 is left"):
        a.one(spend(6, "more"))
    a.one(spend(5, "rest"))
    assert a.writer.history.risks[C].used == 30
    assert a.one(Sweep()).lots == 0
    reopen(made)
    assert not a.writer.history.risks
    a.one(spend(6, "more"))
    assert points(a, "A")[0] == 64


def test_a_refused_debit_uses_nothing_of_a_risk(made: Pair) -> None:
    a = only_c_is_silent(made)
    two_accept(a, C, 1000)
    with pytest.raises(Refused):
        a.one(spend(500))
    assert a.writer.history.risks[C].used == 0


def test_what_is_used_of_a_risk_outlives_the_process(tmp_path: Path, made: Pair) -> None:
    a = only_c_is_silent(made)
    two_accept(a, C, 30)
    a.one(spend(20))
    start(tmp_path, a)
    with pytest.raises(Recovering):
        a.one(spend(11, "more"))
    assert history.Risk(peer=C, amount=30, used=20, maker="Chen", checker="Wang", at_ms=a.clock.now_ms) in list(
        a.writer.history.risks.values()
    )


@pytest.mark.parametrize(("peer", "amount"), [(999999, 5), (A, 5), (C, 0), (C, 2**63), (B, 5)])
def test_a_risk_that_makes_no_sense_is_refused(made: Pair, peer: int, amount: int) -> None:
    a = only_c_is_silent(made)
    with pytest.raises(Refused):
        a.one(risk(peer, amount, "Chen"))


def test_a_region_that_is_whole_has_no_risk_to_accept(tmp_path: Path, made: Pair) -> None:
    with pytest.raises(Refused, match="not recovering"):
        made.regions[B].one(risk(C, 5, "Chen"))
