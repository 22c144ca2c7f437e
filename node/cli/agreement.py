"""`hutong agreement`: what two regions recognise of each other (互认), from the draft to the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli import agreement_draft as drafts
from node.cli.account import region_code
from node.cli.api import Api, new_key
from node.cli.command import HERE, Directory, command, group, replace_file
from node.cli.faults import Failed
from node.cli.screen import Answer, facts, table
from node.cli.terms_of_art import reason, word
from node.cli.words import say

commands = group("互认协议：两地各两人签署后生效", "Agreements: in force once two people of both regions have signed")

Which = Annotated[
    str,
    typer.Argument(
        metavar="AGREEMENT",
        help=say("协议编号，或文书摘要（可只写开头）", "Its id, or the digest of a version; the beginning will do"),
        show_default=False,
    ),
]
By = Annotated[str, typer.Option("--by", help=say("经办人", "Who decided it"), show_default=False)]
CheckedBy = Annotated[str, typer.Option("--checked-by", help=say("复核人", "Who checked it"), show_default=False)]
From = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help=say("自何日起，缺省为今日", "From which date on; today"))
]
Because = Annotated[str, typer.Option("--because", help=say("缘由", "Why"))]
Wait = Annotated[
    float,
    typer.Option("--wait", min=0, help=say("等待送达对方的秒数", "Seconds to wait until the other region has it")),
]
Key = Annotated[str | None, typer.Option("--key", help=say("幂等键；重试时用同一个", "Idempotency key"))]
_STATE_ZH = {
    "proposed": "待签署", "refused": "未成立", "agreed": "已签署，未到生效日", "in_force": "生效", "suspended": "暂停",
    "terminating": "终止收尾", "replaced": "已由新版取代", "ended": "已结束",
}  # fmt: skip
_SAYS_ZH = {"suspend": "暂停", "resume": "恢复", "terminate": "终止"}


def register(app: typer.Typer) -> None:
    """Add `agreement` with its commands."""
    command(commands, "draft", "生成协议草案文件", "Write a draft to edit")(draft)
    command(commands, "propose", "签署并发给对方（两人）", "Sign a draft and send it to the other region")(propose)
    command(commands, "list", "协议列表", "All agreements")(listing)
    command(commands, "show", "协议内容，以及不宜签署的理由", "What it says, and what speaks against signing it")(show)
    command(commands, "countersign", "会签对方提出的协议（两人）", "Sign what the other region proposes")(countersign)
    command(commands, "decline", "谢绝对方提出的协议", "Decline what the other region proposes")(decline)
    command(commands, "suspend", "暂停（两人）", "Suspend")(suspend)
    command(commands, "resume", "恢复（两人）", "Resume")(resume)
    command(commands, "terminate", "终止，并约定收尾期（两人）", "End it, with a wind-down")(terminate)
    app.add_typer(commands, name="agreement")


def draft(
    peer: Annotated[str, typer.Argument(metavar="CODE", help=say("对方地区", "The other region"))],
    ours: Annotated[
        list[str] | None,
        typer.Option("--ours", metavar="CATEGORY=POINTS/HOURS", help=say("我方公布值", "What we publish")),
    ] = None,
    theirs: Annotated[
        list[str] | None,
        typer.Option("--theirs", metavar="CATEGORY=POINTS/HOURS", help=say("对方公布值", "What they publish")),
    ] = None,
    amends: Annotated[
        str, typer.Option("--amends", metavar="AGREEMENT", help=say("以现行协议为底稿修订", "Begin with one in force"))
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help=say("草案文件", "Where it goes"), show_default=False)
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """Rates follow from what both publish per reference hour, unless a rate is written into the draft."""
    code, target = region_code(peer), out or Path(f"agreement-{peer}.toml")
    if target.exists():
        raise Failed(
            say(f"{target} 已存在，未作改动", f"{target} exists already; nothing was changed"),
            say("用 --out 另取文件名。", "Choose another name with --out."),
        )
    if amends:
        found = _find(Api(directory), amends)
        terms = {**found["terms"], "valid_from": None}
        text = drafts.write(int(code), terms, found["id"])
    else:
        if not ours or not theirs:
            raise Failed(
                say("缺少 --ours 或 --theirs", "--ours or --theirs is missing"),
                say("例如 --ours moral=10/1 --theirs moral=1/1", "For instance --ours moral=10/1 --theirs moral=1/1"),
            )
        given = [drafts.published(text) for text in ours], [drafts.published(text) for text in theirs]
        text = drafts.write(int(code), drafts.first(*given))
    replace_file(target, text)
    then = say(
        f"改好后运行：hutong agreement propose {target} --by 经办人 --checked-by 复核人",
        f"Edit it, then: hutong agreement propose {target} --by NAME --checked-by NAME",
    )
    return Answer(value={"file": str(target.absolute())}, shown=[str(target), then])


def propose(
    file: Annotated[Path, typer.Argument(help=say("草案文件", "The draft"), show_default=False)],
    by: By,
    checked_by: CheckedBy,
    key: Key = None,
    wait: Wait = 10.0,
    directory: Directory = HERE,
) -> Answer:
    """Refused before anybody signs where a rule is broken or points would multiply; the cycle is shown."""
    body, used = drafts.read(file), key or new_key()
    body["peer"] = region_code(str(body["peer"]))
    api = Api(directory)
    proposed = api.post("agreements", **body, by=by, checked_by=checked_by, key=used)
    return _delivered(_one(proposed, key=used), api, proposed["peer"], wait)


def listing(
    peer: Annotated[str | None, typer.Option("--peer", metavar="CODE", help=say("对方地区", "Only with one"))] = None,
    everything: Annotated[bool, typer.Option("--all", help=say("含已结束的", "Also what is over"))] = False,
    directory: Directory = HERE,
) -> Answer:
    """Those that are open or in force, unless --all."""
    code = region_code(peer) if peer is not None else None
    found = Api(directory).get("agreements", peer=code, all="true" if everything else None)
    rows = [
        [
            a["id"], a["version"], str(a["peer"]), say(_STATE_ZH[a["state"]], word(a["state"])), _dates(a), _rates(a),
            a["digest"][:16],
        ]
        for a in found["agreements"]
    ]  # fmt: skip
    columns = [
        say("协议", "Agreement"), say("版本", "Version"), say("对方", "With"), say("状态", "State"),
        say("期限", "Dates"), say("转出比例", "Rates out"), say("摘要", "Digest"),
    ]  # fmt: skip
    shown = [table(say("互认协议", "Agreements"), columns, rows)] if rows else [say("没有协议。", "There are none.")]
    return Answer(value=found, shown=shown)


def show(
    which: Which,
    out: Annotated[
        Path | None, typer.Option("--out", help=say("另存签署文书", "Save the signed document"), show_default=False)
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """The newest version of an agreement, or the version with this digest."""
    api = Api(directory)
    found = api.get("agreements", _find(api, which)["digest"])
    if out is not None:
        replace_file(out, found["file"])
    answer = _one(found["agreement"])
    more: list[Any] = []
    if found["objection"]:
        text = reason(found["objection"])
        detail = f"：{found['objection_detail']}" if found["objection_detail"] else ""
        more.append(say(f"不宜签署：{text}{detail}", f"Speaks against signing: {text}{detail.replace('：', ': ')}"))
    for n in found["notices"]:
        what = say(_SAYS_ZH[n["says"]], n["says"])
        no = say("（对方不予承认）", " (refused)") if n["refused"] else ""
        more.append(f"{n['effective']}  {n['by']}  {what}{no}  {n['because']}")
    if out is not None:
        more.append(say(f"已存 {out}", f"Saved as {out}"))
    return Answer(value=found, shown=[*answer.shown, *more])


def countersign(
    which: Which, by: By, checked_by: CheckedBy, wait: Wait = 10.0, directory: Directory = HERE
) -> Answer:  # fmt: skip
    """From now on it is agreed; whatever speaks against it is said, and nothing is signed."""
    api = Api(directory)
    found = _find(api, which, state="proposed")
    signed = api.post("agreements", found["digest"], "countersign", by=by, checked_by=checked_by)
    return _delivered(_one(signed), api, signed["peer"], wait)


def decline(which: Which, by: By, directory: Directory = HERE) -> Answer:
    """The other region is told that it will not be signed."""
    api = Api(directory)
    return _one(api.post("agreements", _find(api, which, state="proposed")["digest"], "decline", by=by))


def suspend(
    which: Which, by: By, checked_by: CheckedBy, effective: From = None, because: Because = "", key: Key = None,
    directory: Directory = HERE,
) -> Answer:  # fmt: skip
    """Nothing new moves, and offers that cross it are refused, until this region resumes."""
    return _say(directory, which, "suspend", key, by=by, checked_by=checked_by, effective=effective, because=because)


def resume(
    which: Which, by: By, checked_by: CheckedBy, effective: From = None, because: Because = "", key: Key = None,
    directory: Directory = HERE,
) -> Answer:  # fmt: skip
    """What this region has suspended."""
    return _say(directory, which, "resume", key, by=by, checked_by=checked_by, effective=effective, because=because)


def terminate(
    which: Which,
    by: By,
    checked_by: CheckedBy,
    effective: From = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help=say("收尾期末日", "Last day on which what is held finishes")),
    ] = None,
    because: Because = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """Nothing new moves from the date on; what is held then finishes until the end of the wind-down."""
    return _say(
        directory, which, "terminate", key, by=by, checked_by=checked_by, effective=effective, because=because,
        wind_down_until=until,
    )  # fmt: skip


def _say(directory: Path, which: str, what: str, key: str | None, **body: object) -> Answer:
    api, used = Api(directory), key or new_key()
    return _one(api.post("agreements", _find(api, which)["id"], what, **body, key=used), key=used)


def _delivered(answer: Answer, api: Api, peer: int, wait: float) -> Answer:
    """The answer, when the other region has what was said, or with a line that says that it has not."""
    until = time.monotonic() + wait
    while True:
        if not any(p["backlog"] for p in api.get("peers")["peers"] if p["code"] == peer):
            return answer
        if time.monotonic() >= until:
            break
        time.sleep(0.1)
    waits = say(
        f"{peer} 尚未收到，接通后自动送达。", f"{peer} has not received it yet; it is sent as soon as it can be."
    )
    return replace(answer, shown=[*answer.shown, waits])


def _find(api: Api, which: str, state: str | None = None) -> dict[str, Any]:
    """The newest version that is named so; with a state, the newest in it. Raises Failed."""
    listed = api.get("agreements", all="true")["agreements"]
    named = [a for a in listed if which and (a["digest"].startswith(which) or a["id"].startswith(which))]
    fitting = [a for a in named if state in (None, a["state"])] or named
    if len({a["id"] for a in fitting}) > 1:
        raise Failed(
            say(f"{which}：不止一个协议", f"{which}: more than one agreement"),
            say("多写几位。", "Write more of it."),
        )
    if not fitting:
        raise Failed(
            say(f"没有协议 {which}", f"no agreement {which}"),
            say("用 hutong agreement list --all 查看。", "See them with `hutong agreement list --all`."),
        )
    over = ("refused", "replaced", "ended")
    found: dict[str, Any] = max(fitting, key=lambda a: (a["state"] not in over, a["version"]))
    return found


def _dates(a: Mapping[str, Any]) -> str:
    return f"{a['valid_from']} – {a['valid_until'] or ''}".strip()


def _rates(a: Mapping[str, Any], way: str = "out") -> str:
    terms = a["terms"][way]
    if not terms["on"]:
        return say("不开放", "closed")
    return "\n".join(f"{r['category']} → {r['becomes']} {r['rate']}" for r in terms["rates"])


def _one(a: Mapping[str, Any], *, key: str = "") -> Answer:
    caps = "\n".join(f"{name} {value:,}" for name, value in a["terms"]["out"]["caps"].items() if value is not None)
    pairs = [
        (say("协议", "Agreement"), a["id"]),
        (say("版本", "Version"), a["version"]),
        (say("文书摘要", "Digest"), a["digest"]),
        (say("对方", "With"), str(a["peer"])),
        (say("提出方", "Proposed by"), str(a["proposer"])),
        (say("状态", "State"), say(_STATE_ZH[a["state"]], word(a["state"]))),
        *([(say("原因", "Reason"), reason(a["reason"]))] if a["reason"] else []),
        (say("期限", "Dates"), _dates(a)),
        (say("转出", "Out"), _rates(a)),
        (say("转入", "In"), _rates(a, "into")),
        (say("转出上限", "Caps out"), caps or "—"),
        *([(say("键", "Key"), key)] if key else []),
    ]
    return Answer(value={**a, **({"key": key} if key else {})}, shown=[facts(pairs)])
