"""What others have agreed publicly counts against cycles; what two regions did not sign counts for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.protocol import documents
from gateway.protocol.agreement.life import sign
from gateway.protocol.errors import Refused
from node.services.agreement import public as public_agreements
from tests.federation import pair
from tests.services.agreeing import agree, draft, proposal, today
from tests.services.delivery import A, B

C = 330600


def test_a_cycle_over_the_public_terms_of_others_is_refused_before_anybody_signs(tmp_path: Path) -> None:
    made = pair((A, B, C))
    a, b, c = (made.regions[code] for code in (A, B, C))
    shown = agree(made, (2, 1), between=(A, B))
    agree(made, between=(B, C), proposer=B)
    (signed,) = (v.signed for v in a.office.agreements.dealings(B).agreed())
    alone = sign(replace(shown.version.agreement, id=b"signed by one..."), b.office.signing_key)
    (tmp_path / "a-b.json").write_text(documents.to_json(signed), "utf-8")
    (tmp_path / "one side only.json").write_text(documents.to_json(alone), "utf-8")
    (tmp_path / "no document.json").write_bytes(b"\xff\x00")
    (tmp_path / "other.txt").write_text("", "utf-8")
    found = public_agreements.read(tmp_path, C, c.office.roster)
    assert found == (shown.version.agreement,)
    assert public_agreements.read(tmp_path, A, a.office.roster) == ()
    assert public_agreements.read(tmp_path / "nowhere", C, c.office.roster) == ()
    c.office.agreements.publish(found)
    with pytest.raises(Refused, match="PROFITABLE_CYCLE"):
        c.one(proposal(draft(between=(A, C), valid_from=today(c))))
