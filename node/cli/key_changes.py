"""What keepers do to a region's signing keys: end one on a day, revoke one, say up to where its log is good."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.protocol.members import Anchor, Key, Region
from node.cli.faults import Failed
from node.cli.screen import CHINA
from node.cli.words import say
from node.errors import BadFile
from node.text_file import read_text

ANCHORS = "hutong.anchors.v1"
"""The type of a file of anchors."""


def instant(text: str) -> int:
    """A day or a moment as an operator writes it, in the time of China unless it says otherwise, as Unix ms."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Failed(
            say(f"{text} 不是日期或时间", f"{text} is neither a day nor a time"),
            say("写成 2026-11-30 或 2026-11-30T08:00。", "Write 2026-11-30 or 2026-11-30T08:00."),
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=CHINA)).timestamp() * 1000)


def named(region: Region, key_id: str) -> Key:
    """The key of a region with this id."""
    found = next((key for key in region.keys if key.verify_key.id.hex() == key_id.lower()), None)
    if found is None:
        raise Failed(
            say(f"地区 {region.code} 没有密钥 {key_id}", f"region {region.code} has no key {key_id}"),
            say("写成 代码:密钥编号，见 hutong federation show。", "Write CODE:KEYID; see `hutong federation show`."),
        )
    return found


def _with(region: Region, key: Key, changed: Key) -> Region:
    return replace(region, keys=tuple(changed if known == key else known for known in region.keys))


def ended(region: Region, key_id: str, until: str) -> Region:
    """Nothing new counts under the key after that moment. What it signed before verifies for ever."""
    key = named(region, key_id)
    return _with(region, key, replace(key, not_after_ms=instant(until)))


def revoked(region: Region, key_id: str, at_ms: int, anchors: Sequence[Anchor]) -> Region:
    """Nothing more counts under the key, whatever its date. A key revoked before may get its anchors now."""
    key = named(region, key_id)
    return _with(
        region, key, replace(key, revoked_at_ms=key.revoked_at_ms or at_ms, anchors=tuple(anchors) or key.anchors)
    )


# -- files of anchors --------------------------------------------------------------------------------------------------


def anchors_text(region: int, anchors: Sequence[Anchor]) -> str:
    """The file that a region hands to the keepers."""
    listed = [{"destination": a.destination, "epoch": a.epoch, "size": a.size, "root": a.root.hex()} for a in anchors]
    return json.dumps({"type": ANCHORS, "region": region, "anchors": listed}, indent=2) + "\n"


def read_anchors(path: Path) -> tuple[int, tuple[Anchor, ...]]:
    """Whose logs, and the last good prefix of each. Raises BadFile."""
    ask = "Ask the region for the file that `hutong anchors` writes."
    try:
        found: Mapping[str, Any] = json.loads(read_text(path))
        if found["type"] != ANCHORS:
            raise ValueError
        return int(found["region"]), tuple(map(_anchor, found["anchors"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadFile(path, None, None, "is no file of anchors", ask) from None


def _anchor(found: Mapping[str, Any]) -> Anchor:
    numbers = {name: int(found[name]) for name in ("destination", "epoch", "size")}
    root = bytes.fromhex(found["root"])
    if len(root) != 32 or min(numbers.values()) < 0 or max(numbers.values()) >= 1 << 64:
        raise ValueError
    return Anchor(**numbers, root=root)
