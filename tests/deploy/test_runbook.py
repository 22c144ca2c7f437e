"""The runbook cannot rot: every command in it exists and takes the options it is given there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from node.cli.commands import build

RUNBOOK = Path(__file__).resolve().parents[2] / "deploy" / "RUNBOOK.md"
TEXT = RUNBOOK.read_text("utf-8")
TYPED = re.compile(r"^ {4}\$ (?:HUTONG_TOKEN=… )?hutong (.+)$", re.MULTILINE)
QUOTED = re.compile(r"`hutong ([^`]+)`")
LINES = sorted({*TYPED.findall(TEXT), *QUOTED.findall(TEXT)})


def resolve(words: list[str]) -> tuple[Any, Any, list[str]]:
    """The command that words begin with, its context, and the rest of the words."""
    found: Any = typer.main.get_command(build([]))
    context = found.make_context("hutong", ["version"])
    while hasattr(found, "resolve_command"):
        name, found, words = found.resolve_command(context, words)
        assert found is not None
        context = found.context_class(found, info_name=name, parent=context)
    return found, context, words


@pytest.mark.parametrize("line", LINES)
def test_every_command_in_the_runbook_parses(line: str) -> None:
    try:
        command, context, words = resolve(shlex.split(line))
        if line in TYPED.findall(TEXT) or len(words) > 1:  # one that is only named, in a sentence, needs no arguments
            command.parse_args(context, [word for word in words if word != "--help"])
    except Exception as error:
        pytest.fail(f"hutong {line}: {error}", pytrace=False)


def test_the_runbook_says_what_to_do_on_every_bad_day() -> None:
    for command in (
        "backup", "restore", "drill", "recovery show", "recovery replayed", "recovery accept-risk", "peers evidence",
        "peers repair", "agreement propose", "agreement suspend", "card", "anchors", "federation resolve", "claims",
        "verify",
    ):  # fmt: skip
        assert any(line.startswith(command) for line in LINES), command


def test_what_is_done_to_a_peer_is_something_that_can_be_done() -> None:
    assert {"retry", "evidence", "repair"} >= set(re.findall(r"hutong peers ([a-z]+)", TEXT))


def test_its_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
