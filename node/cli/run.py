"""Runs one command line and never ends in a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from node.cli import screen
from node.cli.faults import Exit, Failed, explain
from node.cli.words import say


def run(arguments: Sequence[str]) -> int:
    """Run the command; the exit status (see :mod:`node.cli.faults`)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    screen.want_json("--json" in arguments)
    left = [argument for argument in arguments if argument != "--json"]
    try:
        from node.cli.commands import build

        result: Any = build(left)(left, prog_name="hutong", standalone_mode=False)
        if isinstance(result, screen.Answer):
            return screen.tell(result)
    except (BrokenPipeError, SystemExit):
        # Whoever read the output has gone (the printer of tables and help then ends the program): nobody is to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    except BaseException as error:
        return _failed(error)
    return result if isinstance(result, int) else int(Exit.OK)


def _failed(error: BaseException) -> int:
    usage = getattr(error, "format_message", None)
    if usage is None:
        return screen.tell_failure(explain(error))
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        sys.stdout.write(f"{usage()}\n")
        return int(Exit.BAD_INPUT)
    context = getattr(error, "ctx", None)
    asked = context.command_path if context is not None else "hutong"
    do = say("用 --help 查看用法", "See the usage with --help")
    return screen.tell_failure(Failed(str(usage()), f"{do}: {asked} --help", name="usage"))
