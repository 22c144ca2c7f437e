"""`hutong claims`: what is in suspense, and against whom."""

from __future__ import annotations

from typing import Annotated

import typer

from node.cli.account import region_code
from node.cli.api import Api
from node.cli.command import HERE, Directory, command
from node.cli.screen import Answer, table
from node.cli.terms_of_art import when
from node.cli.words import say

_CAUSE_ZH = {
    "revoked_key": "密钥已吊销", "fork": "账本分叉", "estate": "对方不再应答", "clawback": "追回", "reversal": "冲正",
    "dispute": "异议裁定",
}  # fmt: skip
_STATE_ZH = {"open": "未决", "settled": "已结清", "withdrawn": "已撤回"}


def register(app: typer.Typer) -> None:
    """Add `claims`."""
    command(app, "claims", "挂账：对方所欠与本地区所欠，积分不撤回", "Claims in suspense; points stay")(claims)


def claims(
    after: Annotated[int, typer.Option("--after", min=0, help=say("从该编号之后", "After this number"))] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "How many"))] = 100,
    state: Annotated[str, typer.Option("--state", metavar="open|settled|withdrawn", help=say("状态", "State"))] = "",
    peer: Annotated[str, typer.Option("--peer", help=say("地区代码", "A region"))] = "",
    directory: Directory = HERE,
) -> Answer:
    """A cursor: go on with --after and the last number."""
    wanted = region_code(peer) if peer else None
    found = Api(directory).get("claims", after=after, limit=limit, state=state or None, peer=wanted)
    rows = [
        [
            c["no"], when(c["at"]), c["peer"], say(_CAUSE_ZH[c["cause"]], c["cause"].replace("_", " ")),
            say("对方所欠", "owes us") if c["mine"] else say("本地区所欠", "we owe"),
            f"{c['amount']:,} {c['category']}", say(_STATE_ZH[c["state"]], c["state"]), c["transfer"], c["because"],
        ]
        for c in found["claims"]
    ]  # fmt: skip
    columns = [
        say("编号", "No"), say("时间", "Time"), say("对方", "Against"), say("缘由", "Cause"), say("谁欠", "Who owes"),
        say("数量", "Amount"),
        say("状态", "State"), say("转移", "Transfer"), say("说明", "Because"),
    ]  # fmt: skip
    then = (
        say(
            f"下一页：hutong claims --after {found['next']}；各笔由双方地区商定结清，积分不会撤回。",
            f"Next page: hutong claims --after {found['next']}. Both regions settle them; no points are taken back.",
        )
        if rows
        else say("没有挂账。", "Nothing is in suspense.")
    )
    return Answer(value=found, shown=[*([table(say("挂账", "Claims"), columns, rows)] if rows else []), then])
