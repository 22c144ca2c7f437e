"""What a replay reads besides the journal: the logs of the channels."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A frame of a log, or a message that still waits for its number."""

    kind: int
    reply: bool
    id: bytes
    category: str
    amount: int
    becomes: str
    arriving: int
    commitment: bytes
    body: bytes  # empty when it was erased


class Logs(Protocol):
    """The logs of the channels, each read once from its beginning."""

    def said(self, peer: int, number: int) -> Message | None:
        """What this region said to a peer, in order: its log, then its outbox. None where that ends."""
        ...

    def heard(self, peer: int, number: int) -> Message | None:
        """What the peer said. None where its log ends."""
        ...

    def owned(self, peer: int, number: int) -> int:
        """`number`, or the next after it that this region has not disowned in a repair."""
        ...

    def numbered(self, peer: int) -> int:
        """How many frames the log to a peer has."""
        ...

    def final(self, peer: int) -> int:
        """The prefix of that log that the peer is known to hold."""
        ...
