"""One peer's envelopes do not keep the others' out of a batch, and keep their own order."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import limits
from gateway.protocol.merkle import EMPTY_ROOT
from gateway.protocol.values import Epoch, Frame, Head, Kind, Log
from node.services.handshake import Begin
from node.services.receive import Receive
from node.services.writer import FRAMES_PER_PEER, shared_out

Job = tuple[list[Any], "Future[list[Any]]"]
FRAME = Frame(Kind.OFFER, False, bytes(16), 0, 1, "moral", 1, "moral", 1, bytes(32))


def envelope(peer: int, frames: int, number: int = 0) -> Receive:
    log = Log(federation=bytes(32), environment="test", source=peer, destination=1, generation=1)
    head = Head(
        log=log, epoch=Epoch(1, 1), first=number, first_root=EMPTY_ROOT, size=number + frames, root=EMPTY_ROOT,
        suite="", roster_version=1, signed_at_ms=0,
    )  # fmt: skip
    many = (b"",) * frames
    return Receive(peer=peer, head=head, signed=b"", raw=many, frames=(FRAME,) * frames, bodies=many, parsed=many)


ENVELOPES = st.lists(
    st.builds(envelope, st.integers(1, 4), st.integers(1, limits.FRAMES_PER_ENVELOPE), st.integers(0, 99)), max_size=30
)


def jobs(commands: list[Any]) -> list[Job]:
    return [([command], Future()) for command in commands]


@given(ENVELOPES)
def test_a_peer_has_its_share_of_a_batch_and_no_more(envelopes: list[Receive]) -> None:
    now, _ = shared_out(jobs(envelopes))
    for peer in {e.peer for e in envelopes}:
        mine = [len(c.frames) for (c,), _ in now if c.peer == peer]
        assert mine, "its first envelope is always taken"
        assert sum(mine) <= FRAMES_PER_PEER or len(mine) == 1


@given(ENVELOPES)
def test_nothing_is_lost_and_each_peers_order_is_kept(envelopes: list[Receive]) -> None:
    waiting, done = jobs(envelopes), list[Receive]()
    while waiting:
        now, waiting = shared_out(waiting)
        done += [command for (command,), _ in now]
    for peer in {e.peer for e in envelopes}:
        assert [e for e in done if e.peer == peer] == [e for e in envelopes if e.peer == peer]


@given(ENVELOPES)
def test_what_is_no_envelope_never_waits(envelopes: list[Receive]) -> None:
    commands = [c for e in envelopes for c in (e, Begin(peer=e.peer))]
    _, later = shared_out(jobs(commands))
    assert all(isinstance(command, Receive) for (command,), _ in later)
