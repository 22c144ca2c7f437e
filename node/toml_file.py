"""TOML files: the whole document, or a refusal that names file, line and column."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from node.errors import BadFile
from node.text_file import place, read_text

_MEND = "Correct the file at that place; nothing of it was used."
# How tomllib ends its messages. From Python 3.14 the error carries the place in attributes as well.
_AT = re.compile(r"\s*\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)\s*\Z")

_LONG = re.compile(r"[0-9][0-9_]{4000,}")


def read_toml(path: Path) -> dict[str, Any]:
    """The document as :func:`tomllib.loads` gives it; raises :class:`BadFile` if it is empty or not TOML 1.0."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, column = _place(str(error), text)
        what = _AT.sub("", str(error))
        raise BadFile(path, line, column, f"is not TOML ({what[:1].lower()}{what[1:]})", _MEND) from None
    except RecursionError:
        raise BadFile(path, None, None, "nests values too deeply", "Write it with fewer brackets.") from None
    except ValueError:  # a number with more digits than Python converts
        long = _LONG.search(text)
        line, column = place(text, long.start()) if long else (None, None)
        raise BadFile(path, line, column, "is not TOML (a number is out of range)", _MEND) from None


def _place(message: str, text: str) -> tuple[int | None, int | None]:
    """Where the message says; at the end of a document that is just behind its last character."""
    at = _AT.search(message)
    if at is None:
        return None, None
    if at["line"] is None:
        return place(text, len(text))
    return int(at["line"]), int(at["column"])
