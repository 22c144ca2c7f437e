"""`hutong redeem`: a resident's code, and a merchant's purchase with it (异地兑换)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from node.cli.account import region_code
from node.cli.api import WAIT_S, Api, new_key
from node.cli.command import HERE, Directory, command, group
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, facts, table
from node.cli.terms_of_art import reason, when, word
from node.cli.words import say

_DUE = ("requested", "capturing", "releasing")
"""States in which the home region's answer is due."""

commands = group("异地兑换", "Redeeming away from home")

Id = Annotated[str, typer.Argument(help=say("预授权编号", "Id of the authorisation"), show_default=False)]
Wait = Annotated[float, typer.Option("--wait", min=0, help=say("等待归属地答复的秒数", "Seconds to wait for home"))]
Key = Annotated[str | None, typer.Option("--key", help=say("幂等键；重试时用同一个", "Idempotency key"))]


def register(app: typer.Typer) -> None:
    """Add `redeem` with its commands."""
    command(commands, "code", "为居民取得一次性兑换码", "Obtain a resident's code, for one purchase")(code)
    command(commands, "authorise", "收银台：请归属地预授权", "At a counter: have points held at home")(authorise)
    command(commands, "capture", "兑换完成，请款", "Capture all or a part of what was authorised")(capture)
    command(commands, "release", "未兑换，解除预授权", "Release what was authorised")(release)
    command(commands, "show", "查看一笔，或最近变更的列表", "Show one, or those changed last")(show)
    app.add_typer(commands, name="redeem")


def code(
    account: Annotated[str, typer.Argument(help=say("居民账户", "The resident's account"))],
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=30, help=say("有效分钟数", "Minutes it works"))] = 10,
    directory: Directory = HERE,
) -> Answer:
    """It works once. Whoever sees it can spend with it: show it at the counter, and nowhere else."""
    made = Api(directory).post("codes", account=account, minutes=minutes)
    pairs = [(say("兑换码", "Code"), made["code"]), (say("有效至", "Until"), when(made["expires"]))]
    return Answer(value=made, shown=[facts(pairs)])


def authorise(
    code: Annotated[str, typer.Argument(help=say("来访者出示的兑换码", "The code the visitor shows"))],
    category: Annotated[str, typer.Argument(help=say("归属地类别", "Category, at home"))],
    amount: Annotated[str, typer.Argument(help=say("价格（本地最小单位）", "Price, in smallest units of this region"))],
    reference: Annotated[
        str, typer.Option("--reference", help=say("商户单号，不含个人信息", "The merchant's own; no personal data"))
    ] = "",
    minutes: Annotated[int, typer.Option("--minutes", min=1, help=say("多少分钟内请款", "Minutes to capture in"))] = 30,
    key: Key = None,
    wait: Wait = 10.0,
    directory: Directory = HERE,
) -> Answer:
    """The same key again is answered as the first time."""
    body = {"code": code, "category": category, "amount": amount, "reference": reference, "minutes": minutes}
    return _asked(Api(directory), ("authorisations",), body, key, wait, directory)


def capture(
    authorisation: Id,
    amount: Annotated[str | None, typer.Argument(help=say("请款数，缺省为全部", "How much; all by default"))] = None,
    key: Key = None,
    wait: Wait = 10.0,
    directory: Directory = HERE,
) -> Answer:
    """Once: what a capture leaves goes back to the resident."""
    return _asked(
        Api(directory), ("authorisations", authorisation, "capture"), {"amount": amount}, key, wait, directory
    )


def release(authorisation: Id, key: Key = None, wait: Wait = 10.0, directory: Directory = HERE) -> Answer:
    """All of it goes back to the resident."""
    return _asked(Api(directory), ("authorisations", authorisation, "release"), {}, key, wait, directory)


def show(
    authorisation: Annotated[
        str | None, typer.Argument(help=say("预授权编号", "Id of the authorisation"), show_default=False)
    ] = None,
    counter: Annotated[str | None, typer.Option("--counter", metavar="CODE", help=say("收银地区", "Where"))] = None,
    state: Annotated[str | None, typer.Option("--state", help="authorised | captured | released | …")] = None,
    after: Annotated[int, typer.Option("--after", min=0, help=say("上一页的 next", "`next` of the page before"))] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "How many"))] = 50,
    wait: Wait = 0.0,
    directory: Directory = HERE,
) -> Answer:
    """With --wait, when no answer is due."""
    api, where = Api(directory), region_code(counter) if counter is not None else None
    if authorisation is None:
        return _page(api.get("authorisations", counter=where, state=state, after=after, limit=limit))
    return _one(_answered(api, authorisation, where, wait), code=Exit.OK)


def _asked(
    api: Api, path: tuple[str, ...], body: Mapping[str, object], key: str | None, wait: float, directory: object
) -> Answer:  # fmt: skip
    used = key or new_key()
    try:
        asked = api.post(*path, **body, key=used)
    except Failed as failure:
        if failure.code is Exit.UNAVAILABLE:
            again = say(f"恢复后加 --key {used} 重试，不会扣两次。", f"Try again with --key {used}: it is done once.")
            raise Failed(failure.what, again, failure.code, failure.name) from failure
        raise
    found = _answered(api, asked["id"], None, wait)
    answer = _one(found, key=used)
    if found["state"] not in _DUE:
        return answer
    look = f"hutong redeem show {found['id']} --dir {directory}"
    return replace(answer, shown=[*answer.shown, say(
        f"归属地尚未答复，恢复后自动办结。查看：{look}",
        f"The home region has not answered yet, and it goes on by itself. Look again: {look}",
    )])  # fmt: skip


def _answered(api: Api, authorisation: str, counter: int | None, wait: float) -> dict[str, Any]:
    """The authorisation, when no answer is due or the time is up."""
    until = time.monotonic() + wait
    while True:
        left = max(0.0, min(until - time.monotonic(), WAIT_S))
        found = api.get("authorisations", authorisation, counter=counter, wait_s=left)
        if found["state"] not in _DUE or time.monotonic() >= until:
            return found


def _one(found: Mapping[str, Any], *, key: str = "", code: Exit | None = None) -> Answer:
    pairs = [
        (say("预授权", "Authorisation"), found["id"]),
        (say("状态", "State"), word(found["state"])),
        *([(say("原因", "Reason"), reason(found["reason"]))] if found["reason"] else []),
        (say("归属地 → 收银地", "Home → counter"), f"{found['home']} → {found['counter']}"),
        (say("预授权数", "Authorised"), _both(found, "amount", "arriving")),
        (say("已请款", "Captured"), _both(found, "captured", "captured_arriving")),
        *([(say("商户单号", "Reference"), found["reference"])] if found["reference"] else []),
        (say("请款期限", "To be captured by"), when(found["until"])),
        (say("提交", "Asked"), when(found["at"])),
        (say("终结", "Ended"), when(found["ended"])),
        *([(say("键", "Key"), key)] if key else []),
    ]
    if code is None:
        code = Exit.REFUSED if found["state"] == "refused" or found["reason"] else Exit.OK
    return Answer(value={**found, **({"key": key} if key else {})}, shown=[facts(pairs)], code=code)


def _both(found: Mapping[str, Any], home: str, counter: str) -> str:
    return f"{found[home]:,} {found['category']} = {found[counter]:,} {found['becomes']}"


def _page(found: Mapping[str, Any]) -> Answer:
    rows = [
        [
            a["id"], f"{a['home']} → {a['counter']}", word(a["state"]), _both(a, "amount", "arriving"),
            f"{a['captured_arriving']:,}", reason(a["reason"]), when(a["at"]),
        ]
        for a in found["authorisations"]
    ]  # fmt: skip
    columns = ["ID", say("归属地 → 收银地", "Home → counter"), say("状态", "State"), say("预授权数", "Authorised"),
               say("已请款", "Captured"), say("原因", "Reason"), say("时间", "Time")]  # fmt: skip
    more = [say(f"此后的变更：--after {found['next']}", f"What changes from here on: --after {found['next']}")]
    return Answer(value=found, shown=[table(say("异地兑换", "Redeemed away from home"), columns, rows), *more])
