"""A peer that contradicts itself, and a node that forgot: that one channel stops, and everything else goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol import channel as channels
from gateway.protocol import codec, merkle
from gateway.protocol.channel import Condition
from gateway.protocol.values import Draft, NotReady
from node.services.handshake import Begin
from tests.federation import Pair, TestRegion, signing_key
from tests.services.conftest import Regions
from tests.services.delivery import A, B, C, alias_of, ends
from tests.services.ledger import address, envelope, forge, ledger, offer, order, points, resident, rows

ROOT = Path(__file__).resolve().parents[2]


def condition(region: TestRegion, peer: int) -> Condition:
    return region.writer.channels[peer].condition


def checked(file: Path, *more: str) -> dict[str, Any]:
    """What `python -m gateway verify` says of a file."""
    run = subprocess.run(
        [sys.executable, "-m", "gateway", "verify", "--json", *more, str(file)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(run.stdout)
    assert run.returncode == (0 if said["holds"] else 1)
    return said


def three(regions: Regions) -> tuple[Pair, TestRegion, TestRegion]:
    made = regions((A, B, C))
    a, b = ends(made)
    resident(made.regions[C], "C", 100)
    return made, a, b


# -- forks ------------------------------------------------------------------------------------------------------------

Lie = Callable[[TestRegion, list[Draft], list[Draft]], Any]


def other_history(a: TestRegion, told: list[Draft], lie: list[Draft]) -> Any:
    """The same numbers again with other messages."""
    return forge(a, B, lie)


def other_history_and_more(a: TestRegion, told: list[Draft], lie: list[Draft]) -> Any:
    """A longer log that does not contain what was said before."""
    return forge(a, B, [*lie, *told, *lie])


def other_beginning(a: TestRegion, told: list[Draft], lie: list[Draft]) -> Any:
    """What follows, after a prefix that was never told."""
    channel = a.writer.channels[B]
    _, sealed = channels.seal(channel, lie)
    before = channel.out_frontier.extend(merkle.leaf_hashes(sealed.frames))
    frames = [codec.encode_frame(draft, 0, channel.epoch.number) for draft in told]
    return envelope(a, B, frames, [draft.body for draft in told], before)


@pytest.mark.parametrize("lie", [other_history, other_history_and_more, other_beginning])
def test_a_fork_is_proved_and_stops_that_channel_only(regions: Regions, tmp_path: Path, lie: Lie) -> None:
    made, a, b = three(regions)
    c = made.regions[C]
    to = alias_of(address(b, "B"))
    told = [offer(to, 10, id_=b"the truth, first")]
    b.hear(A, forge(a, B, told))
    assert points(b, "B") == (0, 0, 10)
    before = ledger(b)
    assert b.hear(A, lie(a, told, [offer(to, 90, id_=b"a lie, later on.")])) == [NotReady()]
    assert ledger(b) == before
    assert condition(b, A) is Condition.QUARANTINED

    ((_, peer, _, file),) = rows(b, "evidence")["evidence"]
    assert peer == A
    evidence = tmp_path / "evidence.json"
    evidence.write_bytes(file)
    assert checked(evidence, "--federation", b.office.roster.federation.hex())["holds"]
    assert not checked(evidence, "--federation", "00" * 32)["holds"]

    # That channel takes nothing any more, whatever it is, and across a restart.
    b.hear(A, forge(a, B, told))
    b.start()
    assert condition(b, A) is Condition.QUARANTINED
    assert b.say(A, Begin(peer=A)) == []
    assert ledger(b) == before

    # All the others do.
    connect(b, c)
    c.one(order(address(b, "B"), 30, account="C"))
    Pair(b, c).pump()
    assert points(c, "C") == (70, 0, 0)
    assert points(b, "B") == (30, 0, 10)


def connect(one: TestRegion, other: TestRegion) -> None:
    """The handshake between these two, and what they have to say until both are silent; nobody else speaks."""
    two = Pair(one, other)
    for region, peer in ((one, other.code), (other, one.code)):
        two.send(region.code, peer, region.say(peer, Begin(peer=peer)))
        while two.wire:
            two.deliver()
    two.pump()


def test_frames_that_lead_nowhere_are_no_fork(regions: Regions) -> None:
    """Only what its own key signed may cost a peer its channel."""
    _, a, b = three(regions)
    to = alias_of(address(b, "B"))
    b.hear(A, forge(a, B, [offer(to, 10)]))
    lie = forge(a, B, [offer(to, 90)], signer=signing_key("somebody else"))
    with pytest.raises(Exception, match="no valid key"):
        b.hear(A, lie)
    wrong = forge(a, B, [offer(to, 10), offer(to, 11, id_=b"another transfer")])
    twisted = replace(wrong, frames=(wrong.frames[0], wrong.frames[1][:-1] + b"\0"))
    (fault,) = b.hear(A, twisted)
    assert "do not lead to the signed root" in fault.what  # type: ignore[union-attr]
    assert condition(b, A) is Condition.OPEN


def test_a_fork_in_an_older_epoch_is_none(regions: Regions) -> None:
    """What an older incarnation sent and the fence took back may be sealed again in other words."""
    made, a, b = three(regions)
    to = address(b, "B")
    a.one(order(to, 10))
    lost = a.exchange.parcel(a.writer.channels[B])
    assert lost is not None
    a.one(order(to, 20))
    made.restart(A)
    assert condition(b, A) is Condition.OPEN
    assert (points(a, "A"), points(b, "B")) == ((70, 0, 0), (30, 0, 0))
