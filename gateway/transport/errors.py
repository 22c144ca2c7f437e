"""Errors of the transport, split by blame; what the peer broke in the protocol is in :mod:`gateway.protocol.errors`.

ProtocolError
├── PeerFault
│   ├── Unauthentic
│   │   └── Denied       a certificate that may not speak for the region named, or a region that is no member
│   └── NoOverlap        no protocol version or no suite that both sides can use
TransportError
├── BadMaterial          this side's own key and certificate cannot be used
├── Ended                the other side, or the network, ended the stream; says with which status
├── Outdone              another stream with the same peer stands and is the one that stays
├── Stopping             this side is going down
└── Throttled            the other side has cost more than it may; says when it may come back
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import grpc

from gateway.protocol.errors import PeerFault, ProtocolError, Unauthentic


class Denied(Unauthentic):
    """The certificate presented is none of the region's carriers', or the region is not a member."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class NoOverlap(PeerFault):
    """The two sides have nothing in common of what is named by `rule`."""

    def __init__(self, rule: str, message: str, sides: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.rule = rule
        self.sides = sides


class TransportError(Exception):
    """Base of the transport's own errors."""


class BadMaterial(TransportError):
    """Key and certificate cannot be read, do not belong together, or are of a kind that no peer would accept."""


class Ended(TransportError):
    """The stream is over. `rule` and `retry_after_s` are what the peer attached to its status, if anything."""

    def __init__(self, code: grpc.StatusCode, details: str, rule: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(f"{code.name}: {details}" if details else code.name)
        self.code = code
        self.details = details
        self.rule = rule
        self.retry_after_s = retry_after_s


class Outdone(TransportError):
    """Both sides dialled, and the other stream stays."""


class Throttled(TransportError):
    """The peer has had too much of `what`. It may come back after `retry_after_s` seconds."""

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(f"too many of these: {what}; come back in {retry_after_s:.0f} s")
        self.what = what
        self.retry_after_s = retry_after_s


class Stopping(TransportError):
    """This side takes no new streams because it is going down."""


def describe(error: BaseException) -> str:
    """An error for logs and displays. Of a foreign one only its kind and where it arose: its text, and the values
    around it, may be a resident's."""
    if isinstance(error, TransportError | ProtocolError):
        return str(error) or type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{place}"
