"""Two instances with one key: one of them stops for good, and says so; the other works on."""

from __future__ import annotations

import copy
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol import codec, handshake
from gateway.protocol.channel import is_open
from gateway.protocol.values import Epoch, Stale
from node.errors import Stopped
from node.services.handshake import Begin, Hear
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair
from tests.services.ledger import address, ledger, order, points, resident

A, B, C = 330100, 330200, 330600


def twin_of(region: TestRegion, directory: Path) -> TestRegion:
    """A second process of the region over a copy of its database, under the same key."""
    path = directory / "copy.sqlite"
    with region.store.read() as conn:
        mine: Any = conn.connection.dbapi_connection
        with sqlite3.connect(path) as other:
            mine.backup(other)
        other.close()
    twin = copy.copy(region)
    twin.office = copy.copy(region.office)
    twin.store = open_store(f"sqlite:///{path}")
    twin.start()
    return twin


def start(made: Pair, twin: TestRegion) -> None:
    """The twin starts, while the first instance is not listening."""
    first = made.regions[twin.code]
    made.regions[twin.code] = twin
    made.open()
    made.regions[twin.code] = first


def test_of_two_instances_with_one_key_exactly_one_works_on(tmp_path: Path) -> None:
    made = pair((A, B, C))
    a, b, c = made.regions[A], made.regions[B], made.regions[C]
    resident(a, "A", 100)
    resident(b, "B")
    to = address(b, "B")
    twin = twin_of(a, tmp_path)
    start(made, twin)
    a.one(order(to, 3))
    made.pump()  # its envelope is answered Stale
    assert a.office.doubled
    before = ledger(a)
    assert isinstance(a.do(order(to, 4))[0], Stopped)
    assert ledger(a) == before
    for peer in (B, C):
        assert not is_open(a.writer.channels[peer]), "nothing is sealed for anybody any more"
        assert a.exchange.parcel(a.writer.channels[peer]) is None
    assert isinstance(a.do(Begin(peer=C))[0], Stopped), "nor does it fence the other instance"
    made.regions[A] = twin
    twin.one(order(to, 5))
    made.pump()
    assert (points(b, "B"), twin.office.doubled) == ((5, 0, 0), False)
    assert is_open(c.writer.channels[A])


def test_an_instance_with_nothing_to_send_hears_of_it_when_it_asks(tmp_path: Path) -> None:
    made = pair((A, B))
    a = made.regions[A]
    start(made, twin_of(a, tmp_path))
    made.send(A, B, a.say(B, Begin(peer=B)))  # Ask, as at every tick
    made.pump()
    assert a.office.doubled


def test_the_instance_that_is_started_anew_takes_over(tmp_path: Path) -> None:
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    resident(a, "A", 100)
    resident(b, "B")
    to = address(b, "B")
    twin = twin_of(a, tmp_path)
    start(made, twin)
    a.do(order(to, 3))
    made.pump()
    assert a.office.doubled
    made.restart(A)
    made.pump()
    assert points(b, "B") == (3, 0, 0), "what waited unnumbered goes now"
    made.regions[A] = twin
    made.send(A, B, twin.say(B, Begin(peer=B)))
    made.pump()
    assert (twin.office.doubled, a.office.doubled) == (True, False)


@pytest.mark.parametrize("ahead", [1, 10_000])
def test_a_late_stale_about_an_incarnation_that_is_over_stops_nobody(ahead: int) -> None:
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    over = a.writer.channels[B].epoch
    made.restart(A)
    known = Epoch(a.writer.channels[B].epoch.number + ahead, 1)
    a.one(Hear(peer=B, message=Stale(log=b.writer.channels[A].out, echo=over, known=known)))
    assert not a.office.doubled
    assert is_open(a.writer.channels[B])


def test_a_stale_during_the_own_start_stops_nobody() -> None:
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    before = a.writer.channels[B].epoch
    a.start()
    a.one(Begin(peer=B))
    for echo in (before, a.writer.channels[B].proposal):
        a.one(Hear(peer=B, message=Stale(log=b.writer.channels[A].out, echo=echo, known=Epoch(before.number + 9, 1))))
    made.open()
    assert not a.office.doubled
    assert is_open(a.writer.channels[B])


def test_a_peer_that_has_forgotten_the_running_epoch_is_told_anew() -> None:
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    running = a.writer.channels[B].epoch
    stale = Stale(log=b.writer.channels[A].out, echo=running, known=Epoch(running.number - 9, 1))
    made.send(B, A, b.exchange.answers(b.writer.channels[A], stale))
    made.pump()
    assert not a.office.doubled
    assert a.writer.channels[B].epoch.number > running.number
    assert is_open(a.writer.channels[B])


def test_a_late_question_of_an_incarnation_that_is_over_is_answered_and_forgotten() -> None:
    made = pair((A, B))
    a = made.regions[A]
    late = a.say(B, Begin(peer=B))
    made.restart(A)
    made.send(A, B, late)
    made.pump()
    assert not a.office.doubled


@pytest.mark.parametrize("proof", ["none", "forged", "old", "of another log"])
def test_a_peer_that_only_says_so_stops_no_region(proof: str) -> None:
    """A lie costs the channel with the liar a new start, and nobody else anything."""
    made = pair((A, B, C))
    a, b = made.regions[A], made.regions[B]
    channel = a.writer.channels[B]
    known = Epoch(channel.epoch.number + 5, 1)
    truth = replace(handshake.resume(channel), epoch=known)
    signer, said = {
        "none": (None, truth),
        "forged": (b, truth),
        "old": (a, replace(truth, epoch=Epoch(channel.epoch.number - 1, 1))),
        "of another log": (a, replace(truth, log=a.office.log_to(C))),
    }[proof]
    resume = b""
    if signer is not None:
        signed = signer.office.signing_key.sign(codec.RESUME, codec.encode_payload(said))
        resume = codec.encode_signed(signed)
    lie = Stale(log=b.writer.channels[A].out, echo=channel.epoch, known=known, resume=resume)
    signed_lie = b.office.signing_key.sign(codec.STALE, codec.encode_payload(lie))
    made.send(B, A, [signed_lie])
    made.pump()
    assert not a.office.doubled
    assert is_open(a.writer.channels[C])
    assert is_open(a.writer.channels[B])


def test_a_peer_that_has_restarted_since_still_leaves_one_of_two_instances_working(tmp_path: Path) -> None:
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    resident(a, "A", 100)
    resident(b, "B")
    to = address(b, "B")
    twin = twin_of(a, tmp_path)
    start(made, twin)
    b.exchange = type(b.exchange)(b.office, b.store)  # it has forgotten what proves the twin's start
    b.writer.on_sealed(b.exchange.sending.sealed)
    a.one(order(to, 3))
    made.pump()
    assert not a.office.doubled
    made.regions[A] = twin
    twin.one(order(to, 4))
    made.pump()
    assert (a.office.doubled, twin.office.doubled) == (False, True)
