"""How regions, categories and amounts are named in the tables of the demonstration."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from node.cli.demo.data import CATEGORY_NAMES, MEMBERS
from node.cli.words import say

UNITS_A_POINT = 100
"""The demonstration's regions count hundredths of a point (deploy/demo/rules.py)."""


def name_of(code: int) -> str:
    member = next(member for member in MEMBERS if member.code == code)
    return say(member.name_zh, member.name_en)


def category_name(code: str) -> str:
    return say(*CATEGORY_NAMES[code])


def points(units: int) -> Text:
    return Text(f"{units / UNITS_A_POINT:,.2f}")


def right(shown: Table, *columns: int) -> Table:
    """The table with these columns aligned to the right."""
    for at in columns:
        shown.columns[at].justify = "right"
    return shown


def seconds_of(seconds: float) -> Text:
    return Text(f"{seconds:.1f}")
