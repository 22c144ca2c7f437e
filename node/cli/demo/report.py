"""What the demonstration found, for a person and for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.protocol.transfer import State
from node.cli.demo import report_dealings
from node.cli.demo.books import Books
from node.cli.demo.data import CATEGORIES, MEMBERS, Member
from node.cli.demo.drive import KILLED, Drive
from node.cli.demo.finish import Outcome
from node.cli.demo.restored import RESTORED, Restore
from node.cli.demo.story import Story
from node.cli.demo.tables import category_name, name_of, points, right, seconds_of
from node.cli.screen import table
from node.cli.words import say


def as_json(drive: Drive, story: Story, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """The one object of `--json`, without its `ok`. Amounts are smallest units."""
    states, restore = _states(outcome), story.restore
    return {
        "regions": [_region_json(member, outcome) for member in MEMBERS],
        "transfers": {
            "submitted": len(drive.answers),
            "posted": states["posted"],
            "voided": states["voided"],
            "in_flight": states["in_flight"],
        },
        "killed": {"region": KILLED, "recovered_s": round(drive.kill.recovered_s, 3)},
        "restored": {
            "region": RESTORED,
            "messages_lost": restore.lost,
            "advanced": restore.owed,
            "given_back_s": round(restore.back_s, 3),
            "whole_s": round(restore.whole_s, 3),
        },
        **report_dealings.as_json(story, outcome),
        "checks": [
            {"name": check.name, "ok": check.ok, "counted": check.counted}
            | ({} if check.ok else {"against": list(check.against[:5])})
            for check in outcome.checks
        ],
        "reasons": dict(sorted(_reasons(outcome).items())),
        "seconds": round(seconds, 1),
    }


def _region_json(member: Member, outcome: Outcome) -> dict[str, Any]:
    books = outcome.books[member.code]
    return {
        "region": member.code,
        "name_zh": member.name_zh,
        "name_en": member.name_en,
        "balances": {category: _worth(books, category) for category in CATEGORIES},
        "messages_sent": sum(len(log) for (source, _), log in books.logs.items() if source == member.code),
        "receipts": books.receipt_count,
        "journal": books.journal,
    }


def _states(outcome: Outcome) -> Counter[str]:
    """What became of the orders. Those refused before anything was held are void as well."""
    names = {"posted": "posted", "voided": "voided", "": "voided"}
    return Counter(names.get(answer.state, "in_flight") for answer in outcome.answers.values())


def _reasons(outcome: Outcome) -> Counter[str]:
    return Counter(answer.reason for answer in outcome.answers.values() if answer.reason)


def _worth(books: Books, category: str) -> int:
    return sum(b.worth for b in books.balances if b.resident and b.category == category)


# -- for a person ----------------------------------------------------------------------------------------------------


def shown(drive: Drive, story: Story, outcome: Outcome, seconds: float) -> Iterator[RenderableType]:
    """The summary, part by part."""
    yield _balances(outcome)
    yield _matrix(outcome)
    yield _outcomes(drive, outcome)
    yield _logs(outcome)
    yield from report_dealings.shown(story, outcome)
    yield _killed(drive)
    yield _restored(story.restore)
    yield _checks(outcome)
    yield _verdict(drive, outcome, seconds)


def _balances(outcome: Outcome) -> Table:
    rows = []
    for member in MEMBERS:
        books = outcome.books[member.code]
        people = len({b.account for b in books.balances if b.resident})
        rows.append([f"{member.code} {name_of(member.code)}", people, *(points(_worth(books, c)) for c in CATEGORIES)])
    title = say("各地区居民持有的积分", "Points held by residents")
    columns = [say("地区", "Region"), say("持有人", "Holders"), *map(category_name, CATEGORIES)]
    return right(table(title, columns, rows), *range(2, len(columns)))


def _matrix(outcome: Outcome) -> Table:
    """From each region (row) to each other (column): what left, in points of the row, and what it became."""
    cells: dict[tuple[int, int], list[int]] = {}
    for books in outcome.books.values():
        for t in books.transfers:
            if t.source == books.region and t.state == State.POSTED:
                cell = cells.setdefault((t.source, t.destination), [0, 0, 0])
                cell[0] += 1
                cell[1] += t.amount
                cell[2] += t.arriving
    rows = []
    for a in MEMBERS:
        row: list[object] = [name_of(a.code)]
        for b in MEMBERS:
            count, left, came = cells.get((a.code, b.code), [0, 0, 0])
            amounts = f"{points(left)}→{points(came)}"
            row.append(Text(f"{amounts}\n{count:,} {say('笔', 'transfers')}" if count else "—"))
        rows.append(row)
    title = say("头寸：自（行）至（列），转出→转入，积分", "Positions: from (row) to (column), points left→arrived")
    columns = [say("自 \\ 至", "From \\ to"), *(name_of(m.code) for m in MEMBERS)]
    return right(table(title, columns, rows), *range(1, len(columns)))


def _outcomes(drive: Drive, outcome: Outcome) -> Table:
    states, reasons = _states(outcome), _reasons(outcome)
    rows: list[list[object]] = [
        [say("提交", "submitted"), len(drive.answers)],
        [say("入账", "posted"), states["posted"]],
        [say("未成立（积分未动）", "voided (no points moved)"), states["voided"]],
    ]
    rows += [[f"    {reason}", count] for reason, count in sorted(reasons.items())]
    rows.append([say("在途", "in flight"), states["in_flight"]])
    return table(say("转移", "Transfers"), [say("状态、理由", "State, reason"), say("笔数", "Count")], rows)


def _logs(outcome: Outcome) -> Table:
    """Both sides of every log, beside each other."""
    rows = []
    for a in MEMBERS:
        for b in MEMBERS:
            if a.code == b.code:
                continue
            mine, theirs = outcome.books[a.code].heads[a.code, b.code], outcome.books[b.code].heads[a.code, b.code]
            receipt = outcome.books[a.code].receipts.get((a.code, b.code), (0, b""))[0]
            rows.append(
                [
                    f"{name_of(a.code)}→{name_of(b.code)}", mine[0], mine[1].hex()[:10], theirs[0],
                    theirs[1].hex()[:10],
                    receipt, Text("=", style="green") if mine == theirs else Text("≠", style="bold red"),
                ]
            )  # fmt: skip
    columns = [
        say("日志", "Log"), say("发方条数", "Sent"), say("发方日志头", "Sender's root"), say("收方条数", "Received"),
        say("收方日志头", "Receiver's root"), say("收据至", "Receipt to"), "",
    ]  # fmt: skip
    return table(say("两边的日志头", "Heads of both sides of every log"), columns, rows)


def _killed(drive: Drive) -> Table:
    kill, apis = drive.kill, drive.apis.values()
    rows: list[list[object]] = [
        [say("断电（kill -9）的地区", "region killed (kill -9)"), f"{KILLED} {name_of(KILLED)}"],
        [say("当时在途的转移", "transfers under way at that moment"), kill.in_flight],
        [say("提交后未得答复的转移", "orders sent that got no answer"), len(kill.unanswered)],
        [say("其中断电前已记账", "of these, committed before the kill"), kill.committed],
        [say("以同一编号重发的批次", "calls made again, with the same keys"), sum(api.calls_again for api in apis)],
        [say("重新就绪，秒", "ready and connected again, s"), seconds_of(kill.ready_s)],
        [say("当时在途的全部办结，秒", "all that was under way decided, s"), seconds_of(kill.recovered_s)],
    ]
    return right(table(say("中途断电", "The kill"), [say("事项", "What"), say("数值", "Value")], rows), 1)


def _restored(restore: Restore) -> Table:
    rows: list[list[object]] = [
        [say("恢复到转移前备份的地区", "region restored from before the transfers"), f"{RESTORED} {name_of(RESTORED)}"],
        [say("备份中没有的本地区报文", "messages of its own the backup had not"), restore.lost],
        [say("由其他地区全部归还，秒", "given back by the others, s"), seconds_of(restore.back_s)],
        [say("期间为居民垫付，积分", "advanced to residents meanwhile, points"), points(restore.owed)],
        [say("业务系统重放的转移", "transfers its regional system repeated"), restore.repeated],
        [say("恢复完整，秒", "whole again, s"), seconds_of(restore.whole_s)],
    ]
    return right(table(say("从旧备份恢复", "The restore"), [say("事项", "What"), say("数值", "Value")], rows), 1)


def _checks(outcome: Outcome) -> Table:
    rows = []
    for check in outcome.checks:
        mark = Text("✓", style="green") if check.ok else Text("✗", style="bold red")
        what = Text(say(check.zh, check.en))
        for why in check.against[:3]:
            what.append(f"\n  {why}", style="red")
        rows.append([mark, what, check.counted])
    columns = ["", say("承诺", "Promise"), say("核对数", "Counted")]
    return table(say("逐项核对", "Every promise, checked from outside"), columns, rows)


def _verdict(drive: Drive, outcome: Outcome, seconds: float) -> Panel:
    books = outcome.books
    messages = sum(len(log) for code, b in books.items() for (source, _), log in b.logs.items() if source == code)
    receipts = sum(b.receipt_count for b in books.values())
    failed = sum(not check.ok for check in outcome.checks)
    counts: Mapping[str, int] = {"messages": messages, "receipts": receipts, "orders": len(drive.answers)}
    text = say(
        "{orders:,} 笔转移，{messages:,} 条签名报文，{receipts:,} 张收据",
        "{orders:,} transfers, {messages:,} signed messages, {receipts:,} receipts",
    ).format(**counts)
    if failed:
        verdict = say(f"{failed} 项不成立", f"{failed} promises do not hold")
    else:
        verdict = say(f"{len(outcome.checks)} 项全部成立", f"all {len(outcome.checks)} promises hold")
    line = f"{verdict}{say('。', '. ')}{text}{say('，用时', ', in')} {seconds:.1f} s"
    return Panel(Text(line, style="bold red" if failed else "bold green"), expand=False)
