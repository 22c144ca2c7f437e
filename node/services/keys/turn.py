"""Changing the signing key without a stop: the next key lies beside the one in use until its time has come.

Its time has come when the roster in force lists it as valid, by more than the clocks may differ, and when every
connected member has had time to hear of that roster. If the key in use is good no longer, the next one takes over at
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from gateway.protocol import limits
from gateway.protocol.members import Key
from gateway.protocol.suite import SigningKey

if TYPE_CHECKING:
    from node.services.office import Office

ROSTER_REACHES_MS = 60_000
"""A new roster is with every connected member by then."""

log = structlog.get_logger(__name__)


class KeyTurn:
    """The keys beside the one in use. For the event loop's thread only."""

    def __init__(self, following: Sequence[SigningKey] = ()) -> None:
        self._following = list(following)
        self._listed_ms: dict[bytes, int] = {}  # key -> since when the roster is known to list it

    def hold(self, office: Office, keys: Sequence[SigningKey]) -> None:
        """These keys are on disk now, the oldest first. One that is in use stays in use until the next one's time."""
        held = [key.public_key for key in keys]
        used = office.signing_key.public_key
        after = held.index(used) + 1 if used in held else 0
        self._following = list(keys[after:])

    def turn(self, office: Office, *, starting: bool = False) -> bool:
        """Use the newest key whose time has come. True when the key has changed.

        `starting`: nothing is known of when the roster came in, so its own date counts.
        """
        now, roster = office.clock(), office.roster
        good = _listed(office, office.signing_key, now) is not None
        for key in reversed(self._following):
            listed = _listed(office, key, now)
            if listed is None:
                continue
            since = self._listed_ms.setdefault(key.public_key, roster.issued_at_ms if starting else now)
            begins = listed.not_before_ms + limits.CLOCK_SKEW_MS if listed.not_before_ms else 0
            if good and now < max(begins, since + ROSTER_REACHES_MS):
                continue
            log.warning("signing_key_changed", before=office.signing_key.id.hex(), now=key.id.hex())
            office.signing_key = key
            self._following = self._following[self._following.index(key) + 1 :]
            return True
        return False


def _listed(office: Office, key: SigningKey, now_ms: int) -> Key | None:
    """The key as the roster in force lists it, if something new may be signed with it."""
    region = office.roster.find(office.me)
    found = (k for k in region.keys if k.verify_key == key.verify_key and k.valid_at(now_ms)) if region else ()
    return next(iter(found), None)


def what_is_wrong(office: Office) -> str:
    """Why peers will refuse what this region signs now; empty while they will not."""
    now = office.clock()
    if _listed(office, office.signing_key, now) is not None:
        return ""
    region = office.roster.find(office.me)
    name = office.signing_key.id.hex()
    key = next((k for k in region.keys if k.verify_key == office.signing_key.verify_key), None) if region else None
    if key is None:
        state = "is not in the roster"
    elif key.revoked_at_ms:
        state = "is revoked"
    else:
        state = "has expired" if now > key.not_before_ms else "is not valid yet"
    return f"signing key {name} {state}: make one with `hutong card --new-key` and have the keepers list it"
