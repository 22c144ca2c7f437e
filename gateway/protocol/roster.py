"""The roster: who may speak for whom, and who says so.

Verification follows The Update Framework's root role (https://theupdateframework.github.io/specification/latest/,
5.3): version 1 is trusted because its hash, the federation's id, was agreed; every later one because the threshold of
the version before it and its own threshold signed it. Versions only go up, by one.

A key is never dropped, only revoked, and a region never dropped, only withdrawn: old messages verify for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.protocol import limits
from gateway.protocol.documents import ASSUME, CARD, ROSTER, decode_region, decode_roster, encode_region, encode_roster
from gateway.protocol.errors import Malformed, Unauthentic
from gateway.protocol.members import Anchor, FinalLog, Key, Region, Resolution, Roster, Succession
from gateway.protocol.suite import SigningKey, signers
from gateway.protocol.values import Signed, Status

__all__ = [
    "Anchor", "FinalLog", "Key", "Region", "Resolution", "Roster", "Succession",
    "genesis", "accept_next", "accept_chain", "approvals", "sign", "countersign", "sign_card", "read_card",
]  # fmt: skip


# -- verifying -------------------------------------------------------------------------------------------------------


def genesis(signed: Signed, federation: bytes | None = None) -> Roster:
    """Version 1, verified by its own root keys at its own threshold.

    `federation` is the id agreed out of band; without it the caller must compare `Roster.federation` with what it
    knows, for anyone can sign a first version. Raises Unauthentic or Malformed.
    """
    roster = _decode(signed)
    if roster.version != 1:
        raise Unauthentic(f"this is roster version {roster.version}: begin with version 1, then take each next one")
    if federation is not None and roster.federation != federation:
        raise Unauthentic(
            f"this is federation {roster.federation.hex()}, not {federation.hex()}: "
            "check the id with the federation's keepers before anything else"
        )
    _require_threshold(roster, signed, roster)
    return roster


def accept_next(current: Roster, signed: Signed, now_ms: int | None = None) -> Roster:
    """The version after `current`, once verified against it. Raises Unauthentic or Malformed.

    Root keys are judged at the new version's own date, so that a member away for years can still follow; that date
    never goes back, and, given `now_ms` (the receiver's clock), never lies ahead of it by more than the allowed skew.
    """
    roster = _decode(signed)
    if roster.version <= current.version:
        raise Unauthentic(
            f"a rollback: roster version {roster.version} was offered and version {current.version} is in force; "
            "keep the newer one and find out who hands out the older"
        )
    if roster.version != current.version + 1:
        raise Unauthentic(
            f"roster version {roster.version} does not follow version {current.version}: fetch the versions between"
        )
    if roster.federation != current.federation or roster.environment != current.environment:
        raise Unauthentic(
            f"roster version {roster.version} is of federation {roster.federation.hex()} ({roster.environment}), "
            f"this member of {current.federation.hex()} ({current.environment})"
        )
    if roster.issued_at_ms < current.issued_at_ms:
        raise Unauthentic(f"roster version {roster.version} is dated before version {current.version}")
    if now_ms is not None and roster.issued_at_ms > now_ms + limits.CLOCK_SKEW_MS:
        raise Unauthentic(f"roster version {roster.version} is dated in the future: check this machine's clock")
    _require_threshold(current, signed, roster)
    _require_threshold(roster, signed, roster)
    _require_nothing_forgotten(current, roster)
    return roster


def accept_chain(history: Iterable[Signed], federation: bytes | None = None) -> Roster:
    """The last of these versions, of which the first is version 1. Raises Unauthentic or Malformed."""
    current: Roster | None = None
    for signed in history:
        current = genesis(signed, federation) if current is None else accept_next(current, signed)
    if current is None:
        raise Malformed("no roster is given: all versions from 1 on are needed")
    return current


def approvals(listing: Roster, signed: Signed) -> int:
    """How many of `listing`'s root keys, each counted once, approve the roster in `signed` by a valid signature."""
    return len(signers(signed, listing.root_verify_keys(_decode(signed).issued_at_ms)))


def _require_threshold(listing: Roster, signed: Signed, roster: Roster) -> None:
    count = len(signers(signed, listing.root_verify_keys(roster.issued_at_ms)))
    if count < listing.threshold:
        raise Unauthentic(
            f"roster version {roster.version} has {count} of the {listing.threshold} signatures "
            f"that version {listing.version} asks for: have more keepers of root keys sign it"
        )


def _decode(signed: Signed) -> Roster:
    # Parsed before it is verified, unlike everything else: it carries the keys and the date that verify it.
    if signed.payload_type != ROSTER:
        raise Unauthentic(f"a {ROSTER} was expected, not {signed.payload_type!r}")
    roster = decode_roster(signed.payload)
    _check(roster)
    return roster


def _check(roster: Roster) -> None:
    """The rules that hold within one version. Raises Malformed."""
    codes: set[int] = set()
    owner_of: dict[bytes, int] = {}  # of certificates and of signing keys
    for region in roster.regions:
        if region.code in codes:
            raise Malformed(f"region {region.code} is listed twice")
        codes.add(region.code)
        for certificate in region.certificates:
            if owner_of.setdefault(certificate, region.code) != region.code:
                raise Malformed(
                    f"regions {owner_of[certificate]} and {region.code} list the same TLS certificate: "
                    "a region that carries for another is named among its carriers instead"
                )
        own: set[bytes] = set()
        for key in region.keys:
            if key.public_key in own:
                raise Malformed(f"region {region.code} lists one key twice")
            own.add(key.public_key)
            if owner_of.setdefault(key.public_key, region.code) != region.code:
                raise Malformed(f"regions {owner_of[key.public_key]} and {region.code} list the same signing key")
    for region in roster.regions:
        for carrier in region.carriers:
            if carrier not in codes:
                raise Malformed(f"region {region.code} is carried by {carrier}, which is not listed")
        for succession in region.successions:
            _check_succession(roster, region, succession)
    _check_resolutions(roster)


def _check_succession(roster: Roster, region: Region, succession: Succession) -> None:
    heir = roster.find(succession.successor)
    if heir is None or heir is region:
        raise Malformed(f"region {region.code} is followed by {succession.successor}, which is no other region listed")
    signed, assumed = succession.assume, succession.assumed
    if signed is None or assumed is None:
        return
    if signed.payload_type != ASSUME or not signers(signed, heir.all_keys()):
        raise Malformed(f"what region {heir.code} is said to answer for is signed by no key of it")
    about = (assumed.environment, assumed.predecessor, assumed.successor, assumed.date)
    if assumed.federation != roster.federation or about != (
        roster.environment, region.code, heir.code, succession.date,
    ):  # fmt: skip
        raise Malformed(f"what region {heir.code} signed is about another succession than that of {region.code}")
    _check_logs(region.code, assumed.logs)


def _check_resolutions(roster: Roster) -> None:
    for resolution in roster.resolutions:
        region = roster.find(resolution.region)
        if region is None:
            raise Malformed(f"region {resolution.region} is resolved and is not listed")
        if region.status is not Status.WITHDRAWN:
            raise Malformed(f"region {resolution.region} is resolved: withdraw it, so that nobody goes on with it")
        _check_logs(resolution.region, resolution.logs)
    if len({r.region for r in roster.resolutions}) != len(roster.resolutions):
        raise Malformed("a region is resolved twice")


def _check_logs(code: int, logs: Sequence[FinalLog]) -> None:
    named = {(log.source, log.destination) for log in logs}
    if len(named) != len(logs) or any((a == code) == (b == code) for a, b in named):
        raise Malformed(f"the final logs of region {code} are not each one log from it or to it")


def _require_nothing_forgotten(current: Roster, roster: Roster) -> None:
    if any(resolution not in roster.resolutions for resolution in current.resolutions):
        raise Malformed("a resolution is missing or another: what members have voided by it stays so")
    for region in current.regions:
        after = roster.find(region.code)
        if after is None:
            raise Malformed(f"region {region.code} is missing: list it as withdrawn, so that its messages still verify")
        revoked = {key.verify_key: key.revoked_at_ms for key in after.keys}
        for key in region.keys:
            if key.verify_key not in revoked:
                raise Malformed(f"a key of region {region.code} is missing: revoke it, so that old messages verify")
            if key.revoked_at_ms and not revoked[key.verify_key]:
                raise Malformed(f"a revoked key of region {region.code} is back: give the region a new key")


# -- signing ---------------------------------------------------------------------------------------------------------


def sign(roster: Roster, keys: Sequence[SigningKey]) -> Signed:
    """A roster signed by some keepers; others add theirs with :func:`countersign`. Raises Malformed."""
    first, *others = keys
    signed = first.sign(ROSTER, encode_roster(roster))
    _decode(signed)  # nobody should put a name to what no member will accept
    for key in others:
        signed = countersign(signed, key)
    return signed


def countersign(signed: Signed, key: SigningKey) -> Signed:
    """The same document with one more signature; the same again if the key has signed it already."""
    if key.public_key in signers(signed, [key.verify_key]):
        return signed
    return replace(signed, signatures=signed.signatures + key.sign(signed.payload_type, signed.payload).signatures)


# -- cards -----------------------------------------------------------------------------------------------------------


def sign_card(region: Region, key: SigningKey) -> Signed:
    """What a region hands to the keepers of the roster: itself, signed by one of the keys it lists."""
    signed = key.sign(CARD, encode_region(region))
    read_card(signed)
    return signed


def read_card(signed: Signed) -> Region:
    """The region that a card describes. The signature shows that whoever wrote it holds one of the keys, not that it
    speaks for the region: that is what the keepers vouch for. Raises Unauthentic or Malformed."""
    if signed.payload_type != CARD:
        raise Unauthentic(f"a {CARD} was expected, not {signed.payload_type!r}")
    region = decode_region(signed.payload)
    usable = [key.verify_key for key in region.keys if not key.revoked_at_ms]
    if not signers(signed, usable):
        raise Unauthentic(
            f"no key on the card of region {region.code} signed it: the region has to make the card again, "
            "on the machine that holds its key"
        )
    return region
