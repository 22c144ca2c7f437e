"""Whatever the three say, and in whatever order it travels, both parties come to the same."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.protocol.dispute import OPEN, Act
from gateway.protocol.errors import Refused
from node.services.dispute.ends import SweepDisputes
from tests.services.delivery import A, B, C
from tests.services.disputing import agree, at, coordinated, disputed, later, moved, sound, word
from tests.services.ledger import points


@dataclass(frozen=True)
class Said:
    """A region says something, then so many messages are delivered and so many days go by."""

    by: int
    act: Act
    amount: int
    delivered: int
    days: int


SAID = st.builds(
    Said,
    by=st.sampled_from((A, B, C)),
    act=st.sampled_from([act for act in Act if act is not Act.OPEN]),
    amount=st.sampled_from((0, 2, 40, 42)),
    delivered=st.integers(0, 6),
    days=st.sampled_from((0, 0, 1, 8)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(SAID, max_size=12), by=st.sampled_from((A, B)))
def test_whatever_is_said_at_once_both_sides_hold_the_same_steps(steps: list[Said], by: int) -> None:
    three = coordinated()
    dispute = disputed(three, moved(three), by)
    for said in steps:
        evidence = b"e" * 32 if said.act is Act.EVIDENCE else b""
        answer = three.regions[said.by].do(word(dispute, said.act, amount=said.amount, evidence=evidence))[0]
        assert not isinstance(answer, Exception) or isinstance(answer, Refused), answer
        three.collect()
        for _ in range(min(said.delivered, len(three.wire))):
            three.deliver()
        if said.days:
            three.pump()  # a message that is days under way is not taken
            later(three, said.days)
    three.pump()
    three.regions[A].one(SweepDisputes())
    three.pump()
    if agree(three, dispute) in OPEN:
        assert points(three.regions[B], "B") == (0, 60, 0)
    else:
        assert at(three, B, dispute).hold is None
    sound(three)
