"""`hutong award`: grant points to a resident, or to many from a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.api import Api, new_key
from node.cli.bulk import BulkDone, submit
from node.cli.command import HERE, Directory, command
from node.cli.faults import Failed
from node.cli.screen import Answer, facts
from node.cli.words import say


def register(app: typer.Typer) -> None:
    """Add `award`."""
    command(app, "award", "发放积分，或从 CSV 批量发放", "Grant points, or many awards from a CSV file")(award)


def award(
    account: Annotated[str | None, typer.Argument(help=say("账户名", "Account"), show_default=False)] = None,
    category: Annotated[str | None, typer.Argument(help=say("类别", "Category"), show_default=False)] = None,
    amount: Annotated[str | None, typer.Argument(help=say("最小单位数", "Smallest units"), show_default=False)] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="CSV: region,key,account,category,amount,granted,expires,evidence,activity"),
    ] = None,
    granted: Annotated[str | None, typer.Option("--granted", metavar="DATE", help=say("发放日", "Granted on"))] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="DATE", help=say("到期日，当日起不可用", "First day it is not good")),
    ] = None,
    evidence: Annotated[str, typer.Option("--evidence", help="signed_in | backfilled")] = "signed_in",
    because: Annotated[
        str,
        typer.Option(
            "--because", help=say("依据，如活动编号；勿填个人信息", "Why, such as an activity; no personal data")
        ),
    ] = "",
    key: Annotated[str | None, typer.Option("--key", help=say("幂等键；重试时用同一个", "Idempotency key"))] = None,
    directory: Directory = HERE,
) -> Answer:
    """One key, one award: the same key again is answered as the first time."""
    one = (account, category, amount)
    if (file is None) != all(part is not None for part in one) or (file is not None and any(one)):
        raise Failed(
            say("须给出 账户 类别 数量，或 --file", "either ACCOUNT CATEGORY AMOUNT or --file is needed"),
            say("例如 hutong award HZ-000001 moral 1200。", "For instance: hutong award HZ-000001 moral 1200."),
        )
    api = Api(directory)
    if file is not None:
        return _many(api, file)
    used = key or new_key()
    found = api.post(
        "awards", account=account, category=category, amount=amount, granted=granted, expires=expires,
        evidence=evidence, because=because, key=used,
    )  # fmt: skip
    shown = facts(
        [
            (say("账户", "Account"), found["account"]),
            (say("发放", "Granted"), f"{found['amount']:,} {found['category']}"),
            (say("批次", "Lot"), str(found["lot"])),
            (say("键", "Key"), used),
        ]
    )
    return Answer(value={**found, "key": used}, shown=[shown])


def _many(api: Api, file: Path) -> Answer:
    """The whole file is sound before its first line is sent; a broken call is repeated by the same command."""
    from node.services.csv_file import load_awards

    rows = load_awards(file)
    lines = [
        {
            "key": row.key,
            "account": row.account,
            "category": row.category,
            "amount": row.amount,
            "granted": _iso(row.granted),
            "expires": _iso(row.expires),
            "evidence": row.evidence.name.lower(),
            "because": row.activity,
        }
        for row in rows
        if row.region == api.config.region
    ]
    done = BulkDone(file=file, region=api.config.region, others=len(rows) - len(lines))
    return submit(api, "awards", lines, done, say("发放", "Granting"), "key")


def _iso(date: int) -> str:
    return f"{date // 10_000:04d}-{date // 100 % 100:02d}-{date % 100:02d}"
