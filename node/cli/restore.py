"""`hutong restore`: put a backup in the place of the database; the present one is put aside."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins
from rich.console import RenderableType

from node.cli.command import HERE, Directory, command
from node.cli.faults import Failed
from node.cli.screen import Answer, facts, moment, note, progress
from node.cli.words import say
from node.config import Config, load
from node.errors import BadInput
from node.lock import hold

if TYPE_CHECKING:
    from node.services.backup.online import Manifest
    from node.witness import WitnessFile


def register(app: typer.Typer) -> None:
    """Add `restore`."""
    command(
        app,
        "restore",
        "用备份替换数据库（节点须停止）；现有数据库另存，不删除",
        "Put a backup in the database's place, the node stopped; the present one is put aside, never removed",
    )(restore)


def restore(
    file: Annotated[Path, typer.Argument(help=say("备份", "The backup"), show_default=False)],
    directory: Directory = HERE,
) -> Answer:
    """Refuses while the node runs, and a backup that is damaged, another region's, or of an abandoned history."""
    from node.services.backup import online as backups
    from node.services.backup import restore as restoring
    from node.witness import WitnessFile

    config = load(directory)
    kept = WitnessFile(config.witness)
    manifest = restoring.read_manifest(file)
    database = backups.sqlite_file(config.database)
    if (manifest.kind == "sqlite") != (database is not None):
        raise Failed(
            say(f"{file} 是 {manifest.kind} 的备份，与 hutong.toml 的数据库不同类",
                f"{file} is a backup of {manifest.kind}, and hutong.toml names another kind of database"),
            say("换一个备份，或改正 hutong.toml 中的 database。", "Name another backup, or correct `database`."),
        )  # fmt: skip
    if database is None:
        return _postgresql(config, manifest, file, _judge(config, kept, manifest, file))
    with hold(config):
        cause = _judge(config, kept, manifest, file)
        aside = _put_in_place(file, manifest, database)
    pairs: list[tuple[str, object]] = [
        *_facts(config, manifest, file),
        (say("数据库", "Database"), database),
        (say("原数据库另存为", "The one before"), aside if aside is not None else say("无", "none")),
    ]
    value = {
        **to_builtins(manifest),
        "file": str(file.absolute()),
        "database": str(database),
        "before": str(aside) if aside is not None else None,
        "recovers": bool(cause),
        "because": cause,
    }
    return Answer(value=value, shown=[facts(pairs), *_next(config, cause)])


def _put_in_place(file: Path, manifest: Manifest, database: Path) -> Path | None:
    from node.services.backup import restore as restoring

    suffix = time.strftime(".before-restore-%Y%m%dT%H%M%SZ", time.gmtime())
    with progress(say("核对备份", "Checking the backup"), None) as bar:
        restoring.check_file(
            file, manifest, lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)
        )
    with progress(say("放回", "Putting it in place"), None) as bar:
        return restoring.put_in_place(
            file,
            manifest,
            database,
            suffix,
            lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total),
        )


def _judge(config: Config, kept: WitnessFile, manifest: Manifest, file: Path) -> str:
    from node.services.backup import restore as restoring
    from node.services.backup.online import DIRECTORY

    if kept.kept is None:
        note(
            f"见证文件 {config.witness} 缺失或损坏：无法判断该备份是否属于已放弃的历史；各地区会判断。",
            f"The witness {config.witness} is {kept.fault}: whether this backup's history was left cannot be told "
            "here; the other regions will tell.",
        )
    try:
        return restoring.judge(manifest, config.region, kept.kept, kept.fault)
    except BadInput as error:
        if "abandoned history" not in str(error):
            raise
        places = (file.absolute().parent, (config.directory / DIRECTORY).absolute())
        found = restoring.usable(places, config.region, kept.kept, kept.fault)
        what = f"{file}: {error}".partition(". Restore ")[0].partition("; `hutong")[0]
        do = say("没有找到可用的备份；保留现有数据库，联系维护者。",
                 "No other backup here can be used: keep the present database, and call its maintainers.")  # fmt: skip
        if found is not None:
            do = say(f"最新的可用备份：hutong restore {found}", f"The newest that can be used: hutong restore {found}")
        raise Failed(what, do, name="abandoned") from error


def _facts(config: Config, manifest: Manifest, file: Path) -> list[tuple[str, object]]:
    return [
        (say("地区", "Region"), f"{config.region} {config.name_zh}"),
        (say("备份", "Backup"), file),
        (say("备份时间", "Taken at"), moment(manifest.at_ms)),
        (say("历史", "History"), f"{manifest.lineage[:8]} {say('第', 'commit')} {manifest.commits}"),
    ]


def _next(config: Config, cause: str) -> list[RenderableType]:
    """What happens from here on, and what an operator has to do for it."""
    serve = f"hutong serve --dir {config.directory}"
    if not cause:
        return ["", say(f"与见证文件一致，什么也没有丢失：{serve}",
                        f"The witness knows of nothing after it, so nothing was lost: {serve}")]  # fmt: skip
    return [
        "",
        say(
            f"""接下来：
  1. {serve}
     节点发现自己被恢复（{cause}），进入恢复状态：不扣居民积分，其余照常。
  2. 各对方地区逐页归还本地区发出过的报文，逐条重做：hutong recovery show --dir {config.directory}
  3. 由地区业务系统重放它已得到确认的命令，然后：
     hutong recovery replayed --dir {config.directory}
  4. 恢复状态随之结束。此备份之后的所有备份作废：请重新备份。""",
            f"""Next:
  1. {serve}
     The node finds that it was restored ({cause})
     and recovers: no resident is debited; everything else goes on.
  2. Every peer gives back what this region had said, and it is done again:
     hutong recovery show --dir {config.directory}
  3. The regional system repeats every command that it was told is done; then:
     hutong recovery replayed --dir {config.directory}
  4. With that the recovery ends. All backups later than this one are void: take a new one.""",
        ),
    ]


def _postgresql(config: Config, manifest: Manifest, file: Path, cause: str) -> Answer:
    """The server and its data directory are not this program's: the backup is checked, the steps are told."""
    from node.services.backup import base as base_backup

    with progress(say("核对备份", "Checking the backup"), None) as bar:
        base_backup.check(file, manifest, lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total))
    steps = [
        say("停止 hutong serve", "stop `hutong serve`"),
        "pg_ctl stop -D PGDATA -m fast",
        f"mv PGDATA PGDATA{time.strftime('.before-restore-%Y%m%dT%H%M%SZ', time.gmtime())}",
        f"cp -a {file.absolute()} PGDATA && chmod 700 PGDATA",
        say(
            "有 WAL 归档：在 PGDATA/postgresql.auto.conf 写入 restore_command = 'cp /归档目录/%f %p'，"
            "再 touch PGDATA/recovery.signal",
            "with archived WAL: write restore_command = 'cp /ARCHIVE/%f %p' into PGDATA/postgresql.auto.conf, then "
            "touch PGDATA/recovery.signal",
        ),
        "pg_ctl start -D PGDATA",
    ]
    shown: list[RenderableType] = [
        facts(_facts(config, manifest, file)),
        "",
        say("备份完好。hutong 不会动 PostgreSQL 的数据目录（PGDATA）；请依次执行：",
            "The backup is whole. hutong leaves PostgreSQL's data directory (PGDATA) to you; in this order:"),
        *(f"  {number}. {step}" for number, step in enumerate(steps, 1)),
        *_next(config, cause),
    ]  # fmt: skip
    value = {
        **to_builtins(manifest),
        "file": str(file.absolute()),
        "steps": steps,
        "recovers": bool(cause),
        "because": cause,
    }
    return Answer(value=value, shown=shown)
