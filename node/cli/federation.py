"""`hutong federation`: the keepers make and sign the roster; a region takes it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gateway.protocol import documents, limits, roster
from gateway.protocol.errors import PeerFault
from gateway.protocol.members import Key, Region, Roster
from gateway.protocol.suite import SigningKey, signers
from gateway.protocol.values import Signed, Status
from node.cli import key_changes, roster_file
from node.cli.command import command, group, replace_file, secret_file
from node.cli.faults import Failed
from node.cli.roster_draft import draft, listed, now_ms, with_region
from node.cli.roster_shown import roster_answer
from node.cli.screen import Answer
from node.cli.words import say
from node.config import read_secret
from node.errors import BadFile
from node.text_file import read_text

commands = group("联邦：根密钥、成员名册", "The federation: root keys and the roster of its members")

RosterPath = Annotated[Path, typer.Argument(help=say("名册文件", "Roster file"), show_default=False)]
Codes = list[str] | None


def register(app: typer.Typer) -> None:
    """Add `federation` and its commands."""
    from node.cli import succession, trust

    command(commands, "new", "建立联邦：根密钥与第一版名册草稿", "Make a federation: root keys and a first draft")(new)
    command(commands, "add", "加入或更改成员，产生下一版草稿", "Add or change members: a draft to sign")(add)
    command(commands, "sign", "用一把根密钥签署", "Sign with one root key")(sign)
    succession.register(commands)
    trust.register(commands)
    app.add_typer(commands, name="federation")


def new(
    name: Annotated[str, typer.Option("--name", help=say("联邦中文名称", "Name in Chinese"))],
    out: Annotated[Path, typer.Option("--out", help=say("新建的目录", "Directory to make"))],
    name_en: Annotated[str, typer.Option("--name-en", help=say("英文名称", "Name in English"))] = "",
    keys: Annotated[int, typer.Option("--keys", min=1, max=limits.ROOT_KEYS, help=say("根密钥数", "Root keys"))] = 3,
    threshold: Annotated[
        int, typer.Option("--threshold", min=1, max=limits.ROOT_KEYS, help=say("签署门限", "Signatures needed"))
    ] = 2,
    environment: Annotated[str, typer.Option("--environment", help=say("环境", "Environment"))] = "production",
    grace_days: Annotated[
        int, typer.Option("--grace-days", min=0, help=say("名册可续用的天数", "Days a roster serves unrenewed"))
    ] = 30,
) -> Answer:
    """Root keys as files of their own, one for each keeper, and a first roster without regions."""
    if threshold > keys:
        raise Failed(
            say(f"门限 {threshold} 大于密钥数 {keys}", f"a threshold of {threshold} with {keys} keys"),
            say("减小 --threshold 或增加 --keys。", "Lower --threshold or raise --keys."),
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Failed(
            say(f"{out} 已存在，未作任何改动", f"{out} exists already; nothing was changed"),
            say("换一个目录。", "Name another directory."),
        )
    roots = [SigningKey.from_seed(secrets.token_bytes(32)) for _ in range(keys)]
    listing = Roster(
        version=1,
        name_zh=name,
        name_en=name_en,
        environment=environment,
        issued_at_ms=now_ms(),
        grace_s=grace_days * 86_400,
        root_keys=tuple(Key(suite=key.suite, public_key=key.public_key) for key in roots),
        threshold=threshold,
    )
    begun = roster_file.begin(None, listing)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.absolute().name}.", dir=out.absolute().parent))
    try:
        for number, key in enumerate(roots, 1):
            secret_file(beside / f"root-{number}.key", key.seed().hex() + "\n")
        replace_file(beside / "roster-1.json", roster_file.write(begun))
        beside.rename(out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    files = [out / f"root-{number}.key" for number in range(1, keys + 1)]
    then = say(
        f"把 {files[0].name} … {files[-1].name} 分交各位保管人离线保存，并从本机删除。"
        f"收到各地区名片后：hutong federation add {out / 'roster-1.json'} 名片…",
        f"Hand {files[0].name} … {files[-1].name} to one keeper each, to be kept offline, and remove them here. "
        f"When the regions' cards are here: hutong federation add {out / 'roster-1.json'} CARD…",
    )
    return roster_answer(begun, out / "roster-1.json", then=then, more={"root_keys": [str(f) for f in files]})


def add(
    file: RosterPath,
    cards: Annotated[
        list[Path] | None, typer.Argument(help=say("地区名片", "Cards of regions"), show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help=say("草稿文件", "Where the draft goes"))] = None,
    suspend: Annotated[Codes, typer.Option("--suspend", help=say("暂停该地区", "Suspend a region"))] = None,
    resume: Annotated[Codes, typer.Option("--resume", help=say("恢复该地区", "Make it active again"))] = None,
    wind_down: Annotated[Codes, typer.Option("--wind-down", help=say("该地区开始退出", "Let it wind down"))] = None,
    withdraw: Annotated[Codes, typer.Option("--withdraw", help=say("该地区退出", "It has left"))] = None,
    revoke_key: Annotated[
        list[str] | None,
        typer.Option("--revoke-key", metavar="CODE:KEYID", help=say("吊销签名密钥", "Revoke a signing key")),
    ] = None,
    revoked_at: Annotated[
        str, typer.Option("--revoked-at", metavar="TIME", help=say("何时起不可信，默认此刻", "Not good since; now"))
    ] = "",
    anchors: Annotated[
        list[Path] | None,
        typer.Option("--anchors", help=say("hutong anchors 导出的文件", "What `hutong anchors` wrote")),
    ] = None,
    end_key: Annotated[
        list[str] | None,
        typer.Option("--end-key", metavar="CODE:KEYID:TIME", help=say("密钥到期时间", "When a key ends")),
    ] = None,
    vouched: Annotated[
        bool,
        typer.Option(
            "--vouched",
            help=say("已核实由未列出的密钥签署的名片", "You checked with the region a card signed by an unlisted key"),
        ),
    ] = False,
) -> Answer:
    """A draft that nobody has signed is changed; a roster in force is followed by the next version."""

    def change(changed: Roster) -> Roster:
        for path in cards or ():
            changed = _with_card(changed, *_card(path), vouched=vouched)
        for status, codes in (
            (Status.SUSPENDED, suspend), (Status.ACTIVE, resume), (Status.WINDING_DOWN, wind_down),
            (Status.WITHDRAWN, withdraw),
        ):  # fmt: skip
            for code in codes or ():
                changed = with_region(changed, replace(listed(changed, code), status=status))
        good = dict(map(key_changes.read_anchors, anchors or ()))
        for text in end_key or ():
            code, key_id, until = [*text.split(":", 2), "", ""][:3]
            changed = with_region(changed, key_changes.ended(listed(changed, code), key_id, until))
        for text in revoke_key or ():
            code, _, key_id = text.partition(":")
            at_ms = key_changes.instant(revoked_at) if revoked_at else changed.issued_at_ms
            region = listed(changed, code)
            changed = with_region(changed, key_changes.revoked(region, key_id, at_ms, good.get(region.code, ())))
        return changed

    return draft(file, out, change)


def sign(
    file: RosterPath,
    key: Annotated[Path, typer.Option("--key", help=say("根密钥文件", "File of a root key"))],
    out: Annotated[Path | None, typer.Option("--out", help=say("另存为", "Write it here instead"))] = None,
) -> Answer:
    """Add one keeper's signature; the last one needed puts the version in force."""
    found = roster_file.read(file)
    signed = roster_file.sign(found, SigningKey.from_seed(read_secret(key)))
    target = out or file
    replace_file(target, roster_file.write(signed))
    if signed.pending is None:
        then = say(
            f"名册第 {signed.newest.version} 版已生效。把 {target} 交给各地区："
            f"hutong federation trust {target} --dir 地区目录",
            f"Roster version {signed.newest.version} is in force. Hand {target} to the regions: "
            f"hutong federation trust {target} --dir DIR",
        )
    else:
        lacking = roster_file.missing(signed.current, signed.pending)
        then = say(
            f"还需 {lacking} 个签名：把 {target} 交给下一位保管人。",
            f"{lacking} more to sign: hand {target} to the next keeper.",
        )
    return roster_answer(signed, target, then=then)


# -- changes ---------------------------------------------------------------------------------------------------------


def _card(path: Path) -> tuple[Signed, Region]:
    try:
        signed = documents.from_json(read_text(path))
        return signed, roster.read_card(signed)
    except PeerFault as error:
        what = f"is no card that can be used ({error})"
        raise BadFile(path, None, None, what, "Ask the region for its card.") from None


def _with_card(listing: Roster, signed: Signed, card: Region, *, vouched: bool) -> Roster:
    """The card replaces what it says; keys stay for ever, and a status is the keepers' to change."""
    before = listing.find(card.code)
    if before is None:
        return with_region(listing, replace(card, status=Status.ACTIVE))
    usable = [key.verify_key for key in before.keys if not key.revoked_at_ms]
    if not vouched and not signers(signed, usable):
        raise PeerFault(
            f"the card of region {card.code} is signed by a key the roster does not list: ask the region over another "
            "way whether the card is its own, then repeat with --vouched"
        )
    known = {key.public_key for key in before.keys}
    keys = before.keys + tuple(key for key in card.keys if key.public_key not in known)
    changed = replace(
        before,
        name_zh=card.name_zh,
        name_en=card.name_en,
        endpoint=card.endpoint,
        certificates=card.certificates,
        keys=keys,
    )
    return with_region(listing, changed)
