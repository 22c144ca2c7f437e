"""The demonstration's checks of agreements, purchases and clawbacks: each fails for what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol.attestation import State as Standing
from gateway.protocol.bodies.attestation import FactKind
from gateway.protocol.values import Evidence, Purpose
from node.cli.demo import about_agreements, about_dealings, books, papers
from node.cli.demo.agreeing import Agreed
from node.cli.demo.case import Case
from node.cli.demo.cast import ACTIVITY, HANGZHOU, JIAXING, MINUTES, STARS, WORTH, Cast, Spent, Trip
from node.cli.demo.data import Data
from node.cli.demo.papers import Papers
from node.cli.demo.story import Story
from node.cli.demo.swindle import TakenBack
from node.services.account import OpenAccount
from node.services.award import Award
from node.services.csv_file import AwardRow, TransferRow
from node.services.offer import Review
from node.services.spend import Spend
from node.store.create import create
from node.store.engine import open_store
from tests.federation import pair
from tests.services import clawing, roaming
from tests.services.agreeing import agree, draft
from tests.services.ledger import address, order

A, B = HANGZHOU, JIAXING
CHECKS = [*about_agreements.CHECKS, *about_dealings.CHECKS]


@pytest.fixture(scope="module")
def dealt(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Two regions agree, and amend while a transfer is before a clerk; a purchase; a fraud that moved on and is taken
    back. Ten points there are one here."""
    files = {code: tmp_path_factory.mktemp("dealings") / f"{code}.sqlite" for code in (A, B)}
    stores = [open_store(f"sqlite:///{file}") for file in files.values()]
    for store in stores:
        create(store)
    made = pair((A, B), stores=stores)
    a, b = made.regions[A], made.regions[B]
    first = agree(made, (1, 10), between=(A, B), there={"review_from": 20})
    for region, name in ((a, "HZ-V1"), (b, "JX-V1"), (a, "HZ-T1")):
        region.one(OpenAccount(name=name))
    a.one(Award(client="c", key="1", account="HZ-V1", category="moral", amount=1000, because=ACTIVITY))
    a.one(Award(client="c", key="2", account="HZ-T1", category="moral", amount=100))
    placed = a.one(order(address(b, "JX-V1"), 500, account="HZ-V1"))
    made.pump()
    again = draft((1, 5), between=(A, B), id=first.version.agreement.id, valid_from=first.version.agreement.valid_from)
    agree(made, again)
    b.one(Review(source=A, id=bytes.fromhex(placed.id), accept=True, by="clerk"))
    made.pump()
    a.one(Spend(client="c", key="s1", account="HZ-V1", category="moral", amount=40))
    b.one(Spend(client="c", key="s2", account="JX-V1", category="moral", amount=7))
    bought = b.one(roaming.purchase(roaming.code(a, "HZ-T1"), 6))
    made.pump()
    b.one(roaming.capture(bought, 4))
    made.pump()
    started = clawing.claw(a, ACTIVITY)
    clawing.go_on(made)
    row = clawing.began(a, started)
    said = {"amount": 1000, "recovered": row.recovered, "further": row.further, "owed": row.owed,
            "lost": 1000 - row.recovered - row.further - row.owed}  # fmt: skip
    award = AwardRow(region=A, key="1", account="HZ-V1", category="moral", amount=1000, granted=20260101,
                     expires=20300101, evidence=Evidence.SIGNED_IN, activity=ACTIVITY)  # fmt: skip
    moved = TransferRow(key=books.read(A, files[A]).transfers[0].key, source=A, account="HZ-V1", destination=B,
                        receiver="JX-V1", category="moral", amount=500, purpose=Purpose.RELOCATION)  # fmt: skip
    cast = Cast(residents=[], awards=[award], movers=[], swindle=[moved], before=[], after=[moved],
                spent=[Spent(A, "s1", "HZ-V1", "moral", 40), Spent(B, "s2", "JX-V1", "moral", 7)],
                trips=[Trip(A, B, "HZ-T1", "trip", 6, 4, 30, 20)])  # fmt: skip
    nothing: Any = None
    story = Story(
        agreed=Agreed(versions={(A, B): [{}, {}]}), trips=nothing, attested=nothing, restore=nothing,
        taken_back=TakenBack(shown=said, hops=[], seconds=1.0),
    )  # fmt: skip
    read = {code: attested(papers.read(code, file)) for code, file in files.items()}
    digest = read[A].agreements[-1].digest.hex()
    case = Case(
        data=Data(residents=[], awards=[award], transfers=[], cast=cast), fates={},
        books={code: books.read(code, file) for code, file in files.items()}, roster=a.office.roster, answers={},
        again={}, fingerprints_before={}, heads_at_kill={}, told={}, papers=read,
        in_force={(A, B): digest, (B, A): digest}, story=story,
    )  # fmt: skip
    for store in stores:
        store.close()
    return case


def attested(found: Papers) -> Papers:
    """The same, with stars and hours that the second region attested to the first."""
    if found.region == B:
        return replace(found, attested={(b"1", A, True): int(Standing.GIVEN)})
    facts = [
        (b"1", B, int(FactKind.STAR_LEVEL), WORTH, STARS),
        (b"1", B, int(FactKind.SERVICE_HOURS), MINUTES, MINUTES),
    ]
    return replace(found, attested={(b"1", B, False): int(Standing.RECOGNISED)}, facts=facts)


def test_two_regions_that_dealt_soundly_keep_every_promise(dealt: Case) -> None:
    found = [look(dealt) for look in CHECKS]
    assert {check.name: list(check.against) for check in found if check.against} == {}
    assert [check.name for check in found if not check.counted] == []


def changed(case: Case, region: int = A, **change: Any) -> Case:
    """Something else in the papers of one region."""
    return replace(case, papers={**case.papers, region: replace(case.papers[region], **change)})


def told(case: Case, **change: int) -> Case:
    """The region that began the clawback says something else."""
    assert case.story is not None
    taken_back = replace(case.story.taken_back, shown={**case.story.taken_back.shown, **change})
    return replace(case, story=replace(case.story, taken_back=taken_back))


def offers(case: Case, **change: Any) -> Case:
    """Something else in what the first region offered."""
    return changed(case, offers={B: [(f, o._replace(**change)) for f, o in case.papers[A].offers[B]]})


FAULTS: dict[str, tuple[str, Callable[[Case], Case]]] = {
    "two documents": (
        "agreements_in_force_on_both_sides",
        lambda case: replace(case, in_force={**case.in_force, (B, A): "0" * 64}),
    ),
    "a signature short": (
        "agreements_in_force_on_both_sides",
        lambda case: changed(
            case,
            agreements=[
                p._replace(signed=replace(p.signed, signatures=p.signed.signatures[:1]))
                for p in case.papers[A].agreements
            ],
        ),
    ),
    "a version nobody signed": (
        "every_transfer_under_a_version_both_signed",
        lambda case: offers(case, terms_version=7),
    ),
    "a rate nobody signed": ("every_transfer_under_a_version_both_signed", lambda case: offers(case, rate_q=9)),
    "the rate of the newer version": (
        "held_before_the_amendment_finishes_on_the_old_version",
        lambda case: replace(
            case,
            books={
                code: replace(b, transfers=[t._replace(arriving=100) for t in b.transfers])
                for code, b in case.books.items()
            },
        ),
    ),
    "a request not answered": (
        "every_request_answered_the_same_on_both_sides",
        lambda case: changed(case, requests=[r._replace(state=1) for r in case.papers[A].requests]),
    ),
    "another amount captured": (
        "captured_value_equal_on_both_sides",
        lambda case: changed(case, B, authorisations=[a._replace(captured=25) for a in case.papers[B].authorisations]),
    ),
    "another position": (
        "positions_follow_from_what_both_sides_hold",
        lambda case: changed(case, facing=[f._replace(left=f.left + 1) for f in case.papers[A].facing]),
    ),
    "a claim that one side lacks": ("claims_mirror_each_other", lambda case: changed(case, claims=[])),
    "a claim of another amount": (
        "claims_mirror_each_other",
        lambda case: changed(case, claims=[c._replace(amount=c.amount + 1) for c in case.papers[A].claims]),
    ),
    "more said to be owed": (
        "clawed_back_and_owed_and_lost_is_what_was_awarded",
        lambda case: told(case, owed=71, lost=39),
    ),
    "more debited": (
        "clawed_back_and_owed_and_lost_is_what_was_awarded",
        lambda case: changed(case, B, taken={("JX-V1", "moral"): 44}),
    ),
    "too many stars": (
        "attested_facts_recognised_as_agreed",
        lambda case: changed(case, facts=[(*f[:3], f[3] + 1, f[4]) for f in case.papers[A].facts]),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_promise_is_found(dealt: Case, fault: str) -> None:
    name, broken = FAULTS[fault]
    assert name in {check.name for check in (look(broken(dealt)) for look in CHECKS) if not check.ok}


def test_every_check_has_a_fault_that_it_finds(dealt: Case) -> None:
    assert {name for name, _ in FAULTS.values()} == {look(dealt).name for look in CHECKS}
