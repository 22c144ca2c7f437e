"""What a quarantine is about, and the way out of it: stored evidence, and what two people agree to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta
from sqlalchemy import Connection

from gateway.protocol import contradictions
from gateway.protocol.errors import ProtocolError
from node.services.forks import evidence, repair
from node.services.forks.evidence import Stored
from node.services.forks.repair import Agree, Agreement
from node.web.answers import Answer
from node.web.problems import Wrong
from node.web.requests import Digest, Person, Region, Request
from node.web.routes import Call, Route, respond
from node.web.words import time


class Agreed(Answer, frozen=True):
    """How far a repair has come: `source` stands by `size` frames, `destination` holds `holds`; the log goes on there.

    Both have to sign. Until the destination has, `holds` is not known and equals `size`.
    """

    peer: int
    evidence: str
    source: int
    destination: int
    size: int
    holds: int
    signed_here: bool
    signed_there: bool
    at: datetime


class Exhibit(Answer, frozen=True):
    """One file of evidence. `holds`: it convinces a stranger who knows the federation's id; what it says then."""

    digest: str
    peer: int
    at: datetime
    holds: bool
    zh: str | None
    en: str | None
    repair: Agreed | None


class Exhibits(Answer, frozen=True):
    """Oldest first."""

    evidence: list[Exhibit]


class ExhibitFile(Answer, frozen=True):
    """The file itself, to be saved as it is and checked by `python -m gateway verify`."""

    exhibit: Exhibit
    file: str
    repair_file: str | None  # both signatures, once there are two


class Agreeing(Request, frozen=True):
    """Two people of this region stand by the first `size` messages of the log that the evidence is about.

    `file` is the evidence itself, where the other region keeps it.
    """

    evidence: Digest
    size: Annotated[int, Meta(ge=0, le=(1 << 62))]
    maker: Person
    checker: Person
    file: str = ""


class Which(Request, frozen=True):
    """Which evidence."""

    peer: Region | None = None


async def listing(call: Call) -> web.Response:
    """All that is kept."""
    federation, peer = call.desk.node.office.roster.federation, call.query.peer

    def read(conn: Connection) -> list[Exhibit]:
        agreements = repair.agreements(conn, peer)
        return [_exhibit(s, agreements.get((s.peer, s.digest)), federation) for s in evidence.listing(conn, peer)]

    return respond(Exhibits(await call.desk.read(read)))


async def one(call: Call) -> web.Response:
    """One of it, with its file."""
    federation, digest = call.desk.node.office.roster.federation, bytes.fromhex(call.path["digest"])

    def read(conn: Connection) -> ExhibitFile | None:
        stored = evidence.find(conn, digest)
        if stored is None:
            return None
        agreement = repair.agreements(conn, stored.peer).get((stored.peer, digest))
        return ExhibitFile(
            exhibit=_exhibit(stored, agreement, federation),
            file=stored.file.decode(),
            repair_file=repair.proof_file(conn, stored.peer, digest),
        )

    found = await call.desk.read(read)
    if found is None:
        raise Wrong("not_found", "no evidence with this digest is stored here")
    return respond(found)


def _exhibit(stored: Stored, agreement: Agreement | None, federation: bytes) -> Exhibit:
    words: tuple[str | None, str | None] = (None, None)
    try:
        found = evidence.read(stored.file)
        words = contradictions.in_words(found, contradictions.verify(found, federation)) or words
    except ProtocolError:  # kept by an older version that this one cannot read
        pass
    return Exhibit(
        digest=stored.digest.hex(), peer=stored.peer, at=time(stored.at_ms), holds=words[0] is not None, zh=words[0],
        en=words[1], repair=_agreed(stored.peer, agreement) if agreement is not None else None,
    )  # fmt: skip


def _agreed(peer: int, agreement: Agreement) -> Agreed:
    terms = agreement.repair
    return Agreed(
        peer=peer,
        evidence=terms.evidence.hex(),
        source=terms.log.source,
        destination=terms.log.destination,
        size=terms.size,
        holds=terms.holds_size,
        signed_here=agreement.mine is not None,
        signed_there=agreement.theirs is not None,
        at=time(agreement.at_ms),
    )


async def agree(call: Call) -> web.Response:
    """Two people agree. It is sent to the peer by itself, and takes effect when the peer has signed the same."""
    office, said = call.desk.node.office, call.body
    region = office.roster.find(call.path["code"])
    if region is None or region.code == office.me:
        raise Wrong("region_unknown", f"no other region {call.path['code']} in the roster")
    command = Agree(
        peer=region.code,
        evidence=bytes.fromhex(said.evidence),
        size=said.size,
        maker=said.maker,
        checker=said.checker,
        file=said.file.encode("utf-8", "replace"),
    )
    found: Any = await call.desk.one(command)
    return respond(_agreed(region.code, found))


ROUTES = (
    Route(
        method="GET", path="/v1/evidence", name="list_evidence", handler=listing, query=Which, answer=Exhibits,
        summary="对方自相矛盾的证据", summary_en="Evidence that regions contradicted themselves or this one",
    ),
    Route(
        method="GET", path="/v1/evidence/{digest}", name="show_evidence", handler=one, answer=ExhibitFile,
        summary="一份证据及其文件", summary_en="One piece of evidence with its file",
    ),
    Route(
        method="POST", path="/v1/peers/{code}/repair", name="repair_peer", handler=agree, scope="operate",
        body=Agreeing, answer=Agreed,
        summary="两人同意修复被隔离的通道", summary_en="Two people agree to a repair of a channel in quarantine",
    ),
)  # fmt: skip
