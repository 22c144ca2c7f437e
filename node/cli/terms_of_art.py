"""The API's words as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from node.cli.screen import CHINA
from node.cli.words import say
from node.web.advice import ADVICE

_WORDS_ZH = {
    "open": "正常",
    "frozen": "冻结",
    "closed": "已注销",
    "held": "冻结待答",
    "posted": "已转出",
    "voided": "已退回",
    "offered": "已到达",
    "in_review": "待审核",
    "accepted": "已接受",
    "refused": "已拒绝",
    "outgoing": "转出",
    "incoming": "转入",
    "award": "发放",
    "spend": "兑换",
    "expiry": "到期",
    "advance": "垫付",
    "repay": "归还垫付",
    "transfer_out": "转出",
    "transfer_in": "转入",
    "roaming": "异地兑换",
    "roaming_back": "异地兑换退回",
    "penalty": "扣分",
    "disputed": "异议冻结",
    "dispute_back": "异议解冻",
    "transfer": "转移",
    "authorisation": "异地兑换",
    "attestation": "证明",
    "claim": "挂账",
    "clawback": "追回",
    "asked": "已提出",
    "opened": "已受理",
    "answered": "已答辩",
    "mediation": "调解中",
    "advised": "已出具意见",
    "arbitration": "仲裁中",
    "upheld": "异议成立",
    "rejected": "异议不成立",
    "settled": "已和解",
    "concede": "承认",
    "contest": "抗辩",
    "evidence": "证据",
    "propose": "提出和解",
    "agree": "接受和解",
    "mediate": "提请调解",
    "arbitrate": "提请仲裁",
    "opinion": "调解意见",
    "uphold": "裁定成立",
    "reject": "裁定不成立",
    "award_step": "裁定部分成立",
    "withdraw": "撤回",
    "requested": "已请求",
    "authorised": "已预授权",
    "capturing": "请款中",
    "releasing": "解除中",
    "captured": "已兑换",
    "part_captured": "部分兑换",
    "released": "已解除",
    "ended": "已失效",
    "arrived": "到达待审",
    "reversal_asked": "对方请求冲正",
    "reversal_refused": "冲正被拒",
    "clawed_back": "已追回",
    "spendable": "可用",
    "provisional": "待确认",
    "expired": "已过期",
    "relocation": "转移接续",
    "guest_award": "异地奖励",
    "activity": "联合活动",
    "donation": "捐赠",
    "reversal": "冲正",
    "backfilled": "补录",
    "signed_in": "本人签到",
    "active": "正常",
    "suspended": "暂停",
    "winding_down": "退出中",
    "withdrawn": "已退出",
    "quarantined": "已隔离",
    "restored": "疑似恢复自旧备份",
    "abandoned": "备份属于已放弃的历史",
    "unused": "未启用",
}


_LEAVES = frozenset({"spend", "expiry", "transfer_out", "repay", "roaming", "penalty", "disputed", "clawback"})
"""Kinds of lines of a history that take points from the account."""


def word(code: str | None) -> str:
    """One word of the API; a dash where there is none."""
    if not code:
        return "—"
    return say(_WORDS_ZH.get(code, code), code.replace("_", " "))


def reason(code: str | None) -> str:
    """Why something was refused."""
    if not code:
        return "—"
    advice = ADVICE.get(code)
    return say(advice.title, advice.title_en) if advice is not None else code


def when(text: str | None) -> str:
    """A time of the API on the clocks of China."""
    if not text:
        return "—"
    return datetime.fromisoformat(text).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def signed(entry: Mapping[str, object]) -> str:
    """The amount of a line of history, with its sign."""
    amount = int(str(entry["amount"]))
    return f"{'-' if entry['kind'] in _LEAVES else '+'}{abs(amount):,}"
