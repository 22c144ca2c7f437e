"""A region comes back from a backup in the middle of a dispute: its steps are taken again, nothing is decided twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.dispute import Act, State
from gateway.protocol.values import Reason
from node.services.clawback.orders import GoOn
from node.services.dispute.ends import SweepDisputes
from node.services.recovery.history import Replayed
from node.services.spend import Spend
from node.store import schema
from node.store.engine import open_store
from tests.federation import Pair
from tests.services import backups
from tests.services.backups import backup, restore
from tests.services.delivery import A, B, C
from tests.services.disputing import agree, at, chain, founded, furnish, later, moved, opening, says, word
from tests.services.ledger import points


@pytest.fixture
def three(new_database: Any) -> Iterator[Pair]:
    made = founded([open_store(new_database("sqlite")) for _ in range(3)])
    furnish(made)
    yield made
    for region in made.regions.values():
        region.store.close()


class Story:
    """One dispute from the transfer to the end, in acts that can be interrupted by a restore."""

    def __init__(self, made: Pair, end: Act) -> None:
        self.made, self.end = made, end
        self.transfer = self.dispute = b""
        self.acts: list[Callable[[], object]] = [
            self._move, self._spend, self._open, self._contest, self._propose, self._mediate, self._advise,
            self._arbitrate, self._rule, self._sweep,
        ]  # fmt: skip

    def _move(self) -> None:
        self.transfer = moved(self.made)

    def _spend(self) -> None:
        self.made.regions[B].one(Spend(client="c", key="spend", account="B", category="moral", amount=15))

    def _open(self) -> None:
        row: Any = self.made.regions[A].one(opening(B, self.transfer))
        self.dispute = row.id
        self.made.pump()

    def _contest(self) -> None:
        says(self.made, B, self.dispute, Act.CONTEST)

    def _propose(self) -> None:
        says(self.made, A, self.dispute, Act.PROPOSE, amount=30)

    def _mediate(self) -> None:
        says(self.made, B, self.dispute, Act.MEDIATE)

    def _advise(self) -> None:
        says(self.made, C, self.dispute, Act.OPINION, amount=20)

    def _arbitrate(self) -> None:
        says(self.made, A, self.dispute, Act.ARBITRATE)

    def _rule(self) -> None:
        says(self.made, C, self.dispute, self.end)

    def _sweep(self) -> None:
        self.made.regions[A].one(SweepDisputes())
        self.made.pump()

    def outside(self) -> list[object]:
        """All that residents, operators and settlement see of it."""
        found: list[object] = [points(self.made.regions[A], "A"), points(self.made.regions[B], "B")]
        for code in (A, B, C):
            with self.made.regions[code].store.read() as conn:
                claims = conn.execute(schema.claim.select()).all()
            row = at(self.made, code, self.dispute)
            found += [chain(self.made, code, self.dispute), row.state, row.settled, row.deadline, row.pending]
            found += [(c.peer, c.cause, c.amount, c.mine) for c in claims]
        return found


@pytest.mark.parametrize("who", [A, B, C])
@pytest.mark.parametrize("lost", [1, 2, 3, 5, 7, 8])
@pytest.mark.parametrize("end", [Act.UPHOLD, Act.REJECT])
def test_a_backup_from_any_moment_leads_to_the_same_end(
    three: Pair, tmp_path: Path, who: int, lost: int, end: Act
) -> None:
    """The last `lost` acts happened after the backup."""
    story = Story(three, end)
    kept = len(story.acts) - lost
    for act in story.acts[:kept]:
        act()
    old = backup(three.regions[who], tmp_path / "old.sqlite")
    for act in story.acts[kept:]:
        act()
    before = story.outside()
    restore(three.regions[who], old)
    three.restart(who)
    three.regions[who].one(Replayed(by="system"))
    three.regions[A].one(SweepDisputes())
    three.pump()
    three.regions[B].one(GoOn())
    three.pump()
    assert story.outside() == before
    assert agree(three, story.dispute) is (State.UPHELD if end is Act.UPHOLD else State.REJECTED)
    backups.agree(three)


@pytest.mark.parametrize("who", [A, B])
def test_a_dispute_goes_on_after_a_restore(three: Pair, tmp_path: Path, who: int) -> None:
    story = Story(three, Act.REJECT)
    for act in story.acts[:3]:
        act()
    old = backup(three.regions[who], tmp_path / "old.sqlite")
    for act in story.acts[3:6]:
        act()
    restore(three.regions[who], old)
    three.restart(who)
    three.regions[who].one(Replayed(by="system"))
    three.pump()
    for act in story.acts[6:9]:
        act()
    assert agree(three, story.dispute) is State.REJECTED
    assert points(three.regions[B], "B") == (45, 0, 0)
    backups.agree(three)


def test_a_step_that_got_no_answer_before_the_restore_is_answered_after_it(three: Pair, tmp_path: Path) -> None:
    story = Story(three, Act.REJECT)
    for act in story.acts[:3]:
        act()
    old = backup(three.regions[B], tmp_path / "old.sqlite")
    three.regions[A].one(word(story.dispute, Act.PROPOSE, amount=10))
    restore(three.regions[B], old)
    three.restart(B)
    assert agree(three, story.dispute) is State.OPENED
    assert at(three, B, story.dispute).steps == 2
    later(three, 1)
    assert at(three, A, story.dispute).reason == 0 != Reason.WRONG_STATE
    backups.agree(three)
