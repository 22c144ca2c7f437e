"""The next version of a roster, as keepers change it: a draft that nobody has signed yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gateway.protocol.errors import PeerFault
from gateway.protocol.members import Region, Roster
from node.cli import roster_file
from node.cli.command import replace_file
from node.cli.faults import Failed
from node.cli.roster_shown import roster_answer
from node.cli.screen import Answer
from node.cli.words import say


def draft(file: Path, out: Path | None, change: Callable[[Roster], Roster]) -> Answer:
    """A draft that nobody has signed is changed; a roster in force is followed by the next version."""
    found = roster_file.read(file)
    if found.pending is not None and found.pending.signatures:
        raise PeerFault(
            f"version {found.newest.version} is being signed; finish that with `hutong federation sign` first"
        )
    before = found.newest
    follows = found.pending is None
    version = before.version + 1 if follows else before.version
    changed = change(replace(before, version=version, issued_at_ms=max(now_ms(), before.issued_at_ms)))
    if (changed.regions, changed.resolutions) == (before.regions, before.resolutions):
        raise Failed(
            say("没有任何改动", "nothing would change"),
            say("给出名片，或 --suspend 等选项。", "Name cards, or an option such as --suspend."),
        )
    begun = roster_file.begin(found, changed)
    target = out or (file.with_name(f"roster-{changed.version}.json") if follows else file)
    if target.exists() and target.absolute() != file.absolute():
        raise Failed(
            say(f"{target} 已存在，未作改动", f"{target} exists already; nothing was changed"),
            say("用 --out 另取文件名。", "Choose another name with --out."),
        )
    replace_file(target, roster_file.write(begun))
    then = say(
        f"请 {changed.threshold} 位保管人依次运行：hutong federation sign {target} --key 根密钥文件",
        f"Have {changed.threshold} keepers run, one after the other: hutong federation sign {target} --key ROOTKEY",
    )
    return roster_answer(begun, target, then=then)


def with_region(listing: Roster, region: Region) -> Roster:
    """The roster with this region in it, in the place of what it listed under the code."""
    regions = {known.code: known for known in listing.regions} | {region.code: region}
    return replace(listing, regions=tuple(regions[code] for code in sorted(regions)))


def listed(listing: Roster, code: str) -> Region:
    """The region of this code. Raises Failed where the roster has none."""
    region = listing.find(int(code)) if code.isascii() and code.isdigit() else None
    if region is None:
        raise Failed(
            say(f"名册中没有地区 {code}", f"region {code} is not in the roster"),
            say("用 hutong federation show 查看成员。", "See the members with `hutong federation show`."),
        )
    return region


def now_ms() -> int:
    """This machine's clock, in Unix milliseconds."""
    return time.time_ns() // 1_000_000
