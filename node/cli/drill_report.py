"""What a drill has found, for a person and for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import RenderableType

from node.cli.faults import Exit
from node.cli.screen import Answer, facts, table
from node.cli.words import say
from node.config import Config

if TYPE_CHECKING:
    from node.services.backup.drill import LocalOnly, State, Verdict
    from node.services.verify.run import Check


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """See the module. `before` and `after` are the copy's, `live` the running region's when the drill began."""

    verdicts: Sequence[Verdict]
    before: State
    live: State
    after: State
    local: Mapping[str, LocalOnly]
    failed: Sequence[Check]
    checks: int
    took_s: float

    @property
    def lost_for_good(self) -> int:
        """Messages that a peer has acknowledged and that would be gone."""
        return sum(verdict.lost_for_good for verdict in self.verdicts)

    @property
    def unsent(self) -> int:
        """Messages that no peer has got yet."""
        return sum(verdict.unsent for verdict in self.verdicts)


def answer(config: Config, report: Report) -> Answer:
    """The report, and the exit status that sums it up."""
    faults = [verdict for verdict in report.verdicts if verdict.fault]
    code = Exit.OK
    if report.failed or any(verdict.lost_for_good for verdict in report.verdicts if not verdict.fault):
        code = Exit.REFUSED
    elif faults:
        code = Exit.UNAVAILABLE
    shown: list[RenderableType] = [_peers(report), facts(_totals(report))]
    shown += [f"✗ {say(check.zh, check.en)}{say('：', ': ')}{check.detail}" for check in report.failed]
    shown += ["", _end(config, report, faults)]
    value = {
        "region": config.region,
        "lost_for_good": report.lost_for_good,
        "peers": [asdict(verdict) for verdict in report.verdicts],
        "messages_lost": sum(v.lost for v in report.verdicts),
        "messages_given_back": sum(v.given_back for v in report.verdicts),
        "transfers_again": report.after.transfers - report.before.transfers,
        "advanced": dict(report.after.advanced),
        "local_only": {kind: {"entries": o.entries, "amount": o.amount} for kind, o in report.local.items()},
        "addresses": report.live.addresses - report.before.addresses,
        "unsent": report.unsent,
        "verified": not report.failed,
        "seconds": round(report.took_s, 3),
    }
    return Answer(value=value, shown=shown, code=code)


def _peers(report: Report) -> RenderableType:
    columns = [
        say("地区", "Region"), say("发出", "Said"), say("已归还", "Given back"), say("对方已确认", "Receipted"),
        say("其中丢失", "Lost"), say("收到", "Heard"), say("随同归还", "Came along"), say("对方会重发", "Sent again"),
        say("结果", "Result"),
    ]  # fmt: skip
    rows = [
        [v.peer, v.lost, v.given_back, v.acknowledged, v.lost_for_good, v.lost_heard, v.came_along, v.sent_again,
         f"✗ {v.fault}" if v.fault else "✗" if v.lost_for_good else "✓"]
        for v in report.verdicts
    ]  # fmt: skip
    return table(
        say("恢复演练：备份之后的报文", "Drill: messages since the backup"),
        columns,
        [[str(row[0]), *row[1:]] for row in rows],
    )


def _totals(report: Report) -> list[tuple[str, object]]:
    again = report.after.transfers - report.before.transfers
    given_back = sum(v.given_back + v.came_along for v in report.verdicts)
    pairs: list[tuple[str, object]] = [
        (say("重做的转移", "Transfers done again"), again),
        (say("取回用时", "Given back in"), f"{report.took_s:.1f} s"
         + (f" ({given_back / report.took_s:,.0f}/s)" if given_back and report.took_s else "")),
        (say("核验副本", "The copy verified"), _verified(report)),
        (say("地区垫付", "Advanced by the region"),
         ", ".join(f"{amount:,} {category}" for category, amount in sorted(report.after.advanced.items())) or "0"),
    ]  # fmt: skip
    names = {
        "award": say("发放", "awards"), "spend": say("兑换", "spends"), "expire": say("到期", "expiries"),
        "open": say("开户", "accounts opened"),
    }  # fmt: skip
    lost = [
        f"{names[kind]} {only.entries:,}" + (f" ({only.amount:,})" if only.amount else "")
        for kind, only in report.local.items()
    ]
    if new := report.live.addresses - report.before.addresses:
        lost.append(f"{say('收分地址', 'addresses')} {new:,}")
    if report.unsent:
        lost.append(f"{say('尚未送达的报文', 'messages no peer has got')} {report.unsent:,}")
    pairs.append(
        (say("只在本地，须由业务系统重放", "Only here, to be repeated"), ", ".join(lost) or say("无", "nothing"))
    )
    return pairs


def _verified(report: Report) -> str:
    good = report.checks - len(report.failed)
    return say(f"{good}/{report.checks} 项成立", f"{good} of {report.checks} checks hold")


def _end(config: Config, report: Report, faults: Sequence[Verdict]) -> str:
    if faults:
        named = ", ".join(str(verdict.peer) for verdict in faults)
        return say(
            f"未能完成：{named}。连通后再演练：hutong peers retry 地区 --dir {config.directory}",
            f"Not complete: {named}. Drill again once they can be reached: hutong peers retry REGION "
            f"--dir {config.directory}",
        )
    if report.lost_for_good or report.failed:
        return say(
            "对方已确认的报文会丢失，或副本核验不成立：保留备份与日志，联系维护者。",
            "Acknowledged messages would be lost, or the copy does not verify: keep backup and logs, call the "
            "maintainers.",
        )
    return say("对方已确认的跨地区报文一条也不会丢失。", "No acknowledged cross-region message would be lost.")
