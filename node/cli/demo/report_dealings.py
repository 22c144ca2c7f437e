"""What the demonstration shows of agreements, purchases away from home, attestations and the clawback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from node.cli.demo.agreeing import AMENDED
from node.cli.demo.cast import HANGZHOU, JIAXING, MINUTES, STARS, SWINDLERS, TRIPS, WORTH
from node.cli.demo.finish import Outcome
from node.cli.demo.story import Story
from node.cli.demo.tables import UNITS_A_POINT, name_of, points, right
from node.cli.screen import table
from node.cli.words import say


def as_json(story: Story, outcome: Outcome) -> dict[str, Any]:
    """The same for `--json`. Amounts are smallest units."""
    said = story.taken_back.shown
    return {
        "agreements": [
            {"between": pair, "version": v["version"], "digest": v["digest"]}
            for pair, versions in story.agreed.versions.items()
            for v in versions
        ],
        "amended": {"between": AMENDED, "before_a_clerk": story.agreed.waiting, "finished_as_held": _pinned(outcome)},
        "redeemed": [
            {"home": a["home"], "counter": a["counter"], "state": a["state"], "captured": a["captured_arriving"],
             "authorised_s": round(seconds, 3)}
            for a, seconds in zip(story.trips.shown, story.trips.authorised_s, strict=True)
        ],
        "attested": {"state": story.attested.asked["state"], "recognised": len(story.attested.standing["recognised"])},
        "clawback": {name: said[name] for name in ("amount", "recovered", "further", "owed", "lost")}
        | {"hops": len(story.taken_back.hops), "seconds": round(story.taken_back.seconds, 3)},
    }  # fmt: skip


def shown(story: Story, outcome: Outcome) -> Iterator[Table]:
    """The tables, chapter by chapter."""
    yield _agreements(story, outcome)
    yield _trips(story)
    yield _clawback(story, outcome)


def _pinned(outcome: Outcome) -> int:
    name = "held_before_the_amendment_finishes_on_the_old_version"
    return next(check.counted for check in outcome.checks if check.name == name)


def _agreements(story: Story, outcome: Outcome) -> Table:
    rows: list[list[object]] = []
    for (a, b), versions in story.agreed.versions.items():
        for v in versions:
            terms = v["terms"]
            replaced = v is not versions[-1]
            rows.append(
                [
                    f"{name_of(a)}–{name_of(b)}" if v is versions[0] else "",
                    f"{_an_hour(terms['ours'])} : {_an_hour(terms['theirs'])}",
                    *(_rate(terms[way], "moral") for way in ("out", "into")),
                    *(_rate(terms[way], "culture") for way in ("out", "into")),
                    v["version"],
                    v["digest"][:12],
                    say(f"已修订，{_pinned(outcome)} 笔", f"{_pinned(outcome)} after that") if replaced else "",
                ]
            )
    columns = [
        say("协议", "Agreement"), say("每小时", "Points/h"), say("道德 →", "Moral →"), "←", say("文化 →", "Culture →"),
        "←", say("版本", "No"), say("文本摘要", "Document"), say("此后办结", "Finished"),
    ]  # fmt: skip
    title = say("六份协议，双方签署，一份中途修订", "Six agreements, signed by both; one amended on the way")
    return right(table(title, columns, rows), 2, 3, 4, 5)


def _an_hour(published: list[dict[str, Any]]) -> str:
    return f"{published[0]['points'] / published[0]['hours'] / UNITS_A_POINT:g}"


def _rate(way: dict[str, Any], category: str) -> str:
    return next((str(rate["rate"]) for rate in way["rates"] if rate["category"] == category), "—")


def _trips(story: Story) -> Table:
    states = {
        "captured": say("全部请款", "all captured"),
        "part_captured": say("部分请款，余额退回", "part captured, rest is back"),
        "released": say("未兑换，全部退回", "released, all is back"),
    }
    rows: list[list[object]] = [
        [
            f"{name_of(trip.home)} → {name_of(trip.counter)}",
            f"{points(a['amount'])} = {points(a['arriving'])}",
            f"{points(a['captured'])} = {points(a['captured_arriving'])}",
            states.get(a["state"], a["state"]),
            round(1_000 * seconds),
        ]
        for trip, a, seconds in zip(TRIPS, story.trips.shown, story.trips.authorised_s, strict=True)
    ]
    columns = [
        say("归属地 → 收银地", "Home → counter"), say("预授权", "Authorised"), say("请款", "Captured"),
        say("结果", "Outcome"), say("授权毫秒", "ms"),
    ]  # fmt: skip
    title = say("异地兑换：归属地积分 = 收银地积分", "Redeemed away from home: points there = points at the counter")
    return right(table(title, columns, rows), 1, 2)


def _clawback(story: Story, outcome: Outcome) -> Table:
    said = story.taken_back.shown
    claims = sum(claim.mine for papers in outcome.papers.values() for claim in papers.claims)
    rows: list[list[object]] = [
        [say(f"虚假授予 {SWINDLERS} 人", f"awarded to {SWINDLERS} people for nothing"), points(said["amount"])],
        [say("本地追回", "taken back here"), points(said["recovered"])],
        [say("宁波、绍兴追回并退还", "taken back at Ningbo and Shaoxing, and returned"), points(said["further"])],
        [say("在外已消费：地区之间挂账", "spent there: owed between the regions"), points(said["owed"])],
        [say("本地已消费：本地损失", "spent here: the region's own loss"), points(said["lost"])],
        [say("两边一致的挂账笔数", "claims, the same on both sides"), f"{claims:,}"],
        [say("用时，秒", "all regions have answered, s"), f"{story.taken_back.seconds:.1f}"],
        [
            say(f"另：{name_of(JIAXING)} {STARS} 星、{MINUTES // 60} 小时在{name_of(HANGZHOU)}互认为",
                f"besides: {STARS} stars and {MINUTES // 60} h of {name_of(JIAXING)} count at {name_of(HANGZHOU)} as"),
            say(f"{WORTH} 星、{MINUTES // 60} 小时", f"{WORTH} stars, {MINUTES // 60} h"),
        ],
    ]  # fmt: skip
    title = say("追回虚假活动的积分（杭州→宁波→绍兴）", "The clawback (Hangzhou→Ningbo→Shaoxing), points of Hangzhou")
    return right(table(title, [say("事项", "What"), say("数值", "Value")], rows), 1)
