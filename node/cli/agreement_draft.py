"""The file in which an agreement is drafted: TOML, every line explained in both languages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from node.cli.faults import Failed
from node.cli.words import say
from node.toml_file import read_toml

_HEAD = """\
# 互认协议草案：改好后运行 hutong agreement propose。 Draft of an agreement: edit it, then `hutong agreement propose`.
# 数额均为最小单位；加 # 的行不生效。 Amounts are in smallest units; lines that begin with # do not count.
"""

# In the order in which they are written: what each is, in both languages.
_WHOLE = {
    "valid_from": "生效首日（缺省为今日） first day; today if left out",
    "valid_until": "末日（缺省为不限） last day; open if left out",
    "legal_basis": "法律依据 legal basis",
    "features": "开通的功能（缺省为全部） what is switched on; everything if left out",
    "pinned_days": "换版或到期后，此前已冻结的转移仍按旧版办理的天数 days for which what was held before is honoured",
    "reversal_days": "可请求冲正的天数 days within which a transfer can be reversed",
    "dispute_days": "可提出异议的天数 days within which something can be disputed",
    "dispute_answer_days": "答辩期限（工作日） business days to answer a dispute",
    "dispute_ruling_days": "裁定期限（工作日） business days for a ruling",
    "mediator": "调解地区代码 region that mediates",
    "arbitrator": "仲裁地区代码 region that arbitrates",
    "consent_required": "是否每笔都须居民单独同意 whether every transfer names the resident's consent",
    "consent_basis": "征得同意的依据 legal basis of that consent",
    "identity_required": "是否比对两地身份 whether identities are compared",
    "their_pseudonym_key": "对方用于比对的公钥 the other region's key for comparing them",
}
_WAY = {
    "on": "是否允许这个方向 whether anything moves this way",
    "haircut": "推导比例再扣减的万分数 taken off derived rates, in 1/10000",
    "smallest": "最低转移数额 the least that may leave",
    "min_evidence": "最低佐证等级 weakest evidence: backfilled | signed_in",
    "cooling_off_hours": "外地转入的积分须静置的小时数 hours that points from elsewhere rest",
    "relocation_months": "同一居民两次转移接续的间隔月数 months between two relocations of a resident",
    "review_from": "转入达到该数额须审核（0 为不审） arriving amounts of at least this go to a clerk; 0 = none",
    "grace_days": "转入后至少有效的天数 what arrives lives at least so many days",
    "purposes": "允许的用途 what points may move for",
    "person_to_person": "是否允许转给他人 whether points may go to another person",
    "expiry": "到期规则 when they expire: keep | shorter",
    "life_days": "shorter：转入地当日发放积分的有效天数 shorter: days that points granted there live",
}
_CAPS = {
    "transfer": "单笔 one transfer",
    "resident_day": "每人每日 a resident, a day",
    "resident_month": "每人每月 a month",
    "resident_year": "每人每年 a year",
    "resident_ever": "每人累计 ever",
    "pair_day": "两地每日 all residents, a day",
    "pair_month": "两地每月 a month",
    "net_debit": "净额（冻结计入） what the source may owe, holds counted",
}
_NAMES = {"out": "转出 what goes out", "into": "转入 what comes in"}
_LISTS = {
    "ours": "我方类别：每若干标准志愿时发放多少 our categories: points given for so many reference hours",
    "theirs": "对方类别 theirs",
}


def write(peer: int, terms: Mapping[str, Any], amends: str | None = None) -> str:
    """The file for these terms, as the API shows them; what is not set stands there as a comment."""
    lines = [_HEAD, f'peer = "{peer}"  # 对方地区 the other region']
    lines.append(_line("amends", amends, "所修订的协议编号 the agreement this amends"))
    lines += [_line(name, terms.get(name), about) for name, about in _WHOLE.items()]
    for name, about in _LISTS.items():
        for category in terms.get(name, ()):
            lines += ["", f"[[{name}]]  # {about}", *(_line(k, category.get(k)) for k in ("code", "points", "hours"))]
    for name, about in _NAMES.items():
        lines += _way(name, about, terms.get(name, {}))
    return "\n".join(lines) + "\n"


def _way(name: str, about: str, way: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"[{name}]  # {about}")
    for key, what in _WAY.items():
        yield _line(key, way.get(key), what)
    yield from ("", f"[{name}.caps]  # 上限（不写为不限） at most; without a line: no bound")
    caps = way.get("caps") or {}
    for key, what in _CAPS.items():
        yield _line(key, caps.get(key), what)
    for rate in way.get("rates", ()):
        yield from ("", f"[[{name}.rates]]  # 类别对照与比例；不写 rate 则按两地公布值推导 without a rate: derived")
        yield from (_line("category", rate["category"]), _line("becomes", rate["becomes"]))
        yield _line("rate", None if rate.get("derived") else rate.get("rate"), '例如 for instance "1/2"')
    for honoured in way.get("honoured", ()):
        yield from ("", f"[[{name}.honoured]]  # 承认的证明 attested facts that are honoured")
        values = ", ".join(f"{{ there = {v['there']}, here = {v['here']} }}" for v in honoured.get("values", ()))
        yield from (_line("kind", honoured["kind"]), f"values = [{values}]")


def _line(key: str, value: object, about: str = "") -> str:
    behind = f"  # {about}" if about else ""
    if value is None or value == "":
        return f"# {key} ={behind}"
    return f"{key} = {_value(value)}{behind}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, str) and len(value) == 10 and value[4:8:3] == "--" and value.replace("-", "").isdigit():
        return value  # a date
    return json.dumps(value, ensure_ascii=False)


def first(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Terms to begin with: every category becomes its like, where both regions have it, at the derived rate."""
    shared = [c["code"] for c in ours if c["code"] in {other["code"] for other in theirs}]
    way = {
        "on": True, "haircut": 0, "smallest": 0, "min_evidence": "signed_in", "cooling_off_hours": 0,
        "relocation_months": 12, "review_from": 0, "grace_days": 30,
        "purposes": ["relocation", "guest_award", "activity", "donation"], "person_to_person": False, "expiry": "keep",
        "rates": [{"category": code, "becomes": code, "derived": True} for code in shared],
    }  # fmt: skip
    return {
        "ours": ours, "theirs": theirs, "out": way, "into": way, "pinned_days": 7, "reversal_days": 30,
        "dispute_days": 30, "dispute_answer_days": 1, "dispute_ruling_days": 5, "consent_required": False,
        "identity_required": False,
    }  # fmt: skip


def published(text: str) -> dict[str, Any]:
    """`moral=10/1` as a category with its points per hours; `moral` alone publishes nothing. Raises Failed."""
    code, given, value = text.partition("=")
    points, _, hours = value.partition("/")
    if not code or (given and not (points.isdecimal() and hours.isdecimal())):
        raise Failed(
            say(f"{text}：不是 类别=分/时", f"{text}: not CATEGORY=POINTS/HOURS"),
            say("例如 moral=10/1：每 1 标准志愿时 10 分。", "For instance moral=10/1: 10 points for 1 reference hour."),
        )
    return {"code": code, "points": int(points or 0), "hours": int(hours or 0)}


def read(path: Path) -> dict[str, Any]:
    """The fields of a draft as the API takes them: peer, amends and terms. Raises BadFile, Failed."""
    found = read_toml(path)
    peer, amends = found.pop("peer", None), found.pop("amends", None)
    if peer is None:
        raise Failed(
            say(f"{path}：没有 peer", f"{path}: there is no peer"),
            say("写上对方地区代码。", "Name the other region by its code."),
        )
    return {"peer": peer, "amends": amends, "terms": _plain(found)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
