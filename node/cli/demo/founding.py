"""Set the demonstration up as people would: the very functions of `hutong init` and `hutong federation`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.protocol.members import Roster
from node.cli import federation, roster_file, trust
from node.cli.demo.data import CATEGORIES, MEMBERS
from node.cli.demo.process import RegionProcess, free_ports, stop_all
from node.cli.init import init

ENVIRONMENT = "demo"


@dataclass(frozen=True, kw_only=True, slots=True)
class Federation:
    """Four regions that trust one roster; none runs yet."""

    root: Path
    regions: list[RegionProcess]
    roster: Roster

    def region(self, code: int) -> RegionProcess:
        """One of them."""
        return next(region for region in self.regions if region.code == code)


@contextmanager
def somewhere(keep: bool) -> Iterator[Path]:
    """A new directory on a disk, removed at the end; with `keep` only when something went wrong.

    /tmp may be memory; /var/tmp is not, by the Filesystem Hierarchy Standard 3.0, 5.15.
    """
    on_disk = Path("/var/tmp")  # noqa: S108 -- mkdtemp makes a directory of its own in it
    place = on_disk if "TMPDIR" not in os.environ and os.access(on_disk, os.W_OK) else None
    root = Path(tempfile.mkdtemp(prefix="hutong-demo-", dir=place))
    try:
        yield root
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    if not keep:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def four_regions(root: Path, *, keep: bool) -> Iterator[Federation]:
    """Make them below `root`; whatever runs of them at the end is stopped, except, with `keep`, when all went well."""
    made = found(root, keep=keep)
    try:
        yield made
    except BaseException:
        stop_all(made.regions)
        raise
    if not keep:
        stop_all(made.regions)


def found(root: Path, *, keep: bool) -> Federation:
    """Keys, certificates, configurations, databases; three root keys, of which two sign a roster that all four take."""
    ports = free_ports(2 * len(MEMBERS))
    regions = [
        RegionProcess(
            member=member,
            directory=root / str(member.code),
            grpc=f"127.0.0.1:{ports.pop()}",
            http=f"127.0.0.1:{ports.pop()}",
            outlives=keep,
        )
        for member in MEMBERS
    ]
    cards = []
    for region in regions:
        made = init(
            code=str(region.code),
            name=region.member.name_zh,
            name_en=region.member.name_en,
            directory=region.directory,
            listen=region.grpc,
            http=region.http,
            endpoint=region.grpc,
            categories=",".join(CATEGORIES),
            environment=ENVIRONMENT,
        )
        cards.append(Path(made.value["card"]))
    keepers = root / "federation"
    new = federation.new(name="互通演示", name_en="Demonstration", out=keepers, environment=ENVIRONMENT)
    file = keepers / "roster-1.json"
    federation.add(file, cards)
    for key in new.value["root_keys"][:2]:
        federation.sign(file, Path(key))
    for region in regions:
        trust.trust(file, region.directory)
    roster = roster_file.read(file).current
    assert roster is not None
    return Federation(root=root, regions=regions, roster=roster)
