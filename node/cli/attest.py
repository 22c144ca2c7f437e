"""`hutong attest`: what is known of residents besides points, told to other regions and recognised from them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from node.cli.account import region_code
from node.cli.api import WAIT_S, Api, new_key
from node.cli.command import HERE, Directory, command, group, replace_file
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, facts, table
from node.cli.terms_of_art import reason, when, word
from node.cli.words import say

KIND_ZH = {
    "service_hours": "服务时长",
    "star_level": "星级",
    "honour": "荣誉",
    "certificate": "证书",
    "qualification": "资格",
}
_STATE_ZH = {
    "given": "已出具",
    "withdrawn": "已撤销，待对方确认",
    "taken_back": "已撤销",
    "asked": "等待答复",
    "recognised": "已承认",
    "refused": "被拒绝",
    "unfit": "证明无效",
    "revoked": "已被对方撤销",
}
_ASKED_EVERY_S = 0.2

commands = group(
    "证明与互认：时长、星级、荣誉，不动积分", "Attest and recognise: hours, stars, honours; no points move"
)

Name = Annotated[str, typer.Argument(help=say("账户名", "Name of the account"), show_default=False)]
Kind = Annotated[str, typer.Argument(metavar="KIND", help=" | ".join(KIND_ZH), show_default=False)]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help=say("种类，可重复；默认全部", "A kind, repeatable; all by default"))
]
Words = Annotated[str, typer.Option("--words", help=say("名称，如荣誉名称", "Which of its kind: name of an honour"))]
Id = Annotated[str, typer.Argument(help=say("证明编号", "Id of the attestation"), show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", help=say("写入文件", "Where it goes"), show_default=False)]


def register(app: typer.Typer) -> None:
    """Add `attest` and its commands."""
    command(commands, "facts", "查看账户的事实与所承认的", "Show what an account is eligible by")(known)
    command(commands, "put", "登记一项事实", "Keep a fact")(put)
    command(commands, "withdraw", "撤下一项事实", "Withdraw a fact")(withdraw)
    command(commands, "share", "生成一次性共享码", "Make a code for another region to ask with, once")(share)
    command(commands, "ask", "凭共享码请原地区出具证明", "Ask the region that made a code")(ask)
    command(commands, "show", "查看一份证明", "Show an attestation")(show)
    command(commands, "revoke", "撤销本地区出具的证明", "Revoke an attestation of this region")(revoke)
    command(commands, "export", "签发可验证凭证文件", "Write a verifiable credential for a resident")(export)
    command(commands, "status", "导出凭证撤销名单", "Write the list of revoked credentials")(status)
    app.add_typer(commands, name="attest")


def known(name: Name, directory: Directory = HERE) -> Answer:
    """Own facts, and what other regions attested and this one recognises."""
    return _standing(Api(directory).get("accounts", name, "standing"))


def put(
    name: Name,
    kind: Kind,
    words: Words = "",
    value: Annotated[int, typer.Option("--value", min=0, help=say("分钟数或星级", "Minutes of service, or stars"))] = 0,
    evidence: Annotated[str, typer.Option("--evidence", help="signed_in | backfilled")] = "signed_in",
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help=say("截至日期", "True of this day"))
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DATE", help=say("失效日期", "First day it no longer holds"))
    ] = None,
    reference: Annotated[str, typer.Option("--reference", help=say("本地编号", "The region's own reference"))] = "",
    directory: Directory = HERE,
) -> Answer:
    """In place of what was known in the same words. What it takes back of what was attested is revoked."""
    kept = Api(directory).post(
        "facts", account=name, kind=kind, words=words, value=value, evidence=evidence, as_of=as_of, expires=expires,
        reference=reference,
    )  # fmt: skip
    return _kept(kept)


def withdraw(name: Name, kind: Kind, words: Words = "", directory: Directory = HERE) -> Answer:
    """Every region that was told is told that it holds no more."""
    return _kept(Api(directory).post("facts", "withdraw", account=name, kind=kind, words=words))


def share(
    name: Name,
    audience: Annotated[str, typer.Argument(metavar="REGION", help=say("对方地区代码", "The region that may ask"))],
    consent: Annotated[str, typer.Option("--consent", help=say("单独同意的编号", "Reference of the consent"))],
    minutes: Annotated[int, typer.Option("--minutes", min=1, help=say("有效分钟数", "How long it can be used"))] = 30,
    directory: Directory = HERE,
) -> Answer:
    """The resident takes code, consent and digest to the other region. The code works once."""
    made = Api(directory).post(
        "shares", account=name, audience=region_code(audience), consent=consent, minutes=minutes
    )  # fmt: skip
    then = f"hutong attest ask ACCOUNT {made['code']} --consent {made['consent']} --digest {made['consent_digest']}"
    shown: list[RenderableType] = [
        facts(
            [
                (say("共享码", "Code"), made["code"]),
                (say("同意", "Consent"), made["consent"]),
                (say("摘要", "Digest"), made["consent_digest"]),
                (say("有效至", "Until"), when(made["expires"])),
            ]
        ),
        say(f"对方地区运行：{then}", f"There: {then}"),
    ]
    return Answer(value=made, shown=shown)


def ask(
    name: Name,
    code: Annotated[str, typer.Argument(help=say("居民出示的共享码", "The code the resident shows"))],
    consent: Annotated[str, typer.Option("--consent", help=say("随码的同意编号", "As it came with the code"))],
    digest: Annotated[str, typer.Option("--digest", help=say("随码的摘要", "As it came with the code"))],
    kind: Kinds = None,
    key: Annotated[str | None, typer.Option("--key", help=say("幂等键；重试时用同一个", "Idempotency key"))] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help=say("等待秒数", "Seconds to wait"))] = 10.0,
    directory: Directory = HERE,
) -> Answer:
    """What is attested is recognised by the agreement, for this account."""
    api = Api(directory)
    asked = api.post(
        "attestations", account=name, code=code, consent=consent, consent_digest=digest, kinds=kind or None,
        key=key or new_key(),
    )  # fmt: skip
    until = time.monotonic() + min(wait, WAIT_S)
    while True:
        found = [a for a in api.get("attestations", asked["id"])["attestations"] if not a["given"]]
        if found[0]["state"] != "asked" or time.monotonic() >= until:
            break
        time.sleep(_ASKED_EVERY_S)
    answer = _attestations(found)
    if found[0]["state"] == "recognised":
        standing = _standing(api.get("accounts", name, "standing"))
        return Answer(value={**answer.value, "standing": standing.value}, shown=[*answer.shown, *standing.shown])
    code_ = Exit.OK if found[0]["state"] == "asked" else Exit.REFUSED
    return Answer(value=answer.value, shown=answer.shown, code=code_)


def show(id_: Id, directory: Directory = HERE) -> Answer:
    """Given by this region, or asked of another."""
    return _attestations(Api(directory).get("attestations", id_)["attestations"])


def revoke(
    id_: Id,
    peer: Annotated[
        str | None,
        typer.Option("--peer", metavar="CODE", help=say("给予的地区；凭证不填", "To whom; none: a credential")),
    ] = None,
    because: Annotated[str, typer.Option("--because", help="mistake | consent | corrected | withdrawn")] = "mistake",
    directory: Directory = HERE,
) -> Answer:
    """The region that got it takes back what it recognised; a credential is put on the status list."""
    ended = Api(directory).post(
        "attestations", id_, "revoke", peer=region_code(peer) if peer else None, because=because
    )  # fmt: skip
    shown = [facts([(say("证明", "Attestation"), ended["id"]), (say("状态", "State"), _state(ended["state"]))])]
    return Answer(value=ended, shown=shown)


def export(
    name: Name,
    out: Out = None,
    kind: Kinds = None,
    rosters: Annotated[
        Path | None, typer.Option("--rosters", help=say("另存名册，供核验", "Write the rosters too, for checking it"))
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """A W3C Verifiable Credential (vc+jwt): anybody who knows the federation's id can check it offline."""
    api = Api(directory)
    made = api.post("credentials", account=name, kinds=kind or None)
    target = out or Path(f"credential-{made['id']}.jwt")
    _write(target, made["credential"])
    if rosters is not None:
        _write(rosters, _rosters(api))
    check = f"python -m gateway verify {target} --roster {rosters or 'ROSTERS.json'}"
    shown: list[RenderableType] = [
        facts(
            [
                (say("凭证", "Credential"), target),
                (say("编号", "Id"), made["id"]),
                (say("失效", "Expires"), made["expires"] or "—"),
            ]
        ),
        say("任何人可离线核验：", "Anybody checks it offline:") + f" {check}",
    ]
    return Answer(value={**made, "file": str(target.absolute())}, shown=shown)


def status(out: Out = None, directory: Directory = HERE) -> Answer:
    """Publish it where those who check credentials of this region find it; it holds for a week."""
    made = Api(directory).get("credentials", "status")
    target = out or Path("status-list.jwt")
    _write(target, made["credential"])
    shown = [facts([(say("撤销名单", "Status list"), target)])]
    return Answer(value={"file": str(target.absolute())}, shown=shown)


def _write(path: Path, content: str) -> None:
    if path.exists():
        raise Failed(
            say(f"{path} 已存在，未作改动", f"{path} exists already; nothing was changed"),
            say("另取文件名。", "Choose another name."),
        )
    replace_file(path, content.rstrip() + "\n")


def _rosters(api: Api) -> str:
    from gateway.protocol import documents
    from node.services.forks.evidence import rosters
    from node.store.engine import open_store

    store = open_store(api.config.database)
    try:
        with store.read() as conn:
            return documents.write(tuple(rosters(conn)))
    finally:
        store.close()


def _kept(kept: dict[str, Any]) -> Answer:
    shown = [
        facts(
            [
                (say("账户", "Account"), kept["account"]),
                (say("事实", "Fact"), f"{_kind(kept['kind'])} {kept['words']}".strip()),
                (say("值", "Value"), _value(kept["kind"], kept["value"])),
                (say("状态", "State"), say("已撤下", "withdrawn") if kept["withdrawn"] else say("有效", "known")),
                (say("因此撤销的证明", "Attestations revoked"), kept["revoked"]),
            ]
        )
    ]
    return Answer(value=kept, shown=shown)


def _standing(found: dict[str, Any]) -> Answer:
    own = [
        [_kind(f["kind"]), f["words"], _value(f["kind"], f["value"]), word(f["evidence"]), f["as_of"] or "—",
         f["expires"] or "—", _yes(f["holds"])]
        for f in found["own"]
    ]  # fmt: skip
    recognised = [
        [_kind(r["kind"]), r["words"], _value(r["kind"], r["value"]), str(r["peer"]), _value(r["kind"], r["there"]),
         r["expires"] or "—", _yes(r["holds"])]
        for r in found["recognised"]
    ]  # fmt: skip
    kind, words, value = say("种类", "Kind"), say("名称", "Words"), say("值", "Value")
    expires, holds = say("失效", "Expires"), say("有效", "Holds")
    shown: list[RenderableType] = [
        table(
            say("本地区的事实", "Facts of this region"),
            [kind, words, value, say("证据", "Evidence"), say("截至", "As of"), expires, holds], own,
        ),
        table(
            say("由其他地区证明，本地区承认", "Recognised from other regions"),
            [kind, words, say("在本地", "Here"), say("出具地", "By"), say("在当地", "There"), expires, holds],
            recognised,
        ),
    ]  # fmt: skip
    return Answer(value=found, shown=shown)


def _attestations(found: list[dict[str, Any]]) -> Answer:
    rows = [
        [a["id"], say("出具", "given") if a["given"] else say("请求", "asked"), a["peer"] or say("任何人", "anybody"),
         a["account"], _state(a["state"]), reason(a["reason"]), a["expires"] or "—", when(a["at"])]
        for a in found
    ]  # fmt: skip
    columns = [
        say("编号", "Id"), say("方向", "Way"), say("对方", "Region"), say("账户", "Account"), say("状态", "State"),
        say("原因", "Reason"), say("失效", "Expires"), say("时间", "Time"),
    ]  # fmt: skip
    told = [
        [_kind(f["kind"]), f["words"], _value(f["kind"], f["value"]), word(f["evidence"]), f["as_of"] or "—",
         _yes(f["holds"])]
        for a in found for f in a["facts"]
    ]  # fmt: skip
    about = [
        say("种类", "Kind"), say("名称", "Words"), say("值", "Value"), say("证据", "Evidence"), say("截至", "As of"),
        say("有效", "Holds"),
    ]  # fmt: skip
    shown = [table(say("证明", "Attestations"), columns, rows)]
    return Answer(
        value={"attestations": found}, shown=[*shown, *([table(say("内容", "Facts"), about, told)] if told else [])]
    )


def _kind(code: str) -> str:
    return say(KIND_ZH.get(code, code), code.replace("_", " "))


def _state(code: str) -> str:
    return say(_STATE_ZH.get(code, code), code.replace("_", " "))


def _value(kind: str, value: int) -> str:
    return f"{value / 60:g} h" if kind == "service_hours" else str(value) if value else "—"


def _yes(holds: bool) -> str:
    return "✓" if holds else "✗"
