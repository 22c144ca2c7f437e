"""`hutong penalty`: deductions with a reason, notice and appeal; they never leave the region (扣分与申诉)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from node.cli.api import Api, new_key
from node.cli.command import HERE, Directory, command, group
from node.cli.faults import Failed
from node.cli.screen import Answer, facts, table
from node.cli.terms_of_art import when
from node.cli.words import say

commands = group("扣分与申诉", "Penalties and appeals")

Id = Annotated[str, typer.Argument(help=say("扣分编号", "Id of the penalty"), show_default=False)]
By = Annotated[str, typer.Option("--by", help=say("经办人", "Who does it"))]

_STATES = {
    "notified": ("已告知", "told; appeals are open"),
    "appealed": ("申诉中", "appealed against"),
    "upheld": ("维持", "upheld"),
    "withdrawn": ("已撤销", "withdrawn"),
    "applied": ("已执行", "applied"),
    "short": ("已执行，余额不足", "applied as far as there was"),
}


def register(app: typer.Typer) -> None:
    """Add `penalty` and its commands."""
    command(commands, "notify", "告知扣分", "Tell a resident that points will be deducted")(notify)
    command(commands, "list", "扣分列表", "List penalties")(list_)
    command(commands, "show", "查看一项扣分", "Show a penalty")(show)
    command(commands, "appeal", "登记居民的申诉", "Record a resident's appeal")(appeal)
    command(commands, "decide", "维持或撤销（另一人）", "Uphold or withdraw it: another person")(decide)
    command(commands, "apply", "执行扣分（另一人）", "Deduct it: another person")(apply)
    app.add_typer(commands, name="penalty")


def notify(
    account: Annotated[str, typer.Argument(help=say("账户名", "Name of the account"), show_default=False)],
    category: Annotated[str, typer.Argument(help=say("类别", "Category"), show_default=False)],
    amount: Annotated[str, typer.Argument(help=say("数额（最小单位）", "Smallest units"), show_default=False)],
    because: Annotated[str, typer.Option("--because", help=say("事由", "Why"))],
    by: By,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help=say("申诉天数", "Days to appeal"))] = 15,
    key: Annotated[str | None, typer.Option("--key", help=say("幂等键", "Idempotency key"))] = None,
    directory: Directory = HERE,
) -> Answer:
    """Until it is settled the resident's points do not go to other regions; those are not told why."""
    used = key or new_key()
    made = Api(directory).post(
        "penalties", account=account, category=category, amount=amount, reason=because, by=by, appeal_days=days,
        key=used,
    )  # fmt: skip
    return _told(made, used)


def list_(
    account: Annotated[str | None, typer.Option("--account", help=say("只看该账户", "Only of this account"))] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="|".join(_STATES), help=say("状态", "State"))] = None,
    after: Annotated[int, typer.Option("--after", min=0, help=say("从该编号之后", "After this number"))] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "How many"))] = 100,
    directory: Directory = HERE,
) -> Answer:
    """A cursor: go on with --after and the last number."""
    found = Api(directory).get("penalties", account=account, state=state, after=after, limit=limit)
    rows = [
        [
            p["no"], p["id"], p["account"], f"{p['amount']:,} {p['category']}", f"{p['taken']:,}", _state(p),
            p["appeal_until"] or "—", p["reason"],
        ]
        for p in found["penalties"]
    ]  # fmt: skip
    columns = [
        say("序号", "No"), "ID", say("账户", "Account"), say("数额", "Amount"), say("已扣", "Taken"),
        say("状态", "State"), say("申诉截止", "Appeals until"), say("事由", "Because"),
    ]  # fmt: skip
    shown: list[Any] = [table(say("扣分", "Penalties"), columns, rows)] if rows else [say("没有扣分。", "None.")]
    return Answer(value=found, shown=shown)


def show(penalty: Id, directory: Directory = HERE) -> Answer:
    """With everything that was said about it."""
    found = Api(directory).get("penalties", penalty)
    pairs = [
        ("ID", found["id"]),
        (say("账户", "Account"), found["account"]),
        (say("数额", "Amount"), f"{found['amount']:,} {found['category']}"),
        (say("已扣", "Taken"), f"{found['taken']:,}"),
        (say("状态", "State"), _state(found)),
        (say("事由", "Because"), found["reason"]),
        (say("告知", "Told"), f"{when(found['notified'])}  {found['by']}"),
        (say("申诉截止", "Appeals until"), found["appeal_until"] or "—"),
        (say("申诉", "Appeal"), found["appeal"] or "—"),
        (say("决定", "Decided"), f"{when(found['decided'])}  {found['checked_by'] or ''}".rstrip()),
    ]
    return Answer(value=found, shown=[facts(pairs)])


def appeal(
    penalty: Id,
    words: Annotated[str, typer.Option("--words", help=say("居民的理由", "What the resident says"))],
    directory: Directory = HERE,
) -> Answer:
    """While it is open nothing is deducted."""
    return _told(Api(directory).post("penalties", penalty, "appeal", words=words))


def decide(
    penalty: Id,
    by: By,
    uphold: Annotated[bool, typer.Option("--uphold", help=say("维持", "It stands"))] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help=say("撤销", "It is withdrawn"))] = False,
    directory: Directory = HERE,
) -> Answer:
    """Not by whoever notified it."""
    if uphold == withdraw:
        raise Failed(
            say("须给出 --uphold 或 --withdraw 之一", "either --uphold or --withdraw is needed"),
            say("例如 hutong penalty decide ID --withdraw --by 李四。",
                "For instance: hutong penalty decide ID --withdraw --by li.si"),
        )  # fmt: skip
    decision = "uphold" if uphold else "withdraw"
    return _told(Api(directory).post("penalties", penalty, "decision", decision=decision, by=by))


def apply(penalty: Id, by: By, directory: Directory = HERE) -> Answer:
    """Never more than there is; what lacks is remembered, and the command may be given again."""
    return _told(Api(directory).post("penalties", penalty, "application", by=by))


def _state(found: Mapping[str, Any]) -> str:
    return say(*_STATES[found["state"]])


def _told(made: Mapping[str, Any], key: str = "") -> Answer:
    pairs = [
        ("ID", made["id"]),
        (say("状态", "State"), _state(made)),
        (say("数额", "Amount"), f"{made['amount']:,}"),
        (say("已扣", "Taken"), f"{made['taken']:,}"),
        (say("申诉截止", "Appeals until"), made["appeal_until"] or "—"),
        *([(say("键", "Key"), key)] if key else []),
    ]
    return Answer(value={**made, **({"key": key} if key else {})}, shown=[facts(pairs)])
