"""What the courier knows of each peer: the stream that stands, the dialling under way, the back-off."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.ports import BackOff
from gateway.protocol.buckets import Allowance
from gateway.transport.conversation import Conversation


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How things stand with one peer, for display."""

    connected: bool
    dialled_by: int  # region code; 0 without a stream
    since_ms: int  # Unix milliseconds; 0 without a stream
    dialling: bool  # a dial is under way or waits for its back-off
    back_off: BackOff
    throttled_since_ms: int = 0  # Unix milliseconds; 0 when the peer is not throttled
    throttled_for: tuple[str, ...] = ()  # kinds of cost
    over: Mapping[str, int] = field(default_factory=dict)  # per kind, what was taken too much, since the start


class Link:
    """The mutable state of one peer. Belongs to the courier's event loop."""

    def __init__(self, code: int, back_off: BackOff) -> None:
        self.code = code
        self.back_off = back_off
        self.conversation: Conversation | None = None
        # Of the latest conversation; it ends after all before it, with what ended it.
        self.task: asyncio.Task[Exception | None] | None = None
        self.dialling: asyncio.Task[None] | None = None
        self.hurry = asyncio.Event()  # look again whether to wait any longer

    def stands(self) -> bool:
        """Whether there is a stream."""
        return self.conversation is not None

    def standing(self, allowance: Allowance, now_ms: int) -> Standing:
        """A picture of this moment."""
        episodes = allowance.episodes()
        since_s = min((episode.since_s for episode in episodes), default=0.0)
        return Standing(
            connected=self.conversation is not None,
            dialled_by=self.conversation.dialled_by if self.conversation else 0,
            since_ms=self.conversation.since_ms if self.conversation else 0,
            dialling=self.dialling is not None,
            back_off=self.back_off,
            throttled_since_ms=now_ms - int((allowance.clock() - since_s) * 1000) if episodes else 0,
            throttled_for=tuple(str(episode.what) for episode in episodes),
            over={str(what): amount for what, amount in allowance.over.items()},
        )


def outranks(new: Conversation, old: Conversation) -> bool:
    """Which of two streams stays, equal on both sides: the lower code's, and of one side's streams the newer."""
    return new.dialled_by <= old.dialled_by
