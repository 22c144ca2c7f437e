"""What regions have said to each other about agreements, as rows: every version and every notice, in their order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from gateway.protocol import codec
from gateway.protocol.agreement.life import Dealings, Noted, State, Version
from gateway.protocol.bodies.agreement import decode_agreement, decode_notice
from node.store import bulk, schema


def load(conn: Connection, peer: int | None = None) -> dict[int, Dealings]:
    """What was said between this region and each peer, or one of them."""
    a, n = schema.agreement, schema.notice
    versions, notices = select(a).order_by(a.c.no), select(n).order_by(n.c.no)
    if peer is not None:
        versions, notices = versions.where(a.c.peer == peer), notices.where(n.c.peer == peer)
    said: dict[int, tuple[list[Version], list[Noted]]] = {}
    for row in conn.execute(versions):
        said.setdefault(row.peer, ([], []))[0].append(_version(row))
    for row in conn.execute(notices):
        said.setdefault(row.peer, ([], []))[1].append(_noted(row))
    return {code: Dealings(versions=tuple(v), notices=tuple(n)) for code, (v, n) in said.items()}


def _version(row: Row[Any]) -> Version:
    signed = codec.decode_signed(row.countersigned if row.countersigned is not None else row.proposed)
    return Version(
        request=bytes(row.request),
        proposer=row.proposer,
        signed=signed,
        agreement=decode_agreement(signed.payload),
        digest=bytes(row.digest),
        state=State(row.state),
        reason=row.reason,
    )


def _noted(row: Row[Any]) -> Noted:
    signed = codec.decode_signed(row.signed)
    return Noted(
        request=bytes(row.request),
        by=row.said_by,
        notice=decode_notice(signed.payload),
        signed=signed,
        refused=bool(row.refused),
    )


def put(conn: Connection, peer: int, before: Dealings, after: Dealings, at_ms: int) -> None:
    """Write what has changed."""
    known = {(v.request, v.proposer): v for v in before.versions}
    for version in after.versions:
        was = known.get((version.request, version.proposer))
        if was is None:
            bulk.insert(conn, schema.agreement, [_row_of(conn, peer, version, at_ms)])
        elif was is not version:
            both = codec.encode_signed(version.signed) if version.state == State.AGREED else None
            changed = (version.request, version.proposer, both, int(version.state), version.reason, at_ms)
            columns = ("countersigned", "state", "reason", "decided_ms")
            bulk.put(conn, schema.agreement, ("request", "proposer"), columns, [changed])
    noted = {(n.request, n.by): n for n in before.notices}
    for notice in after.notices:
        was_noted = noted.get((notice.request, notice.by))
        if was_noted is None:
            bulk.insert(conn, schema.notice, [_row_of_notice(conn, peer, notice, at_ms)])
        elif was_noted.refused != notice.refused:
            bulk.put(
                conn, schema.notice, ("request", "said_by"), ("refused",), [(notice.request, notice.by, notice.refused)]
            )


def _row_of(conn: Connection, peer: int, version: Version, at_ms: int) -> tuple[Any, ...]:
    signed = codec.encode_signed(version.signed)
    agreement = version.agreement
    return (
        version.digest, agreement.id, agreement.version, peer, version.request, version.proposer, signed, None,
        int(version.state), version.reason, at_ms, None, _next(conn, schema.agreement),
    )  # fmt: skip


def _row_of_notice(conn: Connection, peer: int, noted: Noted, at_ms: int) -> tuple[Any, ...]:
    notice = noted.notice
    return (
        noted.request, notice.agreement, peer, noted.by, notice.what, codec.encode_signed(noted.signed), at_ms,
        noted.refused, _next(conn, schema.notice),
    )  # fmt: skip


def _next(conn: Connection, table: Any) -> int:
    return int(conn.scalar(select(func.max(table.c.no))) or 0) + 1


_STAMP = text("""
SELECT (SELECT count(*) FROM agreement), (SELECT coalesce(sum(state), 0) FROM agreement),
    (SELECT count(*) FROM notice), (SELECT count(*) FROM notice WHERE refused)
""")


def stamp(conn: Connection) -> tuple[int, ...]:
    """What grows with every change of any of them: rows are only added, and their states only rise."""
    return tuple(map(int, conn.execute(_STAMP).one()))
