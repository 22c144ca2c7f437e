"""What regions have said about dealings, read in their own logs: a code paid once, consents covered what left, and what
counts as agreed was signed by both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

from gateway.protocol import codec
from gateway.protocol.agreement import life
from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.errors import PeerFault
from gateway.protocol.suite import signers
from gateway.protocol.transfer import State
from gateway.protocol.values import Frame, Kind, Purpose
from tests.federation import signing_key
from tests.simulation import dealt
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def check_said(world: World) -> None:
    """Raises Violation."""
    for code, region in world.regions.items():
        if region.odd:
            continue  # it was made to say what it did not mean
        paid: Counter[tuple[int, bytes]] = Counter()
        granted = {p.id: p.state.name for p in dealt.purchases(world.ledgers[code]) if p.state.name != "REFUSED"}
        for peer, frame, body in _requests(world, code):
            if frame.kind == Kind.AUTHORISE and frame.id in granted:
                paid[peer, bodies.decode_authorise(body).code] += 1
            elif frame.kind == Kind.OFFER:
                _check_consent(world, code, peer, frame, body)
        if paid and max(paid.values()) > 1:
            raise Violation(f"a code paid for {max(paid.values())} purchases at counters of {code}")
    for code, peer in permutations(world.codes, 2):
        _check_signed(world, code, peer)


def _requests(world: World, code: int) -> Iterator[tuple[int, Frame, bytes]]:
    for peer in world.clients[code].peers:
        for frame, body in zip(*world.regions[code].frames(code, peer), strict=True):
            read = codec.decode_frame(frame)
            if not read.reply:
                yield peer, read, body


def _check_consent(world: World, code: int, peer: int, frame: Frame, body: bytes) -> None:
    """What left under an agreement that asks for one had a consent for just that, and not withdrawn before."""
    ledger = world.ledgers[code]
    transfer = ledger.by_id().get((frame.id, code))
    if ledger.restored or transfer is None or transfer.state is not State.POSTED or frame.id in world.invented:
        return
    offer = codec.decode_offer(body)
    if offer.purpose == Purpose.REVERSAL:
        return
    if not offer.consent_digest:
        if (min(code, peer), max(code, peer)) not in world.dealers[code].bargains.signed_first:
            return  # it may have been held under what counted before anything was agreed
        agreed = world.regions[code].office.agreements.dealings(peer).agreed()
        under = [v.agreement for v in agreed if v.agreement.version == offer.terms_version]
        if under and all(a.consent_required for a in under):
            raise Violation(f"{code} offered {frame.id.hex()} without the consent that {peer} and it ask for")
        return
    rows = ledger.region.rows(
        "SELECT c.recipient, c.purpose, c.digest, c.withdrawn_ms IS NULL OR c.withdrawn_ms >= t.at_ms "
        "FROM consent c, transfer t WHERE c.id = ? AND t.id = ? AND t.source = ?",
        bytes.fromhex(offer.consent), frame.id, code,
    )  # fmt: skip
    if rows != [(peer, Purpose(offer.purpose).name.lower(), offer.consent_digest, 1)]:
        raise Violation(f"{code} offered {frame.id.hex()} under a consent that does not cover it: {rows}")


def _check_signed(world: World, code: int, peer: int) -> None:
    agreed = world.regions[code].office.agreements.dealings(peer).agreed()
    for version in agreed:
        for region in (code, peer):
            if not _signed(version, region):
                raise Violation(f"{code} holds version {version.agreement.version} to be agreed, {region} did not sign")
    for first, second in pairwise(sorted(agreed, key=lambda v: (v.agreement.id, v.agreement.version))):
        follows = (first.agreement.version + 1, life.digest_of(first.signed))
        if first.agreement.id == second.agreement.id and follows != (
            second.agreement.version, second.agreement.predecessor,
        ):  # fmt: skip
            raise Violation(f"{code} and {peer} have agreed on a version that does not follow the one before")


def _signed(version: Any, region: int) -> bool:
    try:
        return bool(signers(version.signed, [signing_key(region).verify_key]))
    except PeerFault:
        return False
