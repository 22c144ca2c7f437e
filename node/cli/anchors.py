"""`hutong anchors`: up to where this region's logs are its own, for keepers who revoke a leaked key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from node.cli.command import HERE, Directory, command, replace_file
from node.cli.screen import Answer, facts
from node.cli.words import say
from node.config import load


def register(app: typer.Typer) -> None:
    """Add `anchors`."""
    command(
        app,
        "anchors",
        "导出本地区各账本的最后可信位置，供吊销密钥时使用",
        "Write the last good prefix of each of this region's logs, for the revocation of a key",
    )(anchors)


def anchors(
    out: Annotated[Path | None, typer.Option("--out", help=say("写入的文件", "Where it goes"))] = None,
    directory: Directory = HERE,
) -> Answer:
    """Read from the region's own database: what it sealed itself is good, whatever somebody else has signed."""
    from gateway.protocol.members import Anchor
    from node.cli.key_changes import anchors_text
    from node.services import founding
    from node.store import books
    from node.store.engine import open_store

    config = load(directory)
    store = open_store(config.database)
    try:
        with store.write() as conn:
            roster = founding.trust(conn, ())
        with store.read() as conn:
            found = books.load(conn, config.region, roster.federation, roster.environment)
    finally:
        store.close()
    good = [
        Anchor(destination=peer, epoch=c.epoch.number, size=c.size, root=c.out_frontier.root())
        for peer, c in sorted(found.channels.items())
    ]
    text = anchors_text(config.region, good)
    path = out or config.directory / f"region-{config.region}.anchors.json"
    replace_file(path, text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    then = say(
        f"把 {path} 交给保管人，并当面或电话核对 SHA-256；保管人运行："
        f"hutong federation add 名册 --revoke-key {config.region}:密钥编号 --anchors {path.name}",
        f"Hand {path} to the keepers and compare the SHA-256 by voice; they run: "
        f"hutong federation add ROSTER --revoke-key {config.region}:KEYID --anchors {path.name}",
    )
    shown = facts([(say("文件", "File"), path), ("SHA-256", digest), (say("账本", "Logs"), len(good))])
    value = {
        "file": str(path.absolute()),
        "sha256": digest,
        "anchors": [
            {"destination": a.destination, "epoch": a.epoch, "size": a.size, "root": a.root.hex()} for a in good
        ],
    }
    return Answer(value=value, shown=[shown, then])
