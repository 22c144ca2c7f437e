"""Whether agreements stand as both logs say, and what regions owe each other is what moved between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, select, text

from gateway.protocol.agreement import life
from gateway.protocol.agreement.life import Dealings, Noted, State, Version
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.errors import PeerFault
from gateway.protocol.members import Roster
from gateway.protocol.values import Kind, Signature, Signed
from node.ledger.papers import Paper
from node.services.verify.findings import Findings
from node.store import agreements, schema

_DECODE: dict[int, Callable[[bytes], Signed | Signature]] = {
    int(Kind.PROPOSE): bodies.decode_propose,
    int(Kind.NOTICE): bodies.decode_notice_body,
    int(Kind.COUNTERSIGN): bodies.decode_countersign,
}

# The states of a transfer tell its side: 1 to 9 at its source, 11 to 19 at its destination. Of a purchase away from
# home only the holder keeps a hold; 2 is authorised, 11 and 12 are captured. A clawback of state 2 or 12 is answered.
MOVED = """
SELECT peer, incoming, category, CAST(sum(net) AS BIGINT) AS net FROM (
    SELECT destination AS peer, false AS incoming, category, amount AS net FROM transfer WHERE state IN (1, 2)
    UNION ALL SELECT destination, true, becomes, -arriving FROM transfer WHERE state = 2
    UNION ALL SELECT source, true, category, amount FROM transfer WHERE state = 13
    UNION ALL SELECT source, false, becomes, -arriving FROM transfer WHERE state = 13
    UNION ALL SELECT counter, false, category, CASE state WHEN 2 THEN amount ELSE captured END FROM authorisation
        WHERE hold IS NOT NULL AND state IN (2, 11, 12)
    UNION ALL SELECT counter, true, becomes, -(captured / rate_q * rate_p) FROM authorisation
        WHERE hold IS NOT NULL AND state IN (11, 12)
    UNION ALL SELECT holder, true, category, captured FROM authorisation WHERE hold IS NULL AND state IN (11, 12)
    UNION ALL SELECT holder, false, becomes, -(captured / rate_q * rate_p) FROM authorisation
        WHERE hold IS NULL AND state IN (11, 12)
    UNION ALL SELECT c.peer, NOT c.mine, t.category, -(c.recovered + c.further) * t.rate_q
        FROM clawback c JOIN transfer t ON t.id = c.transfer AND (c.mine AND t.destination = c.peer AND t.state = 2
        OR NOT c.mine AND t.source = c.peer AND t.state = 13) WHERE c.state IN (2, 12)
    UNION ALL SELECT c.peer, c.mine, t.becomes, (c.recovered + c.further) * t.rate_p
        FROM clawback c JOIN transfer t ON t.id = c.transfer AND (c.mine AND t.destination = c.peer AND t.state = 2
        OR NOT c.mine AND t.source = c.peer AND t.state = 13) WHERE c.state IN (2, 12)
) AS moved GROUP BY peer, incoming, category
"""


def check_agreements(conn: Connection, papers: Sequence[Paper], known: Roster, findings: Findings) -> None:
    """Hear every message again, and compare what follows with the tables."""
    derived: dict[int, Dealings] = {}
    for paper in papers:
        said = life.Said(paper.kind, paper.by, paper.id, _read(paper), paper.reason)
        derived[paper.peer] = life.hear(derived.get(paper.peer, Dealings()), said, partial(_keys, known))
    waiting = {bytes(id_) for id_ in conn.scalars(select(schema.undecided.c.id))}  # came back, and is not decided yet
    stored = agreements.load(conn)
    findings.count("agreements")  # also that there are none
    for peer in sorted(derived.keys() | stored.keys()):
        there, follows = stored.get(peer, Dealings()), derived.get(peer, Dealings())
        versions = {(v.request, v.proposer): _stands(v) for v in there.versions}
        findings.count("agreements", len(versions) + len(there.notices))
        _compare(peer, versions, {(v.request, v.proposer): _stands(v) for v in follows.versions}, waiting, findings)
        noted = {(n.request, n.by): _counts(n) for n in there.notices}
        _compare(peer, noted, {(n.request, n.by): _counts(n) for n in follows.notices}, waiting, findings)
        for region in sorted({n.by for n in there.notices}):
            order = [n.request for n in there.notices if n.by == region]
            if order != [n.request for n in follows.notices if n.by == region and (n.request, n.by) in noted]:
                findings.fault("agreements", f"notices of {region} to or from {peer} are stored in another order")


def _keys(known: Roster, region: int) -> Any:
    listed = known.find(region)
    return listed.all_keys() if listed is not None else ()


def _read(paper: Paper) -> Signed | Signature | None:
    decode = _DECODE.get(paper.kind)
    try:
        return decode(paper.body) if decode is not None and paper.body else None
    except PeerFault:
        return None


def _stands(version: Version) -> tuple[bool, Any]:
    return version.state == State.REFUSED, (version.digest, version.state, version.reason, version.signed)


def _counts(noted: Noted) -> tuple[bool, Any]:
    return noted.refused, (noted.signed, noted.refused)


def _compare(
    peer: int, stored: dict[Any, tuple[bool, Any]], derived: dict[Any, tuple[bool, Any]], waiting: set[bytes],
    findings: Findings,
) -> None:  # fmt: skip
    """What was refused may have been refused before anybody looked what it says: then it is kept nowhere."""
    for key in sorted(stored.keys() | derived.keys()):
        request, by = key
        refused, what = derived.get(key, (True, None))
        if key not in stored:
            if not refused and request not in waiting:
                findings.fault("agreements", f"what {by} said as {request.hex()} follows for {peer} and is not there")
        elif stored[key][1] != what:
            findings.fault("agreements", f"what {by} said as {request.hex()} to or from {peer} is stored otherwise")


def check_usage(conn: Connection, findings: Findings) -> None:
    """What is owed in each direction and category is what transfers and purchases add up to."""
    p = schema.pair_usage
    stored = {(r.peer, bool(r.incoming), r.category): r.net for r in conn.execute(select(p))}
    follows = {(r.peer, bool(r.incoming), r.category): int(r.net) for r in conn.execute(text(MOVED))}
    findings.count("usage", len(follows) + 1)
    for key in sorted(stored.keys() | follows.keys()):
        there, net = stored.get(key, 0), follows.get(key, 0)
        if there != net:
            peer, incoming, category = key
            way = "from" if incoming else "to"
            findings.fault("usage", f"{category} {way} {peer}: {there} is stored, {net} follows")
