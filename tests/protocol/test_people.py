"""What speaks of residents without naming them, read as another team would read it, and then by production code."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import consent, identity
from gateway.protocol.consent import KINDS, PURPOSES, Consent, GivenBy
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason
from tests.protocol.reader import vectors

PEOPLE = vectors("people")
PAIR = PEOPLE["pair"]
SOUND = [case["number"] for case in PEOPLE["roots"]]


# -- consents ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", PEOPLE["consents"], ids=lambda case: case["name"])
def test_a_digest_follows_from_salt_and_record(case: dict[str, Any]) -> None:
    record = case["record"]
    fields = {**record, "kinds": sorted(record["kinds"])}
    written = json.dumps(dict(sorted(fields.items())), ensure_ascii=False, separators=(",", ":"))
    assert written == case["canonical"]
    salt = bytes.fromhex(case["salt"])
    assert hashlib.sha256(salt + written.encode()).hexdigest() == case["digest"]
    made = Consent(**{**record, "kinds": tuple(record["kinds"]), "given_by": GivenBy[record["given_by"].upper()]})
    assert consent.digest(salt, made).hex() == case["digest"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"withdrawn": True}, "withdrawn"),
        ({"wanted_by": 330600}, "region 330200"),
        ({"wanted_for": "donation"}, "purpose"),
        ({"today": 20261130}, "held until"),
        ({"today": 20261129}, ""),
        ({"wanted": ("points", "honour")}, "honour"),
    ],
)
def test_a_consent_covers_one_recipient_purpose_and_time(change: dict[str, Any], why: str) -> None:
    asked: dict[str, Any] = {
        "recipient": 330200, "purpose": "relocation", "kinds": ("points",), "expires": 20261130, "withdrawn": False,
        "wanted_by": 330200, "wanted_for": "relocation", "wanted": ("points",), "today": 20261101, **change,
    }  # fmt: skip
    if not why:
        consent.check(**asked)
        return
    with pytest.raises(Refused, match=why) as refusal:
        consent.check(**asked)
    assert refusal.value.reason is Reason.CONSENT_NOT_VALID


def test_the_words_are_those_of_the_specification() -> None:
    said = {word for case in PEOPLE["consents"] for word in (*case["record"]["kinds"], case["record"]["purpose"])}
    assert said <= {*KINDS, *PURPOSES}
    assert "reversal" not in PURPOSES, "what comes back is provided to nobody"


# -- identities -------------------------------------------------------------------------------------------------------


def scrypt(number: str, federation: bytes) -> bytes:
    """As SPEC 6.12 says."""
    salt = b"hutong identity v1" + federation
    return hashlib.scrypt(number.encode(), salt=salt, n=32768, r=8, p=1, dklen=32, maxmem=1 << 26)


@pytest.mark.parametrize("case", PEOPLE["roots"], ids=lambda case: case["number"])
def test_a_root_follows_from_the_number_and_the_federation(case: dict[str, Any]) -> None:
    federation = bytes.fromhex(case["federation"])
    assert scrypt(case["number"], federation).hex() == case["root"]
    assert identity.root(case["number"], federation).hex() == case["root"]
    assert identity.root(f" {case['number'].lower()} ", federation).hex() == case["root"], "written otherwise"
    assert identity.root(case["number"], bytes(32)).hex() != case["root"], "of another federation"


def hkdf(secret: bytes, salt: bytes) -> bytes:
    """RFC 5869 with SHA-256, one block."""
    extracted = hmac.digest(salt, secret, "sha256")
    return hmac.digest(extracted, b"hutong identity v1\x01", "sha256")


def test_two_regions_make_one_key_and_nobody_else_does() -> None:
    agreement = bytes.fromhex(PAIR["agreement"])
    for own, other in (("a", "b"), ("b", "a")):
        private, public = bytes.fromhex(PAIR[f"private_{own}"]), bytes.fromhex(PAIR[f"public_{other}"])
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
        assert hkdf(shared, agreement).hex() == PAIR["key"]
        assert identity.pair_key(private, public, agreement).hex() == PAIR["key"]
        assert identity.pair_key(private, public, bytes(16)).hex() != PAIR["key"], "under another agreement"
        assert identity.pair_key(b"x" * 32, public, agreement).hex() != PAIR["key"]
        with pytest.raises(ValueError, match="key"):
            identity.pair_key(private, bytes(32), agreement)  # a point of low order makes a key that all know


@pytest.mark.parametrize("case", PEOPLE["proofs"], ids=lambda case: case["identity"][:8])
def test_a_proof_is_of_one_resident_for_one_transfer(case: dict[str, Any]) -> None:
    key, transfer, root = (bytes.fromhex(text) for text in (PAIR["key"], case["transfer"], case["root"]))
    shown = bytes.fromhex(case["identity"])
    assert hmac.digest(key, transfer + root, "sha256") == shown == identity.proof(key, transfer, root)
    assert identity.matches(key, transfer, root, shown)
    for other in PEOPLE["proofs"]:
        if other is not case:
            assert not identity.matches(key, transfer, root, bytes.fromhex(other["identity"]))


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", PEOPLE["doubts"], ids=lambda case: case["number"] or "nothing")
def test_a_number_makes_a_root_or_goes_before_a_clerk(case: dict[str, Any]) -> None:
    assert identity.doubt(case["number"]) == case["doubt"]


@pytest.mark.parametrize("case", PEOPLE["texts"], ids=range(len(PEOPLE["texts"])))
def test_a_number_is_found_in_a_text_and_nothing_else_is(case: dict[str, Any]) -> None:
    text = case["text"]
    assert identity.mentions_number(text) is case["mentions_number"]
    for data in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        assert identity.bytes_mention_number(data.encode()) is case["mentions_number"]


@given(
    st.sampled_from(SOUND),
    st.text(alphabet=st.characters(exclude_categories=("Nd", "Cs"), exclude_characters="xX")),
    st.text(alphabet=st.characters(exclude_categories=("Nd", "Cs"), exclude_characters="xX")),
)
def test_a_number_is_found_wherever_it_stands(number: str, before: str, after: str) -> None:
    text = f"{before}{number}{after}"
    if not re.search(r"[0-9a-f]{32}|[0-9０-９xX]{19}", text):
        assert identity.mentions_number(text)


@given(st.sampled_from(SOUND), st.integers(0, 17), st.integers(1, 9))
def test_a_mistyped_digit_makes_no_root(number: str, place: int, more: int) -> None:
    digit = number[place]
    other = str((int(digit) + more) % 10) if digit != "X" else str(more)
    assert identity.doubt(number[:place] + other + number[place + 1 :]) is not None


@given(st.integers(0, 10**6), st.integers(0, 2**63 - 1))
def test_counters_times_and_amounts_are_not_taken_for_people(counter: int, amount: int) -> None:
    assert not identity.mentions_number(f"order-{counter:010}-{1_795_000_000_000 + counter}")
    assert identity.bytes_mention_number(f'{{"amount":{amount}}}'.encode()) is identity.mentions_number(str(amount))


@pytest.mark.parametrize(
    ("number", "until"),
    [("110101201211220012", 20261122), ("110101201202290010", 20260301), ("110101200001010018", 20140101)],
)
def test_a_guardian_consents_until_the_fourteenth_birthday(number: str, until: int) -> None:
    assert identity.guarded_until(number) == until
