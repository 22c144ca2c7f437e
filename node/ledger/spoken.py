"""Which message of a log is the one that a journal decided next.

They stand in the order in which they were decided, but where a region was restored: what it had decided and not
numbered yet then comes behind what its peer gave back.
"""

from __future__ import annotations

from collections import deque

from gateway.protocol.values import Kind
from node.ledger.sources import Logs, Message

_Key = tuple[int, bool, bytes]


class Spoken:
    """Per peer, how far its messages have been found. `overtaking` says which were not the next ones."""

    def __init__(self, logs: Logs) -> None:
        self.said: dict[int, int] = {}  # peer -> messages said to it so far
        self.overtaking: list[str] = []
        self._logs = logs
        self._overtaken: dict[int, dict[_Key, deque[tuple[int, Message]]]] = {}

    def next(self, peer: int, kind: Kind, reply: bool, id_: bytes) -> tuple[int, Message | None]:
        """The place of this message and the message; None where it is not to be found, and the place it should have."""
        found = self._overtaken.get(peer, {}).get((kind, reply, id_))
        if found:
            return found.popleft()
        first = at = self._logs.owned(peer, self.said.get(peer, 0))
        message = self._logs.said(peer, at)
        if message is None or is_it(message, kind, reply, id_):
            self.said[peer] = at + 1
            return at, message
        self.overtaking.append(f"number {first} to {peer} is not the {kind.name} {id_.hex()} that was decided")
        while message is not None and not is_it(message, kind, reply, id_):
            key = (message.kind, message.reply, message.id)
            self._overtaken.setdefault(peer, {}).setdefault(key, deque()).append((at, message))
            at = self._logs.owned(peer, at + 1)
            message = self._logs.said(peer, at)
        self.said[peer] = at + (message is not None)
        return at, message

    def undecided(self) -> list[str]:
        """What stands in a log and was not decided, once the journal has ended."""
        return [
            f"number {at} to {peer} was never decided"
            for peer, messages in self._overtaken.items()
            for places in messages.values()
            for at, _ in places
        ]


def is_it(message: Message, kind: Kind, reply: bool, id_: bytes) -> bool:
    """Whether this is the message; in the place of an offer taken back before it was numbered stands a cancel."""
    if kind == Kind.OFFER and (message.kind, message.reply, message.id) == (Kind.CANCEL, False, id_):
        return True
    return (message.kind, message.reply, message.id) == (kind, reply, id_)
