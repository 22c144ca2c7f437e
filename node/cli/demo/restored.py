"""One region is put back to a backup from before the first transfer, and gets everything back from the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.cli.demo import books
from node.cli.demo.books import Books
from node.cli.demo.case import Check
from node.cli.demo.drive import LINES_PER_ORDER, SETTLE_S, START_S, Drive, Line, chunks
from node.cli.demo.process import run
from node.errors import Unavailable

RESTORED = 330600
OPEN = 1
"""The condition of a channel on which everything is in order."""


@dataclass(kw_only=True, slots=True)
class Restore:
    """What was seen. Times are seconds from the start on the backup."""

    before: Books  # just before the database was replaced
    lost: int  # messages of its own that the backup had not
    back_s: float = 0.0  # all of it is here again
    owed: int = 0  # advanced to residents until the regional system had repeated its commands
    repeated: int = 0  # orders it repeated
    whole_s: float = 0.0  # and residents may spend again
    after: dict[str, Any] = field(default_factory=dict)  # what the region says at the end


async def back_up(drive: Drive) -> Path:
    """A backup while the region runs, before anything has left or come."""
    region = drive.federation.region(RESTORED)
    file = drive.federation.root / "before-the-transfers.sqlite"
    code, out = await run(["backup", str(file), "--dir", str(region.directory), "--json"])
    if code:
        raise Unavailable(f"hutong backup of {RESTORED} ends with {code}: {out!r:.300}")
    return file


async def put_back(drive: Drive, file: Path, orders: Mapping[int, Sequence[Line]]) -> Restore:
    """Stop the region, restore the backup, start, wait for the others, repeat what was acknowledged."""
    api, region = drive.apis[RESTORED], drive.federation.region(RESTORED)
    with drive.watcher.stage("一个地区恢复到转移前的备份", "Restore one region from before the transfers", 4) as done:
        region.ask_to_stop()
        await asyncio.to_thread(region.end)
        seen = Restore(before=books.read(RESTORED, region.database), lost=0)
        code, out = await run(["restore", str(file), "--dir", str(region.directory), "--json"])
        if code:
            raise Unavailable(f"hutong restore of {RESTORED} ends with {code}: {out!r:.300}")
        seen.lost = _own(seen.before) - _own(books.read(RESTORED, region.database))
        done(1)
        region.start()
        began = time.monotonic()
        await drive.until(api.linked, START_S, f"region {RESTORED} did not come back", api)
        await drive.until(api.given_back, SETTLE_S, f"region {RESTORED} did not get everything back", api)
        seen.back_s = time.monotonic() - began
        seen.owed = (await api.get("/v1/recovery"))["owed"]
        done(1)
        seen.repeated = await _repeat(drive, orders[RESTORED])
        done(1)
        await api.post("/v1/recovery/replayed", {})
        await drive.until(api.whole, SETTLE_S, f"region {RESTORED} is not whole", api)
        seen.whole_s = time.monotonic() - began
        # What was refused left no trace at any peer: asked once more, it is refused once more.
        await drive.repeat_refused(RESTORED, orders[RESTORED])
        done(1)
    await drive.settle()
    seen.after = await api.get("/v1/recovery")
    return seen


async def _repeat(drive: Drive, lines: Sequence[Line]) -> int:
    """The regional system says again what it was told is done."""
    told = [line for line in lines if drive.answers[line["key"]].id]
    for chunk in chunks(told, LINES_PER_ORDER):
        for line, answer in zip(
            chunk, await drive.apis[RESTORED].insist("/v1/transfers", chunk, replayed=True), strict=True
        ):
            if answer.get("id") != drive.answers[line["key"]].id:
                raise Unavailable(f"{line['key']} was {drive.answers[line['key']].id}, and now {answer}")
    return len(told)


def _own(found: Books) -> int:
    return sum(size for (source, _), (size, _root) in found.heads.items() if source == RESTORED)


def got_back(seen: Restore, now: Books) -> Check:
    """Every message it had said or heard is in its place, byte for byte, and every transfer is what it was."""
    against, counted = [], 0
    for log, frames in seen.before.logs.items():
        counted += len(frames)
        if now.logs.get(log, [])[: len(frames)] != frames:
            against.append(f"the log {log[0]}->{log[1]} begins otherwise than before the restore")
    then = {t.id: t for t in seen.before.transfers}
    last = max((t.at_ms for t in seen.before.transfers), default=0)
    for t in now.transfers:
        before = then.pop(t.id, None)
        if before is None and t.at_ms > last:
            continue  # it came later
        if before is None or before[:6] != t[:6] or before[7:10] != t[7:10]:
            against.append(f"{t.id.hex()}: {before}, then {t}")
        counted += 1
    against += [f"{t.hex()} is gone" for t in then]
    return Check(
        name="restored_region_got_everything_back",
        zh="恢复自旧备份的地区取回了全部报文与转移",
        en="the region restored from a backup got every message and transfer back",
        counted=counted if seen.lost else 0,
        against=against,
    )


def owes_nothing(seen: Restore) -> Check:
    """It is whole, and what it advanced to residents meanwhile has been repaid."""
    after = seen.after
    fine = not after["recovering"] and after["owed"] == 0
    return Check(
        name="restored_region_is_whole_and_owes_nothing",
        zh="该地区已恢复完整，垫付已全部收回",
        en="that region is whole, and has been repaid what it advanced",
        counted=seen.repeated,
        against=[] if fine else [str(after)],
    )
