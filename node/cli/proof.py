"""`hutong proof`: one file that proves a transfer in the logs of both regions."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from node.cli.account import region_code
from node.cli.command import HERE, Directory, command, replace_file
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, facts, table
from node.cli.words import say
from node.config import Config, load, load_secrets

if TYPE_CHECKING:
    from node.services.office import Office
    from node.store.engine import Store


def register(app: typer.Typer) -> None:
    """Add `proof`."""
    command(app, "proof", "导出一笔转移的证明文件", "Write a file that proves a transfer")(proof)


def proof(
    transfer: Annotated[str, typer.Argument(help=say("转移编号", "Id of the transfer"))],
    out: Annotated[
        Path | None, typer.Option("--out", help=say("证明文件", "Where it goes"), show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="CODE", help=say("来源地区（转入时）", "Where it began, if elsewhere")),
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """Either region can make it. Anybody checks it offline, knowing nothing but the federation's id."""
    from gateway.protocol import documents
    from gateway.protocol.proof import holds, verify_transfer
    from node.services.proof import transfer_proof
    from node.store.engine import open_store

    if not re.fullmatch(r"[0-9a-f]{32}", transfer):
        raise Failed(
            say("转移编号应为 32 位十六进制数", "a transfer's id has 32 hexadecimal digits"),
            say("见 hutong transfer list。", "See `hutong transfer list`."),
        )
    config = load(directory)
    target = out or Path(f"transfer-{transfer}.proof.json")
    if target.exists():
        raise Failed(
            say(f"{target} 已存在，未作改动", f"{target} exists already; nothing was changed"),
            say("用 --out 另取文件名。", "Choose another name with --out."),
        )
    store = open_store(config.database)
    try:
        office = _office(config, store)
        made = transfer_proof(
            store, office, bytes.fromhex(transfer), region_code(source) if source is not None else config.region
        )
    finally:
        store.close()
    checks = verify_transfer(made, office.roster.federation)
    replace_file(target, documents.write(made))
    federation = office.roster.federation.hex()
    rows = [["✓" if c.ok else "✗", say(c.zh, c.en), "" if c.ok else c.detail] for c in checks]
    value = {
        "transfer": transfer,
        "file": str(target.absolute()),
        "federation": federation,
        "holds": holds(checks),
        "checks": [{"code": c.code, "ok": c.ok, "detail": c.detail} for c in checks],
    }
    shown: list[RenderableType] = [
        facts([(say("证明文件", "Proof"), target)]),
        table(say("核验", "Checks"), ["", say("检查", "Check"), say("说明", "Detail")], rows),
        say("任何人可离线核验：", "Anybody checks it offline:")
        + f" python -m gateway verify {target} --federation {federation}",
    ]
    return Answer(value=value, shown=shown, code=Exit.OK if holds(checks) else Exit.REFUSED)


def _office(config: Config, store: Store) -> Office:
    """Enough of the region to sign what it has signed before."""
    from node.services import founding
    from node.services.office import Office

    secrets = load_secrets(config)
    with store.write() as conn:
        founding.check_region(conn, config.region)
        roster = founding.trust(conn, ())
    return Office(
        me=config.region,
        signing_key=secrets.signing_key,
        id_secret=secrets.id_secret,
        redo_secret=secrets.redo_secret,
        roster=roster,
        terms={},
        clock=lambda: time.time_ns() // 1_000_000,
        random=os.urandom,
    )
