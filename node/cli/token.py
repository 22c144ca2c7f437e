"""`hutong token`: who may call the HTTP API, and what for. Written straight into the region's database."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from node.cli.command import HERE, Directory, command, group
from node.cli.screen import Answer, moment, table
from node.cli.words import say
from node.config import load
from node.store import tokens
from node.store.engine import Store, open_store

commands = group("HTTP 接口的访问令牌", "Tokens for the HTTP API")

_SCOPES_ZH = {
    "read": "查询账户、转移、事件、头寸和对方",
    "accounts": "开户、冻结、销户，发放收款地址",
    "award": "发放积分",
    "spend": "兑换积分",
    "transfer": "向其他地区转移、撤销、申请冲正",
    "review": "审核待定的转入",
    "operate": "记录到期、重新拨号",
    "recovery": "恢复后重放已确认的请求、确认重放完毕、接受风险",
    "admin": "全部",
}


def register(app: typer.Typer) -> None:
    """Add `token` and its commands."""
    command(commands, "create", "新建令牌；只显示一次", "Make a token; it is shown once")(create)
    command(commands, "revoke", "吊销令牌", "End a token")(revoke)
    command(commands, "list", "列出令牌", "List the tokens")(listed)
    app.add_typer(commands, name="token")


def create(
    name: Annotated[str, typer.Argument(help=say("使用者名称", "Name of the caller"))],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", help=say("权限，可多次给出：", "What for, may be repeated: ") + ", ".join(tokens.SCOPES)
        ),
    ],
    directory: Directory = HERE,
) -> Answer:
    """A revoked name may be given a new token: the caller goes on where it stopped."""
    scopes = [part for text in scope for part in text.split(",") if part]
    store = _store(directory)
    try:
        with store.write() as conn:
            token = tokens.create(conn, name, scopes, time.time_ns() // 1_000_000)
    finally:
        store.close()
    then = say("令牌只显示这一次，请立即交给使用者。", "The token is shown this once: hand it to its user now.")
    return Answer(value={"name": name, "scopes": scopes, "token": token}, shown=[token, then])


def revoke(
    name: Annotated[str, typer.Argument(help=say("令牌名称", "Name of the token"))], directory: Directory = HERE
) -> Answer:
    """A running node refuses it within a second."""
    store = _store(directory)
    try:
        with store.write() as conn:
            tokens.revoke(conn, name, time.time_ns() // 1_000_000)
    finally:
        store.close()
    return Answer(value={"name": name}, shown=[say(f"令牌 {name} 已吊销。", f"The token {name} is revoked.")])


def listed(directory: Directory = HERE) -> Answer:
    """Revoked ones too."""
    store = _store(directory)
    try:
        with store.read() as conn:
            found = tokens.listed(conn)
    finally:
        store.close()
    rows = [
        [
            token.name,
            "\n".join(say(f"{scope}（{_SCOPES_ZH.get(scope, '')}）", f"{scope}: {tokens.SCOPES.get(scope, '')}")
                      for scope in token.scopes),
            moment(token.created_ms),
            moment(token.revoked_ms),
        ]
        for token in found
    ]  # fmt: skip
    columns = [say("名称", "Name"), say("权限", "What for"), say("建立", "Made"), say("吊销", "Revoked")]
    value = [
        {"name": t.name, "scopes": t.scopes, "created_ms": t.created_ms, "revoked_ms": t.revoked_ms} for t in found
    ]
    return Answer(value={"tokens": value}, shown=[table(say("令牌", "Tokens"), columns, rows)])


def _store(directory: Path) -> Store:
    return open_store(load(directory).database)
