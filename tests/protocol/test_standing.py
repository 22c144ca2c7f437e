"""Who may still ask what of whom: every status, every matter, both ends; and whose codes were given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.protocol import documents
from gateway.protocol.errors import Malformed
from gateway.protocol.members import Assume, FinalLog, Region, Resolution, Roster, Succession
from gateway.protocol.roster import accept_next, genesis, sign
from gateway.protocol.standing import Matter, Way, endings, matter_of, objection, passes, receiving, successors
from gateway.protocol.suite import SigningKey
from gateway.protocol.values import Kind, Offer, Purpose, Reason, Status
from tests.protocol.federation import ROOTS, first_roster, following, key, region

JIANGGAN, SHANGCHENG, QIANTANG, NINGBO = 330104, 330102, 330114, 330200
THE_DAY = 20210409
"""The day from which 上城区 and 钱塘区 answer for what was 江干区."""

ENDING = {
    Matter.CANCEL, Matter.CUT_OFF, Matter.NOTICE, Matter.ATTEST_REVOKE, Matter.RELEASE, Matter.AUTHORISATION_ASK,
    Matter.DISPUTE, Matter.DISPUTE_STEP, Matter.ANSWER,
}  # fmt: skip
CLOSING = {Matter.REVERSE_REQUEST, Matter.RETURN, Matter.CAPTURE, Matter.CLAWBACK}
BEGINNING = {Matter.OFFER, Matter.PROPOSE, Matter.ATTEST_REQUEST, Matter.AUTHORISE}
TABLE = {  # from it, to it
    Status.ACTIVE: (BEGINNING | CLOSING | ENDING, BEGINNING | CLOSING | ENDING),
    Status.SUSPENDED: (ENDING, ENDING),
    Status.WINDING_DOWN: (CLOSING | ENDING, CLOSING | ENDING),
    Status.WITHDRAWN: ({Matter.ANSWER}, set[Matter]()),
}


def cells() -> list[tuple[Status, Way, Matter, bool]]:
    return [
        (status, way, matter, matter in passing)
        for status, both in TABLE.items()
        for way, passing in zip((Way.FROM, Way.TO), both, strict=True)
        for matter in sorted(BEGINNING | CLOSING | ENDING)
    ]


def test_the_table_leaves_nothing_out() -> None:
    assert {(s, w, m) for s, w, m, _ in cells()} == {(s, w, m) for s in Status for w in Way for m in Matter}


@pytest.mark.parametrize(
    ("status", "way", "matter", "allowed"), cells(), ids=lambda v: getattr(v, "name", str(v)).lower()
)
def test_what_passes(status: Status, way: Way, matter: Matter, allowed: bool) -> None:
    """The table itself, what a sender is told, and what a receiver objects to."""
    assert passes(status, way, matter) is allowed
    other = {Way.FROM: NINGBO, Way.TO: SHANGCHENG}[way]
    about = {Way.FROM: SHANGCHENG, Way.TO: NINGBO}[way]
    roster = first_roster(regions=(region(about, status=status), region(other)))
    source, destination = (about, other) if way is Way.FROM else (other, about)
    found = objection(roster, source, destination, matter, THE_DAY)
    assert (found is None) is allowed
    assert found is None or (found.reason, found.region) == (Reason.REGION_NOT_ACTIVE, about)
    body = offer(Purpose.REVERSAL if matter is Matter.RETURN else Purpose.RELOCATION)
    kind = {Matter.RETURN: Kind.OFFER, Matter.ANSWER: Kind.ACCEPT}.get(matter) or Kind(matter)
    heard = receiving(roster, source, destination, THE_DAY)(kind, matter is Matter.ANSWER, body)
    # What is in the log and answers a request is heard whoever says it.
    assert (heard is None) is (allowed or matter is Matter.ANSWER)


def offer(purpose: int) -> Offer:
    return Offer(b"", int(purpose), 1, 1, 1, (), "", b"", b"", b"")


@pytest.mark.parametrize("status", Status)
def test_kinds_of_later_versions_pass_between_active_regions_only(status: Status) -> None:
    """Captures and prepares will be new debits: until the table says otherwise they wait for better days."""
    assert matter_of(99, False) is None
    assert passes(status, Way.TO, matter_of(99, False)) is (status is Status.ACTIVE)
    assert passes(status, Way.FROM, matter_of(99, False)) is (status is Status.ACTIVE)


def test_a_request_of_a_region_nobody_lists_is_refused_as_not_active() -> None:
    judge = receiving(first_roster(regions=(region(NINGBO),)), SHANGCHENG, NINGBO, THE_DAY)
    found = judge(Kind.OFFER, False, offer(Purpose.RELOCATION))
    assert found is not None
    assert found.reason is Reason.REGION_NOT_ACTIVE


# -- 江干区 becomes 上城区 and 钱塘区 ----------------------------------------------------------------------------------


def split(**changes: object) -> Roster:
    both = (Succession(successor=SHANGCHENG, date=THE_DAY), Succession(successor=QIANTANG, date=THE_DAY))
    old = region(JIANGGAN, successions=both, **changes)
    return first_roster(regions=(region(SHANGCHENG), old, region(QIANTANG), region(NINGBO)))


def test_before_the_day_the_old_code_and_the_new_ones_are_all_in_use() -> None:
    roster = split()
    for a in (JIANGGAN, SHANGCHENG, QIANTANG):
        for source, destination in ((a, NINGBO), (NINGBO, a)):
            assert objection(roster, source, destination, Matter.OFFER, THE_DAY - 1) is None
    assert successors(roster.find(JIANGGAN), THE_DAY - 1) == ()
    assert receiving(roster, NINGBO, JIANGGAN, THE_DAY - 1)(Kind.OFFER, False, offer(1)) is None


def test_from_the_day_on_new_offers_are_told_where_to_go() -> None:
    roster = split()
    assert successors(roster.find(JIANGGAN), THE_DAY) == (SHANGCHENG, QIANTANG)
    found = objection(roster, NINGBO, JIANGGAN, Matter.OFFER, THE_DAY)
    assert found == (Reason.REGION_MOVED, JIANGGAN, SHANGCHENG)
    assert receiving(roster, NINGBO, JIANGGAN, THE_DAY)(Kind.OFFER, False, offer(1)) == found
    for new in (SHANGCHENG, QIANTANG):
        assert objection(roster, NINGBO, new, Matter.OFFER, THE_DAY) is None


@pytest.mark.parametrize("matter", [m for m in Matter if m is not Matter.OFFER])
def test_from_the_day_on_what_had_begun_ends_on_the_old_codes_channels(matter: Matter) -> None:
    roster = split()
    assert objection(roster, NINGBO, JIANGGAN, matter, THE_DAY) is None
    assert objection(roster, JIANGGAN, NINGBO, matter, THE_DAY) is None


def test_from_the_day_on_the_old_code_offers_to_its_successors_only() -> None:
    roster = split()
    for heir in (SHANGCHENG, QIANTANG):
        assert objection(roster, JIANGGAN, heir, Matter.OFFER, THE_DAY) is None
    assert objection(roster, JIANGGAN, NINGBO, Matter.OFFER, THE_DAY) == (Reason.REGION_MOVED, JIANGGAN, SHANGCHENG)


def test_an_offer_the_old_code_made_before_the_day_is_heard_after_it() -> None:
    """When it was decided cannot be told from the message, and the points are held."""
    assert receiving(split(), JIANGGAN, NINGBO, THE_DAY)(Kind.OFFER, False, offer(1)) is None


def test_a_code_that_was_merged_and_withdrawn_is_looked_for_where_it_went() -> None:
    roster = split(status=Status.WITHDRAWN)
    assert objection(roster, NINGBO, JIANGGAN, Matter.OFFER, THE_DAY) == (Reason.REGION_MOVED, JIANGGAN, SHANGCHENG)
    found = objection(roster, NINGBO, JIANGGAN, Matter.CANCEL, THE_DAY)
    assert found == (Reason.REGION_NOT_ACTIVE, JIANGGAN, 0)


# -- what the keepers, and a successor, sign about a region that is gone ----------------------------------------------

LOGS = (
    FinalLog(source=JIANGGAN, destination=NINGBO, size=7, root=bytes(32)),
    FinalLog(source=NINGBO, destination=JIANGGAN, size=9, root=bytes(32)),
)


def merger(founded: Roster, by: SigningKey | None = None, **changes: object) -> Roster:
    """The next roster, in which 上城区 answers for what 江干区 left."""
    said = Assume(
        federation=founded.federation, environment=founded.environment, predecessor=JIANGGAN, successor=SHANGCHENG,
        date=THE_DAY, logs=LOGS,
    )  # fmt: skip
    said = replace(said, **changes)  # type: ignore[arg-type]
    signed = (by or key(str(SHANGCHENG))).sign(documents.ASSUME, documents.encode_assume(said))
    succession = Succession(successor=SHANGCHENG, date=THE_DAY, assume=signed, assumed=said)
    regions = tuple(replace(r, successions=(succession,)) if r.code == JIANGGAN else r for r in founded.regions)
    return following(founded, regions=regions)


@pytest.fixture
def founded() -> Roster:
    return genesis(sign(first_roster(regions=(region(SHANGCHENG), region(JIANGGAN), region(NINGBO))), ROOTS[:2]))


def test_a_successor_answers_from_its_day_on_and_the_old_code_has_gone(founded: Roster) -> None:
    roster = merger(founded)
    assert documents.decode_roster(sign(roster, ROOTS[:2]).payload) == roster
    assert list(endings(roster, THE_DAY - 1)) == []
    (ending,) = endings(roster, THE_DAY)
    assert (ending.region, ending.heir, ending.log(NINGBO, JIANGGAN)) == (JIANGGAN, SHANGCHENG, LOGS[1])
    assert objection(roster, NINGBO, JIANGGAN, Matter.CANCEL, THE_DAY - 1) is None
    found = objection(roster, NINGBO, JIANGGAN, Matter.CANCEL, THE_DAY)
    assert found is not None
    assert found.reason is Reason.REGION_NOT_ACTIVE


@pytest.mark.parametrize(
    "change",
    [
        {"predecessor": NINGBO}, {"successor": NINGBO}, {"date": THE_DAY + 1}, {"environment": "elsewhere"},
        {"federation": bytes(32)}, {"logs": (replace(LOGS[0], destination=JIANGGAN),)}, {"logs": LOGS + LOGS},
        {"by": key(str(NINGBO))},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_nobody_keeps_a_roster_in_which_a_successor_signed_something_else(
    founded: Roster, change: dict[str, object]
) -> None:
    with pytest.raises(Malformed):
        sign(merger(founded, **change), ROOTS[:2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("regions", "resolutions"),
    [
        ((region(NINGBO, successions=(Succession(successor=SHANGCHENG, date=THE_DAY),)),), ()),
        ((region(NINGBO, successions=(Succession(successor=NINGBO, date=THE_DAY),)),), ()),
        ((region(NINGBO),), (Resolution(region=NINGBO),)),
        ((region(NINGBO),), (Resolution(region=SHANGCHENG),)),
        ((region(JIANGGAN, status=Status.WITHDRAWN),), (Resolution(region=JIANGGAN, logs=LOGS + LOGS[:1]),)),
        ((region(JIANGGAN, status=Status.WITHDRAWN),), (Resolution(region=JIANGGAN), Resolution(region=JIANGGAN))),
    ],
    ids=["successor not listed", "its own successor", "still active", "not listed", "a log twice", "resolved twice"],
)
def test_nobody_keeps_a_roster_that_says_such_a_thing(
    regions: tuple[Region, ...], resolutions: tuple[Resolution, ...]
) -> None:
    with pytest.raises(Malformed):
        sign(first_roster(regions=regions, resolutions=resolutions), ROOTS[:2])


def test_what_was_resolved_stays_resolved(founded: Roster) -> None:
    gone = tuple(replace(r, status=Status.WITHDRAWN) if r.code == JIANGGAN else r for r in founded.regions)
    second = accept_next(
        founded,
        sign(following(founded, regions=gone, resolutions=(Resolution(region=JIANGGAN, logs=LOGS),)), ROOTS[:2]),
    )
    assert [e.region for e in endings(second, 0)] == [JIANGGAN]
    for other in ((), (Resolution(region=JIANGGAN, logs=LOGS[:1]),)):
        with pytest.raises(Malformed, match="resolution"):
            accept_next(second, sign(following(second, resolutions=other), ROOTS[:2]))
