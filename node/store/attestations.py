"""Facts, share codes, attestations and recognitions, as services and callers look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from gateway.protocol.attestation import Fact, State
from node.store import schema


class Known(NamedTuple):
    """A fact of an account, and whether it was withdrawn."""

    fact: Fact
    withdrawn: bool
    at_ms: int


class Share(NamedTuple):
    """What stands behind a share code."""

    code: bytes
    account: int
    audience: int
    consent: str
    expires_ms: int
    at_ms: int
    used_ms: int | None


class AttestationRow(NamedTuple):
    """One attestation, given (`mine`) or asked for."""

    id: bytes
    peer: int  # 0 = anybody: a credential
    mine: bool
    account: int
    request: bytes
    signed: bytes | None
    state: int
    reason: int
    expires: int
    place: int | None
    at_ms: int
    decided_ms: int | None


class RecognitionRow(NamedTuple):
    """What an attested fact counts for here."""

    attestation: bytes
    peer: int
    kind: int
    words: str
    account: int
    value: int
    there: int
    expires: int
    revoked_ms: int | None
    at_ms: int


def facts(conn: Connection, account: int) -> list[Known]:
    """Everything known of an account, withdrawn facts too."""
    f = schema.fact
    rows = conn.execute(select(f).where(f.c.account == account).order_by(f.c.kind, f.c.words))
    return [
        Known(Fact(r.kind, r.words, r.value, r.evidence, r.as_of, r.expires, r.reference), bool(r.withdrawn), r.at_ms)
        for r in rows
    ]


def put_fact(conn: Connection, account: int, known: Known) -> None:
    """The newest of its kind and words."""
    f, fact = schema.fact, known.fact
    values: dict[str, Any] = {**fact._asdict(), "withdrawn": known.withdrawn, "at_ms": known.at_ms}
    same = (f.c.account == account, f.c.kind == fact.kind, f.c.words == fact.words)
    if not conn.execute(update(f).where(*same).values(values)).rowcount:
        conn.execute(f.insert().values(account=account, **values))


def add_share(conn: Connection, share: Share) -> None:
    """A new code."""
    conn.execute(schema.share.insert().values(share._asdict()))


def share(conn: Connection, code: bytes) -> Share | None:
    """What stands behind a code."""
    s = schema.share
    row = conn.execute(select(s).where(s.c.code == code)).first()
    return Share._make(row) if row is not None else None


def use_share(conn: Connection, code: bytes, at_ms: int) -> None:
    """The code was used, and is worth nothing any more."""
    s = schema.share
    conn.execute(update(s).where(s.c.code == code).values(used_ms=at_ms))


def add(conn: Connection, row: AttestationRow) -> None:
    """A new attestation."""
    conn.execute(schema.attestation.insert().values(row._asdict()))


def change(conn: Connection, row: AttestationRow, **values: Any) -> None:
    """The attestation got a state, a document, a reason."""
    a = schema.attestation
    this = (a.c.id == row.id, a.c.peer == row.peer, a.c.mine == row.mine)
    conn.execute(update(a).where(*this).values(values))


def find(conn: Connection, id_: bytes, peer: int, *, mine: bool) -> AttestationRow | None:
    """The attestation of this id that this region gave the peer (`mine`), or asked of it."""
    a = schema.attestation
    row = conn.execute(select(a).where(a.c.id == id_, a.c.peer == peer, a.c.mine == mine)).first()
    return _row(row) if row is not None else None


def of_id(conn: Connection, id_: bytes) -> list[AttestationRow]:
    """Every attestation of this id: peers choose the ids of their own requests."""
    a = schema.attestation
    return [_row(r) for r in conn.execute(select(a).where(a.c.id == id_).order_by(a.c.peer, a.c.mine))]


def of_account(conn: Connection, account: int, *, given: bool = False) -> list[AttestationRow]:
    """What was asked about an account and what was attested of it; `given`: only the latter, as far as it stands."""
    a = schema.attestation
    query = select(a).where(a.c.account == account).order_by(a.c.at_ms, a.c.id)
    if given:
        query = query.where(a.c.mine, a.c.state == int(State.GIVEN))
    return [_row(r) for r in conn.execute(query)]


def _row(row: Any) -> AttestationRow:
    return AttestationRow._make(row)._replace(mine=bool(row.mine))


def places(conn: Connection) -> dict[int, bool]:
    """Of every credential its place in the status list, and whether it was revoked."""
    a = schema.attestation
    rows = conn.execute(select(a.c.place, a.c.state).where(a.c.mine, a.c.place.is_not(None)))
    return {place: state != State.GIVEN for place, state in rows}


def recognise(conn: Connection, rows: Sequence[RecognitionRow]) -> None:
    """What an attestation counts for here."""
    for row in rows:
        conn.execute(schema.recognition.insert().values(row._asdict()))


def take_back(conn: Connection, attestation: bytes, peer: int, at_ms: int) -> None:
    """What was recognised of an attestation counts no more."""
    r = schema.recognition
    this = (r.c.attestation == attestation, r.c.peer == peer, r.c.revoked_ms.is_(None))
    conn.execute(update(r).where(*this).values(revoked_ms=at_ms))


def recognitions(conn: Connection, account: int) -> list[RecognitionRow]:
    """Everything that was ever recognised for an account."""
    r = schema.recognition
    query = select(r).where(r.c.account == account).order_by(r.c.kind, r.c.words, r.c.at_ms)
    return [RecognitionRow._make(row) for row in conn.execute(query)]


def number_of(conn: Connection, name: str) -> int | None:
    """The number of a resident's account."""
    a = schema.account
    found: int | None = conn.scalar(select(a.c.no).where(a.c.name == name, a.c.kind == 1))
    return found


def name_of(conn: Connection, number: int) -> str:
    """The name of an account; empty where there is none."""
    a = schema.account
    return conn.scalar(select(a.c.name).where(a.c.no == number)) or ""
