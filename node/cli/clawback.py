"""`hutong clawback` 追回: take back what a fraudulent activity was awarded; claim what it is too late to reverse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from node.cli.api import Api, new_key
from node.cli.command import HERE, Directory, command, group
from node.cli.screen import Answer, facts, table
from node.cli.terms_of_art import reason, when
from node.cli.words import say

_STATES_ZH = {
    "asked": "已请求", "clawed_back": "已答复", "refused": "对方拒绝", "tracing": "追查中", "told": "已答复对方",
    "declined": "已拒绝对方", "gathering": "追回中", "done": "已完成",
}  # fmt: skip
_CAUSES_ZH = {"activity": "虚假活动", "reversal": "逾期冲正", "dispute": "异议裁定"}

commands = group("追回虚假活动的积分", "Taking back what fraud created")

By = Annotated[str, typer.Option("--by", help=say("经办人", "Who decided it"))]
CheckedBy = Annotated[
    str, typer.Option("--checked-by", help=say("复核人，须为另一人", "Who checked it: another person"))
]
Key = Annotated[str | None, typer.Option("--key", help=say("幂等键；重试时用同一个", "Idempotency key"))]


def register(app: typer.Typer) -> None:
    """Add `clawback` with its commands."""
    command(commands, "start", "追回一项活动授予的积分", "Take back what an activity was awarded")(start)
    command(commands, "claim", "逾期冲正：向对方挂账", "Claim a transfer that it is too late to reverse")(claim)
    command(commands, "show", "查看一项追回", "Show one, with its hops and residents")(show)
    command(commands, "list", "追回列表", "List clawbacks")(listing)
    app.add_typer(commands, name="clawback")


def start(
    activity: Annotated[str, typer.Argument(help=say("活动，同授予时的事由", "The activity, as the awards name it"))],
    category: Annotated[str, typer.Argument(help=say("类别", "Category"))],
    by: By,
    checked_by: CheckedBy,
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """What is unspent is taken at once; other regions answer by and by. No resident goes below zero."""
    used = key or new_key()
    body = {"activity": activity, "category": category, "by": by, "checked_by": checked_by, "key": used}
    made = Api(directory).post("clawbacks", **body)
    return _begun(made, used)


def claim(
    transfer: Annotated[str, typer.Argument(help=say("转移编号", "Id of the transfer"))],
    by: By,
    checked_by: CheckedBy,
    because: Annotated[str, typer.Option("--because", help=say("事由，不含个人信息", "Why; no personal data"))] = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """Both regions keep the claim; no resident is debited for it."""
    used = key or new_key()
    body = {"by": by, "checked_by": checked_by, "because": because, "key": used}
    made = Api(directory).post("transfers", transfer, "claim", **body)
    return _begun(made, used)


def _begun(made: Mapping[str, Any], key: str) -> Answer:
    look = f"hutong clawback show {made['id']}"
    pairs = [
        (say("追回", "Clawback"), made["id"]), (say("数量", "Amount"), f"{made['amount']:,}"), (say("键", "Key"), key),
    ]  # fmt: skip
    then = say(f"各地区陆续答复；查看：{look}", f"The regions answer by and by. Look: {look}")
    return Answer(value=made, shown=[facts(pairs), then])


def show(
    clawback: Annotated[str, typer.Argument(help=say("追回编号", "Id of the clawback"))],
    directory: Directory = HERE,
) -> Answer:
    """What came of it, hop by hop."""
    found = Api(directory).get("clawbacks", clawback)
    one = found["clawback"]
    pairs = [
        (say("追回", "Clawback"), one["id"]),
        (say("状态", "State"), _state(one)),
        *([(say("原因", "Reason"), reason(one["reason"]))] if one["reason"] else []),
        (say("缘由", "Cause"), _cause(one)),
        (say("活动", "Activity"), f"{one['activity']} · {one['issuer']}"),
        (say("数量", "Amount"), f"{one['amount']:,} {one['category']}"),
        (say("本地追回", "Recovered here"), f"{one['recovered']:,}"),
        (say("外地追回", "Recovered further on"), f"{one['further']:,}"),
        (say("挂账", "Owed"), f"{one['owed']:,}"),
        (say("本地损失", "Lost here"), f"{one['lost']:,}"),
        (say("开始", "Begun"), when(one["at"])),
        (say("答复", "Answered"), when(one["answered"])),
    ]
    shown: list[Any] = [facts(pairs)]
    if found["hops"]:
        shown.append(_table(say("各段", "Hops"), found["hops"]))
    if found["residents"]:
        columns = [say("账户", "Account"), say("追回", "Taken")]
        rows = [[r["account"], f"{r['amount']:,} {r['category']}"] for r in found["residents"]]
        shown.append(table(say("所涉居民", "Residents"), columns, rows))
    return Answer(value=found, shown=shown)


def listing(
    only_open: Annotated[bool, typer.Option("--open", help=say("只看未答复的", "Only those not answered"))] = False,
    since_ms: Annotated[int, typer.Option("--since-ms", min=0, help=say("自此时刻（Unix 毫秒）", "Since, ms"))] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "How many"))] = 100,
    directory: Directory = HERE,
) -> Answer:
    """Those begun here, asked here, and asked of others."""
    found = Api(directory).get("clawbacks", since_ms=since_ms, limit=limit, open="true" if only_open else None)
    if not found["clawbacks"]:
        return Answer(value=found, shown=[say("没有追回。", "There are no clawbacks.")])
    return Answer(value=found, shown=[_table(say("追回", "Clawbacks"), found["clawbacks"])])


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    columns = [
        say("时间", "Time"), say("编号", "Id"), say("对方", "Peer"), say("缘由", "Cause"), say("状态", "State"),
        say("数量", "Amount"), say("追回", "Recovered"), say("外地追回", "Further"), say("挂账", "Owed"),
    ]  # fmt: skip
    return table(title, columns, [
        [
            when(r["at"]), r["id"], _peer(r), _cause(r), _state(r), f"{r['amount']:,}", f"{r['recovered']:,}",
            f"{r['further']:,}", f"{r['owed']:,}",
        ]
        for r in rows
    ])  # fmt: skip


def _peer(row: Mapping[str, Any]) -> str:
    if row["peer"] is None:
        return say("本地区", "here")
    return f"→ {row['peer']}" if row["asked_here"] else f"← {row['peer']}"


def _state(row: Mapping[str, Any]) -> str:
    return say(_STATES_ZH[row["state"]], row["state"].replace("_", " "))


def _cause(row: Mapping[str, Any]) -> str:
    return say(_CAUSES_ZH[row["cause"]], row["cause"])
