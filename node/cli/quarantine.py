"""`hutong peers evidence` and `hutong peers repair`: what a quarantine is about, and the way out of it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.api import Api
from node.cli.command import replace_file
from node.cli.faults import Failed
from node.cli.screen import Answer, facts
from node.cli.terms_of_art import when
from node.cli.words import say

_DIGEST = 64

Out = Annotated[
    Path | None, typer.Option("--out", help=say("evidence：证据文件", "evidence: where it goes"), show_default=False)
]
Evidence = Annotated[
    str,
    typer.Option(
        "--evidence",
        metavar="DIGEST|FILE",
        help=say("证据摘要，或对方保存的证据文件", "Its digest, or the file that the other region saved"),
        show_default=False,
    ),
]
Size = Annotated[
    int | None,
    typer.Option("--size", help=say("repair：认可前多少条报文", "repair: how many messages stand"), show_default=False),
]
Maker = Annotated[str, typer.Option("--maker", help=say("repair：经办人", "repair: who proposes"), show_default=False)]
Checker = Annotated[
    str, typer.Option("--checker", help=say("repair：复核人", "repair: who checked"), show_default=False)
]


def save(api: Api, peer: int, evidence: str, out: Path | None) -> Answer:
    """Write the file of the newest evidence about a region, or of the one named, and both signatures once they are."""
    digest = evidence or _newest(api, peer)
    found = api.get("evidence", digest)
    exhibit = found["exhibit"]
    target = out or Path(f"evidence-{peer}-{digest[:12]}.json")
    if target.exists():
        raise Failed(
            say(f"{target} 已存在，未作改动", f"{target} exists already; nothing was changed"),
            say("用 --out 另取文件名。", "Choose another name with --out."),
        )
    replace_file(target, found["file"])
    lines: list[tuple[str, object]] = [
        (say("证据文件", "Evidence"), target),
        (say("摘要", "Digest"), digest),
        (say("保存时间", "Kept"), when(exhibit["at"])),
        (say("结论", "It says"), _says(exhibit)),
    ]
    agreed = None
    if found["repair_file"] is not None:
        agreed = target.with_name(f"{target.stem}.repair.json")
        replace_file(agreed, found["repair_file"])
        lines.append((say("修复协议", "Repair"), agreed))
    value = {**exhibit, "file": str(target.absolute()), "repair_file": str(agreed.absolute()) if agreed else None}
    offline = say("任何人可离线核验：", "Anybody checks it offline:")
    return Answer(value=value, shown=[facts(lines), f"{offline} python -m gateway verify {target}"])


def _newest(api: Api, peer: int) -> str:
    found = api.get("evidence", peer=peer)["evidence"]
    if not found:
        raise Failed(
            say(f"没有关于 {peer} 的证据", f"no evidence about {peer} is stored here"),
            say("用 hutong peers 查看通道状态。", "See the state of the channels with `hutong peers`."),
        )
    digest: str = found[-1]["digest"]
    return digest


def _says(exhibit: Mapping[str, Any]) -> str:
    if exhibit["holds"]:
        return say(exhibit["zh"], exhibit["en"])
    return say("不足以使第三方采信：双方自行核对", "it does not convince a stranger: compare with the other region")


def repair(api: Api, peer: int, evidence: str, size: int | None, maker: str, checker: str) -> Answer:
    """Agree, for this region, that the first messages of the log in dispute stand."""
    if size is None or not maker or not checker:
        raise Failed(
            say("缺少 --size、--maker 或 --checker", "--size, --maker or --checker is missing"),
            say(
                "例如 hutong peers repair 330200 --size 120 --maker 张三 --checker 李四",
                "For instance: hutong peers repair 330200 --size 120 --maker Li --checker Wang",
            ),
        )
    digest, file = _evidence(evidence or _newest(api, peer))
    found = api.post(
        "peers", peer, "repair", evidence=digest, size=size, maker=maker, checker=checker, file=file or None
    )
    signed = (
        say("是", "yes")
        if found["signed_here"]
        else say("等对方说明其所持后签署", "once the other side has said what it holds")
    )
    shown = facts(
        [
            (say("日志", "Log"), f"{found['source']} → {found['destination']}"),
            (say("双方认可", "Both stand by"), f"{found['size']:,}"),
            (say("接收方所持", "The destination holds"), f"{found['holds']:,}" if found["signed_here"] else "—"),
            (say("本地区签署", "Signed here"), signed),
            (say("对方签署", "Signed there"), say("是", "yes") if found["signed_there"] else say("否", "no")),
            (
                say("下一步", "Next"),
                say("对方两人同意同一长度后自动恢复", "it goes on when two people there agree to the same"),
            ),
        ]
    )
    return Answer(value=found, shown=[shown])


def _evidence(text: str) -> tuple[str, str]:
    """A digest, and the file it is of where a file was named."""
    path = Path(text)
    if len(text) == _DIGEST and not path.exists():
        return text, ""
    try:
        data = path.read_bytes()
        return sha256(data).hexdigest(), data.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Failed(
            say(
                f"{text}：既不是摘要，也不是可读的证据文件",
                f"{text}: neither a digest nor a file of evidence that can be read",
            ),
            say("给出 64 位十六进制摘要或文件名。", "Give the 64 hexadecimal digits of a digest, or a file."),
        ) from None
