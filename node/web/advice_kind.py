"""What is said about one kind of problem."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """What is said about one kind of problem."""

    status: int
    title: str
    title_en: str
    do: str
    do_en: str
