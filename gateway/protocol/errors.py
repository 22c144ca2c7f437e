"""Errors of the protocol, split by blame.

ProtocolError
├── PeerFault            the other side broke a rule; nothing was committed
│   ├── Malformed        bytes that do not parse or do not lead where they claim
│   ├── Unauthentic      a signature, key, certificate or domain that does not hold
│   ├── Contradicted     a receipt that is not for a prefix of my log: evidence
│   ├── SkewedClock      signed too far from the receiver's clock
│   └── TooLarge         over a limit
├── Refused              a business refusal, with its reason; frozen for ever
└── OwnFault             this side is about to break a rule; stop
    ├── Restored         the peer holds more of my log than I do
    ├── Abandoned        this database is part of a history that was left
    └── Doubled          another instance runs under this node's key
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.protocol.values import Reason


class ProtocolError(Exception):
    """Base of all errors of this package."""


class PeerFault(ProtocolError):
    """The other side broke a rule. Nothing of its message was committed."""


class Malformed(PeerFault):
    """Bytes that do not parse, break a field rule, or do not lead to the root that was signed."""


class Unauthentic(PeerFault):
    """A signature, key, certificate, federation, environment or address that does not hold."""


class Contradicted(PeerFault):
    """A signed receipt of the epoch that runs, and not for a prefix of my log: to be kept as evidence."""


class SkewedClock(PeerFault):
    """Signed more than the allowed skew from the receiver's clock: a fault of transport, tried again."""


class TooLarge(PeerFault):
    """Over a limit of :mod:`gateway.protocol.limits`."""


class Refused(ProtocolError):
    """A business refusal. It is an answer, not a failure: the same request gets the same refusal for ever."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.name}: {detail}" if detail else reason.name)
        self.reason = reason
        self.detail = detail


class OwnFault(ProtocolError):
    """This node is about to contradict itself."""


class Restored(OwnFault):
    """The peer holds what this node no longer knows it said."""


class Abandoned(OwnFault):
    """This node and the peer hold different histories below what both once agreed on: the backup is of a history that
    was left, or the peer contradicts itself."""


class Doubled(OwnFault):
    """Another instance has started as this region while this one runs: two would sign for one."""
