"""Agreements of other regions with each other, as far as their terms are public: files that an operator put here.

They count only when it is looked for cycles along which points would multiply, before anything is signed.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from gateway.protocol import documents
from gateway.protocol.agreement import life
from gateway.protocol.agreement.document import Agreement
from gateway.protocol.agreement.rules import faults
from gateway.protocol.bodies.agreement import decode_agreement
from gateway.protocol.errors import PeerFault, ProtocolError
from gateway.protocol.members import Roster

FOLDER = "public-agreements"
"""Below the directory of a region: the files that `hutong agreement show --out` writes."""

log = structlog.get_logger(__name__)


def read(folder: Path, me: int, roster: Roster) -> tuple[Agreement, ...]:
    """The newest version of each agreement in the folder that both of its regions signed. A file that is none of it is
    passed over with a line in the log."""
    newest: dict[bytes, Agreement] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found = _read(path, roster)
        except (OSError, UnicodeDecodeError, ProtocolError) as error:
            log.warning("public_agreement_unusable", file=path.name, error=str(error))
            continue
        known = newest.get(found.id)
        if me not in found.regions and (known is None or known.version < found.version):
            newest[found.id] = found
    return tuple(newest.values())


def _read(path: Path, roster: Roster) -> Agreement:
    signed = documents.from_json(path.read_text("utf-8"))
    found = life.read(signed, decode_agreement(signed.payload).regions, roster.all_keys)
    for fault in faults(found, roster.federation, roster.environment):
        raise PeerFault(str(fault))
    return found
