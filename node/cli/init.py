"""`hutong init`: make a region. All of it comes into being at once, or nothing."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from node.cli.card import card_name, write_card
from node.cli.command import command, secret_file
from node.cli.faults import Failed
from node.cli.screen import Answer, facts
from node.cli.templates import CONFIG, TERMS, config_text
from node.cli.words import say
from node.config import WITNESS_FILE, Config, load, load_terms
from node.witness import LINEAGE_BYTES

OPERATOR = "operator"
"""The name of the token that commands on the region's own machine use."""


def register(app: typer.Typer) -> None:
    """Add `init`."""
    command(
        app,
        "init",
        "建立一个地区：密钥、证书、配置、数据库",
        "Make a region: keys, certificate, configuration, database",
    )(init)


def init(
    code: Annotated[str, typer.Argument(help=say("六位行政区划代码（GB/T 2260）", "Six digits of GB/T 2260"))],
    name: Annotated[str, typer.Option("--name", help=say("中文名称", "Name in Chinese"))],
    directory: Annotated[Path, typer.Option("--dir", help=say("新建的目录", "Directory to make"))],
    name_en: Annotated[str, typer.Option("--name-en", help=say("英文名称", "Name in English"))] = "",
    listen: Annotated[
        str, typer.Option("--listen", help=say("供其他地区连接的监听地址", "Where other regions reach this machine"))
    ] = "0.0.0.0:7443",
    http: Annotated[
        str, typer.Option("--http", help=say("供本地区系统使用的 HTTP 地址", "HTTP API for the region's own systems"))
    ] = "127.0.0.1:8080",
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            help=say("其他地区拨入的地址；不填则只向外拨", "What others dial; without it this region only dials"),
        ),
    ] = "",
    database: Annotated[str, typer.Option("--database", help=say("数据库 URL", "URL of the database"))] = (
        "sqlite:///region.sqlite"
    ),
    categories: Annotated[
        str, typer.Option("--categories", help=say("积分类别，逗号分隔", "Categories of points, with commas between"))
    ] = "moral,public_welfare,culture",
    witness: Annotated[
        str,
        typer.Option(
            "--witness",
            help=say("见证文件，宜在另一块磁盘上", "The witness: a small file, best on another disk than the database"),
        ),
    ] = WITNESS_FILE,
    environment: Annotated[
        str, typer.Option("--environment", help=say("环境；须与联邦一致", "Environment; as the federation's"))
    ] = "production",
) -> Answer:
    """Everything is made in a directory beside the new one, which takes its name at the very end."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Failed(
            say(f"{directory} 已存在，未作任何改动", f"{directory} exists already; nothing was changed"),
            say("换一个目录，或自行移走它。", "Name another directory, or move that one away yourself."),
        )
    text = config_text(
        CONFIG,
        region=code,
        name_zh=name,
        name_en=name_en,
        environment=environment,
        categories=[part.strip() for part in categories.split(",")],
        database=database,
        witness=witness,
        grpc_listen=listen,
        http_listen=http,
        endpoint=endpoint,
    )
    directory.absolute().parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.absolute().name}.", dir=directory.absolute().parent))
    try:
        config = _fill(beside, text)
        _found(config, directory)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return _done(load(directory))


def _fill(beside: Path, text: str) -> Config:
    """Files and secrets. What the options say is judged by the reader of the configuration, before anything is kept."""
    from gateway.protocol.suite import SigningKey
    from gateway.transport import tls

    secret_file(beside / "hutong.toml", text)
    (beside / "terms.toml").write_text(TERMS, encoding="utf-8")
    try:
        config = load(beside)
        load_terms(config.terms)
    except ValueError as error:
        raise Failed(*_as_option(error)) from None
    config.secrets.mkdir(mode=0o700)
    seed = secrets.token_bytes(32)
    for name, content in (("signing", seed), ("id", secrets.token_bytes(32)), ("redo", secrets.token_bytes(32))):
        secret_file(config.secrets / f"{name}.key", content.hex() + "\n")
    material = tls.issue(config.region, now=datetime.now(UTC))
    secret_file(config.tls_key, material.key_pem.decode())
    config.tls_certificate.write_bytes(material.cert_pem)
    write_card(config, [SigningKey.from_seed(seed)], [material.der])
    return config


def _as_option(error: ValueError) -> tuple[str, str]:
    """A fault of the file that was made from the options is a fault of an option."""
    what, do = str(getattr(error, "what", error)), str(getattr(error, "do", ""))
    names = {"region": "CODE", "name_zh": "--name", "name_en": "--name-en", "grpc_listen": "--listen",
             "http_listen": "--http", "endpoint": "--endpoint", "database": "--database", "witness": "--witness",
             "categories": "--categories", "environment": "--environment"}  # fmt: skip
    key, _, rest = what.partition(" ")
    return f"{names.get(key, key)} {rest}", re.sub(r", such as name_zh = .*", ".", do)


def _found(config: Config, directory: Path) -> None:
    """The database, then the name of the directory; what lies outside the directory is committed last."""
    from node.services import founding
    from node.store import tokens
    from node.store.engine import open_store
    from node.store.migrate import migrate

    inside = str(config.directory.absolute()) in config.database
    file = None if inside else _sqlite_file(config.database)
    made_here = file is not None and not file.exists()
    store = open_store(config.database)
    lineage = secrets.token_bytes(LINEAGE_BYTES)
    kept = _witness(config, lineage)
    try:
        migrate(store)
        with store.write() as conn:
            if founding_of(conn) is not None:
                raise Failed(
                    say(
                        "该数据库已属于一个地区，未作改动",
                        "the database belongs to a region already; nothing was changed",
                    ),
                    say("用 --database 指定一个空数据库。", "Name an empty one with --database."),
                )
            founding.found(conn, config.region, config.categories, lineage)
            token = tokens.create(conn, OPERATOR, ["admin"], time.time_ns() // 1_000_000)
            secret_file(config.operator_token, f"{token}\n")
            if not inside:
                config.directory.rename(directory)
    except BaseException:
        kept.unlink(missing_ok=True)
        if directory.exists() and not config.directory.exists():
            shutil.rmtree(directory, ignore_errors=True)
        if file is not None and made_here:
            store.close()
            for leftover in (file, *file.parent.glob(f"{file.name}-*")):
                with suppress(OSError):
                    leftover.unlink()
        raise
    finally:
        store.close()
    if inside:
        config.directory.rename(directory)


def _witness(config: Config, lineage: bytes) -> Path:
    """The witness of the history that begins here. One of another region, or of a lost one, is not written over."""
    from node.witness import WitnessFile, begin

    if config.witness.exists():
        raise Failed(
            say(f"{config.witness} 已存在，未作任何改动", f"{config.witness} exists already; nothing was changed"),
            say(
                "每个地区用各自的见证文件：换一个 --witness。",
                "Every region has its own witness: name another one with --witness.",
            ),
        )
    file = WitnessFile(config.witness)
    file.write(begin(config.region, lineage))
    file.close()
    return config.witness


def founding_of(conn: object) -> str | None:
    """Which region the database belongs to, if it belongs to one."""
    from sqlalchemy import Connection, select

    from node.store import schema

    assert isinstance(conn, Connection)
    owner: str | None = conn.scalar(select(schema.meta.c.value).where(schema.meta.c.name == "region"))
    return owner


def _sqlite_file(url: str) -> Path | None:
    found = re.fullmatch(r"sqlite(?:\+[a-z]+)?:///(/.*)", url)
    return Path(found[1]) if found else None


def _done(config: Config) -> Answer:
    card = config.directory / card_name(config.region)
    steps = say(
        f"""下一步：
  1. 把 {card} 交给联邦的根密钥保管人（他们运行 hutong federation add）。
  2. 收到签好的名册后：hutong federation trust 名册.json --dir {config.directory}
  3. hutong serve --dir {config.directory}
  4. 与各地区签订协议：hutong agreement draft --help
{config.secrets} 中的文件请另行备份，切勿与数据库备份放在一起。""",
        f"""Next:
  1. Send {card} to the keepers of the federation's root keys (they run `hutong federation add`).
  2. When the signed roster comes back: hutong federation trust ROSTER.json --dir {config.directory}
  3. hutong serve --dir {config.directory}
  4. Agree with each of the other regions: hutong agreement draft --help
Keep a copy of the files in {config.secrets}, never together with a backup of the database.""",
    )
    shown = facts(
        [
            (say("地区", "Region"), f"{config.region} {config.name_zh} {config.name_en}"),
            (say("目录", "Directory"), config.directory),
            (say("名片", "Card"), card),
            (say("供其他地区连接", "For regions"), config.grpc_listen),
            ("HTTP", config.http_listen),
            (say("对外地址", "Endpoint"), config.endpoint or say("无，只向外拨", "none, dials out only")),
        ]
    )
    value = {
        "region": config.region,
        "directory": str(config.directory.absolute()),
        "card": str(card.absolute()),
        "database": "sqlite" if config.database.startswith("sqlite") else "postgresql",
        "grpc_listen": config.grpc_listen,
        "http_listen": config.http_listen,
        "endpoint": config.endpoint,
    }
    return Answer(value=value, shown=[shown, steps])
