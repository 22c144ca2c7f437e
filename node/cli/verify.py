"""`hutong verify`: derive a region's books from the ground up and compare them with what its tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.command import HERE, Directory, command
from node.cli.faults import Exit
from node.cli.screen import Answer, progress, table
from node.cli.words import say
from node.config import load


def register(app: typer.Typer) -> None:
    """Add `verify`."""
    command(
        app,
        "verify",
        "从流水与日志重新推导一切并比对；也可离线核验数据库文件副本",
        "Derive everything again from journal and logs; also offline, on a copy of a database file",
    )(verify)


def verify(
    file: Annotated[
        Path | None,
        typer.Argument(help=say("数据库文件或副本；不填则用 --dir", "A database file; without it, --dir's")),
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """Only reads; the region may be running."""
    from node.services.verify.run import holds, open_copy
    from node.services.verify.run import verify as examine
    from node.store.engine import open_store

    store = open_copy(file) if file is not None else open_store(load(directory).database)
    try:
        with progress(say("核验", "Verifying"), None) as bar:
            checks = examine(store, lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total))
    finally:
        store.close()
    rows = [["✓" if c.ok else "✗", say(c.zh, c.en), c.counted] for c in checks]
    columns = ["", say("检查", "Check"), say("计数", "Counted")]
    faults = [f"✗ {say(c.zh, c.en)}{say('：', ': ')}{c.detail}" for c in checks if not c.ok]
    good = holds(checks)
    failed = sum(not c.ok for c in checks)
    end = (
        say(f"全部 {len(checks)} 项成立。", f"All {len(checks)} checks hold.")
        if good
        else say(
            f"{len(checks)} 项中有 {failed} 项不成立：停止该节点，保留数据库与日志，联系维护者。",
            f"{failed} of {len(checks)} checks fail: stop the node, keep database and logs, call its maintainers.",
        )
    )
    value = {
        "holds": good,
        "checks": [
            {"code": c.code, "zh": c.zh, "en": c.en, "ok": c.ok, "counted": c.counted, "detail": c.detail}
            for c in checks
        ],
    }
    return Answer(
        value=value,
        shown=[table(say("核验", "Verification"), columns, rows), *faults, end],
        code=Exit.OK if good else Exit.REFUSED,
    )
