"""`hutong federation show` and `trust`: what a roster says, and taking it for a region."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection, select

from gateway.protocol import codec
from gateway.protocol.errors import PeerFault, Unauthentic
from gateway.protocol.members import Roster
from gateway.protocol.values import Signed
from node.cli import roster_file
from node.cli.command import command
from node.cli.faults import Failed
from node.cli.roster_file import RosterFile
from node.cli.roster_shown import roster_answer
from node.cli.screen import Answer, note
from node.cli.words import say
from node.config import Config, load, load_secrets
from node.services import founding
from node.store import schema
from node.store.engine import Store, open_store
from node.store.migrate import migrate


def register(commands: typer.Typer) -> None:
    """Add `show` and `trust`."""
    command(commands, "show", "查看名册：成员、密钥、签名", "Show a roster: members, keys, signatures")(show)
    command(commands, "trust", "地区装入名册", "Let a region take a roster")(trust)


def show(
    file: Annotated[Path | None, typer.Argument(help=say("名册文件", "Roster file"), show_default=False)] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help=say("查看该地区现行的名册", "Show what this region has in force"))
    ] = None,
) -> Answer:
    """A file, checked, or what a region's database holds."""
    if (file is None) == (directory is None):
        raise Failed(
            say("须给出文件或 --dir 之一", "either a file or --dir is needed"),
            say("例如 hutong federation show roster-1.json。", "For instance: hutong federation show roster-1.json."),
        )
    if file is not None:
        return roster_answer(roster_file.read(file), file)
    assert directory is not None
    store = open_store(load(directory).database)
    try:
        with store.read() as conn:
            history = _kept(conn)
    finally:
        store.close()
    if not history:
        raise Failed(
            say("该地区还没有名册", "this region has no roster yet"),
            say("先运行 hutong federation trust。", "Run `hutong federation trust ROSTER --dir DIR`."),
        )
    return roster_answer(_in_force(history), None)


def trust(
    file: Annotated[Path, typer.Argument(help=say("签好的名册文件", "Signed roster file"))],
    directory: Annotated[Path, typer.Option("--dir", envvar="HUTONG_DIR", help=say("地区目录", "Region"))] = Path(),
    federation: Annotated[
        str,
        typer.Option(
            "--id", metavar="HEX", help=say("已知的联邦编号，据此核对", "The federation's id, to check against")
        ),
    ] = "",
) -> Answer:
    """Each version is verified against the one before it; an older one than is in force is refused."""
    config = load(directory)
    known = _federation_id(federation)
    offered = roster_file.read(file)
    if offered.pending is not None:
        lacking = roster_file.missing(offered.current, offered.pending)
        raise PeerFault(
            f"roster version {offered.newest.version} lacks {lacking} signatures: "
            f"have more keepers run `hutong federation sign {file} --key ROOTKEY`"
        )
    if known and offered.newest.federation != known:
        raise Unauthentic(
            f"this is federation {offered.newest.federation.hex()}, not {known.hex()}: "
            "check the id with the federation's keepers before anything else"
        )
    if offered.newest.environment != config.environment:
        raise Unauthentic(
            f"the roster is for the environment {offered.newest.environment!r}, this region for "
            f"{config.environment!r}: get the right roster, or correct hutong.toml"
        )
    store = open_store(config.database)
    try:
        migrate(store)
        current, first = _install(store, config, offered)
    finally:
        store.close()
    _remark(config, current)
    then = (
        say(
            "这是该地区装入的第一版名册：请通过电话等其他途径与保管人核对上面的联邦编号。",
            "This is the first roster of this region: compare its federation id with the keepers, say by telephone.",
        )
        if first and not known
        else ""
    )
    start = say(f"现在可以运行：hutong serve --dir {directory}", f"Now: hutong serve --dir {directory}")
    return roster_answer(offered, file, then=f"{then}\n{start}".strip(), more={"region": config.region})


def _federation_id(text: str) -> bytes:
    if text and not re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        raise Failed(
            say("--id 不是 64 位十六进制数", "--id is not 64 hexadecimal digits"),
            say("向保管人索取完整的联邦编号。", "Ask the keepers for the whole id."),
        )
    return bytes.fromhex(text)


def _install(store: Store, config: Config, offered: RosterFile) -> tuple[Roster, bool]:
    """Keep what is new of the offered versions. Returns the newest, and whether it is the region's first."""
    with store.write() as conn:
        founding.check_region(conn, config.region)
        kept = _kept(conn)
        for mine, theirs in zip(kept, offered.history, strict=False):
            if mine.payload != theirs.payload:
                raise Unauthentic(
                    "the file and this region hold different rosters of one version: "
                    "show both to the keepers, and install neither before they have explained it"
                )
        if len(offered.history) < len(kept):
            raise Unauthentic(
                f"a rollback: roster version {len(offered.history)} was offered and version {len(kept)} is in force; "
                "keep the newer one and find out who hands out the older"
            )
        return founding.trust(conn, offered.history[len(kept) :], time.time_ns() // 1_000_000), not kept


def _kept(conn: Connection) -> tuple[Signed, ...]:
    """Every version the region has, the first one first."""
    query = select(schema.roster.c.signed).order_by(schema.roster.c.version)
    return tuple(codec.decode_signed(signed) for signed in conn.scalars(query))


def _in_force(history: tuple[Signed, ...]) -> RosterFile:
    from gateway.protocol.roster import accept_chain

    return RosterFile(history=history, current=accept_chain(history), pending=None)


def _remark(config: Config, current: Roster) -> None:
    """Say what would keep this region from taking part under the roster it has just taken."""
    from gateway.transport import tls

    listed = current.find(config.region)
    if listed is None:
        note(f"名册未列出地区 {config.region}：请把名片交给保管人。",
             f"The roster does not list region {config.region}: send its card to the keepers.")  # fmt: skip
        return
    key = load_secrets(config).signing_key.verify_key
    if all(known.verify_key != key or known.revoked_at_ms for known in listed.keys):
        note("名册未列出本地区现用的签名密钥：请重新交付名片（hutong card）。",
             "The roster does not list this region's signing key: send a new card (hutong card).")  # fmt: skip
    if tls.load(config.tls_key, config.tls_certificate).der not in listed.certificates:
        note("名册未列出本地区现用的证书：请重新交付名片（hutong card）。",
             "The roster does not list this region's certificate: send a new card (hutong card).")  # fmt: skip
    if listed.endpoint != config.endpoint:
        note(f"名册中的对外地址是 {listed.endpoint or '空'}，配置中是 {config.endpoint or '空'}。",
             f"The roster's endpoint is {listed.endpoint or 'empty'}, the configuration's "
             f"{config.endpoint or 'empty'}.")  # fmt: skip
