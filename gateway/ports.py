"""What a region must offer to the transport, and what the transport offers back.

Few methods; each comment is a contract: what is durable when it returns, what may be repeated, who tries again.
The transport knows streams, certificates and back-off; it never opens a signature nor reads a ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.protocol.buckets import Allowance
from gateway.protocol.values import Hello, Message, Signed, Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Another region as the roster in force describes it."""

    code: int
    endpoint: str  # host:port; empty when only the peer dials
    status: Status
    certificates: tuple[bytes, ...]  # DER: those of the region's carriers, any of which may present its messages


@dataclass(frozen=True, kw_only=True, slots=True)
class BackOff:
    """When a peer is dialled next. Durable, so that a restart does not storm a peer that is down."""

    failures: int = 0
    next_dial_ms: int = 0  # Unix milliseconds
    last_contact_ms: int = 0  # the peer's last authenticated contact
    last_error: str = ""


class Region(Protocol):
    """The region this process serves."""

    def hello(self, peer: int) -> Hello:
        """What to say first on a stream with `peer`."""
        ...

    def peers(self) -> Mapping[int, Peer]:
        """All other regions of the roster in force. Cheap; read anew each time it matters, so reloads take effect."""
        ...

    def allowance(self, peer: int) -> Allowance:
        """What `peer` has cost lately; the same object each time, for the event loop only. The transport charges what
        it can see itself; the region charges repeats, refused frames and malformed messages it answers."""
        ...

    async def opened(self, peer: int) -> Sequence[Message]:
        """A stream with `peer` stands and both have said Hello: what to send first (Resume, or Ask)."""
        ...

    async def hear(self, peer: int, message: Message) -> Sequence[Message]:
        """Take one message in; return what to answer.

        When it returns, whatever the answers claim is durable. The same message may come twice and then gets an equal
        answer. Raises PeerFault where the peer broke a rule (the stream ends with a status that says which; nothing
        was committed), Unavailable-like errors of the region where its database cannot commit (the stream ends with
        UNAVAILABLE; the peer sends again). Calls for one peer are made one after another unless they are envelopes:
        up to ENVELOPES_IN_FLIGHT of those may be under way at once, in the order they came.
        """
        ...

    async def next(self, peer: int) -> Message | None:
        """The next envelope to send on the stream, already committed and signed, or a question that cannot wait for
        `tick`; None when there is nothing to send now or the window is full. What was returned once is not returned
        again until the peer's answers, a new stream or `tick` say that it must be."""
        ...

    async def tick(self, peer: int) -> Sequence[Message]:
        """Called about every HANDSHAKE_RETRY_S while a stream stands: questions whose answers did not come."""
        ...

    def on_work(self, wake: Callable[[int], None]) -> None:
        """Register the one callable to call (from any thread) with a peer's code when `next` may have something."""
        ...

    def back_off(self, peer: int) -> BackOff:
        """The durable back-off of `peer`."""
        ...

    async def keep_back_off(self, peer: int, back_off: BackOff) -> None:
        """Store it. Losing the last one in a crash is harmless."""
        ...

    async def rosters_after(self, have: int) -> tuple[Sequence[Signed], bool]:
        """The signed rosters after version `have`, at most ROSTERS_PER_PAGE, and whether there are more."""
        ...

    async def hear_rosters(self, rosters: Sequence[Signed]) -> None:
        """Take in newer rosters, each verified against the one before it. Raises PeerFault for one that is not."""
        ...
