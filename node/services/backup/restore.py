"""Putting a backup back: is it whole, may it still be used, and the change itself, at once or not at all."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from node import witness
from node.errors import BadFile, BadInput
from node.services.backup.online import (
    CHUNK,
    MANIFEST,
    Manifest,
    Tell,
    belongs,
    beside,
    check_room,
    fingerprint,
    nobody,
    synchronise,
    written_beside,
)
from node.services.verify.run import open_copy
from node.store.engine import driver_connection
from node.witness import Kept

# -- examining --------------------------------------------------------------------------------------------------------


def read_manifest(backup: Path) -> Manifest:
    """What a backup says it is. Raises BadFile."""
    path = beside(backup)
    if not backup.exists():
        raise BadFile(backup, None, None, "does not exist", "Name a backup that `hutong backup` has made.")
    if not path.exists():
        what = "has no manifest beside it: it was cut short, or is no backup"
        raise BadFile(backup, None, None, what, f"Bring back {path.name}, or restore another backup.")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
        lineage = bytes.fromhex(found.lineage)
        bytes.fromhex(found.federation)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadFile(path, None, None, "is not the manifest of a backup", "Restore another backup.") from error
    if found.hutong_backup != 1 or len(lineage) != witness.LINEAGE_BYTES:
        raise BadFile(path, None, None, "is of another version", "Restore it with the version that made it.")
    return found


def check_file(backup: Path, manifest: Manifest, tell: Tell = nobody) -> None:
    """Raises BadFile unless the SQLite file is, bit by bit, the one that was made, and a whole database."""
    again = "Restore another backup, or bring this one over again."
    length, digest = fingerprint(backup, tell)
    if length != manifest.bytes:
        raise BadFile(backup, None, None, f"has {length} bytes and was made with {manifest.bytes}", again)
    if digest != manifest.sha256:
        raise BadFile(backup, None, None, "is not the file that was made: its SHA-256 differs", again)
    store = open_copy(backup)
    try:
        with store.read() as conn:
            (said,) = driver_connection(conn).execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise BadFile(backup, None, None, f"is a damaged database ({said})", again)
            what = belongs(conn)
    finally:
        store.close()
    if (what.region, what.lineage.hex(), what.commits) != (manifest.region, manifest.lineage, manifest.commits):
        raise BadFile(backup, None, None, "and its manifest say different things", again)


def judge(manifest: Manifest, region: int, kept: Kept | None, fault: str) -> str:
    """What the region will find when it starts on this backup: why it recovers; empty where nothing is missing.

    Raises BadInput for the backup of another region or federation, and of an abandoned history.
    """
    if manifest.region != region:
        raise BadInput(
            f"the backup belongs to region {manifest.region}, not {region}; name one of this region's, or another --dir"
        )
    return witness.judge(
        kept,
        fault,
        region=region,
        federation=bytes.fromhex(manifest.federation),
        lineage=bytes.fromhex(manifest.lineage),
        commits=manifest.commits,
    )


def usable(places: Iterable[Path], region: int, kept: Kept | None, fault: str) -> Path | None:
    """The newest backup in these directories that may be restored, by what their manifests say."""
    found: list[tuple[int, Path]] = []
    for place in dict.fromkeys(places):
        for path in place.glob(f"*{MANIFEST}"):
            backup = path.with_name(path.name.removesuffix(MANIFEST))
            with suppress(BadInput, OSError):
                manifest = read_manifest(backup)
                judge(manifest, region, kept, fault)
                found.append((manifest.at_ms, backup))
    return max(found)[1] if found else None


# -- putting back -----------------------------------------------------------------------------------------------------


def put_in_place(backup: Path, manifest: Manifest, database: Path, suffix: str, tell: Tell = nobody) -> Path | None:
    """Make the backup the database, at once and durably. The present one is put aside as `database` + `suffix`.

    Nobody has the database open. Returns where the present one lies now; None where there was none. Raises
    DatabaseFull or OSError where the disk fails: the present one then stays as it is.
    """
    check_room(database, manifest.bytes)
    with written_beside(database) as partial:
        _transcribe(backup, partial, manifest, tell)
        aside = _put_aside(database, suffix)
        partial.replace(database)
        synchronise(database.parent)
    return aside


def _transcribe(backup: Path, to: Path, manifest: Manifest, tell: Tell) -> None:
    digest, done = hashlib.sha256(), 0
    with backup.open("rb") as source, to.open("wb") as copy:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
            done += len(chunk)
            tell(done, manifest.bytes)
        copy.flush()
        os.fsync(copy.fileno())
    if digest.hexdigest() != manifest.sha256:
        raise BadFile(backup, None, None, "has changed while it was copied", "Check its disk and try again.")


def _put_aside(database: Path, suffix: str) -> Path | None:
    """The database under another name, with the write-ahead log that belongs to it. Never removes any of it."""
    if not database.exists():
        return None
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=1.0)) as present:
        present.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what can still be read goes into the one file
    aside = database.with_name(database.name + suffix)
    if aside.exists():
        raise BadInput(f"{aside} exists already; move it away")
    os.link(database, aside)
    # A log that were left would be taken for the backup's own.
    for kind in ("-wal", "-shm"):
        log = database.with_name(database.name + kind)
        if log.exists():
            log.rename(aside.with_name(aside.name + kind))
    synchronise(database.parent)
    return aside
