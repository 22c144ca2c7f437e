"""Starts over a slow or forgetful network."""

from __future__ import annotations

from typing import Any

from gateway.protocol.channel import is_open
from gateway.protocol.values import Message
from node.services.handshake import Begin
from tests.federation import TestRegion, found_federation

A, B = 330100, 330200


def pair() -> tuple[TestRegion, TestRegion]:
    roster = found_federation([A, B])
    return TestRegion(A, roster, {}), TestRegion(B, roster, {})


def deliver(to: TestRegion, source: int, messages: list[Message]) -> list[Message]:
    return [answer for message in messages for answer in to.hear(source, message)]


def test_a_peer_slower_than_the_repetition_still_lets_a_region_start() -> None:
    a, b = pair()
    first = a.say(B, Begin(peer=B))
    fenced = deliver(b, A, first)  # on its way for a long time
    for _ in range(5):
        a.clock.now_ms += 2000
        a.say(B, Begin(peer=B))
    deliver(a, B, fenced)
    assert a.writer.channels[B].ready


def test_a_region_starts_although_the_answer_to_its_first_proposal_is_lost() -> None:
    a, b = pair()
    deliver(b, A, a.say(B, Begin(peer=B)))
    again = a.say(B, Begin(peer=B))
    for _ in range(4):
        again = deliver(a, B, deliver(b, A, again))
    assert a.writer.channels[B].ready


def test_both_start_at_once_and_open_with_repetitions_crossing() -> None:
    a, b = pair()
    for_b: list[Any] = []
    for_a: list[Any] = []
    for _ in range(6):
        for_b += a.say(B, Begin(peer=B))
        for_a += b.say(A, Begin(peer=A))
        from_b, from_a = deliver(b, A, for_b), deliver(a, B, for_a)
        for_a, for_b = from_b, from_a
    assert is_open(a.writer.channels[B])
    assert is_open(b.writer.channels[A])
