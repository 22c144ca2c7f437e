"""How a command ends badly: one line says what, one line says what to do, and the exit status says whose turn it is.

0 done; 1 refused by a rule (the same again is refused again); 2 wrong usage or bad input; 3 something is unavailable
(the same may work later), or this program is at fault.
"""

from __future__ import annotations

import errno
import re
import traceback
from enum import IntEnum
from pathlib import Path

from gateway.protocol.errors import ProtocolError, Refused
from node.cli.words import say
from node.errors import BadFile, BadInput, DatabaseBusy, DatabaseFull, Unavailable


class Exit(IntEnum):
    """The exit statuses of every command."""

    OK = 0
    REFUSED = 1
    BAD_INPUT = 2
    UNAVAILABLE = 3


class Failed(Exception):
    """A command cannot do what it was asked."""

    def __init__(self, what: str, do: str, code: Exit = Exit.BAD_INPUT, name: str = "") -> None:
        super().__init__(what)
        self.what, self.do, self.code = what, do, code
        self.name = name or {Exit.REFUSED: "refused", Exit.UNAVAILABLE: "unavailable"}.get(code, "bad_input")


def explain(error: BaseException) -> Failed:
    """Any error as what a person reads."""
    if isinstance(error, Failed):
        return error
    if isinstance(error, BadFile):
        return Failed(_in_file(error), error.do, name="bad_file")
    if isinstance(error, Refused):
        do = say("按所述原因改正后用新的编号再提交。", "Mend the reason, then ask under a new key.")
        return Failed(str(error), do, Exit.REFUSED, error.reason.name.lower())
    if isinstance(error, ProtocolError):
        what, do = _split(str(error))
        return Failed(what, do or say("请向提供该文件的人核实。", "Ask whoever handed it out."), Exit.REFUSED)
    if isinstance(error, BadInput):
        what, do = _split(str(error))
        return Failed(what, do or say("请改正后重试。", "Correct it and try again."))
    if isinstance(error, Unavailable):
        what, do = _split(str(error))
        return Failed(what, do or _when_unavailable(error), Exit.UNAVAILABLE)
    if type(error).__name__ == "BadMaterial":  # by name: its module brings all of gRPC with it
        return Failed(str(error), say("取回您保存的副本。", "Bring back the copy you keep of it."))
    if isinstance(error, KeyboardInterrupt):
        do = say("可以重新运行该命令。", "Run the command again.")
        return Failed(say("已中断", "interrupted"), do, Exit.UNAVAILABLE, "interrupted")
    if isinstance(error, OSError):
        return _of_system(error)
    return _of_ours(error)


def _split(text: str) -> tuple[str, str]:
    """Our messages say what is wrong and then, as a sentence or behind a mark, what to do."""
    if sentences := re.fullmatch(r"(.+?[^.])\. ([A-Z].+)", text, re.DOTALL):
        return sentences[1], sentences[2]
    for mark in ("; ", ": "):
        what, found, do = text.rpartition(mark)
        if found and len(do) > 12:
            return what, f"{do[:1].upper()}{do[1:]}."
    return text, ""


def _in_file(error: BadFile) -> str:
    place = [str(error.path)]
    if error.line is not None:
        place.append(say(f"第 {error.line} 行", f"line {error.line}"))
    if error.column is not None:
        place.append(say(f"第 {error.column} 列", f"column {error.column}"))
    return f"{say('，', ', ').join(place)}{say('：', ': ')}{error.what}"


def _when_unavailable(error: Unavailable) -> str:
    if isinstance(error, DatabaseFull):
        return say("腾出磁盘空间后重试。", "Make room on the disk, then try again.")
    if isinstance(error, DatabaseBusy):
        return say(
            "稍候重试；如仍然如此，查看是谁占用了数据库。", "Try again; if it stays, see who holds the database."
        )
    return say("恢复后重试。", "Try again once it is back.")


def _of_system(error: OSError) -> Failed:
    name = f"{error.filename}: " if error.filename else ""
    what = f"{name}{error.strerror or type(error).__name__}"
    if isinstance(error, PermissionError):
        return Failed(what, say("以拥有该目录的用户运行。", "Run it as the user who owns the directory."))
    if isinstance(error, FileNotFoundError | FileExistsError | NotADirectoryError | IsADirectoryError):
        return Failed(what, say("请检查路径。", "Check the path."))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(what, say("腾出磁盘空间后重试。", "Make room on the disk, then try again."), Exit.UNAVAILABLE)
    if error.errno == errno.EADDRINUSE:
        do = say("停止占用该端口的程序，或在 hutong.toml 中换一个端口。",
                 "Stop what uses the port, or choose another one in hutong.toml.")  # fmt: skip
        return Failed(what, do, Exit.UNAVAILABLE)
    return Failed(what, say("请检查系统后重试。", "Check the system, then try again."), Exit.UNAVAILABLE)


def _of_ours(error: BaseException) -> Failed:
    """A fault of this program. It says where, without the values it worked on: they may be somebody's."""
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({Path(where[0].filename).name}:{where[0].lineno})" if where else ""
    what = say("程序内部错误", "a fault of this program") + f": {type(error).__name__}{place}"
    do = say(
        "请把这一行报告给维护者；未完成的操作可以重试。",
        "Report this line to the maintainers; it is safe to try again.",
    )
    return Failed(what, do, Exit.UNAVAILABLE, "internal")
