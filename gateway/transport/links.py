"""What the courier knows of each peer: the stream that stands, the dialling under way, the back-off."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.ports import BackOff
from gateway.transport.conversation import Conversation


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How things stand with one peer, for display."""

    connected: bool
    dialled_by: int  # region code; 0 without a stream
    since_ms: int  # Unix milliseconds; 0 without a stream
    dialling: bool  # a dial is under way or waits for its back-off
    back_off: BackOff


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

    def standing(self) -> Standing:
        """A picture of this moment."""
        return Standing(
            connected=self.conversation is not None,
            dialled_by=self.conversation.dialled_by if self.conversation else 0,
            since_ms=self.conversation.since_ms if self.conversation else 0,
            dialling=self.dialling is not None,
            back_off=self.back_off,
        )


def outranks(new: Conversation, old: Conversation) -> bool:
    """Which of two streams stays, equal on both sides: the lower code's, and of one side's streams the newer."""
    return new.dialled_by <= old.dialled_by
