"""The demonstration's data is what its script writes, keeps the published rules, and can be played in any order."""

import importlib.util
import json
import subprocess
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import combinations, permutations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway.protocol.limits import RATE_MAX
from gateway.protocol.values import Evidence
from node.services.csv_file import AwardRow, TransferRow, load_awards, load_residents, load_transfers

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
FILES = ("residents.csv", "awards.csv", "transfers.csv", "agreements.json")
REGIONS = {330100: 800, 330200: 600, 330600: 400, 330400: 300}
UNITS_AN_HOUR = {330100: 1000, 330200: 100, 330600: 50, 330400: 100}  # hundredths of 10, 1, 0.5 and 1 point
TODAY = 20261122  # any day until the first lot of 2026 expires

Purse = tuple[int, str, str]


@pytest.fixture(scope="module")
def lots() -> list[AwardRow]:
    return load_awards(DEMO / "awards.csv")


@pytest.fixture(scope="module")
def moves() -> list[TransferRow]:
    return load_transfers(DEMO / "transfers.csv")


@pytest.fixture(scope="module")
def drafts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEMO / "agreements.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def terms(drafts: list[dict[str, Any]]) -> dict[tuple[int, int, str], tuple[str, Fraction]]:
    """What each category becomes, and at what rate: where the draft names none, the one that published points make."""
    table = {}
    for draft in drafts:
        a, b, drawn_up = draft["proposer"], draft["peer"], draft["terms"]
        for way, source, destination, gives, takes in (
            ("out", a, b, drawn_up["ours"], drawn_up["theirs"]), ("into", b, a, drawn_up["theirs"], drawn_up["ours"])
        ):  # fmt: skip
            an_hour = [{c["code"]: Fraction(c["points"], c["hours"]) for c in side} for side in (gives, takes)]
            for rate in drawn_up[way]["rates"]:
                derived = an_hour[1][rate["becomes"]] / an_hour[0][rate["category"]]
                agreed = Fraction(rate["rate"]) if "rate" in rate else derived
                table[source, destination, rate["category"]] = (rate["becomes"], agreed)
    return table


@pytest.fixture(scope="module")
def rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_rules", DEMO / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convertible(lots: list[AwardRow]) -> dict[Purse, int]:
    purses: dict[Purse, int] = defaultdict(int)
    for lot in lots:
        if lot.evidence is Evidence.SIGNED_IN and lot.expires > TODAY:
            purses[lot.region, lot.account, lot.category] += lot.amount
    return purses


def fates(
    lots: list[AwardRow], moves: list[TransferRow], terms: dict[tuple[int, int, str], tuple[str, Fraction]]
) -> list[tuple[TransferRow, str]]:
    """What must become of each transfer, taken alone against what its account was awarded."""
    purses = convertible(lots)
    fate = []
    for move in moves:
        if (move.source, move.destination, move.category) not in terms:
            fate.append((move, "unmapped"))
        elif move.amount > purses.get((move.source, move.account, move.category), 0):
            fate.append((move, "short"))
        else:
            fate.append((move, "posted"))
    return fate


def test_the_files_are_what_the_script_writes_byte_for_byte(tmp_path: Path) -> None:
    for script in ("generate.py", "rules.py"):
        (tmp_path / script).write_bytes((DEMO / script).read_bytes())
    # Hash randomisation must not matter either.
    run = [sys.executable, "-R", "-B", "-S", "generate.py"]
    subprocess.run(run, cwd=tmp_path, check=True, timeout=60, env={"PYTHONHASHSEED": "random"})
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DEMO / name).read_bytes(), f"{name}: run deploy/demo/generate.py"


def test_residents_are_as_many_as_said_and_bear_no_names() -> None:
    people = load_residents(DEMO / "residents.csv")
    assert Counter(person.region for person in people) == REGIONS
    assert all(person.account.isascii() and person.account[2] == "-" for person in people)
    assert all(person.opened < 20250101 for person in people)


def test_lots_belong_to_residents_and_are_enough(lots: list[AwardRow]) -> None:
    accounts = {(person.region, person.account) for person in load_residents(DEMO / "residents.csv")}
    assert len(lots) >= 10_000
    assert {(lot.region, lot.account) for lot in lots} == accounts
    assert {lot.category for lot in lots} == {"moral", "public_welfare", "culture"}
    assert [lot.key for lot in lots] == sorted({lot.key for lot in lots})


def test_lots_have_long_to_live_or_are_long_dead(lots: list[AwardRow]) -> None:
    dead = [lot for lot in lots if lot.expires <= 20260101]
    assert 100 <= len(dead) <= 150
    assert all(lot.granted // 10000 == 2025 for lot in dead)
    assert all(20290101 <= lot.expires <= 20330101 for lot in lots if lot not in dead)
    assert all(20260101 <= lot.granted < 20261001 for lot in lots if lot not in dead)
    assert all(lot.expires == 20320101 for lot in lots if lot.region == 330100 and lot not in dead)
    assert all(lot.expires == lot.granted + 30000 for lot in lots if lot.region == 330200 and lot not in dead)


def test_caps_on_hours_are_respected(lots: list[AwardRow]) -> None:
    an_activity: Counter[tuple[str, str]] = Counter()
    an_account: Counter[str] = Counter()
    for lot in lots:
        half_hours, rest = divmod(2 * lot.amount, UNITS_AN_HOUR[lot.region])
        assert rest == 0
        assert half_hours >= 1
        an_activity[lot.account, lot.activity] += half_hours
        an_account[lot.account] += half_hours
    assert max(an_activity.values()) == 4  # 2 h, and it is reached
    assert max(an_account.values()) <= 3000


@pytest.mark.parametrize(
    ("minutes", "half_hours"),
    [(0, 0), (15, 0), (16, 1), (45, 1), (46, 2), (60, 2), (75, 2), (76, 3), (105, 3), (106, 4), (120, 4), (600, 4)],
)
def test_time_becomes_hours_by_the_published_steps(rules: ModuleType, minutes: int, half_hours: int) -> None:
    assert rules.half_hours(minutes) == half_hours


@pytest.mark.parametrize(("wanted", "had", "granted"), [(4, 0, 4), (4, 2996, 4), (4, 2998, 2), (4, 3000, 0)])
def test_an_account_is_granted_no_hour_beyond_its_cap(rules: ModuleType, wanted: int, had: int, granted: int) -> None:
    assert rules.within_account(wanted, had) == granted


def test_some_evidence_does_not_convert(lots: list[AwardRow]) -> None:
    share = sum(lot.evidence is Evidence.BACKFILLED for lot in lots) / len(lots)
    assert 0.03 < share < 0.07


def test_rates_derive_from_points_an_hour_and_no_cycle_gains(
    terms: dict[tuple[int, int, str], tuple[str, Fraction]],
) -> None:
    for (source, destination, category), (_, rate) in terms.items():
        par = Fraction(UNITS_AN_HOUR[destination], UNITS_AN_HOUR[source])
        assert rate == par * (Fraction(19, 20) if category == "culture" else 1)
        assert max(rate.numerator, rate.denominator) <= RATE_MAX
    gains = [0]
    for count in (2, 3, 4):
        for cycle in permutations(REGIONS, count):
            for start in ("moral", "public_welfare", "culture"):
                value, category = Fraction(1), start
                for step in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
                    category, rate = terms.get((*step, category), (category, Fraction(0)))
                    value *= rate
                gains.append(int(value > 1))
    assert sum(gains) == 0


def test_every_pair_agrees_and_only_culture_by_hand(drafts: list[dict[str, Any]]) -> None:
    pairs = [(draft["proposer"], draft["peer"]) for draft in drafts]
    assert sorted(pairs) == sorted(combinations(sorted(REGIONS), 2))
    for draft in drafts:
        by_hand = {r["category"] for way in ("out", "into") for r in draft["terms"][way]["rates"] if "rate" in r}
        assert by_hand == {"culture"}
        thirds = {draft["terms"]["mediator"], draft["terms"]["arbitrator"]}
        assert thirds == REGIONS.keys() - {draft["proposer"], draft["peer"]}


def test_transfers_run_over_every_ordered_pair(moves: list[TransferRow]) -> None:
    assert len(moves) == 5_000
    assert len({move.key for move in moves}) == 5_000
    pairs = Counter((move.source, move.destination) for move in moves)
    assert set(pairs) == set(permutations(REGIONS, 2))
    assert min(pairs.values()) >= 100


def test_receivers_are_residents_and_the_same_person_each_time(moves: list[TransferRow]) -> None:
    accounts = {(person.region, person.account) for person in load_residents(DEMO / "residents.csv")}
    assert all((move.source, move.account) in accounts for move in moves)
    assert all((move.destination, move.receiver) in accounts for move in moves)
    same = {(move.source, move.account, move.destination, move.receiver) for move in moves}
    same |= {(destination, receiver, source, account) for source, account, destination, receiver in same}
    assert len({person[:3] for person in same}) == len(same)


def test_what_can_be_paid_can_be_paid_in_any_order(
    lots: list[AwardRow], moves: list[TransferRow], terms: dict[tuple[int, int, str], tuple[str, Fraction]]
) -> None:
    purses = convertible(lots)
    wanted: dict[Purse, int] = defaultdict(int)
    for move, fate in fates(lots, moves, terms):
        if fate != "short":
            wanted[move.source, move.account, move.category] += move.amount
    assert {purse: amount for purse, amount in wanted.items() if amount > purses[purse]} == {}


def test_what_is_refused_is_refused_in_any_order(
    lots: list[AwardRow], moves: list[TransferRow], terms: dict[tuple[int, int, str], tuple[str, Fraction]]
) -> None:
    fate = fates(lots, moves, terms)
    assert Counter(what for _, what in fate) == {"posted": 4_840, "short": 100, "unmapped": 60}
    receivers = {(move.destination, move.receiver) for move, what in fate if what != "short"}
    poor = [move for move, what in fate if what == "short"]
    assert [move for move in poor if (move.source, move.account) in receivers] == []
    owned = Counter(
        {
            (lot.region, lot.account, lot.category, lot.evidence is Evidence.BACKFILLED, lot.expires > TODAY): 1
            for lot in lots
        }
    )
    for why, backfilled, good in (("backfilled", True, True), ("expired", False, False)):
        useless = [m for m in poor if owned[m.source, m.account, m.category, backfilled, good]]
        assert len(useless) >= 10, why


def test_something_arrives_and_remainders_stay_behind(
    lots: list[AwardRow], moves: list[TransferRow], terms: dict[tuple[int, int, str], tuple[str, Fraction]]
) -> None:
    remainders = 0
    for move, fate in fates(lots, moves, terms):
        if fate != "unmapped":
            _, rate = terms[move.source, move.destination, move.category]
            assert move.amount >= rate.denominator
            remainders += move.amount % rate.denominator > 0
    assert remainders > 1_000
