"""Whether what was attested, recognised and taken back is what the two logs of each channel say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from gateway.protocol import attestation, codec
from gateway.protocol.attestation import State, Wanted
from gateway.protocol.bodies import attestation as bodies
from gateway.protocol.errors import PeerFault
from gateway.protocol.members import Roster
from gateway.protocol.values import Kind, Signed
from node.ledger.sources import Message
from node.services.verify.findings import Findings
from node.services.verify.reading import StoredLogs
from node.store import agreements, schema
from node.store.attestations import AttestationRow, RecognitionRow

_KINDS = (int(Kind.ATTEST_REQUEST), int(Kind.ATTEST_REVOKE))

Counting = frozenset[tuple[int, str, int, int, int]]
"""What counts for an account: kind, words, value, value there, expiry."""


class Derived(NamedTuple):
    """An attestation as the logs have it."""

    states: frozenset[State]  # one of these; several where the logs leave it open
    signed: bytes | None
    counting: Counting


class _Side:
    """What one of the two regions said about attestations."""

    def __init__(self, messages: Iterator[Message]) -> None:
        self.requests: dict[bytes, bytes] = {}  # id -> body
        self.revocations: dict[bytes, bytes] = {}  # id -> body
        self.replies: dict[bytes, Message] = {}  # the first that bears an id counts
        for m in messages:
            if m.reply:
                self.replies.setdefault(m.id, m)
            elif m.kind == Kind.ATTEST_REQUEST:
                self.requests.setdefault(m.id, m.body)
            elif m.kind == Kind.ATTEST_REVOKE:
                self.revocations.setdefault(m.id, m.body)

    def revokes(self, other: _Side) -> tuple[set[bytes], set[bytes]]:
        """Ids of attestations that this side took back, and those of which the other side said that it has."""
        revoked, confirmed = set(), set()
        for id_, body in self.revocations.items():
            if not body:
                continue
            about = bodies.decode_revoked(body).attestation
            revoked.add(about)
            if id_ in other.replies:
                confirmed.add(about)
        return revoked, confirmed


def check_attestations(conn: Connection, me: int, roster: Roster, findings: Findings) -> None:
    """Compare the tables with the logs of every channel in which attestations were ever spoken of."""
    r, a, rec = schema.request, schema.attestation, schema.recognition
    spoken = set(conn.scalars(select(r.c.peer).where(r.c.kind.in_(_KINDS)).distinct()))
    spoken |= set(conn.scalars(select(a.c.peer).where(a.c.peer != 0).distinct()))
    spoken |= set(conn.scalars(select(rec.c.peer).distinct()))
    findings.count("attestations")
    if not spoken:
        return
    logs = StoredLogs(conn, lambda _frames: None)
    for peer in sorted(spoken):
        derived = _Deriving(conn, me, peer, roster, logs).all()
        rows = [AttestationRow._make(row) for row in conn.execute(select(a).where(a.c.peer == peer))]
        known = [RecognitionRow._make(row) for row in conn.execute(select(rec).where(rec.c.peer == peer))]
        _compare(peer, derived, rows, known, findings)


def _compare(
    peer: int, derived: dict[tuple[bytes, bool], Derived], rows: list[AttestationRow], known: list[RecognitionRow],
    findings: Findings,
) -> None:  # fmt: skip
    for row in rows:
        what = f"attestation {row.id.hex()} {'to' if row.mine else 'of'} {peer}"
        found = derived.get((row.id, bool(row.mine)))
        findings.count("attestations")
        if found is None:
            findings.fault("attestations", f"{what} is in no log")
            continue
        if row.state not in found.states:
            follows = " or ".join(sorted(state.name for state in found.states))
            findings.fault("attestations", f"{what}: {State(row.state).name} is stored, {follows} follows")
        if row.signed != found.signed:
            findings.fault("attestations", f"{what}: another document is stored than was sent")
    counting: dict[bytes, set[tuple[int, str, int, int, int]]] = {}
    for r in known:
        findings.count("attestations")
        if r.revoked_ms is None:
            counting.setdefault(r.attestation, set()).add((r.kind, r.words, r.value, r.there, r.expires))
    for id_ in counting.keys() | {id_ for (id_, mine), d in derived.items() if d.counting and not mine}:
        found = derived.get((id_, False))
        if counting.get(id_, set()) != (found.counting if found else frozenset()):
            findings.fault("attestations", f"what counts of attestation {id_.hex()} of {peer} does not follow from it")


class _Deriving:
    """One channel."""

    def __init__(self, conn: Connection, me: int, peer: int, roster: Roster, logs: StoredLogs) -> None:
        self._me, self._peer, self._roster = me, peer, roster
        self._agreed = agreements.load(conn, peer).get(peer)
        self._mine = _Side(_each(lambda number: logs.said(peer, number)))
        self._theirs = _Side(_each(lambda number: logs.heard(peer, number)))

    def all(self) -> dict[tuple[bytes, bool], Derived]:
        """By id, and whether this region gave it."""
        return {**self._given(), **self._asked()}

    def _given(self) -> dict[tuple[bytes, bool], Derived]:
        revoked, confirmed = self._mine.revokes(self._theirs)
        found = {}
        for id_ in self._theirs.requests:
            reply = self._mine.replies.get(id_)
            if reply is None or reply.kind != Kind.ATTEST or not reply.body:
                continue
            signed = codec.encode_signed(bodies.decode_attested(reply.body).attestation)
            # One that could not be told the other region stands there as withdrawn, too.
            states = frozenset({State.GIVEN, State.WITHDRAWN})
            if id_ in revoked:
                states = frozenset({State.TAKEN_BACK if id_ in confirmed else State.WITHDRAWN})
            found[id_, True] = Derived(states, signed, frozenset())
        return found

    def _asked(self) -> dict[tuple[bytes, bool], Derived]:
        revoked, _ = self._theirs.revokes(self._mine)
        found = {}
        for id_, body in self._mine.requests.items():
            reply = self._theirs.replies.get(id_)
            if reply is None:
                found[id_, False] = Derived(frozenset({State.ASKED}), None, frozenset())
            elif reply.kind == Kind.REFUSE:
                found[id_, False] = Derived(frozenset({State.REFUSED}), None, frozenset())
            elif body and reply.body:
                found[id_, False] = self._recognised(id_, bodies.decode_request(body), reply, id_ in revoked)
        return found

    def _recognised(self, id_: bytes, asked: bodies.Asked, reply: Message, revoked: bool) -> Derived:
        wanted = Wanted(
            federation=self._roster.federation, environment=self._roster.environment, id=id_, issuer=self._peer,
            audience=self._me, kinds=frozenset(asked.kinds), consent_digest=asked.consent_digest,
        )  # fmt: skip
        unfit = Derived(frozenset({State.UNFIT}), None, frozenset())
        if reply.kind != Kind.ATTEST:
            return unfit
        try:
            signed: Signed = bodies.decode_attested(reply.body).attestation
            document = attestation.read(signed, self._roster.all_keys(self._peer), wanted)
        except PeerFault:
            return unfit
        if revoked:
            return Derived(frozenset({State.REVOKED}), codec.encode_signed(signed), frozenset())
        versions = self._agreed.agreed(asked.agreement) if self._agreed is not None else []
        named = [v.agreement for v in versions if v.agreement.version == asked.agreement_version]
        made = attestation.recognise(document, named[0].direction(self._peer)) if named else ()
        counting = {(r.kind, r.words): (int(r.kind), r.words, r.value, r.fact.value, r.expires) for r in made}
        return Derived(frozenset({State.RECOGNISED}), codec.encode_signed(signed), frozenset(counting.values()))


def _each(at: Callable[[int], Message | None]) -> Iterator[Message]:
    number = 0
    while (message := at(number)) is not None:
        yield message
        number += 1
