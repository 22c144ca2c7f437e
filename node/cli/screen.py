"""What a command shows: tables and sentences for a person, or exactly one JSON object for a program."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from node.cli.faults import Exit, Failed
from node.cli.words import say

CHINA = timezone(timedelta(hours=8))
_json = [False]
_WIDE = 200
_ID = 36
"""Words up to this length are not broken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a command has to say: `value` for `--json`, `shown` for a person."""

    value: Mapping[str, Any]
    shown: Sequence[RenderableType] = field(default_factory=tuple)
    code: Exit = Exit.OK


def want_json(wanted: bool) -> None:
    """Whether a program reads the output."""
    _json[0] = wanted


def wants_json() -> bool:
    """Whether a program reads the output."""
    return _json[0]


def tell(answer: Answer) -> int:
    """Print an answer; the exit status."""
    if wants_json():
        _print_json({"ok": answer.code is Exit.OK, **answer.value})
    else:
        # Where nobody's window sets a width, tables may be as wide as they need.
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE
        console = Console(highlight=False, width=width)
        for part in answer.shown:
            console.print(
                Text(clean(part)) if isinstance(part, str) else part, crop=False, soft_wrap=isinstance(part, str)
            )
    return int(answer.code)


def tell_failure(failure: Failed) -> int:
    """Print what went wrong and what to do; the exit status."""
    if wants_json():
        said = {"name": failure.name, "what": failure.what, "do": failure.do}
        _print_json({"ok": False, "error": said})
    else:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text.assemble((say("错误：", "Error: "), "bold red"), clean(failure.what)))
        console.print(Text.assemble((say("处理：", "Do:    "), "bold"), clean(failure.do)))
    return int(failure.code)


def note(zh: str, en: str) -> None:
    """A remark for a person, beside the answer."""
    if not wants_json():
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(say(zh, en), style="yellow"))


def _print_json(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def clean(text: object) -> str:
    """Text of a stranger without characters that move the cursor or hide what stands before them."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in str(text))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table; a column of numbers is aligned to the right."""
    shown = Table(
        title=Text(clean(title)), title_justify="left", title_style="bold", header_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    for at, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[at], int) for row in rows)
        words = (len(part) for row in rows for part in str(row[at]).split())
        least = max((length for length in words if length <= _ID), default=0)  # ids and addresses stay whole
        shown.add_column(Text(column), justify="right" if numbers else "left", overflow="fold", min_width=least)
    for row in rows:
        shown.add_row(*(_cell(value) for value in row))
    return shown


def facts(pairs: Sequence[tuple[str, object]]) -> Table:
    """Names and values, one pair a line."""
    shown = Table.grid(padding=(0, 2))
    for name, value in pairs:
        shown.add_row(Text(name, style="bold"), _cell(value))
    return shown


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return value
    return Text(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else clean(value))


def moment(ms: int) -> str:
    """A time as people in China write it; nothing for 0."""
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S") if ms else "—"


def day(date: int) -> str:
    """A date yyyymmdd as YYYY-MM-DD; nothing for 0 or for what never comes."""
    return f"{date // 10_000:04d}-{date // 100 % 100:02d}-{date % 100:02d}" if 0 < date < 99_991_231 else "—"


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Progress]:
    """A bar on the error stream for work that takes long; nothing where nobody watches."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=wants_json() or not console.is_terminal) as bar:
        bar.add_task(title, total=total)
        yield bar
