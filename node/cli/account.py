"""`hutong account`: residents' accounts of this region."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.api import Api
from node.cli.bulk import BulkDone, submit
from node.cli.command import HERE, Directory, command, group
from node.cli.faults import Failed
from node.cli.screen import Answer, facts, table
from node.cli.terms_of_art import signed, when, word
from node.cli.words import say

commands = group("居民账户", "Accounts of residents")

Name = Annotated[str, typer.Argument(help=say("账户名", "Name of the account"), show_default=False)]


def register(app: typer.Typer) -> None:
    """Add `account` and its commands."""
    command(commands, "open", "开户，或从 CSV 批量开户", "Open an account, or many from a CSV file")(open_)
    command(commands, "show", "查看余额与批次", "Show balances and lots")(show)
    command(commands, "history", "查看明细", "Show the history")(history)
    command(commands, "freeze", "冻结", "Freeze an account")(freeze)
    command(commands, "unfreeze", "解冻", "Open a frozen account again")(unfreeze)
    command(commands, "close", "销户；须已无积分", "Close an empty account for good")(close)
    command(commands, "address", "生成收款地址，供其他地区转入", "Make a receiving address for another region")(address)
    command(commands, "identify", "登记身份比对凭据；号码不保存", "Keep what residents are compared by")(identify)
    app.add_typer(commands, name="account")


def open_(
    name: Annotated[str | None, typer.Argument(help=say("账户名", "Name of the account"), show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help=say("CSV：region,account,opened", "CSV: region,account,opened"))
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """Opening an account that is open changes nothing, so that a broken call can be repeated."""
    if (name is None) == (file is None):
        raise Failed(
            say("须给出账户名或 --file 之一", "either a name or --file is needed"),
            say("例如 hutong account open HZ-000001。", "For instance: hutong account open HZ-000001."),
        )
    api = Api(directory)
    if file is None:
        return _state(api.post("accounts", name=name))
    from node.services.csv_file import load_residents

    rows = load_residents(file)
    lines = [{"name": row.account} for row in rows if row.region == api.config.region]
    done = BulkDone(file=file, region=api.config.region, others=len(rows) - len(lines))
    return submit(api, "accounts", lines, done, say("开户", "Opening"), "name")


def show(name: Name, directory: Directory = HERE) -> Answer:
    """What can be spent today, what is held, and the lots."""
    found = Api(directory).get("accounts", name)
    balances = [[b["category"], b["available"], b["held"], b["provisional"], b["expired"]] for b in found["balances"]]
    lots = [
        [
            lot["lot"], lot["category"], lot["remaining"], lot["granted"] or "—", lot["expires"] or "—",
            str(lot["issuer"]), word(lot["evidence"]), word(lot["state"]),
        ]
        for lot in found["lots"]
    ]  # fmt: skip
    shown: list[Any] = [
        facts(
            [
                (say("账户", "Account"), found["name"]),
                (say("状态", "State"), word(found["state"])),
                (say("开户", "Opened"), when(found["opened"])),
            ]
        ),
        table(
            say("余额", "Balances"),
            [say("类别", "Category"), say("可用", "Available"), say("冻结", "Held"), say("待确认", "Provisional"),
             say("待清过期", "Expired")],
            balances,
        ),
        table(
            say("批次，先到期在前", "Lots, first to expire first"),
            [say("批次", "Lot"), say("类别", "Category"), say("余量", "Remaining"), say("发放", "Granted"),
             say("到期", "Expires"), say("发放地", "Issuer"), say("证据", "Evidence"), say("状态", "State")],
            lots,
        ),
    ]  # fmt: skip
    if found["lots_more"]:
        shown.append(say(f"另有 {found['lots_more']} 个批次。", f"And {found['lots_more']} more lots."))
    return Answer(value=found, shown=shown)


def history(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "Entries"))] = 50,
    cursor: Annotated[
        int | None, typer.Option("--cursor", help=say("上一页的 next", "`next` of the page before"))
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """Newest first."""
    found = Api(directory).get("accounts", name, "history", limit=limit, cursor=cursor)
    rows = [
        [e["no"], when(e["at"]), word(e["kind"]), e["category"], signed(e), word(e["state"]), e["id"] or "—"]
        for e in found["entries"]
    ]
    columns = [say("编号", "No"), say("时间", "Time"), say("种类", "Kind"), say("类别", "Category"),
               say("数量", "Amount"), say("状态", "State"), "ID"]  # fmt: skip
    more = [say(f"下一页：--cursor {found['next']}", f"Next page: --cursor {found['next']}")] if found["next"] else []
    return Answer(value=found, shown=[table(name, columns, rows), *more])


def identify(
    name: Name,
    forget: Annotated[bool, typer.Option("--forget", help=say("删除凭据", "Forget it"))] = False,
    directory: Directory = HERE,
) -> Answer:
    """The number is asked for, or read from standard input: never an argument, which others can see. It is not kept."""
    api = Api(directory)
    if forget:
        found = api.delete("accounts", name, "identity")
    else:
        asked = say("身份证号码：", "Identity number: ")
        given = getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline()
        found = api.put("accounts", name, "identity", number=given.strip())
    doubts = {
        "fifteen_digits": say("15 位旧号，由人工核对", "a number of 15 digits: a clerk compares"),
        "foreign": say("其他证件，由人工核对", "another document: a clerk compares"),
        "malformed": say("不是有效的身份证号码，由人工核对", "not a sound number: a clerk compares"),
        None: say("没有凭据", "nothing is kept"),
    }
    kept = say("已登记，号码未保存", "kept; the number is not") if found["kept"] else doubts[found["doubt"]]
    return Answer(
        value=found, shown=[facts([(say("账户", "Account"), found["account"]), (say("身份", "Identity"), kept)])]
    )


def freeze(name: Name, directory: Directory = HERE) -> Answer:
    """A frozen account neither receives nor spends."""
    return _state(Api(directory).patch("accounts", name, state="frozen"))


def unfreeze(name: Name, directory: Directory = HERE) -> Answer:
    """A closed account stays closed."""
    return _state(Api(directory).patch("accounts", name, state="open"))


def close(name: Name, directory: Directory = HERE) -> Answer:
    """For good: a name is not used twice."""
    return _state(Api(directory).patch("accounts", name, state="closed"))


def address(
    account: Name,
    sender: Annotated[
        str | None, typer.Option("--sender", metavar="CODE", help=say("只限该地区使用", "Only this region may use it"))
    ] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help=say("只限该用途", "Only for this purpose"))] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help=say("有效天数", "Days it can be used"))] = 365,
    directory: Directory = HERE,
) -> Answer:
    """The resident gives it to the region the points come from. It says nothing about the person."""
    code = region_code(sender) if sender is not None else None
    found = Api(directory).post("addresses", account=account, sender=code, purpose=purpose, days=days)
    until = say(f"有效至 {when(found['expires'])}", f"Good until {when(found['expires'])}")
    return Answer(value=found, shown=[found["address"], until])


def region_code(text: str) -> int:
    """A region's code as the API takes it. Raises Failed."""
    if not (text.isascii() and text.isdigit() and len(text) == 6):
        raise Failed(
            say("地区代码应为六位数字", "a region's code has six digits"),
            say("写成 GB/T 2260 的六位代码，例如 330100。", "Write the six digits of GB/T 2260, such as 330100."),
        )
    return int(text)


def _state(found: dict[str, Any]) -> Answer:
    return Answer(value=found, shown=[f"{found['name']}  {word(found['state'])}"])
