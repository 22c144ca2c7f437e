"""A transfer as one region keeps it: one row, outgoing or incoming."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.transfer import State


@dataclass(slots=True)
class Transfer:
    """The row, in the order of its columns. Only state, reason, hold, offered, answered and decided_ms ever change."""

    no: int
    id: bytes
    source: int
    destination: int
    state: State
    reason: int
    digest: bytes  # of the order (outgoing), the frame's commitment (incoming)
    client_key: str | None
    balance: int | None  # the resident's, at this region
    category: str
    amount: int
    becomes: str
    arriving: int
    rate_p: int
    rate_q: int
    purpose: int
    cites: bytes | None
    hold: int | None  # the posting that holds (outgoing) or credits (incoming)
    offered: int | None
    answered: int | None
    address: bytes | None
    at_ms: int
    decided_ms: int | None
