"""`hutong drill`: restore a backup beside the live data, let it recover from what the peers hold, say what was lost."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from node.cli import drill_report
from node.cli.api import Api
from node.cli.backup import Programs
from node.cli.command import HERE, Directory, command
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, progress
from node.cli.words import say
from node.config import Config, load, load_secrets, load_terms

if TYPE_CHECKING:
    from node.services.backup.drill import Verdict
    from node.services.office import Office
    from node.store.engine import Store

TRIES = 4
"""How often a page is asked for before a peer counts as unreachable."""


def register(app: typer.Typer) -> None:
    """Add `drill`."""
    command(
        app,
        "drill",
        "恢复演练：把备份恢复到一旁，用各对方地区的数据补全，报告会丢失什么；不影响运行中的节点",
        "Practise a restore beside the running node and report what would be lost; the node is not disturbed",
    )(drill)


def drill(
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", help=say("用这份备份，而不是现在新做一份", "This backup, not a new one"), show_default=False
        ),
    ] = None,
    work_s: Annotated[
        float,
        typer.Option("--work", min=0, help=say("备份后继续工作的秒数", "Seconds of work between backup and restore")),
    ] = 0.0,
    programs: Programs = None,
    directory: Directory = HERE,
) -> Answer:
    """Exit status 0 only if nothing acknowledged by a peer would be lost and every peer has answered."""
    from node.store.engine import open_store

    # What the copy would tell its operator is not about this region.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    config, api = load(directory), Api(directory)
    if api.get("recovery")["recovering"]:
        raise Failed(
            say("本地区正在恢复，这不是演练", "this region is recovering: this is no drill"),
            say("先完成恢复：hutong recovery show", "Finish it first: hutong recovery show"),
            Exit.UNAVAILABLE,
        )
    live = open_store(config.database)
    place = Path(tempfile.mkdtemp(prefix="drill-", dir=config.directory))
    try:
        office = _office(config, live)
        with _copy(config, live, place, file, work_s, programs) as store:
            return _recover(api, config, live, store, office)
    finally:
        live.close()
        shutil.rmtree(place, ignore_errors=True)


def _office(config: Config, live: Store) -> Office:
    """What the node itself knows, for a copy that says nothing to anybody."""
    import os

    from node.services import founding
    from node.services.office import Office

    secrets = load_secrets(config)
    with live.write() as conn:
        roster = founding.trust(conn, ())
    return Office(
        me=config.region,
        signing_key=secrets.signing_key,
        id_secret=secrets.id_secret,
        redo_secret=secrets.redo_secret,
        roster=roster,
        terms=load_terms(config.terms),
        clock=lambda: time.time_ns() // 1_000_000,
        random=os.urandom,
    )


@contextmanager
def _copy(
    config: Config, live: Store, place: Path, file: Path | None, work_s: float, programs: Path | None
) -> Iterator[Store]:
    """A restored copy, open. Whatever runs for it has ended at the end."""
    from node.services.backup import base as base_backup
    from node.services.backup import online as backup
    from node.services.backup import restore
    from node.store.engine import open_store
    from node.store.migrate import migrate
    from node.witness import WitnessFile

    backup_file = file if file is not None else place / "backup"
    if file is None:
        now_ms = time.time_ns() // 1_000_000
        with progress(say("备份", "Backing up"), None) as bar:
            if live.is_sqlite:
                manifest = backup.take(
                    live, backup_file, now_ms, lambda n, of: bar.update(bar.task_ids[0], completed=n, total=of)
                )
            else:
                manifest = base_backup.take(live, config.database, backup_file, programs, now_ms)
    else:
        manifest = restore.read_manifest(backup_file)
        kept = WitnessFile(config.witness)
        restore.judge(manifest, config.region, kept.kept, kept.fault)
        if live.is_sqlite:
            restore.check_file(backup_file, manifest)
        else:
            base_backup.check(backup_file, manifest)
    _work(work_s)
    if live.is_sqlite:
        restored = place / "region.sqlite"
        restore.put_in_place(backup_file, manifest, restored, "")
        store = open_store(f"sqlite:///{restored.absolute()}")
        try:
            migrate(store)
            yield store
        finally:
            store.close()
        return
    with base_backup.serving(backup_file, place / "postgresql", config.database, programs) as url:
        store = open_store(url)
        try:
            migrate(store)
            yield store
        finally:
            store.close()


def _work(seconds: float) -> None:
    """The node goes on meanwhile."""
    if not seconds:
        return
    end = time.monotonic() + seconds
    with progress(say("继续工作（秒）", "At work (s)"), round(seconds)) as bar:
        while (left := end - time.monotonic()) > 0:
            bar.update(bar.task_ids[0], completed=round(seconds - left))
            time.sleep(min(left, 0.5))


def _recover(api: Api, config: Config, live: Store, store: Store, office: Office) -> Answer:
    from gateway.protocol.values import Status
    from node.services.backup.drill import Copy, Extent, compare, examine, local_only
    from node.services.verify.run import verify

    copy = Copy(store, live, office)
    before, now = examine(store, office), examine(live, office)
    peers = [r.code for r in office.roster.regions if r.code != office.me and r.status is not Status.WITHDRAWN]
    told = {peer: _holds(api, peer) for peer in peers}
    verdicts: list[Verdict] = []
    faults: dict[int, str] = {}
    sizes = {peer: size for peer, (size, _, _) in told.items() if size is not None}
    total = sum(max(0, size - before.channels.get(peer, Extent()).said) for peer, size in sizes.items())
    began = time.monotonic()
    with progress(say("取回报文", "Messages given back"), total) as bar:
        for peer, (size, root, fault) in told.items():
            faults[peer] = fault or _pull_all(
                api, copy, peer, size or 0, root, lambda more: bar.advance(bar.task_ids[0], more)
            )
    took_s = time.monotonic() - began
    after = examine(store, office, {peer: extent.receipted for peer, extent in now.channels.items()})
    for peer in peers:
        had, has, got = (state.channels.get(peer, Extent()) for state in (before, now, after))
        verdicts.append(compare(peer, had, has, got, sizes.get(peer), faults[peer]))
    with progress(say("核验副本", "Verifying the copy"), None) as bar:
        checks = verify(store, lambda n, of: bar.update(bar.task_ids[0], completed=n, total=of))
    report = drill_report.Report(
        verdicts=verdicts,
        before=before,
        live=now,
        after=after,
        local=local_only(live, office.me, before.journal),
        failed=[check for check in checks if not check.ok],
        checks=len(checks),
        took_s=took_s,
    )
    return drill_report.answer(config, report)


def _holds(api: Api, peer: int) -> tuple[int | None, bytes, str]:
    """How much of this region's log the peer has, and its root; or why it does not say."""
    for _ in range(2):
        try:
            found = api.post("recovery", "pull", peer=peer)
            return found["size"], bytes.fromhex(found["root"]), ""
        except Failed as error:
            if error.name != "peer_silent":
                raise
    return None, b"", say("联系不上", "cannot be reached")


def _pull_all(api: Api, copy: Any, peer: int, size: int, root: bytes, tell: Any) -> str:
    """Let the copy recover one channel. Returns why it did not succeed; nothing where it did."""
    from base64 import b64decode

    from gateway.protocol.errors import ProtocolError
    from gateway.protocol.values import Page
    from gateway.transport import messages

    tries = 0
    try:
        wanted = copy.begin(peer, size, root)
        while not copy.is_whole(peer):
            if wanted is None:
                tries += 1
                wanted = copy.again(peer)
                if wanted is None or tries == TRIES:
                    break
            had = copy.said(peer)
            try:
                found = api.post("recovery", "pull", peer=peer, first=wanted.first, holds=wanted.holds)
            except Failed as error:
                if error.name != "peer_silent":
                    raise
                wanted = None
                continue
            page = messages.decode(b64decode(found["page"]))
            wanted = copy.take_in(peer, page) if isinstance(page, Page) else None
            tell(max(0, copy.said(peer) - had))
    except ProtocolError as error:
        return str(error)
    if copy.is_whole(peer):
        return ""
    condition = copy.condition(peer)
    return say("没有全部归还", "did not give everything back") + f" ({condition.name.lower()})"
