"""`hutong dispute`: what this region and another both hold and one of them calls wrong (异议)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.account import region_code
from node.cli.api import Api, new_key
from node.cli.command import HERE, Directory, command, group, replace_file
from node.cli.faults import Exit, Failed
from node.cli.screen import Answer, facts, table
from node.cli.terms_of_art import reason, when, word
from node.cli.words import say

commands = group("异议：双方冻结所指事项，逐步签署", "Disputes: both sides freeze what is named, and sign every step")

_OUTCOMES = {"upheld": "uphold", "rejected": "reject"}
_TO = {"mediator": "mediate", "arbitrator": "arbitrate"}

Id = Annotated[str, typer.Argument(help=say("异议编号", "Id of the dispute"), show_default=False)]
Key = Annotated[str | None, typer.Option("--key", help=say("幂等键；重试时用同一个", "Idempotency key"))]
Reference = Annotated[
    str, typer.Option("--reference", help=say("案卷号等，不含个人信息", "Where it is filed; no personal data"))
]


def register(app: typer.Typer) -> None:
    """Add `dispute` with its commands."""
    command(commands, "open", "提出异议", "Dispute something")(open_)
    command(commands, "show", "一项异议及其步骤", "One dispute with its steps")(show)
    command(commands, "list", "异议列表", "All disputes")(listing)
    command(commands, "answer", "答辩：承认或抗辩", "Answer: concede or contest")(answer)
    command(commands, "evidence", "出示证据（哈希与出处）", "Show evidence: its hash, and where it is")(evidence)
    command(commands, "settle", "提出和解数额", "Propose to settle for an amount")(settle)
    command(commands, "accept", "接受对方的和解", "Accept the other party's proposal")(accept)
    command(commands, "escalate", "提请调解或仲裁", "Ask the mediator or the arbitrator")(escalate)
    command(commands, "opinion", "调解方：出具意见", "As mediator: give an opinion")(opinion)
    command(commands, "rule", "仲裁方：作出裁定", "As arbitrator: rule")(rule)
    command(commands, "withdraw", "撤回异议", "Withdraw")(withdraw)
    command(commands, "carry", "转交第三方签署的文件", "Carry a step that a third region signed as a file")(carry)
    app.add_typer(commands, name="dispute")


def open_(
    peer: Annotated[str, typer.Argument(help=say("对方地区", "The other region"))],
    matter: Annotated[str, typer.Argument(metavar="transfer|authorisation|attestation|claim|clawback")],
    about: Annotated[str, typer.Argument(metavar="ID", help=say("所指事项的编号", "The id of what is disputed"))],
    amount: Annotated[str | None, typer.Option("--amount", help=say("数额，缺省为全部", "How much; all"))] = None,
    region: Annotated[str | None, typer.Option("--region", help=say("属于哪个地区", "Whose it is, if unclear"))] = None,
    cause: Annotated[str | None, typer.Option("--cause", help=say("挂账的缘由", "Of a claim: its cause"))] = None,
    reference: Reference = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """What is unspent of a disputed transfer cannot be spent until that is decided."""
    body = {
        "peer": region_code(peer), "matter": matter, "id": about, "amount": amount, "cause": cause,
        "region": region_code(region) if region is not None else None, "reference": reference,
    }  # fmt: skip
    return _done(Api(directory), ("disputes",), body, key)


def answer(
    dispute: Id,
    what: Annotated[str, typer.Argument(metavar="concede|contest", help=say("承认或抗辩", "Concede or contest"))],
    reference: Reference = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """Of the respondent. Not to answer concedes nothing: it lets the claimant go on."""
    if what not in ("concede", "contest"):
        raise _usage("concede | contest")
    return _say(directory, dispute, what, key, reference=reference)


def evidence(
    dispute: Id,
    file: Annotated[Path, typer.Argument(help=say("证据文件：只发送其哈希", "The file: only its hash is sent"))],
    reference: Reference = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """The file itself stays here; whoever is shown it compares the hash."""
    try:
        digest = sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise Failed(
            say(f"无法读取 {file}", f"{file} cannot be read"),
            say("检查文件名与权限。", "Check its name and permissions."),
        ) from error
    return _say(directory, dispute, "evidence", key, evidence=digest, reference=reference or file.name)


def settle(
    dispute: Id,
    amount: Annotated[str, typer.Argument(help=say("和解数额", "For how much"))],
    reference: Reference = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """In units of what is disputed: so much the claimant is right about."""
    return _say(directory, dispute, "propose", key, amount=amount, reference=reference)


def accept(dispute: Id, key: Key = None, directory: Directory = HERE) -> Answer:
    """Ends it for the amount that was proposed last."""
    return _say(directory, dispute, "agree", key)


def escalate(
    dispute: Id,
    to: Annotated[str, typer.Argument(metavar="mediator|arbitrator", help=say("提请哪一方", "Whom to ask"))],
    reference: Reference = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """The third region gets the whole chain of steps."""
    if to not in _TO:
        raise _usage("mediator | arbitrator")
    return _say(directory, dispute, _TO[to], key, reference=reference)


def opinion(
    dispute: Id,
    amount: Annotated[str, typer.Argument(help=say("建议的和解数额，可为 0", "What it should be settled for; 0 too"))],
    reference: Reference = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """It binds nobody; either party may go on to the arbitrator."""
    return _say(directory, dispute, "opinion", key, amount=amount, reference=reference)


def rule(
    dispute: Id,
    outcome: Annotated[
        str, typer.Argument(metavar="upheld|rejected|AMOUNT", help=say("裁定，或部分成立的数额", "Or an amount"))
    ],
    reference: Reference = "",
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """Both parties get it; the first to carry it to the other makes it count."""
    if outcome in _OUTCOMES:
        return _say(directory, dispute, _OUTCOMES[outcome], key, reference=reference)
    if not outcome.isdecimal():
        raise _usage("upheld | rejected | 40")
    return _say(directory, dispute, "award", key, amount=outcome, reference=reference)


def withdraw(dispute: Id, reference: Reference = "", key: Key = None, directory: Directory = HERE) -> Answer:
    """Of the claimant: everything is as if it had not been disputed."""
    return _say(directory, dispute, "withdraw", key, reference=reference)


def carry(
    file: Annotated[Path, typer.Argument(help=say("第三方签署的文件", "What the third region signed"))],
    key: Key = None,
    directory: Directory = HERE,
) -> Answer:
    """Where there is no channel with the third region."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(
            say(f"无法读取 {file}", f"{file} cannot be read"),
            say("请第三方重新发送文件。", "Ask the third region for the file again."),
        ) from error
    return _done(Api(directory), ("dispute-steps",), {"file": text}, key)


def show(
    dispute: Id,
    out: Annotated[
        Path | None, typer.Option("--out", help=say("把最新一步另存为文件", "Save the newest step as a file"))
    ] = None,
    directory: Directory = HERE,
) -> Answer:
    """With every signed step."""
    found = Api(directory).get("disputes", dispute)
    if out is not None and found["chain"]:
        replace_file(out, found["chain"][-1]["file"])
    pairs = [
        *_facts(found["dispute"]),
        (say("调解方 / 仲裁方", "Mediator / arbitrator"), f"{found['mediator'] or '—'} / {found['arbitrator'] or '—'}"),
        *(
            [(say("提出和解", "Proposed"), f"{found['proposed']:,} ({found['proposed_by']})")]
            if found["proposed"]
            else []
        ),
        *([(say("调解意见", "Opinion"), f"{found['opinion']:,}")] if found["opinion"] is not None else []),
    ]
    rows = [
        [
            s["number"], s["date"] or "—", str(s["by"]), word("award_step" if s["act"] == "award" else s["act"]),
            f"{s['amount']:,}" if s["amount"] else "", (s["evidence"] or "")[:12], s["reference"],
        ]
        for s in found["chain"]
    ]  # fmt: skip
    columns = ["#", say("日期", "Date"), say("地区", "By"), say("行为", "Act"), say("数额", "Amount"),
               say("证据", "Evidence"), say("出处", "Reference")]  # fmt: skip
    shown = [facts(pairs), *([table(say("步骤", "Steps"), columns, rows)] if rows else [])]
    return Answer(value=found, shown=shown)


def listing(
    peer: Annotated[str | None, typer.Option("--peer", help=say("地区代码", "A region"))] = None,
    open_only: Annotated[bool, typer.Option("--open", help=say("仅未决", "Only those not decided"))] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=say("条数", "How many"))] = 100,
    directory: Directory = HERE,
) -> Answer:
    """Oldest first."""
    where = region_code(peer) if peer is not None else None
    found = Api(directory).get("disputes", peer=where, open="true" if open_only else None, limit=limit)
    rows = [
        [
            d["id"], f"{d['claimant']} → {d['respondent']}", word(d["matter"]), d["about"], _amount(d),
            word(d["state"]), d["deadline"] or "—", word(d["waiting"]),
        ]
        for d in found["disputes"]
    ]  # fmt: skip
    columns = ["ID", say("提出方 → 对方", "Claimant → respondent"), say("事项", "Matter"), say("编号", "About"),
               say("数额", "Amount"), say("状态", "State"), say("期限", "Deadline"),
               say("待对方答复", "Waiting")]  # fmt: skip
    none = say("没有异议。", "There are no disputes.")
    return Answer(value=found, shown=[table(say("异议", "Disputes"), columns, rows) if rows else none])


def _say(directory: Path, dispute: str, act: str, key: str | None, **body: object) -> Answer:
    return _done(Api(directory), ("disputes", dispute, "steps"), {"act": act, **body}, key)


def _done(api: Api, path: tuple[str, ...], body: Mapping[str, object], key: str | None) -> Answer:
    used = key or new_key()
    try:
        found = api.post(*path, **body, key=used)
    except Failed as failure:
        if failure.code is Exit.UNAVAILABLE:
            again = say(f"恢复后加 --key {used} 重试。", f"Try again with --key {used}: it is done once.")
            raise Failed(failure.what, again, failure.code, failure.name) from failure
        raise
    pairs = [*_facts(found), (say("键", "Key"), used)]
    return Answer(value={**found, "key": used}, shown=[facts(pairs)])


def _facts(d: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        (say("异议", "Dispute"), d["id"]),
        (say("状态", "State"), word(d["state"])),
        (say("提出方 → 对方", "Claimant → respondent"), f"{d['claimant']} → {d['respondent']}"),
        (say("事项", "About"), f"{word(d['matter'])} {d['about']} ({d['region']})"),
        (say("数额", "Amount"), _amount(d)),
        *([(say("认定数额", "Settled"), f"{d['settled']:,}")] if d["settled"] else []),
        (say("期限", "Deadline"), d["deadline"] or "—"),
        *([(say("待对方答复", "Waiting for the answer to"), word(d["waiting"]))] if d["waiting"] else []),
        *([(say("原因", "Reason"), reason(d["reason"]))] if d["reason"] else []),
        (say("提出", "Opened"), when(d["at"])),
        *([(say("终结", "Ended"), when(d["ended"]))] if d["ended"] else []),
    ]


def _amount(d: Mapping[str, Any]) -> str:
    return f"{d['amount']:,} {d['category']}" if d["amount"] else "—"


def _usage(what: str) -> Failed:
    return Failed(
        say(f"应为 {what}", f"one of {what} was expected"),
        say("见 hutong dispute --help。", "See hutong dispute --help."),
    )
