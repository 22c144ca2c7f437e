"""What two regions said about agreements, in the order of the journal: the few messages that matter to them."""

from __future__ import annotations

from typing import NamedTuple

from gateway.protocol import codec
from gateway.protocol.errors import ProtocolError
from gateway.protocol.values import Kind, Reason
from node.ledger.sources import Message

_REQUESTS = frozenset({int(Kind.PROPOSE), int(Kind.NOTICE)})
_REPLIES = frozenset({int(Kind.COUNTERSIGN), int(Kind.REFUSE)})


class Paper(NamedTuple):
    """One message. `reason`: of a refusal."""

    peer: int
    by: int
    kind: int
    id: bytes
    body: bytes
    reason: int


class Papers:
    """Collects them as a replay comes by."""

    def __init__(self, me: int) -> None:
        self.found: list[Paper] = []
        self._me = me
        self._requests: dict[tuple[int, bool, bytes], int] = {}  # (peer, mine, id) -> how often it was used

    def said(self, peer: int, message: Message) -> None:
        """This region's next message to a peer."""
        self._take(peer, self._me, message)

    def heard(self, peer: int, message: Message) -> None:
        """A peer's next message."""
        self._take(peer, peer, message)

    def _take(self, peer: int, by: int, message: Message) -> None:
        if not message.reply and message.kind in _REQUESTS:
            key = (peer, by == self._me, message.id)
            self._requests[key] = self._requests.get(key, 0) + 1
            self.found.append(Paper(peer, by, message.kind, message.id, message.body, 0))
        elif message.reply and message.kind in _REPLIES and self._requests:
            uses = self._requests.get((peer, by != self._me, message.id), 0)
            reason = _reason(message) if message.kind == Kind.REFUSE else 0
            # An id that is used again is refused for that, whatever becomes of its first use.
            if uses and not (uses > 1 and reason == Reason.CONFLICT_DIFFERENT_CONTENT):
                self.found.append(Paper(peer, by, message.kind, message.id, message.body, reason))


def _reason(message: Message) -> int:
    try:
        return codec.decode_refuse(message.body) if message.body else 0
    except ProtocolError:
        return int(Reason.MALFORMED_BODY)
