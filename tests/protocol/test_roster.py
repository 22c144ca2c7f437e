"""Who is believed: every way to slip a roster, a key or a region in, and what comes of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import documents, limits
from gateway.protocol.errors import Malformed, PeerFault, TooLarge, Unauthentic
from gateway.protocol.members import Roster
from gateway.protocol.roster import (
    Anchor,
    FinalLog,
    Resolution,
    Succession,
    accept_chain,
    accept_next,
    approvals,
    countersign,
    genesis,
    read_card,
    sign,
    sign_card,
)
from gateway.protocol.standing import may
from gateway.protocol.suite import SigningKey, verify
from gateway.protocol.values import Kind, Status
from tests.protocol.federation import (
    HANGZHOU,
    NINGBO,
    NOW,
    ROOTS,
    STRANGER,
    first_roster,
    following,
    key,
    listed,
    region,
)

YEAR = 365 * 86_400_000


@pytest.fixture
def current() -> Roster:
    return genesis(sign(first_roster(), ROOTS[:2]))


# -- version 1 --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 4), st.sets(st.integers(0, 3), min_size=1))
def test_fewer_signatures_than_the_threshold_are_refused_and_enough_are_taken(
    listed_keys: int, threshold: int, signing: set[int]
) -> None:
    roots = [key(f"root {number}") for number in range(4)]
    roster = first_roster(root_keys=tuple(map(listed, roots[:listed_keys])), threshold=threshold)
    signed = sign(roster, [roots[number] for number in sorted(signing)])
    count = len([number for number in signing if number < listed_keys])
    assert approvals(roster, signed) == count
    if count >= threshold:
        assert genesis(signed).regions == roster.regions
    else:
        with pytest.raises(Unauthentic, match=f"has {count} of the {threshold} signatures"):
            genesis(signed)


def test_one_root_key_that_signs_twice_or_is_listed_twice_counts_once() -> None:
    signed = sign(first_roster(root_keys=(listed(ROOTS[0]), listed(ROOTS[0]), listed(ROOTS[1]))), ROOTS[:1])
    assert countersign(signed, ROOTS[0]) == signed
    with pytest.raises(Unauthentic, match="1 of the 2"):
        genesis(replace(signed, signatures=signed.signatures * 2))


def test_another_federation_is_not_taken_for_the_one_that_was_agreed() -> None:
    signed = sign(first_roster(), ROOTS[:2])
    agreed = genesis(signed).federation
    assert genesis(signed, agreed).federation == agreed
    with pytest.raises(Unauthentic, match="not " + agreed.hex()):
        genesis(sign(first_roster(name_zh="另一联邦"), ROOTS[:2]), agreed)


def test_a_later_version_is_not_taken_for_the_first(current: Roster) -> None:
    with pytest.raises(Unauthentic, match="begin with version 1"):
        genesis(sign(following(current), ROOTS[:2]))
    with pytest.raises(Malformed):
        accept_chain([])


def test_a_first_version_cannot_borrow_the_name_of_another_federation(current: Roster) -> None:
    borrowed = replace(first_roster(name_zh="另一联邦"), version=2, federation=current.federation)
    payload = documents.encode_roster(borrowed).replace(b"\x08\x02", b"\x08\x01", 1)
    with pytest.raises(Malformed, match="must be empty in version 1"):
        genesis(countersign(ROOTS[0].sign(documents.ROSTER, payload), ROOTS[1]), current.federation)
    with pytest.raises(Malformed, match="32 bytes in every later one"):
        sign(replace(borrowed, federation=b""), ROOTS)


def test_an_oversized_roster_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge, match="at most 4194304"):
        documents.decode_roster(b"\xff" * (limits.ROSTER_BYTES + 1))


def test_a_signed_document_of_another_type_is_not_a_roster() -> None:
    payload = documents.encode_roster(first_roster())
    with pytest.raises(Unauthentic, match="was expected"):
        genesis(countersign(ROOTS[0].sign(documents.CARD, payload), ROOTS[1]))


# -- the next version -------------------------------------------------------------------------------------------------


def test_a_chain_leads_to_its_last_version(current: Roster) -> None:
    second = following(current, regions=(*current.regions, region(440100)))
    third = following(second, issued_at_ms=NOW + YEAR)
    signed = [sign(roster, ROOTS[1:]) for roster in (first_roster(), second, third)]
    accepted = accept_chain(signed, current.federation)
    assert accepted == third
    assert accepted.federation == current.federation


def test_rollback_is_refused(current: Roster) -> None:
    signed = [sign(first_roster(), ROOTS), sign(following(current), ROOTS)]
    second = accept_next(current, signed[1])
    for old in signed:
        with pytest.raises(Unauthentic, match="a rollback"):
            accept_next(second, old)


def test_a_skipped_version_is_refused(current: Roster) -> None:
    with pytest.raises(Unauthentic, match="does not follow"):
        accept_next(current, sign(following(current, version=3), ROOTS))


@pytest.mark.parametrize(
    ("signing", "blamed"), [("new", "that version 1 asks"), ("old", "that version 2 asks"), ("both", None)]
)
def test_root_keys_change_only_with_the_thresholds_of_both_versions(
    current: Roster, signing: str, blamed: str | None
) -> None:
    new = tuple(key(f"new root {number}") for number in range(2))
    signed = sign(
        following(current, root_keys=tuple(map(listed, new))), {"new": new, "old": ROOTS}.get(signing, new + ROOTS)
    )
    if blamed is None:
        assert accept_next(current, signed).version == 2
    else:
        with pytest.raises(Unauthentic, match=blamed):
            accept_next(current, signed)


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at_ms": NOW - 1},
        {"revoked_at_ms": NOW + YEAR},
        {"not_after_ms": NOW - 1},
        {"not_before_ms": NOW + 1},
        {"suite": "sm2-sm3"},
    ],
    ids=["revoked", "revoked from a later day on", "expired", "not yet valid", "of an unknown suite"],
)
def test_root_key_that_must_not_be_used_does_not_count(change: dict[str, int]) -> None:
    roots = (listed(ROOTS[0], **change), listed(ROOTS[1]), listed(ROOTS[2]))
    first = sign(first_roster(root_keys=roots), ROOTS[1:])
    current = genesis(first)
    with pytest.raises(Unauthentic, match="1 of the 2"):
        accept_next(current, sign(following(current), ROOTS[:2]))
    with pytest.raises(Unauthentic, match="1 of the 2"):
        genesis(sign(first_roster(root_keys=roots), ROOTS[:2]))


def test_a_root_key_revoked_in_one_of_two_entries_does_not_count() -> None:
    roots = (listed(ROOTS[0]), listed(ROOTS[0], revoked_at_ms=NOW), listed(ROOTS[1]))
    with pytest.raises(Unauthentic, match="1 of the 2"):
        genesis(sign(first_roster(root_keys=roots), ROOTS[:2]))


def test_a_version_of_another_federation_or_environment_is_refused(current: Roster) -> None:
    for change in ({"federation": bytes(32)}, {"environment": "production"}):
        with pytest.raises(Unauthentic, match="is of federation"):
            accept_next(current, sign(following(current, **change), ROOTS))


def test_a_version_dated_back_or_ahead_is_refused(current: Roster) -> None:
    with pytest.raises(Unauthentic, match="is dated before"):
        accept_next(current, sign(following(current, issued_at_ms=NOW - 1), ROOTS))
    ahead = sign(following(current, issued_at_ms=NOW + limits.CLOCK_SKEW_MS + 1), ROOTS)
    with pytest.raises(Unauthentic, match="this machine's clock"):
        accept_next(current, ahead, now_ms=NOW)
    assert accept_next(current, ahead, now_ms=NOW + 1).version == 2


@pytest.mark.parametrize(
    ("regions", "fault"),
    [
        ((region(HANGZHOU), region(HANGZHOU)), "listed twice"),
        ((region(HANGZHOU), region(NINGBO, certificates=(b"certificate 330100",))), "the same TLS certificate"),
        ((region(HANGZHOU), region(NINGBO, listed(key(str(HANGZHOU))))), "the same signing key"),
        ((region(HANGZHOU, listed(key("a")), listed(key("a"), revoked_at_ms=NOW)),), "one key twice"),
        ((region(HANGZHOU, carriers=(NINGBO,)),), "which is not listed"),
    ],
)
def test_a_roster_in_which_two_regions_could_be_confused_is_neither_signed_nor_taken(
    current: Roster, regions: tuple[documents.Region, ...], fault: str
) -> None:
    roster = first_roster(regions=regions)
    with pytest.raises(Malformed, match=fault):
        sign(roster, ROOTS)
    by_other_means = countersign(ROOTS[0].sign(documents.ROSTER, documents.encode_roster(roster)), ROOTS[1])
    with pytest.raises(Malformed, match=fault):
        genesis(by_other_means)


def test_a_region_or_key_cannot_be_made_forgotten_nor_a_revoked_key_come_back(current: Roster) -> None:
    with pytest.raises(Malformed, match="list it as withdrawn"):
        accept_next(current, sign(following(current, regions=current.regions[:1]), ROOTS))
    rekeyed = (region(HANGZHOU, listed(key("another"))), region(NINGBO))
    with pytest.raises(Malformed, match="revoke it"):
        accept_next(current, sign(following(current, regions=rekeyed), ROOTS))
    revoked = (region(HANGZHOU, listed(key(str(HANGZHOU)), revoked_at_ms=NOW)), region(NINGBO))
    second = accept_next(current, sign(following(current, regions=revoked), ROOTS))
    with pytest.raises(Malformed, match="is back"):
        accept_next(second, sign(following(second, regions=current.regions), ROOTS))
    assert accept_next(second, sign(following(second), ROOTS)).regions == revoked


@given(st.data())
def test_a_roster_with_any_bit_flipped_is_refused(data: st.DataObject) -> None:
    whole = documents.codec.encode_signed(sign(first_roster(), ROOTS[:2]))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PeerFault):
        genesis(documents.codec.decode_signed(bytes(flipped)))


# -- keys and regions -------------------------------------------------------------------------------------------------


def holding(*keys: documents.Key, **changes: object) -> Roster:
    return genesis(sign(first_roster(regions=(region(HANGZHOU, *keys, **changes), region(NINGBO))), ROOTS))


def accepted(roster: Roster, signing: SigningKey, at_ms: int) -> tuple[bool, bool]:
    """Whether a message by the key is taken as new at that time, and whether it verifies as an old one."""
    message, taken = signing.sign("text/plain", b"points"), []
    for keys in (roster.signing_keys(HANGZHOU, at_ms), roster.all_keys(HANGZHOU)):
        try:
            taken.append(verify(message, keys, "text/plain") == b"points")
        except Unauthentic:
            taken.append(False)
    return taken[0], taken[1]


def test_revoked_key_signs_nothing_new_and_its_old_messages_still_verify() -> None:
    roster = holding(listed(key("lost"), revoked_at_ms=NOW), listed(key("new")))
    assert accepted(roster, key("lost"), NOW + 1) == (False, True)
    assert accepted(roster, key("lost"), NOW - 1) == (False, True), "who stole it can date its messages back"
    assert accepted(roster, key("new"), NOW) == (True, True)


def test_expired_key_signs_nothing_new_and_its_old_messages_still_verify() -> None:
    roster = holding(listed(key("old"), not_before_ms=NOW, not_after_ms=NOW + 10))
    seen = {at: accepted(roster, key("old"), NOW + at) for at in (-1, 0, 10, 11)}
    assert seen == {-1: (False, True), 0: (True, True), 10: (True, True), 11: (False, True)}


def test_overlapping_keys_are_both_good_while_they_overlap() -> None:
    roster = holding(listed(key("old"), not_after_ms=NOW + 10), listed(key("new"), not_before_ms=NOW))
    assert [accepted(roster, key(name), NOW + 5)[0] for name in ("old", "new")] == [True, True]


def test_key_of_a_suite_the_region_gave_up_signs_nothing_new() -> None:
    roster = holding(listed(key("old")), suites=("sm2-sm3",))
    assert accepted(roster, key("old"), NOW) == (False, True)
    assert accepted(holding(listed(key("old")), suites=("a", "ed25519-sha256")), key("old"), NOW) == (True, True)


def test_another_regions_key_speaks_for_nobody_else(current: Roster) -> None:
    assert accepted(current, key(str(NINGBO)), NOW) == (False, False)


def test_unknown_region_is_refused_by_name(current: Roster) -> None:
    assert current.find(STRANGER) is None
    for question in (current.region, current.all_keys, current.certificates):
        with pytest.raises(Unauthentic, match="region 999999 is not in roster version 1"):
            question(STRANGER)
    with pytest.raises(Unauthentic, match="fetch the newest roster"):
        current.signing_keys(STRANGER, NOW)


def test_messages_are_presented_by_the_carriers_certificate_and_not_by_the_regions_own() -> None:
    roster = holding(carriers=(NINGBO,))
    assert roster.certificates(NINGBO) == (b"certificate 330200",)
    assert roster.certificates(HANGZHOU) == (b"certificate 330200",)
    assert holding().certificates(HANGZHOU) == (b"certificate 330100",)


def test_status_that_is_missing_or_unknown_gives_no_right_to_anything_new() -> None:
    card = documents.encode_region(region(HANGZHOU))
    assert documents.decode_region(card).status is Status.ACTIVE
    for number in (b"\x00", b"\x63"):
        assert documents.decode_region(card + b"\x50" + number).status is Status.SUSPENDED


REQUESTS = [Kind.OFFER, Kind.REVERSE_REQUEST, Kind.CANCEL, Kind.CUT_OFF, 99]
ALLOWED = {
    Status.ACTIVE: [True, True, True, True, True],
    Status.SUSPENDED: [False, False, True, True, False],
    Status.WINDING_DOWN: [False, True, True, True, False],
    Status.WITHDRAWN: [False, False, False, False, False],
}


@pytest.mark.parametrize("status", Status)
def test_region_that_is_not_active_asks_for_nothing_new(status: Status) -> None:
    assert [may(status, kind, reply=False) for kind in REQUESTS] == ALLOWED[status]


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("kind", [Kind.ACCEPT, Kind.REFUSE, Kind.OFFER, 99])
def test_suspended_region_still_answers_what_was_asked_before(status: Status, kind: int) -> None:
    assert may(status, kind, reply=True)


# -- cards and round trips --------------------------------------------------------------------------------------------


def test_a_card_is_signed_by_a_key_on_it_that_is_not_revoked() -> None:
    mine = key(str(HANGZHOU))
    signed = sign_card(region(HANGZHOU), mine)
    assert read_card(documents.from_json(documents.to_json(signed))) == region(HANGZHOU)
    with pytest.raises(Unauthentic, match="make the card again"):
        sign_card(region(HANGZHOU), key("somebody else"))
    with pytest.raises(Unauthentic, match="make the card again"):
        read_card(replace(signed, payload=documents.encode_region(region(HANGZHOU, endpoint="attacker:1"))))
    with pytest.raises(Unauthentic):
        sign_card(region(HANGZHOU, listed(mine, revoked_at_ms=NOW), listed(key("b"))), mine)
    with pytest.raises(Unauthentic, match="was expected"):
        read_card(sign(first_roster(), ROOTS))


def test_nothing_of_a_roster_is_lost_on_the_wire_or_in_a_file() -> None:
    anchor = Anchor(destination=NINGBO, epoch=3, size=8, root=bytes(32))
    keys = (listed(key("a"), not_before_ms=1, not_after_ms=2, revoked_at_ms=3, anchors=(anchor,)), listed(key("b")))
    full = region(
        HANGZHOU,
        *keys,
        name_en="Hangzhou",
        endpoint="[::1]:7000",
        carriers=(HANGZHOU,),
        suites=("ed25519-sha256",),
        roles=("coordinator",),
        status=Status.WINDING_DOWN,
        backup_horizon_days=35,
        successions=(Succession(successor=NINGBO, date=20270101),),
        sealing_key=bytes(32),
    )
    log = FinalLog(source=NINGBO, destination=HANGZHOU, size=1, root=bytes(32))
    gone = region(NINGBO, status=Status.WITHDRAWN)
    roster = first_roster(regions=(full, gone), resolutions=(Resolution(region=NINGBO, logs=(log,)),))
    signed = sign(roster, ROOTS[:2])
    assert documents.from_json(documents.to_json(signed)) == signed
    accepted_roster = genesis(signed)
    assert replace(accepted_roster, federation=b"") == roster
    assert documents.decode_roster(documents.encode_roster(following(accepted_roster))) == following(accepted_roster)
