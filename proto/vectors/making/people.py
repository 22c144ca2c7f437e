"""What speaks of residents without naming them: digests of consents, roots and proofs of identities.

The numbers are of people born in 1801: nobody's who could be asked.
"""

from __future__ import annotations

from typing import Any

from gateway.protocol import consent, identity
from gateway.protocol.consent import Consent, GivenBy
from making.ground import HANGZHOU, NINGBO, octets, plain

FEDERATION = octets("federation of people", 32)
AGREEMENT = octets("agreement of people", 16)


def _number(first: str) -> str:
    return next(first + last for last in "0123456789X" if identity.doubt(first + last) is None)


SOUND = tuple(map(_number, ("11010118010101001", "33010618040229001", "81000018011231017")))


def _consents() -> list[dict[str, Any]]:
    plainly = Consent(
        reference=octets("consent", 16).hex(), source=HANGZHOU, account="HZ-000001", recipient=NINGBO,
        contact="宁波市 0574-12345", purpose="relocation", method="signed messages", kinds=("points",),
        given_by=GivenBy.SELF, expires=20271231,
    )  # fmt: skip
    fully = Consent(
        reference=octets("consent of a guardian", 16).hex(), source=NINGBO, account='a "quoted" \\ name',
        recipient=HANGZHOU, contact="杭州市", purpose=consent.ATTESTATION, method="面对面 / face to face",
        kinds=("star_level", "honour", "service_hours"), given_by=GivenBy.GUARDIAN, expires=20261130,
    )  # fmt: skip
    made = []
    for name, record in (("one kind of data", plainly), ("several, by a guardian", fully)):
        salt = octets(f"salt of {name}", 16)
        made.append(
            {
                "name": name,
                "salt": salt.hex(),
                "record": {**plain(record), "given_by": GivenBy(record.given_by).name.lower()},
                "canonical": consent.canonical(record).decode(),
                "digest": consent.digest(salt, record).hex(),
            }
        )
    return made


def people() -> dict[str, Any]:
    """See the module."""
    privates = [octets(f"private key of {code}", 32) for code in (HANGZHOU, NINGBO)]
    publics = [identity.public_key(private) for private in privates]
    key = identity.pair_key(privates[0], publics[1], AGREEMENT)
    roots = [identity.root(number, FEDERATION) for number in SOUND]
    transfers = [octets(f"transfer {n}", 16) for n in range(2)]
    doubtful = [
        "110101180101001", "110101801301001", SOUND[0][:17] + ("0" if SOUND[0][17] != "0" else "1"), SOUND[0][:-1],
        "E12345678", _foreign("91000018010101001"), "110101180113010013", "", "abc",
    ]  # fmt: skip
    texts = [
        *SOUND, f"张三 {SOUND[0]}（本人）", f"key-{SOUND[0]}", "110101800101001", "110101801301001", "1" + SOUND[0],
        SOUND[0][:17] + ("0" if SOUND[0][17] != "0" else "1"), "0574-12345", octets("id", 16).hex(), "",
        octets("a", 4).hex() * 2 + "110101800101001" + "a",
    ]  # fmt: skip
    return {
        "about": "SPEC 6.11 and 6.12. Consents and their digests; what regions compare residents by. Numbers are of "
        "people born in 1801.",
        "consents": _consents(),
        "roots": [
            {"number": number, "federation": FEDERATION.hex(), "root": root.hex()}
            for number, root in zip(SOUND, roots, strict=True)
        ],
        "doubts": [{"number": number, "doubt": identity.doubt(number)} for number in (*SOUND, *doubtful)],
        "pair": {
            "agreement": AGREEMENT.hex(),
            "private_a": privates[0].hex(),
            "public_a": publics[0].hex(),
            "private_b": privates[1].hex(),
            "public_b": publics[1].hex(),
            "key": key.hex(),
        },
        "proofs": [
            {"transfer": t.hex(), "root": root.hex(), "identity": identity.proof(key, t, root).hex()}
            for t in transfers
            for root in roots[:2]
        ],
        "texts": [{"text": text, "mentions_number": identity.mentions_number(text)} for text in texts],
    }


def _foreign(first: str) -> str:
    return first + next(last for last in "0123456789X" if identity.doubt(first + last) is not None)
