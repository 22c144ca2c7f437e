"""The demonstration's checks: what two sound regions hold passes every one, and each fails for what it is there for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Evidence, Purpose
from node.cli.demo import about_logs, about_points, about_transfers, books
from node.cli.demo.case import Answer, Case
from node.cli.demo.data import Data, Fate
from node.cli.demo.restored import Restore, got_back, owes_nothing
from node.services.account import OpenAccount
from node.services.address import NewAddress
from node.services.award import Award
from node.services.csv_file import AwardRow, TransferRow
from node.services.transfer import EventKind, Order, Placed
from node.store import schema
from node.store.create import create
from node.store.engine import open_store
from tests.federation import Pair, TestRegion, pair

A, B = 330100, 330200
CHECKS = [check for part in (about_points, about_transfers, about_logs) for check in part.CHECKS]

AWARDS = [
    AwardRow(
        region=code, key=f"a{code}", account=f"R-{code}", category="moral", amount=1000, granted=20260101,
        expires=20300101, evidence=Evidence.SIGNED_IN, activity="1",
    )
    for code in (A, B)
]  # fmt: skip
TRANSFERS = [
    TransferRow(
        key=f"t{n}", source=source, account=f"R-{source}", destination=A + B - source, receiver=f"R-{A + B - source}",
        category="moral", amount=amount, purpose=Purpose.DONATION,
    )
    for n, (source, amount) in enumerate([(A, 10), (B, 20), (A, 5000), (B, 7)])
]  # fmt: skip
FATES = {"t0": Fate.POSTED, "t1": Fate.POSTED, "t2": Fate.SHORT, "t3": Fate.POSTED}


def submit(regions: Pair, addresses: dict[int, str], chosen: list[TransferRow]) -> dict[str, Answer]:
    """Order transfers and let everything be delivered; what each was answered."""
    answers = {}
    for t in chosen:
        order = Order(
            client="c", key=t.key, account=t.account, category=t.category, amount=t.amount,
            address=addresses[t.destination], purpose=t.purpose,
        )  # fmt: skip
        (said,) = regions.regions[t.source].do(order)
        if isinstance(said, Placed):
            answers[t.key] = Answer(id=said.id, state=said.state.name.lower())
        else:
            assert isinstance(said, Refused)
            answers[t.key] = Answer(reason=said.reason.name.lower())
    regions.pump()
    return answers


def told(region: TestRegion) -> Counter[str]:
    with region.store.read() as conn:
        return Counter(EventKind(kind).name.lower() for kind in conn.scalars(select(schema.event.c.kind)))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Two regions that exchanged four orders, one of them too large."""
    root = tmp_path_factory.mktemp("promises")
    files = {code: root / f"{code}.sqlite" for code in (A, B)}
    stores = [open_store(f"sqlite:///{file}") for file in files.values()]
    for store in stores:
        create(store)
    regions = pair((A, B), stores=stores)
    addresses = {}
    for award in AWARDS:
        region = regions.regions[award.region]
        region.one(OpenAccount(name=award.account))
        region.one(
            Award(
                client="c", key=award.key, account=award.account, category=award.category, amount=award.amount,
                granted=award.granted, expires=award.expires,
            )
        )  # fmt: skip
        addresses[award.region] = region.one(NewAddress(account=award.account)).address
    answers = submit(regions, addresses, TRANSFERS[:1])
    at_kill = {code: books.heads(file) for code, file in files.items()}
    answers |= submit(regions, addresses, TRANSFERS[1:])
    before = {code: books.read(code, file).fingerprint for code, file in files.items()}
    again = submit(regions, addresses, TRANSFERS)
    office = regions.regions[A].office
    case = Case(
        data=Data(residents=[], awards=AWARDS, transfers=TRANSFERS),
        fates=FATES,
        books={code: books.read(code, file) for code, file in files.items()},
        roster=office.roster,
        answers=answers,
        again=again,
        fingerprints_before=before,
        heads_at_kill=at_kill,
        told={code: told(region) for code, region in regions.regions.items()},
    )
    for store in stores:
        store.close()
    return case


def failing(case: Case) -> set[str]:
    return {check.name for check in (look(case) for look in CHECKS) if not check.ok}


def test_two_sound_regions_keep_every_promise(sound: Case) -> None:
    assert {check.name: list(check.against) for check in (look(sound) for look in CHECKS) if not check.ok} == {}


def test_a_check_with_nothing_to_look_at_does_not_hold(sound: Case) -> None:
    nothing = replace(
        sound, data=replace(sound.data, awards=[], transfers=[]), fates={}, books={}, told={}, heads_at_kill={}
    )
    assert failing(nothing) == {check(nothing).name for check in CHECKS}


# -- what each is there for ------------------------------------------------------------------------------------------


def in_books(case: Case, **change: Any) -> Case:
    """The same with something else in the first region's books."""
    return replace(case, books={**case.books, A: replace(case.books[A], **change)})


def resident(case: Case, **change: int) -> Case:
    """Something else in the balance of the first region's resident."""
    changed = [b._replace(**change) if b.resident else b for b in case.books[A].balances]
    return in_books(case, balances=changed)


def transfer(case: Case, **change: Any) -> Case:
    """Something else in the last of the first region's transfers."""
    *others, last = case.books[A].transfers
    return in_books(case, transfers=[*others, last._replace(**change)])


def in_log(case: Case, frames: Callable[[list[bytes]], list[bytes]]) -> Case:
    """Something else in the first region's copy of the log it sent."""
    logs = case.books[A].logs
    return in_books(case, logs={**logs, (A, B): frames(logs[A, B])})


def lost(case: Case) -> Case:
    """Points vanish at the source of a transfer, in balance and lots alike."""
    balance = next(b for b in case.books[A].balances if b.resident)
    return resident(case, debits_posted=balance.debits_posted + 1, lots=balance.lots - 1)


FAULTS: dict[str, tuple[str, Callable[[Case], Case]]] = {
    "a unit vanishes": ("conservation_per_category_at_pinned_rates", lost),
    "a resident has a unit less": ("every_balance_follows_from_awards_and_transfers", lost),
    "more arrives than the rate gives": (
        "conservation_per_category_at_pinned_rates",
        lambda case: replace(
            case,
            books={
                code: replace(b, transfers=[t._replace(arriving=t.arriving + 1) for t in b.transfers])
                for code, b in case.books.items()
            },
        ),
    ),
    "a balance below zero": ("nothing_negative", lambda case: resident(case, debits_posted=5_000)),
    "a lot below zero": ("nothing_negative", lambda case: resident(case, smallest_lot=-1)),
    "a hold": ("no_hold_unresolved", lambda case: transfer(case, state=State.HELD)),
    "points pending": ("nothing_in_transit", lambda case: resident(case, debits_pending=1)),
    "a lot too small": ("lots_equal_balances", lambda case: resident(case, lots=1)),
    "voided but accepted": ("source_posted_iff_destination_accepted", lambda case: transfer(case, state=State.VOIDED)),
    "another amount": ("source_posted_iff_destination_accepted", lambda case: transfer(case, amount=3)),
    "a transfer twice": (
        "one_outcome_per_key",
        lambda case: in_books(
            case,
            transfers=[*case.books[A].transfers, *(t._replace(id=b"x" * 16) for t in case.books[A].transfers if t.key)],
        ),
    ),
    "a refusal nobody asked for": ("one_outcome_per_key", lambda case: in_books(case, refusals=2)),
    "another id on repetition": (
        "repetition_changes_nothing",
        lambda case: replace(case, again={**case.again, "t0": replace(case.again["t0"], id="0" * 32)}),
    ),
    "changed books on repetition": ("repetition_changes_nothing", lambda case: in_books(case, fingerprint="other")),
    "a short one posted": (
        "outcomes_as_the_files_foretell",
        lambda case: replace(case, fates={**case.fates, "t0": Fate.SHORT}),
    ),
    "another reason": (
        "outcomes_as_the_files_foretell",
        lambda case: replace(case, fates={**case.fates, "t2": Fate.UNMAPPED}),
    ),
    "told twice": (
        "every_decision_told_once",
        lambda case: replace(case, told={**case.told, A: case.told[A] + Counter(["posted"])}),
    ),
    "a shorter log": ("equal_heads", lambda case: in_log(case, lambda frames: frames[:-1])),
    "another head": (
        "equal_heads",
        lambda case: in_books(case, heads={**case.books[A].heads, (A, B): (1, b"\0" * 32)}),
    ),
    "a frame changed": ("same_messages", lambda case: in_log(case, lambda frames: [*frames[:-1], frames[-1] + b"\0"])),
    "an answer too many": (
        "offered_once_answered_once",
        lambda case: in_log(case, lambda frames: [*frames, frames[-1]]),
    ),
    "a message without a number": ("outboxes_empty", lambda case: in_books(case, outbox=1)),
    "a message nobody has received": (
        "outboxes_empty",
        lambda case: in_books(case, channels={B: replace(case.books[A].channels[B], final=0)}),
    ),
    "no receipt": ("receipts_cover_all_logs", lambda case: in_books(case, receipts={})),
    "a receipt by the wrong region": (
        "receipts_cover_all_logs",
        lambda case: in_books(case, receipts={(A, B): case.books[B].receipts[B, A]}),
    ),
    "received messages rewritten": (
        "nothing_forgotten_in_the_kill",
        lambda case: in_log(case, lambda frames: [frames[0] + b"\0", *frames[1:]]),
    ),
    "received messages forgotten": ("nothing_forgotten_in_the_kill", lambda case: in_log(case, lambda _frames: [])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_promise_is_found(sound: Case, fault: str) -> None:
    name, broken = FAULTS[fault]
    assert name in failing(broken(sound))


def test_every_check_has_a_fault_that_it_finds(sound: Case) -> None:
    assert {name for name, _ in FAULTS.values()} == {check(sound).name for check in CHECKS}


# -- the region that was restored ------------------------------------------------------------------------------------


def restore(case: Case, **after: Any) -> Restore:
    """The first region was put back and has everything again."""
    told = {"recovering": False, "owed": 0, **after}
    return Restore(before=case.books[A], lost=3, repeated=3, after=told)


def test_a_restored_region_that_has_everything_again_keeps_both_promises(sound: Case) -> None:
    assert got_back(restore(sound), sound.books[A]).ok
    assert owes_nothing(restore(sound)).ok


@pytest.mark.parametrize(
    "change",
    [
        lambda case: in_log(case, lambda frames: frames[:-1]),
        lambda case: in_log(case, lambda frames: [frames[0] + b"x", *frames[1:]]),
        lambda case: transfer(case, state=State.HELD),
        lambda case: transfer(case, amount=3),
        lambda case: in_books(case, transfers=case.books[A].transfers[:-1]),
    ],
    ids=["a message lacks", "a message differs", "still held", "another amount", "a transfer lacks"],
)
def test_what_a_restored_region_lacks_is_found(sound: Case, change: Callable[[Case], Case]) -> None:
    assert not got_back(restore(sound), change(sound).books[A]).ok


def test_a_restore_that_lost_nothing_shows_nothing(sound: Case) -> None:
    assert not got_back(replace(restore(sound), lost=0), sound.books[A]).ok


@pytest.mark.parametrize("after", [{"recovering": True}, {"owed": 1}])
def test_a_region_that_is_not_whole_or_owes_is_found(sound: Case, after: dict[str, Any]) -> None:
    assert not owes_nothing(restore(sound, **after)).ok
