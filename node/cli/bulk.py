"""Many commands from one file: checked as a whole before the first is sent, then sent a thousand at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from node.cli.api import Api, refusal
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, progress, table
from node.cli.words import say

SHOWN = 3
"""So many refusals of a kind are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkDone:
    """Where the lines came from."""

    file: Path
    region: int
    others: int  # lines of the file that are another region's


def submit(api: Api, path: str, lines: Sequence[Mapping[str, Any]], source: BulkDone, title: str, named: str) -> Answer:
    """Send the lines and count what became of them; `named` is the field by which a refused one is told."""
    if not lines:
        raise Failed(
            say(
                f"{source.file} 中没有地区 {source.region} 的行", f"{source.file} has no line of region {source.region}"
            ),
            say("检查文件，或用 --dir 指定另一个地区。", "Check the file, or name another region with --dir."),
        )
    refused: list[tuple[str, Failed]] = []
    codes = Exit.OK
    with progress(title, len(lines)) as bar:
        for place, answer in api.bulk(path, lines, lambda more: bar.advance(bar.task_ids[0], more)):
            if (failed := refusal(answer)) is not None:
                refused.append((str(lines[place][named]), failed))
                codes = max(
                    codes, failed.code, key=lambda code: (code == Exit.UNAVAILABLE, code == Exit.BAD_INPUT, code)
                )
    return _report(len(lines), refused, source, codes)


def _report(total: int, refused: Sequence[tuple[str, Failed]], source: BulkDone, code: Exit) -> Answer:
    done = total - len(refused)
    parts: list[RenderableType] = [say(f"完成 {done:,} / {total:,}", f"{done:,} of {total:,} done")]
    if source.others:
        parts.append(say(f"文件中另有 {source.others:,} 行属于其他地区，未处理。",
                         f"{source.others:,} lines of the file are other regions' and were left alone."))  # fmt: skip
    if refused:
        kinds: dict[str, list[tuple[str, Failed]]] = {}
        for which, failed in refused:
            kinds.setdefault(failed.name, []).append((which, failed))
        rows = [
            [len(found), found[0][1].what, ", ".join(which for which, _ in found[:SHOWN]), found[0][1].do]
            for found in kinds.values()
        ]
        columns = [say("行数", "Lines"), say("错误", "Error"), say("例如", "Such as"), say("处理", "Do")]
        parts.append(table(say(f"未完成 {len(refused):,}", f"{len(refused):,} not done"), columns, rows))
    value = {
        "file": str(source.file),
        "lines": total,
        "done": done,
        "others": source.others,
        "refused": [{"which": name, "name": failed.name, "what": failed.what} for name, failed in refused],
    }
    return Answer(value=value, shown=parts, code=code)
