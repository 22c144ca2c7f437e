"""The nouns of the protocol. Frozen; nothing here decides, reads a clock or does I/O.

Values made thousands of times a second are named tuples, the rest frozen dataclasses. Amounts are integers in the
smallest unit of a category; dates are integers yyyymmdd in Asia/Shanghai; times are Unix milliseconds; regions are
GB/T 2260 codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.protocol.vocabulary import Evidence as Evidence
from gateway.protocol.vocabulary import Kind as Kind
from gateway.protocol.vocabulary import Purpose as Purpose
from gateway.protocol.vocabulary import Reason as Reason
from gateway.protocol.vocabulary import Status as Status


class Epoch(NamedTuple):
    """One incarnation of a node. The number orders incarnations, the nonce tells two of one number apart."""

    number: int
    nonce: int


NO_EPOCH = Epoch(0, 0)


class Log(NamedTuple):
    """Which log: from `source` to `destination`, in one federation and environment. Part of all that is signed."""

    federation: bytes
    environment: str
    source: int
    destination: int
    generation: int = 1

    def opposite(self) -> Log:
        """The other log of the same channel."""
        return self._replace(source=self.destination, destination=self.source)


class Frame(NamedTuple):
    """The header of one numbered message, as parsed; its bytes are kept beside it and never made again."""

    kind: int
    reply: bool
    id: bytes
    seen: int
    epoch: int
    category: str
    amount: int
    becomes: str
    arriving: int
    commitment: bytes


class Draft(NamedTuple):
    """A message that has no number yet: a frame without `seen` and `epoch`, and its salted body."""

    kind: int
    reply: bool
    id: bytes
    body: bytes  # 16 bytes of salt, then the serialised body
    category: str = ""
    amount: int = 0
    becomes: str = ""
    arriving: int = 0


class Provenance(NamedTuple):
    """Where points came from; survives every hop."""

    issuer: int
    granted: int
    evidence: int
    because: str


class Slice(NamedTuple):
    """A run of `blocks` blocks in a row with one expiry (0 = never) and one provenance, or one block with several."""

    blocks: int
    expires: int
    provenance: tuple[Provenance, ...]


class Offer(NamedTuple):
    """Body of an offer. The sum of `blocks` is k; k*q leave and k*p arrive."""

    address: bytes
    purpose: int
    rate_p: int
    rate_q: int
    terms_version: int
    slices: tuple[Slice, ...]
    consent: str
    cites: bytes
    request: bytes
    redo: bytes
    consent_digest: bytes = b""
    identity: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What the source of a log signs: its root at `size`, and at `first`, where the frames beside it begin."""

    log: Log
    epoch: Epoch
    first: int
    first_root: bytes
    size: int
    root: bytes
    suite: str
    roster_version: int
    signed_at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What the destination of a log signs: it has committed this prefix, first at `received_at_ms`."""

    log: Log
    epoch: Epoch  # the sender's, under which the prefix was last extended
    size: int
    root: bytes
    received_at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume:
    """I start anew under `epoch`; this is what I hold of your log and which epoch of yours I know."""

    log: Log  # from the sender of this message
    epoch: Epoch
    holds_size: int
    holds_root: bytes
    peer_epoch: Epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Fenced:
    """Your older epochs are fenced; this is what I hold, and where I stand myself."""

    log: Log  # from the sender of this message
    echo: Epoch
    holds_size: int
    holds_root: bytes
    holds_epoch: int
    epoch: Epoch
    size: int
    root: bytes
    ready: bool
    credit_size: int
    common_root: bytes  # of the sender's log, at the size the asker holds or, where it is shorter, at its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """The epoch you propose (`echo`) is not newer than one I fenced (`known`)."""

    log: Log
    echo: Epoch
    known: Epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """Your envelope came under an epoch (`echo`) that is fenced by `known`."""

    log: Log
    echo: Epoch
    known: Epoch
    resume: bytes = b""  # the Resume that proposed `known`, signed and serialised: proof of another instance


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """Are you ready, and how do you see me?"""

    log: Log
    echo: Epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The answer to Ask."""

    log: Log
    echo: Epoch
    ready: bool
    epoch: Epoch
    holds_size: int
    holds_root: bytes
    credit_size: int
    backlog: int = 0  # frames of mine (the answerer's) the asker has not receipted
    back_off_ms: int = 0
    last_verified_size: int = 0
    status: str = ""
    channel: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """Both stand by the first `size` frames of a log; it goes on from what its destination holds, the rest disowned."""

    log: Log  # that of the evidence
    size: int
    root: bytes
    evidence: bytes  # SHA-256 of the evidence file
    holds_size: int
    holds_root: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """I hold `size` frames; what you sent begins later."""

    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NotReady:
    """I am starting; nothing was committed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What you sent breaks the rule named here; nothing was committed (Malformed on the wire)."""

    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Hello:
    """The first message of a stream, in both directions."""

    source: int
    destination: int
    federation: bytes
    environment: str
    versions: tuple[int, ...]
    suites: tuple[str, ...]
    roster_version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pull:
    """Give me back frames `first` .. `size`-1 of my log, and of yours what they had seen beyond what I hold."""

    log: Log  # from the sender of this message
    mine: bool
    first: int
    size: int
    peer_epoch: Epoch
    holds: int


Control = Resume | Fenced | Behind | Stale | Ask | Standing | Pull


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """One signature; the key id is a hint."""

    key_id: bytes
    suite: str
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """Bytes of a named type and signatures over both (DSSE)."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A signed head and the frames `first` .. `size`-1 with their salted bodies, all as bytes."""

    head: Signed
    frames: tuple[bytes, ...]
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """An envelope ready to send: its frames and bodies as they are stored, laid out as fields of the message."""

    head: Signed
    packed: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Frames `first` on of the asker's log under its own head, and in `seen` those of the answerer's log they need."""

    head: Signed | None = None
    first: int = 0
    frames: tuple[bytes, ...] = ()
    bodies: tuple[bytes, ...] = ()
    seen: Page | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """A signed receipt, and the size the log may grow to before the next."""

    receipt: Signed
    credit_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RosterHeld:
    """Which roster the speaker holds; from whoever holds a newer one it asks for that."""

    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RosterPart:
    """A piece of a page of rosters."""

    data: bytes
    last: bool


Message = Hello | Envelope | Parcel | Delivered | Signed | Gap | NotReady | Fault | Page | RosterHeld | RosterPart
"""Everything that travels on a stream; a bare :class:`Signed` is a control message."""
