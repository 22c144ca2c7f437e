"""`hutong events` and `hutong sweep`: what happened to transfers, and booking what has expired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from node.cli.api import WAIT_S, Api
from node.cli.command import HERE, Directory, command
from node.cli.faults import Failed
from node.cli.screen import Answer, progress, table, tell, wants_json
from node.cli.terms_of_art import reason, when, word
from node.cli.words import say


def register(app: typer.Typer) -> None:
    """Add `events` and `sweep`."""
    command(app, "events", "转移事件：到达、决定、冲正", "What happened to transfers, in order")(events)
    command(app, "sweep", "立即清理已到期的积分", "Book expired points now")(sweep)


def events(
    after: Annotated[int, typer.Option("--after", min=0, help=say("从该编号之后", "After this number"))] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "How many"))] = 100,
    follow: Annotated[bool, typer.Option("--follow", help=say("持续等待新事件", "Go on as they happen"))] = False,
    directory: Directory = HERE,
) -> Answer:
    """A cursor: go on with --after and the last number."""
    api = Api(directory)
    if follow and wants_json():
        raise Failed(
            say("--follow 与 --json 不能同用", "--follow and --json exclude each other"),
            say("程序请反复用 --after 读取。", "A program reads again and again with --after."),
        )
    found = api.get("events", after=after, limit=limit)
    while follow:
        if found["events"]:
            tell(_shown(found))
        found = api.get("events", after=found["next"], limit=limit, wait_s=WAIT_S)
    return _shown(found)


def _shown(found: Mapping[str, Any]) -> Answer:
    rows = [
        [
            e["no"], when(e["at"]), word(e["kind"]), e["transfer"]["id"],
            f"{e['transfer']['source']} → {e['transfer']['destination']}",
            f"{e['transfer']['leaving']:,} {e['transfer']['category']}", reason(e["transfer"]["reason"]),
        ]
        for e in found["events"]
    ]  # fmt: skip
    columns = [say("编号", "No"), say("时间", "Time"), say("事件", "Event"), say("转移", "Transfer"),
               say("方向", "Direction"), say("数量", "Amount"), say("原因", "Reason")]  # fmt: skip
    return Answer(value=found, shown=[table(say("事件", "Events"), columns, rows)])


def sweep(directory: Directory = HERE) -> Answer:
    """The node does it by itself as well, every ten minutes."""
    api, after, lots, units = Api(directory), 0, 0, 0
    with progress(say("清理到期", "Booking"), None) as bar:
        while True:
            swept = api.post("expiry", "sweep", after=after)
            lots, units, after = lots + swept["lots"], units + swept["units"], swept["next"]
            bar.advance(bar.task_ids[0], swept["lots"])
            if not after:
                break
    text = say(f"已到期 {lots:,} 个批次，共 {units:,} 个最小单位。", f"{lots:,} lots expired, {units:,} units.")
    return Answer(value={"lots": lots, "units": units}, shown=[text])
