"""The witness: a small file outside the database that tells a region its database was restored.

It holds which history the database is part of and how far that had come when anybody was last answered. A database
that is behind it came back from a backup, or from a standby that lagged. Two slots are written in turn, each with a
checksum, so that a write torn by a crash leaves the other one.

It notices nothing when it is restored together with the database: keep it on another disk, and out of every backup.
"""

from __future__ import annotations

import hashlib
import os
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from node.errors import BadInput, WitnessFailed

OPEN = (1 << 63) - 1
"""Every commit of the newest lineage counts."""
LINEAGE_BYTES = 16
LINEAGES = 128
"""How many restores are remembered. Backups from before the oldest of them are refused."""

_MAGIC = b"hutong witness 1"
_HEADER = struct.Struct(">16sQI32sQQH")  # magic, sequence, region, federation, commits, epoch, lineages
_LINK = struct.Struct(">16sQ")
_SUM = hashlib.sha256().digest_size
_SLOT = 4096  # bytes: no disk tears two slots in one write
_NO_FEDERATION = bytes(32)


class Link(NamedTuple):
    """One lineage, and the last commit of it that counts."""

    lineage: bytes
    until: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What a witness says. `chain` has every lineage of this region's history, oldest first."""

    region: int
    federation: bytes = b""  # hash of the genesis roster; empty until the region trusts one
    chain: tuple[Link, ...]
    commits: int  # the writer's transactions before anybody was last answered
    epoch: int = 0  # the highest epoch number this region ever proposed to anybody

    @property
    def lineage(self) -> bytes:
        """The newest."""
        return self.chain[-1].lineage


class Witness(Protocol):
    """Where a witness is kept. `kept` is None when there is none, and `fault` says why."""

    kept: Kept | None
    fault: str

    def write(self, kept: Kept) -> None:
        """Keep this instead, durably. Raises WitnessFailed; then what was kept before still is."""
        ...


class WitnessFile:
    """A witness in a file. Reads it at once. Raises WitnessFailed where the file is there and cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: Kept | None = None
        self.fault = ""
        self._sequence = 0
        self._file: int | None = None
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            if not path.absolute().parent.is_dir():  # a disk that is not mounted is no lost witness
                raise _failed(path, error) from error
            self.fault = "missing"
            return
        except OSError as error:
            raise _failed(path, error) from error
        found = [slot for slot in (_read(data[:_SLOT]), _read(data[_SLOT:])) if slot is not None]
        if not found:
            self.fault = "damaged"
            return
        self._sequence, self.kept = max(found, key=lambda slot: slot[0])

    def write(self, kept: Kept) -> None:
        sequence = self._sequence + 1
        try:
            if self._file is None:
                self._file = self._open()
            os.pwrite(self._file, _slot(sequence, kept), sequence % 2 * _SLOT)
            os.fdatasync(self._file)
        except OSError as error:
            self.close()  # what a failed sync left in memory is not trusted: the next write opens the file anew
            raise _failed(self.path, error) from error
        # Not before: after a failure the same slot is written again, and the other one stays whole.
        self._sequence, self.kept = sequence, kept

    def _open(self) -> int:
        new = not self.path.exists()
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(file).st_size < 2 * _SLOT:
            os.ftruncate(file, 0)
            os.pwrite(file, bytes(2 * _SLOT), 0)  # room taken now: a disk that fills later does not stop the region
            os.fsync(file)
        if new:
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        return file

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None


class WitnessInMemory:
    """A witness that outlives a simulated process and nothing else."""

    def __init__(self, kept: Kept | None = None) -> None:
        self.kept = kept
        self.fault = "" if kept is not None else "missing"

    def write(self, kept: Kept) -> None:
        self.kept = kept


def begin(region: int, lineage: bytes) -> Kept:
    """The witness of a region that was founded just now."""
    return Kept(region=region, chain=(Link(lineage, OPEN),), commits=0)


# -- judging ----------------------------------------------------------------------------------------------------------


def judge(kept: Kept | None, fault: str, *, region: int, federation: bytes, lineage: bytes, commits: int) -> str:
    """Whether the database (of this lineage, with so many commits) has all that the witness knows of.

    Returns an empty text when it has, otherwise the cause for which it recovers. Raises BadInput, saying what to use
    instead, for a witness of somebody else and for a database of an abandoned history: one that a restore went behind
    and that others have since been told is void.
    """
    if kept is None:
        return f"the witness is {fault or 'missing'}"
    if kept.region != region:
        raise BadInput(
            f"the witness belongs to region {kept.region}, not {region}: check `witness` in hutong.toml, and give "
            "every region a witness of its own"
        )
    if kept.federation and kept.federation != federation:
        raise BadInput(
            f"the witness belongs to federation {kept.federation.hex()[:16]}, and the database to "
            f"{federation.hex()[:16]}: check `witness` and `database` in hutong.toml"
        )
    bounds = dict(kept.chain)
    bound = bounds.get(lineage)
    if bound is None or commits > bound:
        newest = kept.chain[-1]
        counts = "" if bound is None else f", of which only the first {bound} commits count"
        raise BadInput(
            f"the database belongs to an abandoned history: commit {commits} of lineage {lineage.hex()[:8]}{counts}, "
            f"while the region went on in another one. Restore the newest backup of lineage {newest.lineage.hex()[:8]}"
            + "".join(f", or one of {old.hex()[:8]} up to commit {until}" for old, until in kept.chain[-2:-1])
            + "; `hutong recovery show` and every backup name their lineage and commit"
        )
    if lineage != kept.lineage or commits < kept.commits:
        return (
            f"the database is at commit {commits} of lineage {lineage.hex()[:8]}, the witness at commit "
            f"{kept.commits} of lineage {kept.lineage.hex()[:8]}"
        )
    return ""


def branch(kept: Kept | None, *, region: int, federation: bytes, lineage: bytes, commits: int, new: bytes) -> Kept:
    """The witness once a new lineage begins behind this commit: what came after it is void, later backups included."""
    before = Link(lineage, commits)
    chain: tuple[Link, ...] = (before, Link(new, OPEN))
    epoch = 0
    if kept is not None:
        epoch = kept.epoch
        names = [link.lineage for link in kept.chain]
        if lineage in names:
            chain = (*kept.chain[: names.index(lineage)], *chain)
    return Kept(region=region, federation=federation, chain=chain[-LINEAGES:], commits=commits, epoch=epoch)


def keep_up(kept: Kept, *, federation: bytes, commits: int, epoch: int) -> Kept:
    """The witness after one more commit."""
    return replace(kept, federation=federation, commits=commits, epoch=max(epoch, kept.epoch))


# -- bytes ------------------------------------------------------------------------------------------------------------


def _slot(sequence: int, kept: Kept) -> bytes:
    federation = kept.federation or _NO_FEDERATION
    header = _HEADER.pack(_MAGIC, sequence, kept.region, federation, kept.commits, kept.epoch, len(kept.chain))
    content = header + b"".join(_LINK.pack(*link) for link in kept.chain)
    return content + hashlib.sha256(content).digest()


def _read(slot: bytes) -> tuple[int, Kept] | None:
    """Sequence and content; None for a slot that was torn or never written."""
    if len(slot) < _HEADER.size:
        return None
    magic, sequence, region, federation, commits, epoch, lineages = _HEADER.unpack_from(slot)
    end = _HEADER.size + lineages * _LINK.size
    if magic != _MAGIC or not lineages or hashlib.sha256(slot[:end]).digest() != slot[end : end + _SUM]:
        return None
    chain = tuple(Link(*_LINK.unpack_from(slot, _HEADER.size + i * _LINK.size)) for i in range(lineages))
    named = b"" if federation == _NO_FEDERATION else federation
    return sequence, Kept(region=region, federation=named, chain=chain, commits=commits, epoch=epoch)


def _failed(path: Path, error: OSError) -> WitnessFailed:
    return WitnessFailed(
        f"{path}: the witness cannot be read or written ({error.strerror or type(error).__name__}). Nobody is answered "
        "until it can: make room on its disk or mount it again; the region then goes on by itself."
    )
