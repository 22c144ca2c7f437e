"""What an examination of a region has found: check by check, what was counted and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMES = {
    "rosters": ("成员名册自第一版起逐版可信", "the rosters follow from version 1"),
    "segments": ("各日志的分段首尾相接", "the segments of every log follow one another without a gap"),
    "roots": ("各日志的报文导出所存的根", "the frames of every log lead to its stored roots"),
    "nodes": ("所存的子树与报文一致", "the stored subtrees are those of the frames"),
    "bodies": ("正文与承诺一致（已删除的除外）", "bodies are those the frames commit to, where not erased"),
    "heads": ("收到的日志头均由来源地区签署", "the sources of the logs received signed their heads"),
    "receipts": ("收据与日志一致，对方的收据签名有效", "receipts fit the logs, and the peers signed theirs"),
    "channels": ("通道状态与日志一致", "the state of every channel follows from its logs"),
    "journal": ("流水可读且编号连贯", "the journal can be read and its numbers are sound"),
    "heard": ("收到的每条报文恰好处理一次", "every frame received was decided exactly once, in order"),
    "said": ("发出的报文均为流水所决定", "what was said is what the journal decided, in order"),
    "outbox": ("待发报文均为流水所决定", "what waits to be said is what the journal decided"),
    "accounts": ("账户由流水重新推出", "accounts and their balances follow from the journal"),
    "postings": ("每笔分录由流水重新推出", "every posting follows from journal and logs"),
    "lot_entries": ("每笔批次进出由流水重新推出", "what every posting took from which lot follows from the journal"),
    "lots": ("批次的授予与余量由流水重新推出", "lots, granted and remaining, follow from journal and logs"),
    "counters": ("余额的四个计数由流水重新推出", "the four counters of every balance follow from journal and logs"),
    "transfers": ("转移的状态由日志重新推出", "transfers and their states follow from journal and logs"),
    "authorisations": (
        "异地兑换的状态由日志重新推出",
        "purchases away from home follow from the logs",
    ),
    "owed": ("垫付未还的余额由流水重新推出", "what the region advanced and did not get back follows from the journal"),
    "claims": ("挂账由流水重新推出", "claims follow from the journal"),
    "attestations": ("出具与承认的证明由日志重新推出", "what was attested and recognised follows from the logs"),
    "disputes": ("异议的状态由其签名步骤推出", "disputes stand as their signed steps say"),
    "agreements": ("协议由双方日志重新推出", "agreements follow from what both logs say"),
    "usage": ("各方向的净额等于转移之和", "what is owed each way is what the transfers add up to"),
    "lot_sums": ("批次之和等于余额", "the lots of a balance sum to what it has"),
    "not_negative": ("没有负数", "nothing is negative"),
    "one_category": ("分录两边同属一个类别", "both legs of every posting are of one category"),
    "conservation": (
        "守恒：授予 = 居民 + 已用 + 过期 + 追回 + 往来 - 垫付",
        "issued = residents + redeemed + breakage + clawed back + clearing - advanced",
    ),
}
"""Every check, in the order in which they are reported: Chinese and English names."""

SHOWN = 5
"""So many faults of one check are described; the rest are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that must hold, whether it does, and how many things were looked at."""

    code: str  # stable, for programs
    zh: str
    en: str
    ok: bool
    counted: int
    detail: str = ""  # where it fails, what was found


class Findings:
    """Collects what is counted and what is wrong, by check."""

    def __init__(self) -> None:
        self._counted = dict.fromkeys(NAMES, 0)
        self._notes: dict[str, list[str]] = {}
        self._faults: dict[str, list[str]] = {code: [] for code in NAMES}
        self._failed = dict.fromkeys(NAMES, 0)

    def count(self, code: str, by: int = 1) -> None:
        """So many more were looked at."""
        self._counted[code] += by

    def counted(self, code: str) -> int:
        """How many were looked at so far."""
        return self._counted[code]

    def note(self, code: str, text: str) -> None:
        """Something worth saying that is no fault."""
        self._notes.setdefault(code, []).append(text)

    def fault(self, code: str, detail: str) -> None:
        """Something is wrong."""
        self._failed[code] += 1
        if len(self._faults[code]) < SHOWN:
            self._faults[code].append(detail)

    def equal(self, code: str, what: str, stored: object, derived: object) -> None:
        """One comparison."""
        self._counted[code] += 1
        if stored != derived:
            self.fault(code, f"{what}: {_shown(stored)} is stored, {_shown(derived)} follows")

    def checks(self) -> list[Check]:
        """Every check, in order."""
        return [self._check(code) for code in NAMES]

    def _check(self, code: str) -> Check:
        zh, en = NAMES[code]
        failed, said = self._failed[code], [*self._faults[code], *self._notes.get(code, ())]
        if failed > SHOWN:
            said.append(f"and {failed - SHOWN} more")
        return Check(code=code, zh=zh, en=en, ok=not failed, counted=self._counted[code], detail="; ".join(said))


def holds(checks: Sequence[Check]) -> bool:
    """Whether everything was checked and all of it holds."""
    return bool(checks) and all(check.ok for check in checks)


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
