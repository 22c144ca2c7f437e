"""Who the federation's members are: the values of roster.proto and the questions asked of them.

A :class:`Roster` is worth something only when it came out of :mod:`gateway.protocol.roster`, which verifies it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.protocol.errors import Unauthentic
from gateway.protocol.suite import VerifyKey
from gateway.protocol.values import Signed, Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """The last good prefix of the log to `destination` that a revoked key signed."""

    destination: int
    epoch: int
    size: int
    root: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A public key and when it may be used. Times are Unix milliseconds; 0 = open, or not revoked."""

    suite: str
    public_key: bytes
    not_before_ms: int = 0
    not_after_ms: int = 0
    revoked_at_ms: int = 0
    anchors: tuple[Anchor, ...] = ()

    @property
    def verify_key(self) -> VerifyKey:
        """The key as :mod:`gateway.protocol.suite` takes it."""
        return VerifyKey(suite=self.suite, public_key=self.public_key)

    def valid_at(self, at_ms: int) -> bool:
        """Whether something new may be signed with it at that time. A revoked key may sign nothing, whatever the time:
        its holder is not the only one who can put an earlier date on a message."""
        return self.revoked_at_ms == 0 and self.not_before_ms <= at_ms <= (self.not_after_ms or at_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalLog:
    """The final prefix of one log of a region that will not answer again."""

    source: int
    destination: int
    size: int
    root: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class AssumedHold:
    """What a predecessor held for an offer that got no answer; `amount` in the smallest unit of its category."""

    id: bytes
    destination: int
    category: str
    amount: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Assume:
    """What a successor answers for: its predecessor's logs up to these prefixes, and these holds."""

    federation: bytes
    environment: str
    predecessor: int
    successor: int
    date: int  # yyyymmdd
    logs: tuple[FinalLog, ...] = ()
    holds: tuple[AssumedHold, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Succession:
    """From `date` (yyyymmdd) on `successor` answers for a code. Of several, the first keeps the code's channels."""

    successor: int
    date: int
    assume: Signed | None = None  # an Assume signed by the successor
    assumed: Assume | None = None  # what it says


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """One member."""

    code: int
    name_zh: str = ""
    name_en: str = ""
    endpoint: str = ""  # host:port; empty when the region only dials itself
    keys: tuple[Key, ...] = ()
    certificates: tuple[bytes, ...] = ()  # DER, of the region's own node
    carriers: tuple[int, ...] = ()  # regions whose certificates may carry this one's messages; itself when empty
    suites: tuple[str, ...] = ()  # what it may sign with now; any known suite when empty
    roles: tuple[str, ...] = ()
    status: Status = Status.ACTIVE
    backup_horizon_days: int = 0
    successions: tuple[Succession, ...] = ()
    sealing_key: bytes = b""

    def signing_keys(self, at_ms: int) -> tuple[VerifyKey, ...]:
        """The keys that may sign something new at `at_ms` of the receiver's clock."""
        return tuple(
            key.verify_key for key in self.keys if key.valid_at(at_ms) and (not self.suites or key.suite in self.suites)
        )

    def all_keys(self) -> tuple[VerifyKey, ...]:
        """Every key it ever had: old messages verify for ever. What a revoked key signed needs its anchors too."""
        return tuple(key.verify_key for key in self.keys)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What became of a region that will not answer again."""

    region: int
    logs: tuple[FinalLog, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """One version of the list of members.

    `federation` is SHA-256 of the payload of version 1, also in version 1 itself, where it is computed and not written.
    """

    version: int
    federation: bytes = b""
    name_zh: str = ""
    name_en: str = ""
    environment: str
    issued_at_ms: int
    grace_s: int = 0  # how long a member may go on with this version when it cannot reach a newer one
    root_keys: tuple[Key, ...]
    threshold: int
    regions: tuple[Region, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    _by_code: dict[int, Region] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_code.update((region.code, region) for region in self.regions)

    def find(self, code: int) -> Region | None:
        """The region with this code, if it is a member."""
        return self._by_code.get(code)

    def region(self, code: int) -> Region:
        """The region with this code. Raises Unauthentic when it is not a member."""
        try:
            return self._by_code[code]
        except KeyError:
            raise Unauthentic(
                f"region {code} is not in roster version {self.version}: check the code, or fetch the newest roster"
            ) from None

    def signing_keys(self, code: int, at_ms: int) -> tuple[VerifyKey, ...]:
        """See :meth:`Region.signing_keys`. Raises Unauthentic for an unknown region."""
        return self.region(code).signing_keys(at_ms)

    def all_keys(self, code: int) -> tuple[VerifyKey, ...]:
        """See :meth:`Region.all_keys`. Raises Unauthentic for an unknown region."""
        return self.region(code).all_keys()

    def certificates(self, code: int) -> tuple[bytes, ...]:
        """The TLS certificates (DER) that may present the region's messages: its own, or those of its carriers."""
        region = self.region(code)
        carriers = [self.region(carrier) for carrier in region.carriers] or [region]
        return tuple(certificate for carrier in carriers for certificate in carrier.certificates)

    def root_verify_keys(self, at_ms: int) -> tuple[VerifyKey, ...]:
        """The root keys that count at `at_ms`: one listed twice and revoked once is revoked."""
        revoked = {key.public_key for key in self.root_keys if key.revoked_at_ms}
        return tuple(key.verify_key for key in self.root_keys if key.public_key not in revoked and key.valid_at(at_ms))
