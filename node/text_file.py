"""Text files that an operator hands over: whole, bounded and UTF-8, or a refusal that says where they are not."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from node.errors import BadFile

FILE_BYTES = 256 << 20
_SAVE_AS_UTF8 = 'Save it again as UTF-8 (in a spreadsheet: "CSV UTF-8").'


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark and with its line ends as they are.

    Raises :class:`BadFile` when it cannot be read, is empty, is larger than `FILE_BYTES`, is not UTF-8 or holds a NUL.
    """
    data = _read_bytes(path)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadFile(path, 1, 1, "is UTF-16, not UTF-8", _SAVE_AS_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().removeprefix("\ufeff")
        what = f"the byte at offset {error.start} is not UTF-8"
        raise BadFile(path, *place(before, len(before)), what, _SAVE_AS_UTF8) from None
    text = text.removeprefix("\ufeff")
    if not text:
        raise BadFile(path, None, None, "is empty", "Check that writing it had finished.")
    if (at := text.find("\0")) >= 0:
        raise BadFile(path, *place(text, at), "holds a NUL character", "Write the file again; it is damaged.")
    return text


def place(text: str, at: int) -> tuple[int, int]:
    """Line and character in the line, both counted from 1, of the character at that index."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > FILE_BYTES else file.read(FILE_BYTES + 1)
    except FileNotFoundError:
        raise BadFile(path, None, None, "does not exist", "Check the path.") from None
    except IsADirectoryError:
        raise BadFile(path, None, None, "is a directory", "Name a file in it.") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadFile(path, None, None, f"cannot be read ({why})", "Check the path and who may read it.") from None
    if max(size, len(data)) > FILE_BYTES:
        raise BadFile(path, None, None, f"is larger than {FILE_BYTES} bytes", "Split it into smaller files.")
    return data
