"""`hutong recovery`: after a restore, what is missing, and who says that it is not missing any more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from node.cli.account import region_code
from node.cli.api import Api
from node.cli.command import HERE, Directory, command, group
from node.cli.screen import Answer, facts, progress, table
from node.cli.terms_of_art import when
from node.cli.words import say

LOOK_S = 0.25
"""Between two looks at how far it is."""

commands = group("恢复后的进度与确认", "After a restore: progress and confirmations")


def register(app: typer.Typer) -> None:
    """Add `recovery` and its commands."""
    command(commands, "show", "是否完整，还缺什么", "Whether the region is whole, and what is missing")(show)
    command(
        commands,
        "watch",
        "等待其他地区归还全部数据，显示进度",
        "Wait until the other regions have given everything back, and show how far that is",
    )(watch)
    command(
        commands,
        "replayed",
        "确认：业务系统已重放全部已确认的请求",
        "Say that the regional system has repeated every command that it was told is done",
    )(replayed)
    command(
        commands,
        "accept-risk",
        "两人先后接受：某地区归还数据之前，居民至多可用多少",
        "Two people accept what residents may spend before a region has given back what it holds",
    )(accept_risk)
    app.add_typer(commands, name="recovery")


def show(directory: Directory = HERE) -> Answer:
    """The node must run; it recovers by itself."""
    return _told(Api(directory).get("recovery"))


def watch(
    seconds: Annotated[
        float, typer.Option("--seconds", help=say("最多等待的秒数", "Wait at most so many seconds"))
    ] = 86_400.0,
    directory: Directory = HERE,
) -> Answer:
    """Ends, with what `show` shows, when nobody is outstanding, or when the time is up."""
    api, end = Api(directory), time.monotonic() + seconds
    found = api.get("recovery")
    seen: dict[int, tuple[int, int]] = {}  # a peer that has given back all is no longer told of
    with progress(say("取回报文", "Messages given back"), None) as bar:
        while found["outstanding"] and time.monotonic() < end:
            seen = {peer: (there, there) for peer, (_, there) in seen.items()}
            seen.update({peer["peer"]: (peer["here"], peer["there"]) for peer in found["coming_back"]})
            here, there = (sum(sizes) for sizes in zip(*seen.values(), strict=True)) if seen else (0, 0)
            bar.update(bar.task_ids[0], completed=here, total=there or None)
            time.sleep(LOOK_S)
            found = api.get("recovery")
    return _told(found)


def replayed(directory: Directory = HERE) -> Answer:
    """Said of a region that is whole, it changes nothing."""
    return _told(Api(directory).post("recovery", "replayed"))


def accept_risk(
    code: Annotated[str, typer.Argument(help=say("尚未归还数据的地区", "The region that has not given back"))],
    amount: Annotated[
        int, typer.Option("--amount", help=say("最小单位，各类别合计", "In smallest units, all categories together"))
    ],
    directory: Directory = HERE,
) -> Answer:
    """Each of the two calls with a token of his own in HUTONG_TOKEN, of the scope `recovery`."""
    return _told(Api(directory).post("recovery", "risks", peer=region_code(code), amount=amount))


def _told(found: Mapping[str, Any]) -> Answer:
    lines: list[tuple[str, object]] = [
        (say("状态", "State"), _state(found)),
        (say("世系与提交数", "Lineage and commits"), f"{found['lineage'][:8]} / {found['commits']:,}"),
    ]
    if found["recovering"]:
        outstanding = ", ".join(map(str, found["outstanding"]))
        lines += [
            (say("原因", "Cause"), found["cause"]),
            (say("自", "Since"), when(found["since"])),
            (say("尚未归还数据的地区", "Regions that have not given back"), outstanding or say("无", "none")),
            (say("业务系统已重放", "Regional system has repeated"), _yes(found["replayed"])),
        ]
    lines.append((say("垫付未还", "Advanced and not got back"), f"{found['owed']:,}"))
    shown: list[RenderableType] = [facts(lines)]
    if found["coming_back"]:
        columns = [say("地区", "Region"), say("已取回", "Back"), say("共", "Of"), "%"]
        rows = [
            [str(peer["peer"]), peer["here"], peer["there"], f"{peer['here'] / max(peer['there'], 1):.0%}"]
            for peer in found["coming_back"]
        ]
        shown.append(table(say("正在取回报文", "Messages coming back"), columns, rows))
    if found["risks"]:
        columns = [
            say("地区", "Region"), say("至多", "Up to"), say("已用", "Used"), say("提出", "Stated by"),
            say("确认", "Accepted by"),
        ]  # fmt: skip
        rows = [[str(r["peer"]), r["amount"], r["used"], r["maker"], r["checker"] or "—"] for r in found["risks"]]
        shown.append(table(say("接受的风险", "Risks"), columns, rows))
    return Answer(value=found, shown=shown)


def _state(found: Mapping[str, Any]) -> str:
    if not found["recovering"]:
        return say("完整", "whole")
    return say("恢复中：居民积分暂不扣减，其余照常", "recovering: no resident is debited, all else goes on")


def _yes(value: bool) -> str:
    return say("是", "yes") if value else say("否", "no")
