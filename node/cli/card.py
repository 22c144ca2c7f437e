"""`hutong card`: what a region hands to the keepers of the roster, made anew when address, key or certificate change.

A new key or certificate lies beside the old one until the roster lists it; only then may it take the old one's place.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.command import HERE, Directory, command, replace_file, secret_file
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, facts
from node.cli.words import say
from node.config import Config, load, load_secrets, read_secret

if TYPE_CHECKING:
    from gateway.protocol.suite import SigningKey


def register(app: typer.Typer) -> None:
    """Add `card`."""
    command(app, "card", "重新生成名片，更换密钥或证书", "Make the region's card again; change its key or certificate")(
        card
    )


def card_name(region: int) -> str:
    """The file that goes to the keepers."""
    return f"region-{region}.card.json"


def write_card(
    config: Config, keys: Sequence[SigningKey], certificates: Sequence[bytes], next_from_ms: int = 0
) -> Path:
    """Write the region's card, listing these keys (the first signs, those after it are good from `next_from_ms` on)
    and certificates (DER)."""
    from gateway.protocol import documents, roster
    from gateway.protocol.members import Key, Region

    region = Region(
        code=config.region,
        name_zh=config.name_zh,
        name_en=config.name_en,
        endpoint=config.endpoint,
        keys=tuple(
            Key(suite=key.suite, public_key=key.public_key, not_before_ms=next_from_ms if key is not keys[0] else 0)
            for key in keys
        ),
        certificates=tuple(certificates),
    )
    path = config.directory / card_name(config.region)
    replace_file(path, documents.to_json(roster.sign_card(region, keys[0])))
    return path


def card(
    directory: Directory = HERE,
    new_key: Annotated[
        bool, typer.Option("--new-key", help=say("另备一把新的签名密钥", "Prepare a new signing key as well"))
    ] = False,
    starts: Annotated[
        str, typer.Option("--starts", metavar="TIME", help=say("新密钥何时启用", "When the new key begins"))
    ] = "",
    new_certificate: Annotated[
        bool,
        typer.Option("--new-certificate", help=say("另备一张新的 TLS 证书", "Prepare a new TLS certificate as well")),
    ] = False,
    use_new: Annotated[
        bool,
        typer.Option("--use-new", help=say("名册已列出后，启用新的", "Use the new ones, once the roster lists them")),
    ] = False,
) -> Answer:
    """Write the card with what is in force and what is prepared."""
    from gateway.protocol.suite import SigningKey
    from gateway.transport import tls
    from node.cli.key_changes import instant

    config = load(directory)
    next_key, next_tls = config.secrets / "signing.next.key", config.secrets / "tls.next.key"
    next_certificate = config.directory / "tls.next.crt"
    if use_new:
        return _use_new(config, next_key, next_tls, next_certificate)
    if new_key and not next_key.exists():
        secret_file(next_key, secrets.token_hex(32) + "\n")
    if new_certificate and not next_tls.exists():
        material = tls.issue(config.region, now=datetime.now(UTC))
        next_certificate.write_bytes(material.cert_pem)
        secret_file(next_tls, material.key_pem.decode())
    keys = [load_secrets(config).signing_key]
    if next_key.exists():
        keys.append(SigningKey.from_seed(read_secret(next_key)))
    certificates = [tls.load(config.tls_key, config.tls_certificate).der]
    if next_tls.exists():
        certificates.append(tls.load(next_tls, next_certificate).der)
    path = write_card(config, keys, certificates, instant(starts) if starts else 0)
    then = say(
        f"把 {path} 交给保管人。节点装入新名册后自行换用新密钥，无须重启；之后运行 hutong card --use-new。",
        f"Send {path} to the keepers. The node changes to the new key by itself once the roster lists it and its time "
        "has come; then run `hutong card --use-new`.",
    )
    plain = say(f"把 {path} 交给保管人。", f"Send {path} to the keepers.")
    shown = facts(
        [
            (say("名片", "Card"), path),
            (say("密钥", "Keys"), ", ".join(key.id.hex() for key in keys)),
            (say("证书", "Certificates"), len(certificates)),
        ]
    )
    value = {"card": str(path.absolute()), "keys": [k.id.hex() for k in keys], "certificates": len(certificates)}
    return Answer(value=value, shown=[shown, then if len(keys) + len(certificates) > 2 else plain])


def _use_new(config: Config, next_key: Path, next_tls: Path, next_certificate: Path) -> Answer:
    """Put what is prepared in the place of what is in force, if the newest roster lists it."""
    from gateway.protocol.suite import SigningKey
    from gateway.transport import tls
    from node.services import founding
    from node.store.engine import open_store

    store = open_store(config.database)
    try:
        with store.write() as conn:
            region = founding.trust(conn, ()).region(config.region)
    finally:
        store.close()
    used = []
    if next_key.exists():
        key = SigningKey.from_seed(read_secret(next_key))
        if all(listed.public_key != key.public_key or listed.revoked_at_ms for listed in region.keys):
            raise _unlisted("signing.next.key")
        next_key.replace(config.secrets / "signing.key")
        used.append("signing.key")
    if next_tls.exists():
        if tls.load(next_tls, next_certificate).der not in region.certificates:
            raise _unlisted("tls.next.crt")
        next_tls.replace(config.tls_key)
        next_certificate.replace(config.tls_certificate)
        used.append("tls.crt")
    if not used:
        raise Failed(
            say("没有备好的新密钥或证书", "no new key or certificate is prepared"),
            say(
                "先运行 hutong card --new-key 或 --new-certificate。",
                "Run `hutong card --new-key` or `--new-certificate`.",
            ),
        )
    text = say(
        f"已启用：{'、'.join(used)}。无须重启；下次用 hutong card 再发名片时旧证书即除名。",
        f"In use now: {', '.join(used)}. No restart is needed; the next card leaves the old certificate out.",
    )
    return Answer(value={"used": used}, shown=[text])


def _unlisted(name: str) -> Failed:
    return Failed(
        say(f"现行名册尚未列出 {name}", f"the roster in force does not list {name} yet"),
        say(
            "把名片交给保管人，装入新名册后再试。",
            "Send the card to the keepers, install the new roster, then try again.",
        ),
        Exit.REFUSED,
    )
