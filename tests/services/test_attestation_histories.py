"""After any history by chance, with messages under way, restarts and restores: both regions say the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.attestation import FactKind
from gateway.protocol.attestation import State as Stands
from gateway.protocol.errors import Refused
from node.services.attestation.ends import Revoke, attested
from node.services.attestation.fact import PutFact, WithdrawFact
from node.services.attestation.share import ShareAnswer
from node.services.recovery.history import Replayed
from node.services.verify.run import verify
from node.store import attestations, schema
from node.store.attestations import AttestationRow
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair
from tests.services.attesting import DAY_MS, consented, furnish, question, shared, sign_up
from tests.services.backups import backup, restore
from tests.services.delivery import A, B

STEPS = 40
SEEDS = 20
NAMES = ("", "年度优秀志愿者", "急救员证")


@pytest.fixture
def stored(new_database: Any) -> Iterator[Pair]:
    made = pair((A, B), stores=[open_store(new_database("sqlite")) for _ in range(2)])
    sign_up(made)
    furnish(made)
    yield made
    for region in made.regions.values():
        region.store.close()


class Story:
    """One history. What the regional system of A says is repeated after a restore, as it has to be."""

    def __init__(self, made: Pair, seed: int, folder: Path) -> None:
        self.made, self.chance, self.folder = made, random.Random(seed), folder
        self.a, self.b = made.regions[A], made.regions[B]
        self.consent = consented(self.a)
        self.shown: list[ShareAnswer] = [shared(self.a, self.consent)]
        self.said: list[PutFact | WithdrawFact] = []
        self.copies = {code: self.copy(code) for code in (A, B)}
        self.files = count()

    def copy(self, code: int) -> Path:
        return backup(self.made.regions[code], self.folder / f"{code}-{self.chance.random()}.sqlite")

    def tell(self, command: PutFact | WithdrawFact) -> None:
        """A's own system says something, which may be too old or about nothing."""
        try:
            self.a.one(command)
            self.said.append(command)
        except Refused:
            pass

    def fact(self) -> None:
        kind = self.chance.choice(list(FactKind))
        words = self.chance.choice(NAMES[1:]) if kind > FactKind.STAR_LEVEL else ""
        if self.chance.random() < 0.2:
            self.tell(WithdrawFact(account="A", kind=kind, words=words))
        else:
            value, as_of = self.chance.randrange(6), self.a.office.today(self.a.clock())
            self.tell(PutFact(account="A", kind=kind, words=words, value=value, as_of=as_of))

    def share(self) -> None:
        self.shown.append(shared(self.a, self.consent, minutes=7 * 24 * 60))

    def ask(self) -> None:
        if self.chance.random() < 0.7:
            self.share()
        kinds = tuple(self.chance.sample(list(FactKind), self.chance.randint(1, 5)))
        self.b.do(question(self.chance.choice(self.shown[-3:]), kinds=kinds))

    def revoke(self) -> None:
        given = [row for row in rows(self.a) if row.mine]
        if given:
            self.a.do(Revoke(id=self.chance.choice(given).id, peer=B))

    def deliver(self) -> None:
        self.made.collect()
        for _ in range(self.chance.randrange(6)):
            if self.made.wire:
                self.made.deliver()

    def day(self) -> None:
        self.made.pump()  # an envelope a day old is signed anew before it is sent
        self.a.clock.now_ms += DAY_MS

    def restart(self) -> None:
        self.made.restart(self.chance.choice((A, B)))

    def keep(self) -> None:
        code = self.chance.choice((A, B))
        self.copies[code] = self.copy(code)

    def lose(self) -> None:
        """A database is replaced by its newest backup, whatever is under way."""
        code = self.chance.choice((A, B))
        restore(self.made.regions[code], self.copies[code])
        self.made.wire.clear()
        self.made.open()
        if code == A:
            for command in self.said:
                self.a.do(command)
        self.made.regions[code].one(Replayed(by="system"))
        self.copies[code] = self.copy(code)

    def play(self) -> None:
        moves = [self.fact] * 4 + [self.share, self.ask, self.ask, self.ask, self.revoke, self.day, self.restart]
        moves += [self.deliver] * 6 + [self.keep, self.lose]
        for _ in range(STEPS):
            self.chance.choice(moves)()
        self.made.pump()


def rows(region: TestRegion) -> list[AttestationRow]:
    """Every attestation, given or asked for."""
    with region.store.read() as conn:
        found = conn.execute(schema.attestation.select().order_by(schema.attestation.c.id)).all()
        return [AttestationRow._make(row)._replace(mine=bool(row.mine)) for row in found]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_one_region_gave_the_other_recognises_and_nothing_else(stored: Pair, tmp_path: Path, seed: int) -> None:
    story = Story(stored, seed, tmp_path)
    story.play()
    a, b = stored.regions[A], stored.regions[B]
    given = {row.id: row for row in rows(a) if row.mine}
    got = {row.id: row for row in rows(b) if not row.mine}
    assert {row.state for row in given.values()} <= {Stands.GIVEN, Stands.TAKEN_BACK}
    assert {row.state for row in got.values()} <= {Stands.RECOGNISED, Stands.REFUSED, Stands.REVOKED}
    assert {i for i, r in given.items() if r.state == Stands.GIVEN} == {
        i for i, r in got.items() if r.state == Stands.RECOGNISED
    }
    assert {i for i, r in given.items() if r.state == Stands.TAKEN_BACK} == {
        i for i, r in got.items() if r.state == Stands.REVOKED
    }
    with b.store.read() as conn:
        number = attestations.number_of(conn, "B")
        assert number is not None
        standing = [r.attestation for r in attestations.recognitions(conn, number) if r.revoked_ms is None]
    assert set(standing) <= {i for i, r in got.items() if r.state == Stands.RECOGNISED}
    for id_, row in given.items():
        assert got[id_].signed == row.signed
        assert len({fact.kind for fact in attested(row)} | {0}) > 1
    codes = [tuple(row) for row in _used(a)]
    assert len(codes) == len(given), "a code was good for one attestation each"
    for region in (a, b):
        assert [check for check in verify(region.store) if not check.ok] == [], region.code


def _used(region: TestRegion) -> list[Any]:
    with region.store.read() as conn:
        return list(conn.execute(schema.share.select().where(schema.share.c.used_ms.is_not(None))))
