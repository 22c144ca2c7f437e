"""`hutong peers`: how things stand with every other region, and how one of them sees this one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from node.cli import quarantine
from node.cli.account import region_code
from node.cli.api import Api
from node.cli.command import HERE, Directory, command
from node.cli.faults import Exit, Failed
from node.cli.roster_shown import certificate_end, days_until
from node.cli.screen import Answer, facts, note, table
from node.cli.terms_of_art import when, word
from node.cli.words import say
from node.config import Config

WARNING_DAYS = 30
_KINDS_ZH = {
    "streams": "连接", "handshakes": "握手", "repeats": "重复报文", "malformed": "坏报文", "refused": "被拒请求",
    "pages": "补页", "rosters": "名册请求",
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add `peers`."""
    command(
        app,
        "peers",
        "与各地区的连接、积压、退避、收据；peers 代码 查看对方如何看待本地区；peers retry 代码 立即重拨；"
        "peers evidence 代码 导出证据；peers repair 代码 两人同意修复",
        "Connections, backlogs, back-off, receipts; `peers CODE` asks how that region sees this one; "
        "`peers retry CODE` dials it now; `peers evidence CODE` saves what it contradicted; `peers repair CODE` agrees",
    )(peers)


def peers(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CODE | retry CODE | evidence CODE | repair CODE]",
            help=say("地区代码", "A region"),
            show_default=False,
        ),
    ] = None,
    out: quarantine.Out = None,
    evidence: quarantine.Evidence = "",
    size: quarantine.Size = None,
    maker: quarantine.Maker = "",
    checker: quarantine.Checker = "",
    directory: Directory = HERE,
) -> Answer:
    """A silent peer is no error here: that is what the table is for."""
    api = Api(directory)
    days = _warn(api.config)
    match what or []:
        case []:
            return _all(api, days)
        case ["retry", code]:
            found = api.post("peers", region_code(code), "retry")
            return Answer(value=found, shown=[say(f"正在拨号 {code}。", f"Dialling {code} now.")])
        case ["evidence", code]:
            return quarantine.save(api, region_code(code), evidence, out)
        case ["repair", code]:
            return quarantine.repair(api, region_code(code), evidence, size, maker, checker)
        case [code] if code not in ("retry", "evidence", "repair"):
            return _one(api, region_code(code))
        case _:
            raise Failed(
                say(
                    "用法：hutong peers [代码 | retry 代码 | evidence 代码 | repair 代码]",
                    "usage: hutong peers [CODE | retry CODE | evidence CODE | repair CODE]",
                ),
                say("例如 hutong peers retry 330200。", "For instance: hutong peers retry 330200."),
            )


def _all(api: Api, days: int) -> Answer:
    found = api.get("peers")
    if not found["seals"]:
        by = f" {found['sealer']}" if found["sealer"] else ""
        note(
            f"本进程不与其他地区通信，由进程{by or '（暂无）'} 负责。",
            f"Another process{by or ' (none yet)'} talks with other regions; this one takes commands.",
        )
    if found["doubled"]:
        note(
            "另有一个实例正以本地区的名义运行，本实例已停止：停掉其中一个，再重启留下的那个。",
            "Another instance runs as this region, so this one has stopped: stop one of the two, then restart the "
            "one that stays.",
        )
    throttled = any(p["throttled"] for p in found["peers"])
    rows = [
        [
            f"{p['code']} {say(p['name_zh'], p['name_en'] or p['name_zh'])}",
            say("已连接", "connected") if p["connected"] else say("未连接", "not connected"),
            word(p["channel"]),
            p["backlog"],
            _age(p["oldest_unreceipted"]),
            when(p["last_receipt"]),
            _back_off(p),
            *([_throttled(p)] if throttled else []),
        ]
        for p in found["peers"]
    ]
    columns = [
        say("地区", "Region"), say("连接", "Stream"), say("通道", "Channel"), say("积压", "Backlog"),
        say("最久", "Oldest"), say("最近收据", "Last receipt"), say("退避", "Back-off"),
        *([say("限流", "Throttled")] if throttled else []),
    ]  # fmt: skip
    shown = table(say("各地区", "Peers"), columns, rows)
    return Answer(value={**found, "certificate_days_left": days}, shown=[shown])


def _one(api: Api, code: int) -> Answer:
    found = api.get("peers", code)
    parts = [facts(_facts(found))]
    standing: dict[str, Any] | None = None
    try:
        standing = api.post("peers", code, "standing")
    except Failed as failure:
        if failure.code is not Exit.UNAVAILABLE:
            raise
        note(f"{code} 没有回答“您如何看待我们”。", f"{code} does not answer how it sees this region.")
    if standing is not None:
        parts.append(facts([(say("对方如何看待本地区：", "How it sees this region:"), ""), *_standing(standing)]))
    return Answer(value={**found, "standing": standing}, shown=parts)


def _facts(p: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        (say("地区", "Region"), f"{p['code']} {p['name_zh']} {p['name_en']}"),
        (say("名册状态", "Status in the roster"), word(p["status"])),
        (say("地址", "Endpoint"), p["endpoint"] or say("只向外拨", "dials out only")),
        (say("连接", "Stream"), when(p["connected_since"]) if p["connected"] else say("未连接", "not connected")),
        (say("通道", "Channel"), word(p["channel"])),
        (say("已发 / 已收据", "Sent / receipted"), f"{p['sent']:,} / {p['receipted']:,}"),
        (say("收到", "Received"), f"{p['held']:,}"),
        (say("积压", "Backlog"), f"{p['backlog']:,}"),
        (say("最久未收据", "Oldest without receipt"), _age(p["oldest_unreceipted"])),
        (say("最近收据", "Last receipt"), when(p["last_receipt"])),
        (say("最近联系", "Last contact"), when(p["last_contact"])),
        (say("退避", "Back-off"), _back_off(p)),
        (say("最近错误", "Last error"), p["last_error"] or "—"),
        (say("证据", "Evidence"), ", ".join(p["evidence"]) or "—"),
        (say("限流", "Throttled"), _throttled(p)),
        (say("超量累计", "Too much so far"), ", ".join(f"{_kind(k)} {n:,}" for k, n in p["over"].items()) or "—"),
    ]


def _standing(s: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        (say("状态", "Status"), f"{word(s['status'])}, {word(s['channel'])}"),
        (say("就绪", "Ready"), say("是", "yes") if s["ready"] else say("否", "no")),
        (say("对方持有本地区报文", "Messages of ours it holds"), f"{s['holds']:,}"),
        (say("对方积压", "Its backlog towards us"), f"{s['backlog']:,}"),
        (say("对方退避", "Its back-off"), f"{s['back_off_ms'] / 1000:.1f} s"),
    ]


def _back_off(p: Mapping[str, Any]) -> str:
    if p["connected"]:
        return "—"  # failures of before the peer dialled in
    if not p["endpoint"]:
        return say("等对方拨入", "waits for its call")
    if p["dialling"] and not p["failures"]:
        return say("拨号中", "dialling")
    if not p["failures"]:
        return "—"
    return say(
        f"失败 {p['failures']} 次，{when(p['next_dial'])} 再拨",
        f"failures: {p['failures']}, again {when(p['next_dial'])}",
    )


def _kind(code: str) -> str:
    """A kind of cost in words."""
    return say(_KINDS_ZH.get(code, code), code)


def _throttled(p: Mapping[str, Any]) -> str:
    if p["throttled"] is None:
        return "—"
    kinds = say("、", ", ").join(map(_kind, p["throttled"]["kinds"]))
    since = when(p["throttled"]["since"])
    return say(f"{since} 起：{kinds}", f"since {since}: {kinds}")


def _age(since: str | None) -> str:
    if not since:
        return "—"
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()))
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return say(f"{days} 天 {clock}", f"{days} d {clock}") if days else clock


def _warn(config: Config) -> int:
    """Days until the region's own certificate expires; says so when they are few."""
    import ssl

    der = ssl.PEM_cert_to_DER_cert(config.tls_certificate.read_text(encoding="ascii"))
    left = days_until(certificate_end(der))
    if left < WARNING_DAYS:
        note(
            f"本地区证书还有 {left} 天到期：运行 hutong card --new-certificate 并把名片交给保管人。",
            f"This region's certificate expires in {left} days: run `hutong card --new-certificate`, send the card.",
        )
    return left
