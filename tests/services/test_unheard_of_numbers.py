"""Numbers of enumerations that nobody here has heard of: refused or taken for none, and no column is too small."""

from __future__ import annotations

import pytest

from gateway.protocol.attestation import State as Stands
from gateway.protocol.bodies import attestation as attested
from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.dispute import PAYLOAD_TYPE, Act, Opening, Step
from gateway.protocol.values import Draft, Kind, Reason
from node.store import disputes
from tests.federation import signing_key
from tests.services.agreeing import today
from tests.services.attesting import asked, neighbours, recognised, row
from tests.services.delivery import A, B, C
from tests.services.disputing import coordinated, sound
from tests.services.ledger import SALT, forge, rows

NUMBERS = (77, 32_768, (1 << 31) - 1, -1)
ID = b"of a later kind!"


@pytest.mark.parametrize("matter", NUMBERS)
@pytest.mark.parametrize("told", [B, C])
def test_a_dispute_about_what_nobody_disputes_is_kept_by_no_party_and_no_third_region(told: int, matter: int) -> None:
    made = coordinated()
    a, other = made.regions[A], made.regions[told]
    step = Step(
        federation=a.office.roster.federation, environment=a.office.roster.environment, dispute=ID, number=0,
        previous=b"", by=A, date=today(a), act=int(Act.OPEN),
        opening=Opening(matter, b"nobody knows it.", A, 0, "moral", 5, B, C, C),
    )  # fmt: skip
    signed = signing_key(A).sign(PAYLOAD_TYPE, bodies.encode_statement(step))
    other.hear(A, forge(a, told, [Draft(Kind.DISPUTE, False, ID, SALT + bodies.encode_dispute(signed, b""))]))
    with other.store.read() as conn:
        assert disputes.find(conn, ID) is None
    assert [row_[7] for row_ in rows(other, "request")["request"] if row_[0] == ID] in (
        [Reason.DOCUMENT_INVALID], [Reason.TRANSFER_UNKNOWN],
    )  # fmt: skip
    sound(made)


@pytest.mark.parametrize("because", NUMBERS)
def test_an_attestation_revoked_for_an_unheard_of_cause_is_revoked(because: int) -> None:
    made = neighbours()
    a, b = made.regions[A], made.regions[B]
    id_ = asked(made)
    assert recognised(b)
    body = SALT + attested.encode_revoked(attested.Revoked(id_, because, b""))
    b.hear(A, forge(a, B, [Draft(Kind.ATTEST_REVOKE, False, ID, body)]))
    kept = row(b, id_, A, mine=False)
    assert kept is not None
    assert (kept.state, kept.reason) == (Stands.REVOKED, 0)
    assert recognised(b) == []
