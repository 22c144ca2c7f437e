"""`hutong backup`: copy a region's database while its node runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from node.cli.command import HERE, Directory, command
from node.cli.screen import Answer, facts, moment, progress
from node.cli.words import say
from node.config import Config, load

Programs = Annotated[
    Path | None,
    typer.Option(
        "--bin", help=say("PostgreSQL 程序所在目录", "Directory of PostgreSQL's programs"), show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add `backup`."""
    command(
        app,
        "backup",
        "备份数据库（节点可以正在运行）；密钥与见证文件不在其中",
        "Back up the database, while the node runs or not; without keys and witness",
    )(backup)


def backup(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help=say("新文件（PostgreSQL：新目录）", "A new file (of PostgreSQL: a new directory)"),
            show_default=False,
        ),
    ] = None,
    programs: Programs = None,
    directory: Directory = HERE,
) -> Answer:
    """Without FILE it goes into `backups/` of the region's directory, under a name with time and commit."""
    from node.services.backup import base as base_backup
    from node.services.backup import online as backups
    from node.store.engine import open_store

    config = load(directory)
    now_ms = time.time_ns() // 1_000_000
    store = open_store(config.database)
    try:
        target = file.absolute() if file is not None else default_name(config, now_ms, store.is_sqlite)
        target.parent.mkdir(parents=True, exist_ok=True)
        with progress(say("备份", "Backing up"), None) as bar:
            if store.is_sqlite:
                manifest = backups.take(
                    store,
                    target,
                    now_ms,
                    lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total),
                )
            else:
                manifest = base_backup.take(store, config.database, target, programs, now_ms)
    finally:
        store.close()
    pairs: list[tuple[str, object]] = [
        (say("备份", "Backup"), target),
        (say("说明文件", "Manifest"), backups.beside(target)),
        (say("时间", "Taken at"), moment(manifest.at_ms)),
        (say("历史", "History"), f"{manifest.lineage[:8]} {say('第', 'commit')} {manifest.commits}"),
        ("SHA-256", manifest.sha256),
    ]
    from msgspec import to_builtins

    value = {**to_builtins(manifest), "file": str(target), "manifest": str(backups.beside(target))}
    return Answer(value=value, shown=[facts(pairs), *_not_in_it(config, manifest.kind)])


def default_name(config: Config, now_ms: int, is_sqlite: bool) -> Path:
    """A name that sorts by time and says whose it is."""
    from node.services.backup.online import DIRECTORY

    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_ms / 1000))
    return (config.directory / DIRECTORY / f"{config.region}-{at}{'.sqlite' if is_sqlite else ''}").absolute()


def _not_in_it(config: Config, kind: str) -> list[RenderableType]:
    """What else a region needs to come back, and what must never come back with it."""
    shown: list[RenderableType] = [
        "",
        say(
            f"不在备份中，请另存于别处（切勿与备份放在一起）：{config.secrets}（签名、编号、重做密钥，TLS 私钥）、"
            f"{config.directory / 'hutong.toml'}、{config.terms.name}、{config.tls_certificate.name}。",
            f"Not in it; keep elsewhere, never beside it: {config.secrets} (signing key, id secret, redo secret, TLS "
            f"key), {config.directory / 'hutong.toml'}, {config.terms.name}, {config.tls_certificate.name}.",
        ),
        say(
            f"见证文件 {config.witness} 不得备份：它用来识别恢复。",
            f"The witness {config.witness} must not be backed up at all: it is what notices a restore.",
        ),
    ]
    if kind == "postgresql":
        shown.append(
            say(
                "备份之后只在本地的记账不在任何对方处：请开启 WAL 归档（archive_mode，见 deploy/RUNBOOK.md）。",
                "What is posted here alone after this backup is at no peer: archive the WAL (archive_mode; see "
                "deploy/RUNBOOK.md).",
            )
        )
    return shown
