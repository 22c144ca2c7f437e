"""`hutong transfer` and `hutong quote`: points to and from other regions."""

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

_OPEN = ("held", "offered", "in_review")
"""States before the decision."""

commands = group("跨地区转移", "Transfers between regions")

Id = Annotated[str, typer.Argument(help=say("转移编号", "Id of the transfer"), show_default=False)]
Source = Annotated[
    str | None, typer.Option("--source", metavar="CODE", help=say("来源地区（转入时）", "Where it began, if elsewhere"))
]
Wait = Annotated[float, typer.Option("--wait", min=0, help=say("等待结果的秒数", "Seconds to wait for the decision"))]
Key = Annotated[str | None, typer.Option("--key", help=say("幂等键；重试时用同一个", "Idempotency key"))]


def register(app: typer.Typer) -> None:
    """Add `transfer` with its commands, and `quote`."""
    command(commands, "send", "转出积分到收款地址", "Send points to a receiving address")(send)
    command(commands, "show", "查看一笔转移", "Show a transfer")(show)
    command(commands, "list", "转移列表，新的在前", "List transfers, newest first")(listed)
    command(commands, "cancel", "请求撤销未决的转移", "Ask to cancel what is not decided")(cancel)
    command(commands, "void", "收回从未送达的转移（两人）", "Take back what was never delivered (two people)")(void)
    command(commands, "reverse", "请求冲正已接受的转移", "Ask for an accepted transfer back")(reverse)
    command(commands, "review", "待审核列表，或审核一笔", "What waits for a clerk; or decide one")(review)
    app.add_typer(commands, name="transfer")
    command(app, "quote", "试算一笔转移", "What an amount would become")(quote)


def send(
    account: Annotated[str, typer.Argument(help=say("转出账户", "Account"))],
    address: Annotated[str, typer.Argument(help=say("对方收款地址", "Receiving address"))],
    category: Annotated[str, typer.Argument(help=say("类别", "Category"))],
    amount: Annotated[str, typer.Argument(help=say("最多转出多少（最小单位）", "At most so many smallest units"))],
    purpose: Annotated[
        str, typer.Option("--purpose", help="relocation | guest_award | activity | donation | person_to_person")
    ] = "relocation",
    consent: Annotated[str, typer.Option("--consent", help=say("授权凭据编号", "Reference of the consent"))] = "",
    key: Key = None,
    wait: Wait = 10.0,
    directory: Directory = HERE,
) -> Answer:
    """What makes no whole block of the rate stays. The same key again is answered as the first time."""
    api, used = Api(directory), key or new_key()
    try:
        placed = api.post(
            "transfers", account=account, address=address, category=category, amount=amount, purpose=purpose,
            consent=consent, key=used,
        )  # fmt: skip
    except Failed as failure:
        if failure.code is Exit.UNAVAILABLE:
            again = say(f"恢复后加 --key {used} 重试，不会转两次。", f"Try again with --key {used}: it moves once.")
            raise Failed(failure.what, again, failure.code, failure.name) from failure
        raise
    answer = _one(found := _decided(api, placed["id"], None, wait), key=used)
    if found["state"] not in _OPEN:
        return answer
    look = f"hutong transfer show {found['id']} --dir {directory}"
    return replace(answer, shown=[*answer.shown, say(
        f"尚未决定，积分冻结中，对方恢复后自动办结。查看：{look}",
        f"Not decided yet: the points are on hold, and it goes on by itself. Look again: {look}",
    )])  # fmt: skip


def show(transfer: Id, source: Source = None, wait: Wait = 0.0, directory: Directory = HERE) -> Answer:
    """With --wait, when it is decided."""
    return _one(_decided(Api(directory), transfer, source, wait), code=Exit.OK)


def listed(
    state: Annotated[
        str | None, typer.Option("--state", help="held|posted|voided|in_review|accepted|refused", show_default=False)
    ] = None,
    direction: Annotated[str | None, typer.Option("--direction", help="outgoing | incoming")] = None,
    peer: Annotated[str | None, typer.Option("--peer", metavar="CODE", help=say("对方地区", "Other region"))] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "How many"))] = 50,
    cursor: Annotated[
        int | None, typer.Option("--cursor", help=say("上一页的 next", "`next` of the page before"))
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """Both directions."""
    code = region_code(peer) if peer is not None else None
    found = Api(directory).get("transfers", state=state, direction=direction, peer=code, limit=limit, cursor=cursor)
    return _page(found, say("转移", "Transfers"))


def cancel(transfer: Id, wait: Wait = 10.0, directory: Directory = HERE) -> Answer:
    """It wins only if it arrives before the destination decides."""
    api = Api(directory)
    api.post("transfers", transfer, "cancel")
    found = _decided(api, transfer, None, wait)
    return _one(found, code=Exit.REFUSED if found["state"] == "posted" else Exit.OK)


def void(
    transfer: Id,
    by: Annotated[str, typer.Option("--by", help=say("经办人", "Who decides"))],
    checked_by: Annotated[str, typer.Option("--checked-by", help=say("复核人", "Who checks it"))],
    directory: Directory = HERE,
) -> Answer:
    """Only while it waits to be numbered: the other region has never heard of it."""
    found = Api(directory).post("transfers", transfer, "void", by=by, checked_by=checked_by)
    return Answer(value=found, shown=[f"{transfer}  {word(found.get('state'))}"])


def reverse(transfer: Id, key: Key = None, wait: Wait = 10.0, directory: Directory = HERE) -> Answer:
    """The destination sends it back while it is unspent and within the agreed days."""
    api, used = Api(directory), key or new_key()
    asked = api.post("transfers", transfer, "reversal", key=used)
    until = time.monotonic() + wait
    found = api.get("reversals", asked["id"])
    while found["state"] == "asked" and time.monotonic() < until:
        time.sleep(0.2)
        found = api.get("reversals", asked["id"])
    state = {
        "asked": say("已请求，等待对方", "asked; the other region has not answered"),
        "granted": say("对方已退回", "granted: it comes back"),
        "refused": say("被拒绝：", "refused: ") + reason(found["reason"]),
    }[found["state"]]
    pairs = [(say("转移", "Transfer"), transfer), (say("冲正", "Reversal"), state), (say("键", "Key"), used)]
    code = Exit.REFUSED if found["state"] == "refused" else Exit.OK
    return Answer(value={**found, "key": used}, shown=[facts(pairs)], code=code)


def review(
    transfer: Annotated[str | None, typer.Argument(help=say("转移编号", "Id"), show_default=False)] = None,
    source: Source = None,
    accept: Annotated[bool, typer.Option("--accept", help=say("接受", "Accept it"))] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help=say("拒绝", "Refuse it"))] = False,
    by: Annotated[str, typer.Option("--by", help=say("审核人", "Who decides"))] = "",
    directory: Directory = HERE,
) -> Answer:
    """Without an id: the list, oldest first."""
    api = Api(directory)
    if transfer is None:
        return _page(api.get("reviews"), say("待审核", "Waiting for a clerk"))
    if accept == refuse or not by or source is None:
        raise Failed(
            say("审核须给出 --source、--by 以及 --accept 或 --refuse",
                "a decision needs --source, --by, and --accept or --refuse"),
            say("例如 hutong transfer review ID --source 330100 --accept --by 张三。",
                "For instance: hutong transfer review ID --source 330100 --accept --by li.si"),
        )  # fmt: skip
    decision = "accept" if accept else "refuse"
    found = api.post("reviews", transfer, source=region_code(source), decision=decision, by=by)
    return Answer(value=found, shown=[f"{transfer}  {word(found.get('state'))}"])


def quote(
    category: Annotated[str, typer.Argument(help=say("类别", "Category"))],
    amount: Annotated[str, typer.Argument(help=say("最小单位数", "Smallest units"))],
    destination: Annotated[str, typer.Argument(metavar="CODE", help=say("转入地区", "Destination"))],
    purpose: Annotated[str, typer.Option("--purpose", help=say("用途", "Purpose"))] = "relocation",
    account: Annotated[
        str | None, typer.Option("--account", help=say("账户：逐批列出", "Whose: then lot by lot"), show_default=False)
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """Nothing is held and nothing promised."""
    code = region_code(destination)
    found = Api(directory).get(
        "quotes", category=category, amount=amount, destination=code, purpose=purpose, account=account
    )
    pairs = [
        (say("转出", "Leaves"), f"{found['leaving']:,} {found['category']}"),
        (say("转入", "Arrives"), f"{found['arriving']:,} {found['becomes']}"),
        (say("留下", "Stays"), f"{found['remaining']:,}"),
        (say("比例", "Rate"), found["rate"]),
        (say("须审核", "A clerk decides"), say("是", "yes") if found["review"] else say("否", "no")),
    ]
    return Answer(value=found, shown=[facts(pairs), *_by_lot(found)])


def _by_lot(found: Mapping[str, Any]) -> list[Any]:
    if found["lots"] is None:
        return []
    never = say("不过期", "never")
    lots = [[lot["lot"], lot["expires"] or never, lot["leaves"], lot["stays"]] for lot in found["lots"]]
    arrivals = [
        [a["units"], a["expires"] or never, ", ".join(map(str, a["lots"]))] for a in found["arrivals"]
    ]  # fmt: skip
    expires = say("到期", "Expires")
    here = [say("批次", "Lot"), expires, say("转出", "Leaves"), say("留下", "Stays")]
    there = [say("转入", "Arrives"), expires, say("来自批次", "From lots")]
    return [table(say("转出批次", "Lots here"), here, lots), table(say("转入批次", "Lots there"), there, arrivals)]


def _decided(api: Api, transfer: str, source: str | None, wait: float) -> dict[str, Any]:
    """The transfer, when it is decided or the time is up."""
    until = time.monotonic() + wait
    code = region_code(source) if source is not None else None
    while True:
        left = max(0.0, min(until - time.monotonic(), WAIT_S))
        found = api.get("transfers", transfer, source=code, wait_s=left)
        if found["state"] not in _OPEN or time.monotonic() >= until:
            return found


def _one(found: Mapping[str, Any], *, key: str = "", code: Exit | None = None) -> Answer:
    pairs = [
        (say("转移", "Transfer"), found["id"]),
        (say("状态", "State"), word(found["state"])),
        *([(say("原因", "Reason"), reason(found["reason"]))] if found["reason"] else []),
        (say("方向", "Direction"), f"{found['source']} → {found['destination']}"),
        *([(say("改投", "Offer again at"), str(found["moved_to"]))] if found.get("moved_to") else []),
        (say("转出", "Leaves"), f"{found['leaving']:,} {found['category']}"),
        (say("转入", "Arrives"), f"{found['arriving']:,} {found['becomes']}"),
        (say("用途", "Purpose"), word(found["purpose"])),
        (say("提交", "Asked"), when(found["at"])),
        (say("决定", "Decided"), when(found["decided"])),
        *([(say("键", "Key"), key)] if key else []),
    ]
    if code is None:
        code = Exit.REFUSED if found["state"] == "voided" else Exit.OK
    return Answer(value={**found, **({"key": key} if key else {})}, shown=[facts(pairs)], code=code)


_DOUBTS = {
    "nothing_shown": ("身份：来源地区未出示", "identity: the source shows none"),
    "nothing_known": ("身份：本地账户未登记", "identity: none is kept of the account"),
    "another": ("身份：不是同一人", "identity: another resident"),
}


def _page(found: Mapping[str, Any], title: str) -> Answer:
    rows = [
        [
            t["id"], f"{t['source']} → {t['destination']}", word(t["state"]),
            f"{t['leaving']:,} {t['category']} → {t['arriving']:,} {t['becomes']}",
            reason(t["reason"]) if not t.get("doubt") else say(*_DOUBTS[t["doubt"]]), when(t["at"]),
        ]
        for t in found["transfers"]
    ]  # fmt: skip
    columns = ["ID", say("方向", "Direction"), say("状态", "State"), say("数量", "Amount"), say("原因", "Reason"),
               say("时间", "Time")]  # fmt: skip
    more = [say(f"下一页：--cursor {found['next']}", f"Next page: --cursor {found['next']}")] if found["next"] else []
    return Answer(value=found, shown=[table(title, columns, rows), *more])
