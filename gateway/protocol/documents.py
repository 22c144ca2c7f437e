"""Between bytes and the documents people hand around: rosters, cards, proofs. The core's second and last module that
knows the generated code; :mod:`gateway.protocol.codec` is for what travels on a channel.

As a file every document is JSON that names its own type: a signed one as DSSE writes it (payloadType, payload,
signatures; https://github.com/secure-systems-lab/dsse, envelope.md), a bundle as ``{"type", "payload"}``, several
signed ones as a list. Whatever does not parse raises :class:`~gateway.protocol.errors.Malformed` and says what to do.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256

from gateway.protocol import bundles, codec, limits
from gateway.protocol.bundles import Bundle
from gateway.protocol.errors import Malformed, TooLarge
from gateway.protocol.members import (
    Anchor,
    Assume,
    AssumedHold,
    FinalLog,
    Key,
    Region,
    Resolution,
    Roster,
    Succession,
)
from gateway.protocol.values import Signature, Signed, Status
from gateway.v1 import roster_pb2

ROSTER = "application/vnd.hutong.roster.v1"
CARD = "application/vnd.hutong.card.v1"
ASSUME = "application/vnd.hutong.assume.v1"
FINAL_LOGS = "application/vnd.hutong.final-logs.v1"
TRANSFER_PROOF, FORK_EVIDENCE = bundles.TRANSFER_PROOF, bundles.FORK_EVIDENCE
RECEIPT_EVIDENCE, REPAIR_PROOF = bundles.RECEIPT_EVIDENCE, bundles.REPAIR_PROOF

Document = Signed | Bundle | tuple[Signed, ...]
"""What one file holds. A tuple is a history of rosters, version 1 first."""

FILE_CHARACTERS = 64 << 20
"""Longest file read; a proof carries every roster since version 1."""


# -- rosters and cards -----------------------------------------------------------------------------------------------


def encode_roster(roster: Roster) -> bytes:
    """The payload to sign. Version 1 does not name the federation: its own hash does."""
    return roster_pb2.Roster(
        version=roster.version,
        federation=b"" if roster.version == 1 else roster.federation,
        name_zh=roster.name_zh,
        name_en=roster.name_en,
        environment=roster.environment,
        issued_at_ms=roster.issued_at_ms,
        grace_s=roster.grace_s,
        root_keys=map(_key, roster.root_keys),
        threshold=roster.threshold,
        regions=map(_region, roster.regions),
        resolutions=map(_resolution, roster.resolutions),
    ).SerializeToString(deterministic=True)


def decode_roster(payload: bytes) -> Roster:
    """A payload as a value; nothing is verified here. Raises Malformed or TooLarge."""
    if len(payload) > limits.ROSTER_BYTES:
        raise TooLarge(f"a roster of {len(payload)} bytes; at most {limits.ROSTER_BYTES}")
    m = codec.parse(roster_pb2.Roster, payload)
    if (len(m.federation) != 32) if m.version > 1 else m.federation:
        raise Malformed("Roster.federation must be empty in version 1 and 32 bytes in every later one")
    return Roster(
        version=m.version,
        federation=m.federation or sha256(payload).digest(),
        name_zh=m.name_zh,
        name_en=m.name_en,
        environment=m.environment,
        issued_at_ms=m.issued_at_ms,
        grace_s=m.grace_s,
        root_keys=tuple(map(_unkey, m.root_keys)),
        threshold=m.threshold,
        regions=tuple(map(_unregion, m.regions)),
        resolutions=tuple(map(_unresolution, m.resolutions)),
    )


def encode_region(region: Region) -> bytes:
    """The payload of a card."""
    return _region(region).SerializeToString(deterministic=True)


def decode_region(payload: bytes) -> Region:
    """The payload of a card as a value; nothing is verified here. Raises Malformed."""
    return _unregion(codec.parse(roster_pb2.Region, payload))


def _key(key: Key) -> roster_pb2.Key:
    return roster_pb2.Key(
        suite=key.suite,
        public_key=key.public_key,
        not_before_ms=key.not_before_ms,
        not_after_ms=key.not_after_ms,
        revoked_at_ms=key.revoked_at_ms,
        anchors=[
            roster_pb2.Anchor(destination=a.destination, epoch=a.epoch, size=a.size, root=a.root) for a in key.anchors
        ],
    )


def _unkey(m: roster_pb2.Key) -> Key:
    return Key(
        suite=m.suite,
        public_key=m.public_key,
        not_before_ms=m.not_before_ms,
        not_after_ms=m.not_after_ms,
        revoked_at_ms=m.revoked_at_ms,
        anchors=tuple(Anchor(destination=a.destination, epoch=a.epoch, size=a.size, root=a.root) for a in m.anchors),
    )


def _region(region: Region) -> roster_pb2.Region:
    return roster_pb2.Region(
        code=region.code,
        name_zh=region.name_zh,
        name_en=region.name_en,
        endpoint=region.endpoint,
        keys=map(_key, region.keys),
        certificates=region.certificates,
        carriers=region.carriers,
        suites=region.suites,
        roles=region.roles,
        status=region.status.value,  # type: ignore[arg-type]
        backup_horizon_days=region.backup_horizon_days,
        successions=map(_succession, region.successions),
        sealing_key=region.sealing_key,
    )


def _unregion(m: roster_pb2.Region) -> Region:
    return Region(
        code=m.code,
        name_zh=m.name_zh,
        name_en=m.name_en,
        endpoint=m.endpoint,
        keys=tuple(map(_unkey, m.keys)),
        certificates=tuple(m.certificates),
        carriers=tuple(m.carriers),
        suites=tuple(m.suites),
        roles=tuple(m.roles),
        status=_unstatus(m.status),
        backup_horizon_days=m.backup_horizon_days,
        successions=tuple(map(_unsuccession, m.successions)),
        sealing_key=m.sealing_key,
    )


def _unstatus(number: int) -> Status:
    """A status that is not given, or that this version does not know, gives no right to anything new."""
    try:
        return Status(number)
    except ValueError:
        return Status.SUSPENDED


def _resolution(resolution: Resolution) -> roster_pb2.Resolution:
    return roster_pb2.Resolution(region=resolution.region, logs=map(_log, resolution.logs))


def _unresolution(m: roster_pb2.Resolution) -> Resolution:
    return Resolution(region=m.region, logs=tuple(map(_unlog, m.logs)))


def _log(f: FinalLog) -> roster_pb2.FinalLog:
    return roster_pb2.FinalLog(source=f.source, destination=f.destination, size=f.size, root=f.root)


def _unlog(m: roster_pb2.FinalLog) -> FinalLog:
    return FinalLog(source=m.source, destination=m.destination, size=m.size, root=m.root)


def _succession(s: Succession) -> roster_pb2.Succession:
    assume = codec.signed_message(s.assume) if s.assume is not None else None
    return roster_pb2.Succession(successor=s.successor, date=s.date, assume=assume)


def _unsuccession(m: roster_pb2.Succession) -> Succession:
    if not m.HasField("assume"):
        return Succession(successor=m.successor, date=m.date)
    assume = codec.signed_value(m.assume)
    return Succession(successor=m.successor, date=m.date, assume=assume, assumed=decode_assume(assume.payload))


def encode_resolution(resolution: Resolution) -> bytes:
    """The payload of a member's copies of the logs from and to a region."""
    return _resolution(resolution).SerializeToString(deterministic=True)


def decode_resolution(payload: bytes) -> Resolution:
    """The payload of such copies as a value; nothing is verified here. Raises Malformed."""
    return _unresolution(codec.parse(roster_pb2.Resolution, payload))


def encode_assume(assume: Assume) -> bytes:
    """The payload that a successor signs."""
    return roster_pb2.Assume(
        federation=assume.federation,
        environment=assume.environment,
        predecessor=assume.predecessor,
        successor=assume.successor,
        date=assume.date,
        logs=map(_log, assume.logs),
        holds=[
            roster_pb2.AssumedHold(id=h.id, destination=h.destination, category=h.category, amount=h.amount)
            for h in assume.holds
        ],
    ).SerializeToString(deterministic=True)


def decode_assume(payload: bytes) -> Assume:
    """What a successor signed as a value; nothing is verified here. Raises Malformed."""
    m = codec.parse(roster_pb2.Assume, payload)
    return Assume(
        federation=m.federation,
        environment=m.environment,
        predecessor=m.predecessor,
        successor=m.successor,
        date=m.date,
        logs=tuple(map(_unlog, m.logs)),
        holds=tuple(
            AssumedHold(id=h.id, destination=h.destination, category=h.category, amount=h.amount) for h in m.holds
        ),
    )


# -- files -----------------------------------------------------------------------------------------------------------

_AGAIN = "ask whoever handed it out for the file again, and copy it whole"


def to_json(signed: Signed) -> str:
    """A signed document as a file: DSSE's JSON, with the suite beside each signature."""
    return _dump(_signed_object(signed))


def from_json(text: str) -> Signed:
    """What :func:`to_json` wrote. Raises Malformed or TooLarge for anything else."""
    document = read(text)
    if not isinstance(document, Signed):
        raise Malformed("one signed document was expected here, with payloadType, payload and signatures")
    return document


def write(document: Document) -> str:
    """A document as a file."""
    if isinstance(document, Signed):
        return to_json(document)
    if not isinstance(document, tuple):
        kind, payload = bundles.encode(document)
        return _dump({"type": kind, "payload": b64encode(payload).decode()})
    return _dump([_signed_object(signed) for signed in document])


def read(text: str) -> Document:
    """What a file holds, by what it says of itself. Raises Malformed or TooLarge; nothing is verified here."""
    if len(text) > FILE_CHARACTERS:
        raise TooLarge(f"a file of {len(text)} characters; at most {FILE_CHARACTERS}")
    try:
        found = json.loads(text, object_pairs_hook=_object_without_doubles)
    except (ValueError, RecursionError) as e:
        raise Malformed(f"not a document of the federation (no JSON: {e}); {_AGAIN}") from e
    if isinstance(found, list):
        if not found:
            raise Malformed(f"an empty list; {_AGAIN}")
        return tuple(map(_read_signed, found))
    if isinstance(found, dict) and "payloadType" in found:
        return _read_signed(found)
    if isinstance(found, dict) and "type" in found:
        kind, payload = _text(found, "type"), _bytes(found, "payload")
        found_bundle = bundles.decode(kind, payload)
        if found_bundle is not None:
            return found_bundle
        raise Malformed(f"a document of type {kind!r} is not known to this version; a newer one may read it")
    raise Malformed(f"JSON, but no document of the federation: neither payloadType nor type is there; {_AGAIN}")


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _signed_object(signed: Signed) -> dict[str, object]:
    return {
        "payloadType": signed.payload_type,
        "payload": b64encode(signed.payload).decode(),
        "signatures": [
            {"keyid": s.key_id.hex(), "suite": s.suite, "sig": b64encode(s.signature).decode()}
            for s in signed.signatures
        ],
    }


def _read_signed(found: object) -> Signed:
    if not isinstance(found, dict) or not isinstance(found.get("signatures"), list):
        raise Malformed(f"a signed document has payloadType, payload and a list of signatures; {_AGAIN}")
    signed = Signed(
        payload_type=_text(found, "payloadType"),
        payload=_bytes(found, "payload"),
        signatures=tuple(map(_read_signature, found["signatures"])),
    )
    try:
        return codec.decode_signed(codec.encode_signed(signed))  # the rules are those of the wire
    except UnicodeError as e:
        raise Malformed(f"text that is not Unicode; {_AGAIN}") from e


def _read_signature(found: object) -> Signature:
    if not isinstance(found, dict):
        raise Malformed(f"a signature has keyid, suite and sig; {_AGAIN}")
    try:
        key_id = bytes.fromhex(_text(found, "keyid"))
    except ValueError as e:
        raise Malformed(f"keyid must be hexadecimal; {_AGAIN}") from e
    return Signature(key_id=key_id, suite=_text(found, "suite"), signature=_bytes(found, "sig"))


def _text(found: Mapping[str, object], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name} must be there and be text; {_AGAIN}")
    return value


def _bytes(found: Mapping[str, object], name: str) -> bytes:
    try:
        return b64decode(_text(found, name), validate=True)
    except (binascii.Error, ValueError) as e:
        raise Malformed(f"{name} must be base64; {_AGAIN}") from e


def _object_without_doubles(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Two readers must not see two documents in one file."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found
