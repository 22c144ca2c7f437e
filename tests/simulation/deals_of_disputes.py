"""Disputes: opened about anything there is, carried on out of turn, and ended by the parties or by a third region."""

from __future__ import annotations

from typing import Any

from gateway.protocol.dispute import MOVES, Act, Matter, State
from node.services.dispute.ends import SweepDisputes
from node.services.dispute.steps import Open, Say
from tests.simulation.dealers import ACTS, ENDS, Dealer
from tests.simulation.region import Job

_ABOUT: list[tuple[int, Matter, str]] = [
    (6, Matter.TRANSFER, "SELECT CASE WHEN source = {me} THEN destination ELSE source END, id, 0 FROM transfer "
                         "WHERE state IN (2, 12, 13) ORDER BY no DESC LIMIT 8"),
    (2, Matter.AUTHORISATION, "SELECT CASE WHEN holder = {me} THEN counter ELSE holder END, id, 0 FROM authorisation "
                              "WHERE captured > 0 ORDER BY id LIMIT 8"),
    (2, Matter.CLAIM, "SELECT peer, id, cause FROM claim ORDER BY no DESC LIMIT 8"),
    (1, Matter.CLAWBACK, "SELECT peer, id, 0 FROM clawback WHERE peer <> {me} ORDER BY id LIMIT 8"),
    (1, Matter.ATTESTATION, "SELECT peer, id, 0 FROM attestation ORDER BY id LIMIT 8"),
]  # fmt: skip


def open_(d: Dealer) -> Job | None:
    """Also what is disputed already, or settled."""
    weights = [weight for weight, _, _ in _ABOUT]
    _, matter, sql = d.chance.choices(_ABOUT, weights)[0]
    found = d.rows(sql.format(me=d.region.code))
    if not found:
        return None
    peer, id_, cause = d.chance.choice(found)
    return d.say(
        Open(
            **d.key(), peer=peer, matter=matter, id=id_, cause=cause, amount=d.chance.choice([0, 0, 0, 1, 2]),
            reference="案卷 7",
        )
    )  # fmt: skip


def _open_ones(d: Dealer) -> list[Any]:
    return d.rows("SELECT id, state, amount, opened_by, respondent FROM dispute WHERE state < 11 ORDER BY id")


def step(d: Dealer) -> Job | None:
    """Mostly one that fits; by a party or by the third."""
    found = _open_ones(d)
    if not found:
        return None
    id_, state, amount, *_ = d.chance.choice(found)
    fitting = [act for before, act in MOVES if before == state] or [Act.CONTEST]
    act = d.chance.choice(fitting if d.chance.random() < 0.9 else list(Act)[1:])
    said = amount if d.chance.random() < 0.4 else d.chance.randint(1, amount + 1) if amount else 0
    amounts = {Act.PROPOSE: said, Act.OPINION: said, Act.AWARD: said}
    evidence = d.chance.randbytes(32) if act is Act.EVIDENCE else b""
    return d.say(Say(**d.key(), dispute=id_, act=act, amount=amounts.get(act, 0), evidence=evidence))


def end_disputes(d: Dealer) -> None:
    """Whoever may ends them."""
    for id_, state, _, opened_by, respondent in _open_ones(d):
        gives_in = id_[0] % 2  # one of the two does
        if d.region.code == opened_by and gives_in and (State(state), Act.WITHDRAW) in MOVES:
            d.say(Say(**d.key(), dispute=id_, act=Act.WITHDRAW))
        elif d.region.code == respondent and not gives_in:
            d.say(Say(**d.key(), dispute=id_, act=Act.CONCEDE))
        elif state == State.ARBITRATION:
            d.say(Say(**d.key(), dispute=id_, act=d.chance.choice([Act.UPHOLD, Act.REJECT])))
    d.region.inbox.append(Job(command=SweepDisputes()))


ACTS += [(open_, 6), (step, 22), (lambda d: d.say(SweepDisputes()), 1)]
ENDS.append(end_disputes)
