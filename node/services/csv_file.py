"""CSV files of residents, awards and transfers: every line of a file is sound, or none of it is used.

Strict on purpose: the header names exactly the expected columns (in any order), every line has a cell for each, the
last line is ended (a file cut short would otherwise lose digits unseen), and a cell is in the one form its column has.
A byte order mark and CRLF line ends are accepted. Errors never quote a cell: see :class:`BadFile`.

Values are those of :mod:`gateway.protocol.values`: regions are integers, dates are integers yyyymmdd.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from gateway.protocol.identity import mentions_number
from gateway.protocol.limits import AMOUNT_MAX, CATEGORY_CHARACTERS
from gateway.protocol.values import Evidence, Purpose
from node.errors import BadFile
from node.text_file import place, read_text

NAME_CHARACTERS = 64  # of an account, a key or an activity

EVIDENCE_GRADES = {grade.name.lower(): grade for grade in Evidence}
# A reversal is asked for by naming the transfer it undoes, never in a file of transfers.
PURPOSES = {purpose.name.lower(): purpose for purpose in Purpose if purpose is not Purpose.REVERSAL}


class BadCell(ValueError):
    """A cell that its column's parser does not take: what is wrong and what to do."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.what = what
        self.do = do


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidentRow:
    """One account to open."""

    region: int
    account: str  # the regional system's own name for it
    opened: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AwardRow:
    """One lot to grant."""

    region: int
    key: str  # the caller's idempotency key
    account: str
    category: str
    amount: int  # smallest units
    granted: int
    expires: int  # the first date on which the lot is no longer good
    evidence: Evidence
    activity: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferRow:
    """One transfer to submit at its source."""

    key: str  # the caller's idempotency key
    source: int
    account: str
    destination: int
    receiver: str  # the account's name in the destination region
    category: str
    amount: int  # smallest units of the category at the source
    purpose: Purpose


Parser = Callable[[str], object]
R = TypeVar("R")
E = TypeVar("E")

_REGION = re.compile(r"[1-9][1-9][0-9]{4}")
_CATEGORY = re.compile(rf"[a-z][a-z0-9_]{{0,{CATEGORY_CHARACTERS - 1}}}")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONE_RETURN = re.compile(r"\r(?!\n)")


def region(cell: str) -> int:
    """A six-digit GB/T 2260 code, from 110000."""
    if not _REGION.fullmatch(cell):
        raise BadCell("is not a region code", "Write the six digits of GB/T 2260, such as 330100.")
    return int(cell)


def name(cell: str) -> str:
    """A name that somebody else chose: printable, bounded, with no space at either end."""
    if not cell:
        raise BadCell("is empty", "Every line needs a value here.")
    if len(cell) > NAME_CHARACTERS:
        raise BadCell(f"is longer than {NAME_CHARACTERS} characters", "Write a shorter name.")
    if mentions_number(cell):
        raise BadCell("has an identity number in it", "Use the regional system's own name for it.")
    if not cell.isprintable() or cell != cell.strip():
        raise BadCell("has spaces around it or characters that cannot be seen", "Remove them.")
    return cell


def category(cell: str) -> str:
    """The code of a category; whether a region has it is for the region to say."""
    if not _CATEGORY.fullmatch(cell):
        raise BadCell("is not a category code", "Write small letters, digits and underscores, such as public_welfare.")
    return cell


def amount(cell: str) -> int:
    """A whole number of smallest units from 1 to 2^63-1, in plain digits."""
    if not _INTEGER.fullmatch(cell):
        raise BadCell("is not an integer", "Write the number of smallest units in digits alone, such as 1250.")
    if cell.startswith("-") or cell == "0":
        raise BadCell("is not above zero", "Leave the line out, or write a number from 1.")
    if len(cell) > len(str(AMOUNT_MAX)) or int(cell) > AMOUNT_MAX:
        raise BadCell("is above 2^63-1", f"Write a number up to {AMOUNT_MAX}.")
    return int(cell)


def day(cell: str) -> int:
    """A date that exists, written as YYYY-MM-DD: the integer yyyymmdd."""
    try:
        if _DATE.fullmatch(cell):
            date.fromisoformat(cell)
            return int(cell.replace("-", ""))
    except ValueError:
        pass
    raise BadCell("is not a date", "Write a day that exists as YYYY-MM-DD, such as 2026-01-31.")


def one_of(words: Mapping[str, E]) -> Callable[[str], E]:
    """A parser that takes exactly these words, each for its value."""

    def parse(cell: str) -> E:
        if cell not in words:
            raise BadCell("is not one of the words it can be", f"Write one of: {', '.join(words)}.")
        return words[cell]

    return parse


RESIDENTS: Mapping[str, Parser] = {"region": region, "account": name, "opened": day}
AWARDS: Mapping[str, Parser] = {
    "region": region,
    "key": name,
    "account": name,
    "category": category,
    "amount": amount,
    "granted": day,
    "expires": day,
    "evidence": one_of(EVIDENCE_GRADES),
    "activity": name,
}
TRANSFERS: Mapping[str, Parser] = {
    "key": name,
    "source": region,
    "account": name,
    "destination": region,
    "receiver": name,
    "category": category,
    "amount": amount,
    "purpose": one_of(PURPOSES),
}


def load_residents(path: Path) -> list[ResidentRow]:
    """The accounts of a file; an account is named once in its region."""
    rows = read(path, RESIDENTS, ResidentRow)
    _unique(path, "account", ((line, (row.region, row.account)) for line, row in rows))
    return [row for _, row in rows]


def load_awards(path: Path) -> list[AwardRow]:
    """The lots of a file; a key is used once in its region, and every lot is good for at least a day."""
    rows = read(path, AWARDS, AwardRow)
    for line, row in rows:
        if row.expires <= row.granted:
            raise BadFile(path, line, "expires", "is not after the day it was granted", "Correct one of the dates.")
    _unique(path, "key", ((line, (row.region, row.key)) for line, row in rows))
    return [row for _, row in rows]


def load_transfers(path: Path) -> list[TransferRow]:
    """The transfers of a file; a key is used once at its source, and every transfer crosses a border."""
    rows = read(path, TRANSFERS, TransferRow)
    for line, row in rows:
        if row.source == row.destination:
            raise BadFile(path, line, "destination", "is the source", "Name another region.")
    _unique(path, "key", ((line, (row.source, row.key)) for line, row in rows))
    return [row for _, row in rows]


def read(path: Path, columns: Mapping[str, Parser], row: Callable[..., R]) -> list[tuple[int, R]]:
    """Every line below the header as (line number from 1, `row(**cells)`), once all of them are sound.

    `columns` maps each column's name to what turns its cell into a value or raises :class:`BadCell`.
    Raises :class:`BadFile`.
    """
    text = read_text(path)
    if lone := _LONE_RETURN.search(text):
        raise BadFile(path, *place(text, lone.start()), "has a line end of neither LF nor CRLF", "Save it with LF.")
    lines = _cells(path, text)
    first, header = lines[0]
    _check_header(path, first, header, columns)
    return [(line, row(**_parse(path, line, header, cells, columns))) for line, cells in lines[1:]]


def _cells(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """Each record with the number of the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    records: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            records.append((line, cells))
            line = reader.line_num + 1
    except csv.Error:
        raise _unreadable(path, text, line) from None
    if not text.endswith("\n"):
        what = "does not end, so the file may have been cut short"
        raise BadFile(path, records[-1][0], None, what, "Fetch the file again, or if it is whole add a line end.")
    return records


def _unreadable(path: Path, text: str, line: int) -> BadFile:
    """What the CSV reader could not say about the record that begins on that line."""
    record = text.split("\n", line - 1)[-1]
    at = record.find('"')
    if at < 0 or "\n" in record[:at]:
        return BadFile(path, line, None, "has a cell that is too long", "Check what was written there.")
    what = "has a quotation mark that is not closed, or text behind a closed one"
    return BadFile(path, line, at + 1, what, "Put the whole cell in quotation marks and double those in it.")


def _check_header(path: Path, line: int, header: list[str], columns: Mapping[str, Parser]) -> None:
    do = f"The first line names the columns: {','.join(columns)}."
    for column in columns:
        if column not in header:
            raise BadFile(path, line, column, "is missing", do)
    if len(header) > len(columns):
        which = next(n for n, cell in enumerate(header) if cell not in columns or cell in header[:n])
        raise BadFile(path, line, None, f"has a column too many, at place {which + 1}", do)


def _parse(path: Path, line: int, header: list[str], cells: list[str], columns: Mapping[str, Parser]) -> dict[str, Any]:
    if not cells:
        raise BadFile(path, line, header[0], "is an empty line", "Remove the line.")
    if len(cells) != len(header):
        column = header[min(len(cells), len(header) - 1)]
        what = f"has {len(cells)} cells instead of {len(header)}"
        raise BadFile(path, line, column, what, "Give every column one cell, and quote a cell with a comma in it.")
    values: dict[str, Any] = {}
    for column, cell in zip(header, cells, strict=True):
        try:
            values[column] = columns[column](cell)
        except BadCell as bad:
            raise BadFile(path, line, column, bad.what, bad.do) from None
    return values


def _unique(path: Path, column: str, keys: Iterable[tuple[int, Hashable]]) -> None:
    seen: dict[Hashable, int] = {}
    for line, key in keys:
        if (before := seen.setdefault(key, line)) != line:
            raise BadFile(path, line, column, f"was used in line {before}", "Remove one of the two lines.")
