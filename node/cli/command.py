"""How a command is declared: a function that takes its arguments and returns an Answer."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.screen import Answer
from node.cli.words import say

Directory = Annotated[
    Path,
    typer.Option("--dir", envvar="HUTONG_DIR", help=say("地区目录", "Directory of the region"), show_default=False),
]
"""The region a command works for: `--dir`, else HUTONG_DIR, else the working directory."""
HERE = Path()

_SHOWN = (
    ("as_json", bool, False, typer.Option("--json", help=say("输出一个 JSON 对象", "Print one JSON object"))),
    ("lang", str, "", typer.Option("--lang", metavar="zh|en", help=say("界面语言", "Language"), show_default=False)),
)


def group(zh: str, en: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=say(zh, en), no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def command(
    commands: typer.Typer, name: str, zh: str, en: str
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Register a command. Every command lists `--json` and `--lang`, which are taken out before it is parsed."""

    def register(function: Callable[..., Answer]) -> Callable[..., Answer]:
        signature = inspect.signature(function, eval_str=True)
        more = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
            for key, kind, default, option in _SHOWN
        ]
        taken = [*signature.parameters.values(), *more]

        @wraps(function)
        def run(*arguments: Any, **keywords: Any) -> Answer:
            if keywords.pop("lang"):
                raise typer.BadParameter(say("--lang 为 zh 或 en", "--lang is zh or en"))
            del keywords["as_json"]
            return function(*arguments, **keywords)

        run.__signature__ = signature.replace(parameters=taken)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in taken}
        commands.command(name, help=say(zh, en))(run)
        return function

    return register


def secret_file(path: Path, content: str) -> None:
    """Write a file that only its owner can ever open. Raises FileExistsError rather than replace one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: str) -> None:
    """Write a file whole or not at all: whoever reads it sees the old content or the new."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
