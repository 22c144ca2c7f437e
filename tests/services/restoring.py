"""Regions whose database can be taken back to an earlier state, as a restore from a backup does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from node.services.verify.run import verify
from node.store import history
from node.store.create import create
from node.store.engine import open_store
from node.witness import WitnessFile, begin
from tests.federation import Pair, TestRegion, pair
from tests.services.delivery import A, B


def witnessed(folder: Path, codes: tuple[int, ...] = (A, B), **terms: object) -> Pair:
    """Regions on files, each with a witness that was made together with its database."""
    stores = []
    for code in codes:
        store = open_store(f"sqlite:///{folder / str(code)}.sqlite")
        create(store)
        stores.append(store)
    made = pair(codes, stores=stores, open_now=False, **terms)
    for region in made.regions.values():
        with region.store.read() as conn:
            lineage = history.load(conn).lineage
        witness = WitnessFile(file_of(folder, region))
        witness.write(begin(region.code, lineage))
        witness.close()
        start(folder, region)
    made.open()
    return made


def file_of(folder: Path, region: TestRegion) -> Path:
    """Where the witness of a region is."""
    return folder / f"{region.code}.witness"


def start(folder: Path, region: TestRegion) -> None:
    """A new process, which reads the witness from its file."""
    if isinstance(region.witness, WitnessFile):
        region.witness.close()
    region.witness = WitnessFile(file_of(folder, region))
    region.start()


def backup(folder: Path, region: TestRegion, name: str = "backup") -> Path:
    """The database as it is, beside the region."""
    copy = folder / f"{region.code}.{name}"
    copy.unlink(missing_ok=True)
    _copy(folder / f"{region.code}.sqlite", copy)
    return copy


def restore(folder: Path, region: TestRegion, copy: Path, *, and_start: bool = True) -> None:
    """The process ends, the database is replaced by a backup, and a new process starts."""
    region.store.close()
    for left in folder.glob(f"{region.code}.sqlite*"):
        left.unlink()
    _copy(copy, folder / f"{region.code}.sqlite")
    region.store = open_store(f"sqlite:///{folder / str(region.code)}.sqlite")
    if and_start:
        start(folder, region)


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """What lies at `path` is on a device without room meanwhile."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to("/dev/full")
    try:
        yield
    finally:
        path.unlink()
        aside.rename(path)


def reopen(made: Pair) -> None:
    """The nodes begin their handshakes anew and say what there is to say."""
    made.wire.clear()
    made.open()


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def sound(made: Pair) -> None:
    """Journal and logs derive every table of every region."""
    for region in made.regions.values():
        assert [check for check in verify(region.store) if not check.ok] == [], region.code
