"""`hutong consent`: what residents agreed to before data about them goes to another region (单独同意)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from node.cli.account import region_code
from node.cli.api import Api, new_key
from node.cli.command import HERE, Directory, command, group
from node.cli.screen import CHINA, Answer, facts, table
from node.cli.terms_of_art import when, word
from node.cli.words import say

_DAYS = 365

commands = group("居民的单独同意", "Residents' consents")

Reference = Annotated[str, typer.Argument(help=say("同意编号", "Reference of the consent"), show_default=False)]


def register(app: typer.Typer) -> None:
    """Add `consent` and its commands."""
    command(commands, "give", "登记居民（或监护人）的单独同意", "Record a resident's consent, or a guardian's")(give)
    command(commands, "show", "查看一份同意及其举证", "Show a consent, with what proves it")(show)
    command(commands, "list", "某账户的同意", "A resident's consents")(list_)
    command(commands, "withdraw", "撤回同意", "Withdraw one: what is done stays, nothing new is sent")(withdraw)
    app.add_typer(commands, name="consent")


def give(
    account: Annotated[str, typer.Argument(help=say("账户名", "Name of the account"), show_default=False)],
    recipient: Annotated[str, typer.Argument(metavar="CODE", help=say("接收地区", "Region that receives"))],
    contact: Annotated[str, typer.Option("--contact", help=say("接收方联系方式", "The recipient's contact"))],
    purpose: Annotated[str, typer.Option("--purpose", help=say("用途", "Purpose"))] = "relocation",
    method: Annotated[str, typer.Option("--method", help=say("处理方式", "How the data is used"))] = "",
    kinds: Annotated[
        str, typer.Option("--kinds", help=say("个人信息种类，逗号分隔", "Kinds of data, with commas between"))
    ] = "points",
    expires: Annotated[str, typer.Option("--expires", help=say("失效日期，缺省一年后", "Until; a year"))] = "",
    guardian: Annotated[bool, typer.Option("--guardian", help=say("由监护人同意", "A guardian agreed"))] = False,
    under_14: Annotated[bool, typer.Option("--under-14", help=say("居民不满 14 周岁", "Is under 14"))] = False,
    key: Annotated[str | None, typer.Option("--key", help=say("幂等键", "Idempotency key"))] = None,
    directory: Directory = HERE,
) -> Answer:
    """The reference it prints is what an order names. A guardian's name is not asked for."""
    used = key or new_key()
    made = Api(directory).post(
        "consents", account=account, recipient=region_code(recipient), contact=contact, purpose=purpose,
        method=method or say("经互通网关以签名报文提供", "signed messages of the gateway"), kinds=kinds.split(","),
        expires=expires or (datetime.now(CHINA).date() + timedelta(days=_DAYS)).isoformat(),
        given_by="guardian" if guardian else "self", under_14=under_14, key=used,
    )  # fmt: skip
    pairs = [
        (say("同意编号", "Reference"), made["reference"]),
        (say("摘要", "Digest"), made["digest"]),
        (say("键", "Key"), used),
    ]
    return Answer(value={**made, "key": used}, shown=[facts(pairs)])


def show(reference: Reference, directory: Directory = HERE) -> Answer:
    """Salt and record together make the digest that other regions have."""
    found = Api(directory).get("consents", reference)
    pairs = [
        (say("同意编号", "Reference"), found["reference"]),
        (say("账户", "Account"), found["account"]),
        (say("接收地区", "Recipient"), str(found["recipient"])),
        (say("联系方式", "Contact"), found["contact"]),
        (say("用途", "Purpose"), word(found["purpose"])),
        (say("处理方式", "Method"), found["method"]),
        (say("种类", "Kinds"), ", ".join(found["kinds"])),
        (say("由谁同意", "Given by"), _giver(found)),
        (say("登记", "Given"), when(found["given"])),
        (say("失效", "Expires"), found["expires"] or "—"),
        (say("撤回", "Withdrawn"), when(found["withdrawn"])),
        (say("盐", "Salt"), found["salt"]),
        (say("摘要", "Digest"), found["digest"]),
    ]
    return Answer(value=found, shown=[facts(pairs)])


def list_(
    account: Annotated[str, typer.Argument(help=say("账户名", "Name of the account"), show_default=False)],
    directory: Directory = HERE,
) -> Answer:
    """The newest first."""
    found = Api(directory).get("accounts", account, "consents")
    rows = [
        [
            c["reference"], str(c["recipient"]), word(c["purpose"]), ", ".join(c["kinds"]), _giver(c),
            c["expires"] or "—", when(c["withdrawn"]),
        ]
        for c in found["consents"]
    ]  # fmt: skip
    columns = [
        say("同意编号", "Reference"), say("接收地区", "Recipient"), say("用途", "Purpose"), say("种类", "Kinds"),
        say("由谁", "Given by"), say("失效", "Expires"), say("撤回", "Withdrawn"),
    ]  # fmt: skip
    shown: list[Any] = [table(account, columns, rows)] if rows else [say("没有同意记录。", "There are none.")]
    return Answer(value=found, shown=shown)


def withdraw(reference: Reference, directory: Directory = HERE) -> Answer:
    """What has not left is taken back; what is undecided is asked to be refused; what is done stays."""
    ended = Api(directory).post("consents", reference, "withdraw")
    pairs = [
        (say("同意编号", "Reference"), ended["reference"]),
        (say("撤回", "Withdrawn"), when(ended["withdrawn"])),
        (say("已收回的转移", "Taken back"), "\n".join(ended["taken_back"]) or "—"),
        (say("已请求撤销的转移", "Asked to be refused"), "\n".join(ended["cancelling"]) or "—"),
    ]
    return Answer(value=ended, shown=[facts(pairs)])


def _giver(found: Mapping[str, Any]) -> str:
    return say("监护人", "guardian") if found["given_by"] == "guardian" else say("本人", "self")
