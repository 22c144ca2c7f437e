"""What the services of one region know besides its database: identity, secrets, the rules in force, clock and chance.

All of it is passed in, so that a simulation runs the same code under a seed. The secrets live outside the database and
outside its backups: whoever has a backup alone can neither sign nor open a redo record nor guess an id.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.protocol import limits
from gateway.protocol.agreement.in_force import terms_of
from gateway.protocol.members import Roster
from gateway.protocol.suite import SigningKey
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Log
from node.services.agreement.agreed import Agreements
from node.services.keys.turn import KeyTurn

_DAY_MS = 86_400_000
_IDS_REMEMBERED = 8192
_SHANGHAI_MS = 8 * 3_600_000


def shanghai_date(now_ms: int) -> int:
    """The business date yyyymmdd in Asia/Shanghai, which has had no daylight saving since 1991."""
    days = (now_ms + _SHANGHAI_MS) // _DAY_MS
    # Civil from days (Howard Hinnant, chrono-compatible low-level date algorithms).
    z = days + 719_468
    era, doe = divmod(z, 146_097)
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return (yoe + era * 400 + (month <= 2)) * 10_000 + month * 100 + doy - (153 * mp + 2) // 5 + 1


@dataclass(kw_only=True)
class Office:
    """See the module."""

    me: int
    signing_key: SigningKey
    id_secret: bytes = field(repr=False)  # 32 bytes; never in a log of errors
    redo_secret: bytes = field(repr=False)  # 32 bytes
    roster: Roster
    terms: dict[tuple[int, int, str], Terms]  # (source, destination, category); for pairs that have no agreement
    clock: Callable[[], int]  # Unix milliseconds
    random: Callable[[int], bytes]  # so many unpredictable bytes
    today: Callable[[int], int] = shanghai_date  # Unix milliseconds -> business date
    keys: KeyTurn = field(default_factory=KeyTurn)  # what takes over from `signing_key`, and when
    doubled: bool = field(default=False, init=False)  # another instance runs as this region: this process has stopped
    _ids: dict[tuple[str, str], bytes] = field(default_factory=dict, init=False)  # asked for twice by every command
    _salts: bytes = field(default=b"", init=False)
    _salted: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._redo = AESGCM(self.redo_secret)
        #: What was agreed with every peer; filled by the writer.
        self.agreements = Agreements(lambda: self.today(self.clock()))

    def log_to(self, peer: int) -> Log:
        """The log from this region to a peer."""
        return Log(self.roster.federation, self.roster.environment, self.me, peer)

    def terms_for(
        self, source: int, destination: int, category: str, version: int | None = None, day: int | None = None
    ) -> Terms | None:
        """How a category moves between two regions; None where nothing is agreed.

        By the agreement of the two, whether or not anything new may move under it on that business date (today); by
        the file of terms where they never had one. `version`: of the agreement that an offer was held under.
        """
        found = self.agreements.by(destination if source == self.me else source, day)
        if found is not None:
            return terms_of(found, source, destination, category, version)
        return self.terms.get((source, destination, category))

    def public_id(self, client: str, key: str) -> bytes:
        """The id of a command: 16 bytes, the same for the same caller and key, and guessable by nobody.

        A key that is a UUIDv7 lends its 48 bits of time, so that ids made together lie together in the index.
        """
        known = self._ids.get((client, key))
        if known is None:
            if len(self._ids) >= _IDS_REMEMBERED:
                self._ids.clear()
            known = self._ids[client, key] = self._public_id(client, key)
        return known

    def _public_id(self, client: str, key: str) -> bytes:
        digest = hmac.digest(self.id_secret, b"%b\0%b" % (client.encode(), key.encode()), "sha256")
        if len(key) == 36 and key[14] == "7" and key[8] == key[13] == key[18] == key[23] == "-":
            try:
                at = bytes.fromhex(key[:8] + key[9:13])
            except ValueError:
                at = b""
            if len(at) == 6:  # Python passes over white space between the digits
                return at + digest[:10]
        return digest[:16]

    def salt(self) -> bytes:
        """16 unpredictable bytes, drawn in bulk."""
        at = self._salted
        if at == len(self._salts):
            self._salts, at = self.random(1024 * limits.SALT_BYTES), 0
        self._salted = at + limits.SALT_BYTES
        return self._salts[at : self._salted]

    def seal_redo(self, salt: bytes, plain: bytes, message_id: bytes) -> bytes:
        """Seal what this region needs to do a message again; only it can open it. The salt is used once: a nonce."""
        return self._redo.encrypt(salt[:12], plain, message_id)

    def open_redo(self, salt: bytes, sealed: bytes, message_id: bytes) -> bytes:
        """Open what :meth:`seal_redo` sealed. Raises cryptography's InvalidTag for anything else."""
        return self._redo.decrypt(salt[:12], sealed, message_id)


def digest_of(*parts: object) -> bytes:
    """What a command said, for telling a repetition from a conflict: 16 bytes of SHA-256."""
    return hashlib.sha256(repr(parts).encode()).digest()[:16]
