"""What two regions said about agreements, in the order of the journal: the few messages that matter to them."""

from __future__ import annotations

from typing import NamedTuple

from gateway.protocol import codec, limits
from gateway.protocol.errors import ProtocolError
from gateway.protocol.values import Kind, Reason
from node.ledger.sources import Message

_REQUESTS = frozenset({int(Kind.PROPOSE), int(Kind.NOTICE)})


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
        elif message.reply and self._requests:
            uses = self._requests.get((peer, by != self._me, message.id), 0)
            kind, body, reason = _reply(message) if uses else (0, b"", 0)
            # An id that is used again is refused for that, whatever becomes of its first use.
            if uses and not (uses > 1 and reason == Reason.CONFLICT_DIFFERENT_CONTENT):
                self.found.append(Paper(peer, by, kind, message.id, body, reason))


def _reply(message: Message) -> tuple[int, bytes, int]:
    """Kind, body and reason. What is no refusal counts as a countersignature; if it is none, as an unreadable one."""
    if message.kind == Kind.REFUSE:
        return message.kind, message.body, _reason(message)
    return int(Kind.COUNTERSIGN), message.body if message.kind == Kind.COUNTERSIGN else b"", 0


def _reason(message: Message) -> int:
    """As it was taken when it came: one that no column holds cannot be read."""
    try:
        reason = codec.decode_refuse(message.body) if message.body else 0
    except ProtocolError:
        return int(Reason.MALFORMED_BODY)
    return reason if 0 <= reason <= limits.ENUM_MAX else int(Reason.MALFORMED_BODY)
