"""Envelopes on their way from A to B for tests: sent, taken, refused."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.protocol import address as addresses
from gateway.protocol.errors import Malformed
from gateway.protocol.values import Delivered, Envelope, Fault
from gateway.transport import messages as wire
from tests.federation import Pair, TestRegion
from tests.services.ledger import order, resident, rows

A, B, C = 330100, 330200, 330600
MINUTES = 60_000


def ends(made: Pair) -> tuple[TestRegion, TestRegion]:
    """A with 100 points for somebody, B with an account to receive them."""
    a, b = made.regions[A], made.regions[B]
    resident(a, "A", 100)
    resident(b, "B")
    return a, b


def alias_of(text: str) -> bytes:
    return addresses.read(text).alias


def sent(a: TestRegion, to: str, *amounts: int) -> bytes:
    """An envelope with offers, as it goes on the wire."""
    a.do(*(order(to, amount) for amount in amounts))
    parcel = a.exchange.parcel(a.writer.channels[B])
    assert parcel is not None
    return wire.encode(parcel)


def read(message: bytes) -> Envelope:
    decoded = wire.decode(message)
    assert isinstance(decoded, Envelope)
    return decoded


def refused(region: TestRegion, message: Any, error: type[Exception], match: str = ".") -> None:
    """The envelope is refused with this error, and no table of the region changes."""
    before = rows(region)
    with pytest.raises(error, match=match):
        _hear(region, message)
    assert rows(region) == before


def _hear(region: TestRegion, message: Any) -> None:
    for said in region.hear(A, message):
        if isinstance(said, Fault):  # what goes back on the stream, which goes on
            raise Malformed(said.what)


def arrives(a: TestRegion, b: TestRegion, message: bytes) -> None:
    """The same envelope, undamaged, is taken."""
    (delivered,) = b.hear(A, read(message))
    assert isinstance(delivered, Delivered)
    assert b.writer.channels[A].held == a.writer.channels[B].size
