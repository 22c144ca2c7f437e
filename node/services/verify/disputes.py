"""Whether every dispute stands as its signed steps say, and whether every step is what its region signed."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.protocol import dispute
from gateway.protocol.bodies import dispute as bodies
from gateway.protocol.dispute import OPEN, State
from gateway.protocol.errors import ProtocolError
from gateway.protocol.members import Roster
from gateway.protocol.suite import verify
from gateway.protocol.values import Reason, Signed
from node.services.verify.findings import Findings
from node.store import disputes, schema
from node.store.disputes import Stored


def check_disputes(conn: Connection, me: int, roster: Roster, findings: Findings) -> None:
    """Fold every chain again and compare; a key that was revoked since does not make its steps wrong."""
    findings.count("disputes")  # also that there are none
    for (id_,) in conn.execute(select(schema.dispute.c.id).order_by(schema.dispute.c.at_ms)):
        row = disputes.find(conn, id_)
        assert row is not None
        findings.count("disputes")
        try:
            fault = _fault(row, disputes.steps(conn, id_), me, roster)
        except (ProtocolError, ValueError) as error:
            fault = str(error)
        if fault:
            findings.fault("disputes", f"{row.id.hex()}: {fault}")


def _fault(row: Stored, steps: list[Signed], me: int, roster: Roster) -> str:
    """What is wrong with one; empty where nothing is."""
    if not steps:
        return "" if row.state in (State.ASKED, State.REFUSED) else "it has no steps"
    read = [bodies.decode_statement(signed) for signed in steps]
    last = b""
    for number, (step, signed) in enumerate(zip(read, steps, strict=True)):
        verify(signed, roster.all_keys(step.by), dispute.PAYLOAD_TYPE)
        if (step.dispute, step.number, step.previous) != (row.id, number, last):
            return f"step {number} does not follow the one before"
        last = dispute.digest(signed.payload)
    record = dispute.fold((step, signed.payload) for step, signed in zip(read, steps, strict=True))
    opening = record.opening
    said = (record.claimant, opening.respondent, opening.matter, opening.id, opening.region, opening.amount)
    if said != (row.opened_by, row.respondent, row.about_kind, row.about, row.whose, row.amount):
        return "its first step is about something else"
    if row.state is State.REFUSED and row.reason == Reason.REGION_NOT_ACTIVE:
        return ""  # the other region is gone, and the dispute was given up where it stood
    folded = (record.state, record.last, record.number + 1, record.due, record.settled)
    if folded != (row.state, row.last, row.steps, row.deadline, row.settled):
        return f"its steps come to {record.state.name}, step {record.number}; another state is stored"
    held = row.hold is not None
    ended = row.state not in OPEN and row.state not in (State.UPHELD, State.SETTLED)
    return "it holds points and has ended" if held and (ended or not row.is_party(me)) else ""
