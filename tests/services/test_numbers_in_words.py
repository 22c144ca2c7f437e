"""A peer that writes an identity number where words belong: it is refused, and no table but the log's own keeps it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.protocol import attestation
from gateway.protocol.agreement import life
from gateway.protocol.agreement.document import Notice, NoticeKind
from gateway.protocol.attestation import Attestation, Fact, FactKind, Wanted
from gateway.protocol.bodies import agreement as agreements
from gateway.protocol.bodies import clawback as clawbacks
from gateway.protocol.clawback import Cause, Clawback, Share
from gateway.protocol.errors import Malformed
from gateway.protocol.values import Draft, Evidence, Kind, Reason
from node.services.verify.run import verify
from tests.federation import TestRegion, pair, signing_key
from tests.services.agreeing import agree, draft, today
from tests.services.delivery import A, B
from tests.services.ledger import SALT, forge, rows

NUMBER = "见 110101199003074477"
ID = b"forged request!!"


def answered(a: TestRegion, b: TestRegion, draft_: Draft) -> int:
    """The reason for which B refuses what A says."""
    b.hear(A, forge(a, B, [draft_]))
    assert [check for check in verify(b.store) if not check.ok] == []
    return int(next((row[7] for row in rows(b, "request")["request"] if row[0] == ID), Reason.MALFORMED_BODY))


@pytest.mark.parametrize("where", ["legal_basis", "consent_basis"])
def test_an_agreement(where: str) -> None:
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    more: dict[str, Any] = {where: NUMBER}
    paper = replace(
        draft(valid_from=today(a)), federation=a.office.roster.federation, environment="test", id=ID, version=1, **more
    )
    body = SALT + agreements.encode_propose(life.sign(paper, signing_key(A)), b"")
    assert answered(a, b, Draft(Kind.PROPOSE, False, ID, body)) == Reason.DOCUMENT_INVALID


def test_a_notice() -> None:
    made = pair((A, B))
    a, b = made.regions[A], made.regions[B]
    agreed = agree(made).version.agreement
    notice = Notice(
        federation=agreed.federation, environment=agreed.environment, agreement=agreed.id, version=1, region=A,
        what=NoticeKind.SUSPEND, effective=today(a), because=NUMBER,
    )  # fmt: skip
    body = SALT + agreements.encode_notice_body(life.sign_notice(notice, signing_key(A)), b"")
    assert answered(a, b, Draft(Kind.NOTICE, False, ID, body)) == Reason.DOCUMENT_INVALID


def test_a_claim() -> None:
    made = pair((A, B))
    body = Clawback(b"of what transfer", Cause.REVERSAL, A, NUMBER, b"root of it all..", (Share(0, 1),))
    said = Draft(Kind.CLAWBACK, False, ID, SALT + clawbacks.encode_clawback(body, b""))
    assert answered(made.regions[A], made.regions[B], said) == Reason.MALFORMED_BODY
    assert rows(made.regions[B], "request")["request"] == []


@pytest.mark.parametrize("where", ["words", "reference"])
def test_an_attestation(where: str) -> None:
    more: dict[str, Any] = {where: NUMBER}
    fact = Fact(FactKind.HONOUR, "", 1, Evidence.SIGNED_IN, 20260101, 0, "")._replace(**more)
    document = Attestation(
        federation=b"f" * 32, environment="test", id=ID, issuer=A, audience=B, subject=b"s" * 16, facts=(fact,),
        issued_at_ms=1, expires=20271231, consent_digest=b"c" * 32, roster_version=1,
    )  # fmt: skip
    wanted = Wanted(
        federation=b"f" * 32, environment="test", id=ID, issuer=A, audience=B, kinds=frozenset({FactKind.HONOUR}),
        consent_digest=b"c" * 32,
    )  # fmt: skip
    key = signing_key(A)
    with pytest.raises(Malformed, match="number"):
        attestation.read(attestation.sign(document, key), [key.verify_key], wanted)
