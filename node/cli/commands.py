"""All commands. Only the module of the one that was asked for is imported, so that each starts at once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from node.cli.command import command
from node.cli.screen import Answer
from node.cli.words import say

MODULES = {
    "init": "init",
    "card": "card",
    "anchors": "anchors",
    "federation": "federation",
    "serve": "serve",
    "account": "account",
    "award": "award",
    "agreement": "agreement",
    "transfer": "transfer",
    "quote": "transfer",
    "redeem": "redeem",
    "peers": "peers",
    "recovery": "recovery",
    "claims": "claims",
    "clawback": "clawback",
    "consent": "consent",
    "penalty": "penalty",
    "dispute": "dispute",
    "attest": "attest",
    "events": "events",
    "sweep": "events",
    "token": "token",
    "verify": "verify",
    "backup": "backup",
    "restore": "restore",
    "drill": "drill",
    "proof": "proof",
    "demo": "demo",
}
"""Command or group -> the module whose `register` adds it."""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line, with every command or with the one that is asked for."""
    app = typer.Typer(
        name="hutong", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, epilog=say(
            "退出码：0 成功；1 按规则被拒绝；2 用法或输入有误；3 暂不可用。每个命令都可加 --json 和 --lang zh|en。",
            "Exit status: 0 done; 1 refused by a rule; 2 wrong usage or input; 3 unavailable. "
            "Every command takes --json and --lang zh|en.",
        )
    )  # fmt: skip
    app.callback(invoke_without_command=True, help=say(
        "互通 Hutong：各地区在各自账本之间转移公民积分",
        "互通 Hutong: regions move civic points between their own ledgers",
    ))(_root)  # fmt: skip
    asked = next((argument for argument in arguments if not argument.startswith("-")), "")
    names = [MODULES[asked]] if asked in MODULES else dict.fromkeys(MODULES.values())
    for name in names:
        import_module(f"node.cli.{name}").register(app)
    command(app, "version", "版本", "The version")(_version)
    return app


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help=say("版本", "The version"))] = False,
) -> Answer | None:
    if version and context.invoked_subcommand is None:
        return _version()
    return None


def _version() -> Answer:
    number = version_of("hutong")
    return Answer(value={"version": number}, shown=[f"hutong {number}"])
