"""A resident of A asks B to recognise what A knows: facts, codes, questions, and what both regions say of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from gateway.protocol.agreement import life as agreement_life
from gateway.protocol.agreement.document import Agreement, Direction, Feature, Honoured
from gateway.protocol.agreement.life import Dealings, State, Version
from gateway.protocol.attestation import FactKind
from gateway.protocol.attestation import State as Stands
from node.services.account import OpenAccount
from node.services.agreement.signing import Countersign, Propose
from node.services.attestation.attesting import AskAttestation, AttestationAsked
from node.services.attestation.fact import PutFact
from node.services.attestation.share import NewShare, ShareAnswer
from node.services.consent import GiveConsent
from node.store import attestations
from node.store.attestations import AttestationRow, RecognitionRow
from tests.federation import Pair, TestRegion, pair, signing_key
from tests.services.delivery import A, B

KINDS = ("service_hours", "star_level", "honour", "certificate", "qualification")
HOURS, STARS, HONOUR = FactKind.SERVICE_HOURS, FactKind.STAR_LEVEL, FactKind.HONOUR
FOUR_ARE_THREE = Honoured(kind=STARS, values=((2, 1), (4, 3), (5, 4)))
MINUTE_MS = 60_000
DAY_MS = 86_400_000

_keys = count()


def terms(region: TestRegion, **changes: Any) -> Agreement:
    """B honours hours as they are, and four of A's stars as three; A honours nothing, and no points move."""
    honoured = (Honoured(kind=HOURS), FOUR_ARE_THREE, Honoured(kind=HONOUR))
    made = Agreement(
        federation=region.office.roster.federation, environment=region.office.roster.environment,
        id=b"agreement A to B", region_a=A, region_b=B, valid_from=20260101,
        a_to_b=Direction(on=False, honoured=honoured), b_to_a=Direction(on=False),
        features=frozenset({Feature.ATTESTATION}),
    )  # fmt: skip
    return replace(made, **changes)


def agree(made: Pair, *agreements: Agreement) -> None:
    """Both have signed these, and know it."""
    versions = []
    for agreement in agreements or (terms(made.regions[A]),):
        signed = agreement_life.sign(agreement, signing_key(A))
        both = replace(
            signed, signatures=(*signed.signatures, agreement_life.countersign(signed, signing_key(B)))
        )  # fmt: skip
        digest = agreement_life.digest_of(both)
        versions.append(
            Version(
                request=digest[:16], proposer=A, signed=both, agreement=agreement, digest=digest, state=State.AGREED
            )
        )
    for code, peer in ((A, B), (B, A)):
        made.regions[code].office.agreements.put(peer, Dealings(versions=tuple(versions)))


def sign_up(made: Pair) -> None:
    """A proposes the agreement and B signs it too, as messages."""
    a, b = made.regions[A], made.regions[B]
    draft = terms(a, id=b"", valid_from=20261118)
    proposed = a.one(Propose(client="c", key="agree", agreement=draft, by="x", checked_by="y"))
    made.pump()
    b.one(Countersign(peer=A, digest=proposed.version.digest, by="x", checked_by="y"))
    made.pump()


def neighbours(**more: Any) -> Pair:
    """A knows 120 hours, four stars and an honour of its resident; B has an account for the same person."""
    made = pair((A, B), **more)
    agree(made)
    furnish(made)
    return made


def furnish(made: Pair) -> None:
    """See :func:`neighbours`."""
    a, b = made.regions[A], made.regions[B]
    a.one(OpenAccount(name="A"))
    b.one(OpenAccount(name="B"))
    know(a, HOURS, value=120 * 60)
    know(a, STARS, value=4)
    know(a, HONOUR, words="年度优秀志愿者")


def know(region: TestRegion, kind: int, **more: Any) -> Any:
    """The region's own system says so."""
    return region.one(PutFact(account="A", kind=kind, **more))


def consented(region: TestRegion, **changes: Any) -> str:
    """A consent of A's resident to attest everything to B; its reference."""
    said: dict[str, Any] = {
        "client": "c", "key": f"consent {next(_keys)}", "account": "A", "recipient": B, "contact": "宁波市 0574-12345",
        "purpose": "attestation", "method": "gateway message", "kinds": KINDS, "expires": 20271231, **changes,
    }  # fmt: skip
    reference: str = region.one(GiveConsent(**said)).reference
    return reference


def shared(region: TestRegion, consent: str | None = None, **changes: Any) -> ShareAnswer:
    """A code for B, under a consent."""
    reference = consent or consented(region)
    made: ShareAnswer = region.one(NewShare(**{"account": "A", "audience": B, "consent": reference, **changes}))
    return made


def question(shown: ShareAnswer, **changes: Any) -> AskAttestation:
    """What B asks with what the resident shows."""
    asked = AskAttestation(
        client="c", key=f"ask {next(_keys)}", account="B", code=shown.code, consent=shown.consent,
        consent_digest=bytes.fromhex(shown.consent_digest),
    )  # fmt: skip
    return replace(asked, **changes)


def asked(made: Pair, shown: ShareAnswer | None = None, **changes: Any) -> bytes:
    """B asks A, and everything is delivered; the id."""
    shown = shown or shared(made.regions[A])
    answer: AttestationAsked = made.regions[B].one(question(shown, **changes))
    made.pump()
    return bytes.fromhex(answer.id)


def states(made: Pair, id_: bytes) -> tuple[Stands | None, Stands | None]:
    """How the attestation stands at A, which gave it, and at B, which asked."""
    given, asked_for = row(made.regions[A], id_, B, mine=True), row(made.regions[B], id_, A, mine=False)
    return Stands(given.state) if given else None, Stands(asked_for.state) if asked_for else None


def row(region: TestRegion, id_: bytes, peer: int, *, mine: bool) -> AttestationRow | None:
    """What the region keeps of it."""
    with region.store.read() as conn:
        return attestations.find(conn, id_, peer, mine=mine)


def recognised(region: TestRegion, account: str = "B") -> list[RecognitionRow]:
    """What the region recognised for an account and has not taken back."""
    with region.store.read() as conn:
        number = attestations.number_of(conn, account)
        assert number is not None
        return [r for r in attestations.recognitions(conn, number) if r.revoked_ms is None]


def worth(region: TestRegion, account: str = "B") -> dict[tuple[int, str], int]:
    """The same, as (kind, words) and what it is worth here."""
    return {(r.kind, r.words): r.value for r in recognised(region, account)}
