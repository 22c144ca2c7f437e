"""A roster as a file that travels between keepers and regions: every version since the first, and the one under way.

The version under way has no signatures at first: then the file is a draft that only `hutong federation` reads. From
the first signature on it is a list of signed rosters (or the one signed first version), as every tool reads it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.protocol import documents, roster
from gateway.protocol.errors import Malformed, PeerFault, ProtocolError
from gateway.protocol.members import Roster
from gateway.protocol.suite import SigningKey, VerifyKey, signers
from gateway.protocol.values import Signed
from node.errors import BadFile
from node.text_file import read_text

DRAFT = "application/vnd.hutong.roster-draft.v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class RosterFile:
    """Versions that are in force one after the other, and perhaps one that is not yet."""

    history: tuple[Signed, ...]  # verified, each against the one before; version 1 first
    current: Roster | None  # the last of them
    pending: Signed | None  # the version under way; it may have no signatures at all

    @property
    def draft(self) -> Roster | None:
        """The version under way."""
        return documents.decode_roster(self.pending.payload) if self.pending is not None else None

    @property
    def newest(self) -> Roster:
        """The version under way, or else the last one in force."""
        found = self.draft or self.current
        assert found is not None
        return found


def read(path: Path) -> RosterFile:
    """The rosters of a file, verified as far as they are signed. Raises BadFile for what is no roster, and Unauthentic
    for a history whose versions do not follow each other."""
    text = read_text(path)
    try:
        return _read_draft(text) if f'"{DRAFT}"' in text else _verified(_rosters(documents.read(text)))
    except Malformed as error:
        what, _, do = str(error).partition("; ")
        raise BadFile(path, None, None, what, f"{do or 'ask for the file again'}.".capitalize()) from None


def _rosters(document: documents.Document) -> Sequence[Signed]:
    listed = (document,) if isinstance(document, Signed) else document
    if not isinstance(listed, tuple) or any(signed.payload_type != documents.ROSTER for signed in listed):
        raise Malformed("this is no roster; name the file that the keepers handed out")
    return listed


def _verified(listed: Sequence[Signed]) -> RosterFile:
    if documents.decode_roster(listed[0].payload).version != 1:
        raise Malformed("versions are missing; ask for the file with all versions since the first")
    current: Roster | None = None
    for at, signed in enumerate(listed):
        following = documents.decode_roster(signed.payload)
        if at == len(listed) - 1 and missing(current, signed):
            _check_follows(current, following)
            return RosterFile(history=tuple(listed[:at]), current=current, pending=signed)
        current = roster.genesis(signed) if current is None else roster.accept_next(current, signed)
    return RosterFile(history=tuple(listed), current=current, pending=None)


def _check_follows(current: Roster | None, following: Roster) -> None:
    if current is not None and (following.version, following.federation) != (current.version + 1, current.federation):
        raise Malformed("the version under way does not follow the one in force; begin it again from that one")


def _read_draft(text: str) -> RosterFile:
    try:
        found = json.loads(text)
        payload = b64decode(found["payload"], validate=True)
        history = found["rosters"]
        before = _rosters(documents.read(json.dumps(history))) if history else ()
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("not a draft of a roster; make it again with `hutong federation add`") from error
    begun = _verified(before) if before else RosterFile(history=(), current=None, pending=None)
    _check_follows(begun.current, documents.decode_roster(payload))
    return replace(begun, pending=Signed(payload_type=documents.ROSTER, payload=payload, signatures=()))


def write(file: RosterFile) -> str:
    """The file as text."""
    if file.pending is not None and not file.pending.signatures:
        rosters = json.loads(documents.write(file.history)) if file.history else []
        draft = {"type": DRAFT, "payload": b64encode(file.pending.payload).decode(), "rosters": rosters}
        return json.dumps(draft, ensure_ascii=False, indent=2) + "\n"
    listed = file.history + ((file.pending,) if file.pending is not None else ())
    return documents.write(listed[0] if len(listed) == 1 else listed)


def asked(current: Roster | None, following: Roster) -> list[tuple[Roster, list[VerifyKey]]]:
    """Whose thresholds a version needs: that of the version before it, and its own."""
    at = following.issued_at_ms
    return [(listing, list(listing.root_verify_keys(at))) for listing in (current, following) if listing is not None]


def missing(current: Roster | None, signed: Signed) -> int:
    """How many more signatures a version needs before it is in force."""
    following = documents.decode_roster(signed.payload)
    return max(max(0, listing.threshold - len(signers(signed, keys))) for listing, keys in asked(current, following))


def sign(file: RosterFile, key: SigningKey) -> RosterFile:
    """The file with one more signature on the version under way; in force with the last one needed.

    Raises PeerFault when nothing is under way, the key is no root key, or the version would not be accepted.
    """
    pending, draft = file.pending, file.draft
    if pending is None or draft is None:
        raise PeerFault(f"roster version {file.newest.version} is signed by as many as it needs; it can be used")
    if all(key.verify_key not in keys for _, keys in asked(file.current, draft)):
        raise PeerFault(f"{key.id.hex()} is no root key of this federation: use a key file of one of its keepers")
    if pending.signatures:
        signed = roster.countersign(pending, key)
    else:
        signed = roster.sign(draft, [key])
        if signed.payload != pending.payload:
            raise PeerFault("the draft was written by another version of this software: make it again with this one")
    if missing(file.current, signed):
        return replace(file, pending=signed)
    current = roster.genesis(signed) if file.current is None else roster.accept_next(file.current, signed)
    return RosterFile(history=(*file.history, signed), current=current, pending=None)


def begin(file: RosterFile | None, changed: Roster) -> RosterFile:
    """The file with a version under way that nobody has signed. Raises Malformed where no member would accept it."""
    payload = documents.encode_roster(changed)
    try:
        roster.sign(changed, [SigningKey.from_seed(bytes(32))])  # judged by its rules; the signature is thrown away
    except ProtocolError as error:
        raise Malformed(str(error)) from None
    unsigned = Signed(payload_type=documents.ROSTER, payload=payload, signatures=())
    history, current = (file.history, file.current) if file is not None else ((), None)
    return RosterFile(history=history, current=current, pending=unsigned)
