"""Who may open a stream: the certificate, the roster and the first words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.ports import Peer
from gateway.protocol.errors import Malformed, Unauthentic
from gateway.protocol.values import Hello, Message, Status
from gateway.transport.errors import Denied, NoOverlap
from gateway.transport.messages import Unknown


def member(peers: Mapping[int, Peer], code: int, presented: tuple[bytes, ...]) -> Peer:
    """The region `code`, if every certificate in `presented` (DER) is one of its carriers'. Raises Denied.

    The certificate itself must be in the roster: nothing that it, or any other, has signed is good enough.
    """
    peer = peers.get(code)
    if peer is None:
        raise Denied("REGION_UNKNOWN", f"region {code} is no other region of the roster in force here")
    if peer.status is Status.WITHDRAWN:
        raise Denied("REGION_WITHDRAWN", f"region {code} has withdrawn")
    if not presented or any(certificate not in peer.certificates for certificate in presented):
        raise Denied("NOT_A_CARRIER", f"the certificate presented is of no carrier of region {code}")
    return peer


def carried_by(peers: Mapping[int, Peer], certificate: bytes) -> Sequence[int]:
    """The regions that are met under this certificate, in order: one, several for a carrier, none for a stranger."""
    return sorted(code for code, peer in peers.items() if certificate in peer.certificates)


def first_words(message: Message | Unknown) -> Hello:
    """The Hello that every stream begins with. Raises Malformed for anything else."""
    if not isinstance(message, Hello):
        raise Malformed("a stream begins with Hello")
    return message


def agree(mine: Hello, theirs: Hello) -> None:
    """Whether the two sides speak of the same federation in a common language. Raises Unauthentic or NoOverlap."""
    if theirs.destination != mine.source:
        raise Unauthentic(f"Hello is for region {theirs.destination}; this is region {mine.source}")
    if theirs.source != mine.destination:
        raise Unauthentic(f"Hello is from region {theirs.source}; region {mine.destination} was expected")
    if theirs.federation != mine.federation:
        raise Unauthentic("Hello names another federation")
    if theirs.environment != mine.environment:
        raise Unauthentic(f"Hello is of environment {theirs.environment!r}; this is {mine.environment!r}")
    if not set(theirs.versions) & set(mine.versions):
        sides = {"yours": ",".join(map(str, theirs.versions)), "mine": ",".join(map(str, mine.versions))}
        raise NoOverlap(
            "NO_COMMON_VERSION", f"no common protocol version: yours {sides['yours']}, mine {sides['mine']}", sides
        )
    if not set(theirs.suites) & set(mine.suites):
        sides = {"yours": ",".join(theirs.suites), "mine": ",".join(mine.suites)}
        raise NoOverlap("NO_COMMON_SUITE", f"no common suite: yours {sides['yours']}, mine {sides['mine']}", sides)
