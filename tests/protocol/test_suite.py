"""Signatures: the published vectors, and everything that must not pass for a signature."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import Unauthentic
from gateway.protocol.suite import (
    ED25519_SHA256,
    SUITES,
    SigningKey,
    VerifyKey,
    key_id,
    pre_authentication_encoding,
    signers,
    verify,
)
from gateway.protocol.values import Signature, Signed
from tests.protocol.federation import key

MINE = key("mine")
TYPE = "application/vnd.hutong.head.v1"


def test_what_is_signed_is_the_encoding_of_the_dsse_specification() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication_encoding("", b"") == b"DSSEv1 0  0 "
    assert pre_authentication_encoding("积分", b"\x00") == b"DSSEv1 6 " + "积分".encode() + b" 1 \x00"


@given(st.text(), st.binary(), st.text(), st.binary())
def test_no_two_messages_are_signed_as_the_same_bytes(one: str, first: bytes, other: str, second: bytes) -> None:
    same = pre_authentication_encoding(one, first) == pre_authentication_encoding(other, second)
    assert same == ((one, first) == (other, second))


def test_keys_and_signatures_are_those_of_rfc_8032() -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    signing = SigningKey.from_seed(secret)
    assert signing.seed() == secret
    assert signing.public_key.hex() == public
    assert SUITES[ED25519_SHA256](signing.public_key, bytes.fromhex(signature), b"")
    assert not SUITES[ED25519_SHA256](signing.public_key, bytes.fromhex(signature), b"\x00")


@given(st.binary(max_size=300))
def test_a_signed_message_gives_its_payload_to_whoever_knows_the_key(payload: bytes) -> None:
    signed = MINE.sign(TYPE, payload)
    assert verify(signed, [key("another").verify_key, MINE.verify_key], TYPE) == payload
    assert signed == MINE.sign(TYPE, payload), "equal content gives equal bytes"
    assert signed.signatures[0].key_id == key_id(MINE.public_key) == MINE.id


def test_a_wrong_key_is_refused() -> None:
    for keys in ([], [key("another").verify_key], [VerifyKey(suite=ED25519_SHA256, public_key=b"short")]):
        with pytest.raises(Unauthentic, match="no valid key of the sender"):
            verify(MINE.sign(TYPE, b"payload"), keys, TYPE)


def test_a_message_of_one_type_is_not_taken_for_another() -> None:
    signed = MINE.sign(TYPE, b"payload")
    with pytest.raises(Unauthentic, match=r"receipt.* was expected"):
        verify(signed, [MINE.verify_key], "application/vnd.hutong.receipt.v1")
    renamed = replace(signed, payload_type="application/vnd.hutong.receipt.v1")
    with pytest.raises(Unauthentic, match="no valid key"):
        verify(renamed, [MINE.verify_key], "application/vnd.hutong.receipt.v1")


def forged(**changes: object) -> Signed:
    signed = MINE.sign(TYPE, b"payload")
    return replace(signed, signatures=(replace(signed.signatures[0], **changes),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "signed",
    [
        forged(signature=b""),
        forged(signature=bytes(64)),
        forged(signature=MINE.sign(TYPE, b"another").signatures[0].signature),
        forged(suite="none"),
        forged(suite="sm2-sm3"),
        forged(key_id=bytes(8)),
        replace(MINE.sign(TYPE, b"payload"), signatures=()),
    ],
    ids=["empty", "zeros", "of another payload", "of no suite", "of an unknown suite", "of another key id", "none"],
)
def test_a_forged_signature_is_refused(signed: Signed) -> None:
    with pytest.raises(Unauthentic):
        verify(signed, [MINE.verify_key], TYPE)


def test_a_key_is_never_tried_under_a_suite_it_is_not_listed_for() -> None:
    elsewhere = VerifyKey(suite="sm2-sm3", public_key=MINE.public_key)
    assert signers(MINE.sign(TYPE, b"payload"), [elsewhere]) == set()
    assert signers(forged(suite="sm2-sm3"), [elsewhere]) == set()


def test_a_key_id_is_a_hint_and_no_authority() -> None:
    other = key("another")
    lent = Signature(key_id=MINE.id, suite=MINE.suite, signature=other.sign(TYPE, b"payload").signatures[0].signature)
    signed = Signed(payload_type=TYPE, payload=b"payload", signatures=(lent,))
    assert signers(signed, [MINE.verify_key, other.verify_key]) == set()


def test_a_key_that_signs_many_times_is_one_signer() -> None:
    signed = MINE.sign(TYPE, b"payload")
    many = replace(signed, signatures=signed.signatures * 5 + key("another").sign(TYPE, b"payload").signatures)
    assert signers(many, [MINE.verify_key, MINE.verify_key]) == {MINE.public_key}
    assert len(signers(many, [MINE.verify_key, key("another").verify_key])) == 2
